"""Keeps the configuration rows in memory fresh: `current()` costs nothing, at most half a second old."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import F, Model
from django.db.models.signals import post_delete, post_save

from postal_server import models
from postal_server.models import Counter
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.loader import load

from .database import DATABASE_AWAY

logger = logging.getLogger(__name__)

COUNTER = "directory"
CHECK_INTERVAL = 0.5  # seconds
CURRENT_FOR = 5.0  # seconds after a check
WATCHED: tuple[type[Model], ...] = (
    models.AdditionalRouteEndpoint,
    models.AddressEndpoint,
    models.Credential,
    models.Domain,
    models.HTTPEndpoint,
    models.IPAddress,
    models.IPPool,
    models.IPPoolRule,
    models.Organization,
    models.QueueSuspension,
    models.Route,
    models.Server,
    models.SMTPEndpoint,
    models.Stream,
    models.TrackDomain,
    models.Webhook,
)


def version() -> int:
    return Counter.objects.filter(name=COUNTER).values_list("value", flat=True).first() or 0


def touch(**_signal: Any) -> None:
    """Tell every process that configuration rows have changed. `update()` and bulk changes must call this."""
    if not Counter.objects.filter(name=COUNTER).update(value=F("value") + 1):
        Counter.objects.get_or_create(name=COUNTER, defaults={"value": 1})


def connect_signals() -> None:
    """Have every saved or deleted configuration row counted; once a process, when Django's apps are ready."""
    for model in WATCHED:
        for signal in (post_save, post_delete):
            signal.connect(touch, sender=model, dispatch_uid="postal_server.directory")


class DirectoryKeeper:
    """Holds a `Directory` and reads it again, in a thread of its own, when its version has changed."""

    def __init__(self, read: Callable[[], Directory] = load) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._directory: Directory | None = None
        self._checked_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="directory", daemon=True)

    def current(self) -> Directory:
        """The directory as last read. For any thread, the event loop's included, once started."""
        assert self._directory is not None, "the directory is used before it was read"
        return self._directory

    def refresh(self) -> Directory:
        """Read it now if it has changed: for a caller that has just changed it in this process."""
        with self._lock:
            if self._directory is None or self._directory.version != version():
                self._directory = self._read()
            self._checked_at = time.monotonic()
            return self._directory

    def latest(self) -> Directory:
        """As `refresh`, but the last one stays in use where what was changed cannot be read."""
        try:
            return self.refresh()
        except DATABASE_AWAY:
            raise
        except Exception:  # the keeper's thread reports it
            return self.current()

    def is_current(self) -> bool:
        """Was it compared with the database lately? If not, the database does not answer."""
        return time.monotonic() - self._checked_at < CURRENT_FOR

    def start(self) -> None:
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(CHECK_INTERVAL * 2)

    def _run(self) -> None:
        while not self._stopped.wait(CHECK_INTERVAL):
            try:
                self.refresh()
            except DATABASE_AWAY as error:
                logger.warning("The directory cannot be read (%s); the last one stays in use", error)
                connection.close()
            except Exception:
                logger.exception("The directory cannot be read; the last one stays in use")
        connection.close()


keeper = DirectoryKeeper()
current = keeper.current
refresh = keeper.refresh
latest = keeper.latest
