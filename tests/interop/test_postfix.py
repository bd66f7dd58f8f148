"""A real Postfix gives us mail and takes mail from us, as Debian configures its TLS and SASL."""

from __future__ import annotations

import base64
import smtplib
import time

import dkim
import pytest
import requests

from postal_server.testing import free_ports
from tests.altered import relaying_to
from tests.end_to_end.suppression_list import entries

from .daemons import shared_folder
from .postfix import HOST_NAME, Postfix


def send(postal, to: str, subject: str) -> int:
    """Send a mail by the API; its id."""
    answer = requests.post(
        f"{postal.url}/api/v1/send/message",
        json={
            "to": [to],
            "from": f"app@{postal.domain}",
            "subject": subject,
            "plain_body": "Grüße\n.\n..\n" + "x" * 2000,
        },
        headers={"X-Server-API-Key": postal.api_key},
        timeout=10,
    ).json()
    assert answer["status"] == "success", answer
    return answer["data"]["messages"][to]["id"]


def wait_for_status(postal, number: int, *wanted: str) -> dict:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        [row] = [row for row in postal.messages() if row["id"] == number]
        if row["status"] in wanted:
            return row
        time.sleep(0.1)
    raise AssertionError(f"the message is {row}")


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5"])
def test_relays_in_through_submission(postal, folder, mechanism):
    """STARTTLS, then AUTH with SASL."""
    server = Postfix(
        folder,
        submission=postal.running.smtp_port,
        # CRAM-MD5 finds the mail server by the user's name; the others do not look at it.
        user=f"tests/{postal.domain.removesuffix('.test')}" if mechanism == "cram-md5" else "anybody",
        key=postal.smtp_key,
        mechanism=mechanism,
    )
    raw = f"From: app@{postal.domain}\r\nTo: ann@elsewhere.example\r\nSubject: in\r\n\r\nHello\r\n.dot\r\n"
    with server.running():
        with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
            client.sendmail(f"app@{postal.domain}", ["ann@elsewhere.example"], raw)
        caught = postal.outbox.wait_for(to="ann@elsewhere.example", timeout=30)
        log = server.log
    assert caught.text == "Hello\n.dot\n"
    received = caught.message.get_all("Received")
    assert f"from {HOST_NAME}" in received[0]
    assert "TLS connection established to 127.0.0.1" in log
    assert "status=sent (250 " in log


def test_wrong_key_is_a_refusal_that_it_understands(postal, folder):
    server = Postfix(folder, submission=postal.running.smtp_port, key="wrong")
    with server.running():
        with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
            client.sendmail(f"app@{postal.domain}", ["ann@elsewhere.example"], "Subject: x\r\n\r\nx\r\n")
        end = time.monotonic() + 20
        while "status=deferred" not in server.log and time.monotonic() < end:
            time.sleep(0.1)
        assert "SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535" in server.log
    assert postal.messages() == []


@pytest.fixture(scope="module")
def installed():
    """A Postfix, and an installation of ours that hands everything to it and gets its reports."""
    [port] = free_ports(1)
    with shared_folder() as folder, relaying_to(port) as ours:
        server = Postfix(folder, submission=9, key="unused", reports=ours.smtp_port)
        server.port = port
        with server.running():
            yield ours, server


def test_receives_what_we_send(pair):
    postal, server = pair
    number = send(postal, "bob@example.org", "out")
    mail = server.wait_for_mail("out")
    details = wait_for_status(postal, number, "Sent")["details"]
    assert details.startswith("Message for bob@example.org accepted by 127.0.0.1:")
    [text] = [part for part in mail.walk() if part.get_content_type() == "text/plain"]
    assert text.get_payload(decode=True).decode().startswith("Grüße\n.\n..\n")
    record, wanted = postal.dkim_record.encode(), f"{postal.dkim_name}.".encode()
    raw = mail.as_bytes().replace(b"\n", b"\r\n")
    assert dkim.DKIM(raw).verify(dnsfunc=lambda name, timeout=5: record if name == wanted else None)


def test_refusal_is_a_hard_fail(pair):
    postal, _ = pair
    row = wait_for_status(postal, send(postal, "refused@example.org", "no"), "HardFail", "SoftFail")
    assert row["status"] == "HardFail"
    assert row["details"].startswith("Permanent SMTP delivery error when sending to 127.0.0.1")


def test_its_report_bounces_the_message(pair):
    """Postfix takes the mail and finds out later: its report finds our message by the return path."""
    postal, _ = pair
    row = wait_for_status(postal, send(postal, "nobody@example.org", "late"), "Bounced")
    assert "We've received a bounce message for this e-mail" in row["details"]


def ask(postal, path: str, **values):
    answer = requests.post(
        f"{postal.url}/api/v1/{path}", json=values, headers={"X-Server-API-Key": postal.api_key}, timeout=10
    ).json()
    assert answer["status"] == "success", answer
    return answer["data"]


def wait_for_report(postal, number: int) -> tuple[str, str]:
    """The token of a message, and the text of the report that came to its return path."""
    token = ask(postal, "messages/message", id=number)["token"]
    end = time.monotonic() + 40
    while time.monotonic() < end:
        for row in postal.messages():
            if row["scope"] == "incoming" and f"-{token}@" in row["rcpt_to"]:
                raw = ask(postal, "messages/message", id=row["id"], _expansions=["raw_message"])
                return token, base64.b64decode(raw["raw_message"]).decode().replace("\r\n", "\n")
        time.sleep(0.2)
    raise AssertionError(f"no report on {number}: {postal.messages()}")


@pytest.mark.parametrize(
    ("recipient", "action"),
    [
        ("nobody@example.org", "failed"),
        ("no+tag=x@example.org", "failed"),
        ("jürgen@example.org", "failed"),
        ("ann@down.example", "delayed"),
    ],
)
def test_its_reports_name_the_message_and_the_recipient(pair, recipient, action):
    postal, _ = pair
    token, report = wait_for_report(postal, send(postal, recipient, "which one"))
    assert f"Original-Envelope-Id: {token}\n" in report
    kind = "rfc822" if recipient.isascii() else "utf-8"
    assert f"Original-Recipient: {kind};{recipient}\n" in report
    assert f"Action: {action}\n" in report


def test_without_dsn_a_report_names_neither_and_comes_all_the_same(pair):
    postal, server = pair
    with server.without("dsn"):
        _, report = wait_for_report(postal, send(postal, "nobody@example.org", "no dsn"))
    assert "Original-Envelope-Id" not in report
    assert "Action: failed\n" in report


def report_of(postal, number: int) -> tuple[dict, dict]:
    """The first report on a message, and its class, as the API shows them."""
    [report, *_] = ask(postal, "messages/message", id=number, _expansions=["reports"])["reports"]
    return report, ask(postal, "messages/deliveries", id=number)[-1]["classification"]


@pytest.mark.parametrize(
    ("recipient", "name", "is_forwarded"),
    [
        ("nobody@example.org", "bad_address", False),
        ("full@example.org", "mailbox_full", False),
        ("team@example.org", "bad_address", True),  # two of three members are gone
    ],
)
def test_its_reports_are_classified(pair, recipient, name, is_forwarded):
    postal, _ = pair
    number = send(postal, recipient, "why")
    wait_for_status(postal, number, "Bounced")
    report, found = report_of(postal, number)
    assert (report["kind"], report["evidence"]) == ("bounce", "strong")
    assert (found["class"], report["forwarded"]) == (name, is_forwarded), (report, found)
    listed = [entry.key for entry in entries(postal)]
    assert listed == (["nobody@example.org"] if name == "bad_address" and not is_forwarded else [])


def test_a_delay_leaves_the_message_as_it_is(pair):
    postal, _ = pair
    number = send(postal, "ann@down.example", "later")
    wait_for_report(postal, number)
    postal.wait_until_quiet()
    assert wait_for_status(postal, number, "Sent")
    report, _ = report_of(postal, number)
    assert (report["kind"], report["class"]) == ("delayed", "expired")
