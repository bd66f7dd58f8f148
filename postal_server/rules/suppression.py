"""Who comes on a suppression list, for how long, and which mail that stops.

A remote that refuses us (reputation, rate, policy) or is broken says nothing about the person, so such
replies never suppress. Source: contract 7.3, RFC 3463 sections 3.2 to 3.8.
"""

from __future__ import annotations

import contextlib
import enum
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from postal_server.mail.address import domain_to_ascii

from .failure_class import About, FailureClass
from .stream import is_name as is_stream_name

HARD_FAILS = "too many hard fails"  # Postal's words, as those for soft fails
SOFT_FAILS = "too many soft fails"
ADDED = "Recipient added to suppression list ({reason})"
REMOVED = "Recipient removed from suppression list"
USED_UP = "Added {recipient} to suppression list because delivery has failed {attempts} times."
BY_PERSON = "added by an administrator"

STRIKES_KEPT = timedelta(days=30)
HISTORY_KEPT = timedelta(days=90)  # of entries that ended before their time
YEAR = timedelta(days=365)
UNSURE_STRIKES = 3  # that a bad address takes where the answer may mean something else
MOST_STRIKES = 100


class Reason(str, enum.Enum):
    """Why an address is on the list."""

    BAD_ADDRESS = "bad_address"
    BAD_DOMAIN = "bad_domain"
    INACTIVE = "inactive"
    MAILBOX_FULL = "mailbox_full"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"
    IMPORTED = "imported"


class State(str, enum.Enum):
    """A proposed entry stops no mail: the answers that led to it are in doubt."""

    ACTIVE = "active"
    PROPOSED = "proposed"


class ScopeKind(str, enum.Enum):
    """Which mail of a server an entry stops: all of it, that of a stream, or that from a domain."""

    SERVER = "server"
    STREAM = "stream"
    DOMAIN = "domain"


# What a failed delivery says of the address. They end once mail arrives; the others are a person's wish.
ADDRESS_REASONS = frozenset(
    (
        Reason.BAD_ADDRESS,
        Reason.BAD_DOMAIN,
        Reason.INACTIVE,
        Reason.MAILBOX_FULL,
        Reason.EXPIRED,
        Reason.UNKNOWN,
    )
)
WISHES = frozenset((Reason.COMPLAINT, Reason.UNSUBSCRIBE))  # of recipients
# What receivers have said of good addresses for hours: believed only if they do not say it of everybody.
IN_DOUBT = frozenset((Reason.BAD_ADDRESS, Reason.INACTIVE))

CLASSES_IN_DOUBT = frozenset(FailureClass(reason.value) for reason in IN_DOUBT)

# Shown to people, and on the wire: `(reason: too many hard fails)`.
TEXTS: Mapping[Reason, str] = {
    Reason.BAD_ADDRESS: HARD_FAILS,
    Reason.BAD_DOMAIN: "domain takes no mail",
    Reason.INACTIVE: "mailbox is not in use",
    Reason.MAILBOX_FULL: "mailbox is full",
    Reason.EXPIRED: SOFT_FAILS,
    Reason.UNKNOWN: HARD_FAILS,
    Reason.COMPLAINT: "complained about mail",
    Reason.UNSUBSCRIBE: "unsubscribed",
    Reason.MANUAL: BY_PERSON,
    Reason.IMPORTED: "imported",
}
# What the texts of Postal's own entries, and of this server's first versions, mean.
REASON_OF_TEXT: Mapping[str, Reason] = {
    HARD_FAILS: Reason.BAD_ADDRESS,
    "hard bounce": Reason.BAD_ADDRESS,
    SOFT_FAILS: Reason.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """When a reason puts an address on the list, and for how long.

    It takes `strikes` failures `within` a time; two count as two if they are `apart` by so much, None: on
    different days (UTC). `durations` are those of the first time within a year, the second and so on; the
    last one is for all that follow, and none means no end.
    """

    strikes: int
    durations: tuple[timedelta, ...]
    scope: ScopeKind = ScopeKind.SERVER
    within: timedelta = STRIKES_KEPT
    apart: timedelta | None = None

    def duration(self, times: int) -> timedelta | None:
        """How long the address stays the so-many-th time, 1 or more; None: without end."""
        return self.durations[min(times, len(self.durations)) - 1] if self.durations else None

    def is_new_strike(self, last: datetime, now: datetime) -> bool:
        """Does a failure count that follows a strike?"""
        return now.date() > last.date() if self.apart is None else now - last >= self.apart


@dataclass(frozen=True, slots=True)
class Strike:
    """A failure that counts. `is_sure`: the answer cannot mean anything else."""

    at: datetime
    is_sure: bool


def _days(*days: int) -> tuple[timedelta, ...]:
    return tuple(timedelta(days=number) for number in days)


FORTNIGHT = timedelta(days=14)
RULES: Mapping[Reason, Rule] = {
    Reason.BAD_ADDRESS: Rule(1, _days(30, 90, 365)),
    Reason.BAD_DOMAIN: Rule(1, _days(3, 14, 60)),
    Reason.INACTIVE: Rule(2, _days(30, 90, 365), apart=timedelta(hours=24)),
    Reason.MAILBOX_FULL: Rule(3, _days(7, 14, 30), within=FORTNIGHT),
    Reason.EXPIRED: Rule(3, _days(3, 7, 30), within=FORTNIGHT),
    Reason.UNKNOWN: Rule(3, _days(3, 7, 30), within=FORTNIGHT),
    Reason.COMPLAINT: Rule(1, (), ScopeKind.STREAM),
    Reason.UNSUBSCRIBE: Rule(1, (), ScopeKind.STREAM),
}

OFF = "off"
_RULE = re.compile(r"(\d{1,3}) for (ever|\d{1,4}[dh](?:,\d{1,4}[dh])*)((?: \w+=\w+)*)")
_DURATION = re.compile(r"(\d{1,4})([dh])")


def parse_rule(text: str, reason: Reason) -> Rule | None:
    """The rule in `1 for 30d,90d,365d scope=server within=14d apart=24h`, or None for `off`.

    What is left out is as by default. Raises ValueError that says what is wrong.
    """
    text = " ".join(text.split())
    if text == OFF:
        return None
    match = _RULE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is neither `off` nor like `1 for 30d,90d scope=server`")
    strikes = int(match[1])
    if not 1 <= strikes <= MOST_STRIKES:
        raise ValueError(f"{text!r}: {strikes} is not a number of failures from 1 to {MOST_STRIKES}")
    durations = () if match[2] == "ever" else tuple(_duration(part) for part in match[2].split(","))
    rule = replace(RULES[reason], strikes=strikes, durations=durations)
    for option in match[3].split():
        rule = _with_option(rule, *option.split("=", 1))
    return rule


def _with_option(rule: Rule, name: str, value: str) -> Rule:
    if name == "scope":
        if value not in {kind.value for kind in ScopeKind}:
            raise ValueError(f"scope={value}: it is server, stream or domain")
        return replace(rule, scope=ScopeKind(value))
    if name == "within":
        within = _duration(value)
        if within > STRIKES_KEPT:
            raise ValueError(f"within={value}: failures are kept for {STRIKES_KEPT.days} days")
        return replace(rule, within=within)
    if name == "apart":
        return replace(rule, apart=_duration(value))
    raise ValueError(f"{name}: the options are scope, within and apart")


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a number of days or hours such as 14d or 12h")
    return timedelta(days=int(match[1])) if match[2] == "d" else timedelta(hours=int(match[1]))


def counted(rule: Rule, strikes: Iterable[Strike], now: datetime) -> list[Strike]:
    """Those failures that count by a rule, in order of time."""
    kept: list[Strike] = []
    for strike in sorted(strikes, key=lambda strike: strike.at):
        if now - strike.at > rule.within:
            continue
        if not kept or rule.is_new_strike(kept[-1].at, strike.at):
            kept.append(strike)
        elif strike.is_sure:
            kept[-1] = replace(kept[-1], is_sure=True)
    return kept


def are_enough(rule: Rule, reason: Reason, strikes: Sequence[Strike]) -> bool:
    """Do these strikes, `counted` ones, put an address on the list?

    A bad address that the answer does not name for sure takes more of them.
    """
    if reason is not Reason.BAD_ADDRESS:
        return len(strikes) >= rule.strikes
    sure = sum(strike.is_sure for strike in strikes)
    return sure >= rule.strikes or len(strikes) >= max(rule.strikes, UNSURE_STRIKES)


def reason_of(failure_class: FailureClass, *, is_forwarded: bool = False) -> Reason | None:
    """The reason that a failure of this class counts for; None if it says nothing about the address.

    A forwarder's target is not our recipient: that it is bad does not make the address bad.
    """
    if is_forwarded:
        return Reason.UNKNOWN
    if failure_class.about in (About.US, About.MAIL, About.RECEIVER):
        return None
    return Reason(failure_class.value)


def times_within_a_year(times: int, last: datetime, now: datetime) -> int:
    """Which time it is for an address that came on the list `times` times before, the last at `last`."""
    return times + 1 if now - last <= YEAR else 1


# Scopes


def scope_of(kind: ScopeKind, *, stream: str = "", domain: str = "") -> str:
    """The scope of an entry about a mail of this stream and sending domain; all mail where it has none."""
    if kind is ScopeKind.STREAM and stream:
        return f"stream:{stream}"
    if kind is ScopeKind.DOMAIN and domain:
        return f"domain:{domain}"
    return ""


def valid_scope(text: str) -> str:
    """The scope that a person writes: empty, `stream:news` or `domain:shop.example`. Raises ValueError."""
    kind, _, name = text.partition(":")
    if not text or (kind == ScopeKind.STREAM.value and is_stream_name(name)):
        return text
    if kind == ScopeKind.DOMAIN.value and name:
        with contextlib.suppress(ValueError):
            return f"{kind}:{domain_to_ascii(name)}"
    raise ValueError(f"{text[:80]!r} is not a scope such as stream:news or domain:example.com")


def scopes_of_mail(*, stream: str = "", domain: str = "") -> tuple[str, ...]:
    """The scopes whose entries may stop a mail of this stream and sending domain."""
    named = (
        scope_of(ScopeKind.STREAM, stream=stream),
        scope_of(ScopeKind.DOMAIN, domain=domain),
    )
    return ("", *(scope for scope in named if scope))


def stops(
    scope: str,
    reason: Reason,
    scopes: Collection[str],
    *,
    is_transactional: bool = False,
    must_arrive: bool = False,
) -> bool:
    """Does an entry stop a mail with these `scopes`?

    Mail of a transactional stream is stopped by what is wrong with the address, and by entries of that stream
    alone; mail that must arrive by no complaint either.
    """
    if scope not in scopes or (must_arrive and reason is Reason.COMPLAINT):
        return False
    return not is_transactional or reason in ADDRESS_REASONS or scope.startswith("stream:")
