from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from postal_server import models
from postal_server.admin import base
from postal_server.models.queue_state import NEVER_DUE
from postal_server.services.operations import queue

from .conftest import NOW, enqueue

pytestmark = [pytest.mark.django_db, pytest.mark.urls("postal_server.urls")]
OVERVIEW = "/admin/postal_server/queuedmessage/overview/"
PART = {"server": "", "destination": "dest.example", "tag": ""}


def text(response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def act(page, action: str, **values):
    return page.post(OVERVIEW, {**PART, "action": action, **values}, follow=True)


def test_destinations_are_listed_with_what_they_wait_for(page, message) -> None:
    enqueue(message, due_at=NOW + timedelta(minutes=31), attempts=2)
    models.Delivery.objects.create(
        message_id=7, status="SoftFail", details="x", output="451 <b>later</b>", created_at=NOW
    )
    response = page.get(OVERVIEW)
    assert "dest.example 1 1 byte 0 minutes 0 0 in 30 minutes 451 &lt;b&gt;later&lt;/b&gt;" in text(response)
    assert "Try everything now" in text(response)
    assert 'value="purge"' not in response.content.decode()


@pytest.mark.parametrize(
    ("query", "is_shown"),
    [
        ("destination=DEST.example", True),
        ("destination=other.example", False),
        ("tag=news", False),
        ("server=999", True),  # no such server: nothing is chosen
    ],
)
def test_a_part_is_shown(page, message, query, is_shown) -> None:
    enqueue(message)
    assert bool(page.get(f"{OVERVIEW}?{query}").context["rows"]) is is_shown


def test_suspend_and_resume(page, message) -> None:
    enqueue(message)
    models.ScheduledTask.objects.create(name=queue.TASK, due_at=NOW + timedelta(hours=1))
    assert "1 messages wait until they are resumed." in text(act(page, "suspend", reason="their wish"))
    assert models.QueuedMessage.objects.get().due_at == NEVER_DUE
    assert "destination dest.example" in text(page.get(OVERVIEW))
    assert "their wish" in text(page.get(OVERVIEW))
    assert "1 messages are ready." in text(act(page, "resume"))
    assert models.QueuedMessage.objects.get().due_at is None
    assert models.ScheduledTask.objects.get().due_at < NOW + timedelta(minutes=1)


def test_flush(page, message) -> None:
    enqueue(message, due_at=NOW + timedelta(hours=1))
    assert "1 messages are tried now." in text(act(page, "flush", destination=""))
    assert models.QueuedMessage.objects.get().due_at is None


def test_removing_needs_a_tick(page, message) -> None:
    enqueue(message)
    assert "Nothing was done" in text(act(page, "purge"))
    assert models.QueuedMessage.objects.exists()
    assert "1 messages were removed from the queue." in text(act(page, "purge", sure="on"))
    assert models.Delivery.objects.get().details == "Removed from the queue by an administrator."


@pytest.mark.parametrize("action", ["suspend", "resume", "purge", "nonsense", ""])
def test_everything_at_once_is_refused(page, message, action) -> None:
    enqueue(message)
    assert "Choose a server" in text(act(page, action, destination="", sure="on"))
    assert models.QueuedMessage.objects.get().due_at is None


def test_looking_is_not_acting(client, message) -> None:
    enqueue(message)
    user = User.objects.create(username="sue", is_staff=True)
    client.force_login(user)
    assert client.get(OVERVIEW).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_queuedmessage"))
    assert 'value="flush"' not in client.get(OVERVIEW).content.decode()
    assert client.post(OVERVIEW, {**PART, "action": "flush"}).status_code == 403


@pytest.mark.parametrize(
    ("row", "state", "where"),
    [
        ({}, "ready", "ready"),
        ({"claimed_by": 1}, "being tried", "being+tried"),
        ({"due_at": NEVER_DUE}, "suspended", "suspended"),
        ({"due_at": NOW + timedelta(minutes=31)}, "tried in 30 minutes", "waiting"),
    ],
    ids=["ready", "tried", "suspended", "deferred"],
)
def test_each_message_says_what_it_waits_for(page, message, row, state, where) -> None:
    enqueue(message, **row)
    found = {
        name: page.get(reverse("admin:postal_server_queuedmessage_changelist") + f"?state={name}")
        for name in ("ready", "being+tried", "suspended", "waiting")
    }
    assert state in text(found[where]).replace("\xa0", " ")
    assert {name for name, response in found.items() if response.context["cl"].result_count} == {where}


def test_suspensions_are_added_and_deleted_alone(page, server) -> None:
    models.ScheduledTask.objects.create(name=queue.TASK, due_at=NOW + timedelta(hours=1))
    add = reverse("admin:postal_server_queuesuspension_add")
    empty = page.post(add, {"server": "", "destination": "", "tag": "", "reason": ""})
    assert "Name a server, a destination or a tag." in text(empty)
    page.post(add, {"server": "", "destination": "Dest.Example", "tag": "", "reason": ""})
    row = models.QueueSuspension.objects.get()
    assert str(row) == "destination dest.example"
    assert models.ScheduledTask.objects.get().due_at < NOW + timedelta(minutes=1)
    page.post(reverse("admin:postal_server_queuesuspension_delete", args=[row.pk]), {"post": "yes"})
    assert not models.QueueSuspension.objects.exists()


def test_long_work_stops_in_time_and_says_so() -> None:
    assert base.within(iter([1, 2, 3])) == (6, True)
    assert base.within(iter([1, 2, 3]), seconds=0) == (3, False)  # the step that shows there was more counts
    assert base.within(iter([1]), seconds=0) == (1, True)


@pytest.mark.parametrize("action", ["suspend", "resume"])
def test_a_report_tells_of_what_was_asked_for(page, message, action) -> None:
    """Not of other mail that is put aside, or made ready, meanwhile."""
    enqueue(message, due_at=NEVER_DUE if action == "resume" else None)
    other = models.Message.objects.get(pk=7)
    other.pk = 8
    other.save(force_insert=True)
    # Ready though it is suspended, or suspended though it is not any more.
    enqueue(other, destination="other.example", due_at=None if action == "resume" else NEVER_DUE)
    if action == "resume":
        models.QueueSuspension.objects.create(destination="dest.example")
        models.QueueSuspension.objects.create(destination="other.example")
    words = "are ready" if action == "resume" else "wait until they are resumed"
    assert f"1 messages {words}." in text(act(page, action))


def test_suspending_tells_of_what_waits_for_its_next_attempt_as_well(page, message) -> None:
    enqueue(message, due_at=NOW + timedelta(minutes=31), attempts=2)
    assert "1 messages wait until they are resumed." in text(act(page, "suspend"))


def test_suspending_twice_tells_what_waits(page, message) -> None:
    enqueue(message)
    act(page, "suspend")
    assert "1 messages wait until they are resumed." in text(act(page, "suspend"))


def test_the_same_suspension_in_other_letters_is_refused(page, server) -> None:
    add = reverse("admin:postal_server_queuesuspension_add")
    part = {"server": server.pk, "tag": "news", "reason": ""}
    page.post(add, {**part, "destination": "dest.example"})
    again = page.post(add, {**part, "destination": "DEST.example."})
    assert again.status_code == 200
    assert models.QueueSuspension.objects.count() == 1


@pytest.mark.parametrize("name", ["worker", "scheduledtask"])
def test_workers_and_tasks_cannot_be_deleted(page, name) -> None:
    """A worker's rows would be claimed by nobody who can die; a task would not run any more."""
    if name == "worker":
        pk = models.Worker.objects.create(host="h", pid=1, started_at=NOW).pk
    else:
        pk = models.ScheduledTask.objects.create(name="retention", due_at=NOW).pk
    assert (
        page.post(reverse(f"admin:postal_server_{name}_delete", args=[pk]), {"post": "yes"}).status_code
        == 403
    )
    listing = reverse(f"admin:postal_server_{name}_changelist")
    page.post(listing, {"action": "delete_selected", "_selected_action": [pk], "post": "yes"})
    model = models.Worker if name == "worker" else models.ScheduledTask
    assert model.objects.filter(pk=pk).exists()
