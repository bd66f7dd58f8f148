from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from postal_server.engine import metrics
from postal_server.engine.ports import Lookup
from postal_server.engine.shaping import Row, Shaping, operators_by_mx
from postal_server.rules.outcome import Outcome
from postal_server.rules.shaping import Pace, parse_rules
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.work import Result
from tests.each import each
from tests.fakes import NOW, FakeResolver, claimed

MINUTE = timedelta(minutes=1)
GOOGLE = ("", "mx:google.com")
OPERATORS = {"gmail.com": "google.com", "corp.example": "google.com", "dest.example": "dest.example"}
TOO_FAST = "421-4.7.28 unusual rate of unsolicited mail"


def shaping(*rules: str, addresses: dict[int, str] | None = None, connections: int = 20) -> Shaping:
    async def find_operator(lane: str) -> str:
        return OPERATORS[lane]

    names = addresses or {}
    return Shaping(connections, find_operator, parse_rules(rules), lambda number: names.get(number, ""))


def test_paces_hold_while_they_are_read_again():
    paces = shaping()
    known = Row("", "google.com", None, 60.0, 1, 1, "")
    paces.load([known])
    paces._remember("gmail.com", "google.com")

    def rows_of_others():
        assert paces.room(0, "gmail.com", 40, 0, NOW) == 1
        yield known
        assert paces.room(0, "gmail.com", 40, 0, NOW) == 1

    paces.load(rows_of_others())
    assert paces.room(0, "gmail.com", 40, 0, NOW) == 1


def result(output="250 OK", lane="gmail.com", host="smtp-in.l.google.com", source_id=0, **values) -> Result:
    code = int(output[:3]) if output[:3].isdigit() else None
    status = DeliveryStatus.SENT if code == 250 else DeliveryStatus.DEFERRED
    values = {"seconds": 0.1, **values}
    return Result(
        claimed(1, lane=lane, source_id=source_id),
        Outcome(status, "details.", output=output, code=code, host=host, **values),
    )


def rows(count: int, lane="gmail.com", first=1, source_id=0):
    return [claimed(number, lane=lane, source_id=source_id) for number in range(first, first + count)]


def admit(paces: Shaping, batch, now=NOW):
    going, waiting = asyncio.run(paces.admit(batch, now))
    return [row.id for row in going], [(row.id, (due - NOW).total_seconds()) for row, due in waiting]


class TestNothingToMind:
    def test_all_go_without_a_look_at_dns(self):
        paces = Shaping(20, None)
        batch = rows(50)
        assert admit(paces, batch) == ([row.id for row in batch], [])
        assert paces.room(0, "gmail.com", 40, 0, NOW) == 40

    @each("lane", ["http:5", "smtp:5", "webhook:7", "local"])
    def test_what_is_no_domain_goes(self, lane):
        paces = shaping("gmail.com connections=1")
        assert admit(paces, rows(5, lane)) == ([1, 2, 3, 4, 5], [])
        assert paces.learn([result(TOO_FAST, lane=lane)] * 9, NOW) == {}


class TestRules:
    def test_connections_are_what_is_under_way_at_a_time(self):
        paces = shaping("gmail.com connections=2")
        batch = rows(4)
        going, waiting = admit(paces, batch)
        assert going == [1, 2]
        assert [number for number, _ in waiting] == [3, 4]
        paces.ended(batch[:1])
        assert admit(paces, rows(2, first=5))[0] == [5]

    @each("held, room", [(0, 5), (3, 2), (5, 0), (9, 0)])
    def test_no_more_is_claimed_than_may_go(self, held, room):
        paces = shaping("gmail.com connections=5")
        assert paces.room(0, "gmail.com", 40, held, NOW) == room
        assert paces.room(0, "dest.example", 40, held, NOW) == 40

    def test_a_rate_is_even(self):
        paces = shaping("gmail.com rate=60/min")
        going, waiting = admit(paces, rows(5))
        assert going == [1, 2]  # a second's worth may go at once
        assert waiting == [(3, 3), (4, 4), (5, 5)]
        assert admit(paces, rows(3, first=10), NOW + timedelta(seconds=2))[0] == [10, 11]

    def test_a_message_counts_once_where_a_domain_runs_its_own_mail_hosts(self):
        assert admit(shaping("dest.example connections=2"), rows(4, "dest.example"))[0] == [1, 2]
        assert admit(shaping("dest.example rate=60/min"), rows(4, "dest.example"))[0] == [1, 2]

    def test_a_clock_that_is_set_back_does_not_stop_a_rate(self):
        paces = shaping("gmail.com rate=60/min")
        admit(paces, rows(3), NOW + timedelta(hours=2))
        assert paces.room(0, "gmail.com", 40, 0, NOW) == 2
        assert admit(paces, rows(3, first=10)) == ([10, 11], [(12, 3)])

    def test_a_rate_leaves_the_rest_in_the_queue(self):
        paces = shaping("gmail.com rate=60/min")
        assert paces.room(0, "gmail.com", 40, 0, NOW) == 2
        admit(paces, rows(2))
        assert paces.room(0, "gmail.com", 40, 0, NOW) == 0
        assert paces.room(0, "gmail.com", 40, 0, NOW + MINUTE) == 2

    def test_a_rule_for_an_operator_holds_for_all_its_domains(self):
        paces = shaping("google.com connections=1")
        going, waiting = admit(paces, [*rows(1), *rows(1, "corp.example", 2), *rows(1, "dest.example", 3)])
        assert going == [1, 3]
        assert [number for number, _ in waiting] == [2]

    def test_messages_that_are_put_off_come_back_one_after_the_other_within_the_hour(self):
        paces = shaping("gmail.com rate=1/min")
        _, waiting = admit(paces, rows(200))
        seconds = [due for _, due in waiting]
        assert max(seconds) <= 3600
        assert len(set(seconds)) > 50


class TestOperators:
    def test_a_look_up_that_hangs_holds_the_others_up_for_a_moment_only(self, monkeypatch):
        monkeypatch.setattr("postal_server.engine.shaping.PATIENCE_WITH_DNS", 0.05)
        asked = []

        async def find_operator(lane):
            asked.append(lane)
            if lane == "corp.example":
                await may_answer.wait()
            return OPERATORS[lane]

        async def work():
            batch = [*rows(2), *rows(2, "corp.example", 3)]
            going, _ = await asyncio.wait_for(paces.admit(batch, NOW), 1)
            await paces.admit(rows(1, "corp.example", 5), NOW)
            assert sorted(asked) == ["corp.example", "gmail.com"]
            may_answer.set()
            await asyncio.sleep(0)
            _, waiting = await paces.admit(rows(1, "corp.example", 6), NOW)
            return [row.id for row in going], [row.id for row, _ in waiting]

        paces = Shaping(20, find_operator, parse_rules(["google.com connections=1"]))
        may_answer = asyncio.Event()
        assert asyncio.run(work()) == ([1, 3, 4], [6])

    def test_what_dns_could_not_say_is_asked_again(self):
        found = [None, "google.com"]

        async def find_operator(lane):
            return found.pop(0)

        paces = Shaping(20, find_operator, parse_rules(["google.com connections=1"]))
        assert admit(paces, rows(2))[0] == [1, 2]
        assert admit(paces, rows(2, first=3))[0] == [3]
        assert found == []

    @each(
        "record, operator",
        [
            ({"MX": ["smtp-in.l.google.com"]}, "google.com"),
            (Lookup.NO_DATA, "dest.example"),
            (Lookup.NO_DOMAIN, "dest.example"),
            (Lookup.FAILED, None),
            (Lookup.TIMED_OUT, None),
        ],
        ids=["MX", "no MX", "no domain", "failed", "timed out"],
    )
    def test_who_runs_a_domains_mail_hosts(self, record, operator):
        find_operator = operators_by_mx(FakeResolver({"dest.example": record}))
        assert asyncio.run(find_operator("dest.example")) == operator


class TestBackOff:
    def test_an_answer_slows_the_operator_down(self):
        paces = shaping()
        paces.learn([result() for _ in range(100)], NOW)
        changed = paces.learn([result(TOO_FAST)], NOW)
        assert changed == {GOOGLE: Pace(10, 50.0, NOW + MINUTE, 1, TOO_FAST)}
        assert paces.room(0, "gmail.com", 40, 0, NOW) == 0
        assert paces.room(0, "dest.example", 40, 0, NOW) == 40
        going, waiting = admit(paces, [*rows(2), *rows(2, "corp.example", 3), *rows(1, "dest.example", 9)])
        assert going == [9]
        assert all(due > 60 for _, due in waiting)

    @pytest.mark.parametrize(
        ("literal", "host"), [("[192.0.2.1]", "192.0.2.1"), ("[ipv6:2001:db8::1]", "2001:db8::1")]
    )
    def test_an_address_literal_is_slowed_down_like_a_domain(self, literal, host):
        paces = shaping()
        assert len(paces.learn([result(TOO_FAST, lane=literal, host=host)], NOW)) == 1
        assert paces.room(0, literal, 40, 0, NOW) == 0
        assert admit(paces, rows(2, literal))[0] == []

    def test_one_message_probes(self):
        paces = shaping()
        paces.learn([result(TOO_FAST)], NOW)
        later = NOW + MINUTE
        assert paces.room(0, "gmail.com", 40, 0, later) == 1
        batch = rows(3)
        assert admit(paces, batch, later)[0] == [1]
        assert paces.room(0, "gmail.com", 40, 1, later) == 0
        paces.ended(batch[:1])
        changed = paces.learn([result()], later)
        assert changed[GOOGLE].paused_until is None
        assert changed[GOOGLE].concurrency == 10

    def test_a_fast_destination_is_probed_with_one_message_as_well(self):
        """Its rate would let many go at once."""
        paces = shaping()
        paces.learn([result() for _ in range(6000)], NOW)
        paces.learn([result(TOO_FAST)], NOW)
        later = NOW + MINUTE
        assert paces.room(0, "gmail.com", 40, 0, later) == 1
        batch = rows(5)
        assert admit(paces, batch, later)[0] == [1]
        assert paces.room(0, "gmail.com", 40, 1, later) == 0
        paces.ended(batch[:1])
        paces.learn([result()], later)
        assert len(admit(paces, rows(5, first=10), later)[0]) == 5

    def test_a_probe_keeps_to_the_rate(self):
        """A host that was busy with a mail of another worker is not probed by one after the other."""
        paces = shaping()
        paces.learn([result(TOO_FAST)], NOW)
        later = NOW + MINUTE
        batch = rows(1)
        assert admit(paces, batch, later)[0] == [1]
        paces.ended(batch)  # without an answer: the connection broke
        assert admit(paces, rows(1, first=2), later)[0] == []
        assert paces.room(0, "gmail.com", 40, 0, later) == 0

    def test_a_probe_that_fails_makes_the_pause_longer(self):
        paces = shaping()
        paces.learn([result(TOO_FAST)], NOW)
        changed = paces.learn([result(TOO_FAST)], NOW + MINUTE)
        assert changed[GOOGLE].paused_until == NOW + 3 * MINUTE
        assert changed[GOOGLE].concurrency == 5

    def test_it_recovers_and_is_forgotten(self):
        paces, now = shaping(connections=4), NOW + MINUTE
        paces.learn([result(TOO_FAST)], NOW)
        changes = [changed for _ in range(10) if (changed := paces.learn([result()], now))]
        assert [pace and pace.concurrency for each in changes for pace in each.values()] == [2, 3, None]
        assert paces.room(0, "gmail.com", 40, 0, now) == 40

    @pytest.mark.parametrize(("count", "is_slowed"), [(2, False), (3, True)])
    def test_several_answers_that_may_mean_us_do(self, count, is_slowed):
        paces = shaping()
        changed = paces.learn([result("421 closing")] * count, NOW)
        assert (GOOGLE in changed) is is_slowed

    def test_a_message_that_is_taken_starts_the_count_again(self):
        paces = shaping()
        busy, fine = result("421 closing"), result()
        assert paces.learn([busy, busy, fine, busy, busy, result("550 5.1.1 unknown"), busy, busy], NOW) == {}

    def test_a_host_that_does_not_take_the_session_may_say_so(self):
        paces = shaping()
        output = "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred"
        assert GOOGLE in paces.learn([result(output, seconds=None)], NOW)

    def test_each_source_address_has_a_pace_of_its_own(self):
        paces = shaping(addresses={7: "192.0.2.7"})
        changed = paces.learn([result(TOO_FAST, source_id=7)], NOW)
        assert list(changed) == [("192.0.2.7", "mx:google.com")]
        assert paces.room(7, "gmail.com", 40, 0, NOW) == 0
        assert paces.room(0, "gmail.com", 40, 0, NOW) == 40

    def test_answers_of_the_catch_are_no_operators(self):
        paces = shaping("google.com connections=1")
        paces.catch = "127.0.0.1"
        paces.learn([result()], NOW)  # the lane's operator is known from here on
        assert paces.learn([result(TOO_FAST, host="127.0.0.1")], NOW) == {}
        assert admit(paces, rows(2))[0] == [1]

    def test_mail_that_is_caught_is_not_slowed_down_nor_looked_up(self):
        paces = shaping("gmail.com connections=1", "qa.example connections=1")
        paces.is_shaped = lambda lane: lane == "qa.example"
        assert admit(paces, rows(3))[0] == [1, 2, 3]
        assert admit(paces, rows(3, lane="qa.example", first=4))[0] == [4]

    def test_what_other_workers_know_is_taken_over(self):
        paces = shaping()
        paces.load([Row("", "google.com", NOW + MINUTE, 50.0, 10, 1, "slow down")])
        assert admit(paces, rows(1))[0] == []
        assert metrics.BACK_OFF.labels(*GOOGLE)._value.get() == 0
        paces.load([Row("", "google.com", None, 50.0, 10, 1, "slow down")])
        assert metrics.BACK_OFF.labels(*GOOGLE)._value.get() == 10
        paces.load([])
        assert admit(paces, rows(30))[1] == []
        assert GOOGLE not in metrics.BACK_OFF._metrics

    def test_after_a_lost_lease_nothing_is_under_way(self):
        paces = shaping("gmail.com connections=1")
        admit(paces, rows(1))
        paces.forget_admitted()
        assert admit(paces, rows(1, first=2))[0] == [2]


@each(
    "output, details",
    [
        (TOO_FAST, "details. Mail to this destination is slowed down"),
        ("421 closing", "details."),
        ("450 4.7.1 Greylisted", "details."),
        ("250 OK", "details."),
    ],
)
def test_only_an_answer_that_is_about_us_is_quoted(output, details):
    assert shaping().explain(result(output).outcome).details == details
