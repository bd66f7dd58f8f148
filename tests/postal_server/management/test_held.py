from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core.management.base import CommandError

from postal_server.management import base
from postal_server.models import Message, QueuedMessage
from postal_server.services.operations import held
from postal_server.services.shared.loader import load

DEVELOPMENT = "Server is in development mode."
SUPPRESSED = "Recipient (bob@dest.example) is on the suppression list"


@pytest.fixture
def three(add) -> list[int]:
    return [
        add("ann@dest.example", held=DEVELOPMENT, reason="development_mode", tag="news", stream="bulk"),
        add("bob@dest.example", held=SUPPRESSED, reason="suppressed", held_for=timedelta(days=3)),
        add("cy@other.example", held=DEVELOPMENT, reason="development_mode", held_for=timedelta(hours=2)),
    ]


def test_list_says_who_waits_and_why(run, add, three):
    add()  # not held
    lines = run("held", "list").splitlines()
    assert len(lines) == 4
    assert lines[2].split()[0] == str(three[1])
    assert lines[2].split()[1:3] == ["3", "d"]
    assert re.search(r" suppressed +Recipient \(bob@dest.example\) is on the suppression list$", lines[2])
    assert "in 6 d 23 h" in lines[1]


@pytest.mark.parametrize(
    ("words", "which"),
    [
        (["--all"], [0, 1, 2]),
        (["--server", "acme/shop"], [0, 1, 2]),
        (["--recipient", "BOB@dest.example"], [1]),
        (["--recipient", "@dest.example"], [0, 1]),
        (["--tag", "news"], [0]),
        (["--reason", "development_mode"], [0, 2]),
        (["--reason", "suppressed"], [1]),
        (["--reason", "spam"], []),
        (["--stream", "bulk"], [0]),
        (["--older-than", "1h"], [1, 2]),
        (["--older-than", "3d"], [1]),
        (["--older-than", "1h", "--reason", "development_mode"], [2]),
        (["--because", "development"], [0, 2]),
        (["--because", "development", "--recipient", "@dest.example"], [0]),
    ],
)
def test_release_by_filter(run, three, words, which):
    messages = "1 message" if len(which) == 1 else f"{len(which)} messages"
    assert run("held", "release", *words) == f"{messages} released.\n"
    assert set(QueuedMessage.objects.values_list("pk", flat=True)) == {three[n] for n in which}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--reason", "wrong"], "'wrong' .choose from '?suppressed"),
        (["--older-than", "5"], "'5' is not a length of time such as 5d"),
    ],
)
def test_what_is_no_filter_is_named(run, three, words, named):
    with pytest.raises(CommandError, match=named):
        run("held", "list", *words)


def test_by_number(run, three):
    assert run("held", "cancel", str(three[2]), "--yes") == "1 message cancelled.\n"
    assert dict(Message.objects.values_list("pk", "status")) == {
        three[0]: "Held",
        three[1]: "Held",
        three[2]: "HoldCancelled",
    }
    assert not QueuedMessage.objects.exists()


def test_a_dry_run_only_counts(run, three):
    assert run("held", "release", "--all", "--dry-run") == "3 messages are held.\n"
    assert not QueuedMessage.objects.exists()


def test_all_must_be_said(run, three):
    with pytest.raises(CommandError, match="--all"):
        run("held", "cancel")


@pytest.mark.parametrize("words", [["--all"], ["--recipient", "@dest.example"]])
def test_a_hold_is_cancelled_only_when_sure(run, three, words):
    with pytest.raises(CommandError, match="give --yes"):
        run("held", "cancel", *words)
    assert set(Message.objects.values_list("status", flat=True)) == {"Held"}


def test_the_directory_is_read_once(run, three, monkeypatch):
    read = []
    monkeypatch.setattr(held, "CHUNK", 1)
    monkeypatch.setattr(held, "load", lambda: read.append(1) or load())
    monkeypatch.setattr(base, "load", held.load)
    run("held", "cancel", "--all", "--yes")
    assert len(read) == 1


@pytest.mark.parametrize(("words", "named"), [(["99"], "99"), (["98", "99"], "98, 99")])
def test_numbers_of_messages_that_are_not_held_are_named(run, three, words, named):
    with pytest.raises(CommandError, match=rf"Not held, or not in that part: {named}\. `held list`"):
        run("held", "release", str(three[0]), *words)
    assert not QueuedMessage.objects.exists()
