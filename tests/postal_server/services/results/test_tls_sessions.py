from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from postal_server import conf
from postal_server.models import QueuedMessage, TlsResult
from postal_server.services.results import record as results
from postal_server.services.shared.work import TlsSession
from tests.postal_server.services.conftest import NOW, sent, store

TOMORROW = NOW + timedelta(days=1)
GOOD = TlsSession("dest.example", "sts", ("mode: enforce",), ("mx.dest.example",), host="mx.dest.example")
BAD = replace(GOOD, failure="certificate-expired", address="192.0.2.1", reason="expired")


@pytest.fixture
def config(keys) -> conf.Config:
    return conf.parse(
        {
            "tls_reports": {"enabled": True},
            "smtp": {"from_address": "postmaster@example.test"},
            "delivery": {"mode": "mx"},
        },
        {},
        keys,
    )


def record(world, config, *sessions, now=NOW):
    [claimed] = store(world)
    QueuedMessage.objects.all().delete()
    results.record([replace(sent(claimed), tls_sessions=sessions)], world.directory(), config, now)


def counts():
    rows = TlsResult.objects.order_by("failure", "domain")
    return list(rows.values_list("domain", "failure", "host", "count"))


def test_sessions_are_counted_by_day_and_result(world, config):
    record(world, config, GOOD, BAD, BAD)
    record(world, config, GOOD, replace(GOOD, host="mx2.dest.example"))
    assert counts() == [
        ("dest.example", "", "", 3),
        ("dest.example", "certificate-expired", "mx.dest.example", 2),
    ]
    row = TlsResult.objects.get(failure="certificate-expired")
    assert (row.day, row.policy_type, row.policy, row.hosts) == (
        NOW.date(),
        "sts",
        "mode: enforce",
        "mx.dest.example",
    )
    assert (row.address, row.reason) == ("192.0.2.1", "expired")
    record(world, config, GOOD, now=TOMORROW)
    assert TlsResult.objects.filter(failure="").count() == 2


def test_many_sessions_of_one_batch(world, config):
    sessions = [replace(BAD, domain=f"d{n}.example") for n in range(450)]
    record(world, config, *sessions, *sessions)
    assert set(TlsResult.objects.values_list("count", flat=True)) == {2}
    assert TlsResult.objects.count() == 450


def test_nothing_is_counted_unless_reports_are_wanted(world, keys):
    record(world, conf.parse({"delivery": {"mode": "mx"}}, {}, keys), GOOD)
    assert counts() == []
