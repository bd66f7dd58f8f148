"""Each state is the same in memory, in a query, and in a statement that is written by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from postal_server.models import QueuedMessage
from postal_server.models.queue_state import (
    CLAIMED,
    HAS_DUE_TIME,
    HELD_BY_SQL,
    NEVER_DUE,
    READY_SQL,
    SUSPECT_CLAIMS,
    TRANSITIONS,
    WAITING,
    WAITING_SQL,
    QueueState,
    deferred_beyond,
    due_by,
    expired_by,
    held_by,
)
from tests.fakes import NOW

LATER = NOW + timedelta(minutes=5)
COLUMNS = {
    "ready": (None, None, 0),
    "ready, a suspect when it is claimed": (None, None, SUSPECT_CLAIMS),
    "due": (NOW, None, 0),
    "deferred": (LATER, None, 1),
    "suspended": (NEVER_DUE, None, 0),
    "claimed": (None, 7, 1),
    "suspect": (None, 7, SUSPECT_CLAIMS),
    "poison": (None, 7, SUSPECT_CLAIMS + 1),
}
EXPECTED = {
    "ready": QueueState.READY,
    "ready, a suspect when it is claimed": QueueState.READY,
    "due": QueueState.DEFERRED,
    "deferred": QueueState.DEFERRED,
    "suspended": QueueState.SUSPENDED,
    "claimed": QueueState.CLAIMED,
    "suspect": QueueState.SUSPECT,
    "poison": QueueState.POISON,
}
pytestmark = pytest.mark.django_db


@pytest.fixture
def rows() -> list[QueuedMessage]:
    QueuedMessage.objects.bulk_create(
        QueuedMessage(
            id=number,
            server_id=1,
            destination="a.example",
            size_bytes=1,
            created_at=NOW,
            expires_at=NOW if name in ("deferred", "claimed") else LATER,
            due_at=due_at,
            claimed_by=worker,
            claims=claims,
        )
        for number, (name, (due_at, worker, claims)) in enumerate(COLUMNS.items())
    )
    return list(QueuedMessage.objects.order_by("pk"))


def names(condition) -> set[str]:
    found = QueuedMessage.objects.filter(condition).values_list("pk", flat=True)
    return {list(COLUMNS)[pk] for pk in found}


def test_columns_make_the_state(rows):
    assert [row.state for row in rows] == list(EXPECTED.values())


@pytest.mark.parametrize("state", QueueState)
def test_a_query_finds_the_rows_of_a_state(rows, state):
    meant = CLAIMED if state is QueueState.CLAIMED else {state}
    assert names(state.rows) == {name for name, found in EXPECTED.items() if found in meant}


@pytest.mark.parametrize(
    ("statement", "values", "condition"),
    [
        (READY_SQL, [], QueueState.READY.rows),
        (WAITING_SQL, [], WAITING),
        (HELD_BY_SQL, [7], held_by(7)),
        (HELD_BY_SQL, [8], held_by(8)),
    ],
)
def test_a_statement_finds_what_a_query_finds(rows, statement, values, condition):
    table = QueuedMessage._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT q.id FROM {table} q WHERE {statement.format(row='q')}", values)
        found = {list(COLUMNS)[pk] for (pk,) in cursor.fetchall()}
    assert found == names(condition)


def test_groups_of_states(rows):
    assert names(WAITING) == set(COLUMNS) - {"claimed", "suspect", "poison"}
    assert names(HAS_DUE_TIME) == {"due", "deferred", "suspended"}
    assert names(held_by(7)) == {"claimed", "suspect", "poison"}
    assert names(held_by(8)) == set()
    assert names(due_by(NOW)) == {"due"}
    assert names(deferred_beyond(NOW)) == {"deferred"}
    assert names(deferred_beyond(LATER)) == set()
    assert names(expired_by(NOW)) == {"deferred"}


def test_every_state_can_be_left_and_every_state_is_reached():
    assert {each.before for each in TRANSITIONS} >= set(QueueState)
    assert {each.after for each in TRANSITIONS} >= set(QueueState)
