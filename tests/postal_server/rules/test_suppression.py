from datetime import datetime, timedelta, timezone

import pytest

from postal_server.conf import SuppressionLists
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.suppression import (
    ADDRESS_REASONS,
    RULES,
    Reason,
    Rule,
    ScopeKind,
    Strike,
    are_enough,
    counted,
    parse_rule,
    reason_of,
    scope_of,
    scopes_of_mail,
    stops,
    times_within_a_year,
)
from tests.each import each

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def strikes(*ages: float, is_sure: bool = True) -> list[Strike]:
    """Strikes so many days ago."""
    return [Strike(NOW - age * DAY, is_sure) for age in ages]


def comes_on(reason: Reason, *found: Strike) -> bool:
    return are_enough(RULES[reason], reason, counted(RULES[reason], found, NOW))


@each(
    "reason, days, scope",
    [
        ("bad_address", (30, 90, 365, 365), "server"),
        ("bad_domain", (3, 14, 60, 60), "server"),
        ("inactive", (30, 90, 365, 365), "server"),
        ("mailbox_full", (7, 14, 30, 30), "server"),
        ("expired", (3, 7, 30, 30), "server"),
        ("unknown", (3, 7, 30, 30), "server"),
        ("complaint", (None, None, None, None), "stream"),
        ("unsubscribe", (None, None, None, None), "stream"),
    ],
)
def test_each_time_within_a_year_lasts_longer(reason, days, scope):
    rule = RULES[Reason(reason)]
    durations = [rule.duration(times) for times in (1, 2, 3, 4)]
    assert [found and found.days for found in durations] == list(days)
    assert rule.scope.value == scope


@each(
    "reason, enough, too_few",
    [
        (Reason.BAD_ADDRESS, [0], []),
        (Reason.BAD_DOMAIN, [0], []),
        (Reason.INACTIVE, [1, 0], [0.99, 0]),
        (Reason.INACTIVE, [29, 0], [31, 0]),
        (Reason.MAILBOX_FULL, [2, 1, 0], [1, 0]),
        (Reason.MAILBOX_FULL, [14, 1, 0], [15, 1, 0]),
        (Reason.MAILBOX_FULL, [1.6, 0.6, 0], [1, 0.2, 0.1, 0]),
        (Reason.EXPIRED, [2, 1, 0], [1, 0]),
        (Reason.UNKNOWN, [13, 7, 0], [16, 7, 0]),
        (Reason.COMPLAINT, [0], []),
        (Reason.UNSUBSCRIBE, [0], []),
    ],
)
def test_so_many_strikes_put_an_address_on_the_list(reason, enough, too_few):
    assert comes_on(reason, *strikes(*enough))
    assert not comes_on(reason, *strikes(*too_few))


def test_a_bad_address_that_is_not_sure_takes_three_days():
    assert not comes_on(Reason.BAD_ADDRESS, *strikes(1, 0, is_sure=False))
    assert not comes_on(Reason.BAD_ADDRESS, *strikes(0.1, 0.05, 0, is_sure=False))
    assert comes_on(Reason.BAD_ADDRESS, *strikes(2, 1, 0, is_sure=False))
    assert comes_on(Reason.BAD_ADDRESS, *strikes(0.1, is_sure=False), *strikes(0))


@each("times, days_ago, expected", [(1, 364, 2), (2, 365, 3), (2, 366, 1), (7, 1, 8)])
def test_times_are_counted_within_a_year(times, days_ago, expected):
    assert times_within_a_year(times, NOW - days_ago * DAY, NOW) == expected


@each("failure_class", FailureClass)
def test_only_what_may_be_the_recipients_fault_counts(failure_class):
    reason = reason_of(failure_class)
    assert (reason in ADDRESS_REASONS) if reason else failure_class.value not in {r.value for r in Reason}
    assert reason_of(failure_class, is_forwarded=True) is Reason.UNKNOWN


class TestParse:
    @each("reason", RULES)
    def test_what_the_documentation_says_is_what_is(self, reason):
        [field] = [f for f in SuppressionLists.__dataclass_fields__.values() if f.name == reason.value]
        spelt = field.metadata["about"].split("`")[1]
        assert parse_rule(spelt, reason) == RULES[reason]

    def test_what_is_left_out_is_as_by_default(self):
        assert parse_rule(" 2  for 12h,3d ", Reason.INACTIVE) == Rule(
            2, (timedelta(hours=12), 3 * DAY), apart=DAY
        )
        assert parse_rule("1 for ever scope=domain", Reason.UNKNOWN) == Rule(
            1, (), ScopeKind.DOMAIN, within=14 * DAY
        )

    def test_postals_rule_can_be_had(self):
        rule = parse_rule("2 for 30d within=24h apart=0h", Reason.BAD_ADDRESS)
        assert are_enough(rule, Reason.BAD_ADDRESS, counted(rule, strikes(0.5, 0), NOW))
        assert not are_enough(rule, Reason.BAD_ADDRESS, counted(rule, strikes(1.1, 0), NOW))

    def test_off(self):
        assert parse_rule("off", Reason.UNKNOWN) is None

    @each(
        "text, why",
        [
            ("", "'' is neither `off` nor like `1 for 30d,90d scope=server`"),
            ("1", "'1' is neither"),
            ("1 for 30", "'1 for 30' is neither"),
            ("0 for 30d", "0 is not a number of failures from 1 to 100"),
            ("1 for 30d scope=all", "scope=all: it is server, stream or domain"),
            ("1 for 30d within=31d", "within=31d: failures are kept for 30 days"),
            ("1 for 30d within=soon", "'soon' is not a number of days or hours such as 14d or 12h"),
            ("1 for 30d until=1d", "until: the options are scope, within and apart"),
        ],
    )
    def test_what_is_wrong_is_named(self, text, why):
        with pytest.raises(ValueError, match=f"^.*{why.split('`')[0]}"):
            parse_rule(text, Reason.BAD_ADDRESS)


class TestScopes:
    def test_an_entry_is_for_all_mail_where_the_mail_has_no_stream(self):
        assert scope_of(ScopeKind.SERVER, stream="news", domain="a.example") == ""
        assert scope_of(ScopeKind.STREAM, stream="news") == "stream:news"
        assert scope_of(ScopeKind.STREAM, domain="a.example") == ""
        assert scope_of(ScopeKind.DOMAIN, stream="news", domain="a.example") == "domain:a.example"

    def test_mail_is_stopped_by_entries_of_its_scopes(self):
        scopes = scopes_of_mail(stream="news", domain="a.example")
        assert scopes == ("", "stream:news", "domain:a.example")
        for scope in scopes:
            assert stops(scope, Reason.COMPLAINT, scopes)
        assert not stops("stream:receipts", Reason.BAD_ADDRESS, scopes)
        assert scopes_of_mail() == ("",)

    @each(
        "scope, reason, is_stopped",
        [
            ("", Reason.BAD_ADDRESS, True),
            ("", Reason.COMPLAINT, False),
            ("", Reason.MANUAL, False),
            ("stream:receipts", Reason.COMPLAINT, True),
            ("stream:receipts", Reason.MANUAL, True),
        ],
    )
    def test_a_transactional_stream_is_stopped_by_its_own_entries(self, scope, reason, is_stopped):
        scopes = scopes_of_mail(stream="receipts")
        assert stops(scope, reason, scopes, is_transactional=True) is is_stopped

    def test_what_must_arrive_is_stopped_by_no_complaint(self):
        scopes = scopes_of_mail(stream="passwords")
        assert not stops(
            "stream:passwords", Reason.COMPLAINT, scopes, is_transactional=True, must_arrive=True
        )
        assert stops("stream:passwords", Reason.UNSUBSCRIBE, scopes, is_transactional=True, must_arrive=True)
