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


def posts(server, urls):
    """What became of a mail to an endpoint at each of these URLs, by URL."""
    addresses = {server.post_mail_to(url, name=f"to-{number}"): url for number, url in enumerate(urls)}
    server.deliver(list(addresses), text="x")
    taken = {row["rcpt_to"]: row["id"] for row in server.messages() if row["scope"] == "incoming"}
    tried = {url: deliveries(server, taken[address], 1) for address, url in addresses.items()}
    return {url: rows[0] for url, rows in tried.items()}


def test_endpoint_inside_the_network_is_not_posted_to(guarded, site):
    tried = posts(guarded.add(), [f"http://{host}:{site.port}/latest/meta-data" for host in HOSTS.values()])
    assert site.requests == []
    assert {found["status"] for found in tried.values()} == {"SoftFail"}
    reasons = ("an address that may not be posted to", "cannot be looked up")
    outputs = {url: found["output"] for url, found in tried.items()}
    assert {url: said for url, said in outputs.items() if not any(reason in said for reason in reasons)} == {}


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


def test_mail_to_an_address_inside_the_network_is_not_sent(sending, inside):
    """Nor does anybody hear what a host there would have said."""
    server = sending.add()
    recipients = [f"root@{literal}" for literal in LITERALS]
    sent = requests.post(
        f"{server.url}/api/v1/send/message",
        json={"to": recipients, "from": f"app@{server.domain}", "plain_body": "x"},
        headers={"X-Server-API-Key": server.api_key},
        timeout=10,
    ).json()["data"]["messages"]
    for recipient in recipients:
        [tried] = deliveries(server, sent[recipient]["id"], 1)
        assert tried["status"] == "SoftFail", recipient
        assert "no address that mail may be sent to" in tried["output"], recipient
        assert "mynetworks" not in str(tried), recipient
    assert inside.connections == 0


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


def test_only_http_is_spoken(guarded):
    urls = ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "//127.0.0.1/"]
    tried = posts(guarded.add(), urls)
    assert [url for url in urls if "Not an http or https URL" not in tried[url]["output"]] == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_into_the_network_is_not_followed(postal, site, status):
    """With loopback allowed, so that the first post is made at all."""
    site.answer = (status, {"Location": f"{site.url}inside"}, b"")
    postal.deliver(postal.post_mail_to(f"{site.url}outside"), text="x")
    message = taken(postal)
    deliveries(postal, message["id"], 1)
    assert site.requests == ["/outside"]


def test_compression_bomb_of_an_endpoint_is_not_unpacked(postal, site, growth):
    bomb = gzip.compress(b"\0" * (100 * 1024 * 1024), 1)
    site.answer = (503, {"Content-Encoding": "gzip"}, bomb)
    postal.deliver(postal.post_mail_to(site.url), text="x")
    message = taken(postal)
    [tried] = deliveries(postal, message["id"], 1)
    assert len(tried["output"]) <= 2048
    assert growth() < 20 * 1024 * 1024
