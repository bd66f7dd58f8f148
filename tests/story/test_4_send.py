"""Chapter 4: send, and hear what became of it."""

from __future__ import annotations

import json

from .conftest import Caught
from .stranger import Stranger, wait_for

DELIVERED = "SELECT recipient, metadata FROM talk_event WHERE kind = 'delivered' ORDER BY id"


def test_the_notification_is_signed_and_caught(notification: Caught) -> None:
    message = notification.message
    assert (message["From"], message["To"], message["Subject"]) == (
        "hello@example.test",
        "bob@example.com",
        "New message",
    )
    assert message.get_content().strip() == "Shall we meet?"
    assert "d=example.test" in message["DKIM-Signature"].replace(" ", "")


def test_the_project_hears_of_the_delivery_with_its_metadata(project: Stranger, notification: Caught) -> None:
    recipient, metadata = wait_for(lambda: project.rows(DELIVERED), "the event")[0]
    assert (recipient, json.loads(metadata)) == ("bob@example.com", {"id": 5})
