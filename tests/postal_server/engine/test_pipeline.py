from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from django.db.utils import OperationalError

from postal_server.engine import pipeline as pipelines
from postal_server.engine.pipeline import Pipeline
from postal_server.engine.ports import (
    HttpDelivery,
    HttpResult,
    Reply,
    SmtpDelivery,
    SmtpResult,
    Stage,
    Target,
)
from postal_server.engine.queue import MESSAGES, WEBHOOKS, Kind
from postal_server.engine.row_decisions import Delayed, Returned, SuspectCleared, SuspectMarked
from postal_server.engine.shaping import Shaping
from postal_server.engine.work_stream import Claims
from postal_server.rules.hold import HoldReason
from postal_server.rules.shaping import parse_rules
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results.classification import LifetimeOver
from postal_server.services.results.failure_notice import GIVEN_UP
from postal_server.services.shared.work import Changes, Claimed, Decision, Prepared, Result
from tests.each import each
from tests.fakes import FakeHttp, FakeSmtp, claimed
from tests.postal_server.engine.conftest import FakeBatchServices


class Inbox:
    """Stands in for `ResultRecorder`."""

    def __init__(self, prepare: Callable, kind: Kind) -> None:
        services = FakeBatchServices(prepare=prepare)
        self.stream = SimpleNamespace(name=kind.name, kind=kind, services=services, shaping=None)
        self.items: list[object] = []
        self.answer = True  # to those who ask

    def add(self, done: Sequence[object]) -> None:
        self.items += done
        for item in done:
            if isinstance(item, SuspectMarked):
                item.on_marked(self.answer)

    async def wait_for(self, count: int) -> list[object]:
        for _ in range(500):
            if len(self.items) >= count:
                return self.items
            await asyncio.sleep(0.01)
        raise AssertionError(f"only {self.items}")


def mail_for(row: Claimed) -> Prepared:
    delivery = SmtpDelivery("rp@x.example", f"r{row.id}@dest.example", b"x", Target("dest.example"))
    return Prepared(row, delivery, Changes(tag="t"))


def prepare_mails(rows: Sequence[Claimed], now: object) -> list[Prepared]:
    return [mail_for(row) for row in rows]


class Gate:
    def __init__(self) -> None:
        self.is_open = True

    def __call__(self) -> bool:
        return self.is_open


@asynccontextmanager
async def running(prepare: Callable, sender=None, poster=None, gate=None, kind=MESSAGES):
    pipeline = Pipeline(sender or FakeSmtp(), poster or FakeHttp(), gate or Gate(), threads=2)
    pipeline.bind(asyncio.get_running_loop())
    inbox = Inbox(prepare, kind)
    yield pipeline, inbox
    await pipeline.stop()


def test_a_mail_is_prepared_sent_and_its_result_recorded():
    async def main() -> None:
        async with running(prepare_mails) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
            [result] = await inbox.wait_for(1)
        assert isinstance(result, Result)
        assert result.claimed == claimed(1)
        assert result.outcome.status is DeliveryStatus.SENT
        assert result.changes == Changes(tag="t")

    asyncio.run(main())


def test_a_post_goes_the_same_way():
    def prepare(rows, now):
        return [Prepared(row, HttpDelivery("http://x.example/", [], b"{}", 5.0)) for row in rows]

    async def main() -> None:
        poster = FakeHttp({"http://x.example/": HttpResult(503, b"busy", 60, 0.1)})
        async with running(prepare, poster=poster, kind=WEBHOOKS) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
            [result] = await inbox.wait_for(1)
        assert (result.outcome.status, result.outcome.code) == (DeliveryStatus.DEFERRED, 503)
        assert result.outcome.retry_after.total_seconds() == 60

    asyncio.run(main())


def test_a_decision_is_recorded_without_talking():
    decision = Decision(claimed(1), DeliveryStatus.HELD, "because")

    async def main() -> None:
        sender = FakeSmtp()
        async with running(lambda rows, now: [decision], sender) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
            assert await inbox.wait_for(1) == [decision]
        assert sender.sent == []

    asyncio.run(main())


def test_a_bug_in_preparing_costs_only_the_message_that_has_it():
    def prepare(rows, now):
        if any(row.id == 3 for row in rows):
            raise ZeroDivisionError("division by zero")
        return prepare_mails(rows, now)

    async def main() -> None:
        async with running(prepare) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(n) for n in range(1, 6)]))
            results = await inbox.wait_for(5)
        by_id = {item.claimed.id: item.outcome for item in results}
        assert [n for n, outcome in by_id.items() if outcome.status is DeliveryStatus.ERROR] == [3]
        assert by_id[3].output == "ZeroDivisionError: division by zero"

    asyncio.run(main())


def test_a_bug_in_a_transport_is_an_error_of_that_message():
    class Broken(FakeSmtp):
        async def send(self, mail: SmtpDelivery) -> SmtpResult:
            raise KeyError("x")

    async def main() -> None:
        async with running(prepare_mails, Broken()) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
            [result] = await inbox.wait_for(1)
        assert result.outcome.status is DeliveryStatus.ERROR

    asyncio.run(main())


def test_what_preparing_forgets_is_an_error_and_not_lost():
    async def main() -> None:
        async with running(lambda rows, now: []) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
            [result] = await inbox.wait_for(1)
        assert result.outcome.status is DeliveryStatus.ERROR

    asyncio.run(main())


def test_without_the_database_rows_are_given_back_untried(monkeypatch):
    monkeypatch.setattr(pipelines, "AFTER_DATABASE_FAILURE", 0.01)

    def prepare(rows, now):
        raise OperationalError("gone")

    async def main() -> None:
        async with running(prepare) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(1), claimed(2)]))
            assert await inbox.wait_for(2) == [Returned(claimed(1)), Returned(claimed(2))]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "status", "why"),
    [(MESSAGES, DeliveryStatus.HELD, HoldReason.POISON), (WEBHOOKS, DeliveryStatus.FAILED, None)],
)
def test_poison_is_not_tried(kind, status, why):
    async def main() -> None:
        async with running(prepare_mails, kind=kind) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(poison=[claimed(1, claims=4)]))
            [decision] = await inbox.wait_for(1)
        assert isinstance(decision, Decision)
        assert (decision.status, decision.hold_reason) == (status, why)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "details", "is_told"),
    [
        (MESSAGES, "The maximum lifetime of this message has been reached.", True),
        (WEBHOOKS, "The maximum lifetime of this request has been reached.", False),
    ],
)
def test_expired_rows_fail_without_a_try(kind, details, is_told):
    async def main() -> None:
        sender = FakeSmtp()
        async with running(prepare_mails, sender, kind=kind) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(expired=[claimed(1)]))
            [decision] = await inbox.wait_for(1)
        assert (decision.status, decision.details) == (DeliveryStatus.FAILED, details)
        assert (decision.effects == (GIVEN_UP, LifetimeOver())) is is_told
        assert sender.sent == []

    asyncio.run(main())


def test_suspects_are_marked_and_prepared_one_at_a_time_and_cleared_before_they_are_sent():
    together: list[int] = []
    running_now = 0
    lock = threading.Lock()

    def prepare(rows, now):
        nonlocal running_now
        with lock:
            running_now += len(rows)
            together.append(running_now)
        threading.Event().wait(0.02)
        with lock:
            running_now -= len(rows)
        return prepare_mails(rows, now)

    async def main() -> None:
        async with running(prepare) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(suspects=[claimed(n) for n in range(5)]))
            items = await inbox.wait_for(15)
        assert set(together) == {1}
        for number in range(5):
            kinds = [type(item) for item in items if item.claimed.id == number]
            assert kinds == [SuspectMarked, SuspectCleared, Result]

    asyncio.run(main())


def test_a_suspect_that_cannot_be_accused_is_left_alone_and_holds_up_no_other():
    async def main() -> None:
        async with running(prepare_mails) as (pipeline, inbox):
            inbox.answer = False
            pipeline.hand_over(inbox, Claims(suspects=[claimed(1), claimed(2)]))
            items = await inbox.wait_for(2)
            marks = [(type(item), item.claimed.id) for item in items]
            assert marks == [(SuspectMarked, 1), (SuspectMarked, 2)]

    asyncio.run(main())


def test_nothing_is_sent_while_the_gate_is_shut():
    async def main() -> None:
        gate, sender = Gate(), FakeSmtp()
        gate.is_open = False
        async with running(prepare_mails, sender, gate=gate) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
            await asyncio.sleep(0.15)
            assert sender.sent == []
            gate.is_open = True
            await inbox.wait_for(1)
        assert len(sender.sent) == 1

    asyncio.run(main())


def test_one_looks_at_a_shut_gate_for_all_that_wait():
    async def main() -> None:
        looks = 0
        is_open = False

        def may_send() -> bool:
            nonlocal looks
            looks += 1
            return is_open

        async with running(prepare_mails, gate=may_send) as (pipeline, _):
            dots = [asyncio.ensure_future(pipeline.before_dot()) for _ in range(100)]
            await asyncio.sleep(0.5)
            assert looks < 150
            is_open = True
            await asyncio.wait_for(asyncio.gather(*dots), 1)

    asyncio.run(main())


def test_a_final_dot_waits_for_the_gate():
    async def main() -> None:
        gate = Gate()
        async with running(prepare_mails, gate=gate) as (pipeline, _):
            gate.is_open = False
            dot = asyncio.ensure_future(pipeline.before_dot())
            await asyncio.sleep(0.1)
            assert not dot.done()
            gate.is_open = True
            await asyncio.wait_for(dot, 1)

    asyncio.run(main())


class SlowSmtp(FakeSmtp):
    """Holds each mail at `stage` until it is closed, as the pool does; with a reply, it is answered then."""

    def __init__(self, stage: Stage, reply: Reply | None = None) -> None:
        super().__init__()
        self.stage = stage
        self.reply = reply
        self.closing = asyncio.Event()

    async def send(self, mail: SmtpDelivery) -> SmtpResult:
        self.sent.append(mail)
        await self.closing.wait()
        told = {"host": "mx", "address": "192.0.2.1", "port": 25, "seconds": 1.0}
        return SmtpResult("LOG", self.stage, self.reply, "" if self.reply else "shutting down", **told)

    async def close(self) -> None:
        self.closing.set()
        await asyncio.sleep(0.01)


@each(
    "stage, reply, kind",
    [
        (Stage.RCPT, None, Returned),
        (Stage.RCPT, Reply(421, "Shutting down"), Returned),  # a host that stops with us
        (Stage.RCPT, Reply(450, "Greylisted"), Result),
        (Stage.DOT, Reply(250, "OK"), Result),
        (Stage.DOT, Reply(421, "Shutting down"), Result),
        (Stage.DOT, None, Result),  # it may have been taken
    ],
)
def test_stopping_gives_back_what_was_broken_off_and_records_the_rest(stage, reply, kind):
    async def main() -> None:
        sender = SlowSmtp(stage, reply)
        async with running(prepare_mails, sender) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
            while not sender.sent:
                await asyncio.sleep(0.01)
        [item] = inbox.items
        assert type(item) is kind

    asyncio.run(main())


class SlowHttp(FakeHttp):
    """Holds each post until it is closed, and then has its result."""

    def __init__(self, result: HttpResult) -> None:
        super().__init__()
        self.result = result
        self.closing = asyncio.Event()

    async def post(self, post: HttpDelivery) -> HttpResult:
        self.posts.append(post)
        await self.closing.wait()
        return self.result

    async def close(self) -> None:
        self.closing.set()
        await asyncio.sleep(0.01)


@each("status, kind", [(200, Result), (500, Result), (-1, Result), (-2, Returned)])
def test_stopping_records_answered_posts_and_gives_back_what_was_not_posted(status, kind):
    def prepare_posts(rows, now):
        return [Prepared(row, HttpDelivery("http://x.example/", [], b"{}", 5.0)) for row in rows]

    async def main() -> None:
        poster = SlowHttp(HttpResult(status, b"x", seconds=0.1))
        async with running(prepare_posts, poster=poster) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
            while not poster.posts:
                await asyncio.sleep(0.01)
        [item] = inbox.items
        assert type(item) is kind

    asyncio.run(main())


def test_a_lost_lease_breaks_off_what_is_under_way():
    async def main() -> None:
        sender = SlowSmtp(Stage.RCPT)
        async with running(prepare_mails, sender) as (pipeline, inbox):
            pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
            while not sender.sent:
                await asyncio.sleep(0.01)
            pipeline.abandon()
            assert await inbox.wait_for(1) == [Returned(claimed(1))]

    asyncio.run(main())


class TestShaping:
    """What a destination lets us send now; the rest is put off before anything is done with it."""

    @pytest.fixture
    def shaping(self):
        async def find_operator(lane: str) -> str:
            return "dest.example"

        return Shaping(20, find_operator, parse_rules(["dest.example connections=1"]))

    def test_a_message_that_may_not_go_now_is_neither_prepared_nor_tried(self, shaping):
        seen = []

        def prepare(rows, now):
            seen.extend(row.id for row in rows)
            return prepare_mails(rows, now)

        async def main() -> None:
            async with running(prepare) as (pipeline, inbox):
                inbox.stream.shaping = shaping
                pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
                await inbox.wait_for(1)
                pipeline.hand_over(inbox, Claims(fresh=[claimed(2)]))
                _, delayed = await inbox.wait_for(2)
            assert isinstance(delayed, Delayed)
            assert delayed.claimed.id == 2

        asyncio.run(main())
        assert seen == [1]

    def test_the_details_say_that_a_destination_is_slowed_down(self, shaping):
        sender = FakeSmtp({"r1@dest.example": Reply(421, "[TSS04] Messages temporarily deferred", "4.7.0")})

        async def main() -> None:
            async with running(prepare_mails, sender) as (pipeline, inbox):
                inbox.stream.shaping = shaping
                pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
                [result] = await inbox.wait_for(1)
            assert result.outcome.details == (
                "Temporary SMTP delivery error when sending to 192.0.2.1:25 (mx.dest.example). "
                "Mail to this destination is slowed down"
            )

        asyncio.run(main())

    def test_a_bug_in_shaping_is_an_error_of_its_messages(self, shaping):
        async def broken(rows, now):
            raise KeyError("x")

        shaping.admit = broken

        async def main() -> None:
            async with running(prepare_mails) as (pipeline, inbox):
                inbox.stream.shaping = shaping
                pipeline.hand_over(inbox, Claims(fresh=[claimed(1)]))
                [result] = await inbox.wait_for(1)
            assert result.outcome.status is DeliveryStatus.ERROR

        asyncio.run(main())
