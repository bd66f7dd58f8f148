import copy
import json
import pickle
from dataclasses import FrozenInstanceError
from datetime import datetime, timezone
from pathlib import Path

import pytest
from anymail.exceptions import AnymailInvalidAddress
from anymail.signals import AnymailTrackingEvent
from anymail.utils import parse_single_address
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal import body, events
from anymail_postal.errors import UnreadableBody
from anymail_postal.events import Options
from anymail_postal.testing import webhook_body
from tests.each import each

from .recorded import WEBHOOKS

CORPUS = Path(__file__).parent.parent / "corpus"

REFUSED = "Permanent SMTP delivery error when sending to 192.0.2.1:25 (mx.example.com)"
SUPPRESSED = "Recipient (a@b.example) is on the suppression list (reason: {})"


def read(event="MessageSent", options=None, **values):
    return events.read(webhook_body(event, **values), **(options or {}))


@each(
    "event, event_type",
    [
        ("MessageSent", "delivered"),
        ("MessageDelayed", "deferred"),
        ("MessageDeliveryFailed", "bounced"),
        ("MessageHeld", "queued"),
        ("MessageBounced", "bounced"),
        ("MessageLoaded", "opened"),
        ("MessageLinkClicked", "clicked"),
        ("DomainDNSError", "unknown"),
        ("SendLimitApproaching", "unknown"),
        ("SendLimitExceeded", "unknown"),
        ("MessageHoldCancelled", "failed"),
        ("MessageComplained", "complained"),
        ("MessageUnsubscribed", "unsubscribed"),
        ("MessageAutoReplied", "autoresponded"),
        ("SuppressionAdded", "unknown"),
        ("SuppressionRemoved", "unknown"),
        ("MessageReturned", "unknown"),
    ],
)
def test_event_type_by_name(event, event_type):
    found = read(event)
    assert found.event_type == event_type
    assert found.postal.name == event
    assert isinstance(found, AnymailTrackingEvent)


def test_server_is_the_default_one_unless_named():
    assert read().postal.server == "default"
    assert read(options={"server": "eu"}).postal.server == "eu"


def test_name_is_the_sent_one_whatever_it_means():
    assert read("MessageReturned", payload=webhook_body("MessageBounced")["payload"]).postal.name == (
        "MessageReturned"
    )
    found = read("MessageSent", status="SoftFail")
    assert (found.postal.name, found.event_type) == ("MessageSent", "deferred")


def test_event_without_any_name_has_an_empty_one():
    found = events.read({"payload": {"status": "Unheard"}})
    assert (found.postal.name, found.event_type) == ("", "unknown")


@each("fields", [{}, {"payload": {}}, {"payload": None, "uuid": "x", "timestamp": 1}, {"event": ""}], ids=str)
def test_neither_a_name_nor_a_payload_is_no_event(fields):
    with pytest.raises(UnreadableBody):
        events.read(fields)


@pytest.mark.parametrize("part", ["bounce", "original_message"])
def test_half_a_bounce_is_none(part):
    fields = webhook_body("MessageSent")
    fields["payload"][part] = {"id": 99}
    found = events.read(fields)
    assert (found.event_type, found.message_id) == ("delivered", fields["payload"]["message"]["id"])


def test_bounce_is_about_the_original_message():
    fields = webhook_body("MessageBounced")
    fields["payload"]["message"] = {"id": 99}
    assert events.read(fields).message_id == fields["payload"]["original_message"]["id"]


FAILURES = [
    # details, output -> event type, reject reason
    (REFUSED, "550 5.1.1 no such user", "bounced", "invalid"),
    (REFUSED, "550-5.1.10 no such user", "bounced", "invalid"),
    (REFUSED, "550 5.7.1 this looks like spam", "bounced", "spam"),
    (REFUSED, "554 5.7.1 Unsolicited bulk mail, blocked", "bounced", "spam"),
    (REFUSED, "554 5.7.1 blocked using zen.spamhaus.org", "bounced", "blocked"),
    (REFUSED, "554 5.7.606 Access denied, banned sending IP", "bounced", "blocked"),
    (REFUSED, "550 5.7.26 not authenticated", "bounced", "blocked"),
    (REFUSED, "550 5.1.8 sender's domain unknown", "bounced", "blocked"),
    (REFUSED, "550 no PTR record for 192.0.2.1", "bounced", "blocked"),
    (REFUSED, "552 5.3.4 message too large", "bounced", "other"),
    (REFUSED, "550 <spam-reports@x.example>: No such user", "bounced", "invalid"),
    (REFUSED, "552 5.2.2 over quota", "bounced", "bounced"),
    (REFUSED, "550 spam", "bounced", "spam"),
    (REFUSED, "550 5.11.1 spam", "bounced", "spam"),
    (REFUSED, "", "bounced", "bounced"),
    (
        REFUSED + ". Recipient added to suppression list (too many hard fails)",
        "550 5.1.1",
        "bounced",
        "invalid",
    ),
    ("Maximum number of delivery attempts (18) has been reached.", "", "bounced", "timed_out"),
    ("Message is likely spam. Threshold is 5.0 and the message scored 9.1.", "", "rejected", "spam"),
    ("Message doesn't have an RCPT to", "", "failed", None),
    ("Raw message has been removed. Cannot send message.", "", "failed", None),
    ("", "550 5.1.1 no such user", "failed", None),
]


@each("details, output, event_type, reason", FAILURES)
def test_final_failure_by_its_text(details, output, event_type, reason):
    found = read("MessageDeliveryFailed", details=details, output=output)
    assert (found.event_type, found.reject_reason) == (event_type, reason)
    assert (found.description, found.mta_response) == (details, output)


def test_refusal_may_stay_a_failure():
    found = read(
        "MessageDeliveryFailed",
        {"options": Options(hardfail_as_bounced=False)},
        details=REFUSED,
        output="550 5.1.1 x",
    )
    assert (found.event_type, found.reject_reason) == ("failed", "invalid")


HOLDS = [
    # details -> hold reason; with the setting: event type, reject reason
    (SUPPRESSED.format("too many hard fails"), "suppressed", "rejected", "bounced"),
    (SUPPRESSED.format("too many soft fails"), "suppressed", "rejected", "timed_out"),
    (SUPPRESSED.format("added by hand"), "suppressed", "rejected", "blocked"),
    ("Recipient (a@b.example) is on the suppression list", "suppressed", "rejected", "blocked"),
    ("Message held because send limit (100) has been reached.", "send_limit", "queued", None),
    ("Server is in development mode.", "development_mode", "queued", None),
    ("Credential is configured to hold all messages authenticated by it.", "credential", "queued", None),
    ("Mail server has been suspended. No e-mails can be processed.", "suspended", "queued", None),
    ("Message placed into quarantine.", "other", "queued", None),
    ("", "other", "queued", None),
    (None, "other", "queued", None),
]


@each("details, hold_reason, event_type, reason", HOLDS)
def test_hold_by_its_text(details, hold_reason, event_type, reason):
    found = read("MessageHeld", details=details)
    assert (found.event_type, found.reject_reason) == ("queued", None)
    assert found.postal.hold_reason == hold_reason
    found = read("MessageHeld", {"options": Options(held_suppressed_as_rejected=True)}, details=details)
    assert (found.event_type, found.reject_reason) == (event_type, reason)


def test_only_holds_have_a_hold_reason():
    assert read("MessageSent").postal.hold_reason is None


# --- which event it is ---


@each(
    "status, event_type",
    [
        ("Sent", "delivered"),
        ("SoftFail", "deferred"),
        ("HardFail", "failed"),
        ("Held", "queued"),
        ("New", "unknown"),
    ],
)
@each("name", ["MessageSent", "MessageDelayed", None])
def test_delivery_events_are_named_after_their_status(name, status, event_type):
    fields = {"event": name, "payload": {"status": status}}
    assert events.read(fields).event_type == event_type


@each("name", ["MessageBounced", "MessageDelayed", "Whatever", None])
def test_bounce_payload_is_a_bounce_whatever_it_is_called(name):
    fields = {**webhook_body("MessageBounced", to="ann@example.com", id=7), "event": name}
    fields["payload"]["bounce"]["id"] = 8
    found = events.read(fields)
    assert (found.event_type, found.reject_reason) == ("bounced", "bounced")
    assert (found.recipient, found.message_id, found.postal.bounce_id) == ("ann@example.com", 7, 8)


SHAPES = [
    ({"event": "NewEvent", "payload": {"url": "https://x.example"}}, "unknown"),
    ({"event": "NewEvent", "payload": {"status": "Sent"}}, "unknown"),
    ({"event": None, "payload": {"url": "https://x.example"}}, "clicked"),
    ({"payload": {"url": "https://x.example"}}, "clicked"),
    ({"payload": {"status": "Held"}}, "queued"),
    ({"event": "MessageSent", "payload": {}}, "delivered"),
    ({"event": "MessageLoaded", "payload": None}, "opened"),
]


@each("fields, event_type", SHAPES)
def test_shape_counts_only_without_a_name(fields, event_type):
    found = events.read(fields)
    assert found.event_type == event_type
    assert found.esp_event is fields


def test_table_can_be_replaced():
    assert read("MessageLoaded", {"event_types": {"MessageLoaded": "unknown"}}).event_type == "unknown"


@pytest.mark.parametrize("event", ["MessageDelayed", "MessageDeliveryFailed", "MessageHeld"])
def test_incoming_mail_that_we_did_not_get(event):
    found = read(event, {"options": Options(held_suppressed_as_rejected=True)}, direction="incoming")
    assert (found.event_type, found.reject_reason) == ("inbound_failed", None)
    assert found.postal.is_incoming


# --- the fields ---


def test_fields_of_a_delivery():
    fields = webhook_body(
        "MessageSent", id=5, to="Ann <ann@EXAMPLE.com>", tag="welcome", sender="me@example.com", subject="Hi"
    )
    fields["timestamp"] = 1606753101.961181
    fields["payload"]["timestamp"] = 1606753099.25
    fields["payload"]["message"]["timestamp"] = 1606753000.5
    found = events.read(fields, server="second")
    assert found.timestamp == datetime(2020, 11, 30, 16, 18, 21, tzinfo=timezone.utc)
    assert (found.event_id, found.message_id) == (fields["uuid"], 5)
    assert (found.recipient, found.tags, found.metadata) == ("ann@EXAMPLE.com", ["welcome"], None)
    assert (found.click_url, found.user_agent) == (None, None)
    message = fields["payload"]["message"]
    assert found.postal == events.PostalEvent(
        name="MessageSent",
        server="second",
        id=5,
        token=message["token"],
        rfc_message_id=message["message_id"],
        subject="Hi",
        sender="me@example.com",
        tag="welcome",
        direction="outgoing",
        spam_status="NotChecked",
        stored_at=datetime(2020, 11, 30, 16, 16, 40, 500000, tzinfo=timezone.utc),
        occurred_at=datetime(2020, 11, 30, 16, 18, 19, 250000, tzinfo=timezone.utc),
        status="Sent",
        details=fields["payload"]["details"],
        output="250 2.0.0 Ok",
        smtp_code=250,
        enhanced_status="2.0.0",
        sent_with_ssl=True,
        duration=0.25,
    )


def test_fields_of_a_click():
    fields = webhook_body("MessageLinkClicked", url="https://example.com/a", user_agent="Browser")
    found = events.read(fields)
    assert (found.click_url, found.user_agent) == ("https://example.com/a", "Browser")
    assert (found.postal.url, found.postal.user_agent) == ("https://example.com/a", "Browser")
    assert found.postal.link_token == fields["payload"]["token"] != found.postal.token
    assert found.postal.ip_address == "192.0.2.7"
    assert found.postal.occurred_at.timestamp() == pytest.approx(fields["timestamp"])


def test_bounce_happened_when_the_report_came():
    fields = webhook_body("MessageBounced")
    fields["payload"]["bounce"]["timestamp"] = 1606753099.5
    assert events.read(fields).postal.occurred_at == datetime(
        2020, 11, 30, 16, 18, 19, 500000, tzinfo=timezone.utc
    )


def test_fields_of_a_server_event():
    found = read("DomainDNSError")
    assert found.postal.server_info["permalink"] == "example"
    assert (found.message_id, found.recipient, found.tags, found.metadata) == (None, None, [], None)


@pytest.mark.parametrize("place", ["payload", "message"])
def test_headers_are_read_should_postal_send_them(place):
    fields = webhook_body("MessageSent")
    where = fields["payload"] if place == "payload" else fields["payload"]["message"]
    where["headers"] = {"x-order": ["7"]}
    assert events.read(fields).postal.headers == {"x-order": ["7"]}
    where["headers"] = [["x-order", "7"]]
    assert events.read(fields).postal.headers == {}


REPLIES = [
    ("250 2.0.0 Ok", 250, "2.0.0"),
    ("550-5.1.1 no such user", 550, "5.1.1"),
    ("  421 4.7.0  try later", 421, "4.7.0"),
    ("554 as asked", 554, None),
    ("550", 550, None),
    ("550 5.1.1234 x", 550, None),
    ("2500 x", None, None),
    ("199 x", None, None),
    ("55\u0660 x", None, None),
    ("550 5.\u0661.1 x", 550, None),
    ("Timed out after 30s", None, None),
    ("", None, None),
    (None, None, None),
]


@each("output, code, enhanced", REPLIES)
def test_smtp_reply(output, code, enhanced):
    facts = read("MessageDelayed", output=output).postal
    assert (facts.smtp_code, facts.enhanced_status) == (code, enhanced)


@each(
    "tag, separator, tags",
    [
        ("two words", None, ["two words"]),
        (None, None, []),
        ("", None, []),
        ("a", None, ["a"]),
        ("a|b", None, ["a|b"]),
        ("a|b", "|", ["a", "b"]),
        ("|a||b|", "|", ["a", "b"]),
        (None, "|", []),
    ],
)
def test_tags(tag, separator, tags):
    assert read("MessageSent", {"tag_separator": separator}, tag=tag).tags == tags


RECIPIENTS = {
    "a@b.example": "a@b.example",
    "Ann <a@b.example>": "a@b.example",
    "ü@bücher.example": "ü@bücher.example",
    **dict.fromkeys([None, "", "foo", "a@b.example, c@d.example", "<", "\x00", "ü@ü@ü"]),
}


@each("to, recipient", RECIPIENTS.items())
def test_recipient_is_the_bare_address_or_none(to, recipient):
    assert read("MessageSent", to=to).recipient == recipient


@each("timestamp", [None, 0, 1606753101, 1606753101.9999999])
def test_timestamp_has_whole_seconds(timestamp):
    found = read("MessageSent", timestamp=timestamp)
    assert (found.timestamp is None) == (timestamp is None)
    assert found.timestamp is None or found.timestamp.timestamp() == int(timestamp)


def test_metadata_is_asked_for_once_and_only_for_sent_mail():
    asked = []

    def find(facts):
        asked.append(facts.id)
        return {"order": 7}

    found = read("MessageSent", {"find_metadata": find}, id=5)
    assert (found.metadata, found.postal.metadata, asked) == ({"order": 7}, {"order": 7}, [5])
    read("MessageHeld", {"find_metadata": find}, direction="incoming")
    read("DomainDNSError", {"find_metadata": find})
    assert asked == [5]


@pytest.mark.parametrize("metadata", [None, {}])
def test_unknown_metadata_is_none_but_a_dict_in_our_facts(metadata):
    found = read("MessageSent", {"find_metadata": lambda facts: metadata})
    assert (found.metadata, found.postal.metadata) == (None, {})


def test_facts_cannot_be_changed_but_copied_and_pickled():
    found = read("MessageSent")
    with pytest.raises(FrozenInstanceError):
        found.postal.name = "other"
    assert pickle.loads(pickle.dumps(found)).postal == found.postal == copy.deepcopy(found).postal


# --- hostile ---


WRONG_TYPES = [
    {"event": 5},
    {"event": ["MessageSent"]},
    {"uuid": {}},
    {"timestamp": "now"},
    {"timestamp": 1e300},
    {"payload": []},
    {"payload": "x"},
    {"payload": {"message": 5}},
    {"payload": {"message": {"id": "x"}}},
    {"payload": {"message": {"id": 10**30}}},
    {"payload": {"message": {"id": True}}},
    {"payload": {"message": {"to": ["a@b.example"]}}},
    {"payload": {"message": {"tag": 5}}},
    {"payload": {"message": {"timestamp": []}}},
    {"payload": {"status": 5}},
    {"payload": {"status": "Sent", "details": {}}},
    {"payload": {"output": 5}},
    {"payload": {"time": "1"}},
    {"payload": {"sent_with_ssl": "yes"}},
    {"payload": {"url": 5}},
    {"payload": {"server": []}},
    {"payload": {"bounce": 5, "original_message": {}}},
]


@each("fields", WRONG_TYPES, ids=json.dumps)
def test_wrong_types_are_unreadable(fields):
    with pytest.raises(UnreadableBody):
        events.read(fields)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
message = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(webhook_body("MessageSent")["payload"]["message"], anything)
)
PAYLOAD_KEYS = {
    key
    for name in events.EVENT_TYPES
    for key in webhook_body(name)["payload"]
    if key not in ("message", "bounce")
}
OUR_VALUES = {
    "classification": ["class", "about", "sure", "stage", "smtp_code", "diagnostic", "suppressed"],
    "report": ["kind", "evidence", "final_recipient", "forwarded"],
    "suppression": ["scope", "reason", "keep_until", "address", "evidence", "times"],
    "complaint": ["type", "operator", "received_at"],
    "unsubscribe": ["how"],
    "reply": ["subject", "challenge"],
}
our_parts = {
    name: anything | st.fixed_dictionaries({}, optional=dict.fromkeys(keys, anything))
    for name, keys in OUR_VALUES.items()
}
payload = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(sorted(PAYLOAD_KEYS), anything),
        **our_parts,
        **dict.fromkeys(["message", "bounce", "original_message"], message | anything),
    },
)
envelope = st.fixed_dictionaries(
    {},
    optional={
        "event": st.sampled_from([*events.EVENT_TYPES, "Other"]) | anything,
        "timestamp": anything,
        "uuid": anything,
        "payload": payload | anything,
    },
)


@given(envelope | st.dictionaries(st.text(), anything))
def test_any_json_is_an_event_or_unreadable(fields):
    try:
        found = events.read(fields)
    except UnreadableBody:
        return
    assert found.esp_event is fields
    for value in vars(found.postal).values():
        if isinstance(value, str):
            value.encode()  # what a database or cache does first


address_parts = st.text(st.sampled_from("aB0.-_+@!%'\"()<>:; ü"), max_size=8)


@given(st.text(max_size=60) | st.builds("{}@{}".format, address_parts, address_parts))
def test_any_recipient_is_read_as_anymail_reads_it(to):
    try:
        wanted = parse_single_address(to).addr_spec
    except AnymailInvalidAddress:
        wanted = None
    assert read("MessageSent", to=to).recipient == wanted


# --- what our server says beyond Postal ---

OURS = json.loads((CORPUS / "wire" / "our_webhooks.json").read_text("utf-8"))
OUR_EVENTS = {
    # case -> event type, reject reason and class of each event but SuppressionAdded
    "away": [("delivered", None, None), ("autoresponded", None, None), ("autoresponded", None, None)],
    "blocked": [("bounced", "blocked", "reputation")],
    "dmarc": [("bounced", "blocked", "authentication")],
    "fine": [("delivered", None, None)],
    "full": [("bounced", "bounced", "mailbox_full")],
    "large": [("bounced", "other", "too_large")],
    "later": [("deferred", None, "infrastructure")],
    "long": [("bounced", "invalid", "bad_address")],
    "policy": [("bounced", "blocked", "policy")],
    "ptr": [("bounced", "blocked", "infrastructure")],
    "reported": [("delivered", None, None), ("bounced", "invalid", "bad_address")],
    "reported-full": [("delivered", None, None), ("bounced", "bounced", "mailbox_full")],
    "slow": [("deferred", None, "rate")],
    "spam": [("bounced", "spam", "content")],
    "strange": [("bounced", "blocked", "policy")],
    "unknown": [
        ("bounced", "invalid", "bad_address"),
        ("rejected", "bounced", "suppressed"),
        ("failed", "other", None),
    ],
}


def ours(case, event):
    return next(events.read(post) for post in OURS[case] if post["event"] == event)


def test_recorded_events_of_our_server_are_read_by_their_class():
    found = {
        case: [
            (event.event_type, event.reject_reason, event.postal.failure_class)
            for event in map(events.read, posts)
            if event.postal.name not in events.SUPPRESSION_EVENTS
        ]
        for case, posts in OURS.items()
    }
    assert found == OUR_EVENTS
    assert {event.recipient for posts in OURS.values() for event in map(events.read, posts)} == {
        f"{case}@dest.example" for case in OURS
    }


def test_answer_is_whole():
    found = ours("long", "MessageDeliveryFailed")
    assert len(found.postal.output) == 250
    assert found.mta_response == found.postal.classification.diagnostic
    assert found.mta_response.startswith(found.postal.output)
    assert (found.postal.about, found.postal.stage) == ("recipient", "rcpt")


def test_report_is_described():
    found = ours("reported", "MessageBounced")
    assert (found.description, found.mta_response) == (
        "Reported by catch.localhost: 5.1.1",
        "550 5.1.1 No such user here",
    )
    report = found.postal.report
    assert (report.kind, report.action, report.is_forwarded) == ("bounce", "failed", False)
    assert report.final_recipient == "reported@dest.example"
    assert (found.postal.evidence, found.postal.stage) == ("strong", "report")
    assert found.postal.suppression.reason == "bad_address"


@each(
    "report, status, description",
    [
        ({"reporting_mta": "a.example", "remote_mta": "b.example"}, "5.1.1", "Reported by a.example: 5.1.1"),
        ({"remote_mta": "b.example"}, None, "Reported by b.example"),
        ({}, "5.2.2", "Reported: 5.2.2"),
        (None, None, "Reported"),
    ],
)
def test_description_of_a_report_has_what_is_known(report, status, description):
    why = {"class": "unknown", "enhanced_status": status}
    assert read("MessageBounced", classification=why, report=report).description == description


def test_hold_says_which_entry_stops_the_mail():
    found = ours("unknown", "MessageHeld")
    assert found.postal.suppression.reason == "bad_address"
    assert found.postal.suppression.keep_until > found.timestamp
    assert found.postal.hold_reason == "suppressed"
    assert found.postal.hold_expires_at > found.timestamp


@each("setting", ["auto", True, False])
@each("says", [{"hold_reason": "suppressed"}, {"classification": {"class": "suppressed", "sure": True}}])
def test_hold_of_our_server_is_rejected_unless_switched_off(setting, says):
    entry = {"scope": "", "reason": "expired", "keep_until": None}
    options = Options(held_suppressed_as_rejected=setting)
    found = read("MessageHeld", {"options": options}, details="Whatever.", suppression=entry, **says)
    wanted = ("queued", None) if setting is False else ("rejected", "timed_out")
    assert (found.event_type, found.reject_reason) == wanted


@pytest.mark.parametrize("setting", ["auto", False])
def test_hold_of_postal_stays_queued(setting):
    options = Options(held_suppressed_as_rejected=setting)
    found = read("MessageHeld", {"options": options}, details=SUPPRESSED.format("too many hard fails"))
    assert (found.event_type, found.reject_reason) == ("queued", None)
    assert (found.postal.failure_class, found.postal.suppression.reason) == (
        "suppressed",
        "too many hard fails",
    )


def test_hold_for_another_reason_stays_queued():
    found = read(
        "MessageHeld", details=SUPPRESSED.format("x"), hold_reason="admin", hold_expires_at=1606753101.5
    )
    assert (found.event_type, found.postal.hold_reason, found.postal.failure_class) == (
        "queued",
        "admin",
        "held",
    )
    assert found.postal.hold_expires_at.timestamp() == 1606753101.5


def test_suppressed_mail_that_fails_is_rejected():
    why = {"class": "suppressed", "sure": True, "suppressed": {"scope": "", "reason": "complaint"}}
    found = read("MessageDeliveryFailed", details="x", output="", classification=why)
    assert (found.event_type, found.reject_reason) == ("rejected", "spam")
    why["suppressed"] = None
    found = read(
        "MessageDeliveryFailed", details=SUPPRESSED.format("too many soft fails"), classification=why
    )
    assert (found.event_type, found.reject_reason) == ("rejected", "timed_out")


ABOUT_US = [{"output": "554 blocked using zen.spamhaus.org"}, {"classification": {"class": "reputation"}}]


@pytest.mark.parametrize("values", ABOUT_US, ids=["Postal", "ours"])
def test_what_is_about_us_may_be_a_failure(values):
    values = {"details": REFUSED, **values}
    assert read("MessageDeliveryFailed", **values).event_type == "bounced"
    options = {"options": Options(blocked_as_failed=True)}
    found = read("MessageDeliveryFailed", options, **values)
    assert (found.event_type, found.reject_reason) == ("failed", "blocked")
    assert (
        read("MessageDeliveryFailed", options, details=REFUSED, output="550 5.1.1 x").event_type == "bounced"
    )


def test_given_up_is_bounced_even_if_refusals_are_not():
    why = {"class": "mailbox_full", "gave_up": True}
    found = read("MessageDeliveryFailed", {"options": Options(hardfail_as_bounced=False)}, classification=why)
    assert (found.event_type, found.reject_reason) == ("bounced", "bounced")


MAY_SUPPRESS = [
    ("MessageDeliveryFailed", {"details": REFUSED, "output": "550 5.1.1 x"}, True),
    ("MessageDeliveryFailed", {"details": REFUSED, "output": "554 as asked"}, True),
    ("MessageDeliveryFailed", {"details": REFUSED, "output": "552 5.2.2 full"}, False),
    ("MessageDeliveryFailed", {"details": REFUSED, "output": "554 spamhaus"}, False),
    ("MessageDeliveryFailed", {"classification": {"class": "inactive"}}, True),
    ("MessageDeliveryFailed", {"classification": {"class": "expired"}}, False),
    ("MessageDeliveryFailed", {"classification": {"class": "suppressed", "sure": True}}, False),
    ("MessageHeld", {"details": SUPPRESSED.format("too many hard fails")}, True),
    ("MessageBounced", {}, True),
    ("MessageBounced", {"classification": {"class": "bad_address"}, "report": {"evidence": "strong"}}, True),
    ("MessageBounced", {"classification": {"class": "bad_address"}, "report": {"evidence": "weak"}}, False),
    ("MessageBounced", {"classification": {"class": "bad_address"}}, False),
    (
        "MessageBounced",
        {"classification": {"class": "bad_address"}, "report": {"evidence": "strong", "forwarded": True}},
        False,
    ),
]


@each("event, values, may_suppress", MAY_SUPPRESS)
def test_only_what_is_for_good_about_the_recipient_may_suppress(event, values, may_suppress):
    assert read(event, **values).postal.may_suppress is may_suppress


def test_forwarded_failure_is_a_bounce_all_the_same():
    found = read("MessageBounced", classification={"class": "bad_address"}, report={"forwarded": True})
    assert (found.event_type, found.reject_reason) == ("bounced", "invalid")
    assert found.postal.report.is_forwarded


def test_end_of_a_hold():
    found = ours("unknown", "MessageHoldCancelled")
    assert (found.event_type, found.reject_reason) == ("failed", "other")
    assert (found.postal.hold_reason, found.postal.hold_ended_by) == ("suppressed", "admin")


def test_complaint():
    found = read("MessageComplained", to="ann@example.com")
    assert (found.event_type, found.reject_reason, found.recipient) == (
        "complained",
        "spam",
        "ann@example.com",
    )
    assert found.description == "abuse from mail.example"
    assert (found.postal.complaint.user_agent, found.postal.evidence) == ("Feedback/1.0", "strong")
    assert found.postal.suppression.scope == "stream:news"


def test_complaint_of_nobody_known_is_one():
    found = read("MessageComplained", payload={"original_message": {"id": 5}})
    assert (found.event_type, found.description, found.message_id) == ("complained", None, 5)


def test_unsubscription():
    found = read("MessageUnsubscribed", stream="news")
    assert (found.event_type, found.reject_reason) == ("unsubscribed", "unsubscribed")
    assert (found.postal.unsubscription.how, found.postal.stream) == ("one-click", "news")


def test_automatic_reply_is_described_by_its_subject():
    first, second = (events.read(post) for post in OURS["away"] if post["event"] == "MessageAutoReplied")
    assert (first.event_type, first.description) == ("autoresponded", "Out of office: Hello")
    assert (first.postal.auto_reply.is_challenge, second.postal.auto_reply.is_challenge) == (False, True)


def test_change_of_the_suppression_list():
    found = ours("reported", "SuppressionAdded")
    entry = found.postal.suppression
    assert (found.event_type, found.message_id, found.recipient) == ("unknown", None, entry.address)
    assert (entry.reason, entry.times, entry.answer) == ("bad_address", 1, "550 5.1.1 No such user here")
    assert entry.created_at < entry.keep_until
    ended = ours("unknown", "SuppressionRemoved").postal.suppression
    assert (ended.ended_by, ended.ended_at > ended.created_at) == ("command line", True)


@each("event", sorted(events.BEYOND_POSTAL - {"MessageComplained", "MessageUnsubscribed"}))
def test_events_for_tests_of_projects_are_like_those_of_our_server(event):
    recorded = next(post for posts in OURS.values() for post in posts if post["event"] == event)
    made = webhook_body(event, stream=None) if event.startswith("Message") else webhook_body(event)
    assert made.keys() == recorded.keys()
    for name, part in recorded["payload"].items():
        assert (
            part.keys() == made["payload"][name].keys() if isinstance(part, dict) else name in made["payload"]
        )


def test_long_values_of_ours_are_cut():
    long = "x" * 100_000
    found = read("MessageAutoReplied", stream=long, payload={"reply": {"subject": long}})
    assert len(found.description) == 1000


# --- the recording ---

RECORDED = {
    # event, direction, status, beginning of the SMTP reply -> event type, reject reason
    ("MessageSent", "outgoing", "Sent"): ("delivered", None),
    ("MessageSent", "incoming", "Sent"): ("delivered", None),  # which the view leaves out
    ("MessageDelayed", "outgoing", "SoftFail"): ("deferred", None),
    ("MessageDelayed", "incoming", "SoftFail"): ("inbound_failed", None),
    ("MessageDeliveryFailed", "incoming", "HardFail"): ("inbound_failed", None),
    ("MessageHeld", "outgoing", "Held"): ("queued", None),
    ("MessageHeld", "incoming", "Held"): ("inbound_failed", None),
    ("MessageBounced", "outgoing", None): ("bounced", "bounced"),
    ("MessageLoaded", "outgoing", None): ("opened", None),
    ("MessageLinkClicked", "outgoing", None): ("clicked", None),
}
RECORDED_FAILURES = {
    "": ("failed", None),
    "550 5.1.1 no such user": ("bounced", "invalid"),
    "553 5.1.3 bad": ("bounced", "invalid"),
    "552 5.2.2 over quota": ("bounced", "bounced"),
    "554 as asked": ("bounced", "bounced"),
    "550 5.7.1 spam": ("bounced", "spam"),
    "554 5.7.1 blocked": ("bounced", "blocked"),
}
HOLD_REASONS = {
    "Credential is conf": "credential",
    "Recipient (rcpt-55": "suppressed",
    "Message has been a": "other",
}


RECORDED_RECIPIENTS = {
    "foo": None,
    "Name <ok-raw-rcpt-display-name@dest.example>": "ok-raw-rcpt-display-name@dest.example",
}


def test_every_recorded_webhook_is_the_right_event():
    seen = set()
    for post in WEBHOOKS:
        fields = body.parse(post.body, post.content_type)
        found = events.read(fields)
        facts, payload = found.postal, fields["payload"]
        message = payload.get("message") or payload["original_message"]
        kind = (fields["event"], message["direction"], payload.get("status"))
        seen.add(kind)
        wanted = RECORDED.get(kind) or RECORDED_FAILURES[payload["output"]]
        assert (found.event_type, found.reject_reason) == wanted, post.body
        assert (found.event_id, found.message_id) == (fields["uuid"], message["id"])
        assert found.timestamp.timestamp() == int(fields["timestamp"])
        assert found.recipient == RECORDED_RECIPIENTS.get(message["to"], message["to"])
        assert (facts.id, facts.token, facts.rfc_message_id) == (
            message["id"],
            message["token"],
            message["message_id"],
        )
        assert (facts.subject, facts.sender, facts.tag) == (
            message["subject"],
            message["from"],
            message["tag"],
        )
        assert (facts.details, facts.output) == (payload.get("details"), payload.get("output"))
        if facts.status == "Held":
            assert facts.hold_reason == HOLD_REASONS[facts.details[:18]]
    assert seen >= RECORDED.keys()
