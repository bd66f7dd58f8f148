"""How fast a destination is sent to: fixed limits, warm-up plans, and the pace learnt from its replies.

A destination that says "too fast" is left alone for a while, tried with one message, and then sent to at half
the pace, which grows again step by step: additive increase, multiplicative decrease, as TCP does it. None of
it affects a recipient: `rules.suppression` does not count such replies.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from publicsuffixlist import PublicSuffixList

from postal_server.mail.enhanced_code import enhanced_code

SLOWED_DOWN = "Mail to this destination is slowed down"

# Receivers' own words for "your address sends too much, or is not trusted", whatever their code.
REPUTATION: Sequence[tuple[str, str]] = (
    # Yahoo and AOL, senders.yahooinc.com/smtp-error-codes
    (r"\bTSS\d\d\b", "Yahoo"),
    # Gmail, support.google.com/a/answer/3726730
    (r"\b[45]\.7\.28\b", "Gmail"),
    (r"unusual rate of (?:unsolicited )?e?-?mail", "Gmail"),
    (r"low reputation of the sending (?:IP|domain)", "Gmail"),
    # Outlook.com, sendersupport.olc.protection.outlook.com/pm/troubleshooting
    (r"\bS(?:31[45]0|3114|775)\b", "Microsoft"),
    (r"\bRP-00[1-3]\b", "Microsoft"),
    # Exchange Online, learn.microsoft.com: non-delivery reports, "4.7.500-699" and "5.7.606-649"
    (r"\b4\.7\.[56]\d\d\b", "Microsoft"),
    (r"\b5\.7\.(?:60[6-9]|6[1-4]\d)\b", "Microsoft"),
    (r"rate limited due to IP reputation", "Microsoft"),
    # Comcast, postmaster.comcast.net: "RL" limits, "BL" blocks
    (r"\b[RB]L0000\d\d\b", "Comcast"),
)
_REPUTATION = re.compile("|".join(pattern for pattern, _ in REPUTATION), re.ASCII | re.IGNORECASE)
# The same in general words; believed in a transient reply only.
_TOO_FAST = re.compile(
    r"too many (?:connections|messages|mails|e-?mails|concurrent)|rate.?limit|throttl|too (?:fast|quickly)|"
    r"(?:poor|low|bad) reputation|temporarily (?:blocked|limited)",
    re.IGNORECASE,
)
_GREYLISTED = re.compile(r"gr[ae]y.?list", re.IGNORECASE)
ABOUT_THE_MAILBOX = ("1", "2")  # RFC 3463 subjects
# A 421 with one of these means that the connection was idle, or broke: no reason to go slower.
CONNECTION_ENDED = (("4", "1"), ("4", "2"))

PATIENCE = 3  # replies in a row that might mean "too fast", before they count as that
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
LEAST_RATE = 2.0  # messages a minute
SECONDS_OF = {"s": 1, "min": 60, "h": 3600, "day": 86_400}

_RULE = re.compile(r"connections=(\d{1,5})|rate=(\d{1,9})/(s|min|h|day)")
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")


class ThrottleSignal(enum.Enum):
    """What a reply says about our pace."""

    NONE = "none"
    BUSY = "busy"  # it might mean us: several in a row do
    TOO_FAST = "too fast"


def throttle_signal(code: int | None, output: str) -> ThrottleSignal:
    """What this reply says about our pace. `code` is None where a host refused the session.

    421 and 4.7.x may mean anything from a restart to our reputation. Greylisting is meant for one sender and
    recipient, 4.1.x and 4.2.x for one mailbox.
    """
    if code is None:
        match = re.match(r"([245]\d\d)[ -]", output, re.ASCII)
        code = int(match[1]) if match else None
    if code is None or code // 100 not in (4, 5):
        return ThrottleSignal.NONE
    if _REPUTATION.search(output):
        return ThrottleSignal.TOO_FAST
    enhanced = enhanced_code(output)
    subject, detail = enhanced[1:] if enhanced else ("", "")
    if code // 100 == 5 or _GREYLISTED.search(output) or subject in ABOUT_THE_MAILBOX:
        return ThrottleSignal.NONE
    if _TOO_FAST.search(output):
        return ThrottleSignal.TOO_FAST
    is_421 = code == 421 and (subject, detail) not in CONNECTION_ENDED
    return ThrottleSignal.BUSY if is_421 or subject == "7" else ThrottleSignal.NONE


@functools.cache
def _public_suffixes() -> PublicSuffixList:
    """The suffixes below which registries sell names: loaded at the first look-up, some 3 MB.

    Without the list's private part: names below a hosting company's domain are still its own mail hosts.
    """
    return PublicSuffixList(only_icann=True)


@functools.lru_cache(maxsize=10_000)
def operator_of(host: str) -> str:
    """The registered domain of a mail host, which identifies its operator.

    Many recipient domains have their mail there and share the operator's limits. A name that cannot be
    registered, such as `localhost` or `co.uk`, is its own operator, and so is an address. Source:
    publicsuffix.org.
    """
    name = host.lower().rstrip(".")
    if name.rpartition(".")[2].isdigit():  # an IPv4 address: no top-level domain is a number
        return name
    return _public_suffixes().privatesuffix(name) or name


# Fixed limits


@dataclass(frozen=True)
class Rule:
    """A limit that the administrator set. `name` is a recipient domain, or that of its mail hosts' operator.

    `rate` is in messages a minute; None means no limit.
    """

    name: str
    connections: int | None = None
    rate: float | None = None


def parse_rule(text: str) -> Rule:
    """The rule in a text like `gmail.com connections=5 rate=100/min`. Raises ValueError."""
    name, *limits = text.lower().split()
    if not _NAME.fullmatch(name) or not limits:
        raise ValueError("a domain and limits are expected, as in `gmail.com connections=5 rate=100/min`")
    connections, rate = None, None
    for limit in limits:
        match = _RULE.fullmatch(limit)
        if not match or not int(match[1] or match[2]):
            raise ValueError(f"{limit!r} is neither connections=N nor rate=N/s, N/min, N/h or N/day")
        if match[1]:
            connections = int(match[1])
        else:
            rate = int(match[2]) * 60 / SECONDS_OF[match[3]]
    return Rule(name, connections, rate)


def parse_rules(texts: Iterable[str]) -> dict[str, Rule]:
    """Rules by name; of two with the same name the last counts. Raises ValueError."""
    return {rule.name: rule for rule in map(parse_rule, texts) if rule.name}


# The pace learnt from replies


@dataclass(frozen=True)
class Pace:
    """How a destination that asked us to slow down is sent to.

    Nothing until `paused_until`; then one message as a probe; once that is accepted, `concurrency` at a time
    and `rate` a minute. `pauses` counts those since it was last in order, `accepted` the messages accepted
    since the last step.
    """

    concurrency: int
    rate: float
    paused_until: datetime | None = None
    pauses: int = 1
    reason: str = ""
    accepted: int = 0

    def is_paused(self, now: datetime) -> bool:
        return self.paused_until is not None and now < self.paused_until

    @property
    def is_probing(self) -> bool:
        """Is only one message to be tried, once the pause is over?"""
        return self.paused_until is not None


def slower(
    pace: Pace | None,
    now: datetime,
    *,
    limit: int,
    measured: float,
    asked: timedelta | None = None,
    reason: str = "",
) -> Pace:
    """The pace after a reply that says "too fast".

    `limit` is the number of connections to a destination in order, `measured` the messages it accepted in the
    last minute; `asked` is the wait that it named. Replies to messages that were under way when a pause began
    do not make it longer.
    """
    if pace is not None and pace.is_paused(now):
        return pace
    pauses = pace.pauses + 1 if pace else 1
    length = min(FIRST_PAUSE * 2 ** min(pauses - 1, 10), LONGEST_PAUSE)
    if asked is not None:
        length = max(length, min(asked, LONGEST_PAUSE))
    return Pace(
        concurrency=max(1, (pace.concurrency if pace else limit) // 2),
        rate=max(LEAST_RATE, (pace.rate if pace else measured) / 2),
        paused_until=now + length,
        pauses=pauses,
        reason=reason,
    )


def faster(pace: Pace, now: datetime, *, limit: int) -> Pace | None:
    """The pace after a message was accepted; None once the destination is in order again.

    One more at a time for each round of `concurrency` messages, and the rate in proportion.
    """
    if pace.is_paused(now):
        return pace  # sent before the pause began
    if pace.is_probing:
        return replace(pace, paused_until=None, accepted=0)
    if pace.accepted + 1 < pace.concurrency:
        return replace(pace, accepted=pace.accepted + 1)
    concurrency = pace.concurrency + 1
    if concurrency >= limit:
        return None
    rate = pace.rate * concurrency / pace.concurrency
    return replace(pace, concurrency=concurrency, rate=rate, accepted=0)


# New source addresses


def warm_up_cap(started_on: date, today: date, first_day: int, days: int) -> int | None:
    """How many messages a new source address may send today: `first_day`, then twice as many each day.

    None once the plan of `days` days is over; 0 before it has begun.
    """
    day = (today - started_on).days
    if day >= days:
        return None
    return first_day * 2**day if day >= 0 else 0
