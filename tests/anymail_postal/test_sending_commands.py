"""postal_send_test and postal_message: what they ask, what they print, how they fail."""

from __future__ import annotations

import io
from typing import Any

import pytest
from anymail.exceptions import AnymailCancelSend
from anymail.signals import pre_send
from django.core.management import call_command
from django.core.management.base import CommandError

from anymail_postal import conf

from .answers import KEY, URL, FakePostal, envelope, error


@pytest.fixture
def postal(monkeypatch: pytest.MonkeyPatch, settings: Any) -> FakePostal:
    settings.ANYMAIL = {
        "POSTAL_API_KEY": KEY,
        "POSTAL_API_URL": URL,
        "POSTAL_SERVERS": {"eu": {"api_key": "eu-key"}},
    }
    settings.DEFAULT_FROM_EMAIL = "default@example.test"
    monkeypatch.setattr(conf, "store", lambda: None)
    return FakePostal().install(monkeypatch)


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_a_test_mail_is_sent(postal: FakePostal) -> None:
    printed = run("postal_send_test", "ann@b.test")
    assert (postal.body["from"], postal.body["to"]) == ("default@example.test", ["ann@b.test"])
    assert "ann@b.test: queued" in printed
    assert "id 1, token token1, Message-ID <made@rp.example.test>" in printed


def test_a_test_mail_through_another_server_and_api(postal: FakePostal) -> None:
    run("postal_send_test", "ann@b.test", "--server", "eu", "--from", "me@b.test", "--api", "raw")
    assert postal.endpoints == ["send/raw"]
    assert postal.body["mail_from"] == "me@b.test"
    assert postal.calls[0]["headers"]["X-Server-API-Key"] == "eu-key"


def test_a_recipient_without_an_id(postal: FakePostal) -> None:
    postal.answers = [envelope("success", {"message_id": None, "messages": {}})]
    assert "ann@b.test: unknown" in run("postal_send_test", "ann@b.test")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ann@b.test"], "InvalidServerAPIKey"),
        (["ann@b.test", "--server", "us"], "no Postal server 'us'"),
        (["ann"], "Invalid email address 'ann'"),
    ],
    ids=["key", "server", "address"],
)
def test_why_a_test_mail_failed(postal: FakePostal, arguments: list[str], text: str) -> None:
    postal.answers = [error("InvalidServerAPIKey", token=KEY)]
    with pytest.raises(CommandError, match=text) as raised:
        run("postal_send_test", *arguments)
    assert KEY not in str(raised.value)


def test_a_cancelled_test_mail(postal: FakePostal) -> None:
    def cancel(**kwargs: Any) -> None:
        raise AnymailCancelSend

    pre_send.connect(cancel)
    try:
        with pytest.raises(CommandError, match="cancelled"):
            run("postal_send_test", "ann@b.test")
    finally:
        pre_send.disconnect(cancel)


MESSAGE = {
    "id": 7,
    "token": "abc",
    "status": {"status": "Sent", "last_delivery_attempt": 2.0, "held": False, "hold_expiry": None},
    "details": {
        "rcpt_to": "ann@b.test", "message_id": "x@y", "subject": "Hello", "size": "873", "timestamp": 1.0,
        "stream": "news", "hold_reason": "admin", "kind": None,
    },
    "activity_entries": {
        "loads": [{"ip_address": "192.0.2.1", "user_agent": "x", "timestamp": "2026-01-02T03:04:05.000Z"}],
        "clicks": [{"url": "https://a.test", "timestamp": "2026-01-02T03:04:06.000Z"}],
    },
}  # fmt: skip
DELIVERY = {"id": 1, "status": "Sent", "details": "accepted", "output": "250 ok", "timestamp": 3.0}


def test_a_message_is_shown(postal: FakePostal) -> None:
    postal.answers = [
        envelope("success", MESSAGE),
        envelope("success", [DELIVERY, {**DELIVERY, "output": None, "classification": {"class": "rate"}}]),
    ]
    printed = run("postal_message", "7")
    assert postal.bodies == [
        {"id": 7, "_expansions": ["status", "details", "inspection", "activity_entries"]},
        {"id": 7},
    ]
    assert printed.splitlines() == [
        "id:          7",
        "token:       abc",
        "status:      Sent",
        "held for:    admin",
        "to:          ann@b.test",
        "subject:     Hello",
        "Message-ID:  x@y",
        "stream:      news",
        "created:     1970-01-01 00:00:01+00:00",
        "size:        873 bytes",
        "opened:      2026-01-02 03:04:05+00:00  192.0.2.1",
        "clicked:     2026-01-02 03:04:06+00:00 https://a.test",
        "1970-01-01 00:00:03+00:00 Sent: accepted",
        "    250 ok",
        "1970-01-01 00:00:03+00:00 Sent (rate): accepted",
    ]


def test_a_message_without_attempts(postal: FakePostal) -> None:
    postal.answers = [envelope("success", {"id": 7, "token": "abc"}), envelope("success", [])]
    assert "No attempt to deliver it yet." in run("postal_message", "7", "--server", "eu")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["7"], "MessageNotFound"), (["7", "--server", "us"], "'us'"), (["x"], "invalid int")],
    ids=["unknown", "server", "no-id"],
)
def test_why_a_message_cannot_be_shown(postal: FakePostal, arguments: list[str], text: str) -> None:
    postal.answers = [error("MessageNotFound", id=7)]
    with pytest.raises(CommandError, match=text):
        run("postal_message", *arguments)
