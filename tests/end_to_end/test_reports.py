"""What comes back to a return path, of each kind: over real SMTP, to signed webhooks and the API."""

from __future__ import annotations

import base64
import http.server
import json
import smtplib
import threading
import time
from collections.abc import Iterator

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from tests.postal_server.services.reports import (
    CHALLENGE,
    JUNK,
    REPLY,
    VACATION,
    feedback,
    group,
    status_report,
)

WAIT_SECONDS = 20.0
TO = "ann@example.org"


class Receiver:
    """A webhook's receiver, which keeps the events whose signature is right."""

    def __init__(self, key: str) -> None:
        public = serialization.load_der_public_key(base64.b64decode(key.partition("p=")[2].strip("; ")))
        events: list[dict] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signature = base64.b64decode(self.headers["X-Postal-Signature-256"])
                public.verify(signature, body, padding.PKCS1v15(), hashes.SHA256())
                events.append(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args) -> None:
                pass

        self.events = events
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


class Site:
    """A mail server, who hears of it, and who sends reports to it."""

    def __init__(self, postal) -> None:
        self.postal = postal
        self.receiver = Receiver(postal.webhook_key)
        postal.post_events_to(self.receiver.url)

    def send(self, *recipients: str) -> list[dict]:
        answer = requests.post(
            f"{self.postal.url}/api/v1/send/message",
            json={
                "to": list(recipients),
                "from": f"app@{self.postal.domain}",
                "subject": "x",
                "plain_body": "x",
            },
            headers={"X-Server-API-Key": self.postal.api_key},
            timeout=10,
        ).json()
        sent = [answer["data"]["messages"][to] for to in recipients]
        self.hear("MessageSent", sent[-1]["id"])
        message_id = self.show(sent[0]["id"], "details")["details"]["message_id"]
        return [{**message, "message_id": message_id} for message in sent]

    def path(self, message: dict | None = None) -> str:
        local = f"bounces+{self.postal.token}-{message['token']}" if message else self.postal.token
        return f"{local}@rp.localhost"

    def come_back(self, raw: bytes, path: str, mail_from: str = "") -> None:
        with smtplib.SMTP(*self.postal.smtp_address, timeout=30) as client:
            client.sendmail(mail_from, [path], raw)

    def show(self, message_id: int, *expansions: str, what: str = "message"):
        parameters = {"id": message_id, "_expansions": list(expansions)}
        return requests.post(
            f"{self.postal.url}/api/v1/messages/{what}",
            json=parameters,
            headers={"X-Server-API-Key": self.postal.api_key},
            timeout=10,
        ).json()["data"]

    def hear(self, name: str, message_id: int) -> dict:
        """The payload of this event about this message."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            for payload in self.heard(name, message_id):
                return payload
            time.sleep(0.01)
        raise AssertionError(f"No {name} about {message_id}: {self.receiver.events}")

    def heard(self, name: str, message_id: int) -> list[dict]:
        return [
            event["payload"]
            for event in list(self.receiver.events)
            if event["event"] == name and _about(event) == message_id
        ]

    def stored(self, message_id: int, count: int = 1) -> list[dict]:
        """What came back about a message, once it is so many."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            found = self.show(message_id, "reports")["reports"]
            if len(found) >= count:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{len(found)} of {count} reports about {message_id}")

    def status(self, message_id: int) -> str:
        return self.show(message_id, "status")["status"]["status"]


@pytest.fixture(scope="module")
def site(postal_server) -> Iterator[Site]:
    made = Site(postal_server.add())
    yield made
    made.receiver.server.shutdown()
    made.receiver.server.server_close()


FROM = {"mail_from": TO}
DELAY = status_report(group(TO, "delayed", "4.4.1"))
QUIET = {
    "delivered": (status_report(group(TO, "delivered", "2.0.0")), {}),
    "relayed": (status_report(group(TO, "relayed", "2.0.0")), {}),
    "expanded": (status_report(group(TO, "expanded", "2.0.0")), {}),
    "complaint": (feedback("abuse"), FROM),
    "unsubscribe": (feedback("opt-out"), FROM),
    "not_spam": (feedback("not-spam"), FROM),
    "auth_failure": (feedback("auth-failure"), FROM),
    "reply": (REPLY, FROM),
    "unrecognised": (JUNK, {}),
}


def test_a_failure_bounces_with_class_words_and_evidence(site):
    [message] = site.send(TO)
    said = group(TO, diagnostic="550 5.1.1 No such user here")
    site.come_back(status_report(said), site.path(message))
    payload = site.hear("MessageBounced", message["id"])
    found, report = payload["classification"], payload["report"]
    assert (found["class"], found["enhanced_status"], found["stage"]) == ("bad_address", "5.1.1", "report")
    assert "No such user here" in found["diagnostic"]
    assert (report["kind"], report["evidence"], report["forwarded"]) == ("bounce", "strong", False)
    assert (report["final_recipient"], report["reporting_mta"]) == (TO, "mx.dest.example")
    assert site.status(message["id"]) == "Bounced"
    delivery = site.show(message["id"], what="deliveries")[-1]
    assert (delivery["status"], delivery["classification"]["class"]) == ("Bounced", "bad_address")
    [shown] = site.stored(message["id"])
    assert (shown["kind"], shown["found_by"], shown["class"]) == ("bounce", "return_path", "bad_address")
    details = site.show(payload["bounce"]["id"], "details")["details"]
    assert (details["kind"], details["bounce_for_id"]) == ("bounce", message["id"])


@pytest.mark.parametrize(("raw", "is_challenge"), [(VACATION, False), (CHALLENGE, True)])
def test_an_answer_of_a_program_is_one(site, raw, is_challenge):
    [message] = site.send("bea@example.org")
    site.come_back(raw, site.path(message))
    payload = site.hear("MessageAutoReplied", message["id"])
    assert payload["reply"]["challenge"] is is_challenge
    assert site.status(message["id"]) == "Sent"


def test_a_delay_is_told_and_bounces_nothing(site):
    [message] = site.send(TO.replace("ann", "cy"))
    site.come_back(DELAY, site.path(message))
    assert site.hear("MessageDelayed", message["id"])["classification"]["class"] == "expired"
    assert site.status(message["id"]) == "Sent"


def test_all_other_kinds_are_stored_and_nothing_follows(site):
    messages = dict(zip(QUIET, site.send(*(f"{kind}@example.org" for kind in QUIET)), strict=True))
    for kind, (raw, values) in QUIET.items():
        site.come_back(raw, site.path(messages[kind]), **values)
    for kind, message in messages.items():
        [shown] = site.stored(message["id"])
        assert (shown["kind"], site.status(message["id"])) == (kind, "Sent")
        told = {event["event"] for event in site.receiver.events if _about(event) == message["id"]}
        assert told == {"MessageSent"}


def _about(event: dict) -> int | None:
    payload = event["payload"]
    message = payload.get("original_message") or payload.get("message")
    return message and message["id"]


def test_recipients_of_one_report_are_judged_each_by_its_own_group(site):
    full, dead = site.send("full@example.org", "dead@example.org")
    raw = status_report(
        group("dead@example.org"),
        group("full@example.org", status="5.2.2"),
        returned=f"Message-ID: <{full['message_id']}>\n",
    )
    site.come_back(raw, site.path(full))
    assert site.hear("MessageBounced", full["id"])["classification"]["class"] == "mailbox_full"
    site.come_back(raw, site.path(dead))
    assert site.hear("MessageBounced", dead["id"])["classification"]["class"] == "bad_address"


def test_a_failure_behind_a_forwarder_is_not_the_recipients(site):
    [message] = site.send("forwards@example.org")
    site.come_back(status_report(group("target@elsewhere.example")), site.path(message))
    assert site.hear("MessageBounced", message["id"])["report"]["forwarded"] is True
    site.send("forwards@example.org")  # which is not suppressed


def test_a_co_recipient_marks_but_never_suppresses(site):
    victim, _ = site.send("victim@example.org", "mallory@example.org")
    forged = status_report(group("victim@example.org"), returned=f"Message-ID: <{victim['message_id']}>\n")
    site.come_back(forged, site.path())
    assert site.hear("MessageBounced", victim["id"])["report"]["evidence"] == "weak"
    site.send("victim@example.org")


def test_a_sure_and_strong_failure_suppresses(site):
    [message] = site.send("gone@example.org")
    site.come_back(status_report(group("gone@example.org")), site.path(message))
    site.hear("MessageBounced", message["id"])
    [again] = _accepted(site, "gone@example.org")
    assert "suppression list" in site.hear("MessageHeld", again)["details"]


def _accepted(site: Site, to: str) -> list[int]:
    answer = requests.post(
        f"{site.postal.url}/api/v1/send/message",
        json={"to": [to], "from": f"app@{site.postal.domain}", "subject": "x", "plain_body": "x"},
        headers={"X-Server-API-Key": site.postal.api_key},
        timeout=10,
    ).json()
    return [answer["data"]["messages"][to]["id"]]


def test_the_same_again_is_stored_and_told_once(site):
    [message] = site.send("twice@example.org")
    for _ in range(3):
        site.come_back(status_report(group("twice@example.org")), site.path(message))
    shown = site.stored(message["id"], 3)
    assert [report["repeated"] for report in shown] == [False, True, True]
    assert len(site.heard("MessageBounced", message["id"])) == 1


@pytest.mark.parametrize("found_by", ["envelope_id", "token", "message_id"])
def test_reports_to_the_return_path_of_postal_are_found_by_what_they_quote(site, found_by):
    to = f"{found_by}@example.org"
    [message] = site.send(to)
    values = {
        "envelope_id": {"envelope_id": message["token"]},
        "token": {"returned": f"X-Postal-MsgID: {message['token']}\n"},
        "message_id": {"returned": f"Message-ID: <{message['message_id']}>\n"},
    }[found_by]
    site.come_back(status_report(group(to), **values), site.path())
    site.hear("MessageBounced", message["id"])
    [shown] = site.stored(message["id"])
    assert shown["found_by"] == found_by


def test_what_fits_no_message_is_kept_without_an_event(site):
    site.come_back(status_report(group("nobody@example.org")), site.path())
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        rows = [row for row in site.postal.messages() if row["rcpt_to"] == site.path()]
        if rows and rows[0]["status"] == "Processed":
            break
        time.sleep(0.02)
    kept = rows[0]
    assert kept["status"] == "Processed"
    [delivery] = site.show(kept["id"], what="deliveries")
    assert delivery["details"] == "Kept: no outgoing message could be found for it."
    assert "MessageDeliveryFailed" not in {event["event"] for event in site.receiver.events}
