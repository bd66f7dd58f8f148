"""A database that several threads can use: the engine commits, and `TestCase` would not see it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, transaction

from postal_server import conf
from postal_server.engine import database as databases
from postal_server.engine.claimer import Claimer
from postal_server.engine.lanes import Lanes, Limits
from postal_server.engine.lease import Lease
from postal_server.engine.queue import MESSAGES, Queue
from postal_server.engine.recorder import ResultRecorder
from postal_server.engine.shaping import Shaping
from postal_server.engine.work_stream import WorkStream
from postal_server.models import Counter, QueuedMessage, WebhookRequest, Worker
from postal_server.rules.outcome import Outcome
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.shared.work import (
    Accepted,
    NewMessage,
    Recorded,
    Result,
    Stored,
)
from tests.fakes import NOW

LIFETIME = timedelta(days=5)
LATER = NOW + timedelta(minutes=5)
TOO_FAST = "421 4.7.0 [TSS04] Messages temporarily deferred"


def use(prepared: dict[str, Any]) -> Any:
    """Have all threads use this database from now on; the result is what `_restore` needs."""
    former = connections.settings["default"], connections["default"]
    connections.settings["default"] = connections.configure_settings({"default": prepared})["default"]
    connections["default"] = connections.create_connection("default")
    return former


def restore(former: Any) -> None:
    connections["default"].close()
    connections.settings["default"], connections["default"] = former


def _sqlite(path: Path) -> dict[str, Any]:
    return databases.settings(conf.parse({"storage": {"url": f"sqlite:///{path}"}}, {}, path.parent))


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory, django_db_setup, django_db_blocker) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "postal.sqlite3"
    with django_db_blocker.unblock():
        former = use(_sqlite(path))
        call_command("migrate", verbosity=0)
        with connections["default"].cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        restore(former)
    return path


@pytest.fixture(scope="session")
def empty_postgresql(django_db_setup, django_db_blocker) -> Iterator[dict[str, Any]]:
    """Settings of this process's migrated database, a copy of pytest-django's."""
    creation = connections["default"].creation
    name = f"engine_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    prepared = creation.get_test_db_clone_settings(name)
    with django_db_blocker.unblock():
        creation.clone_test_db(name, verbosity=0)
        former = use(prepared)
        # Pytest-django has migrated its own only if other tests use it.
        call_command("migrate", verbosity=0)
        restore(former)
    yield prepared
    with django_db_blocker.unblock():
        creation.destroy_test_db(verbosity=0, suffix=name)


@pytest.fixture
def database(request, tmp_path, django_db_setup, django_db_blocker) -> Iterator[str]:
    """An empty database for all threads, SQLite unless settings say otherwise; the value is its vendor."""
    vendor = connections["default"].vendor
    if vendor == "postgresql":
        prepared = request.getfixturevalue("empty_postgresql")
    else:
        shutil.copy(request.getfixturevalue("empty_sqlite"), tmp_path / "postal.sqlite3")
        prepared = _sqlite(tmp_path / "postal.sqlite3")
    with django_db_blocker.unblock():
        former = use(prepared)
        yield vendor
        if vendor == "postgresql":
            _delete_all()
        restore(former)


def _delete_all() -> None:
    """Empty our tables. A flush truncates them, which costs a second each time."""
    tables = [model._meta.db_table for model in apps.get_app_config("postal_server").get_models()]
    # As a replica, which checks no foreign keys; all in one message to the server.
    statements = [
        "SET session_replication_role = replica",
        *(f'DELETE FROM "{table}"' for table in tables),
        "SET session_replication_role = DEFAULT",
    ]
    with connections["default"].cursor() as cursor:
        cursor.execute("; ".join(statements))


@pytest.fixture
def worker_id(database) -> int:
    return Worker.objects.create(host="here", pid=1, started_at=NOW).pk


@pytest.fixture
def enqueue(database) -> Callable[..., list[int]]:
    """Queue messages, `count` for one server and destination; the ids are rising over all calls."""
    last = 0

    def add(count: int = 1, server: int = 1, destination: str = "a.example", **values: Any) -> list[int]:
        nonlocal last
        ids = list(range(last + 1, last + count + 1))
        last += count
        values = {"size_bytes": 1000, "created_at": NOW, "expires_at": NOW + LIFETIME, **values}
        QueuedMessage.objects.bulk_create(
            QueuedMessage(id=pk, server_id=server, destination=destination, **values) for pk in ids
        )
        return ids

    return add


@pytest.fixture
def ask(database) -> Callable[..., int]:
    """Queue one webhook request; the result is its id."""

    def add(webhook: int = 1, message: int | None = 1, server: int = 1, **values: Any) -> int:
        import uuid

        values = {"body": b"{}", "created_at": NOW, "expires_at": NOW + LIFETIME, **values}
        return WebhookRequest.objects.create(
            webhook_id=webhook, message_id=message, server_id=server, uuid=uuid.uuid4(), event="x", **values
        ).pk

    return add


@dataclass
class FakeBatchServices:
    """The services as functions that tests give."""

    prepare: Callable[..., Sequence[Any]] = lambda claimed, now: ()
    record: Callable[..., Recorded] = lambda done, now: Recorded()
    suspended: Callable[..., Collection[int]] = lambda claimed: ()


def submission(*recipients: str, raw: bytes = b"Subject: x\r\n\r\nHello\r\n") -> Accepted:
    messages = tuple(
        NewMessage(server_id=1, scope=Scope.OUTGOING, rcpt_to=rcpt, destination=rcpt.partition("@")[2])
        for rcpt in recipients or ("ann@dest.example",)
    )
    return Accepted(raw, messages, mail_from=None, subject="x", message_id="1@x")


class FakeStore:
    """Stores into `stored`; `failures` are raised first, one a call; `refused` texts can never be stored."""

    def __init__(self, failures=(), refused=()) -> None:
        self.batches: list[list[bytes]] = []
        self.failures = list(failures)
        self.refused = set(refused)
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, batch, now: datetime) -> list[list[Stored]]:
        self.may_go_on.wait(10)
        if self.failures:
            raise self.failures.pop(0)
        texts = [accepted.raw for accepted in batch]
        if self.refused & set(texts):
            raise ValueError("a row that no database takes")
        Counter.objects.filter(name="message_id").update(value=1)  # a real write: the transaction counts
        self.batches.append(texts)
        return [[Stored(1, "token", m.rcpt_to) for m in accepted.messages] for accepted in batch]

    @property
    def stored(self) -> list[bytes]:
        return [text for batch in self.batches for text in batch]


class Records:
    """A service's `record`: finishes what was sent or decided, defers the rest until `LATER`."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, done, now) -> Recorded:
        recorded = Recorded()
        for item in done:
            self.seen.append(item.claimed.id)
            status = item.outcome.status if isinstance(item, Result) else item.status
            if status.is_final:
                recorded.finished.append(item.claimed.id)
            else:
                recorded.deferred.append((item.claimed.id, LATER))
        return recorded


@pytest.fixture
def lease(database, worker_id) -> Lease:
    lease = Lease()
    lease.renewed(worker_id, time.monotonic())
    return lease


@pytest.fixture
def stream(database) -> WorkStream:
    lanes = Lanes(Limits(connections=20, held=1000))
    return WorkStream(Queue(MESSAGES), lanes, FakeBatchServices(record=Records(), suspended=suspended))


def suspended(claimed) -> set[int]:
    return {row.id for row in claimed if row.lane == "stop.example"}


@pytest.fixture
def recorder(stream, lease) -> ResultRecorder:
    return ResultRecorder(stream, lease, wake=lambda: None)


@pytest.fixture
def claimed_batches() -> list:
    return []


@pytest.fixture
def claimer(stream, lease, claimed_batches) -> Claimer:
    return Claimer(stream, lease, claimed_batches.append)


def run(part, now=NOW):
    """One tick of one part, as the journal runs it."""
    items = part.collect()
    if items:
        with transaction.atomic():
            written = part.write(items, now)
        part.committed(items, written)
    return items


def sent(claimed, status=DeliveryStatus.SENT, seconds=0.1) -> Result:
    return Result(claimed, Outcome(status, "details", seconds=seconds))


@pytest.fixture
def shaping(stream) -> Shaping:
    async def find_operator(lane: str) -> str:
        return "yahoodns.net"

    stream.shaping = Shaping(20, find_operator, address_of=lambda number: "192.0.2.7" if number else "")
    stream.lanes.shape = stream.shaping.room
    return stream.shaping


def answer(claimed, output: str) -> Result:
    status = DeliveryStatus.SENT if output.startswith("250") else DeliveryStatus.DEFERRED
    code = int(output[:3])
    return Result(
        claimed,
        Outcome(status, "x", output=output, code=code, seconds=0.1, host="mta5.am0.yahoodns.net"),
    )
