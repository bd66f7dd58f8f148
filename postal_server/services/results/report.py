"""Record what reports say of outgoing messages, and find out what of it is new."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from postal_server.mail.address import suppression_key
from postal_server.mail.report import Kind, Part
from postal_server.models import Message, Report
from postal_server.rules.classification import Classification
from postal_server.services.shared.rows import insert
from postal_server.services.shared.work import Effect
from postal_server.wire.classification import DIAGNOSTIC_CHARACTERS

from .batch import Batch, News
from .suppression_entries import ADDRESS_CHARACTERS

REPEATED_WITHIN = timedelta(days=7)
MOST_KEPT = 20  # about one message in that time: failures and others, by strong and by weak evidence each

# What the deliveries of reports say. That of bounces is Postal's.
LINKED = "This has been detected as {what} <msg:{id}>."
_WHAT = {
    Kind.COMPLAINT: "a complaint about",
    Kind.UNSUBSCRIBE: "a request to unsubscribe that answers",
    Kind.NOT_SPAM: "a notice that the recipient does not take for spam",
    Kind.AUTH_FAILURE: "a report on the authentication of",
    Kind.DELIVERED: "a notice of the delivery of",
    Kind.RELAYED: "a notice that another mail server has passed on",
    Kind.EXPANDED: "a notice that a mailing list has passed on",
    Kind.DELAYED: "a notice of a delay of",
    Kind.BOUNCE: "a bounce message for",
    Kind.CHALLENGE: "a challenge in answer to",
    Kind.AUTOREPLY: "an automatic reply to",
    Kind.REPLY: "a reply to",
}
_WHAT_ELSE = "mail of no known kind about"


class FoundBy(str, Enum):
    """What led from a report to a message, strongest first."""

    RETURN_PATH = "return_path"
    ENVELOPE_ID = "envelope_id"  # RFC 3464 section 2.2.1
    TOKEN = "token"  # noqa: S105 - X-Postal-MsgID in the returned header
    MESSAGE_ID = "message_id"  # in the returned header, with a recipient that was reported
    NOTHING = ""


@dataclass(frozen=True)
class Reported(Effect):
    """What a report says of an outgoing message; `original_id` is None where none could be found.

    `is_strong`: only the message's receiver can have known what led to it. `is_forwarded`: what the report
    says is about another address than the message's. Kinds that have consequences have a subclass each.
    """

    original_id: int | None
    kind: Kind
    part: Part = field(default_factory=Part)
    found_by: FoundBy = FoundBy.NOTHING
    is_strong: bool = False
    is_forwarded: bool = False
    reporting_mta: str | None = None
    recognizer: str = ""
    classification: Classification | None = None


def linked(kind: Kind, original_id: int) -> str:
    """The sentence in which a report names the message that it is about."""
    return LINKED.format(what=_WHAT.get(kind, _WHAT_ELSE), id=original_id)


def apply(batch: Batch) -> None:
    """Store what reports say; sort it into `news`, `confirmed` and `surplus` of the batch for other effects.

    Three queries, two where no message was found.
    """
    carried = batch.carrying(Reported)
    if not carried:
        return
    ids = {reported.original_id for _, reported in carried if reported.original_id is not None}
    originals = _locked(ids)
    known = _Known.of(ids, batch.now)
    rows: list[Report] = []
    named: dict[int, set[int]] = defaultdict(set)  # messages, by the report that names them
    for entry, reported in carried:
        report = entry.message
        original = originals.get(reported.original_id or 0)
        if original is None:
            rows.append(_row(report, reported, None, batch.now))
            continue
        if named[report.id] and original.id not in named[report.id]:
            batch.add_delivery(report.id, entry.status, linked(reported.kind, original.id))
        named[report.id].add(original.id)
        if known.are_enough(original.id, reported):
            batch.surplus.append((entry, original.id))
            continue
        before = known.add(original.id, reported)
        rows.append(_row(report, reported, original, batch.now, is_repeated=before is not None))
        if before is None:
            batch.news.append(News(entry, reported, original))
        elif reported.is_strong and not before:
            batch.confirmed.append(News(entry, reported, original))
    insert(rows)


def _locked(ids: Collection[int]) -> dict[int, Message]:
    """These messages, locked: of two workers with the same report, only one may find that it is new."""
    rows = Message.objects.filter(pk__in=ids).select_for_update().order_by("pk").defer("prefix")
    return {row.id: row for row in rows} if ids else {}


@dataclass
class _Known:
    """What was reported lately, and whether by strong evidence; what this batch adds to it is included.

    Weak reports are counted apart: whoever forges them must not keep others from being heard. So are
    failures: a host that reports a delay every few hours reports in the end that it has given up.
    """

    said: dict[tuple[int, str, str], bool] = field(default_factory=dict)
    counts: Counter[tuple[int, bool, bool]] = field(default_factory=Counter)  # message, failure, strong

    @classmethod
    def of(cls, ids: Collection[int], now: datetime) -> _Known:
        known = cls()
        if ids:
            rows = Report.objects.filter(original_id__in=ids, created_at__gt=now - REPEATED_WITHIN)
            for original_id, kind, status, is_strong in rows.values_list(
                "original_id", "kind", "status", "is_strong"
            ):
                known._count((original_id or 0, kind, status), is_strong=is_strong)
        return known

    def are_enough(self, original_id: int, reported: Reported) -> bool:
        is_failure = reported.kind is Kind.BOUNCE
        return self.counts[original_id, is_failure, reported.is_strong] >= MOST_KEPT

    def add(self, original_id: int, reported: Reported) -> bool | None:
        """Add it. Was the same said before by strong evidence? None: it was not said at all."""
        said = (original_id, reported.kind.value, reported.part.status or "")
        before = self.said.get(said)
        self._count(said, is_strong=reported.is_strong)
        return before

    def _count(self, said: tuple[int, str, str], *, is_strong: bool) -> None:
        original_id, kind, _ = said
        self.counts[original_id, kind == Kind.BOUNCE.value, is_strong] += 1
        self.said[said] = self.said.get(said, False) or is_strong


def _row(
    report: Message,
    reported: Reported,
    original: Message | None,
    now: datetime,
    *,
    is_repeated: bool = False,
) -> Report:
    part, found = reported.part, reported.classification
    address = original.rcpt_to if original else part.final_recipient or part.original_recipient
    return Report(
        server_id=report.server_id,
        message_id=report.id,
        original_id=original.id if original else None,
        kind=reported.kind.value,
        found_by=reported.found_by.value,
        is_strong=reported.is_strong,
        is_repeated=is_repeated,
        is_forwarded=reported.is_forwarded,
        address=suppression_key(address or "")[:ADDRESS_CHARACTERS],
        recognizer=reported.recognizer,
        action=part.action[:32],
        status=part.status or "",
        final_recipient=part.final_recipient,
        original_recipient=part.original_recipient,
        reporting_mta=reported.reporting_mta,
        remote_mta=part.remote_mta,
        diagnostic=part.diagnostic and part.diagnostic[:DIAGNOSTIC_CHARACTERS],
        failure_class=found.name.value if found else "",
        rule=found.rule if found else "",
        created_at=now,
    )
