"""Chapter 7: nothing is sent to Bob any more, until somebody says that his mailbox is there again."""

from __future__ import annotations

import json

import pytest

from .conftest import Caught, caught
from .stranger import Browser, Stranger, wait_for
from .talk import NOTIFY, Event, events

SUPPRESSIONS = "docs/suppression.md", "postal-server", "suppressions"
# As Postmark exports its list, but for the third line.
LIST = """\
EmailAddress,SuppressionReason,Origin,CreatedAt
cyd@example.com,SpamComplaint,Recipient,2023-01-03T04:05:06Z
no address,HardBounce,Recipient,2023-01-03T04:05:06Z
eve@example.com,HardBounce,Recipient,2023-01-03T04:05:06Z
"""


@pytest.fixture(scope="module")
def rejected(project: Stranger, bounced: Event) -> Event:
    """What the project hears of the next notification."""
    project.shell(NOTIFY)
    return wait_for(lambda: events(project, "rejected"), "the rejection")[0]


def test_bob_is_on_the_list_for_a_month(project: Stranger, bounced: Event) -> None:
    listing = project.command(*SUPPRESSIONS, "list", "--search")
    _, line = project.run(*project.for_bob(listing)).splitlines()
    assert line.split()[:3] == ["bob@example.com", "example/main", "bad_address"]
    assert "in 29 d" in line


def test_the_command_tells_whom_mail_would_reach(project: Stranger, bounced: Event) -> None:
    _, ann, bob = project.run(*project.command(*SUPPRESSIONS, "check")).splitlines()
    assert ann.split() == ["ann@example.com", "yes"]
    assert bob.split()[:3] == ["bob@example.com", "no", "bad_address"]


def test_the_project_hears_that_the_next_mail_is_not_sent(rejected: Event) -> None:
    assert rejected == ("bob@example.com", "bounced", "suppressed")


def test_held_mail_is_listed_by_its_reason(project: Stranger, rejected: Event) -> None:
    _, line = project.run(*project.command("docs/held-mail.md", "postal-server", "held", "list")).splitlines()
    assert "bob@example.com  suppressed  Recipient (bob@example.com) is on the suppression list" in line


def test_who_leaves_the_list_gets_what_was_held(
    project: Stranger, server: Browser, notification: Caught, rejected: Event
) -> None:
    said = project.run(*project.for_bob(project.command(*SUPPRESSIONS, "remove")))
    assert said.splitlines() == ["1 address was removed from the list.", "1 held message released."]

    def arrived() -> bool:
        newest = caught(server, "bob@example.com")
        return newest is not None and newest.message["Message-ID"] != notification.message["Message-ID"]

    wait_for(arrived, "the held notification")
    assert "held" not in project.run(*project.for_bob(project.command(*SUPPRESSIONS, "remove")))


def test_what_became_of_it_is_remembered(project: Stranger, rejected: Event) -> None:
    said = project.run(*project.for_bob(project.command(*SUPPRESSIONS, "history")))
    assert "user unknown" in said


def test_the_list_of_another_service_is_taken(project: Stranger) -> None:
    project.write("list.csv", LIST)
    start = (*SUPPRESSIONS, "import", "--server", "example/main", "list.csv")
    said = project.run(*project.command(*start, "--skip-bad"))
    assert "2 addresses" in said
    assert "no address" in project.read("bad.csv")
    export = project.run(*project.command(*SUPPRESSIONS, "export"))
    reasons = {entry["address"]: entry["reason"] for entry in map(json.loads, export.splitlines())}
    assert (reasons["cyd@example.com"], reasons["eve@example.com"]) == ("complaint", "imported")
