"""When to try again: messages and webhooks.

`jitter` is a number from 0 to 1 that the caller draws; it spreads the retries of what failed together.
"""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST_WAIT = timedelta(minutes=5)
GROWTH = 1.3
SPREAD = 0.1  # the longest wait is a tenth longer than the shortest
LONGEST_NAMED_WAIT = timedelta(days=1)  # a remote that names a year must not park a message for it

WEBHOOK_WAITS = (
    *(timedelta(minutes=minutes) for minutes in (2, 3, 6, 10, 15)),  # Postal's, which ends here
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (1, 2, 4, 8, 12, 12, 12, 12, 8)),
)
WEBHOOK_LIFETIME = timedelta(days=3, hours=6)  # a little more than the sum of the waits


def _wait(base: timedelta, least: timedelta | None, jitter: float) -> timedelta:
    # Jitter: a restart or a recovered receiver must not see everything at once.
    waited = base * (1 + SPREAD * jitter)
    return max(waited, min(least, LONGEST_NAMED_WAIT)) if least else waited


def next_attempt(
    failures: int, now: datetime, *, jitter: float, retry_after: timedelta | None = None
) -> datetime:
    """When to try a message again after `failures` failed tries (1 or more).

    Waits 5 min, then 1.3 times longer each time. A wait that the remote named is a minimum, so that
    greylisting by seconds does not use up the attempts (contract 6.7, Q46). `now` and the result are
    aware UTC. Source: Postal's retry times, which start sooner than RFC 5321 section 4.5.4.1 advises.
    """
    return now + _wait(FIRST_WAIT * GROWTH ** (failures - 1), retry_after, jitter)


def next_webhook_attempt(
    failures: int, now: datetime, *, jitter: float, retry_after: timedelta | None = None
) -> datetime | None:
    """When to send a webhook again after `failures` failed tries (1 or more); None when it is given up.

    Postal's five waits (contract 3.5), then growing ones over three days. `Retry-After` is a minimum.
    """
    if failures > len(WEBHOOK_WAITS):
        return None
    return now + _wait(WEBHOOK_WAITS[failures - 1], retry_after, jitter)
