"""Mail that is held, then released or cancelled from the command line: what the application hears."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from anymail.message import AnymailMessage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.end_to_end.urls")]


@pytest.fixture
def command(project):
    """Run a command of `postal-server` beside the running processes; what it prints."""
    folder = project.running.folder

    def call(*words: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        done = subprocess.run(
            [sys.executable, "-m", "postal_server", "--config", str(folder / "postal.yml"), *words],
            env=kept,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def send(project, to):
    AnymailMessage(subject="Hello", body="Hello", from_email=f"app@{project.domain}", to=[to]).send()


def of(name):
    return lambda event: event.esp_event["event"] == name


def test_the_end_of_a_hold_is_told_and_a_release_is_sent(project, heard, command):
    server = str(project.id)
    command("suppressions", "add", "--server", server, "ann@example.org", "bob@example.org")
    send(project, "ann@example.org")
    send(project, "bob@example.org")
    project.wait_until_quiet()
    held = [event for event in heard["tracking"] if of("MessageHeld")(event)]
    assert sorted(event.recipient for event in held) == ["ann@example.org", "bob@example.org"]
    assert {event.esp_event["payload"]["hold_reason"] for event in held} == {"suppressed"}

    words = ("--server", server, "--reason", "suppressed", "--recipient", "ann@example.org", "--yes")
    assert command("held", "cancel", *words) == "1 message cancelled.\n"
    told = heard["tracking"].wait_for(of("MessageHoldCancelled"), "the end of the hold")
    payload = told.esp_event["payload"]
    assert (payload["message"]["to"], payload["hold_reason"], payload["by"]) == (
        "ann@example.org",
        "suppressed",
        "admin",
    )
    assert {row["rcpt_to"]: row["status"] for row in project.messages()}["ann@example.org"] == "HoldCancelled"

    removed = command("suppressions", "remove", "--server", server, "bob@example.org", "--release")
    assert removed.endswith("1 held message released.\n")
    sent = heard["tracking"].wait_for(of("MessageSent"), "the released mail")
    assert sent.recipient == "bob@example.org"
