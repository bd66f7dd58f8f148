"""What every process has: it accepts mail, and stores it through the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from postal_server.conf import Config
from postal_server.engine import directory as directories
from postal_server.engine.acceptance import Acceptance
from postal_server.engine.database import sqlite_path
from postal_server.engine.disk import Disk
from postal_server.engine.journal import Journal
from postal_server.services.acceptance import storage
from postal_server.services.acceptance.stream import StreamRegistry
from postal_server.services.shared import ip_pool
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.work import Accepted, Stored


class AcceptanceCore:
    """What accepts mail and needs no event loop: the directory and the journal. Enough for a web process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        path = sqlite_path()
        self.disk = Disk(path, config.storage.min_free_mb * 1024 * 1024) if path else None
        self._streams = StreamRegistry()
        self.acceptance = Acceptance(self._store, self.disk)
        self.journal = Journal(self.acceptance)

    @property
    def directory(self) -> Callable[[], Directory]:
        return directories.current

    def _store(self, batch: Sequence[Accepted], now: datetime) -> list[list[Stored]]:
        lifetime = timedelta(hours=self.config.delivery.max_lifetime_hours)
        directory = self.directory()
        bound = ip_pool.bind(batch, directory, self.config)
        stored = storage.store(bound, now, lifetime, directory.suspensions)
        if self._streams.add_new(batch, directory):
            # After the commit: no other row is locked then. It matters little if it fails.
            transaction.on_commit(directories.touch, robust=True)
        return stored

    def problem(self) -> str:
        """Why this process cannot accept mail now; empty if it can. For any thread."""
        if not directories.keeper.is_current():
            return "The database does not answer."
        return self.journal.problem()
