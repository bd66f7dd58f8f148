from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from postal_server.management import base
from postal_server.models import (
    Delivery,
    DestinationPause,
    Message,
    QueuedMessage,
    QueueSuspension,
    ScheduledTask,
)
from postal_server.models.queue_state import NEVER_DUE
from postal_server.services.operations import queue
from tests.each import each

from .conftest import NOW

LATER = NOW + timedelta(minutes=30)


def test_list_shows_destinations_with_age_and_state(run, add):
    add(), add("bob@dest.example", due_at=LATER), add("cy@other.example", due_at=NEVER_DUE)
    add("dan@third.example", due_at=LATER)
    DestinationPause.objects.create(destination="dest.example", paused_until=LATER)
    QueueSuspension.objects.create(destination="other.example", reason="their wish")
    lines = run("queue", "list").splitlines()
    titles = "destination messages size oldest >1 h >1 d next try last answer"
    assert " ".join(lines[0].split()) == titles
    cells = {line.split("  ")[0]: [c.strip() for c in line.split("  ") if c] for line in lines[1:]}
    assert cells["dest.example"][1:6] == ["2", "2.0 KB", "2 h 0 min", "2", "0"]
    assert cells["dest.example"][6].startswith("paused, in 29 min")
    assert cells["other.example"][6] == "suspended"
    assert cells["third.example"][6].startswith("in 29 min")
    assert lines[-1] == "Suspended for 0 s: destination other.example: their wish"


def test_list_of_a_part_and_with_a_limit(run, add):
    add(), add("b@other.example", tag="news")
    assert "dest.example" not in run("queue", "list", "--tag", "news")
    assert "other.example" not in run("queue", "list", "--destination", "Dest.example")
    assert "--limit shows more" in run("queue", "list", "--limit", "1")


def test_suspend_and_resume(run, add):
    pk = add()
    ScheduledTask.objects.create(name=queue.TASK, due_at=LATER + timedelta(hours=1))
    assert run("queue", "suspend", "--destination", "DEST.example") == "Suspended; 1 message waits.\n"
    assert QueuedMessage.objects.get(pk=pk).due_at == NEVER_DUE
    assert "already" in run("queue", "suspend", "--destination", "dest.example")
    assert run("queue", "resume", "--destination", "dest.example") == "Resumed; 1 message is ready.\n"
    assert QueuedMessage.objects.get(pk=pk).due_at is None
    # for what was accepted by processes that had not heard of it
    assert ScheduledTask.objects.get().due_at < LATER


def test_what_waits_for_its_next_attempt_is_counted_as_well(run, add):
    add(due_at=LATER), add("b@dest.example", due_at=LATER), add("c@other.example", due_at=LATER)
    part = ("--destination", "dest.example")
    assert run("queue", "suspend", *part) == "Suspended; 2 messages wait.\n"
    assert run("queue", "resume", *part) == (
        "Resumed; 0 messages are ready. 2 wait for the next attempt; `queue flush` makes it now.\n"
    )


def test_resume_of_nothing_is_an_error(run):
    with pytest.raises(CommandError, match="no such suspension"):
        run("queue", "resume", "--tag", "x")


def test_flush_of_a_part_and_of_everything(run, add):
    add(due_at=LATER), add("b@other.example", due_at=LATER), add("c@other.example", due_at=LATER)
    assert run("queue", "flush", "--server", "acme/shop", "--destination", "dest.example").startswith("1 ")
    assert run("queue", "flush").startswith("2 ")
    assert not QueuedMessage.objects.exclude(due_at=None).exists()


def test_purge_needs_a_yes(run, add):
    pk = add()
    with pytest.raises(CommandError, match="give --yes"):
        run("queue", "purge", "--destination", "dest.example")
    assert QueuedMessage.objects.exists()
    assert run("queue", "purge", "--destination", "dest.example", "--yes") == "1 message was removed.\n"
    assert not QueuedMessage.objects.exists()
    assert Message.objects.get(pk=pk).status == "HardFail"


@pytest.mark.parametrize("action", ["suspend", "resume", "flush", "purge"])
def test_a_dry_run_only_counts(run, add, action):
    add(due_at=NEVER_DUE if action == "resume" else LATER if action == "flush" else None)
    before = list(QueuedMessage.objects.values())
    assert run("queue", action, "--destination", "dest.example", "--dry-run").startswith("1 message ")
    assert list(QueuedMessage.objects.values()) == before
    assert not QueueSuspension.objects.exists()


@each("action", ["suspend", "resume", "purge"])
def test_everything_at_once_is_refused(run, action):
    with pytest.raises(CommandError, match="say which part"):
        run("queue", action)


def test_long_work_tells_how_far_it_is(run, add, monkeypatch):
    monkeypatch.setattr(base, "PROGRESS_INTERVAL", 0)
    monkeypatch.setattr(queue, "STEP", 2)
    for _ in range(5):
        add(due_at=LATER)
    told = io.StringIO()
    call_command("queue", "flush", stdout=io.StringIO(), stderr=told)
    assert told.getvalue() == "2 of 5\n4 of 5\n5 of 5\n"


def test_suspend_counts_what_waits_for_its_next_attempt_too(run, add):
    add(due_at=LATER), add("bob@dest.example", due_at=LATER), add("cy@other.example")
    words = ["queue", "suspend", "--destination", "dest.example"]
    assert run(*words, "--dry-run") == "2 messages would wait.\n"
    assert run(*words) == "Suspended; 2 messages wait.\n"


@pytest.fixture
def failed(add):
    """Two messages that a blocklist failed, one of them without its text, and one that failed otherwise."""
    ids = [add("ann@att.example"), add("bob@att.example"), add("cy@att.example")]
    QueuedMessage.objects.all().delete()
    Message.objects.update(status="HardFail")
    Message.objects.filter(pk=ids[1]).update(body_id=None)
    for pk, name in zip(ids, ["reputation", "reputation", "bad_address"], strict=True):
        Delivery.objects.create(
            message_id=pk, status="HardFail", failure_class=name, details="no", created_at=NOW
        )
    return ids


def test_failed_mail_is_sent_again_by_its_class(run, failed):
    words = ("queue", "retry", "--class", "reputation", "--destination", "ATT.example", "--since", "5d")
    assert run(*words, "--dry-run") == "1 message would be sent again.\n1 message has no text any more.\n"
    assert not QueuedMessage.objects.exists()
    assert run(*words) == "1 message is sent again.\n1 message has no text any more.\n"
    assert QueuedMessage.objects.get().pk == failed[0]


@each(
    "words, named",
    [
        ([], "--class"),
        (["--class", "wrong"], "wrong"),
        (["--class", "reputation", "--since", "yesterday"], "'yesterday' is not a length of time such as 5d"),
        (["--class", "reputation", "--operator", "x y"], "'x y' is not a domain"),
    ],
)
def test_what_is_no_part_of_failed_mail_is_named(run, words, named):
    with pytest.raises(CommandError, match=named):
        run("queue", "retry", *words)
