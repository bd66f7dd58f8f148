from datetime import timedelta

import pytest
from django.db import transaction

from postal_server.models import FailureEvidence, Incident, OperatorAnswers, Suppression
from postal_server.rules.suppression import Reason, State
from postal_server.services.operations import incidents
from postal_server.services.results.suppression_entries import given_entry, put
from tests.postal_server.services.conftest import NOW
from tests.postal_server.services.results.conftest import events

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
NUMBER = 3


@pytest.fixture
def incident():
    """An incident with three proposals and their strikes, beside an entry of another operator."""
    row = Incident.objects.create(operator="google.com", count=20, answers=50, created_at=NOW)
    put([given_entry((1, "other@x.example"), NOW, keep_until=None, reason=Reason.BAD_ADDRESS)])
    strike("other@x.example", operator="yahoo.com")
    for number in range(NUMBER):
        entry = given_entry((1, f"a{number}@x.example"), NOW, keep_until=None, reason=Reason.BAD_ADDRESS)
        entry.state, entry.incident_id = State.PROPOSED.value, row.pk
        put([entry])
        strike(entry.key)
    strike("a0@x.example", failure_class="mailbox_full")
    strike("a0@x.example", created_at=NOW - 2 * HOUR)
    return row


def strike(key: str, **values) -> None:
    given = {"failure_class": "bad_address", "operator": "google.com", "created_at": NOW, **values}
    FailureEvidence.objects.create(server_id=1, key=key, is_sure=True, message_id=1, **given)


def count_answers(answers: int, blamed: int, at) -> None:
    OperatorAnswers.objects.create(operator="google.com", since=at, answers=answers, blamed=blamed)


def states() -> dict[str, str]:
    return dict(Suppression.objects.values_list("key", "state"))


def test_confirmed_proposals_stop_mail_and_are_told(incident, world, config):
    Suppression.objects.update(server_id=world.server.pk)
    world.add_webhook()
    context = world.context(config)
    assert list(incidents.confirm(incident, context)) == [NUMBER]
    assert set(states().values()) == {"active"}
    told = {payload["suppression"]["address"] for payload in events("SuppressionAdded")}
    assert told == {f"a{number}@x.example" for number in range(NUMBER)}
    incident.refresh_from_db()
    assert (incident.outcome, incident.decided, incident.ended_at) == ("confirmed", NUMBER, NOW)
    assert incidents.review(NOW + 9 * HOUR) == 0


def test_dropped_proposals_and_their_strikes_are_gone(incident):
    assert sum(incidents.drop(incident, NOW, transaction.atomic)) == NUMBER
    assert states() == {"other@x.example": "active"}
    kept = set(FailureEvidence.objects.values_list("key", "failure_class"))
    assert kept == {
        ("other@x.example", "bad_address"),
        ("a0@x.example", "mailbox_full"),
        ("a0@x.example", "bad_address"),  # of before
    }
    incident.refresh_from_db()
    assert (incident.outcome, incident.decided) == ("dropped", NUMBER)


def test_proposals_are_dropped_after_two_normal_hours(incident):
    count_answers(1000, 500, NOW)
    assert incidents.review(NOW + HOUR / 2) == 0
    assert incidents.review(NOW + HOUR) == 0
    count_answers(1000, 500, NOW + 2 * HOUR)  # it was not over
    assert incidents.review(NOW + 2 * HOUR) == 0
    count_answers(1000, 10, NOW + 3 * HOUR)
    assert incidents.review(NOW + 3 * HOUR) == 0
    assert incidents.review(NOW + 4.9 * HOUR) == 0
    assert incidents.review(NOW + 5 * HOUR) == NUMBER
    assert Incident.objects.get().outcome == "dropped"


def test_counts_of_answers_are_kept_as_long_as_they_are_compared(incident):
    for hours in (24, 27):
        count_answers(1, 0, NOW - hours * HOUR)
    incidents.review(NOW)
    assert OperatorAnswers.objects.count() == 1


def test_an_operator_has_one_open_incident(incident):
    Incident.objects.bulk_create(
        [Incident(operator="google.com", count=1, answers=1, created_at=NOW)], ignore_conflicts=True
    )
    assert incidents.incidents().count() == 1
    sum(incidents.drop(incident, NOW, transaction.atomic))
    Incident.objects.create(operator="google.com", count=1, answers=1, created_at=NOW)
