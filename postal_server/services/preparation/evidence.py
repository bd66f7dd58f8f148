"""Find the outgoing messages that reports are about, by the strongest evidence that each has.

Every recipient of a mail knows its Message-ID, and may know the mail server's token: with them he could forge
a report about the others. The token of a message is known to its receiver alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import starmap
from typing import NamedTuple

from postal_server.conf import Config
from postal_server.mail.address import suppression_key
from postal_server.mail.report import Part, Report
from postal_server.models import Message
from postal_server.models.message import message_id_key
from postal_server.rules.status import Scope
from postal_server.services.results.report import FoundBy
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.token import ids_by_token, read_return_path

from .job import Job

# How long after a mail a report is matched by the Message-ID; mail servers give up sooner.
MESSAGE_ID_DAYS = 14
# Messages with the Message-IDs of a batch of reports. Applications may give all their mail the same one, and
# who knows it may send any number of reports.
MOST_ROWS = 10_000

NOT_STORED = "The message that it names is no longer stored."
OF_ANOTHER_SERVER = "It names a message of another mail server."
OF_INCOMING_MAIL = "It names an incoming message."


class Original(NamedTuple):
    """An outgoing message that a report is about."""

    id: int
    rcpt_to: str | None


@dataclass(frozen=True)
class Found:
    """The messages that a report is about, and by what that is known.

    Where none was found, `why_not` is a sentence about one that it names, or empty if it names none.
    """

    found_by: FoundBy = FoundBy.NOTHING
    originals: tuple[Original, ...] = ()
    why_not: str = ""


class _Row(NamedTuple):
    id: int
    server_id: int
    scope: str
    rcpt_to: str | None
    message_id: str | None


def find(
    reports: Sequence[tuple[Job, Report]], directory: Directory, config: Config, now: datetime
) -> list[Found]:
    """What each report is about, in order. Three queries at most, none without reports.

    The message token in the return path counts alone. Else the first of these that leads to messages: the
    envelope id that we gave, the tokens in the returned header, and its Message-ID with a recipient.
    """
    ids = ids_by_token(token for _, report in reports for token in _tokens(report))
    claims = [_claims(job, report, ids, directory, config) for job, report in reports]
    rows = _rows({number for of_report in claims for _, numbers in of_report for number in numbers})
    found = [
        _by_token(of_report, rows, job.server.id) for of_report, (job, _) in zip(claims, reports, strict=True)
    ]
    others = {
        index: (job.server.id, report)
        for index, (job, report) in enumerate(reports)
        if not found[index].originals and claims[index][0][0] is not FoundBy.RETURN_PATH
    }
    for index, originals in _by_message_id(others, now).items():
        found[index] = Found(FoundBy.MESSAGE_ID, originals)
    return found


_Claims = Sequence[tuple[FoundBy, Sequence[int]]]


def _tokens(report: Report) -> Sequence[str]:
    return (*report.tokens, *([report.envelope_id] if report.envelope_id else ()))


def _claims(
    job: Job, report: Report, ids: Mapping[str, int], directory: Directory, config: Config
) -> _Claims:
    """The ids of messages that a report names by their tokens, the strongest evidence first."""
    path = read_return_path(job.message.rcpt_to or "", directory, config)
    if path is not None and path.message_id is not None:
        return [(FoundBy.RETURN_PATH, [path.message_id])]
    of_envelope = ids.get(report.envelope_id or "")
    return [
        (FoundBy.ENVELOPE_ID, [] if of_envelope is None else [of_envelope]),
        (FoundBy.TOKEN, list(dict.fromkeys(ids[token] for token in report.tokens if token in ids))),
    ]


def _rows(ids: Collection[int]) -> dict[int, _Row]:
    if not ids:
        return {}
    rows = Message.objects.filter(id__in=ids).values_list(*_Row._fields)
    return {row.id: row for row in starmap(_Row, rows)}


def _by_token(claims: _Claims, rows: Mapping[int, _Row], server_id: int) -> Found:
    why_not = ""
    for found_by, numbers in claims:
        originals = []
        for number in numbers:
            reason = _why_not(rows.get(number), server_id)
            if reason:
                why_not = why_not or reason
            else:
                originals.append(Original(number, rows[number].rcpt_to))
        if originals:
            return Found(found_by, tuple(originals))
    return Found(why_not=why_not)


def _why_not(row: _Row | None, server_id: int) -> str:
    if row is None:
        return NOT_STORED
    if row.server_id != server_id:
        return OF_ANOTHER_SERVER
    return "" if row.scope == Scope.OUTGOING.value else OF_INCOMING_MAIL


def _by_message_id(
    reports: Mapping[int, tuple[int, Report]], now: datetime
) -> dict[int, tuple[Original, ...]]:
    """The messages that have the Message-ID and a recipient of a report, by the number of the report."""
    wanted = {
        (server_id, report.message_id)
        for server_id, report in reports.values()
        if report.message_id and report.parts
    }
    if not wanted:
        return {}
    sent = defaultdict(list)
    for row in _sent_lately(wanted, now):
        key = suppression_key(row.rcpt_to or "")
        sent[row.server_id, row.message_id].append((key, Original(row.id, row.rcpt_to)))
    found = {}
    for index, (server_id, report) in reports.items():
        recipients = {key for part in report.parts for key in reported_keys(part)}
        of_mail = sent.get((server_id, report.message_id), ())
        originals = tuple(original for key, original in of_mail if key in recipients)
        if originals:
            found[index] = originals
    return found


def reported_keys(part: Part) -> set[str]:
    """The recipients that a part of a report names, in the spelling in which addresses are compared."""
    named = (part.final_recipient, part.original_recipient)
    return {suppression_key(address) for address in named if address}


def _sent_lately(wanted: Collection[tuple[int, str]], now: datetime) -> Iterator[_Row]:
    """The messages of these servers that may have these Message-IDs, `MOST_ROWS` at most."""
    days = [message_id_key("", now - timedelta(days=age))[0] for age in range(MESSAGE_ID_DAYS + 1)]
    hashes = {message_id_key(text, now)[1] for _, text in wanted}
    rows = Message.objects.filter(
        message_id_day__in=days,
        message_id_hash__in=hashes,
        scope=Scope.OUTGOING.value,
        server_id__in={server_id for server_id, _ in wanted},
    )
    return starmap(_Row, rows.order_by("id").values_list(*_Row._fields)[:MOST_ROWS])
