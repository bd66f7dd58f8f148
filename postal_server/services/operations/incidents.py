"""Decide what became only proposed because an operator blamed addresses as never before."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import Count, QuerySet

from postal_server.models import FailureEvidence, Incident, OperatorAnswers, Suppression
from postal_server.rules import storm
from postal_server.rules.suppression import CLASSES_IN_DOUBT, State
from postal_server.services.results import suppression_entries as entries
from postal_server.services.results import suppression_event, webhook
from postal_server.services.results.operator_answers import of_last_hour_and_day
from postal_server.services.shared.rows import Transaction

from .context import OperationContext

CONFIRMED, DROPPED = "confirmed", "dropped"
STEP = 1000  # entries a transaction


def incidents() -> QuerySet[Incident]:
    """All incidents, newest first; those that are open have no `ended_at`."""
    return Incident.objects.order_by("-pk")


def proposed(incident_ids: Collection[int]) -> dict[int, int]:
    """How many entries each of these incidents has proposed that are not decided."""
    rows = Suppression.objects.filter(incident_id__in=incident_ids, state=State.PROPOSED.value)
    return dict(rows.values_list("incident_id").annotate(Count("pk")).order_by())


def review(now: datetime, write_transaction: Transaction = transaction.atomic) -> int:
    """Drop the proposals of operators that have answered as usual for two hours; how many. Runs often."""
    OperatorAnswers.objects.filter(since__lt=now - storm.DAY - storm.HOUR - storm.SLOT).delete()
    found = list(Incident.objects.filter(ended_at=None))
    if not found:
        return 0
    counted = of_last_hour_and_day({row.operator for row in found}, now)
    dropped = 0
    for row in found:
        if counted[row.operator][0].is_high:
            Incident.objects.filter(pk=row.pk).update(normal_since=None)
        elif row.normal_since is None:
            Incident.objects.filter(pk=row.pk).update(normal_since=now)
        elif now - row.normal_since >= storm.NORMAL_FOR:
            dropped += sum(drop(row, now, write_transaction))
    return dropped


def confirm(incident: Incident, context: OperationContext) -> Iterator[int]:
    """Believe the operator: the proposed entries stop mail from now on. Yields how many each step has."""
    directory, now = context.directory, context.now
    decided = 0
    for ids in _proposed(incident):
        with context.write_transaction():
            rows = Suppression.objects.filter(pk__in=ids)
            count = rows.update(state=State.ACTIVE.value, incident_id=None)
            standing = [row for row in rows if entries.is_standing(row, now)]
            webhook.emit(suppression_event.added(standing, directory), directory, now)
        decided += count
        yield count
    _end(incident, CONFIRMED, decided, now)


def drop(incident: Incident, now: datetime, write_transaction: Transaction) -> Iterator[int]:
    """Forget what the operator said in the incident. Yields how many entries each step has dropped."""
    decided = 0
    for ids in _proposed(incident):
        with write_transaction():
            count = Suppression.objects.filter(pk__in=ids).delete()[0]
        decided += count
        yield count
    strikes = FailureEvidence.objects.filter(
        operator=incident.operator,
        created_at__gt=incident.created_at - storm.HOUR,
        failure_class__in=[name.value for name in CLASSES_IN_DOUBT],
    )
    while ids := list(strikes.values_list("pk", flat=True)[:STEP]):
        with write_transaction():
            FailureEvidence.objects.filter(pk__in=ids).delete()
    _end(incident, DROPPED, decided, now)


def _proposed(incident: Incident) -> Iterator[list[int]]:
    """The ids of the proposed entries, step by step; each step has to decide those of the one before."""
    proposed = Suppression.objects.filter(incident_id=incident.pk, state=State.PROPOSED.value)
    while ids := list(proposed.order_by("pk").values_list("pk", flat=True)[:STEP]):
        yield ids


def _end(incident: Incident, outcome: str, decided: int, now: datetime) -> None:
    Incident.objects.filter(pk=incident.pk).update(ended_at=now, outcome=outcome, decided=decided)
