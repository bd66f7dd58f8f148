"""The key set, `/ip`, and what the application hands on to Django."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from postal_server import conf
from postal_server.errors import ConfigurationError
from postal_server.web.application import MAX_LOGGED_HOSTS, allowed_hosts, trusted_proxies

from ..recorded_installation import call, recorded


@pytest.mark.parametrize("record", [r for r in recorded("more")["gets"] if r["name"] == "jwks"])
def test_key_set_is_shaped_as_recorded(app, record) -> None:
    reply = call(app, record["path"], method="GET")
    assert reply.status == 200
    wanted = json.loads(base64.b64decode(record["body"]))
    assert list(reply.json()) == list(wanted)
    assert list(reply.json()["keys"][0]) == list(wanted["keys"][0])
    assert [name for name, _ in reply.headers] == [name for name, _ in record["response_headers"]]
    assert not reply.body.endswith(b"\n")


def test_ip_names_the_peer_and_the_client(app) -> None:
    reply = call(app, "/ip", method="GET", headers={"X-Forwarded-For": "192.0.2.9"})
    assert reply.body == b"ip: 127.0.0.1 remote ip: 192.0.2.9"


@pytest.mark.parametrize("path", ["/", "/admin/", "/nothing"])
def test_other_pages_are_djangos(app, path) -> None:
    with pytest.raises(AssertionError, match="answered without Django"):
        call(app, path, method="GET")


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("Postal.example.com", ["postal.example.com"]),
        ("localhost", ["localhost", "127.0.0.1", "[::1]"]),
        ("127.0.0.1", ["localhost", "127.0.0.1", "[::1]"]),
    ],
)
def test_allowed_hosts(name, hosts) -> None:
    assert allowed_hosts(conf.parse({"postal": {"web_hostname": name}}, {}, Path())) == hosts


def test_wrong_proxy_is_named() -> None:
    config = conf.parse({"postal": {"trusted_proxies": ["nonsense"]}}, {}, Path())
    with pytest.raises(ConfigurationError, match=r"postal\.trusted_proxies"):
        trusted_proxies(config)


def test_a_refused_host_is_logged_once_with_the_key_that_names_ours(app, caplog) -> None:
    caplog.set_level("INFO")
    for _ in range(2):
        assert call(app, "/", method="GET", headers={"Host": "mail.example:8000"}).body == b""
    own = app.config.postal.web_hostname
    forwarded = {"Host": own, "X-Forwarded-Host": "x\nfake.line"}
    assert call(app, "/", method="GET", headers=forwarded).status == 403
    assert [record.message for record in caplog.records] == [
        f"Refused a request for the host 'mail.example:8000': postal.web_hostname is {own}",
        f"Refused a request for the host 'x\\nfake.line': postal.web_hostname is {own}",
    ]


def test_strangers_cannot_fill_the_log_with_host_names(app, caplog) -> None:
    caplog.set_level("INFO")
    for number in range(MAX_LOGGED_HOSTS + 10):
        call(app, "/", method="GET", headers={"Host": f"{number}.example"})
    assert len(caplog.records) == MAX_LOGGED_HOSTS
