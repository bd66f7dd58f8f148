"""The control interface: who may use it, and what it says to wrong requests."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta, timezone

import pytest

from postal_server import conf
from postal_server.models import CaughtMail, Domain, QueuedMessage, Route, Server, Webhook
from tests.each import each

from ..installation.development import installation

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.postal_server.control.urls")]
TOKEN = "a-token-of-tests"
NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return installation(tmp_path_factory.mktemp("control"), CONTROL_TOKEN=TOKEN)


@pytest.fixture(autouse=True)
def _configured(config, monkeypatch):
    monkeypatch.setattr(conf, "config", lambda: config)


@pytest.fixture
def ask(client):
    def ask(method, path, body=None, token=TOKEN, **extra):
        return client.generic(
            method,
            f"/_control/{path}",
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}", **extra},
        )

    return ask


@pytest.fixture
def server(ask):
    made = ask("POST", "servers", {"name": "One", "domain": "one.test"}).json()
    return Server.objects.get(pk=made["id"])


@each("token", ["", "wrong", TOKEN[:-1]])
def test_without_the_token_there_is_nothing(ask, token):
    assert ask("GET", "ping", token=token).status_code == 404


def test_behind_a_proxy_there_is_nothing(ask):
    assert ask("GET", "ping", **{"X-Forwarded-For": "127.0.0.1"}).status_code == 404


def test_from_elsewhere_there_is_nothing(client):
    answer = client.get(
        "/_control/ping", headers={"Authorization": f"Bearer {TOKEN}"}, REMOTE_ADDR="192.0.2.1"
    )
    assert answer.status_code == 404


def test_without_a_configured_token_there_is_nothing(ask, monkeypatch, config):
    off = conf.parse({"version": 2, "storage": {}}, {}, config.root)
    monkeypatch.setattr(conf, "config", lambda: off)
    assert ask("GET", "ping", token="").status_code == 404


def test_ping_tells_the_key_that_signs(ask):
    assert ask("GET", "ping").json()["webhook_key"].startswith("v=DKIM1;")


def test_server_comes_with_keys_and_a_signing_domain(ask):
    made = ask("POST", "servers", {"domain": "Two.test", "mode": "Development"}).json()
    server = Server.objects.get(pk=made["id"])
    assert (server.mode, server.token) == ("Development", made["token"])
    assert len(made["api_key"]) == len(made["smtp_key"]) == 24
    domain = Domain.objects.get(server=server)
    assert (domain.name, domain.signs_unchecked, domain.dkim_status) == ("two.test", True, "")
    assert made["dkim_name"] == f"postal-{domain.dkim_suffix}._domainkey.two.test"


def test_webhooks_and_routes_are_made(ask, server):
    ask("POST", f"servers/{server.pk}/webhooks", {"url": "http://127.0.0.1/hook"})
    made = ask("POST", f"servers/{server.pk}/routes", {"name": "reply", "url": "http://127.0.0.1/in"}).json()
    assert made["address"] == "reply@one.test"
    assert Webhook.objects.get(server=server).all_events
    assert Route.objects.get(server=server).http_endpoint.format == "RawMessage"


@each(
    "path, body, named",
    [
        ("servers", {}, "domain"),
        ("servers", {"domain": 5}, "domain"),
        ("servers", {"domain": "a.test", "mode": "Fast"}, "mode"),
        ("servers", b"{", "not JSON"),
        ("servers", b"[" * 100_000, "not JSON"),
        ("servers", b"[]", "not a JSON object"),
        ("servers", b'{"a": "' + b"x" * 1024 * 1024 + b'"}', "too large"),
        ("servers/{id}/webhooks", {}, "url"),
        ("servers/{id}/routes", {"name": "a", "url": "http://a", "format": "XML"}, "format"),
        ("servers/{id}/simulations", {"recipient": "a@b.test", "reply": "no", "stage": "rcpt"}, "reply"),
        ("servers/{id}/simulations", {"recipient": "a@b.test", "reply": "550 a\r\nb"}, "reply"),
        ("servers/{id}/simulations", {"recipient": "a@b.test", "reply": "550 no", "stage": "x"}, "stage"),
        ("servers/{id}/simulations", {"recipient": "a@b.test", "reply": "550 no", "times": 0}, "times"),
        ("servers/{id}/simulations", {"recipient": "a@b.test", "reply": "550 no", "delay": "x"}, "delay"),
        ("servers/{id}/clock", {"seconds": []}, "seconds"),
    ],
)
def test_wrong_request_names_what_is_wrong(ask, server, path, body, named):
    answer = ask("POST", path.format(id=server.pk), body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_unknown_server_and_wrong_method(ask):
    assert ask("POST", "servers/999/webhooks", {"url": "http://a"}).status_code == 404
    assert ask("GET", "servers").status_code == 405


def test_mail_is_shown_and_deleted(ask, server):
    CaughtMail.objects.create(
        server_id=server.pk, mail_from="a@b", rcpt_to="ann@c.test", subject="Hi", raw=b"x\xff", created_at=NOW
    )
    shown = ask("GET", f"servers/{server.pk}/mail?to=ann@c.test&subject=H&timeout=0").json()["mail"]
    assert base64.b64decode(shown[0]["raw"]) == b"x\xff"
    assert ask("GET", f"servers/{server.pk}/mail?after={shown[0]['id']}").json() == {"mail": []}
    assert ask("DELETE", f"servers/{server.pk}/mail").json() == {"deleted": 1}


def test_clock_brings_waiting_attempts_forward(ask, server):
    row = QueuedMessage.objects.create(
        id=1,
        server_id=server.pk,
        destination="c.test",
        size_bytes=1,
        created_at=NOW,
        due_at=NOW,
        expires_at=NOW,
    )
    assert ask("POST", f"servers/{server.pk}/clock", {"seconds": 60}).json() == {"waiting": 1}
    row.refresh_from_db()
    assert row.due_at == NOW - timedelta(seconds=60)
