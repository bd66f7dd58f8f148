"""A project that moves from django-anymail's Postal support: one path and one include are changed.

`project/` runs in processes of its own, without a database. What it sees before and after is the same, but
for what the library does better and says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
Report = dict[str, Any]


def run(**environment: str) -> Report:
    """What the project prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.anymail_postal.project"],
        cwd=ROOT,
        env={
            **os.environ,
            **environment,
            "DJANGO_SETTINGS_MODULE": "tests.anymail_postal.project.settings",
            "PYTHONIOENCODING": "utf-8",
        },
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    report: Report = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module")
def before() -> Report:
    return run(PROJECT_USES="anymail")


@pytest.fixture(scope="module")
def after() -> Report:
    """Path and include changed."""
    return run(PROJECT_USES="anymail_postal")


@pytest.fixture(scope="module")
def to_the_letter() -> Report:
    """`POSTAL_API = "message"` too."""
    return run(PROJECT_USES="anymail_postal", PROJECT_API="message")


def as_before(sends: Report) -> Report:
    """Recipients keyed as django-anymail has them: as Postal spells them, not as the mail does."""
    text = json.dumps(sends, ensure_ascii=False)
    recipients = text.replace('"d@bücher.test": [', '"d@xn--bcher-kva.test": [')
    found: Report = json.loads(recipients)
    return found


@pytest.mark.parametrize("kind", ["plain", "rich"])
def test_sending_is_the_same_to_the_letter(before: Report, to_the_letter: Report, kind: str) -> None:
    assert as_before(to_the_letter[kind]) == before[kind]


def test_plain_mail_is_sent_the_same_by_default(before: Report, after: Report) -> None:
    assert as_before(after["plain"]) == before["plain"]
    assert sum(send.get("count", 0) for send in before["plain"].values()) == 11


def test_by_default_mail_is_sent_that_was_refused_or_changed(before: Report, after: Report) -> None:
    assert {name for name, send in before["rich"].items() if "error" in send} == set(after["rich"]) - {
        "unnamed attachment",  # which Postal refuses
        "own message id",  # which Postal replaces
    }
    for send in after["rich"].values():
        assert (send["count"], send["status"]) == (1, ["queued"])


@pytest.mark.parametrize("part", ["signals", "strangers"])
def test_signals_and_refusals_are_the_same(
    before: Report, after: Report, to_the_letter: Report, part: str
) -> None:
    assert before[part] == after[part] == to_the_letter[part]


def test_errors_are_of_the_same_family(before: Report, after: Report) -> None:
    for name, theirs in before["errors"].items():
        ours = after["errors"][name]
        assert ours["status"] == theirs["status"]
        assert set(theirs["error"]) <= set(ours["error"])


# --- receiving: the same in both modes ---

# What receivers see otherwise, and why; everything else must be equal.
BETTER_EVENTS = {
    ("tags", "[None]", "[]"),  # no tag is no tag
    ("event_type", "unknown", "opened"),
    ("event_type", "failed", "bounced"),  # refused by the receiving server
    ("reject_reason", "None", "bounced"),
    ("reject_reason", "None", "invalid"),
    ("reject_reason", "None", "spam"),
    ("reject_reason", "None", "blocked"),
}
BETTER_MAIL = {"spam"}  # Postal's verdict


def differences(one: Report, other: Report) -> set[tuple[str, str, str]]:
    return {(name, str(one[name]), str(other[name])) for name in one if one[name] != other[name]}


def test_both_modes_receive_the_same(after: Report, to_the_letter: Report) -> None:
    assert after["webhooks"] == to_the_letter["webhooks"]
    assert after["mails"] == to_the_letter["mails"]


def test_every_recorded_webhook_is_the_same_event_or_a_better_one(before: Report, after: Report) -> None:
    assert len(before["webhooks"]) > 200
    for theirs, ours in zip(before["webhooks"], after["webhooks"], strict=True):
        assert (ours["url"], ours["status"]) == (theirs["url"], theirs["status"]) == (ours["url"], 200)
        assert len(ours["seen"]) == len(theirs["seen"])
        for their_event, our_event in zip(theirs["seen"], ours["seen"], strict=True):
            assert our_event.keys() == their_event.keys()
            assert differences(their_event, our_event) <= BETTER_EVENTS


def test_every_recorded_mail_that_was_taken_is_the_same(before: Report, after: Report) -> None:
    assert [post["status"] for post in after["mails"]] == [200] * len(after["mails"])
    taken = [pair for pair in zip(before["mails"], after["mails"], strict=True) if pair[0]["status"] == 200]
    assert len(taken) > 15
    for theirs, ours in taken:
        ((their_event,), (our_event,)) = theirs["seen"], ours["seen"]
        their_mail, our_mail = their_event.pop("mail"), our_event.pop("mail")
        assert our_event == their_event
        changed = {name for name, *_ in differences(their_mail, our_mail)}
        # 8-bit text of which the built-in view had kept no byte.
        is_damaged = "\N{REPLACEMENT CHARACTER}" in (their_mail["text"] or "")
        assert changed <= BETTER_MAIL | ({"text"} if is_damaged else set())
