from datetime import timedelta

import pytest

from postal_server.models import DestinationPace, DestinationPause
from postal_server.services.operations import destinations
from tests.postal_server.services.conftest import NOW


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("model", "values"),
    [
        (DestinationPause, {"destination": "a.example", "paused_until": NOW}),
        (DestinationPace, {"operator": "a.example", "concurrency": 3, "rate": 10.0, "pauses": 2}),
    ],
    ids=["paused", "slow"],
)
@pytest.mark.parametrize(("days", "is_kept"), [(6.9, True), (7.1, False)])
def test_what_did_not_change_for_a_week_is_forgotten(model, values, days, is_kept):
    model.objects.create(**values)
    model.objects.update(changed_at=NOW - timedelta(days=days))
    destinations.prune(NOW)
    assert model.objects.exists() is is_kept


@pytest.mark.django_db
def test_each_change_counts_as_a_touch():
    DestinationPause.objects.create(destination="a.example", paused_until=NOW)
    DestinationPause.objects.update(changed_at=NOW - timedelta(days=3000))
    DestinationPause.objects.update_or_create(destination="a.example", defaults={"paused_until": NOW})
    destinations.prune(NOW - timedelta(days=2000))
    assert DestinationPause.objects.exists()
