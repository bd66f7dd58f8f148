from __future__ import annotations

import json

import pytest
from django.core.management.base import CommandError

from postal_server.models import Incident, Suppression
from postal_server.rules.suppression import Reason
from postal_server.services.results.suppression_entries import given_entry, put

from .conftest import NOW


@pytest.fixture
def incident(server) -> Incident:
    """An open incident with two proposals."""
    row = Incident.objects.create(
        operator="google.com", count=20, answers=50, created_at=NOW, sample="550 5.1.1 no"
    )
    proposed = [given_entry((server.pk, f"{name}@x.example"), NOW, keep_until=None) for name in "ab"]
    for entry in proposed:
        entry.reason, entry.state, entry.incident_id = Reason.BAD_ADDRESS.value, "proposed", row.pk
    put(proposed)
    return row


def test_list(run, incident):
    line = run("incidents", "list").splitlines()[1]
    assert [word for word in line.split() if ":" not in word] == [
        *(str(incident.pk), "google.com", f"{NOW:%Y-%m-%d}", "20", "50", "2", "550", "5.1.1", "no"),
    ]
    [found] = json.loads(run("incidents", "list", "--open", "--json"))
    assert (found["operator"], found["proposed"], found["outcome"]) == ("google.com", 2, None)


@pytest.mark.parametrize(
    ("action", "said", "left"),
    [("confirm", "2 addresses are suppressed.", 2), ("drop", "2 proposed entries deleted.", 0)],
)
def test_decide(run, incident, action, said, left):
    assert run("incidents", action, str(incident.pk)) == f"{said}\n"
    assert Suppression.objects.filter(state="active").count() == Suppression.objects.count() == left
    assert json.loads(run("incidents", "list", "--open", "--json")) == []
    with pytest.raises(CommandError, match="has ended: "):
        run("incidents", action, str(incident.pk))


def test_one_that_is_not_there(run):
    with pytest.raises(CommandError, match="There is no incident 7"):
        run("incidents", "confirm", "7")


def test_the_decision_for_programs(run, incident):
    found = json.loads(run("incidents", "confirm", str(incident.pk), "--json"))
    assert found == {"id": incident.pk, "outcome": "confirmed", "decided": 2}
