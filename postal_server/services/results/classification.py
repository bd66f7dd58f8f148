"""Why mail was not taken: the class of each failure and deferral, for what follows from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from postal_server.mail.report import Part
from postal_server.models import Delivery
from postal_server.rules.classification import Answer, Classification, Ours, classify
from postal_server.rules.failure_class import FailureClass, Stage
from postal_server.rules.outcome import Outcome
from postal_server.rules.shaping import operator_of
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.work import Effect, Result
from postal_server.wire.classification import DIAGNOSTIC_CHARACTERS

from .attempts import LastAnswer, last_answers
from .batch import Batch, Entry

ATTEMPTS_USED_UP = "attempts used up"
LIFETIME_OVER = "lifetime over"
NOT_TAKEN = (DeliveryStatus.FAILED, DeliveryStatus.DEFERRED)
# What reports put around the name: `mx.example. (192.0.2.1, the server for the domain example)`.
_REMOTE_HOST = re.compile(r"[<\[ ]{0,3}([a-z0-9._-]{1,253})(?![a-z0-9._-])", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class GaveUp(Effect):
    """The message fails because its attempts are used up; the last one had this class and this answer."""

    classification: Classification
    diagnostic: str | None = None


@dataclass(frozen=True)
class LifetimeOver(Effect):
    """The message fails because it has waited too long; its attempts are not used up."""


def gave_up(answer: LastAnswer | None, why: str) -> GaveUp | None:
    """What is to be noted of a message that fails after this last answer, for the reason `why`.

    Its class is that of the answer; one that nobody knows means that the time to reach the recipient is over.
    None without an answer that has a class: an error of ours says nothing of the recipient.
    """
    if answer is None or answer.classification is None:
        return None
    found = answer.classification
    if found.name is FailureClass.UNKNOWN:
        found = replace(found, name=FailureClass.EXPIRED, rule=why)
    return GaveUp(found, answer.text)


def apply(batch: Batch) -> None:
    """Classify the answers of SMTP sessions that did not take a message, and note it on the delivery.

    One query if the lifetime of messages is over, none otherwise.
    """
    for entry in batch.entries:
        if entry.status in NOT_TAKEN and isinstance(entry.result, Result):
            outcome = entry.result.outcome
            found = classify_outcome(outcome, entry.message.rcpt_to or "", batch.directory.ours)
            if found is not None:
                _note_entry(entry, found, outcome.output)
    for entry, effect in batch.carrying(GaveUp):
        _note_entry(entry, effect.classification, effect.diagnostic)
    overdue = {entry.message.id: entry for entry, _ in batch.carrying(LifetimeOver)}
    for number, answer in last_answers(list(overdue)).items():
        if found_then := gave_up(answer, LIFETIME_OVER):
            _note_entry(overdue[number], found_then.classification, found_then.diagnostic)


def _note_entry(entry: Entry, found: Classification, text: str | None) -> None:
    entry.classification = found
    note(entry.delivery, found, text)


def note(delivery: Delivery, found: Classification, text: str | None) -> None:
    """Note on a delivery why the message was not taken, and what the remote said if it was more."""
    delivery.failure_class, delivery.rule = found.name.value, found.rule
    delivery.operator, delivery.is_sure = found.operator, found.is_sure
    delivery.stage = found.stage.value if found.stage else ""
    text = (text or "").replace("\0", "").strip()
    if len(text) > len(delivery.output or ""):
        delivery.diagnostic = text[:DIAGNOSTIC_CHARACTERS]


def classify_outcome(outcome: Outcome, recipient: str, ours: Ours) -> Classification | None:
    """The class of an attempt that did not take the message; None over HTTP, and for errors of our own."""
    if outcome.stage is None:
        return None
    operator = operator_of(outcome.host) if outcome.host else ""
    if outcome.failure_class is not None:
        rule = f"no answer at {outcome.stage.value}"
        return Classification(outcome.failure_class, True, rule, operator, outcome.stage)
    answer = Answer(outcome.code, None, outcome.output or "", outcome.stage, operator, recipient)
    return classify(answer, ours)


def classify_part(part: Part, ours: Ours) -> Classification:
    """The class of what a report says of one recipient, by the same rules as an answer."""
    return classify(
        Answer(
            code=None,
            enhanced=part.status,
            text=part.diagnostic or "",
            stage=Stage(part.stage),
            operator=_remote_operator(part.remote_mta or ""),
            recipient=part.final_recipient or part.original_recipient or "",
        ),
        ours,
    )


def _remote_operator(remote_mta: str) -> str:
    """Whose mail host a report names; empty for what cannot be a host."""
    host = _REMOTE_HOST.match(remote_mta)
    return operator_of(host[1]) if host else ""
