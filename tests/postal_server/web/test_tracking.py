"""The tracking host: what was recorded of Postal's answers, and what becomes of a hit."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from datetime import datetime, timezone
from typing import Any

import pytest
from django.db import DatabaseError

from postal_server.models import Click, ImportedToken, Link, Load, Message, WebhookRequest
from postal_server.services.operations import tracking
from postal_server.services.shared.token import link_token, message_token
from postal_server.web.tracking import PIXEL
from tests.each import each

from ..recorded_installation import NAMES, Reply, call, recorded

NOW = datetime.now(timezone.utc)  # links end, so that no fixed time will do
TARGET = "https://www.example.com/plain?x=1"
SERVER = NAMES["server_token"]


@pytest.fixture
def message(db, recorded_directory) -> Message:
    server = recorded_directory.server_by_token[SERVER]
    return Message.objects.create(
        id=7, server_id=server.id, scope="outgoing", size_bytes=1, created_at=NOW, rcpt_to="ann@dest.example"
    )


@pytest.fixture
def link(message) -> Link:
    return Link.objects.create(server_id=message.server_id, message_id=message.id, url=TARGET, created_at=NOW)


def track(app: Any, path: str, method: str = "GET", agent: str | None = "Mozilla/5.0 (test)") -> Reply:
    headers = {"X-Postal-Track-Host": "1", "Host": "click.tracked.test"}
    if agent is not None:
        headers["User-Agent"] = agent
    return call(app, path, method=method, headers=headers, peer="192.0.2.1")


def events() -> list[dict[str, Any]]:
    return [json.loads(bytes(row.body)) for row in WebhookRequest.objects.order_by("id")]


RECORDED = recorded("more")["track_requests"]
FREE = ("root", "open-with-src")  # deviations


@each("record", RECORDED, ids=lambda record: record["name"])
def test_answer_is_as_recorded(app, message, link, record) -> None:
    path = record["path"]
    if record["name"].startswith("open") and "unknown" not in record["name"]:
        path = path.replace(path.split("?")[0].rsplit("/", 1)[1], message_token(message.id))
    elif record["name"] in ("click", "click-again"):
        path = f"/{SERVER}/{link_token(link.id)}"
    reply = track(app, path, record["method"])
    body = base64.b64decode(record["body"])
    assert reply.status == record["status"]
    wanted = [tuple(header) for header in record["response_headers"] if header[0] != "content-length"]
    assert reply.headers[:-1] == wanted
    assert reply.headers[-1] == ("content-length", str(len(reply.body)))
    assert reply.body == body or (body.startswith(b"\x89PNG") and reply.body == PIXEL)


def test_pixel_is_one_transparent_point() -> None:
    assert PIXEL.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", PIXEL[16:24]) == (1, 1)
    start = PIXEL.index(b"IDAT") + 4
    assert zlib.decompress(PIXEL[start:-16]) == bytes(5)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_open_is_stored_with_an_event(app, message, method) -> None:
    reply = track(app, f"/img/{SERVER}/{message_token(message.id)}", method)
    assert (reply.status, reply.body) == (200, b"" if method == "HEAD" else PIXEL)
    load = Load.objects.get()
    assert (load.message_id, load.ip_address, load.user_agent) == (7, "192.0.2.1", "Mozilla/5.0 (test)")
    assert len(events()) == 2  # one for each webhook
    event = events()[0]
    assert event["event"] == "MessageLoaded"
    assert list(event["payload"]) == ["message", "ip_address", "user_agent"]
    assert event["payload"]["message"]["id"] == 7


def test_loaded_is_set_once_and_clicked_each_time(app, message, link) -> None:
    first = NOW.replace(year=2020)
    Message.objects.update(loaded_at=first, clicked_at=first)
    track(app, f"/img/{SERVER}/{message_token(message.id)}")
    track(app, f"/{SERVER}/{link_token(link.id)}")
    message.refresh_from_db()
    assert (message.loaded_at, message.clicked_at > first) == (first, True)


def test_click_is_stored_with_an_event(app, message, link) -> None:
    token = link_token(link.id)
    reply = track(app, f"/{SERVER}/{token}/more")
    assert (reply.status, reply.header("location")) == (307, TARGET)
    click = Click.objects.get()
    assert (click.link_id, click.message_id) == (link.id, 7)
    payload = events()[0]["payload"]
    assert list(payload) == ["message", "url", "token", "ip_address", "user_agent"]
    assert (payload["url"], payload["token"]) == (TARGET, token)


def test_token_in_another_case_still_works(app, message, link) -> None:
    assert track(app, f"/{SERVER.upper()}/{link_token(link.id).upper()}").status == 307


@pytest.mark.parametrize("agent", [None, "a" * 5000])
def test_any_user_agent_is_taken(app, message, link, agent) -> None:
    assert track(app, f"/{SERVER}/{link_token(link.id)}", agent=agent).status == 307
    kept = Click.objects.get().user_agent
    assert kept == (None if agent is None else agent[: tracking.USER_AGENT_LENGTH])


def test_imported_tokens_work(app, message) -> None:
    ImportedToken.objects.create(token="nXvx7UAST2hNIwhg", server_id=message.server_id, message_id=7)
    Link.objects.create(
        server_id=message.server_id,
        message_id=7,
        url=TARGET,
        imported_token="K6zeA21gSL6Ut9kH",
        created_at=NOW,
    )
    assert track(app, f"/img/{SERVER}/nXvx7UAST2hNIwhg").body == PIXEL
    assert track(app, f"/{SERVER}/K6zeA21gSL6Ut9kH").status == 307
    assert (Load.objects.count(), Click.objects.count()) == (1, 1)


def test_link_outlives_its_message_without_an_event(app, message, link) -> None:
    message.delete()
    assert track(app, f"/{SERVER}/{link_token(link.id)}").status == 307
    assert (Click.objects.count(), events()) == (0, [])


def test_a_link_that_has_ended_says_so(app, message, link) -> None:
    Link.objects.update(created_at=NOW.replace(year=2020))
    reply = track(app, f"/{SERVER}/{link_token(link.id)}")
    assert (reply.status, reply.body, reply.header("location")) == (410, b"This link has expired", None)
    assert (Click.objects.count(), events()) == (0, [])


def test_a_link_that_is_forgotten_says_the_same(app, message, link) -> None:
    token = link_token(link.id)
    link.delete()
    assert track(app, f"/{SERVER}/{token}").status == 410


def test_link_of_another_server_is_not_found(app, message, link) -> None:
    Link.objects.update(server_id=link.server_id + 1)
    assert track(app, f"/{SERVER}/{link_token(link.id)}").status == 404


def test_failure_to_record_does_not_keep_people_from_the_link(
    app, message, link, monkeypatch, caplog
) -> None:
    def fail(*arguments: Any) -> None:
        raise DatabaseError("locked")

    monkeypatch.setattr(tracking, "record_click", fail)
    assert track(app, f"/{SERVER}/{link_token(link.id)}").status == 307
    assert "could not be recorded" in caplog.text


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("https://example.com/ü", "https://example.com/%C3%BC"),
        ("https://example.com/\r\nX-Evil: 1", "https://example.com/%0D%0AX-Evil:%201"),
    ],
)
def test_location_holds_no_header_of_its_own(app, message, link, target, location) -> None:
    Link.objects.update(url=target)
    assert track(app, f"/{SERVER}/{link_token(link.id)}").header("location") == location


def test_without_the_mark_the_host_is_checked(app) -> None:
    assert call(app, f"/img/{SERVER}/x", method="GET", headers={"Host": "click.tracked.test"}).status == 403
