"""The engine without a network: append, claim, drain. Prints Markdown rows with their conditions.

    python -m benchmarks.engine append drain claim [--postgresql] [--messages N] [--depth N] [--webhook]

`append`: submissions of one recipient through the journal, each acknowledged after its commit, from one
event loop with 64 in flight. `drain`: from a full queue to recorded deliveries, RSA-2048 signed, through a
sender that answers at once. `claim`: one claim of 64 rows at several depths, one lane and many.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import django

RSA_BITS = 2048
IN_FLIGHT = 64
CLAIM = 64
CLAIMS_MEASURED = 50


def set_up(url: str, folder: Path) -> Any:
    """Configure Django on this database, migrate it, and add one mail server; the result is the config."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "postal_server.settings"
    (folder / "postal.yml").write_text(f"version: 2\nstorage: {{url: '{url}'}}\n", "ascii")
    os.environ["POSTAL_CONFIG_FILE_PATH"] = str(folder / "postal.yml")
    from postal_server import conf, files

    files.write_secrets(conf.config())
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return conf.config()


def make_directory(*, webhook: bool) -> Any:
    from postal_server.mail import dkim
    from postal_server.models import Domain, Organization, Server, Webhook
    from postal_server.services import directory

    organization = Organization.objects.create(name="bench", permalink="bench")
    server = Server.objects.create(organization=organization, name="bench", permalink="bench")
    Domain.objects.create(
        server=server,
        name="sender.example",
        verified_at=datetime.now(timezone.utc),
        dkim_private_key=dkim.generate_rsa(RSA_BITS),
        dkim_status="OK",
    )
    if webhook:
        Webhook.objects.create(server=server, name="bench", url="http://app.example/")
    return directory.load()


def submission(directory: Any, number: int, raw: bytes, destinations: int) -> Any:
    from postal_server.rules.status import Scope
    from postal_server.services.work import Accepted, NewMessage

    [domain] = directory.domains.values()
    destination = f"d{number % destinations}.example"
    new = NewMessage(
        domain.server_id, Scope.OUTGOING, f"r{number}@{destination}", destination, domain_id=domain.id
    )
    return Accepted(raw, (new,), "ann@sender.example", "Hello", f"{number}@sender.example")


def text_of(size: int) -> bytes:
    head = b"From: ann@sender.example\r\nTo: bob@dest.example\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n\r\n"
    line = b"The quick brown fox jumps over the lazy dog and goes on to the next line.\r\n"
    return head + line * ((size - len(head)) // len(line))


async def append(journal: Any, directory: Any, raw: bytes, count: int, destinations: int) -> float:
    """Submit `count` messages, `IN_FLIGHT` at a time; seconds."""
    turn = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        async with turn:
            await journal.append_async(submission(directory, number, raw, destinations))

    started = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(count)))
    return time.perf_counter() - started


class Sink:
    """A sender on `connections` that answers after `delay` seconds, and a poster that answers at once."""

    def __init__(self, delay: float, connections: int) -> None:
        self.count = 0
        self.posts = 0
        self._delay = delay
        self._connections = asyncio.Semaphore(connections)

    async def send(self, mail: Any) -> Any:
        from postal_server.engine.ports import Reply, SmtpResult, Stage

        if self._delay:
            async with self._connections:
                await asyncio.sleep(self._delay)
        self.count += 1
        return SmtpResult(
            "BENCH", Stage.DOT, Reply(250, "OK"), host="mx", address="::1", port=25, seconds=0.001
        )

    async def post(self, post: Any) -> Any:
        from postal_server.engine.ports import HttpResult

        self.posts += 1
        return HttpResult(200, b"ok", seconds=0.001)

    async def close(self) -> None:
        pass


async def drain(config: Any, directory: Any, delay: float = 0.0) -> tuple[float, int]:
    """Work until nothing is queued; seconds and deliveries."""
    from postal_server.engine.journal import Acceptance, Journal
    from postal_server.engine.process import MESSAGES, WEBHOOKS
    from postal_server.engine.worker import Transports, Worker
    from postal_server.services import acceptance

    sink, box = Sink(delay, config.worker.max_connections), Acceptance(acceptance.store)
    journal = Journal(box)
    worker = Worker(
        config,
        lambda: directory,
        journal,
        box,
        lambda before_dot: Transports(sink, sink, None),
        messages=MESSAGES,
        webhooks=WEBHOOKS,
    )
    started = time.perf_counter()
    worker.start()
    journal.start()
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, _queued):
        await asyncio.sleep(0.05)
    seconds = time.perf_counter() - started
    await worker.stop()
    await loop.run_in_executor(None, journal.stop)
    return seconds, sink.count


def _queued() -> bool:
    from postal_server.models import QueuedMessage, WebhookRequest

    return QueuedMessage.objects.exists() or WebhookRequest.objects.exists()


def fill_queue(depth: int, servers: int, destinations: int) -> None:
    """Queue rows alone: what claims look at."""
    from django.db import connection

    from postal_server.models import QueuedMessage

    QueuedMessage.objects.all().delete()
    now = datetime.now(timezone.utc)
    expires_at = now + timedelta(days=5)
    for start in range(0, depth, 10_000):
        QueuedMessage.objects.bulk_create(
            QueuedMessage(
                id=number + 1,
                server_id=number % servers + 1,
                destination=f"d{number // servers % destinations}.example",
                size_bytes=10_000,
                created_at=now,
                expires_at=expires_at,
            )
            for number in range(start, min(depth, start + 10_000))
        )
    settle = {
        "postgresql": "VACUUM ANALYZE postal_server_queuedmessage",
        "sqlite": "PRAGMA wal_checkpoint(TRUNCATE)",
    }
    with connection.cursor() as cursor:
        cursor.execute(settle[connection.vendor])


def claim_cost() -> tuple[float, float]:
    """Milliseconds of one claim of `CLAIM` rows with its commit: median, least. Rows are given back."""
    from django.db import transaction

    from postal_server.engine.lanes import Lanes, Limits
    from postal_server.engine.queue import MESSAGES, Queue

    queue, lanes = Queue(MESSAGES), Lanes(Limits(connections=CLAIM, held=10_000))
    now, times = datetime.now(timezone.utc), []
    for _ in range(CLAIMS_MEASURED):
        started = time.perf_counter()
        with transaction.atomic():
            claimed = queue.claim(1, lanes, CLAIM, now)
        times.append((time.perf_counter() - started) * 1000)
        assert len(claimed) > CLAIM // 2, len(claimed)
        with transaction.atomic():
            queue.release(1)
    return statistics.median(times), min(times)


@contextlib.contextmanager
def database(folder: Path, *, postgresql: bool) -> Iterator[str]:
    """The URL of an empty database with the durability of a real one."""
    if not postgresql:
        yield f"sqlite:///{folder / 'bench.sqlite3'}"
        return
    from tests import postgresql as servers

    with servers.cluster("-c listen_addresses='' -c shared_buffers=256MB") as server:
        yield server.url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="+", choices=["append", "drain", "claim"])
    parser.add_argument("--postgresql", action="store_true", help="a private PostgreSQL instead of SQLite")
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--size", type=int, default=10_000, help="bytes of a message")
    parser.add_argument("--destinations", type=int, default=50)
    parser.add_argument("--depth", type=int, default=100_000, help="the larger depth of `claim`")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that the receivers take")
    parser.add_argument("--webhook", action="store_true", help="a webhook for every delivery")
    given = parser.parse_args()
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory() as name, database(Path(name), postgresql=given.postgresql) as url:
        config = set_up(url, Path(name))
        run(given, config)


def run(given: argparse.Namespace, config: Any) -> None:
    from django.db import connection

    from postal_server.engine.process import event_loop

    kind = "PostgreSQL, durable" if given.postgresql else "SQLite WAL, synchronous=FULL"
    print(f"{kind}; Python {platform.python_version()}; {os.cpu_count()} cores; {given.size} bytes a message")
    if "append" in given.what or "drain" in given.what:
        directory = make_directory(webhook=given.webhook)
        connection.close()
        with event_loop() as loop:
            raw, used = text_of(given.size), time.process_time()
            seconds = loop.run_until_complete(fill(directory, raw, given))
            print(row(f"append, {IN_FLIGHT} in flight", given.messages, seconds, time.process_time() - used))
            if "drain" in given.what:
                used = time.process_time()
                seconds, sent = loop.run_until_complete(drain(config, directory, given.delay))
                about = f"drain, {given.destinations} destinations, RSA-2048"
                about += ", webhook" if given.webhook else ""
                about += f", receivers that take {given.delay} s" if given.delay else ""
                print(row(about, sent, seconds, time.process_time() - used))
    if "claim" in given.what:
        for servers, destinations in ((1, 1), (100, 100)):
            for depth in (max(1000, servers * destinations), given.depth):  # the same number of lanes
                fill_queue(depth, servers, destinations)
                about = f"{depth:,} queued, {servers} servers x {destinations} destinations"
                median, least = claim_cost()
                print(f"| claim of {CLAIM}, {about} | {median:.2f} ms, at least {least:.2f} ms |")


def row(about: str, count: int, seconds: float, cpu_seconds: float) -> str:
    """A row of the table; the processor time tells more than the rate on a machine that others use."""
    return f"| {about} | {count / seconds:,.0f}/s | {cpu_seconds / count * 1e6:,.0f} us of processor each |"


async def fill(directory: Any, raw: bytes, given: argparse.Namespace) -> float:
    from postal_server.engine.journal import Acceptance, Journal
    from postal_server.services import acceptance

    journal = Journal(Acceptance(acceptance.store))
    journal.start()
    seconds = await append(journal, directory, raw, given.messages, given.destinations)
    await asyncio.get_running_loop().run_in_executor(None, journal.stop)
    return seconds


if __name__ == "__main__":
    main()
