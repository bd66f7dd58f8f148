"""Look at reports: what came back about mail, and what it was taken for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from postal_server.mail.address import as_stored, domain_key, suppression_key
from postal_server.mail.charset import storable
from postal_server.models import Message, Report
from postal_server.models.message import message_id_key
from postal_server.rules.status import Scope
from postal_server.services.shared.token import MSGID, ids_by_token
from postal_server.wire import message as wire
from postal_server.wire.api import MAX_ID


def find(
    messages: QuerySet[Message],
    *,
    kind: str = "",
    server_id: int | None = None,
    since: datetime | None = None,
    domain: str = "",
    search: str = "",
    now: datetime,
) -> QuerySet[Message]:
    """The reports among these messages.

    `since` is when they came in, `domain` that of recipients they are about. `search` is as in `matching`,
    or `@` and such a domain.
    """
    found = messages.exclude(kind="")
    if kind:
        found = found.filter(kind=kind)
    if server_id is not None:
        found = found.filter(server_id=server_id)
    if since is not None:
        found = found.filter(created_at__gte=since)
    term = storable(search.strip().strip("<>"))
    for of in filter(None, [domain, term[1:] if term.startswith("@") else ""]):
        about = Report.objects.filter(address__endswith=f"@{domain_key(of)}")
        found = found.filter(pk__in=about.values("message_id"))
    return found.filter(matching(term, now)) if term and not term.startswith("@") else found


def matching(term: str, now: datetime) -> Q:
    """The condition on reports that have to do with `term`.

    It is an id, a message token, the address of a recipient, a return path, a Message-ID, or how a subject
    begins. Ids, tokens and Message-IDs are those of reports or of the messages that these are about.
    """
    if "@" in term:
        return _with_address(term, now)
    numbers = [int(term)] if term.isascii() and term.isdigit() and int(term) <= MAX_ID else []
    if MSGID.match(term):
        numbers += ids_by_token([term]).values()
    return Q(subject__istartswith=term) | _about(numbers) | Q(pk__in=numbers)


def _about(originals: Collection[int]) -> Q:
    return Q(pk__in=Report.objects.filter(original_id__in=originals).values("message_id"))


def _with_address(term: str, now: datetime) -> Q:
    with_id = {"message_id_hash": message_id_key(term, now)[1], "message_id": term}
    sent = Message.objects.filter(scope=Scope.OUTGOING.value, **with_id).values("pk")
    rows = Report.objects.filter(Q(address=suppression_key(term)) | Q(original_id__in=sent))
    address = as_stored(term)
    return Q(pk__in=rows.values("message_id")) | Q(**with_id) | Q(rcpt_to__iexact=term) | Q(mail_from=address)


def said_by(report_ids: Collection[int]) -> Mapping[int, Sequence[Report]]:
    """What reports say, by their ids; one row for each message that a report is about."""
    said: defaultdict[int, list[Report]] = defaultdict(list)
    for row in Report.objects.filter(message_id__in=report_ids).order_by("pk"):
        said[row.message_id].append(row)
    return said


def show(report: Message, said: Sequence[Report]) -> dict[str, Any]:
    """A report as JSON: the mail, and `about` with what it says of each message."""
    return {
        "id": report.pk,
        "kind": report.kind,
        "from": report.mail_from,
        "to": report.rcpt_to,
        "subject": report.subject,
        "message_id": report.message_id,
        "timestamp": wire.epoch(report.created_at),
        "about": [
            {"original_message": row.original_id, **shown}
            for row, shown in zip(said, wire.reports(said), strict=True)
        ],
    }


def about(message_id: int) -> list[Report]:
    """What came back about an outgoing message, the oldest first."""
    return list(Report.objects.filter(original_id=message_id).order_by("created_at", "pk"))
