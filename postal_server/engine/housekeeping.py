"""Scheduled tasks: rows that any worker leases when they are due, so that no leader is needed.

Source of the times: contract 11.1.
"""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from django.db import connection, transaction
from django.utils.module_loading import import_string

from postal_server.conf import Config
from postal_server.models import ScheduledTask
from postal_server.services.shared.dns_questions import Ask

from . import metrics
from .database import DATABASE_AWAY, write_transaction
from .disk import Disk
from .lease import Lease

logger = logging.getLogger(__name__)

PostBody = Callable[[str, str, bytes], int]

LOOK_INTERVAL = 1.0  # seconds between looks at what is due
AFTER_A_FAILURE = timedelta(minutes=5)


@dataclass(frozen=True)
class Every:
    """Due `offset` after the start of each `period` (periods start at midnight UTC)."""

    period: timedelta
    offset: timedelta = timedelta()

    def following(self, now: datetime) -> datetime:
        """The first time after `now`."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        periods = (now - midnight - self.offset) // self.period
        return midnight + self.offset + (periods + 1) * self.period


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
QUARTER_PAST = Every(HOUR, timedelta(minutes=15))
QUARTER_TO = Every(HOUR, timedelta(minutes=45))
AT_NIGHT = Every(DAY, timedelta(hours=3))
EACH_MINUTE = Every(timedelta(minutes=1))


@dataclass(frozen=True)
class Task:
    """A function, named by its dotted path so that it is imported when it first runs, and its times.

    It is called with those of `config`, `now`, `ask` (DNS questions for their answers), `post` (a body to a
    URL) and `write_transaction` (makes a transaction) that it takes.
    """

    path: str
    times: Every


SERVICES = "postal_server.services"
TASKS: Mapping[str, Task] = {
    "deletions": Task(f"{SERVICES}.operations.retention.delete_removed", QUARTER_PAST),
    "dns_checks": Task(f"{SERVICES}.operations.domain_checks.check_all", QUARTER_PAST),
    "notice_counts": Task(f"{SERVICES}.results.notice_limit.forget", QUARTER_PAST),
    "queue_suspensions": Task(f"{SERVICES}.operations.queue.keep_suspensions", QUARTER_TO),
    "hold_expiry": Task(f"{SERVICES}.operations.held.expire", QUARTER_PAST),
    "send_limit_release": Task(f"{SERVICES}.operations.send_limit_release.release", EACH_MINUTE),
    "ip_pools": Task(f"{SERVICES}.shared.ip_pool.keep", EACH_MINUTE),
    "retention": Task(f"{SERVICES}.operations.retention.prune", AT_NIGHT),
    "audit_pruning": Task(f"{SERVICES}.administration.audit.prune", AT_NIGHT),
    "site_pruning": Task(f"{SERVICES}.operations.destinations.prune", AT_NIGHT),
    "incidents": Task(f"{SERVICES}.operations.incidents.review", Every(timedelta(minutes=10))),
    "suppressed_domains": Task(f"{SERVICES}.operations.suppressed_domains.check", AT_NIGHT),
    "suppression_pruning": Task(f"{SERVICES}.operations.suppression_pruning.prune", AT_NIGHT),
    "tls_reports": Task(f"{SERVICES}.operations.tls_report.send", Every(DAY, timedelta(hours=1))),
    "tracked_links": Task(f"{SERVICES}.operations.tracking.forget_links", AT_NIGHT),
    "webhook_log_pruning": Task(f"{SERVICES}.operations.webhook.prune_attempts", QUARTER_TO),
    "send_limit_notices": Task(f"{SERVICES}.preparation.send_limit.notify", EACH_MINUTE),
}


class Housekeeping:
    """Runs due tasks, one after the other, in a thread of its own."""

    def __init__(
        self,
        config: Config,
        lease: Lease,
        disk: Disk | None = None,
        *,
        ask: Ask | None = None,
        post: PostBody | None = None,
        tasks: Mapping[str, Task] = TASKS,
        load: Callable[[str], Callable[..., Any]] = import_string,
    ) -> None:
        self._lease = lease
        self._disk = disk
        self._given = {"config": config, "ask": ask, "post": post, "write_transaction": write_transaction}
        self._tasks = tasks
        self._load = load
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin no more tasks. One that runs gets a second, then its lease ends with this worker's."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(LOOK_INTERVAL)

    def schedule(self, now: datetime) -> None:
        """Give each task that has none a row."""
        ScheduledTask.objects.bulk_create(
            [
                ScheduledTask(name=name, due_at=task.times.following(now))
                for name, task in self._tasks.items()
            ],
            ignore_conflicts=True,
        )

    def run_due(self, now: datetime) -> list[str]:
        """Run what is due; the result is what was run."""
        self._put_right(now)
        done = []
        while (name := self._claim(now)) and not self._stopped.is_set():
            self._finish(name, now, is_done=self._execute(name, now))
            done.append(name)
        return done

    def _put_right(self, now: datetime) -> None:
        """Free what was broken off; bring forward what a wrong clock put off by more than a period."""
        rows = ScheduledTask.objects.filter(name__in=self._tasks)
        for row in rows:
            times = self._tasks[row.name].times
            if row.claimed_by is not None and row.claimed_by == self._lease.worker_id:
                rows.filter(pk=row.pk, claimed_by=row.claimed_by).update(claimed_by=None)
            elif row.claimed_by is None and row.due_at > now + times.period:
                rows.filter(pk=row.pk, due_at=row.due_at).update(due_at=times.following(now))

    def _claim(self, now: datetime) -> str | None:
        worker_id = self._lease.worker_id
        if worker_id is None:
            return None
        due = ScheduledTask.objects.filter(name__in=self._tasks, due_at__lte=now, claimed_by=None)
        if not due.exists():
            return None  # found without waiting for the journal's turn to write
        with transaction.atomic():
            task = due.select_for_update(skip_locked=True).order_by("due_at", "name").first()
            if task is None:
                return None
            ScheduledTask.objects.filter(pk=task.pk).update(claimed_by=worker_id)
        return task.name

    def _execute(self, name: str, now: datetime) -> bool:
        started = time.monotonic()
        try:
            function = self._load(self._tasks[name].path)
            given = {**self._given, "now": now}
            function(**{key: given[key] for key in inspect.signature(function).parameters if key in given})
        except DATABASE_AWAY:
            raise
        except Exception as error:
            logger.exception("The task %s failed; it is tried again in five minutes", name)
            metrics.WORKER_ERRORS.labels(type(error).__name__).inc()
            return False
        finally:
            metrics.TASKS_RUN.labels("housekeeping", name).inc()
            metrics.TASK_RUNTIME.labels(name).observe(time.monotonic() - started)
        return True

    def _finish(self, name: str, began_at: datetime, *, is_done: bool) -> None:
        now = datetime.now(timezone.utc)
        following = self._tasks[name].times.following(now)
        task = ScheduledTask.objects.filter(name=name, claimed_by=self._lease.worker_id)
        # A request for another run in the meantime has set a later time.
        task.filter(due_at__lte=began_at).update(
            due_at=following if is_done else min(following, now + AFTER_A_FAILURE)
        )
        task.update(claimed_by=None, last_run_at=now)

    def _run(self) -> None:
        is_scheduled = False
        while not self._stopped.wait(LOOK_INTERVAL):
            try:
                now = datetime.now(timezone.utc)
                if not is_scheduled:
                    self.schedule(now)
                    is_scheduled = True
                if self._disk:
                    self._disk.take_ballast()
                self.run_due(now)
            except (*DATABASE_AWAY, OSError) as error:
                logger.warning("Housekeeping waits: %s", error)
                connection.close()
            except Exception as error:  # a bug must not end all tasks
                logger.exception("Housekeeping failed")
                metrics.WORKER_ERRORS.labels(type(error).__name__).inc()
        connection.close()
