"""Server-side request forgery: a customer's URL leads into the network that the server stands in.

Addresses by kind, DNS rebinding and the allowed destinations are tested beside the code (see the index);
here a whole server with the default configuration is asked to post to this machine.
"""

from __future__ import annotations

import gzip
import time

import pytest
import requests

from tests.altered import AlteredServer

ALLOWED = '  allowed_request_destinations: [127.0.0.0/8, "::1/128"]\n'


@pytest.fixture(scope="module")
def guarded():
    """As an administrator has it: no private destination is allowed."""
    with AlteredServer({ALLOWED: ""}) as running:
        yield running


HOSTS = {
    "loopback": "127.0.0.1",
    "any loopback": "127.8.9.10",
    "short loopback": "127.1",
    "decimal": "2130706433",
    "hexadecimal": "0x7f000001",
    "octal": "0177.0.0.1",
    "this host": "0.0.0.0",
    "name": "localhost",
    "name in capitals": "LOCALHOST.",
    "IPv6 loopback": "[::1]",
    "IPv4-mapped": "[::ffff:127.0.0.1]",
    "IPv4-mapped in hex": "[::ffff:7f00:1]",
    "NAT64": "[64:ff9b::7f00:1]",
    "private": "10.0.0.1",
    "link-local": "169.254.169.254",
    "CGNAT": "100.64.0.1",
    "unique local": "[fd00::1]",
    "IPv6 link-local": "[fe80::1]",
    "user before the host": "public.example@127.0.0.1",
}


def deliveries(server, number, wanted):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = requests.post(
            f"{server.url}/api/v1/messages/deliveries",
            json={"id": number},
            headers={"X-Server-API-Key": server.api_key},
            timeout=10,
        ).json()["data"]
        if len(found) >= wanted:
            return found
        time.sleep(0.05)
    raise AssertionError("nothing was tried")


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
def test_endpoint_inside_the_network_is_not_posted_to(guarded, site, host):
    server = guarded.add()
    server.deliver(server.post_mail_to(f"http://{host}:{site.port}/latest/meta-data"), text="x")
    [message] = server.messages()
    [tried] = deliveries(server, message["id"], 1)
    assert site.requests == []
    assert tried["status"] == "SoftFail"
    assert "no address that may be posted to" in tried["output"] or "cannot be looked up" in tried["output"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1"])
def test_webhook_inside_the_network_is_not_posted_to(guarded, site, host):
    server = guarded.add()
    server.post_events_to(f"http://{host}:{site.port}/")
    sent = requests.post(
        f"{server.url}/api/v1/send/message",
        json={"to": ["bob@example.org"], "from": f"app@{server.domain}", "plain_body": "x"},
        headers={"X-Server-API-Key": server.api_key},
        timeout=10,
    ).json()["data"]["messages"]["bob@example.org"]
    deliveries(server, sent["id"], 1)
    time.sleep(0.5)  # a webhook that was posted would have come by now
    assert site.requests == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "//127.0.0.1/"]
)
def test_only_http_is_spoken(guarded, site, url):
    server = guarded.add()
    server.deliver(server.post_mail_to(url), text="x")
    [message] = server.messages()
    [tried] = deliveries(server, message["id"], 1)
    assert "Not an http or https URL" in tried["output"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_into_the_network_is_not_followed(postal, site, status):
    """With loopback allowed, so that the first post is made at all."""
    site.answer = (status, {"Location": f"{site.url}inside"}, b"")
    postal.deliver(postal.post_mail_to(f"{site.url}outside"), text="x")
    [message] = postal.messages()
    deliveries(postal, message["id"], 1)
    assert site.requests == ["/outside"]


def test_compression_bomb_of_an_endpoint_is_not_unpacked(postal, site, growth):
    bomb = gzip.compress(b"\0" * (200 * 1024 * 1024), 9)
    site.answer = (503, {"Content-Encoding": "gzip"}, bomb)
    postal.deliver(postal.post_mail_to(site.url), text="x")
    [message] = postal.messages()
    [tried] = deliveries(postal, message["id"], 1)
    assert len(tried["output"]) <= 2048
    assert growth() < 20 * 1024 * 1024
