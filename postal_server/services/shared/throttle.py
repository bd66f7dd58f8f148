"""Limits on failed logins, for SMTP keys and for people's passwords.

Every edge that checks a secret has a `Throttle` of its own: it calls `wait` before the check, and then
`failed` or `succeeded`. Kept in memory, where an event loop can ask; each process counts for itself, so that
several of them allow as many times the limits.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from postal_server.conf import Config
from postal_server.rules.client import client_key

MAX_REMEMBERED = 10_000  # counts; who fails from more places than that meets the limit of the account
MAX_ACCOUNT_LENGTH = 150  # characters that are looked at

Place = tuple[str, str]  # an account and a client; empty: any
V = TypeVar("V")


@dataclass(frozen=True)
class Limits:
    """How many failures within `window` make a client wait.

    `of_account_and_client`: of one account from one client; `of_client`: of any accounts from one client;
    `of_account`: of one account from anywhere. The last two do not hold up who logged in to the account from
    this client before: a stranger cannot keep a person out, not even from the same address.
    """

    of_account_and_client: int = 10
    of_client: int = 30
    of_account: int = 100
    window: timedelta = timedelta(minutes=10)

    @classmethod
    def of(cls, config: Config) -> Limits:
        """The limits of the group `login`."""
        login = config.login
        return cls(
            of_account_and_client=login.max_failures,
            of_client=login.max_failures_per_client,
            of_account=login.max_failures_per_account,
            window=timedelta(minutes=login.window_minutes),
        )


class Throttle:
    """Counts failures. `now` is seconds of a monotonic clock, `client` an address.

    `account` is the name from the request, whether there is such an account or not, so that the answer does
    not reveal which. It is empty where a secret alone decides.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._failures: dict[Place, deque[float]] = {}  # the one that failed longest ago first
        self._known: dict[Place, None] = {}  # who logged in
        self._lock = threading.Lock()  # passwords are checked in several threads

    def wait(self, account: str, client: str, now: float) -> float:
        """Seconds until this client may try this account again; 0: now."""
        account, client = _place(account, client)
        window = self._limits.window.total_seconds()
        longest = 0.0
        with self._lock:
            for place, limit in self._counts(account, client):
                failures = self._failures.get(place)
                is_spared = place != (account, client) and (account, client) in self._known
                if failures and len(failures) >= limit and not is_spared:
                    longest = max(longest, failures[0] + window - now)
        return longest

    def failed(self, account: str, client: str, now: float) -> None:
        """The secret was wrong."""
        with self._lock:
            for place, limit in self._counts(*_place(account, client)):
                failures = self._failures.pop(place, None) or deque(maxlen=limit)
                failures.append(now)
                _remember(self._failures, place, failures)

    def succeeded(self, account: str, client: str) -> None:
        """The secret was right: forget this client's failures with this account."""
        place = _place(account, client)
        if not place[0]:
            return
        with self._lock:
            self._failures.pop(place, None)
            self._known.pop(place, None)
            _remember(self._known, place, None)

    def _counts(self, account: str, client: str) -> list[tuple[Place, int]]:
        """The counts that a failure belongs to, and their limits."""
        counts = [(("", client), self._limits.of_client)]
        if account:
            counts += [
                ((account, client), self._limits.of_account_and_client),
                ((account, ""), self._limits.of_account),
            ]
        return counts


def _place(account: str, client: str) -> Place:
    return account[:MAX_ACCOUNT_LENGTH].casefold(), client_key(client) or "unknown"


def _remember(memory: dict[Place, V], place: Place, value: V) -> None:
    if len(memory) >= MAX_REMEMBERED:
        memory.pop(next(iter(memory)))
    memory[place] = value
