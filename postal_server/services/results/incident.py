"""Operators whose answers are in doubt: what they say of addresses is only proposed, until it is decided."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime

from postal_server.models import FailureEvidence, Incident, Suppression
from postal_server.rules import storm
from postal_server.rules.storm import Tally
from postal_server.rules.suppression import CLASSES_IN_DOUBT, IN_DOUBT, State
from postal_server.services.shared.rows import chunks

from . import operator_answers, suppression_event
from .batch import Batch
from .suppression_entries import of_keys

logger = logging.getLogger(__name__)

KEYS_A_STATEMENT = 500
IN_DOUBT_NOW = (
    "%s says of addresses that they are bad in %d of %d answers within an hour: "
    "new suppressions are only proposed until that is over, or confirmed."
)


def open_incidents(samples: Mapping[str, str], batch: Batch) -> dict[str, int]:
    """The open incidents of these operators, by operator; opens one where a storm has begun.

    `samples` has one of each operator's answers that blame an address. Two queries, a few more to open.
    """
    found = _open(samples)
    others = sorted(set(samples) - set(found))
    if not others:
        return found
    counted = operator_answers.of_last_hour_and_day(others, batch.now)
    current = operator_answers.tallies(batch)
    begun = {}
    for operator, (hour, day_before) in counted.items():
        with_current = hour + current.get(operator, Tally())  # not stored yet
        if storm.is_storm(with_current, day_before):
            begun[operator] = with_current
    if begun:
        for operator, tally in begun.items():
            logger.warning(IN_DOUBT_NOW, operator, tally.blamed, tally.answers)
        _begin(begun, samples, batch.now)
        opened = _open(begun)
        for operator, number in opened.items():
            _propose_last_hour(operator, number, batch)
        found |= opened
    return found


def _open(operators: Collection[str]) -> dict[str, int]:
    rows = Incident.objects.filter(operator__in=operators, ended_at=None)
    return dict(rows.values_list("operator", "pk"))


def _begin(tallies: Mapping[str, Tally], samples: Mapping[str, str], now: datetime) -> None:
    Incident.objects.bulk_create(
        [
            Incident(
                operator=operator,
                count=tally.blamed,
                answers=tally.answers,
                sample=samples[operator][:500],
                created_at=now,
            )
            for operator, tally in sorted(tallies.items())
        ],
        ignore_conflicts=True,  # another worker noticed it as well
    )


def _propose_last_hour(operator: str, incident_id: int, batch: Batch) -> None:
    """What the operator has put on lists in the hour before waits for the decision as well."""
    now = batch.now
    strikes = FailureEvidence.objects.filter(
        created_at__gt=now - storm.HOUR,
        operator=operator,
        failure_class__in=[name.value for name in CLASSES_IN_DOUBT],
    )
    keys = sorted(set(strikes.values_list("server_id", "key")))
    for some in chunks(keys, KEYS_A_STATEMENT):
        found = list(
            Suppression.objects.filter(
                of_keys(some),
                reason__in=[reason.value for reason in IN_DOUBT],
                state=State.ACTIVE.value,
                created_at__gt=now - storm.HOUR,
                ended_at=None,
            )
        )
        batch.events_of_servers += suppression_event.removed(found, batch.directory)
        Suppression.objects.filter(pk__in=[row.pk for row in found]).update(
            state=State.PROPOSED.value, incident_id=incident_id
        )
