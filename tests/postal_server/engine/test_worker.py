"""The whole worker with its services on a real database; only the network is made up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from django.db import connection

from postal_server import conf
from postal_server.engine import directory as directories
from postal_server.engine.acceptance import Acceptance
from postal_server.engine.database import write_transaction
from postal_server.engine.journal import Journal
from postal_server.engine.ports import HttpResult, Reply, SmtpResult, Stage
from postal_server.engine.worker import Transports, Worker
from postal_server.errors import ConfigurationError
from postal_server.mail import dkim
from postal_server.models import (
    Delivery,
    IPAddress,
    IPPool,
    Message,
    Organization,
    QueuedMessage,
    Server,
    Webhook,
    WebhookAttempt,
    WebhookRequest,
)
from postal_server.models import Worker as WorkerRow
from postal_server.models.queue_state import NEVER_DUE
from postal_server.rules.selection import Selection
from postal_server.rules.status import Scope
from postal_server.runtime.acceptance import AcceptanceCore
from postal_server.runtime.batch_services import MessageServices, WebhookServices
from postal_server.services.acceptance import storage
from postal_server.services.operations import queue
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import Source
from postal_server.services.shared.loader import load
from postal_server.services.shared.work import Accepted, NewMessage
from tests.fakes import FakeHttp, FakeResolver, FakeSmtp

RAW = b"From: ann@sender.example\r\nTo: bob@dest.example\r\nSubject: Hi\r\n\r\nHello\r\n"
URL = "http://app.example/hook"


@pytest.fixture
def config(database, tmp_path) -> conf.Config:
    (tmp_path / "signing.key").write_text(dkim.generate_rsa(1024))
    (tmp_path / "secret.key").write_text("x" * 40)
    return conf.parse({}, {}, tmp_path)


@pytest.fixture
def server(config) -> Server:
    organization = Organization.objects.create(name="x", permalink="x")
    server = Server.objects.create(organization=organization, name="y", permalink="y")
    server.domains.create(
        name="sender.example",
        verified_at=datetime.now(timezone.utc),
        dkim_private_key=dkim.generate_rsa(1024),
    )
    Webhook.objects.create(server=server, name="w", url=URL)
    return server


def submission(directory: Directory, *recipients: str) -> Accepted:
    [domain] = directory.domains.values()
    messages = tuple(
        NewMessage(domain.server_id, Scope.OUTGOING, rcpt, rcpt.partition("@")[2], domain_id=domain.id)
        for rcpt in recipients
    )
    return Accepted(RAW, messages, "ann@sender.example", "Hi", "1@sender.example")


@asynccontextmanager
async def working(config, directory, sender, poster, make_transports=None, latest=None):
    """A journal and a worker in this loop, as a process has them. `directory` may be a function."""
    talk = make_transports or (lambda: Transports(sender, poster, None))
    box = Acceptance(storage.store)
    journal = Journal(box)
    current = directory if callable(directory) else lambda: directory
    worker = Worker(
        config,
        current,
        journal,
        box,
        lambda before_dot: talk(),
        messages=MessageServices(config, current, latest or current),
        webhooks=WebhookServices(config, current, latest or current),
    )
    worker.start()
    journal.start()
    try:
        yield journal, worker
    finally:
        await worker.stop()
        await asyncio.get_running_loop().run_in_executor(None, journal.stop)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, "it did not happen"
        await asyncio.sleep(0.01)


async def in_thread(function: Callable[[], Any]) -> Any:
    """What uses the database beside the loop."""

    def call() -> Any:
        try:
            return function()
        finally:
            connection.close()

    return await asyncio.get_running_loop().run_in_executor(None, call)


async def until_queued(**values: Any) -> None:
    """Wait until some row of the queue has these values; without any: until none is left."""
    ends_at = time.monotonic() + 10
    while bool(values) is not await in_thread(QueuedMessage.objects.filter(**values).exists):
        assert time.monotonic() < ends_at, "it did not happen"
        await asyncio.sleep(0.02)


def run(main) -> None:
    asyncio.run(main())


@pytest.fixture
def directory(server) -> Directory:
    return load()


def test_from_acceptance_to_delivery_and_webhook(config, directory):
    sender, poster = FakeSmtp(), FakeHttp()

    async def main() -> None:
        async with working(config, directory, sender, poster) as (journal, _):
            [stored] = await journal.append_async(submission(directory, "bob@dest.example"))
            await until(lambda: bool(poster.posts))
        assert stored.id

    run(main)
    [mail] = sender.sent
    assert mail.recipient == "bob@dest.example"
    assert b"DKIM-Signature:" in mail.data
    assert mail.data.endswith(RAW)
    assert Message.objects.get().status == "Sent"
    assert Delivery.objects.get().status == "Sent"
    assert poster.posts[0].url == URL
    assert b"MessageSent" in poster.posts[0].body
    assert not QueuedMessage.objects.exists()
    assert not WebhookRequest.objects.exists()
    assert WebhookAttempt.objects.get().status_code == 200
    assert not WorkerRow.objects.exists()


def test_a_deferred_mail_waits_and_a_refused_one_leaves_the_queue(config, directory):
    sender = FakeSmtp(
        {"late@dest.example": Reply(451, "later"), "none@dest.example": Reply(550, "no such user")}
    )

    async def main() -> None:
        async with working(config, directory, sender, FakeHttp()) as (journal, _):
            await journal.append_async(submission(directory, "late@dest.example", "none@dest.example"))
            await until(lambda: len(sender.sent) == 2)

    run(main)
    statuses = dict(Message.objects.values_list("rcpt_to", "status"))
    assert statuses == {"late@dest.example": "SoftFail", "none@dest.example": "HardFail"}
    row = QueuedMessage.objects.get()
    wait = row.due_at - datetime.now(timezone.utc)
    assert timedelta(minutes=4) < wait < timedelta(minutes=8)
    assert (row.attempts, row.claimed_by) == (1, None)


def test_a_failing_webhook_is_tried_later_with_the_same_bytes(config, directory):
    poster = FakeHttp({URL: HttpResult(500, b"oops", seconds=0.01)})

    async def main() -> None:
        async with working(config, directory, FakeSmtp(), poster) as (journal, _):
            await journal.append_async(submission(directory, "bob@dest.example"))
            await until(lambda: bool(poster.posts))
            await asyncio.sleep(0.2)
            await asyncio.get_running_loop().run_in_executor(None, make_due)
            await until(lambda: len(poster.posts) == 2)

    def make_due() -> None:
        WebhookRequest.objects.update(due_at=datetime.now(timezone.utc))
        connection.close()

    run(main)
    first, second = poster.posts
    assert first.body == second.body
    assert list(first.headers) == list(second.headers)
    row = WebhookRequest.objects.get()
    assert row.attempts == 2
    assert row.due_at is not None


def test_what_another_process_queued_is_found(config, directory):
    sender = FakeSmtp()

    def store() -> None:
        storage.store([submission(directory, "bob@dest.example")], datetime.now(timezone.utc))
        connection.close()

    async def main() -> None:
        async with working(config, directory, sender, FakeHttp()) as (_, worker):
            await until(lambda: worker.lease.worker_id is not None)
            await asyncio.sleep(0.3)  # the worker has found nothing and waits
            await asyncio.get_running_loop().run_in_executor(None, store)
            await until(lambda: bool(sender.sent), seconds=1)

    run(main)


def test_mail_and_events_of_what_was_just_made_elsewhere_are_delivered(config, request):
    """The other process knew of the server; this one has not looked for half a second."""
    keeper = directories.DirectoryKeeper()
    assert not keeper.refresh().servers
    request.getfixturevalue("server")
    storage.store([submission(load(), "bob@dest.example")], datetime.now(timezone.utc))
    sender, poster = FakeSmtp(), FakeHttp()

    async def main() -> None:
        async with working(config, keeper.current, sender, poster, latest=keeper.latest):
            await until(lambda: bool(sender.sent))
            await until(lambda: bool(poster.posts))

    run(main)


def test_after_a_crash_the_next_worker_delivers(config, directory):
    """What a dead worker held is delivered by the next one, once its lease is over."""
    storage.store([submission(directory, "bob@dest.example")], datetime.now(timezone.utc))
    QueuedMessage.objects.update(claimed_by=4711, claims=1)  # of a worker that has no row any more
    sender = FakeSmtp()

    async def main() -> None:
        async with working(config, directory, sender, FakeHttp()):
            await until(lambda: bool(sender.sent))

    run(main)
    assert not QueuedMessage.objects.exists()


class HangingSmtp(FakeSmtp):
    """Never answers; what it was given is cut off when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = asyncio.Event()

    async def send(self, mail):
        self.sent.append(mail)
        await self.closing.wait()
        return SmtpResult(
            "LOG", Stage.RCPT, error="shutting down", seconds=1.0, host="mx", address="::1", port=25
        )

    async def close(self) -> None:
        self.closing.set()


def test_a_clean_stop_gives_back_what_was_under_way_untried(config, directory):
    async def main() -> None:
        sender = HangingSmtp()
        async with working(config, directory, sender, FakeHttp()) as (journal, _):
            await journal.append_async(submission(directory, "bob@dest.example"))
            await until(lambda: bool(sender.sent))

    run(main)
    row = QueuedMessage.objects.get()
    assert (row.claimed_by, row.due_at, row.attempts, row.claims) == (None, None, 0, 0)
    assert not Delivery.objects.exists()
    assert not WorkerRow.objects.exists()


def test_many_mails_to_many_destinations_are_all_delivered_once(config, directory):
    sender = FakeSmtp()
    recipients = [f"r{n}@d{n % 37}.example" for n in range(600)]

    async def main() -> None:
        async with working(config, directory, sender, FakeHttp()) as (journal, _):
            for start in range(0, 600, 50):
                await journal.append_async(submission(directory, *recipients[start : start + 50]))
            await until(lambda: len(sender.sent) >= 600, seconds=60)

    run(main)
    assert sorted(mail.recipient for mail in sender.sent) == sorted(recipients)
    assert Delivery.objects.filter(status="Sent").count() == 600
    assert not QueuedMessage.objects.exists()


def test_suspended_mail_waits_and_goes_when_it_is_resumed(config, server):
    """The mail is accepted by a process that has not heard of the suspension: the worker puts it aside."""
    sender, part = FakeSmtp(), Selection(destination="dest.example")
    queue.suspend(part)
    known = [load()]

    async def main() -> None:
        async with working(config, lambda: known[0], sender, FakeHttp()) as (journal, _):
            await journal.append_async(submission(known[0], "bob@dest.example", "cy@other.example"))
            await until_queued(due_at=NEVER_DUE)
            await until(lambda: bool(sender.sent))
            assert [mail.recipient for mail in sender.sent] == ["cy@other.example"]
            await in_thread(resume)
            await until(lambda: len(sender.sent) == 2)

    def resume() -> None:
        queue.resume(part)
        known[0] = load()
        queue.keep_suspensions(write_transaction)

    run(main)
    assert Message.objects.filter(status="Sent").count() == 2
    assert set(Delivery.objects.values_list("status", flat=True)) == {"Sent"}


@pytest.mark.parametrize("due_at", [None, NEVER_DUE], ids=["deferred", "suspended"])
def test_a_message_fails_when_its_lifetime_is_over(config, directory, due_at):
    """`delivery.max_lifetime_hours`, whatever it waits for; webhooks report it."""
    poster = FakeHttp()
    sender = FakeSmtp({"bob@dest.example": Reply(451, "later")})

    async def main() -> None:
        async with working(config, directory, sender, poster) as (journal, _):
            await journal.append_async(submission(directory, "bob@dest.example"))
            await until_queued(attempts=1, claimed_by=None)
            changed = {"due_at": due_at} if due_at else {}
            now = datetime.now(timezone.utc)
            await in_thread(lambda: QueuedMessage.objects.update(expires_at=now, **changed))
            await until_queued()
            await until(lambda: len(poster.posts) == 2)

    run(main)
    assert len(sender.sent) == 1
    assert Message.objects.get().status == "HardFail"
    last = Delivery.objects.order_by("-pk")[0]
    assert last.details == "The maximum lifetime of this message has been reached."
    assert b"MessageDeliveryFailed" in poster.posts[1].body


class TestSourceAddresses:
    """Mail that is bound to an address leaves from it, and only where that is."""

    @pytest.fixture
    def pooled(self, config, server) -> conf.Config:
        pool = IPPool.objects.create(name="p")
        IPAddress.objects.create(ip_pool=pool, ipv4="127.0.0.2", hostname="out.example", priority=100)
        IPAddress.objects.create(ip_pool=pool, ipv4="192.0.2.77", hostname="far.example", priority=0)
        server.ip_pool = pool
        server.save()
        return conf.parse({"postal": {"use_ip_pools": True}}, {}, config.root)

    def test_it_is_bound_when_it_is_stored(self, pooled, monkeypatch):
        directory = load()
        monkeypatch.setattr(directories, "current", lambda: directory)
        AcceptanceCore(pooled)._store([submission(directory, "bob@dest.example")], datetime.now(timezone.utc))
        assert QueuedMessage.objects.get().source_id == IPAddress.objects.get(ipv4="127.0.0.2").pk

    def test_it_leaves_from_there(self, pooled):
        directory, sender = load(), FakeSmtp()
        here, far = (IPAddress.objects.get(ipv4=ipv4).pk for ipv4 in ("127.0.0.2", "192.0.2.77"))

        async def main() -> None:
            async with working(pooled, directory, sender, FakeHttp()) as (journal, _):
                accepted = submission(directory, "a@dest.example", "b@dest.example", "c@dest.example")
                bound = zip(accepted.messages, (here, far, 0), strict=True)
                messages = tuple(replace(new, source_id=source) for new, source in bound)
                await journal.append_async(replace(accepted, messages=messages))
                await until(lambda: len(sender.sent) == 2)
                await asyncio.sleep(0.3)

        run(main)
        sources = {mail.recipient: mail.source for mail in sender.sent}
        assert sources == {
            "a@dest.example": Source("127.0.0.2", "", "out.example"),
            "c@dest.example": None,
        }
        assert QueuedMessage.objects.get().source_id == far


class TestShaping:
    @pytest.mark.parametrize(
        ("delivery", "sent"),
        [
            ({"mode": "mx"}, 1),
            ({"mode": "allowlist", "allowlist": ["0@dest.example"]}, 1),
            ({"mode": "allowlist", "allowlist": ["qa.example"]}, 3),
            ({"mode": "catch"}, 3),
        ],
    )
    def test_rules_hold_where_mail_may_leave_this_machine(self, config, directory, delivery, sent):
        rules = {"shaping": {"rules": ["dest.example rate=1/h"]}, "delivery": delivery}
        limited = conf.parse(rules, {}, config.root)
        sender = FakeSmtp()
        resolver = FakeResolver({"dest.example": {"MX": ["mx.dest.example"]}})

        async def main() -> None:
            talk = partial(Transports, sender, FakeHttp(), resolver)
            async with working(limited, directory, sender, FakeHttp(), talk) as (journal, _):
                names = [f"{number}@dest.example" for number in range(3)]
                await journal.append_async(submission(directory, *names))
                await until(lambda: len(sender.sent) == sent)
                await asyncio.sleep(0.3)

        run(main)
        assert len(sender.sent) == sent
        assert QueuedMessage.objects.count() == 3 - sent

    def test_a_rule_that_is_none_is_named(self, config):
        broken = conf.parse({"shaping": {"rules": ["gmail.com slowly"]}}, {}, config.root)
        box = Acceptance(storage.store)
        with pytest.raises(ConfigurationError, match=r"shaping\.rules: 'slowly' is neither"):
            Worker(
                broken,
                load,
                Journal(box),
                box,
                lambda before_dot: Transports(FakeSmtp(), FakeHttp(), FakeResolver()),
                messages=MessageServices(broken, load, load),
                webhooks=WebhookServices(broken, load, load),
            )
