import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from postal_server.models import Delivery
from postal_server.rules.status import DeliveryStatus
from postal_server.wire import webhook
from postal_server.wire.http import to_json
from tests.each import each

RECORDED = json.loads((Path(__file__).parents[2] / "corpus/wire/webhooks.json").read_text("utf-8"))


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _message(shown: dict) -> SimpleNamespace:
    return SimpleNamespace(
        id=shown["id"],
        scope=shown["direction"],
        message_id=shown["message_id"],
        rcpt_to=shown["to"],
        mail_from=shown["from"],
        subject=shown["subject"],
        created_at=_at(shown["timestamp"]),
        is_inspected=shown["spam_status"] != "NotChecked",
        is_spam=shown["spam_status"] == "Spam",
        tag=shown["tag"],
        stream="",
    )


def _again(recorded: dict) -> bytes:
    """The recorded event, written by our code from what it says."""
    said = recorded["payload"]
    if recorded["event"] == webhook.BOUNCED:
        payload = webhook.bounce_payload(
            _message(said["original_message"]),
            said["original_message"]["token"],
            _message(said["bounce"]),
            said["bounce"]["token"],
        )
    elif "status" in said:
        delivery = Delivery(
            status=said["status"],
            details=said["details"],
            output=said["output"] or None,
            sent_with_ssl=said["sent_with_ssl"],
            created_at=_at(said["timestamp"]),
            seconds=said["time"],
        )
        payload = webhook.delivery_payload(_message(said["message"]), said["message"]["token"], delivery)
    else:
        payload = {
            **said,
            "message": webhook.message_hash(_message(said["message"]), said["message"]["token"]),
        }
    return webhook.envelope(recorded["event"], payload, _at(recorded["timestamp"]), UUID(recorded["uuid"]))


def _whole_microseconds(text: str) -> str:
    """Postal's times are sums with binary noise; ours have microseconds."""
    return json.dumps(
        json.loads(text, parse_float=lambda number: round(float(number), 6)),
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _without_added(ours: Any, recorded: Any) -> Any:
    """Our value without the keys that Postal lacks. They have to come last."""
    if not isinstance(recorded, dict):
        return ours
    assert list(ours)[: len(recorded)] == list(recorded)
    return {key: _without_added(ours[key], value) for key, value in recorded.items()}


@each("text", RECORDED, ids=lambda text: json.loads(text)["event"])
def test_a_recorded_event_is_written_byte_for_byte_but_for_what_is_added_last(text):
    written = _again(json.loads(text)).decode()
    assert written.count("\\u003c") == text.count("\\u003c")
    postals = to_json(_without_added(json.loads(written), json.loads(text))).decode()
    assert _whole_microseconds(postals) == _whole_microseconds(text)


def test_markup_is_escaped_and_other_text_is_raw_utf8():
    body = webhook.envelope("X", {"text": "<a&b> ü \u2028"}, _at(1.5), UUID(int=0))
    assert b'{"text":"\\u003ca\\u0026b\\u003e \xc3\xbc \\u2028"}' in body
    assert body.startswith(b'{"event":"X","timestamp":1.5,"payload":')


@pytest.mark.parametrize(
    "status", [DeliveryStatus.PROCESSED, DeliveryStatus.ERROR, DeliveryStatus.HOLD_CANCELLED]
)
def test_some_statuses_have_no_event(status):
    assert status not in webhook.BY_STATUS


@dataclass(frozen=True)
class _Server:
    uuid: str = "u"
    name: str = "Live"
    permalink: str = "live"
    organization_permalink: str = "example"


def test_limits_name_the_server():
    assert webhook.limit_payload(_Server(), 9, 10) == {
        "server": {"uuid": "u", "name": "Live", "permalink": "live", "organization": "example"},
        "volume": 9,
        "limit": 10,
    }


def test_dns_states_are_in_postals_order_with_null_for_none():
    domain = SimpleNamespace(
        name="example.test",
        uuid=UUID(int=1),
        dns_checked_at=_at(7),
        **{f"{c}_status": "OK" for c in ("spf", "dkim", "mx", "return_path")},
        **{f"{c}_error": "" for c in ("spf", "dkim", "mx")},
        return_path_error="wrong",
    )
    payload = webhook.dns_payload(_Server(), domain)
    assert list(payload) == [
        "server",
        "domain",
        "uuid",
        "dns_checked_at",
        "spf_status",
        "spf_error",
        "dkim_status",
        "dkim_error",
        "mx_status",
        "mx_error",
        "return_path_status",
        "return_path_error",
    ]
    assert (payload["spf_error"], payload["return_path_error"]) == (None, "wrong")
