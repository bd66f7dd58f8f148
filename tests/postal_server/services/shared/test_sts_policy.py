from __future__ import annotations

from datetime import timedelta

import pytest

from postal_server.models import StsPolicy
from postal_server.services.shared import sts_policy
from postal_server.services.shared.work import KeptPolicy
from tests.postal_server.services.conftest import NOW

WEEK = timedelta(days=7)
POLICY = KeptPolicy("dest.example", "20260101", "version: STSv1\nmode: enforce\n", NOW, NOW + WEEK)


@pytest.mark.django_db
def test_a_policy_is_kept_for_its_age():
    sts_policy.save(POLICY, NOW)
    assert sts_policy.load(NOW + WEEK - timedelta(seconds=1)) == [POLICY]
    assert sts_policy.load(NOW + WEEK) == []


@pytest.mark.django_db
def test_a_newer_policy_replaces_the_one_before():
    sts_policy.save(POLICY, NOW)
    newer = KeptPolicy("dest.example", "2", "version: STSv1\nmode: none\n", NOW + WEEK, NOW + 2 * WEEK)
    sts_policy.save(newer, NOW + WEEK)
    assert sts_policy.load(NOW + WEEK) == [newer]


@pytest.mark.django_db
def test_what_is_over_is_removed_when_another_is_kept():
    sts_policy.save(POLICY, NOW)
    other = KeptPolicy("other.example", "2", "version: STSv1\n", NOW + WEEK, NOW + 2 * WEEK)
    sts_policy.save(other, NOW + WEEK)
    assert [row.domain for row in StsPolicy.objects.all()] == ["other.example"]


@pytest.mark.django_db
def test_only_so_many_are_read_the_latest_first(monkeypatch):
    monkeypatch.setattr(sts_policy, "MOST", 2)
    for number in range(4):
        fetched_at = NOW + timedelta(minutes=number)
        sts_policy.save(KeptPolicy(f"d{number}.example", "1", "x", fetched_at, NOW + WEEK), NOW)
    assert [kept.domain for kept in sts_policy.load(NOW)] == ["d3.example", "d2.example"]
