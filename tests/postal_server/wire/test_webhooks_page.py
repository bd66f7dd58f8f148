"""`docs/webhooks.md` lists each event, and the keys of each payload in their order."""

from __future__ import annotations

import re
from types import SimpleNamespace

from postal_server.models import Delivery, Domain
from postal_server.wire import our_events, webhook
from tests.each import each
from tests.postal_server.services.conftest import NOW
from tests.readme import ROOT

from .test_our_events import ENTRY, MESSAGE

PAGE = (ROOT / "docs/webhooks.md").read_text("utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if "|" in line]
LISTED = {name: row for row in ROWS for name in re.findall(r"`([A-Z][a-z]\w+)`", row[0])}

DELIVERY = Delivery(status="Sent", details="", created_at=NOW)
SERVER = SimpleNamespace(uuid="", name="", permalink="", organization_permalink="")
VISIT = {"ip_address": "192.0.2.1", "user_agent": None}
DELIVERED = webhook.delivery_payload(MESSAGE, "token", DELIVERY)
LIMIT = webhook.limit_payload(SERVER, 9, 10)
PAYLOADS = {
    **dict.fromkeys(webhook.BY_STATUS.values(), DELIVERED),
    webhook.HELD: webhook.held_payload(MESSAGE, "token", DELIVERY),
    webhook.BOUNCED: webhook.bounce_payload(MESSAGE, "token", MESSAGE, "token"),
    webhook.LINK_CLICKED: {"message": {}, "url": "", "token": "", **VISIT},
    webhook.LOADED: {"message": {}, **VISIT},
    webhook.DNS_ERROR: webhook.dns_payload(SERVER, Domain(name="example.com")),
    webhook.LIMIT_APPROACHING: LIMIT,
    webhook.LIMIT_EXCEEDED: LIMIT,
    our_events.AUTO_REPLIED: our_events.auto_reply_payload(
        MESSAGE, "token", subject=None, is_challenge=False
    ),
    our_events.HOLD_CANCELLED: our_events.hold_cancelled_payload(MESSAGE, "token", hold_reason="", by="api"),
    our_events.SUPPRESSION_ADDED: our_events.suppression_payload(ENTRY),
    our_events.SUPPRESSION_REMOVED: our_events.suppression_payload(ENTRY),
}


def test_every_event_is_listed() -> None:
    assert set(LISTED) == set(PAYLOADS) == webhook.POSTALS_EVENTS | set(our_events.OUR_EVENTS)


@each("event", PAYLOADS)
def test_keys_are_listed_in_their_order(event: str) -> None:
    listed = " ".join(re.findall(r"`([^`]+)`", LISTED[event][2])).split()
    keys = [key for key in PAYLOADS[event] if not re.fullmatch(r"(spf|dkim|mx|return_path)_\w+", key)]
    assert listed == keys


@each("event", PAYLOADS)
def test_who_gets_it_is_said(event: str) -> None:
    assert (LISTED[event][3] == "beyond Postal") is (event in our_events.OUR_EVENTS)
