"""The one door through which messages change status: `record`, in batches, inside the caller's transaction.

For each result: a delivery, the message's status, what preparing changed, events, suppressions, and mail
to senders whose mail failed. Texts are Postal's (contract, appendix A).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from postal_server.conf import Config
from postal_server.models import AddressEndpoint, Body, Delivery, HTTPEndpoint, Message, SMTPEndpoint
from postal_server.rules import suppression as suppression_rules
from postal_server.rules.retry import next_attempt
from postal_server.rules.status import DeliveryStatus, EndpointType, Scope
from postal_server.services.acceptance.storage import allocate_ids
from postal_server.services.shared import ip_pool
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.rows import insert, update_each
from postal_server.services.shared.token import tokens_of
from postal_server.services.shared.work import Changes, Claimed, Decision, Recorded, Result
from postal_server.wire import webhook as wire

from . import failure_notice as notice
from . import suppression, tls_sessions, webhook
from .webhook import Event

LINKED = "This has been detected as a bounce message for <msg:{id}>."
BOUNCED = "We've received a bounce message for this e-mail. See <msg:{id}> for details."
DETAILS_CHARACTERS = 250
OUTPUT_CHARACTERS = 250
STATUS_FIELDS = ("status", "last_attempt_at", "hold_expires_at")
CHANGED_FIELDS = (
    "prefix",
    "tag",
    "body_id",
    "is_rewritten",
    "is_inspected",
    "is_spam",
    "spam_score",
    "is_threat",
    "threat_details",
)


ENDPOINTS: Mapping[EndpointType, Any] = {
    EndpointType.HTTP: HTTPEndpoint,
    EndpointType.SMTP: SMTPEndpoint,
    EndpointType.ADDRESS: AddressEndpoint,
}


@dataclass
class _Entry:
    """One result with its message, while it is being recorded."""

    message: Message
    claimed: Claimed
    status: DeliveryStatus
    details: str
    delivery: Delivery
    changes: Changes | None
    notice: str | None  # how the details name the notice to the sender; null for none
    result: Result | Decision

    @property
    def recipient(self) -> suppression.Recipient:
        return self.message.server_id, self.message.rcpt_to or ""

    def add(self, sentence: str) -> None:
        """Put a further sentence behind the details."""
        self.details = f"{self.details.removesuffix('.')}. {sentence}" if self.details else sentence


def record(
    results: Sequence[Result | Decision], directory: Directory, config: Config, now: datetime
) -> Recorded:
    """Record a batch, and say which messages left the queue and when the others are due.

    Five queries for sent mail, and a few more for each kind of failure that occurs, whatever the size of the
    batch. What was deleted meanwhile is finished. The caller holds the transaction.
    """
    messages = Message.objects.defer("prefix").in_bulk([result.claimed.id for result in results])
    entries = [
        _entry(result, message, now) for result in results if (message := messages.get(result.claimed.id))
    ]
    _suppress(entries, config, now)
    withheld = _notify_senders(entries, directory, config, now)
    bounced = _originals(entries)
    _suppress_bounced(bounced, config, now)
    tls_sessions.count(results, config, now)
    _count_sources(results, directory, config, now)
    deliveries = [delivery for entry in entries for delivery in _deliveries(entry, now)]
    deliveries += [_delivery_of_bounce(original, entry.message, now) for entry, original in bounced]
    insert(deliveries)
    _update(entries, config, now)
    _update_bounced(bounced, now)
    _mark_endpoints(entries, now)
    webhook.emit(_events(entries, bounced, directory), directory, now)
    return _recorded(results, {entry.claimed.id: entry for entry in entries}, withheld, now)


def _count_sources(
    results: Sequence[Result | Decision], directory: Directory, config: Config, now: datetime
) -> None:
    """Count what new source addresses have sent."""
    if config.postal.use_ip_pools:
        sent = (r for r in results if isinstance(r, Result) and r.outcome.seconds is not None)
        ip_pool.count((result.claimed.source_id for result in sent), directory, now)


def _entry(result: Result | Decision, message: Message, now: datetime) -> _Entry:
    delivery = Delivery(message_id=message.id, created_at=now)
    told = None
    if isinstance(result, Result):
        outcome = result.outcome
        status, details, output = outcome.status, outcome.details, outcome.output
        delivery.code = outcome.code
        delivery.sent_with_ssl = outcome.sent_with_ssl
        delivery.tls = outcome.tls[:64]
        delivery.log_id = outcome.log_id
        delivery.seconds = outcome.seconds
        if status is DeliveryStatus.FAILED and outcome.may_notify_sender:
            told = ". Sent bounce message to sender (see message <msg:{id}>)"
    else:
        status, details, output, told = result.status, result.details, result.output, result.notice
    delivery.output = None if output is None else output.replace("\0", "").strip()[:OUTPUT_CHARACTERS]
    return _Entry(message, result.claimed, status, details, delivery, result.changes, told, result)


# Suppression (contract 7.3): only for mail that goes out, and only by what receivers said of the person.


def _suppress(entries: Iterable[_Entry], config: Config, now: datetime) -> None:
    outgoing = [e for e in entries if e.message.scope == Scope.OUTGOING.value and e.message.rcpt_to]
    failed = {e.message.id: e.recipient for e in outgoing if _blames_recipient(e)}
    again = suppression.note_failures(failed, config, now)
    # Nobody on the list is written to unless a person released the mail.
    reached = [e for e in outgoing if e.status is DeliveryStatus.SENT and e.claimed.is_manual]
    cleared = suppression.clear(e.recipient for e in reached)
    told = {
        e.recipient: e.result.suppress_for
        for e in outgoing
        if isinstance(e.result, Decision) and e.result.suppress_for
    }
    suppression.add(told, config, now)
    for entry in outgoing:
        if entry.message.id in again:
            entry.add(suppression_rules.ADDED)
        elif entry in reached and suppression.was_cleared(entry.recipient, cleared):
            entry.add(suppression_rules.REMOVED)


def _blames_recipient(entry: _Entry) -> bool:
    if entry.status is not DeliveryStatus.FAILED or not isinstance(entry.result, Result):
        return False
    outcome = entry.result.outcome
    return suppression_rules.blames_recipient(outcome.code, outcome.output or "")


# Mail to senders (contract 7.2): only for mail that came in.


def _notify_senders(entries: Sequence[_Entry], directory: Directory, config: Config, now: datetime) -> int:
    """Send the notices, and say how many a limit did not let go."""
    failed = [
        entry
        for entry in entries
        if entry.notice and entry.message.scope == Scope.INCOMING.value and notice.may_notify(entry.message)
    ]
    if not failed:
        return 0
    reasons = {entry.message.id: _told_reason(entry) for entry in failed}
    sent = notice.send([entry.message for entry in failed], reasons, directory, config, now)
    for entry in failed:
        number = sent.ids.get(entry.message.id)
        if number is not None and entry.notice:
            entry.details += entry.notice.format(id=number)
    return sent.withheld


def _told_reason(entry: _Entry) -> str:
    """Why it failed, for a stranger: without the URL, which may have a password in it, or the host inside."""
    if not isinstance(entry.result, Result):
        return entry.details
    code = entry.result.outcome.code
    if code is None:
        return "The recipient's system could not be reached."
    return f"The recipient's system answered {code}."


# Reports that matched (contract 7.1).


def _originals(entries: Sequence[_Entry]) -> list[tuple[_Entry, Message]]:
    """Each report with each message that it says has bounced."""
    wanted = [
        (entry, number)
        for entry in entries
        if isinstance(entry.result, Decision)
        for number in entry.result.bounced_ids
    ]
    if not wanted:
        return []
    rows = Message.objects.defer("prefix").in_bulk([number for _, number in wanted])
    return [(entry, rows[number]) for entry, number in wanted if number in rows]


def _suppress_bounced(bounced: Sequence[tuple[_Entry, Message]], config: Config, now: datetime) -> None:
    """Postal lets nobody off for a report (Q22); one that says the address is no good is worth a rest."""
    hard = {
        (original.server_id, original.rcpt_to or ""): suppression_rules.BOUNCED
        for entry, original in bounced
        if isinstance(entry.result, Decision) and entry.result.is_hard_bounce
    }
    suppression.add(hard, config, now)


def _delivery_of_bounce(original: Message, report: Message, now: datetime) -> Delivery:
    return Delivery(
        message_id=original.id,
        status=DeliveryStatus.BOUNCED.value,
        details=BOUNCED.format(id=report.id),
        created_at=now,
    )


def _update_bounced(bounced: Sequence[tuple[_Entry, Message]], now: datetime) -> None:
    if not bounced:
        return
    ids = {original.id for _, original in bounced}
    Message.objects.filter(id__in=ids).update(status=DeliveryStatus.BOUNCED.value, last_attempt_at=now)
    update_each(
        Message, ("bounce_for_id",), {entry.message.id: (original.id,) for entry, original in bounced}
    )


# What is written for every entry.


def _deliveries(entry: _Entry, now: datetime) -> list[Delivery]:
    """The entry's delivery; of a report that is about several messages, one for each."""
    entry.delivery.status = entry.status.value
    entry.delivery.details = entry.details[:DETAILS_CHARACTERS]
    others = entry.result.bounced_ids[1:] if isinstance(entry.result, Decision) else ()
    return [
        entry.delivery,
        *(
            Delivery(
                message_id=entry.message.id,
                status=entry.status.value,
                details=LINKED.format(id=number),
                created_at=now,
            )
            for number in others
        ),
    ]


def _update(entries: Sequence[_Entry], config: Config, now: datetime) -> None:
    """Status and changes of the messages: one statement for those that changed, one for each other status."""
    hold_until = now + timedelta(days=config.postal.default_maximum_hold_expiry_days)
    bodies = _store_bodies(entries, now)
    changed: dict[int, tuple[object, ...]] = {}
    plain: dict[DeliveryStatus, list[int]] = defaultdict(list)
    for entry in entries:
        message, changes = entry.message, entry.changes
        expires = hold_until if entry.status is DeliveryStatus.HELD else None
        if changes is None:
            plain[entry.status].append(message.id)
            continue
        found = changes.inspection
        changed[message.id] = (
            entry.status.value,
            now,
            expires,
            changes.prefix,
            changes.tag,
            bodies.get(message.id),
            changes.is_rewritten,
            True if found else None,
            found.is_spam if found else None,
            found.score if found else None,
            found.is_threat if found else None,
            found.threat_details if found else None,
        )
    update_each(Message, (*STATUS_FIELDS, *CHANGED_FIELDS), changed, keep=CHANGED_FIELDS)
    for status, ids in plain.items():
        Message.objects.filter(id__in=ids).update(
            status=status.value,
            last_attempt_at=now,
            hold_expires_at=hold_until if status is DeliveryStatus.HELD else None,
        )


def _store_bodies(entries: Sequence[_Entry], now: datetime) -> dict[int, int]:
    """Bodies that messages have for themselves from now on, as ids by message id.

    The one they shared stays for its other messages; retention removes it in the end.
    """
    own = [(e.message, e.changes.raw) for e in entries if e.changes is not None and e.changes.raw is not None]
    if not own:
        return {}
    ids = allocate_ids(len(own))
    insert(
        [
            Body(id=number, server_id=message.server_id, created_at=message.created_at, raw=raw)
            for number, (message, raw) in zip(ids, own, strict=True)
        ]
    )
    return {message.id: number for number, (message, _) in zip(ids, own, strict=True)}


def _mark_endpoints(entries: Sequence[_Entry], now: datetime) -> None:
    """Note which endpoints took mail; to the minute, as all workers write to these rows."""
    used: dict[str, set[int]] = defaultdict(set)
    for entry in entries:
        if entry.status is DeliveryStatus.SENT and entry.message.endpoint_id is not None:
            used[entry.message.endpoint_type].add(entry.message.endpoint_id)
    for kind, ids in used.items():
        unmarked = ENDPOINTS[EndpointType(kind)].objects.filter(pk__in=ids)
        unmarked.exclude(last_used_at__gt=now - webhook.MARK_INTERVAL).update(last_used_at=now)


def _events(
    entries: Sequence[_Entry], bounced: Sequence[tuple[_Entry, Message]], directory: Directory
) -> list[Event]:
    telling = [
        (entry, name)
        for entry in entries
        if (name := wire.BY_STATUS.get(entry.status))
        and webhook.is_wanted(entry.message.server_id, name, directory)
    ]
    about = {entry.message.id for entry, _ in telling}
    if bounced:
        about |= {entry.message.id for entry, _ in bounced} | {original.id for _, original in bounced}
    if not about:
        return []
    tokens = tokens_of(about)
    events = []
    for entry, name in telling:
        message = _as_told(entry)
        payload = wire.delivery_payload(message, tokens[message.id], entry.delivery)
        events.append(Event(message.server_id, name, payload, message.id))
    for entry, original in bounced:
        report = entry.message
        payload = wire.bounce_payload(original, tokens[original.id], report, tokens[report.id])
        events.append(Event(original.server_id, wire.BOUNCED, payload, original.id))
    return events


def _as_told(entry: _Entry) -> Message:
    """The message with what preparing found out about it."""
    changes = entry.changes
    if changes is not None:
        entry.message.tag = changes.tag or entry.message.tag
        if changes.inspection is not None:
            entry.message.is_inspected = True
            entry.message.is_spam = changes.inspection.is_spam
    return entry.message


def _recorded(
    results: Sequence[Result | Decision], entries: dict[int, _Entry], withheld: int, now: datetime
) -> Recorded:
    recorded = Recorded(withheld_notices=withheld)
    for result in results:
        claimed = result.claimed
        entry = entries.get(claimed.id)
        if entry is None or entry.status.is_final:
            recorded.finished.append(claimed.id)
            continue
        wait = result.outcome.retry_after if isinstance(result, Result) else None
        jitter = random.random()  # noqa: S311 - spreads load, keeps no secret
        due = next_attempt(claimed.attempts + 1, now, jitter=jitter, retry_after=wait)
        recorded.deferred.append((claimed.id, due))
    return recorded
