"""Postal's answers as values: every recorded one, and odd ones."""

import json
import pickle
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal import wire
from anymail_postal.wire import PostalMessageId, WireError
from tests.each import each

RECORDED = {
    each["name"]: each
    for each in json.loads((Path(__file__).parent.parent / "vectors/recorded/api.json").read_text())
}
# Names of lookups, by the reader of their data.
READERS = {
    "/api/v1/send/message": wire.read_send,
    "/api/v1/send/raw": wire.read_send,
    "/api/v1/messages/message": wire.read_message,
    "/api/v1/messages/deliveries": wire.read_deliveries,
}
READABLE = [
    name
    for name, each in RECORDED.items()
    if each["request"]["path"] in READERS and each["response"]["status"] == 200
]


def data_of(name: str) -> Any:
    return wire.read_answer(json.loads(RECORDED[name]["response"]["body"])).data


@each("name", READABLE)
def test_every_recorded_answer_is_read(name: str) -> None:
    body = json.loads(RECORDED[name]["response"]["body"])
    answer = wire.read_answer(body)
    if body["status"] == "success":
        assert answer.code is None
        assert READERS[RECORDED[name]["request"]["path"]](answer.data, "default") is not None
    else:
        assert answer.code == body["data"].get("code", "parameter-error")
        assert answer.message == body["data"].get("message", "")


def test_a_send_gives_ids_that_are_ints_and_know_more() -> None:
    result = wire.read_send(data_of("raw-two-rcpt"), "eu")
    assert result.rfc_message_id == "raw-two-rcpt@example.test"
    first, second = result.messages.values()
    assert (first, second) == (64, 65)
    assert (first.token, first.rfc_message_id, first.server) == (
        "TnhMzOiBOJjKPFDm",
        result.rfc_message_id,
        "eu",
    )
    assert json.dumps(first) == "64"


def test_a_raw_mail_without_message_id_has_none() -> None:
    result = wire.read_send(data_of("raw-no-message-id"), "default")
    assert result.rfc_message_id is None
    assert next(iter(result.messages.values())).rfc_message_id == ""


def test_a_message_id_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(PostalMessageId(7, "t", "a@b", "eu")))
    assert (copy, copy.token, copy.rfc_message_id, copy.server) == (7, "t", "a@b", "eu")


def test_a_message_with_all_expansions() -> None:
    message = wire.read_message(data_of("get-all"), "default")
    assert message.id == 10
    assert message.id.token == "wBx9aLnQ44yKFCOw"
    assert message.id.rfc_message_id == "c339388b-be15-4a31-9adf-c191ce1f958f@rp.postal.example.test"
    assert message.status == "Sent"
    assert message.is_held is False
    assert message.hold_expires_at is None
    assert message.recipient == "ok-minimal@dest.example"
    assert message.created_at == datetime.fromtimestamp(1795373881.0583072, timezone.utc)
    assert message.size_bytes == 873
    assert message.bounce_for_id is None  # Postal says 0
    assert message.spam_score == 0.0
    assert message.plain_body == "Hello minimal"
    assert message.html_body is None
    assert message.headers["to"] == ["ok-minimal@dest.example"]
    assert message.raw_message is not None
    assert message.raw_message.startswith(b"DKIM-Signature: ")
    assert message.opens == message.clicks == ()


def test_attachments_of_a_message() -> None:
    first, second = wire.read_message(data_of("get-all-attachment-two"), "default").attachments
    assert (first.filename, first.content_type, first.size_bytes) == (
        "a.png",
        "image/png",
        len(first.content),
    )
    assert len(second.sha1) == 40


def test_a_message_without_expansions_knows_only_its_ids() -> None:
    message = wire.read_message(data_of("get-plain"), "default")
    assert message.id.token
    assert message.status is message.size_bytes is message.raw_message is None
    assert message.attachments == ()


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-11-22T18:58:05.123Z", datetime(2026, 11, 22, 18, 58, 5, 123000, timezone.utc)),
        ("2026-11-22T20:58:05.123+02:00", datetime(2026, 11, 22, 18, 58, 5, 123000, timezone.utc)),
        ("2026-11-22T18:58:05", datetime(2026, 11, 22, 18, 58, 5, 0, timezone.utc)),
    ],
    ids=["utc", "another-zone", "no-zone"],
)
def test_activity_times_may_be_of_any_zone(timestamp: str, expected: datetime) -> None:
    click = {"url": "https://a.test/", "ip_address": "192.0.2.1", "user_agent": None, "timestamp": timestamp}
    load = {key: value for key, value in click.items() if key != "url"}
    message = wire.read_message(
        {"id": 1, "token": "t", "activity_entries": {"loads": [load], "clicks": [click]}}, "default"
    )
    assert message.clicks == (wire.Activity(expected, "192.0.2.1", None, "https://a.test/"),)
    assert message.opens == (wire.Activity(expected, "192.0.2.1", None, None),)


def test_a_purged_raw_message_is_none() -> None:
    assert wire.read_message({"id": 1, "token": "t", "raw_message": "DQoNCg==\n"}, "x").raw_message is None


def test_deliveries_are_in_order_of_time() -> None:
    (sent,) = wire.read_deliveries(data_of("deliveries-sent"), "default")
    assert (sent.status, sent.output, sent.sent_with_ssl, sent.duration_seconds) == (
        "Sent", "250 2.0.0 Ok: queued as SINK", False, 0.05,
    )  # fmt: skip
    later = {**data_of("deliveries-held")[0], "timestamp": 2.0}
    earlier = {**later, "id": 9, "timestamp": 1}
    assert [each.id for each in wire.read_deliveries([later, earlier], "x")] == [9, later["id"]]


def test_raw_params() -> None:
    params = wire.raw_params("a@b.test", iter(["c@d.test"]), b"\xff")
    assert params == {"mail_from": "a@b.test", "rcpt_to": ["c@d.test"], "data": "/w=="}


@each(
    "body",
    [None, [], "success", 1, {}, {"status": 400, "error": "Bad Request"}, {"status": "success"},
     {"status": "success", "data": None}, {"status": "success", "data": "x"}],
    ids=str,
)  # fmt: skip
def test_what_is_not_postals_envelope_is_refused(body: object) -> None:
    with pytest.raises(WireError):
        wire.read_answer(body)


@each(
    "body, code",
    [
        ({"status": "error"}, "error"),
        ({"status": "error", "data": []}, "error"),
        ({"status": "error", "data": {"code": 5, "message": 6}}, "error"),
        ({"status": "parameter-error", "data": {"message": "m"}}, "parameter-error"),
        ({"status": "odd", "data": {"code": "Odd"}}, "Odd"),
    ],
    ids=["no-data", "list", "wrong-types", "parameter", "unknown"],
)
def test_errors_have_a_code_whatever_they_lack(body: object, code: str) -> None:
    assert wire.read_answer(body).code == code


@each(
    "data",
    [
        [], {}, {"messages": []}, {"messages": {"a@b": None}}, {"messages": {"a@b": {"id": "1"}}},
        {"messages": {"a@b": {"id": True}}}, {"messages": {}, "message_id": 5},
        {"messages": {"a@b": {"id": 1, "token": 5}}},
    ],
    ids=str,
)  # fmt: skip
def test_odd_sends_are_refused(data: object) -> None:
    with pytest.raises(WireError):
        wire.read_send(data, "default")


@each(
    "data",
    [
        None, {"id": 1}, {"id": 1.5, "token": "t"},
        {"id": 1, "token": "t", "status": []},
        {"id": 1, "token": "t", "status": {"held": "yes"}},
        {"id": 1, "token": "t", "status": {"hold_expiry": 1e300}},
        {"id": 1, "token": "t", "status": {"hold_expiry": "soon"}},
        {"id": 1, "token": "t", "details": {"size": "12kB"}},
        {"id": 1, "token": "t", "details": {"size": "9" * 40}},
        {"id": 1, "token": "t", "details": {"size": "\u0661\u0662"}},
        {"id": 1, "token": "t", "details": {"size": 1.5}},
        {"id": 1, "token": "t", "raw_message": "a"},
        {"id": 1, "token": "t", "raw_message": "é"},
        {"id": 1, "token": "t", "activity_entries": {"loads": [{"timestamp": "soon"}]}},
        {"id": 1, "token": "t", "activity_entries": {"loads": [{"timestamp": "0001-01-01T00:00:00+23:00"}]}},
        {"id": 1, "token": "t", "activity_entries": {"loads": [5]}},
        {"id": 1, "token": "t", "attachments": [{"filename": None}]},
    ],
    ids=str,
)  # fmt: skip
def test_odd_messages_are_refused(data: object) -> None:
    with pytest.raises(WireError):
        wire.read_message(data, "default")


@each("data", [{}, [1], [{"id": 1, "status": "Sent"}], [{"id": 1, "timestamp": 1.0}]], ids=str)
def test_odd_deliveries_are_refused(data: object) -> None:
    with pytest.raises(WireError):
        wire.read_deliveries(data, "default")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["status", "data", "id", "token", "messages", "message_id", "details", "timestamp",
                         "code", "size", "activity_entries", "loads", "clicks", "attachments", "held"]),
        inner, max_size=5,
    ),
    max_leaves=15,
)  # fmt: skip


@given(json_values)
def test_readers_raise_nothing_but_wire_error(value: Any) -> None:
    for read in (
        wire.read_answer,
        lambda data: wire.read_send(data, "x"),
        lambda data: wire.read_message(data, "x"),
        lambda data: wire.read_deliveries(data, "x"),
    ):
        try:
            read(value)
        except WireError:
            continue
