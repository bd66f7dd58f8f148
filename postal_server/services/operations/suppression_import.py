"""Put the entries of a file on the suppression list of a mail server, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from postal_server.conf import Config
from postal_server.errors import HostileInput
from postal_server.rules.classification import MAX_RULE
from postal_server.rules.suppression import TEXTS
from postal_server.services.results import suppression_entries as entries
from postal_server.services.results.suppression import ANSWER_CHARACTERS, CODE_CHARACTERS
from postal_server.services.shared.rows import Transaction

from .suppression_file import BadLine, Item
from .suppression_formats import Given

TOGETHER = 2000  # entries a transaction


class ImportStopped(HostileInput):
    """A bad line, above which all is imported."""


@dataclass(frozen=True)
class ImportTarget:
    """Where entries go that do not say more: `scope` is that of those without one."""

    server_id: int
    config: Config
    now: datetime
    scope: str = ""


@dataclass
class ImportTally:
    """What an import has done so far.

    `put` are entries that are new or last longer now, `kept` those that were there for as long, or twice in
    the file; `over` had ended before; `bad` are lines that were skipped.
    """

    put: int = 0
    kept: int = 0
    over: int = 0
    bad: int = 0


def steps(
    items: Iterable[Item],
    target: ImportTarget,
    tally: ImportTally,
    write_transaction: Transaction | None,
    skip: Callable[[BadLine], None] | None = None,
) -> Iterator[int]:
    """Put entries on the list; yields how many lines each step has dealt with.

    Each step is a transaction, and an import that is repeated puts nothing twice. Without
    `write_transaction` nothing is written, and `tally` counts each entry as put. A bad line is given to
    `skip`; without it, raises `ImportStopped` once the lines above it are written.
    """
    batch: list[dict[str, Any]] = []
    seen = 0
    for item in items:
        if isinstance(item, BadLine):
            if skip is None:
                _write(batch, tally, write_transaction)
                raise ImportStopped(str(item))
            tally.bad += 1
            skip(item)
        elif _is_over(item, target.now):
            tally.over += 1
        else:
            batch.append(_values(item, target))
        seen += 1
        if seen >= TOGETHER:
            _write(batch, tally, write_transaction)
            yield seen
            batch, seen = [], 0
    _write(batch, tally, write_transaction)
    yield seen


def _is_over(given: Given, now: datetime) -> bool:
    return given.is_over or (given.keep_until is not None and given.keep_until <= now)


def _write(batch: list[dict[str, Any]], tally: ImportTally, write_transaction: Transaction | None) -> None:
    if write_transaction is None:
        tally.put += len(batch)
        return
    with write_transaction():
        put = entries.put_longer(batch)
    tally.put += put
    tally.kept += len(batch) - put


def _values(given: Given, target: ImportTarget) -> dict[str, Any]:
    server_id, key = entries.key_of((target.server_id, given.address))
    return {
        "server_id": server_id,
        "key": key,
        "scope": given.scope or target.scope,
        "reason": given.reason.value,
        "address": given.address[: entries.ADDRESS_CHARACTERS],
        "text": (given.text or TEXTS[given.reason])[: entries.TEXT_CHARACTERS],
        "created_at": min(given.created_at or target.now, target.now),
        "keep_until": _keep_until(given, target),
        "times": given.times,
        "code": given.code[:CODE_CHARACTERS],
        "rule": given.rule[:MAX_RULE],
        "answer": given.answer[:ANSWER_CHARACTERS],
    }


def _keep_until(given: Given, target: ImportTarget) -> datetime | None:
    if given.keep_until or given.is_without_end:
        return given.keep_until
    return entries.default_keep_until(target.config, target.now, given.reason)
