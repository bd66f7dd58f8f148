"""Count what each operator of mail hosts answers, to notice when it blames addresses as never before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import connection

from postal_server.models import OperatorAnswers
from postal_server.rules import storm
from postal_server.rules.shaping import operator_of
from postal_server.rules.status import Scope
from postal_server.rules.storm import Tally
from postal_server.rules.suppression import CLASSES_IN_DOUBT
from postal_server.services.shared.delivery_policy import policy_of
from postal_server.services.shared.rows import chunks
from postal_server.services.shared.work import Result

from .batch import Batch, Entry

ROWS_A_STATEMENT = 200
TABLE = OperatorAnswers._meta.db_table
ADD = (
    f"INSERT INTO {TABLE} (operator, since, answers, blamed) VALUES {{rows}} "  # noqa: S608 - names of ours only
    f"ON CONFLICT (operator, since) DO UPDATE SET answers = {TABLE}.answers + excluded.answers, "
    f"blamed = {TABLE}.blamed + excluded.blamed"
)


def apply(batch: Batch) -> None:
    """Add the answers of this batch. One query."""
    counted = sorted(tallies(batch).items())  # all workers in one order
    since = OperatorAnswers._meta.get_field("since").get_db_prep_value(storm.slot_of(batch.now), connection)
    for chunk in chunks(counted, ROWS_A_STATEMENT):
        values = [value for name, tally in chunk for value in (name, since, tally.answers, tally.blamed)]
        with connection.cursor() as cursor:
            cursor.execute(ADD.format(rows=", ".join(["(%s, %s, %s, %s)"] * len(chunk))), values)


def tallies(batch: Batch) -> dict[str, Tally]:
    """The answers that outgoing mail of a batch got, by the operator; those of the catch are nobody's."""
    policy = policy_of(batch.config)
    if policy.catches_all:
        return {}
    answers: defaultdict[str, int] = defaultdict(int)
    blamed: defaultdict[str, int] = defaultdict(int)
    for entry in batch.entries:
        if (operator := _operator(entry)) and not policy.catches(entry.message.rcpt_to or ""):
            answers[operator] += 1
            if entry.classification is not None and entry.classification.name in CLASSES_IN_DOUBT:
                blamed[operator] += 1
    return {operator: Tally(count, blamed[operator]) for operator, count in answers.items()}


def _operator(entry: Entry) -> str:
    """Whose answer it is; empty where there was none, or none of a mail host."""
    result = entry.result
    if not isinstance(result, Result) or entry.message.scope != Scope.OUTGOING.value:
        return ""
    outcome = result.outcome
    return operator_of(outcome.host) if outcome.code is not None and outcome.host else ""


def of_last_hour_and_day(operators: Collection[str], now: datetime) -> Mapping[str, tuple[Tally, Tally]]:
    """What operators answered in the last hour, and in the day before it. One query."""
    hour: defaultdict[str, Tally] = defaultdict(Tally)
    day: defaultdict[str, Tally] = defaultdict(Tally)
    hour_began = now - storm.HOUR
    rows = OperatorAnswers.objects.filter(operator__in=operators, since__gt=hour_began - storm.DAY)
    for operator, since, answers, blamed in rows.values_list("operator", "since", "answers", "blamed"):
        part = hour if since > hour_began else day
        part[operator] += Tally(answers, blamed)
    return {operator: (hour[operator], day[operator]) for operator in operators}
