"""Source addresses in the administration."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from django.urls import reverse

from postal_server import models

pytestmark = [pytest.mark.django_db, pytest.mark.urls("postal_server.urls")]


@pytest.fixture
def pool() -> models.IPPool:
    return models.IPPool.objects.create(name="news", default=True)


def change(page, url, **values):
    """Send the form at `url` with some values changed."""
    form = page.get(url).context["adminform"].form
    given = {name: field.initial for name, field in form.fields.items()}
    given |= {name: form.initial[name] for name in form.initial if name in given}
    given = {name: value for name, value in (given | values).items() if value not in (None, False)}
    return page.post(url, given)


def test_a_pool_has_addresses(page, pool):
    url = reverse("admin:postal_server_ippool_change", args=[pool.pk])
    form = {"addresses-TOTAL_FORMS": 1, "addresses-INITIAL_FORMS": 0}
    address = {
        "ipv4": "192.0.2.7",
        "hostname": "o.example",
        "priority": 100,
        "warm_up_from": datetime.now(timezone.utc).date(),
        "warm_up_first_day": 30,
        "warm_up_days": 14,
    }
    page.post(url, {"name": "news", **form, **{f"addresses-0-{name}": v for name, v in address.items()}})
    assert pool.addresses.get().ipv4 == "192.0.2.7"
    assert "192.0.2.7: 30" in page.get(reverse("admin:postal_server_ippool_changelist")).content.decode()


def test_a_new_organization_may_use_the_default_pools(page, pool):
    form = page.get(reverse("admin:postal_server_organization_add")).context["adminform"].form
    assert form.initial["ip_pools"] == [pool]


@pytest.mark.parametrize("may_use", [True, False])
def test_a_server_has_a_pool_of_its_organization(page, server, pool, may_use):
    if may_use:
        server.organization.ip_pools.add(pool)
    url = reverse("admin:postal_server_server_change", args=[server.pk])
    answer = change(page, url, ip_pool=pool.pk)
    server.refresh_from_db()
    assert (server.ip_pool == pool) is may_use
    assert ("may not use this pool" in answer.content.decode()) is not may_use


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"from_text": "example.test"}, "A rule belongs to a server or to an organization."),
        ({"server": 1}, "A rule needs a condition."),
        ({"server": 1, "organization": 1, "to_text": "a.example"}, "A rule belongs to a server or"),
        ({"server": 1, "to_text": "a.example"}, ""),
    ],
)
def test_a_rule_has_one_owner_and_a_condition(page, server, pool, values, problem):
    ids = {"server": server.pk, "organization": server.organization.pk}
    given = {name: ids.get(name, value) for name, value in values.items()}
    answer = page.post(reverse("admin:postal_server_ippoolrule_add"), {"ip_pool": pool.pk, **given})
    assert problem in answer.content.decode()
    assert models.IPPoolRule.objects.exists() is not bool(problem)
