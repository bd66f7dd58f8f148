"""Every recorded API request, sent to our views and compared by the vectors' own rules."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from operator import itemgetter
from typing import Any

import pytest
from django.db import transaction

from postal_server.models import Body, Click, Delivery, Link, Load, Message
from tests.each import each

from ..recorded_installation import VECTORS, call, load_script, recorded

compare = load_script("compare")
SIDE = compare.Side(VECTORS / "recorded", VECTORS / "postal.json")
RULES = json.loads((VECTORS / "deviations.json").read_text("utf-8"))
RECORDS = recorded("api")


def rule_of(name: str) -> dict[str, Any]:
    rules = RULES["api"] + RULES["all"]
    return next((r for r in rules if name in r.get("cases", ()) or re.search(r.get("like", "$^"), name)), {})


def replay(app: Any, record: dict[str, Any]) -> Any:
    request = record["request"]
    reply = call(
        app,
        request["path"],
        method=request["method"],
        headers=request["headers"],
        body=request["body"].encode(),
    )
    return compare.answer(reply.as_recorded(), SIDE)


def check(name: str, expected: Any, actual: Any) -> None:
    rule = rule_of(name)
    wanted = rule.get("accept", "")
    if wanted and not re.search("HardFail|SoftFail|Sent|<a href", wanted):  # those are about deliveries
        shown = json.dumps({"answer": actual}, ensure_ascii=False)
        assert re.search(wanted, shown), shown
        return
    assert list(compare.differences(expected, actual)) == []


def rolled_back(check: Callable[..., None]) -> Callable[..., None]:
    """Leave no row of a case to the next one."""

    @functools.wraps(check)
    def check_and_forget(**given: Any) -> None:
        with transaction.atomic():
            check(**given)
            transaction.set_rollback(True)

    return check_and_forget


SENDS = [r for r in RECORDS if "/send/" in r["request"]["path"] and not rule_of(r["name"]).get("skip")]


@each("record", SENDS, ids=itemgetter("name"))
def test_send_is_answered_as_recorded(app, record) -> None:
    check(record["name"], compare.answer(record["response"], SIDE), replay(app, record))


def store(record: dict[str, Any]) -> Message:
    """The recorded message as rows."""
    data = json.loads(record["message"])["data"]
    details, state, inspection = data["details"], data["status"], data["inspection"]
    raw = base64.b64decode(data["raw_message"])
    Body.objects.create(id=data["id"], server_id=0, created_at=at(0), raw=raw)
    message = Message.objects.create(
        id=data["id"],
        server_id=0,
        body_id=data["id"],
        scope=details["direction"],
        rcpt_to=details["rcpt_to"],
        mail_from=details["mail_from"],
        subject=details["subject"],
        message_id=details["message_id"],
        tag=details["tag"],
        status=state["status"],
        size_bytes=int(details["size"]),
        is_bounce=details["bounce"],
        received_with_ssl=details["received_with_ssl"],
        is_inspected=inspection["inspected"],
        hold_expires_at=at(state["hold_expiry"]),
        last_attempt_at=at(state["last_delivery_attempt"]),
        created_at=at(details["timestamp"]),
    )
    for row in json.loads(record["deliveries"])["data"]:
        Delivery.objects.create(
            message_id=data["id"],
            status=row["status"],
            details=row["details"],
            output=row["output"],
            sent_with_ssl=row["sent_with_ssl"],
            log_id=row["log_id"],
            seconds=row["time"],
            created_at=at(row["timestamp"]),
        )
    entries = data["activity_entries"]
    for row in entries["loads"]:
        Load.objects.create(message_id=data["id"], **activity(row))
    for row in entries["clicks"]:
        link = Link.objects.create(server_id=0, message_id=data["id"], url=row["url"], created_at=at(0))
        Click.objects.create(message_id=data["id"], link=link, **activity(row))
    return message


def activity(row: dict[str, Any]) -> dict[str, Any]:
    when = datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00"))
    return {"ip_address": row["ip_address"], "user_agent": row["user_agent"], "created_at": when}


def at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def server_of(directory: Any, record: dict[str, Any]) -> int:
    return directory.api_credential(record["request"]["headers"]["X-Server-API-Key"]).server_id


def ask(app: Any, record: dict[str, Any], path: str, **parameters: Any) -> Any:
    headers = {**record["request"]["headers"], "Content-Type": "application/json"}
    reply = call(app, f"/api/v1/messages/{path}", headers=headers, body=json.dumps(parameters).encode())
    return json.loads(reply.body)


SHOWN = [r for r in RECORDS if "message" in r and "X-Server-API-Key" in r["request"]["headers"]]


@pytest.mark.django_db
@each("record", SHOWN, ids=itemgetter("name"))
@rolled_back
def test_stored_message_is_shown_as_recorded(app, recorded_directory, record) -> None:
    message = store(record)
    Message.objects.update(server_id=server_of(recorded_directory, record))
    shown = compare.shape(ask(app, record, "message", id=message.id, _expansions=True), SIDE)
    wanted = compare.shape(json.loads(record["message"]), SIDE)
    shown["time"] = wanted["time"]
    assert list(compare.differences(wanted, shown)) == []
    assert list(shown["data"]) == [*wanted["data"], "reports"]


LOOKUPS = [r for r in RECORDS if "/messages/" in r["request"]["path"]]


@pytest.mark.django_db
@each("record", LOOKUPS, ids=itemgetter("name"))
@rolled_back
def test_lookup_is_answered_as_recorded(app, recorded_directory, record) -> None:
    server_id = server_of(recorded_directory, record)
    wanted = json.loads(record["request"]["body"] or "{}").get("id")
    for sent in SHOWN:
        number = json.loads(sent["message"])["data"]["id"]
        if number == wanted and server_of(recorded_directory, sent) == server_id:
            store(sent)
            Message.objects.update(server_id=server_id)
    # The rows show the end; bounces came in after the look-ups.
    Delivery.objects.filter(status="Bounced").delete()
    Message.objects.filter(status="Bounced").update(status="Sent")
    expected = compare.answer(record["response"], SIDE)
    check(record["name"], expected, replay(app, record))
