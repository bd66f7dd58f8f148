"""Recognize bounces, and match them with the messages that bounced. Source: contract 7.1."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import starmap
from typing import NamedTuple

from postal_server.conf import Config
from postal_server.mail.address import split_address, suppression_key
from postal_server.mail.bounce import BounceKind, recognize
from postal_server.models import ImportedToken, Message
from postal_server.models.message import message_id_key
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.results.bounce import LINKED, Bounced
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.token import message_ids_of, read_return_path
from postal_server.services.shared.work import Decision

from .job import Job

MESSAGE_ID_DAYS = (
    14  # how long after a mail a report without our tokens is matched; mail servers give up sooner
)


@dataclass(frozen=True)
class _Clues:
    """What a report says: ids of messages, or a Message-ID and the recipients that it reports on."""

    server_id: int
    ids: frozenset[int]
    message_id: str | None = None
    recipients: frozenset[str] = frozenset()
    is_hard: bool = False
    came_to: str = ""  # the domain of the return path


def recognize_bounces(
    jobs: Sequence[Job], directory: Directory, config: Config, now: datetime
) -> dict[int, Decision]:
    """The decisions, by the report's id, that reports are processed and their messages have bounced.

    Takes the queries of `match`, none without reports.
    """
    reports = {job.message.id: job for job in jobs if job.message.is_report}
    matches = match(list(reports.values()), directory, config, now)
    return {
        number: Decision(
            reports[number].claimed,
            DeliveryStatus.PROCESSED,
            LINKED.format(id=bounced[0].message_id),
            effects=bounced,
        )
        for number, bounced in matches.items()
    }


def match(
    reports: Sequence[Job], directory: Directory, config: Config, now: datetime
) -> dict[int, tuple[Bounced, ...]]:
    """The outgoing messages that reports are about, by the report's id; reports without one are left out.

    As in Postal, whatever comes back to a return path counts as a bounce, reports of a delay too; but only
    hard ones, whose recipients cannot be reached at all, suppress.

    They are matched by the message token in the return path and the tokens that the report quotes. Mail whose
    return path had none is matched by the Message-ID in the returned header and the recipient, never by the
    recipient alone. Every recipient of a mail knows its Message-ID and could forge a report about the others:
    so it is no evidence about mail that has tokens, and never suppresses. Two queries for a batch, one or two
    more for what is looked up by Message-ID, and one for each report with tokens that were not made here.
    """
    clues = {job.message.id: _clues(job, directory, config) for job in reports}
    named = {number for clue in clues.values() for number in clue.ids}
    servers = _servers(named)
    found: dict[int, tuple[Bounced, ...]] = {}
    others: dict[int, _Clues] = {}
    for report_id, clue in clues.items():
        ids = sorted(number for number in clue.ids if servers.get(number) == clue.server_id)
        if ids:
            found[report_id] = tuple(Bounced(number, clue.is_hard) for number in ids)
        elif clue.message_id and clue.recipients:
            others[report_id] = clue
    return found | _by_message_id(others, directory, config, now)


def _clues(job: Job, directory: Directory, config: Config) -> _Clues:
    ids = set()
    path = read_return_path(job.message.rcpt_to or "", directory, config)
    if path is not None and path[1] is not None:
        ids.add(path[1])
    bounce = recognize(job.body or b"")
    if bounce is None:
        return _Clues(job.server.id, frozenset(ids))
    ids.update(message_ids_of(bounce.tokens, job.server.id))
    reported = bounce.report.recipients if bounce.report else ()
    addresses = [address for r in reported for address in (r.final_recipient, r.original_recipient)]
    return _Clues(
        server_id=job.server.id,
        ids=frozenset(ids),
        message_id=bounce.original_message_id,
        recipients=frozenset(suppression_key(address) for address in addresses if address),
        is_hard=bounce.kind is BounceKind.HARD,
        came_to=split_address(job.message.rcpt_to or "")[1].lower(),
    )


def _servers(ids: Collection[int]) -> dict[int, int]:
    """The server of each outgoing message among `ids`."""
    if not ids:
        return {}
    rows = Message.objects.filter(id__in=ids, scope=Scope.OUTGOING.value)
    return dict(rows.values_list("id", "server_id"))


def _by_message_id(
    clues: Mapping[int, _Clues], directory: Directory, config: Config, now: datetime
) -> dict[int, tuple[Bounced, ...]]:
    if not clues:
        return {}
    rows = list(_sent_lately({clue.message_id for clue in clues.values() if clue.message_id}, now))
    imported = _imported(row.id for row in rows)
    found = {}
    for report_id, clue in clues.items():
        bounced = tuple(
            Bounced(row.id)
            for row in rows
            if (row.server_id, row.message_id) == (clue.server_id, clue.message_id)
            and suppression_key(row.rcpt_to or "") in clue.recipients
            and (row.id in imported or _is_own_path(clue.came_to, row.domain_id, directory, config))
        )
        if bounced:
            found[report_id] = bounced
    return found


def _is_own_path(came_to: str, domain_id: int | None, directory: Directory, config: Config) -> bool:
    """Did the report come to a return path of the domain's own, which has no token of a message?"""
    domain = directory.domains.get(domain_id or 0)
    return (
        domain is not None
        and domain.return_path_status == "OK"
        and came_to == f"{config.dns.custom_return_path_prefix}.{domain.name}".lower()
    )


def _imported(ids: Iterable[int]) -> set[int]:
    """Those that Postal sent: its return paths have no token of a message either."""
    wanted = list(ids)
    if not wanted:
        return set()
    rows = ImportedToken.objects.filter(message_id__in=wanted)
    return set(rows.values_list("message_id", flat=True))


class _Sent(NamedTuple):
    id: int
    server_id: int
    message_id: str | None
    rcpt_to: str | None
    domain_id: int | None


def _sent_lately(message_ids: Iterable[str], now: datetime) -> Iterator[_Sent]:
    days = [message_id_key("", now - timedelta(days=age))[0] for age in range(MESSAGE_ID_DAYS + 1)]
    hashes = [message_id_key(text, now)[1] for text in message_ids]
    rows = Message.objects.filter(
        message_id_day__in=days, message_id_hash__in=hashes, scope=Scope.OUTGOING.value
    )
    return starmap(_Sent, rows.order_by("id").values_list(*_Sent._fields))
