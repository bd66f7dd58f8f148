from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest

from postal_server.rules.classification import Answer, Ours, classify
from postal_server.rules.failure_class import Stage
from postal_server.rules.shaping import (
    LEAST_RATE,
    LONGEST_PAUSE,
    Pace,
    Rule,
    ThrottleSignal,
    faster,
    operator_of,
    parse_rule,
    slower,
    throttle_signal,
    warm_up_cap,
)
from postal_server.rules.suppression import Reason, reason_of
from tests.each import each

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)

TOO_FAST = [
    (
        421,
        "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to complaints - 4.16.55.1",
    ),
    (553, "553 5.7.1 [TSS09] All messages from 192.0.2.1 will be permanently deferred"),
    (421, "421-4.7.28 Our system has detected an unusual rate of unsolicited mail originating"),
    (550, "550-5.7.28 unusual rate of unsolicited mail"),
    (421, "421-4.7.0 suspicious due to the very low reputation of the sending IP address."),
    (550, "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. ... block list (S3150)."),
    (421, "421 RP-001 (BAY0-MC2) Unfortunately, some messages from 192.0.2.1 weren't sent."),
    (451, "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77713)"),
    (451, "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation."),
    (550, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]"),
    (421, "421 comcast RL000001 Throttled"),
    (452, "452 4.3.1 Too many messages in this connection"),
    (450, "450 4.7.1 Rate limit exceeded"),
    (421, "421 too many connections from your IP"),
    (None, "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred"),
]
BUSY = [
    (421, "421 Service not available, closing transmission channel"),
    (421, "421 4.3.2 Service shutting down"),
    (450, "450 4.7.1 Client host rejected: cannot find your reverse hostname"),
    (None, "421 mx.dest.example busy"),
]
NOTHING = [
    (250, "250 2.0.0 OK"),
    (421, "421 4.4.2 mx.dest.example Error: timeout exceeded"),
    (451, "451 4.7.1 Greylisting in action, please come back in 00:05:00"),
    (450, "450 4.7.1 <a@dest.example>: Recipient address rejected: Graylisted"),
    (450, "450-4.2.1 The user you are trying to contact is receiving mail too quickly"),
    (452, "452 4.2.2 Mailbox full"),
    (550, "550 5.1.1 No such user"),
    (550, "550 5.7.1 Message rejected as spam"),
    (554, "554 too many connections"),
    (451, "451 try again later"),
    (None, "Connection refused"),
    (None, "timed out"),
    (None, ""),
]


@each(
    "code, output, meaning",
    [(*case, ThrottleSignal.TOO_FAST) for case in TOO_FAST]
    + [(*case, ThrottleSignal.BUSY) for case in BUSY]
    + [(*case, ThrottleSignal.NONE) for case in NOTHING],
)
def test_what_an_answer_says_about_our_pace(code, output, meaning):
    assert throttle_signal(code, output) is meaning


@each("code, output", TOO_FAST + BUSY)
def test_no_such_answer_says_that_the_address_is_bad(code, output):
    answer = Answer(code, None, output, Stage.RCPT)
    assert reason_of(classify(answer, Ours()).name) in (None, Reason.UNKNOWN)


@each(
    "host, operator",
    [
        ("gmail-smtp-in.l.google.com", "google.com"),
        ("ASPMX.L.GOOGLE.COM.", "google.com"),
        ("dest-example.mail.protection.outlook.com", "outlook.com"),
        ("mx.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("mx.example.de", "example.de"),
        ("mx1.mail.com.example.nl", "example.nl"),
        ("localhost", "localhost"),
        ("mx.example.gov.pl", "example.gov.pl"),  # registries that a rule of thumb does not know
        ("mx.example.gouv.fr", "example.gouv.fr"),
        ("mx.xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
        ("mx.internal.example", "internal.example"),  # a top-level domain that nobody knows
        ("inbound-smtp.us-east-1.amazonaws.com", "amazonaws.com"),  # the list's private part does not count
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_hosts_roll_up_by_who_runs_them(host, operator):
    assert operator_of(host) == operator


@each(
    "text, rule",
    [
        ("gmail.com connections=5 rate=100/min", Rule("gmail.com", 5, 100.0)),
        ("Gmail.com rate=2/s", Rule("gmail.com", None, 120.0)),
        ("gmail.com rate=60/h", Rule("gmail.com", None, 1.0)),
        ("gmail.com rate=1440/day connections=1", Rule("gmail.com", 1, 1.0)),
    ],
)
def test_a_rule(text, rule):
    assert parse_rule(text) == rule


@each(
    "text",
    ["gmail.com", "gmail com connections=1", "gmail.com connections=0", "gmail.com rate=5", "gmail.com x=1"],
)
def test_what_is_no_rule(text):
    with pytest.raises(ValueError, match=r"expected|neither"):
        parse_rule(text)


class TestPace:
    def slow(self, pace=None, now=NOW, **values):
        return slower(pace, now, limit=20, measured=100.0, **values)

    def test_it_is_halved_after_a_pause(self):
        pace = self.slow(reason="421 slow down")
        assert pace == Pace(10, 50.0, NOW + MINUTE, 1, "421 slow down")
        assert pace.is_paused(NOW)
        assert not pace.is_paused(NOW + MINUTE)

    def test_answers_to_what_was_under_way_change_nothing(self):
        pace = self.slow()
        assert self.slow(pace, NOW + MINUTE / 2) is pace
        assert faster(pace, NOW + MINUTE / 2, limit=20) is pace

    def test_pauses_grow_to_a_bound_and_the_pace_falls_to_one(self):
        pace, now, lengths = None, NOW, []
        for _ in range(9):
            pace = self.slow(pace, now)
            lengths.append((pace.paused_until - now) / MINUTE)
            now = pace.paused_until
        assert lengths == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        assert (pace.concurrency, pace.rate) == (1, LEAST_RATE)

    @pytest.mark.parametrize(
        ("asked", "length"),
        [
            (timedelta(minutes=5), timedelta(minutes=5)),
            (timedelta(seconds=5), MINUTE),
            (timedelta(days=9), LONGEST_PAUSE),
        ],
    )
    def test_a_wait_that_was_asked_for_is_the_least(self, asked, length):
        assert self.slow(asked=asked).paused_until == NOW + length

    def test_the_first_message_is_a_probe(self):
        pace = self.slow()
        assert pace.is_probing
        after = faster(pace, NOW + MINUTE, limit=20)
        assert (after.is_probing, after.concurrency, after.pauses) == (False, 10, 1)

    def test_a_round_begins_anew_after_the_probe(self):
        pace = replace(self.slow(), accepted=7)
        assert faster(pace, NOW + MINUTE, limit=20).accepted == 0

    def test_it_recovers_one_at_a_time_for_each_round(self):
        pace, taken, seen = faster(self.slow(), NOW + MINUTE, limit=20), 0, []
        while pace is not None:
            seen.append((pace.concurrency, round(pace.rate)))
            pace = faster(pace, NOW + MINUTE, limit=20)
            taken += 1
        assert list(dict.fromkeys(seen)) == [(n, 5 * n) for n in range(10, 20)]
        assert taken == sum(range(10, 20))

    def test_a_single_connection_recovers_at_once(self):
        pace = slower(None, NOW, limit=1, measured=0, reason="")
        probed = faster(pace, NOW + MINUTE, limit=1)
        assert faster(probed, NOW + MINUTE, limit=1) is None


@each("day, cap", [(-1, 0), (0, 50), (1, 100), (2, 200), (13, 409_600), (14, None), (400, None)])
def test_a_new_address_may_send_twice_as_much_each_day(day, cap):
    started = date(2026, 1, 1)
    assert warm_up_cap(started, started + timedelta(days=day), 50, 14) == cap
