"""Look at the suppression lists: which entries there are, who would be stopped, and what is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from postal_server.mail.address import suppression_key
from postal_server.models import FailureEvidence, Message, Stream, Suppression
from postal_server.rules import suppression as rules
from postal_server.rules.stream import StreamKind
from postal_server.rules.suppression import Reason, State
from postal_server.services.results import suppression_entries as entries
from postal_server.services.results.suppression_entries import Stop

MOST_CHECKED = 1000  # addresses


@dataclass(frozen=True)
class ListFilter:
    """Which entries: those that stop mail, or else the proposed or the ended ones.

    `scope` None is any, empty those for all mail. `text` is a part of the address.
    """

    server_id: int | None = None
    reason: Reason | None = None
    scope: str | None = None
    text: str = ""
    expires_before: datetime | None = None
    is_ended: bool = False
    is_proposed: bool = False


def select(selection: ListFilter, now: datetime) -> QuerySet[Suppression]:
    """These entries, the oldest first."""
    rows = Suppression.objects.filter(entries.past(now)) if selection.is_ended else entries.standing(now)
    if not selection.is_ended:
        rows = rows.filter(state=(State.PROPOSED if selection.is_proposed else State.ACTIVE).value)
    if selection.server_id is not None:
        rows = rows.filter(server_id=selection.server_id)
    if selection.reason is not None:
        rows = rows.filter(reason=selection.reason.value)
    if selection.scope is not None:
        rows = rows.filter(scope=selection.scope)
    if selection.text:
        rows = rows.filter(key__contains=selection.text.lower())
    if selection.expires_before is not None:
        rows = rows.filter(keep_until__lt=selection.expires_before)
    return rows.order_by("pk")


# Ask


def check(
    addresses: Sequence[str], server_id: int, now: datetime, *, stream: str = "", domain: str = ""
) -> list[tuple[str, Stop | None]]:
    """What would stop mail of a stream and from a domain to each of these addresses; None: nothing.

    Two queries. A stream that has sent no mail yet is taken for bulk mail.
    """
    known = Stream.objects.filter(server_id=server_id, name=stream).first() if stream else None
    found = entries.find([(server_id, address) for address in addresses], now)
    scopes = rules.scopes_of_mail(stream=stream, domain=domain)
    return [
        (
            address,
            entries.stop_for(
                (server_id, address),
                found,
                scopes,
                is_transactional=known is not None and known.kind == StreamKind.TRANSACTIONAL.value,
                must_arrive=known is not None and known.must_arrive,
            ),
        )
        for address in addresses
    ]


@dataclass(frozen=True)
class History:
    """All that is remembered of an address: its entries, and the failures that may lead to one."""

    entries: Sequence[Suppression]
    strikes: Sequence[FailureEvidence]


def history(address: str, server_id: int | None = None) -> History:
    """What is remembered of an address, on one server or on all; the newest first."""
    key = suppression_key(address)
    which = Q(key=key) if server_id is None else Q(key=key, server_id=server_id)
    return History(
        list(Suppression.objects.filter(which).order_by("-created_at", "-pk")),
        list(FailureEvidence.objects.filter(which).order_by("-created_at", "-pk")),
    )


def made_by(message: Message) -> list[Suppression]:
    """The entries that followed from a message, or from what came back about it."""
    server_id, key = entries.key_of((message.server_id, message.rcpt_to or ""))
    rows = Suppression.objects.filter(server_id=server_id, key=key, source_message_id=message.pk)
    return list(rows.order_by("pk"))
