"""What webhooks are sent, over real HTTP: what they get beyond Postal, and what an imported one gets."""

from __future__ import annotations

import json
import smtplib
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from anymail_postal.signatures import parse_keys, read_signature, verify
from postal_server.wire.webhook import POSTALS_EVENTS

BOB = "bob@example.org"
NO_SUCH_USER = f"550 5.1.1 <{BOB}>: Recipient address rejected: User unknown"


@pytest.fixture
def posts() -> Iterator[dict[str, list[Any]]]:
    """The events that came to `/ours` and `/imported`, the `requests` that brought them, and the `url`."""
    found: dict[str, list[Any]] = {"/ours": [], "/imported": [], "requests": []}

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found["requests"].append((self.headers, body))
            found[self.path].append(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found["url"] = [f"http://127.0.0.1:{server.server_port}"]
        yield found
        server.shutdown()


def names(events: list[dict[str, Any]]) -> list[str]:
    return sorted(event["event"] for event in events)


def send(postal: Any, **parameters: Any) -> dict[str, Any]:
    mail = {"to": [BOB], "from": f"app@{postal.domain}", "subject": "x", "plain_body": "x", **parameters}
    headers = {"X-Server-API-Key": postal.api_key}
    url = f"{postal.url}/api/v1/send/message"
    return requests.post(url, json=mail, headers=headers, timeout=10).json()


def listen(postal: Any, posts: dict[str, list[Any]]) -> None:
    [url] = posts["url"]
    postal.post_events_to(f"{url}/ours")
    postal.post_events_to(f"{url}/imported", beyond_postal=False)


def test_a_failure_that_suppresses(postal, posts):
    listen(postal, posts)
    postal.simulate(BOB, NO_SUCH_USER)
    send(postal, stream="receipts")
    postal.wait_until_quiet()

    assert names(posts["/imported"]) == ["MessageDeliveryFailed"]
    assert set(names(posts["/imported"])) <= POSTALS_EVENTS
    failed, added = posts["/ours"]
    assert (failed["event"], added["event"]) == ("MessageDeliveryFailed", "SuppressionAdded")
    payload = failed["payload"]
    assert payload["message"]["stream"] == "receipts"
    assert list(payload)[-1] == "classification"
    assert payload["classification"]["class"] == "bad_address"
    assert payload["classification"]["suppressed"]["reason"] == "bad_address"
    entry = added["payload"]["suppression"]
    assert (entry["address"], entry["source_message"]) == (BOB, payload["message"]["id"])
    keys = parse_keys(postal.webhook_key)
    for headers, body in posts["requests"]:
        assert verify(body, read_signature(headers["X-Postal-Signature-256"], None, None), keys)


def test_a_mail_that_is_held_for_it(postal, posts):
    postal.simulate(BOB, NO_SUCH_USER)
    send(postal)
    postal.wait_until_quiet()
    listen(postal, posts)
    send(postal)
    postal.wait_until_quiet()
    [ours], [imported] = posts["/ours"], posts["/imported"]
    assert ours["payload"] == imported["payload"]  # the same keys for both: Postal's, and ours last
    assert ours["payload"]["suppression"]["reason"] == "bad_address"
    assert ours["payload"]["classification"]["class"] == "suppressed"


def test_streams_over_smtp_and_the_api(postal, posts):
    listen(postal, posts)
    mail = EmailMessage()
    mail["From"], mail["To"], mail["X-Postal-Stream"] = f"app@{postal.domain}", BOB, "news"
    with smtplib.SMTP(*postal.smtp_address, timeout=30) as client:
        client.login("x", postal.smtp_key)
        client.send_message(mail)
    assert postal.outbox.wait_for(to=BOB).message["X-Postal-Stream"] is None
    postal.wait_until_quiet()
    [sent] = posts["/ours"]
    assert (sent["event"], sent["payload"]["message"]["stream"]) == ("MessageSent", "news")
    assert sent["payload"]["classification"] is None
    answer = send(postal, stream="My Stream")
    assert (answer["status"], "`stream` parameter" in answer["data"]["message"]) == ("parameter-error", True)
