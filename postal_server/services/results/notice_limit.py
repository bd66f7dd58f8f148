"""Limit the failure notices of an hour: from one mail server, and to one address.

MAIL FROM is easily forged: without limits, notices could flood somebody who sent nothing (backscatter).
"""

from __future__ import annotations

import hashlib
from collections import Counter as Tally
from collections.abc import Sequence
from datetime import datetime

from postal_server.conf import Config
from postal_server.mail.address import suppression_key
from postal_server.models import Counter
from postal_server.services.shared import counters

HOUR = 3600
PREFIX = "notice:"
Notice = tuple[int, str]  # the mail server, and whom it would write to


def admit(wanted: Sequence[Notice], config: Config, now: datetime) -> list[bool]:
    """Which of these notices may go, in order. One query. Call `count` for those that were sent.

    Workers may overrun a limit together, by what each of them records at a time.
    """
    names = {name for notice in wanted for name in _names(notice, now)}
    used = Tally(dict(Counter.objects.filter(name__in=names).values_list("name", "value")))
    most = config.delivery.max_notices_per_server, config.delivery.max_notices_per_recipient
    answers = []
    for notice in wanted:
        places = _names(notice, now)
        is_admitted = all(used[name] < limit for name, limit in zip(places, most, strict=True))
        if is_admitted:
            used.update(places)
        answers.append(is_admitted)
    return answers


def count(sent: Sequence[Notice], now: datetime) -> None:
    """Count notices that are stored, in the transaction that stored them."""
    counters.add(Tally(name for notice in sent for name in _names(notice, now)))


def forget(now: datetime) -> int:
    """Delete the counts of hours that are over; answers how many."""
    names = Counter.objects.filter(name__startswith=PREFIX).values_list("name", flat=True)
    old = [name for name in names if int(name.rsplit(":", 1)[1]) < _hour(now)]
    return Counter.objects.filter(name__in=old).delete()[0] if old else 0


def _hour(now: datetime) -> int:
    return int(now.timestamp()) // HOUR


def _names(notice: Notice, now: datetime) -> tuple[str, str]:
    """The names of the two counts: of the mail server, and of the address whatever server writes to it."""
    server_id, address = notice
    digest = hashlib.sha256(suppression_key(address).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{PREFIX}{server_id}:{_hour(now)}", f"{PREFIX}@{digest}:{_hour(now)}"
