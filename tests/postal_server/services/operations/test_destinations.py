from datetime import timedelta

import pytest

from postal_server.models import Site
from postal_server.services.operations import destinations
from tests.postal_server.services.conftest import NOW


@pytest.mark.django_db
@pytest.mark.parametrize(
    "values",
    [{}, {"paused_until": NOW}, {"concurrency": 3, "rate": 10.0, "pauses": 2}],
    ids=["reached again", "paused", "slow"],
)
@pytest.mark.parametrize(("days", "is_kept"), [(6.9, True), (7.1, False)])
def test_what_nobody_touched_for_a_week_is_forgotten(values, days, is_kept):
    Site.objects.create(destination="a.example", **values)
    Site.objects.update(changed_at=NOW - timedelta(days=days))
    destinations.prune(NOW)
    assert Site.objects.exists() is is_kept


@pytest.mark.django_db
def test_each_change_counts_as_a_touch():
    Site.objects.create(destination="a.example")
    Site.objects.update(changed_at=NOW - timedelta(days=3000))
    Site.objects.update_or_create(source="", destination="a.example", defaults={"paused_until": NOW})
    destinations.prune(NOW - timedelta(days=2000))
    assert Site.objects.exists()
