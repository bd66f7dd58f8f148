"""Who comes on a suppression list because mail to them failed, and who leaves it as mail arrived.

Source: contract 7.3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from postal_server.models import FailureEvidence, Suppression
from postal_server.rules import suppression as rules
from postal_server.rules.classification import Classification
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.rules.suppression import Reason, Rule, ScopeKind, State, Strike
from postal_server.services.shared.rows import insert
from postal_server.services.shared.work import Decision, Effect
from postal_server.wire.classification import SUPPRESSED

from . import incident, suppression_event
from . import suppression_entries as entries
from .batch import Batch, Entry
from .suppression_entries import Recipient, Stop
from .suppression_rules import rules_of

ANSWER_CHARACTERS = 500
CODE_CHARACTERS = 16


@dataclass(frozen=True)
class Stopped(Effect):
    """The message was not tried: this entry stops it."""

    stop: Stop


@dataclass(frozen=True)
class Failure:
    """That mail to an address failed, by an answer or by a report.

    `is_strong`: nobody but the receiver can have said so. `is_forwarded`: it is about another address, to
    which the recipient forwards. `text` is what the remote said, `code` its reply or enhanced code.
    """

    server_id: int
    address: str
    message_id: int
    classification: Classification
    is_strong: bool
    is_forwarded: bool = False
    text: str = ""
    code: str = ""
    sending_domain: str = ""
    stream: str = ""


def apply(batch: Batch) -> None:
    """Note the failures of outgoing mail, and what has arrived: who comes on the list, and who leaves it."""
    for entry, stopped in batch.carrying(Stopped):
        entry.delivery.failure_class = SUPPRESSED
        batch.suppressed[entry.message.id] = stopped.stop
    failed = {
        entry.message.id: entry
        for entry in batch.entries
        if entry.status is DeliveryStatus.FAILED and entry.classification is not None and _is_outgoing(entry)
    }
    for message_id in note_failures([_failure(entry, batch) for entry in failed.values()], batch):
        _say_so(failed[message_id])
    _forgive_reached(batch)


def _is_outgoing(entry: Entry) -> bool:
    return entry.message.scope == Scope.OUTGOING.value and bool(entry.message.rcpt_to)


def _recipient(entry: Entry) -> Recipient:
    return entry.message.server_id, entry.message.rcpt_to or ""


def _failure(entry: Entry, batch: Batch) -> Failure:
    message, found = entry.message, entry.classification
    assert found is not None
    if isinstance(entry.result, Decision):
        # Given up: the answers were transient ones, which even a sure rule does not make certain.
        found = replace(found, is_sure=False)
    domain = batch.directory.domains.get(message.domain_id or 0)
    return Failure(
        message.server_id,
        message.rcpt_to or "",
        message.id,
        found,
        is_strong=True,
        text=entry.delivery.diagnostic or entry.delivery.output or "",
        code=str(entry.delivery.code or ""),
        sending_domain=domain.name if domain else "",
        stream=message.stream,
    )


def _say_so(entry: Entry) -> None:
    """Add Postal's sentence to the delivery, or one like it."""
    if isinstance(entry.result, Decision):
        attempts = entry.result.claimed.attempts
        entry.add_sentence(rules.USED_UP.format(recipient=entry.message.rcpt_to, attempts=attempts))
        return
    reason = entry.classification and rules.reason_of(entry.classification.name)
    if reason:
        entry.add_sentence(rules.ADDED.format(reason=rules.TEXTS[reason]))


# Failures


Key = tuple[int, str, str, str]  # server, key, scope, reason: those of an entry, and of a strike


@dataclass(frozen=True)
class _Noted:
    """A failure that counts, and the rule by which it does."""

    failure: Failure
    reason: Reason
    rule: Rule
    key: Key


@dataclass
class _Lists:
    """What is known of the addresses that failed, and what is to be written."""

    strikes: Mapping[Key, list[FailureEvidence]]
    known: dict[Key, Suppression]
    incidents: Mapping[str, int]
    new_strikes: list[FailureEvidence] = field(default_factory=list)
    changed: dict[Key, Suppression] = field(default_factory=dict)


def note_failures(failures: Sequence[Failure], batch: Batch) -> set[int]:
    """Note failures as strikes; put on the list whose address has enough of them.

    Returns the ids of the messages whose recipient came on the list: not those who were on it, nor those who
    are only proposed. Weak evidence does not count. Two queries to read and two to write, whatever the
    number of failures; two more where an operator blames addresses.
    """
    noted = [found for failure in failures if failure.is_strong and (found := _noted(failure, batch))]
    if not noted:
        return set()
    lists = _read(noted, batch)
    came_on = {item.failure.message_id: lists.known[item.key] for item in noted if _count(item, lists, batch)}
    batch.suppressed.update(came_on)
    insert(lists.new_strikes)
    entries.put(lists.changed.values())
    batch.events_of_servers += suppression_event.added(lists.changed.values(), batch.directory)
    return set(came_on)


def _noted(failure: Failure, batch: Batch) -> _Noted | None:
    reason = rules.reason_of(failure.classification.name, is_forwarded=failure.is_forwarded)
    server = batch.directory.servers.get(failure.server_id)
    if reason is None or server is None:
        return None
    rule = rules_of(batch.config, is_imported=server.is_imported).get(reason)
    if rule is None:
        return None
    server_id, key = entries.key_of((failure.server_id, failure.address))
    scope = rules.scope_of(rule.scope, stream=failure.stream, domain=failure.sending_domain)
    return _Noted(failure, reason, rule, (server_id, key, scope, reason.value))


def _read(noted: Sequence[_Noted], batch: Batch) -> _Lists:
    keys = {item.key[:2] for item in noted}
    strikes: defaultdict[Key, list[FailureEvidence]] = defaultdict(list)
    for row in entries.rows_of(FailureEvidence, keys, " ORDER BY created_at, id"):
        strikes[row.server_id, row.key, row.scope, row.failure_class].append(row)
    known = {
        (row.server_id, row.key, row.scope, row.reason): row for row in entries.rows_of(Suppression, keys)
    }
    samples = {
        item.failure.classification.operator: item.failure.text
        for item in noted
        if item.reason in rules.IN_DOUBT and item.failure.classification.operator
    }
    incidents = incident.open_incidents(samples, batch) if samples else {}
    return _Lists(strikes, known, incidents)


def _count(item: _Noted, lists: _Lists, batch: Batch) -> bool:
    """Count a failure; did its address come on the list by it?"""
    earlier = lists.strikes[item.key]
    if any(row.message_id == item.failure.message_id for row in earlier):
        return False  # it was recorded before
    known = lists.known.get(item.key)
    if known is not None and _is_left_over(known, item, lists):
        known = None
    # Strikes that have put the address on the list once are used up.
    fresh = [row for row in earlier if known is None or row.created_at > known.created_at]
    strike = _strike(item, batch)
    if not fresh or _is_new(strike, fresh[-1], item.rule):
        for rows in (earlier, fresh, lists.new_strikes):
            rows.append(strike)
    if known is not None and entries.is_standing(known, batch.now):
        _prolong(item, known, lists, batch)
        return False
    counted = rules.counted(item.rule, [Strike(row.created_at, row.is_sure) for row in fresh], batch.now)
    is_alone = item.failure.is_forwarded and len(counted) == 1
    if is_alone or not rules.are_enough(item.rule, item.reason, counted):
        return False
    entry = _new_entry(item, known, lists, batch)
    lists.known[item.key] = lists.changed[item.key] = entry
    return entry.state == State.ACTIVE.value


def _is_left_over(known: Suppression, item: _Noted, lists: _Lists) -> bool:
    """Is it proposed, but by no open incident of this operator? A worker may propose while one is decided."""
    incident_id = lists.incidents.get(item.failure.classification.operator)
    return known.state == State.PROPOSED.value and known.incident_id != incident_id


def _strike(item: _Noted, batch: Batch) -> FailureEvidence:
    server_id, key, scope, reason = item.key
    failure = item.failure
    return FailureEvidence(
        server_id=server_id,
        key=key,
        scope=scope,
        failure_class=reason,
        is_sure=failure.classification.is_sure and not failure.is_forwarded,
        operator=failure.classification.operator,
        message_id=failure.message_id,
        created_at=batch.now,
    )


def _is_new(strike: FailureEvidence, last: FailureEvidence, rule: Rule) -> bool:
    """Does a strike count beside the last one, or say for sure what that one did not?"""
    return rule.is_new_strike(last.created_at, strike.created_at) or (strike.is_sure and not last.is_sure)


def _prolong(item: _Noted, known: Suppression, lists: _Lists, batch: Batch) -> None:
    """Let an entry last as if its address came on now, if that is longer; it is not counted once more."""
    duration = item.rule.duration(known.times)
    if known.keep_until is None or (duration and batch.now + duration <= known.keep_until):
        return
    known.pk = None  # written as a new row, which replaces the old one
    known.keep_until = batch.now + duration if duration else None
    lists.changed[item.key] = known


def _new_entry(item: _Noted, known: Suppression | None, lists: _Lists, batch: Batch) -> Suppression:
    failure, found = item.failure, item.failure.classification
    server_id, key, scope, reason = item.key
    times = rules.times_within_a_year(known.times, known.created_at, batch.now) if known else 1
    duration = item.rule.duration(times)
    incident_id = lists.incidents.get(found.operator) if item.reason in rules.IN_DOUBT else None
    return Suppression(
        server_id=server_id,
        key=key,
        scope=scope,
        reason=reason,
        address=failure.address[: entries.ADDRESS_CHARACTERS],
        text=rules.TEXTS[item.reason],
        source_message_id=failure.message_id,
        answer=failure.text[:ANSWER_CHARACTERS],
        rule=found.rule,
        code=failure.code[:CODE_CHARACTERS],
        times=times,
        state=(State.PROPOSED if incident_id else State.ACTIVE).value,
        incident_id=incident_id,
        created_at=batch.now,
        keep_until=batch.now + duration if duration else None,
    )


# Mail that arrived


def _forgive_reached(batch: Batch) -> None:
    """End what failures have said of addresses that mail has reached; one query where there was nothing."""
    reached: defaultdict[Recipient, list[Entry]] = defaultdict(list)
    for entry in batch.entries:
        if entry.status is DeliveryStatus.SENT and _is_outgoing(entry):
            reached[entries.key_of(_recipient(entry))].append(entry)
    if not reached:
        return
    ended = forgive(_doubtful(reached, batch), batch)
    for key in {(row.server_id, row.key) for row in ended}:
        for entry in reached[key]:
            entry.add_sentence(rules.REMOVED)


def _doubtful(reached: Mapping[Recipient, Sequence[Entry]], batch: Batch) -> set[Recipient]:
    """Those that a failure was noted of, or that are on the list. One query.

    Mail goes to addresses on the list only if a person released it, or if an entry is for other mail.
    """
    if any(rule.scope is not ScopeKind.SERVER for rule in _address_rules(batch)):
        return set(reached)
    struck = entries.keys_in(FailureEvidence, reached)
    released = {
        key for key, of_key in reached.items() if any(entry.result.claimed.is_manual for entry in of_key)
    }
    return released.union(struck)


def _address_rules(batch: Batch) -> Iterable[Rule]:
    found = rules_of(batch.config, is_imported=False)
    return (rule for reason, rule in found.items() if reason in rules.ADDRESS_REASONS)


def forgive(recipients: Collection[Recipient], batch: Batch) -> list[Suppression]:
    """Mail has arrived at these addresses: remove their strikes, and end the entries that failures made.

    Returns these entries. Three queries at most, none for nobody.
    """
    keys = {entries.key_of(recipient) for recipient in recipients}
    if not keys:
        return []
    FailureEvidence.objects.filter(entries.of_keys(keys)).delete()
    ended = entries.end(keys, batch.now, entries.BY_SUCCESS, reasons=rules.ADDRESS_REASONS)
    batch.events_of_servers += suppression_event.removed(ended, batch.directory)
    return ended
