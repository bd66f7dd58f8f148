"""Memory: a large mail costs a few times its size over the API and at an endpoint, too (`test_memory.py`)."""

from __future__ import annotations

import base64
import smtplib

import pytest
import requests

from .large_mail import MESSAGE_BYTES, large_mail, wait_for

TIMES = 6


def test_mail_over_the_api(relayed):
    given = {
        "mail_from": f"app@{relayed.postal.domain}",
        "rcpt_to": ["bob@example.org"],
        "data": base64.b64encode(large_mail(relayed.postal)).decode(),
    }
    headers = {"X-Server-API-Key": relayed.postal.api_key}
    answer = requests.post(f"{relayed.postal.url}/api/v1/send/raw", json=given, headers=headers, timeout=120)
    assert answer.json()["status"] == "success"
    wait_for(relayed.host.sizes, 2)
    assert relayed.measured.times <= TIMES


def test_large_attachment_over_the_api(relayed):
    given = {
        "from": f"app@{relayed.postal.domain}",
        "to": ["bob@example.org"],
        "plain_body": "See the file.",
        "attachments": [
            {
                "name": "a.bin",
                "content_type": "application/octet-stream",
                "data": base64.b64encode(bytes(range(256)) * (MESSAGE_BYTES * 72 // 100 // 256)).decode(),
            }
        ],
    }
    headers = {"X-Server-API-Key": relayed.postal.api_key}
    answer = requests.post(
        f"{relayed.postal.url}/api/v1/send/message", json=given, headers=headers, timeout=120
    )
    assert answer.json()["status"] == "success"
    wait_for(relayed.host.sizes, 2)
    assert relayed.measured.times <= TIMES


@pytest.mark.parametrize("format", ["RawMessage", "Hash"])
def test_mail_posted_to_an_endpoint(relayed, site, format):
    address = relayed.postal.post_mail_to(site.url, format=format)
    with smtplib.SMTP(*relayed.postal.smtp_address, timeout=120) as client:
        client.sendmail("someone@example.org", address, large_mail(relayed.postal))
    wait_for(site.requests, 1)
    assert relayed.measured.times <= TIMES
