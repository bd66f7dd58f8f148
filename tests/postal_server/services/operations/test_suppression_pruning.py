from contextlib import contextmanager
from datetime import timedelta

import pytest

from postal_server.models import FailureEvidence, Suppression
from postal_server.services.operations.suppression_pruning import prune
from tests.postal_server.services.conftest import NOW

DAY = timedelta(days=1)


def suppress(key: str, *, age: int, keep: int | None, ended: int | None = None) -> None:
    """An entry that came on so many days ago, for `keep` days, and ended so many days ago."""
    came = NOW - age * DAY
    Suppression.objects.create(
        server_id=1,
        key=key,
        address=key,
        created_at=came,
        keep_until=None if keep is None else came + keep * DAY,
        ended_at=None if ended is None else NOW - ended * DAY,
    )


@pytest.mark.django_db
def test_history_is_kept_while_it_counts():
    suppress("for ever", age=4000, keep=None)
    suppress("current", age=400, keep=500)
    suppress("expired within the year", age=300, keep=30)
    suppress("expired long ago", age=365, keep=30)
    suppress("expired lately", age=365, keep=300)
    suppress("ended", age=200, keep=None, ended=89)
    suppress("ended long ago", age=200, keep=None, ended=90)
    for age in (29, 30):
        FailureEvidence.objects.create(
            server_id=1, key="x", is_sure=True, message_id=age, created_at=NOW - age * DAY
        )
    assert prune(NOW) == 2
    gone = {"expired long ago", "ended long ago"}
    assert not Suppression.objects.filter(key__in=gone).exists()
    assert Suppression.objects.count() == 5
    assert FailureEvidence.objects.get().message_id == 29


@pytest.mark.django_db
def test_what_comes_on_again_meanwhile_stays():
    suppress("again", age=365, keep=30)

    @contextmanager
    def transaction():
        Suppression.objects.update(created_at=NOW, keep_until=None)
        yield

    assert prune(NOW, transaction) == 0
    assert Suppression.objects.exists()
