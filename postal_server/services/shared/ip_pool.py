"""Source addresses: which pool a message leaves from, which address of it, and how new ones are warmed up.

Source: contract 6.9. A message keeps its address for all tries; only workers on a machine that has it take
the message.
"""

from __future__ import annotations

import random
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from functools import partial

from django.db.models import Q

from postal_server.conf import Config
from postal_server.mail.address import split_address, split_tag, suppression_key
from postal_server.mail.address_list import originators
from postal_server.mail.message import header_values
from postal_server.models import Body, Counter, Message, QueuedMessage
from postal_server.models.queue_state import QueueState
from postal_server.rules.lane import ANY_SOURCE
from postal_server.rules.shaping import warm_up_cap
from postal_server.rules.status import Scope

from . import counters
from .directory import Directory
from .entries import ServerEntry, SourceEntry
from .loader import load
from .rows import Transaction
from .work import Accepted

WARM_UP = "warm:"
STEP = 500  # messages a transaction


def bind(batch: Sequence[Accepted], directory: Directory, config: Config) -> Sequence[Accepted]:
    """New submissions, with a source address for each outgoing message whose pool has any."""
    if not config.postal.use_ip_pools or not directory.sources:
        return batch
    return [
        replace(
            accepted,
            messages=tuple(
                replace(new, source_id=_choose(new.server_id, accepted.raw, new.rcpt_to, directory))
                if new.scope is Scope.OUTGOING
                else new
                for new in accepted.messages
            ),
        )
        for accepted in batch
    ]


def choose_again(messages: Sequence[Message], directory: Directory, config: Config) -> dict[int, int]:
    """A source address, by message id, for stored messages that are queued once more. One query."""
    outgoing = [message for message in messages if message.scope == Scope.OUTGOING.value]
    if not config.postal.use_ip_pools or not directory.sources or not outgoing:
        return {}
    bodies = Body.objects.filter(pk__in=[message.body_id for message in outgoing])
    raw = {number: bytes(text) for number, text in bodies.values_list("pk", "raw")}
    return {
        message.id: _choose(message.server_id, raw.get(message.body_id or 0, b""), message.rcpt_to, directory)
        for message in outgoing
    }


def _choose(server_id: int, raw: bytes, recipient: str | None, directory: Directory) -> int:
    server = directory.servers.get(server_id)
    if server is None:
        return ANY_SOURCE
    senders = header_values(raw, "From") if directory.pool_rules(server) else []
    return draw(directory.pool(pool_of(server, senders, recipient, directory)))


def draw(sources: Sequence[SourceEntry]) -> int:
    """The id of one of the sources, drawn at random by their priorities; 0 if there are none."""
    if not sources:
        return ANY_SOURCE
    weights = [source.priority for source in sources]
    if not any(weights):
        return random.choice(sources).id  # noqa: S311 - spreads load, keeps no secret
    return random.choices(sources, weights)[0].id  # noqa: S311


def pool_of(
    server: ServerEntry, senders: Sequence[str], recipient: str | None, directory: Directory
) -> int | None:
    """The pool of a message: by a rule of its server, by one of its organization, or the server's own.

    `senders` are the values of its From fields. Of several rules the newest counts.
    """
    rules = directory.pool_rules(server)
    if rules:
        names = _names(_senders(senders)), _names([recipient] if recipient else [])
        for rule in rules:
            if rule.senders & names[0] or rule.recipients & names[1]:
                return rule.pool_id
    return server.ip_pool_id


def _senders(values: Iterable[str]) -> list[str]:
    """The addresses in From fields; fields that cannot be parsed have none."""
    addresses: list[str] = []
    for value in values:
        with suppress(ValueError):
            addresses += originators(value)
    return addresses


def _names(addresses: Iterable[str]) -> set[str]:
    """The names by which a condition may mean these addresses: without tags, and by their domains."""
    keys = set()
    for address in addresses:
        local, domain = split_address(suppression_key(address))
        keys |= {f"{split_tag(local)[0]}@{domain}", domain}
    return keys


# Warming up


def left_today(sources: Iterable[SourceEntry], now: datetime) -> dict[int, int]:
    """How many messages each source that is being warmed up may still send today. One query at most."""
    today = now.date()
    caps = {source.id: cap for source in sources if (cap := _cap(source, today)) is not None}
    if not caps:
        return {}
    names = {_counter(number, today): number for number in caps}
    sent = {
        names[name]: value
        for name, value in Counter.objects.filter(name__in=names).values_list("name", "value")
    }
    return {number: max(0, cap - sent.get(number, 0)) for number, cap in caps.items()}


def count(source_ids: Iterable[int], directory: Directory, now: datetime) -> None:
    """Count messages that were sent from these sources, one each; only new addresses are counted."""
    today = now.date()
    sent: Tally[str] = Tally()
    for number in source_ids:
        source = directory.sources.get(number)
        if source is not None and _cap(source, today) is not None:
            sent[_counter(number, today)] += 1
    counters.add(sent)


def _cap(source: SourceEntry, today: date) -> int | None:
    if source.warm_up_from is None:
        return None
    return warm_up_cap(source.warm_up_from, today, source.warm_up_first_day, source.warm_up_days)


def _counter(source_id: int, day: date) -> str:
    return f"{WARM_UP}{source_id}:{day:%Y%m%d}"


# Each minute


def keep(config: Config, now: datetime, write_transaction: Transaction) -> None:
    """Free mail that is bound to a deleted address, and let others of its pool help one that has sent
    what it may today. Mail that was tried keeps its address.
    """
    directory = load() if config.postal.use_ip_pools else None
    known = directory.sources if directory else {}
    left = left_today(known.values(), now)
    for number in _bound():
        source = known.get(number)
        if source is None or directory is None:
            _move(number, lambda: ANY_SOURCE, Q(), write_transaction)
        elif left.get(number) == 0:
            others = [other for other in directory.pool(source.pool_id) if left.get(other.id) != 0]
            if others:
                _move(number, partial(draw, others), Q(attempts=0), write_transaction)
    with write_transaction():
        counters = Counter.objects.filter(name__startswith=WARM_UP)
        counters.exclude(name__endswith=_counter(0, now.date())[-9:]).delete()


def _bound() -> list[int]:
    """The sources that ready messages are bound to: one step along the index for each."""
    ready = QueuedMessage.objects.filter(QueueState.READY.rows).order_by("source_id")
    ids = ready.values_list("source_id", flat=True)
    ids_in_use: list[int] = []
    while number := ids.filter(source_id__gt=ids_in_use[-1] if ids_in_use else ANY_SOURCE).first():
        ids_in_use.append(number)
    return ids_in_use


def _move(source_id: int, to: Callable[[], int], which: Q, write_transaction: Transaction) -> None:
    rows = QueuedMessage.objects.filter(which, QueueState.READY.rows, source_id=source_id)
    while ids := list(rows.values_list("pk", flat=True)[:STEP]):
        with write_transaction():
            rows.filter(pk__in=ids).update(source_id=to())
