from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest
from django.db import OperationalError
from prometheus_client import REGISTRY

from postal_server.engine import depth
from postal_server.engine.depth import Depth
from postal_server.models import DestinationPause
from postal_server.models.queue_state import NEVER_DUE

LIFETIME = timedelta(days=5)


@pytest.fixture
def now() -> datetime:
    return datetime.now(timezone.utc)


@pytest.fixture
def add(enqueue, now):
    """Queue one message of this age."""

    def call(age: timedelta = timedelta(), **values) -> None:
        enqueue(created_at=now - age, expires_at=now - age + LIFETIME, **values)

    return call


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def states(kind: str) -> dict[str, float | None]:
    names = ("ready", "deferred", "suspended", "in flight")
    return {name: gauge("postal_queued", kind=kind, state=name) for name in names}


def test_rows_are_counted_by_state(add, now):
    add(), add(), add(due_at=now), add(due_at=NEVER_DUE), add(claimed_by=7)
    Depth(LIFETIME).measure()
    assert states("messages") == {"ready": 2, "deferred": 1, "suspended": 1, "in flight": 1}
    assert states("webhooks") == dict.fromkeys(states("webhooks"), 0)


def test_rows_are_counted_by_age(add):
    for age in (timedelta(), timedelta(minutes=2), timedelta(hours=2), timedelta(days=2)):
        add(age)
    Depth(LIFETIME).measure()
    older = {age: gauge("postal_queued_older", kind="messages", seconds=str(age)) for age in depth.AGES}
    assert older == {60: 3, 300: 2, 3600: 2, 21_600: 1, 86_400: 1}
    assert gauge("postal_queue_oldest_seconds", kind="messages") == pytest.approx(2 * 86_400, abs=60)


def test_an_empty_queue_has_no_age(database):
    Depth(LIFETIME).measure()
    assert gauge("postal_queue_oldest_seconds", kind="messages") == 0


def test_webhooks_that_wait_and_those_that_are_paused_are_counted(ask, now):
    ask(webhook=1), ask(webhook=1), ask(webhook=2)
    DestinationPause.objects.create(destination="webhook:1", paused_until=now + timedelta(minutes=5))
    DestinationPause.objects.create(destination="dest.example", paused_until=now + timedelta(minutes=5))
    Depth(LIFETIME).measure()
    assert gauge("postal_webhook_lanes", state="waiting") == 2
    assert gauge("postal_webhook_lanes", state="paused") == 1


def test_however_often_it_is_asked_it_measures_once_in_a_while(add, monkeypatch):
    measured = Depth(LIFETIME)
    measured.measure()
    add()
    measured.measure()
    assert states("messages")["ready"] == 0
    monkeypatch.setattr(depth, "MEASURED_FOR", 0)
    measured.measure()
    assert states("messages")["ready"] == 1


def test_without_a_database_the_gauges_stay(add, monkeypatch, caplog):
    add()
    Depth(LIFETIME).measure()
    away = Depth(LIFETIME)

    def fail(*_: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(away, "_measure", fail)
    away.measure()
    assert states("messages")["ready"] == 1
    assert "cannot be measured (away)" in caplog.text


def test_a_measurement_that_is_under_way_makes_no_caller_wait(add, monkeypatch):
    measured = Depth(LIFETIME)
    begun, may_end = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        begun.set()
        may_end.wait(10)

    monkeypatch.setattr(measured, "_measure", slow)
    first = threading.Thread(target=measured.measure)
    second = threading.Thread(target=measured.measure)
    first.start()
    assert begun.wait(10)
    second.start()
    second.join(2)
    is_waiting = second.is_alive()
    may_end.set()
    first.join(), second.join()
    assert not is_waiting
