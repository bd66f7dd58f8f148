import pytest

from postal_server.models import Message, Suppression
from postal_server.wire import our_events
from postal_server.wire.webhook import POSTALS_EVENTS
from tests.postal_server.services.conftest import NOW

MESSAGE = Message(id=4, scope="outgoing", rcpt_to="ann@example.com", created_at=NOW)
ENTRY = Suppression(
    server_id=1,
    key="ann@example.com",
    address="Ann@example.com",
    reason="bad_address",
    text="too many hard fails",
    answer="550 5.1.1 No such user",
    rule="x.1.1",
    times=2,
    created_at=NOW,
)


def test_no_name_is_one_of_postals():
    assert not set(our_events.OUR_EVENTS) & POSTALS_EVENTS


@pytest.mark.parametrize(
    "payload",
    [
        our_events.auto_reply_payload(MESSAGE, "token", subject="Away", is_challenge=False),
        our_events.hold_cancelled_payload(MESSAGE, "token", hold_reason="suppressed", by="expiry"),
        our_events.suppression_payload(ENTRY),
    ],
)
def test_no_payload_has_a_key_by_which_anymail_knows_other_events(payload):
    assert not {"status", "bounce", "url"} & set(payload)


def test_an_entry_is_shown_with_what_led_to_it():
    assert our_events.suppression_payload(ENTRY) == {
        "suppression": {
            "address": "Ann@example.com",
            "scope": "",
            "reason": "bad_address",
            "text": "too many hard fails",
            "source_message": None,
            "evidence": {"answer": "550 5.1.1 No such user", "code": None, "rule": "x.1.1"},
            "times": 2,
            "created_at": NOW.timestamp(),
            "keep_until": None,
            "ended_at": None,
            "ended_by": None,
        }
    }


def test_the_end_of_a_hold_says_why_it_began_and_who_ended_it():
    payload = our_events.hold_cancelled_payload(MESSAGE, "token", hold_reason="", by="admin")
    assert list(payload) == ["message", "hold_reason", "by"]
    assert (payload["message"]["token"], payload["hold_reason"], payload["by"]) == ("token", None, "admin")


def test_an_automatic_reply_is_shown_beside_what_it_answers():
    payload = our_events.auto_reply_payload(MESSAGE, "token", subject="Confirm", is_challenge=True)
    assert payload["original_message"]["to"] == "ann@example.com"
    assert payload["reply"] == {"subject": "Confirm", "challenge": True}
