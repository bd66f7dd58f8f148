from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from postal_server.engine.housekeeping import TASKS
from postal_server.models import (
    Delivery,
    DestinationPace,
    DestinationPause,
    FailureEvidence,
    Message,
    QueuedMessage,
    QueueSuspension,
    ScheduledTask,
    Server,
    Suppression,
    WebhookRequest,
)
from postal_server.models.queue_state import NEVER_DUE
from postal_server.rules.selection import Selection
from postal_server.rules.status import Scope
from postal_server.services.acceptance import storage
from postal_server.services.operations import queue
from postal_server.services.results import record
from postal_server.services.shared.work import Accepted, Claimed, NewMessage
from tests.postal_server.services.conftest import NOW, sent, store

LATER = NOW + timedelta(minutes=5)
A, B = Selection(destination="a.example"), Selection(destination="b.example")
NEWS = Selection(tag="news")


@pytest.fixture
def add(world):
    """Store messages of one lane; the ids."""

    def call(count: int = 1, lane: str = "a.example", **values) -> list[int]:
        of_row = {key: values.pop(key) for key in ("due_at", "claimed_by", "created_at") if key in values}
        ids = [claim.id for claim in store(world, *[f"p{n}@{lane}" for n in range(count)], **values)]
        QueuedMessage.objects.filter(pk__in=ids).update(destination=lane, **of_row)
        return ids

    return call


@pytest.fixture
def other(world) -> Server:
    return Server.objects.create(organization=world.organization, name="Other", permalink="other")


def run(steps) -> int:
    return sum(steps)


def apply() -> int:
    return run(queue.apply_suspensions())


def due() -> dict[int, object]:
    return dict(QueuedMessage.objects.values_list("pk", "due_at"))


class TestSuspend:
    def test_ready_mail_of_the_destination_is_put_aside(self, add):
        [mine], [other] = add(), add(lane="b.example")
        assert queue.suspend(A, "their wish")
        assert apply() == 1
        assert due() == {mine: NEVER_DUE, other: None}
        assert QueueSuspension.objects.get().reason == "their wish"

    def test_of_a_server(self, add, world, other):
        [mine], [theirs] = add(), add(server=other)
        queue.suspend(Selection(world.server.pk))
        apply()
        assert due() == {mine: NEVER_DUE, theirs: None}

    def test_of_a_tag(self, add):
        [mine], [untagged], [others] = add(tag="news"), add(), add(tag="invoice")
        queue.suspend(NEWS)
        apply()
        assert due() == {mine: NEVER_DUE, untagged: None, others: None}

    def test_what_waits_for_its_next_attempt_keeps_its_time_and_what_is_being_tried_is_left_alone(self, add):
        [deferred], [tried] = add(due_at=LATER), add(claimed_by=7)
        queue.suspend(A)
        assert apply() == 0
        assert due() == {deferred: LATER, tried: None}

    def test_twice_is_once(self, db):
        assert queue.suspend(A)
        assert not queue.suspend(A)
        assert QueueSuspension.objects.count() == 1

    @pytest.mark.parametrize("destination", ["a.example", ""], ids=["single", "about something"])
    def test_the_database_keeps_it(self, db, destination):
        queue.suspend(A)
        with pytest.raises(IntegrityError), transaction.atomic():
            QueueSuspension.objects.create(destination=destination)

    def test_it_is_in_the_directory(self, world):
        queue.suspend(Selection(world.server.pk, "a.example", "x"))
        assert world.directory().suspensions == (Selection(world.server.pk, "a.example", "x"),)

    def test_mail_that_comes_meanwhile_waits_as_well(self, add, world, config):
        queue.suspend(Selection(destination="dest.example", tag="news"))
        directory = world.directory()

        def accept(tag) -> int:
            new = NewMessage(world.server.pk, Scope.OUTGOING, "a@dest.example", "dest.example")
            accepted = Accepted(b"x", (new,), None, None, None, tag=tag)
            [[stored]] = storage.store([accepted], NOW, suspensions=directory.suspensions)
            return stored.id

        mine, other = accept("news"), accept("invoice")
        assert due() == {mine: NEVER_DUE, other: None}


class TestSuspended:
    """What a worker asks about the rows it has claimed."""

    def claims(self, *ids: int) -> list[Claimed]:
        return [Claimed(pk, 1, "a.example", 0, False, 1, NOW) for pk in ids]

    def test_without_suspensions_it_costs_nothing(self, world, django_assert_num_queries):
        directory = world.directory()
        with django_assert_num_queries(0):
            assert queue.suspended(self.claims(1), directory) == set()

    def test_by_destination_without_a_query(self, world, django_assert_num_queries):
        queue.suspend(A)
        directory = world.directory()
        with django_assert_num_queries(0):
            assert queue.suspended(self.claims(1, 2), directory) == {1, 2}

    def test_by_tag_with_one(self, add, world, django_assert_num_queries):
        [mine], [other] = add(tag="news"), add()
        queue.suspend(NEWS)
        directory = world.directory()
        with django_assert_num_queries(1):
            assert queue.suspended(self.claims(mine, other), directory) == {mine}


class TestResume:
    def test_the_mail_is_ready_again(self, add):
        [pk] = add()
        queue.suspend(A)
        apply()
        assert queue.resume(A)
        assert apply() == 1
        assert due() == {pk: None}
        assert not queue.resume(A)

    def test_what_another_suspension_keeps_waits_on(self, add):
        [both], [one] = add(tag="news"), add()
        queue.suspend(A)
        queue.suspend(NEWS)
        apply()
        queue.resume(A)
        apply()
        assert due() == {both: NEVER_DUE, one: None}

    @pytest.mark.parametrize("part", [B, NEWS, Selection(1), Selection(1, "a.example")])
    def test_only_exactly_that_suspension_ends(self, db, part):
        queue.suspend(A)
        assert not queue.resume(part)

    def test_a_million_would_be_many_small_transactions(self, add, monkeypatch):
        monkeypatch.setattr(queue, "STEP", 3)
        add(8)
        queue.suspend(A)
        assert list(queue.apply_suspensions()) == [3, 3, 2]
        queue.resume(A)
        assert list(queue.apply_suspensions()) == [3, 3, 2]

    def test_a_worker_is_asked_to_look_once_all_processes_know(self, db):
        ScheduledTask.objects.create(name=queue.TASK, due_at=NOW + timedelta(hours=1))
        queue.request_suspensions(NOW)
        assert ScheduledTask.objects.get().due_at == NOW + queue.KNOWN_AFTER

    def test_the_task_is_one_of_housekeepings(self):
        assert TASKS[queue.TASK].path.endswith("operations.queue.keep_suspensions")


class TestFlush:
    def test_deferred_mail_is_ready_now(self, add):
        [deferred], [other], [tried] = (
            add(due_at=LATER),
            add(lane="b.example", due_at=LATER),
            add(claimed_by=7),
        )
        assert run(queue.flush(A)) == 1
        assert due() == {deferred: None, other: LATER, tried: None}

    def test_suspended_mail_stays_suspended(self, add):
        [pk] = add(due_at=NEVER_DUE)
        assert run(queue.flush(A)) == 0
        assert due() == {pk: NEVER_DUE}

    def test_attempts_are_not_given_again(self, add):
        add(due_at=LATER)
        QueuedMessage.objects.update(attempts=4)
        run(queue.flush(A))
        assert QueuedMessage.objects.get().attempts == 4

    @pytest.mark.parametrize("server", [False, True])
    def test_paused_destinations_of_the_mail_are_taken_up(self, add, world, server):
        add()
        for lane in ("a.example", "b.example"):
            DestinationPause.objects.create(destination=lane, paused_until=LATER)
        run(queue.flush(Selection(world.server.pk) if server else A))
        [left] = DestinationPause.objects.all()
        assert (left.destination, left.paused_until) == ("b.example", LATER)

    def test_paces_stay(self, add):
        add()
        pace = {"paused_until": LATER, "rate": 3.0, "concurrency": 2, "pauses": 1}
        DestinationPace.objects.create(operator="a.example", **pace)
        run(queue.flush(A))
        assert DestinationPace.objects.values(*pace).get() == pace


class TestPurge:
    @pytest.fixture
    def purge(self, world, config):
        def call(selection: Selection) -> int:
            return run(queue.purge(selection, world.context(config)))

        return call

    def test_the_mail_fails_with_an_event(self, add, world, purge):
        world.add_webhook()
        [mine], [other] = add(), add(lane="b.example")
        assert purge(A) == 1
        assert set(QueuedMessage.objects.values_list("pk", flat=True)) == {other}
        assert dict(Message.objects.values_list("pk", "status")) == {mine: "HardFail", other: "Pending"}
        told = Delivery.objects.get()
        assert (told.message_id, told.details) == (mine, "Removed from the queue by an administrator.")
        assert WebhookRequest.objects.get().event == "MessageDeliveryFailed"

    def test_no_address_is_suppressed_for_it(self, add, world, purge):
        add(3)
        purge(A)
        assert not Suppression.objects.exists()
        assert not FailureEvidence.objects.exists()

    def test_suspended_and_deferred_mail_goes_and_what_is_being_tried_stays(self, add, purge):
        add(due_at=NEVER_DUE), add(due_at=LATER)
        [tried] = add(claimed_by=7)
        assert purge(A) == 2
        assert due() == {tried: None}

    def test_mail_that_comes_meanwhile_is_left_out(self, add, world, config, monkeypatch):
        monkeypatch.setattr(queue, "STEP", 2)
        add(4)
        steps = queue.purge(A, world.context(config))
        next(steps)
        [new] = add()
        assert run(steps) == 2
        assert due() == {new: None}

    def test_the_caller_may_stop_between_steps(self, add, world, config, monkeypatch):
        monkeypatch.setattr(queue, "STEP", 2)
        add(5)
        steps = queue.purge(A, world.context(config))
        assert next(steps) == 2
        steps.close()
        assert QueuedMessage.objects.count() == 3

    def test_a_step_costs_the_same_whatever_the_queue_holds(self, add, world, config, monkeypatch):
        monkeypatch.setattr(queue, "STEP", 2)
        counts = []
        for size in (2, 40):
            add(size)
            steps = queue.purge(A, world.context(config))
            with CaptureQueriesContext(connection) as queries:
                next(steps)
            counts.append(len(queries))
            run(steps)
        assert counts[0] == counts[1]


class TestOverview:
    def test_destinations_with_their_age_state_and_last_answer(self, add, world, config):
        day_old = NOW - timedelta(days=1, minutes=1)
        add(2, created_at=day_old, due_at=LATER)
        [tried] = add(created_at=NOW - timedelta(hours=2), due_at=LATER + timedelta(minutes=1))
        add(lane="b.example"), add(lane="b.example", claimed_by=7), add(lane="b.example", due_at=NEVER_DUE)
        result = sent(Claimed(tried, world.server.pk, "a.example", 0, False, 1, NOW), "451 4.2.1 later")
        record.record([result], world.directory(), config, NOW)
        QueuedMessage.objects.filter(pk=tried).update(attempts=1)
        DestinationPause.objects.create(destination="a.example", paused_until=LATER)
        first, second = queue.overview(Selection(), NOW)
        size = Message.objects.get(pk=tried).size_bytes
        assert first == queue.Waiting(
            destination="a.example",
            messages=3,
            size_bytes=3 * size,
            oldest_at=day_old,
            over_an_hour=3,
            over_a_day=2,
            suspended=0,
            in_flight=0,
            next_try=LATER,
            paused_until=LATER,
            last_answer="451 4.2.1 later",
        )
        assert (second.destination, second.messages, second.suspended, second.in_flight) == (
            "b.example",
            3,
            1,
            1,
        )
        assert second.next_try is None

    def test_suspended_mail_has_no_next_try_of_its_own(self, add):
        add(due_at=NEVER_DUE)
        [one] = queue.overview(Selection(), NOW)
        assert one.next_try is None
        add(due_at=LATER)
        [one] = queue.overview(Selection(), NOW)
        assert one.next_try == LATER

    def test_parts(self, add, world, other):
        add(tag="news"), add(lane="b.example", server=other)
        names = [
            [each.destination for each in queue.overview(selection, NOW)]
            for selection in (NEWS, Selection(other.pk), B, Selection(world.server.pk, "b.example"))
        ]
        assert names == [["a.example"], ["b.example"], ["b.example"], []]

    def test_it_costs_the_same_for_any_number_of_destinations(self, add, django_assert_num_queries):
        for number in range(5):
            add(lane=f"d{number}.example")
        with django_assert_num_queries(2):
            assert len(queue.overview(Selection(), NOW)) == 5
        assert len(queue.overview(Selection(), NOW, limit=3)) == 3
