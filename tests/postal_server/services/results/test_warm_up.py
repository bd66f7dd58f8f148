from dataclasses import replace

import pytest

from postal_server.models import IPAddress, IPPool
from postal_server.rules import outcome
from postal_server.services.shared import ip_pool
from postal_server.services.shared.work import Result
from tests.postal_server.services.conftest import NOW, sent, store

UNREACHABLE = outcome.unreachable("dest.example")


@pytest.fixture
def is_in_use() -> bool:
    """Are pools used?"""
    return True


@pytest.fixture
def config(config, is_in_use):
    return replace(config, postal=replace(config.postal, use_ip_pools=is_in_use))


@pytest.fixture
def new(world) -> IPAddress:
    """An address that may send two messages on its first day."""
    pool = IPPool.objects.create(name="pool")
    values = {"warm_up_from": NOW.date(), "warm_up_first_day": 2, "warm_up_days": 3}
    return IPAddress.objects.create(ip_pool=pool, ipv4="192.0.2.20", hostname="new.example", **values)


def left_today(world):
    return list(ip_pool.left_today(world.directory().sources.values(), NOW).values())


def test_what_is_recorded_is_counted(world, record, new):
    [claimed] = store(world)
    record(sent(replace(claimed, source_id=new.pk)))
    assert left_today(world) == [1]


def test_without_a_connection_nothing_was_sent(world, record, new):
    [claimed] = store(world)
    record(Result(replace(claimed, source_id=new.pk), UNREACHABLE))
    assert left_today(world) == [2]


@pytest.mark.parametrize("is_in_use", [False])
def test_not_unless_pools_are_in_use(world, record, new):
    [claimed] = store(world)
    record(sent(replace(claimed, source_id=new.pk)))
    assert left_today(world) == [2]
