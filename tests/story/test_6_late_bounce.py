"""Chapter 6: Bob is away; then the receiving host finds that it cannot deliver after all."""

from __future__ import annotations

import json

from .conftest import Caught, post
from .stranger import Browser, Stranger, wait_for
from .talk import Event, events

VACATION = """\
From: bob@example.com
To: {to}
Subject: Out of office: New message
Date: Tue, 3 Jan 2023 04:05:06 +0000
Auto-Submitted: auto-replied

I am away until Monday.
"""
BOUNCED = "SELECT email FROM talk_contact WHERE bounced"
REPORTS = "/admin/postal_server/reportmail/"
MESSAGE = r"/admin/postal_server/message/\d+/change/"


def test_a_vacation_notice_is_no_bounce(project: Stranger, notification: Caught) -> None:
    before = events(project, "bounced")
    post(project, "bob@example.com", notification.return_path, VACATION.format(to=notification.return_path))
    said = wait_for(lambda: events(project, "autoresponded"), "the vacation notice")
    assert said == [("bob@example.com", None, None)]
    assert events(project, "bounced") == before


def test_the_report_becomes_an_event_that_says_why(bounced: Event) -> None:
    assert bounced == ("bob@example.com", "invalid", "bad_address")


def test_the_projects_own_code_notes_the_contact(project: Stranger, bounced: Event) -> None:
    wait_for(lambda: project.rows(BOUNCED), "the contact")


def test_the_command_lists_the_report(project: Stranger, bounced: Event) -> None:
    listing = project.command("docs/bounces.md", "postal-server", "reports", "list", "--kind")
    titles, line = project.run(*listing).splitlines()
    assert titles.split()[:4] == ["id", "age", "kind", "about"]
    assert "bob@example.com  5.1.1" in line
    search = project.command("docs/bounces.md", "postal-server", "reports", "list", "--search")
    found = [json.loads(line) for line in project.run(*project.for_bob(search)).splitlines()]
    [about] = next(report for report in found if report["kind"] == "bounce")["about"]
    assert (about["class"], about["evidence"], about["found_by"]) == ("bad_address", "strong", "return_path")


def test_the_administration_shows_it_in_the_list_and_beside_the_message(
    server: Browser, bounced: Event
) -> None:
    report, message = server.links(f"{REPORTS}?kind=bounce", MESSAGE)
    assert "user unknown" in server.get(report).text
    shown = server.get(message).text
    assert "550 5.1.1 &lt;bob@example.com&gt;: user unknown" in shown
    assert "bad_address" in shown


def test_the_classify_command_says_what_follows(project: Stranger) -> None:
    text = "550 5.1.1 <ann@example.com>: Recipient address rejected: User unknown"
    said = project.run(*project.command("docs/bounces.md", "postal-server", "classify", text))
    assert "class:    bad_address" in said
    assert "comes on the suppression list at once, for 30 days" in said
