from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from django.db.utils import OperationalError
from django.utils.module_loading import import_string

from postal_server import conf
from postal_server.engine.housekeeping import (
    AT_NIGHT,
    EACH_MINUTE,
    QUARTER_PAST,
    QUARTER_TO,
    TASKS,
    Housekeeping,
    Task,
)
from postal_server.engine.lease import Lease
from postal_server.models import ScheduledTask
from tests.each import each
from tests.fakes import NOW


def at(hour: int, minute: int, second: int = 0, day: int = 2) -> datetime:
    return datetime(2026, 1, day, hour, minute, second, tzinfo=timezone.utc)


@each(
    "times, now, following",
    [
        (QUARTER_PAST, at(3, 4), at(3, 15)),
        (QUARTER_PAST, at(3, 15), at(4, 15)),
        (QUARTER_PAST, at(23, 30), at(0, 15, day=3)),
        (QUARTER_TO, at(0, 0), at(0, 45)),
        (AT_NIGHT, at(2, 59, 59), at(3, 0)),
        (AT_NIGHT, at(3, 0), at(3, 0, day=3)),
        (EACH_MINUTE, at(3, 4, 5), at(3, 5)),
    ],
)
def test_times(times, now, following):
    assert times.following(now) == following


@each("name", TASKS)
def test_every_task_names_a_function(name):
    assert callable(import_string(TASKS[name].path))


@pytest.fixture
def calls() -> list:
    return []


@pytest.fixture
def tasks(calls, worker_id, tmp_path):
    lease = Lease()
    lease.renewed(worker_id, 0.0)

    def good(now, config):
        calls.append((now, config))

    def bad():
        calls.append("bad")
        raise ZeroDivisionError

    return Housekeeping(
        conf.parse({}, {}, tmp_path),
        lease,
        tasks={"good": Task("good", EACH_MINUTE), "bad": Task("bad", AT_NIGHT)},
        load={"good": good, "bad": bad}.__getitem__,
    )


def test_tasks_get_rows_that_keep_their_times(tasks):
    tasks.schedule(NOW)
    ScheduledTask.objects.filter(name="good").update(due_at=NOW + timedelta(days=9))
    tasks.schedule(NOW)
    due = dict(ScheduledTask.objects.values_list("name", "due_at"))
    assert due == {"good": NOW + timedelta(days=9), "bad": AT_NIGHT.following(NOW)}


def test_what_is_due_is_run_once_and_given_its_next_time(tasks, calls):
    tasks.schedule(NOW)
    later = NOW + timedelta(minutes=2)
    assert tasks.run_due(later) == ["good"]
    assert tasks.run_due(later) == []
    row = ScheduledTask.objects.get(name="good")
    assert row.claimed_by is None
    assert row.last_run_at is not None
    assert [now for now, _ in calls] == [later]


def test_a_task_that_fails_is_tried_again_in_five_minutes(tasks, calls):
    ScheduledTask.objects.create(name="bad", due_at=NOW)
    before = datetime.now(timezone.utc)
    assert tasks.run_due(NOW) == ["bad"]
    row = ScheduledTask.objects.get(name="bad")
    assert row.due_at <= before + timedelta(minutes=6)
    assert row.claimed_by is None


def test_a_task_that_another_worker_runs_is_left_to_it(tasks, calls):
    ScheduledTask.objects.create(name="good", due_at=NOW, claimed_by=999)
    assert tasks.run_due(NOW) == []


def test_tasks_of_another_version_are_left_alone(tasks):
    ScheduledTask.objects.create(name="of_the_future", due_at=NOW)
    assert tasks.run_due(NOW) == []


def test_a_task_that_the_database_broke_off_is_run_again(tasks, calls, monkeypatch):
    def broken_off() -> None:
        calls.append("broken")
        if calls == ["broken"]:
            raise OperationalError("gone")

    monkeypatch.setattr(tasks, "_load", lambda path: broken_off)
    ScheduledTask.objects.create(name="good", due_at=NOW)
    with pytest.raises(OperationalError):
        tasks.run_due(NOW)
    assert tasks.run_due(NOW) == ["good"]
    assert calls == ["broken"] * 2


def test_a_clock_that_was_far_ahead_costs_no_task_its_turn(tasks):
    tasks.schedule(NOW + timedelta(days=365))
    tasks.run_due(NOW)
    due = dict(ScheduledTask.objects.values_list("name", "due_at"))
    assert due == {"good": EACH_MINUTE.following(NOW), "bad": AT_NIGHT.following(NOW)}
