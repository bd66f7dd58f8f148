from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from postal_server.engine.lanes import Lanes, Limits
from postal_server.engine.queue import LANES_A_SERVER, MESSAGES, SERVERS_A_CLAIM, WEBHOOKS, Queue
from postal_server.models import QueuedMessage, WebhookRequest, Worker
from tests.fakes import NOW

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(Limits(connections=5, held=1000))


@pytest.fixture
def messages(database) -> Queue:
    return Queue(MESSAGES)


@pytest.fixture
def webhooks(database) -> Queue:
    return Queue(WEBHOOKS)


def claim(queue, worker, lanes, limit=50, now=NOW, source=0):
    """One claim, held as the worker would hold it."""
    with transaction.atomic():
        claimed = queue.claim(worker, lanes, limit, now, source)
    lanes.hold(claimed)
    return claimed


def promote(queue, now, limit=500) -> int:
    with transaction.atomic():
        return queue.promote(now, limit)


def ids(claimed) -> list[int]:
    return [row.id for row in claimed]


def test_claim_makes_ready_rows_this_workers(messages, worker_id, lanes, enqueue):
    first, second = enqueue(2, server=7, destination="b.example", size_bytes=10)
    [one, two] = claim(messages, worker_id, lanes)
    assert ids([one, two]) == [first, second]
    assert (one.server_id, one.lane, one.size_bytes, one.claims) == (7, "b.example", 10, 1)
    assert one.created_at == NOW
    assert set(QueuedMessage.objects.values_list("claimed_by", "claims")) == {(worker_id, 1)}


def test_a_claimed_row_is_not_claimed_again(messages, worker_id, lanes, enqueue):
    enqueue(3)
    assert len(claim(messages, worker_id, lanes)) == 3
    assert claim(messages, worker_id, lanes) == []


@pytest.mark.parametrize("column", ["due_at", "claimed_by"])
def test_what_waits_or_is_held_is_not_ready(messages, worker_id, lanes, enqueue, column):
    enqueue(**{column: NOW if column == "due_at" else worker_id})
    assert claim(messages, worker_id, lanes) == []


def test_rows_of_a_lane_are_claimed_oldest_first(messages, worker_id, lanes, enqueue):
    enqueue(20)
    assert ids(claim(messages, worker_id, lanes)) == list(range(1, 11))


def test_a_lane_gets_twice_its_connections(messages, worker_id, lanes, enqueue):
    enqueue(50, destination="slow.example")
    enqueue(50, destination="other.example")
    counts = Counter(row.lane for row in claim(messages, worker_id, lanes, limit=100))
    assert counts == {"slow.example": 10, "other.example": 10}


def test_the_room_of_a_destination_is_shared_by_all_servers(messages, worker_id, lanes, enqueue):
    enqueue(50, server=1)
    claim(messages, worker_id, lanes)
    enqueue(50, server=2)
    assert claim(messages, worker_id, lanes) == []


def test_ten_mails_of_another_server_are_in_the_first_claim(messages, worker_id, lanes, enqueue):
    for number in range(60):
        enqueue(20, server=1, destination=f"d{number:02}.example")
    enqueue(10, server=2, destination="small.example")
    counts = Counter(row.server_id for row in claim(messages, worker_id, lanes, limit=64))
    assert counts[2] == 10


def test_every_server_has_its_turn(messages, worker_id, lanes, enqueue):
    for server in range(1, 41):
        enqueue(5, server=server, destination=f"d{server}.example")
    seen = set()
    for _ in range(3):
        seen |= {row.server_id for row in claim(messages, worker_id, lanes, limit=32)}
    assert seen == set(range(1, 41))


def test_every_lane_of_a_server_has_its_turn(messages, worker_id, lanes, enqueue):
    for number in range(100):
        enqueue(2, destination=f"d{number:03}.example")
    seen = set()
    for _ in range(4):
        seen |= {row.lane for row in claim(messages, worker_id, lanes, limit=30)}
    assert len(seen) == 100


def test_the_walk_starts_again_after_the_last_lane(messages, worker_id, lanes, enqueue):
    enqueue(30, destination="z.example")
    claim(messages, worker_id, lanes)
    lanes.release_all()
    enqueue(1, destination="a.example")
    assert {row.lane for row in claim(messages, worker_id, lanes)} == {"a.example", "z.example"}


def test_a_saturated_destination_delays_no_other(messages, worker_id, lanes, enqueue):
    enqueue(500, destination="full.example")
    claim(messages, worker_id, lanes)
    enqueue(3, destination="zz.example")
    assert {row.lane for row in claim(messages, worker_id, lanes)} == {"zz.example"}


def test_transactional_mail_goes_before_bulk(messages, worker_id, lanes, enqueue):
    enqueue(100, destination="a.example", priority=1)
    transactional = enqueue(5, destination="b.example")
    assert ids(claim(messages, worker_id, lanes, limit=5)) == transactional


def test_bulk_mail_leaves_room_for_transactional(messages, worker_id, lanes, enqueue):
    enqueue(100, priority=1)
    assert len(claim(messages, worker_id, lanes)) == 5
    urgent = enqueue(3)
    assert ids(claim(messages, worker_id, lanes)) == urgent


def test_much_bulk_mail_delays_neither_the_other_mail_of_its_server_nor_others(messages, worker_id, enqueue):
    """Receivers take their time: what is claimed stays held, and there is more bulk mail than room."""
    lanes = Lanes(Limits(connections=5, held=200))
    for number in range(100):
        enqueue(30, server=1, destination=f"d{number:02}.example", priority=1)
    while claim(messages, worker_id, lanes):
        pass
    assert 75 <= len(lanes.held) < 75 + LANES_A_SERVER  # 3 of 8
    own = enqueue(8, server=1, destination="d00.example")
    others = enqueue(10, server=2, destination="d01.example")
    assert set(ids(claim(messages, worker_id, lanes))) >= {*own[:8], *others[:8]}


def test_bulk_mail_takes_no_more_than_its_share_of_the_bytes(messages, worker_id, enqueue):
    lanes = Lanes(Limits(connections=50, held=1000, held_bytes=8000))
    enqueue(20, priority=1, size_bytes=3000)
    while claim(messages, worker_id, lanes, limit=1):
        pass
    assert lanes.held_bytes == 3000
    assert len(claim(messages, worker_id, lanes)) == 0
    urgent = enqueue(1, size_bytes=3000)
    assert ids(claim(messages, worker_id, lanes)) == urgent


def test_a_paused_destination_is_left_alone_then_probed_with_one(messages, worker_id, lanes, enqueue):
    enqueue(20)
    lanes.set_pauses({"a.example": LATER})
    assert claim(messages, worker_id, lanes) == []
    assert len(claim(messages, worker_id, lanes, now=LATER)) == 1
    assert claim(messages, worker_id, lanes, now=LATER) == []


def test_the_byte_budget_ends_a_claim(messages, worker_id, enqueue):
    lanes = Lanes(Limits(connections=50, held=1000, held_bytes=3000))
    enqueue(20)
    assert len(claim(messages, worker_id, lanes)) == 3
    assert lanes.space == 0


def test_a_message_above_the_whole_budget_is_claimed_alone(messages, worker_id, enqueue):
    lanes = Lanes(Limits(connections=50, held=1000, held_bytes=3000))
    enqueue(2, size_bytes=50_000)
    assert len(claim(messages, worker_id, lanes)) == 1


def test_large_mail_of_one_server_does_not_shut_out_the_next(messages, worker_id, enqueue):
    lanes = Lanes(Limits(connections=50, held=1000, held_bytes=3000))
    enqueue(10, server=1, destination="a.example", size_bytes=3000)
    enqueue(10, server=2, destination="b.example", size_bytes=3000)
    seen = []
    for _ in range(4):
        seen += [row.server_id for row in claim(messages, worker_id, lanes)]
        lanes.release_all()
    assert seen == [1, 2, 1, 2]


@pytest.mark.parametrize(("servers", "destinations"), [(1, 1), (20, 20)], ids=["one lane", "400 lanes"])
def test_a_claim_costs_a_bounded_number_of_statements(
    messages, worker_id, lanes, enqueue, servers, destinations
):
    for server in range(servers):
        for number in range(destinations):
            enqueue(2, server=server + 1, destination=f"d{number}.example")
    with CaptureQueriesContext(connection) as queries:
        assert claim(messages, worker_id, lanes, limit=200)
    # Servers, lanes, the rows, their update, their values; begin and commit.
    assert len(queries) <= 7


def test_claims_walk_over_the_index(messages, worker_id, lanes, enqueue, database):
    enqueue(50)
    with CaptureQueriesContext(connection) as queries:
        claim(messages, worker_id, lanes)
    selects = [query["sql"] for query in queries if "head" in query["sql"] or "p0" in query["sql"]]
    assert len(selects) == 3
    for sql in selects:
        with connection.cursor() as cursor:
            if database == "postgresql":
                cursor.execute("SET enable_seqscan = off")  # the table is too small for the planner to care
            cursor.execute(("EXPLAIN " if database == "postgresql" else "EXPLAIN QUERY PLAN ") + sql)
            plan = " ".join(str(row) for row in cursor.fetchall())
        assert "queue_ready" in plan


def test_deferring_counts_the_attempt_and_promotion_brings_it_back(messages, worker_id, lanes, enqueue):
    [pk] = enqueue()
    claim(messages, worker_id, lanes)
    messages.defer(worker_id, [(pk, LATER)])
    row = QueuedMessage.objects.get()
    assert (row.claimed_by, row.due_at, row.attempts, row.claims) == (None, LATER, 1, 0)
    assert promote(messages, LATER - timedelta(seconds=1)) == 0
    assert promote(messages, LATER) == 1
    lanes.release_all()
    [again] = claim(messages, worker_id, lanes)
    assert again.attempts == 1


def test_promotion_is_bounded_and_takes_the_longest_due_first(messages, enqueue):
    for minutes in range(6):
        enqueue(due_at=NOW - timedelta(minutes=minutes))
    assert promote(messages, NOW, 4) == 4
    assert set(QueuedMessage.objects.filter(due_at=None).values_list("pk", flat=True)) == {3, 4, 5, 6}


def test_finishing_removes_only_rows_that_are_still_held(messages, worker_id, lanes, enqueue):
    mine, others = enqueue(2)
    claim(messages, worker_id, lanes)
    QueuedMessage.objects.filter(pk=others).update(claimed_by=worker_id + 1)
    with transaction.atomic():
        assert messages.still_held(worker_id, [mine, others]) == {mine}
    messages.finish(worker_id, [mine, others])
    messages.defer(worker_id, [(others, LATER)])
    messages.release(worker_id, [others])
    row = QueuedMessage.objects.get()
    assert (row.pk, row.claimed_by, row.due_at) == (others, worker_id + 1, None)


def test_released_rows_are_ready_and_the_claim_is_not_counted(messages, worker_id, lanes, enqueue):
    enqueue(3)
    claim(messages, worker_id, lanes)
    messages.release(worker_id)
    assert set(QueuedMessage.objects.values_list("claimed_by", "claims", "attempts")) == {(None, 0, 0)}


def test_what_a_doubtful_claim_took_is_given_back(messages, worker_id, lanes, enqueue):
    enqueue(3)
    lanes.release(claim(messages, worker_id, lanes, limit=3)[2:])
    messages.release_unknown(worker_id, lanes.held)
    assert QueuedMessage.objects.get(claimed_by=None).pk == 3


def test_expired_rows_are_taken_whatever_they_wait_for(messages, worker_id, enqueue):
    enqueue(1, expires_at=NOW, due_at=LATER)
    enqueue(1, expires_at=NOW, claimed_by=worker_id + 1)
    enqueue(1)
    with transaction.atomic():
        assert ids(messages.take_expired(worker_id, NOW, 100)) == [1]


def test_cleared_suspects_start_counting_again(messages, worker_id, lanes, enqueue):
    [pk] = enqueue(claims=2)
    [row] = claim(messages, worker_id, lanes)
    assert row.claims == 3
    messages.clear_suspects(worker_id, [pk])
    assert QueuedMessage.objects.get().claims == 0


def test_webhook_lanes_are_webhooks(webhooks, worker_id, lanes, ask):
    for number in range(30):
        ask(webhook=1, message=number)
        ask(webhook=2, message=number)
    counts = Counter(row.lane for row in claim(webhooks, worker_id, lanes, limit=100))
    assert counts == {"webhook:1": 10, "webhook:2": 10}


def test_events_of_one_message_reach_a_webhook_in_order(webhooks, worker_id, lanes, ask):
    first, second = ask(message=5), ask(message=5)
    assert ids(claim(webhooks, worker_id, lanes)) == [first]
    assert claim(webhooks, worker_id, lanes) == []
    webhooks.finish(worker_id, [first])
    assert ids(claim(webhooks, worker_id, lanes)) == [second]


def test_order_binds_only_the_same_message_and_webhook(webhooks, worker_id, lanes, ask):
    wanted = [ask(message=5), ask(message=6), ask(message=5, webhook=2), ask(message=None), ask(message=None)]
    assert sorted(ids(claim(webhooks, worker_id, lanes))) == wanted


def test_a_failed_event_takes_its_followers_along(webhooks, worker_id, lanes, ask):
    first, second, other = ask(message=5), ask(message=5), ask(message=6)
    claim(webhooks, worker_id, lanes)
    webhooks.defer(worker_id, [(first, LATER)])
    due = dict(WebhookRequest.objects.values_list("pk", "due_at"))
    assert due == {first: LATER, second: LATER, other: None}
    promote(webhooks, LATER)
    lanes.release_all()
    assert ids(claim(webhooks, worker_id, lanes)) == [first]


@pytest.mark.parametrize("give_back", ["defer", "delay"])
def test_rows_with_times_of_their_own_are_given_back_in_one_statement(
    messages, worker_id, lanes, enqueue, give_back
):
    due = {pk: LATER + timedelta(microseconds=pk) for pk in enqueue(50, claimed_by=worker_id, claims=1)}
    enqueue(claimed_by=worker_id + 1)
    with CaptureQueriesContext(connection) as queries:
        getattr(messages, give_back)(worker_id, [*due.items(), (51, LATER)])
    assert len(queries) == 1
    assert dict(QueuedMessage.objects.filter(claimed_by=None).values_list("pk", "due_at")) == due
    attempts = {1 if give_back == "defer" else 0}
    rows = QueuedMessage.objects.filter(claimed_by=None)
    assert set(rows.values_list("attempts", flat=True)) == attempts
    assert set(rows.values_list("claims", flat=True)) == {0}


def test_events_that_fail_take_their_followers_along_in_two_statements(webhooks, worker_id, ask):
    due = {}
    for message in range(1, 51):
        first, second = ask(message=message, claimed_by=worker_id), ask(message=message)
        due[first] = due[second] = LATER + timedelta(seconds=message)
    other, alone = ask(message=1, webhook=2), ask(message=None, claimed_by=worker_id)
    with CaptureQueriesContext(connection) as queries:
        webhooks.defer(worker_id, [(pk, due[pk]) for pk in list(due)[::2]] + [(alone, LATER)])
    assert len(queries) == 2
    assert dict(WebhookRequest.objects.values_list("pk", "due_at")) == {**due, other: None, alone: LATER}


def test_a_suspect_that_was_cleared_and_is_given_back_has_no_debt(messages, worker_id, enqueue):
    rows = enqueue(2, claimed_by=worker_id, claims=0)
    messages.release(worker_id, rows[:1])
    messages.delay(worker_id, [(rows[1], LATER)])
    assert set(QueuedMessage.objects.values_list("claims", flat=True)) == {0}


def test_workers_that_claim_at_once_share_the_rows(messages, worker_id, enqueue):
    other = Worker.objects.create(host="there", pid=2, started_at=NOW).pk
    enqueue(200)
    taken: dict[int, list[int]] = {worker_id: [], other: []}
    start = threading.Barrier(2)

    def work(worker: int) -> None:
        lanes = Lanes(Limits(connections=5, held=1000))
        start.wait()
        while claimed := claim(messages, worker, lanes, limit=10):
            taken[worker] += ids(claimed)
            with transaction.atomic():
                messages.finish(worker, ids(claimed))
            lanes.release_all()
        connection.close()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(taken[worker_id] + taken[other]) == list(range(1, 201))
    assert not QueuedMessage.objects.exists()


def test_a_claim_takes_what_leaves_from_one_source(messages, worker_id, lanes, enqueue):
    [free], [bound], [other] = enqueue(), enqueue(source_id=7), enqueue(source_id=8)

    def taken(source):
        found = claim(messages, worker_id, lanes, source=source)
        return [(row.id, row.source_id) for row in found]

    assert taken(0) == [(free, 0)]
    assert taken(7) == [(bound, 7)]
    assert taken(9) == []
    assert taken(8) == [(other, 8)]


def test_each_source_goes_on_in_its_own_place(messages, worker_id, lanes, enqueue):
    for source in (1, 2):
        for server in range(1, 40):
            enqueue(server=server, destination=f"{source}-{server}.example", source_id=source)

    def servers(source):
        found = claim(messages, worker_id, lanes, SERVERS_A_CLAIM, source=source)
        return [row.server_id for row in found]

    assert servers(1) == list(range(1, 17))
    assert servers(2) == list(range(1, 17))
    assert servers(1) == list(range(17, 33))


def test_a_delayed_row_counts_neither_claim_nor_attempt(messages, worker_id, lanes, enqueue):
    enqueue(3)
    claim(messages, worker_id, lanes)
    messages.delay(worker_id, [(1, LATER), (2, NOW), (99, NOW)])
    rows = QueuedMessage.objects.order_by("id").values_list("claimed_by", "due_at", "claims", "attempts")
    assert list(rows) == [(None, LATER, 0, 0), (None, NOW, 0, 0), (worker_id, None, 1, 0)]
