"""Who may send as whom, from the application to the server and what it says of it."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import smtplib
import urllib.request

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command

from anymail_postal.errors import PostalSenderError


def over_smtp(box, raw: bytes) -> bool:
    with smtplib.SMTP(*box.smtp_address, timeout=20) as client:
        client.login("postal", box.smtp_key)
        try:
            client.sendmail(f"app@{box.domain}", ["bob@example.org"], raw)
        except smtplib.SMTPDataError as error:
            return error.smtp_code == 530
    return False


def over_raw(box, raw: bytes) -> bool:
    data = base64.b64encode(raw).decode()
    asked = {"mail_from": "x@y.example", "rcpt_to": ["bob@example.org"], "data": data}
    request = urllib.request.Request(
        f"{box.url}/api/v1/send/raw",
        json.dumps(asked).encode(),
        {"Content-Type": "application/json", "X-Server-API-Key": box.api_key},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        answered = json.load(answer)["data"]
    return answered.get("code") == "UnauthenticatedFromAddress"


def over_message(address: str) -> bool:
    try:
        EmailMessage("Hi", "Hello", address, ["bob@example.org"]).send()
    except PostalSenderError:
        return True
    return False


def said_by_postal_check(address: str) -> str:
    said = io.StringIO()
    with contextlib.suppress(CommandError):  # other things may be wrong here as well
        call_command("postal_check", senders=[address], stdout=said, no_color=True)
    return said.getvalue()


@pytest.mark.parametrize("address", ["ceo@bank.example", "app@sub.{domain}"])
def test_a_from_outside_the_verified_domains_is_refused_and_postal_check_tells_it(project, address):
    address = address.format(domain=project.domain)
    raw = f"From: {address}\r\nTo: bob@example.org\r\nSubject: Hi\r\n\r\nHello\r\n".encode()
    assert over_smtp(project, raw)
    assert over_raw(project, raw)
    assert over_message(address)
    assert f"FAIL  API: mail from {address} is refused" in said_by_postal_check(address)


def test_a_from_of_a_verified_domain_is_taken_and_postal_check_tells_it(project):
    address = f'"Doe, Jane" <jane@{project.domain.upper()}>'
    raw = f"From: {address}\r\nTo: bob@example.org\r\nSubject: Hi\r\n\r\nHello\r\n".encode()
    assert not over_smtp(project, raw)
    assert not over_raw(project, raw)
    assert not over_message(address)
    assert f"ok    API: mail may be sent from jane@{project.domain.upper()}" in said_by_postal_check(address)
