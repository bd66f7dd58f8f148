from __future__ import annotations

import asyncio

import pytest

from postal_server.web.probes import Probes
from postal_server.wire.http import Request
from tests.each import each

from ..recorded_installation import call


@each("path, text", [("/health", b"OK"), ("/ready", b"OK\ndelivery.mode: allowlist")])
@each("host", ["postal.example.test", "10.0.0.7:5000", ""])
def test_probes_are_answered_whatever_they_call_us(app, path, text, host) -> None:
    reply = call(app, path, method="GET", headers={"Host": host}, peer="10.0.0.1")
    assert (reply.status, reply.body) == (200, text)
    assert call(app, path, method="HEAD", headers={"Host": host}).body == b""


def test_a_probe_has_no_other_method(app) -> None:
    reply = call(app, "/health", method="POST")
    assert (reply.status, reply.header("allow")) == (405, "GET, HEAD")


@pytest.mark.django_db
def test_a_tracking_host_has_no_probes(app) -> None:
    assert call(app, "/health", method="GET", headers={"X-Postal-Track-Host": "1"}).body == b"Hello."


@each(
    "peer, forwarded, status",
    [
        ("127.0.0.1", None, 200),
        ("::1", None, 200),
        ("192.0.2.9", None, 403),
        ("127.0.0.1", "192.0.2.9", 403),  # behind the front proxy
        ("192.0.2.9", "127.0.0.1", 403),  # only says so
        ("127.0.0.1", "127.0.0.1", 403),  # a proxy that asks for one on its own machine
        ("127.0.0.1", "198.51.100.1:443", 403),
        ("127.0.0.1", "unknown", 403),
        ("127.0.0.1", "", 403),
    ],
)
def test_metrics_are_for_this_machine(app, peer, forwarded, status) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    reply = call(app, "/metrics", method="GET", headers=headers, peer=peer)
    assert reply.status == status
    assert reply.body.startswith(b"# HELP") is (status == 200)


def test_not_ready_says_why() -> None:
    request = Request("GET", "/ready", "", "127.0.0.1", {})
    answer = asyncio.run(Probes(lambda: "The disk is nearly full.").ready(request))
    assert (answer.status, answer.body) == (503, b"The disk is nearly full.")
