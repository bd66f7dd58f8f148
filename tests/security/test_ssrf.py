"""Server-side request forgery: a customer's URL leads into the network that the server stands in.

Addresses by kind, DNS rebinding and the allowed destinations are tested beside the code (see the index);
here a whole server with the default configuration is asked to post to this machine.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
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


def taken(server):
    """The one mail that came in; there may be a notice about it by now."""
    [message] = [each for each in server.messages() if each["scope"] == "incoming"]
    return message


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
    message = taken(server)
    [tried] = deliveries(server, message["id"], 1)
    assert site.requests == []
    assert tried["status"] == "SoftFail"
    assert (
        "an address that may not be posted to" in tried["output"] or "cannot be looked up" in tried["output"]
    )


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


LITERALS = ["[127.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]", "[0.0.0.0]", "[IPv6:64:ff9b::7f00:1]"]
SECRET = "550 5.7.1 mynetworks 10.1.2.0/24 only"


@pytest.mark.parametrize("literal", LITERALS)
def test_mail_to_an_address_inside_the_network_is_not_sent(sending, inside, literal):
    """Nor does anybody hear what a host there would have said."""
    server = sending.add()
    sent = requests.post(
        f"{server.url}/api/v1/send/message",
        json={"to": [f"root@{literal}"], "from": f"app@{server.domain}", "plain_body": "x"},
        headers={"X-Server-API-Key": server.api_key},
        timeout=10,
    ).json()["data"]["messages"][f"root@{literal}"]
    [tried] = deliveries(server, sent["id"], 1)
    assert inside.connections == 0
    assert tried["status"] == "SoftFail"
    assert "no address that mail may be sent to" in tried["output"]
    assert "mynetworks" not in str(tried)


class Inside:
    """A mail host on loopback that refuses everybody, and says why. It listens for IPv6 as well."""

    def __init__(self) -> None:
        self.connections = 0
        self.socket = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.connections += 1
                connection.sendall(SECRET.encode() + b"\r\n")
                connection.close()


@pytest.fixture(scope="module")
def inside():
    host = Inside()
    yield host
    host.socket.close()


@pytest.fixture(scope="module")
def sending(inside):
    """A server that sends to the internet, whose port for mail is that of the host inside."""
    allowed = ', allowed_destinations: ["::1", 127.0.0.0/8]'
    changes = {
        "mode: catch": "mode: mx",
        allowed: "",
        "dns:\n": f"smtp_client: {{port: {inside.port}}}\ndns:\n",
    }
    with AlteredServer(changes) as running:
        yield running


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "//127.0.0.1/"]
)
def test_only_http_is_spoken(guarded, site, url):
    server = guarded.add()
    server.deliver(server.post_mail_to(url), text="x")
    message = taken(server)
    [tried] = deliveries(server, message["id"], 1)
    assert "Not an http or https URL" in tried["output"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_into_the_network_is_not_followed(postal, site, status):
    """With loopback allowed, so that the first post is made at all."""
    site.answer = (status, {"Location": f"{site.url}inside"}, b"")
    postal.deliver(postal.post_mail_to(f"{site.url}outside"), text="x")
    message = taken(postal)
    deliveries(postal, message["id"], 1)
    assert site.requests == ["/outside"]


def test_compression_bomb_of_an_endpoint_is_not_unpacked(postal, site, growth):
    bomb = gzip.compress(b"\0" * (200 * 1024 * 1024), 9)
    site.answer = (503, {"Content-Encoding": "gzip"}, bomb)
    postal.deliver(postal.post_mail_to(site.url), text="x")
    message = taken(postal)
    [tried] = deliveries(postal, message["id"], 1)
    assert len(tried["output"]) <= 2048
    assert growth() < 20 * 1024 * 1024
