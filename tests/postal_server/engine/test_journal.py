from __future__ import annotations

import asyncio
import threading
import time

import pytest
from django.db.utils import OperationalError
from prometheus_client import REGISTRY

from postal_server.engine import acceptance as acceptances
from postal_server.engine import journal as journals
from postal_server.engine.acceptance import MAX_PENDING_BYTES, Acceptance
from postal_server.engine.journal import Journal
from postal_server.errors import Busy
from postal_server.models import Message, QueuedMessage
from postal_server.services.acceptance import storage
from tests.postal_server.engine.conftest import FakeStore, submission


@pytest.fixture
def running(database):
    """Start a journal on a store; stopped at the end."""
    started: list[Journal] = []

    def start(store, disk=None) -> Journal:
        journal = Journal(Acceptance(store, disk))
        journal.start()
        started.append(journal)
        return journal

    yield start
    for journal in started:
        journal.stop()
        assert journal.problem() == "the journal has ended"


def test_a_submission_is_durable_when_its_future_is_done(running):
    journal = running(storage.store)
    [one, two] = journal.append(submission("ann@a.example", "bob@b.example")).result(5)
    assert (one.rcpt_to, two.rcpt_to) == ("ann@a.example", "bob@b.example")
    assert set(Message.objects.values_list("pk", flat=True)) == {one.id, two.id}
    assert set(QueuedMessage.objects.values_list("destination", flat=True)) == {"a.example", "b.example"}


def test_what_arrives_during_a_commit_shares_the_next_one(running):
    store = FakeStore()
    store.may_go_on.clear()
    journal = running(store)
    futures = [journal.append(submission(raw=b"first"))]
    time.sleep(0.1)
    futures += [journal.append(submission(raw=b"%d" % number)) for number in range(50)]
    store.may_go_on.set()
    for future in futures:
        future.result(5)
    assert [len(batch) for batch in store.batches] == [1, 50]


def test_those_who_were_answered_together_are_waited_for(running, monkeypatch):
    monkeypatch.setattr(journals, "GATHERING", 5.0)
    store = FakeStore()
    store.may_go_on.clear()
    journal = running(store)
    first = journal.append(submission())
    time.sleep(0.1)
    together = [journal.append(submission()) for _ in range(3)]
    store.may_go_on.set()
    for future in [first, *together]:
        future.result(2)  # nobody waits for company after a tick of one
    for number in range(3):
        time.sleep(0.05)
        last = journal.append(submission(raw=b"%d" % number))
    last.result(2)  # nor longer than until all are there
    assert [len(batch) for batch in store.batches] == [1, 3, 3]


def test_one_bad_row_does_not_refuse_its_neighbours(running):
    store = FakeStore(refused=[b"3"])
    store.may_go_on.clear()
    journal = running(store)
    futures = [journal.append(submission(raw=b"%d" % number)) for number in range(8)]
    store.may_go_on.set()
    outcomes = [future.exception(5) for future in futures]
    assert [number for number, error in enumerate(outcomes) if error] == [3]
    assert isinstance(outcomes[3], Busy)
    assert sorted(store.stored) == [b"%d" % n for n in range(8) if n != 3]


def test_a_database_that_comes_back_soon_costs_no_mail(running):
    store = FakeStore(failures=[OperationalError("gone"), OperationalError("gone")])
    assert running(store).append(submission()).result(5)
    assert len(store.stored) == 1


def test_a_batch_that_fails_while_the_database_answers_is_written_one_by_one(running):
    store = FakeStore(failures=[OperationalError("too many variables")] * 3)
    assert running(store).append(submission()).result(5)


def test_submissions_wait_at_most_five_seconds_for_the_database(running, monkeypatch):
    monkeypatch.setattr(acceptances, "MAX_WAIT", 0.3)
    monkeypatch.setattr(journals, "can_serve", lambda: False)
    store = FakeStore(failures=[OperationalError("gone")] * 1000)
    started = time.monotonic()
    with pytest.raises(Busy):
        running(store).append(submission()).result(5)
    assert time.monotonic() - started < 3


def test_after_a_commit_in_doubt_the_peer_is_asked_to_come_again(running, monkeypatch):
    store = FakeStore()

    class BreaksAtCommit:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            if kind is None and not broken.is_set():
                broken.set()
                raise OperationalError("server closed the connection unexpectedly")

    broken = threading.Event()
    monkeypatch.setattr(journals.transaction, "atomic", BreaksAtCommit)
    with pytest.raises(Busy):
        running(store).append(submission()).result(5)
    assert broken.is_set()


def test_promises_to_a_loop_are_kept_with_one_call_a_commit(running):
    store = FakeStore()
    journal = running(store)
    calls = []

    async def submit() -> None:
        loop = asyncio.get_running_loop()
        original = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *args: (calls.append(args), original(*args))[1]
        store.may_go_on.clear()
        first = journal.append_async(submission())
        await asyncio.sleep(0.1)
        rest = [journal.append_async(submission()) for _ in range(20)]
        store.may_go_on.set()
        await asyncio.wait_for(asyncio.gather(first, *rest), 5)

    asyncio.run(submit())
    assert len(calls) == len(store.batches) == 2


def test_a_promise_in_a_loop_may_be_refused(running):
    async def submit() -> None:
        with pytest.raises(Busy):
            await asyncio.wait_for(running(FakeStore(refused=[b"x"])).append_async(submission(raw=b"x")), 5)

    asyncio.run(submit())


def test_who_gave_up_waiting_is_not_stored(running):
    store = FakeStore()
    store.may_go_on.clear()
    journal = running(store)
    journal.append(submission(raw=b"first"))
    time.sleep(0.1)
    late = journal.append(submission(raw=b"late"))
    assert late.cancel()
    store.may_go_on.set()
    journal.store(submission(raw=b"last"))
    assert store.stored == [b"first", b"last"]


def append_together(journal, *submissions):
    async def main():
        return await asyncio.wait_for(journal.append_together(submissions), 5)

    return asyncio.run(main())


def test_submissions_of_one_mail_are_stored_together(running):
    store = FakeStore()
    stored = append_together(running(store), submission("ann@a.example"), submission("bob@b.example"))
    assert [each.rcpt_to for each in stored] == ["ann@a.example", "bob@b.example"]
    assert [len(batch) for batch in store.batches] == [2]


def test_of_one_mail_all_submissions_are_stored_or_none(running):
    store = FakeStore(refused=[b"bad"])
    journal = running(store)
    with pytest.raises(Busy):
        append_together(journal, submission(raw=b"good"), submission(raw=b"bad"))
    half = b"x" * (MAX_PENDING_BYTES // 2)
    store.may_go_on.clear()
    journal.append(submission(raw=b"first"))
    with pytest.raises(Busy):
        append_together(journal, submission(raw=half), submission(raw=half))
    store.may_go_on.set()
    journal.store(submission(raw=b"last"))
    assert store.stored == [b"first", b"last"]


def test_room_is_given_back_after_the_commit(running):
    journal = running(FakeStore())
    for _ in range(3):
        journal.append(submission(raw=b"x" * 1000)).result(5)
    box = journal._acceptance
    assert (box._bytes, box._cost) == (0, 0)
    assert box.predicted_wait() == 0


def test_a_nearly_full_disk_is_busy(running):
    class FullDisk:
        def has_room(self) -> bool:
            return False

    with pytest.raises(Busy):
        running(FakeStore(), FullDisk()).append(submission())


def test_a_full_disk_throws_off_the_ballast_and_takes_nothing_new(running):
    class Disk:
        dropped = 0

        def has_room(self) -> bool:
            return True

        def drop_ballast(self) -> None:
            self.dropped += 1

    failure = OperationalError("database or disk is full")
    failure.__cause__ = __import__("sqlite3").OperationalError("database or disk is full")
    disk = Disk()
    with pytest.raises(Busy):
        running(FakeStore(failures=[failure]), disk).append(submission()).result(5)
    assert disk.dropped == 1


def test_stopping_writes_what_waits_and_takes_nothing_more(running):
    store = FakeStore()
    store.may_go_on.clear()
    journal = running(store)
    futures = [journal.append(submission(raw=b"%d" % number)) for number in range(20)]
    store.may_go_on.set()
    journal.stop()
    assert all(future.done() for future in futures)
    assert len(store.stored) == 20
    with pytest.raises(Busy):
        journal.check_room()


def test_stopping_does_not_wait_for_a_database_that_is_away(running):
    store = FakeStore(failures=[OperationalError("gone")] * 1000)
    journal = running(store)
    journal.append(submission())
    before = time.monotonic()
    journal.stop(timeout=60)
    assert time.monotonic() - before < 30
    store.failures.clear()


def test_the_last_transaction_is_tried_again(running):
    """Else what a worker holds waits until its lease is over."""
    failures = [OperationalError("deadlock detected")] * 2
    tried = []

    def sign_off() -> None:
        tried.append(len(failures))
        if failures:
            raise failures.pop()

    journal = running(FakeStore())
    journal.at_end = sign_off
    journal.stop()
    assert tried == [2, 1, 0]


def test_a_bug_in_a_part_does_not_end_the_journal(running):
    journal = running(FakeStore())

    class Broken:
        name = "broken"
        is_broken = True

        def collect(self):
            if self.is_broken:
                self.is_broken = False
                raise ZeroDivisionError
            return []

    journal.parts = [Broken(), *journal.parts]
    assert journal.append(submission()).result(5)


def test_a_hundred_messages_at_once_cost_two_syncs(running):
    """Count commits, not milliseconds: a fast disk hides them."""
    store = FakeStore()
    store.may_go_on.clear()
    journal = running(store)
    before = REGISTRY.get_sample_value("postal_commit_seconds_count")
    futures = [journal.append(submission()) for _ in range(100)]
    store.may_go_on.set()
    for future in futures:
        future.result(5)
    journal.stop()
    assert REGISTRY.get_sample_value("postal_commit_seconds_count") - before <= 2
