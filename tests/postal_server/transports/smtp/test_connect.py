from __future__ import annotations

import asyncio

import pytest

from postal_server.engine.ports import Source, Stage, Target
from postal_server.rules.request_destination import AllowedDestinations
from postal_server.transports.smtp import connect
from postal_server.transports.smtp.connect import order_addresses
from postal_server.transports.smtp.session import SmtpError
from tests.fakes import mail
from tests.loops import LOOPS, run

from .scripted import Scripted
from .senders import pool

SIX, OTHER_SIX, FOUR, OTHER_FOUR = "2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize(
    ("addresses", "source", "ordered"),
    [
        ([SIX, OTHER_SIX, FOUR, OTHER_FOUR], None, [SIX, FOUR, OTHER_SIX, OTHER_FOUR]),
        ([FOUR, OTHER_FOUR], None, [FOUR, OTHER_FOUR]),
        ([SIX, FOUR], Source("192.0.2.9"), [FOUR]),
        ([SIX, FOUR], Source(ipv6="2001:db8::9"), [SIX]),
        ([FOUR, SIX], Source("192.0.2.9", "2001:db8::9"), [SIX, FOUR]),
        ([], None, []),
    ],
    ids=["both", "one family", "source of IPv4", "source of IPv6", "source of both", "none"],
)
def test_families_take_turns_as_far_as_the_source_can_reach_them(addresses, source, ordered):
    assert order_addresses(addresses, source) == ordered


@pytest.mark.parametrize("loop", LOOPS)
def test_an_address_that_does_not_answer_delays_no_other(loop, monkeypatch):
    """Happy eyeballs: the second address is tried while the first still hangs."""
    hanging = []
    dial = connect.Connector._dial

    async def slow_dial(self, address, port, source):
        if address == "127.0.0.2":
            hanging.append(address)
            await asyncio.sleep(60)
        return await dial(self, address, port, source)

    monkeypatch.setattr(connect.Connector, "_dial", slow_dial)
    zone = {"dest.example": {"MX": ["mx.dest.example"]}, "mx.dest.example": {"A": ["127.0.0.2", "127.0.0.1"]}}

    async def work():
        async with Scripted() as host:
            sender = pool(host.port, zone)
            began = asyncio.get_running_loop().time()
            result = await sender.send(mail())
            assert result.address == "127.0.0.1"
            assert hanging == ["127.0.0.2"]
            assert asyncio.get_running_loop().time() - began < 1
            await sender.close()

    run(work(), loop)


def test_the_source_address_is_bound():
    async def work():
        async with Scripted() as host:
            sender = pool(host.port)
            result = await sender.send(mail(source=Source("127.0.0.7")))
            assert result.source == "127.0.0.7"
            assert host.connections[0].transport.get_extra_info("peername")[0] == "127.0.0.7"
            await sender.close()

    run(work())


INSIDE = {
    "loopback": "127.0.0.1",
    "private": "10.0.0.1",
    "link-local": "169.254.169.254",
    "CGNAT": "100.64.0.1",
    "this host": "0.0.0.0",
    "IPv6 loopback": "::1",
    "unique local": "fd00::1",
    "IPv6 link-local": "fe80::1",
    "IPv4-mapped": "::ffff:127.0.0.1",
    "IPv4-mapped in hex": "::ffff:7f00:1",
    "IPv4-compatible": "::127.0.0.1",
    "NAT64": "64:ff9b::7f00:1",
    "6to4": "2002:7f00:1::1",
    "Teredo": "2001:0:1::1",
}


class TestInside:
    """Whoever names a recipient chooses no host inside the network (`delivery.allowed_destinations`)."""

    def dialled(self, letter, zone=None, allowed=(), monkeypatch=None):
        """Which addresses are connected to for a mail, and what is said of it."""
        found = []

        async def dial(self, address, port, source):
            found.append(address)
            raise SmtpError(Stage.CONNECT, "nobody there")

        monkeypatch.setattr(connect.Connector, "_dial", dial)

        async def work():
            sender = pool(25, zone or {}, permits=AllowedDestinations.parse(allowed).permits)
            result = await sender.send(letter)
            await sender.close()
            return result

        return found, run(work())

    @pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
    def test_mx_host_inside_is_passed_over(self, address, monkeypatch):
        kind = "AAAA" if ":" in address else "A"
        zone = {"dest.example": {"MX": ["mx.dest.example"]}, "mx.dest.example": {kind: [address]}}
        found, result = self.dialled(mail(), zone, monkeypatch=monkeypatch)
        assert found == []
        assert result.error == "mx.dest.example: no address that mail may be sent to"
        assert [(tried.host, tried.address) for tried in result.tried] == [("mx.dest.example", "")]

    @pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
    def test_literal_inside_is_not_connected_to(self, address, monkeypatch):
        domain = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        found, result = self.dialled(mail(f"root@{domain}"), monkeypatch=monkeypatch)
        assert found == []
        assert "no address that mail may be sent to" in result.error

    @pytest.mark.parametrize(
        ("domain", "zone"),
        [
            ("dest.example", {"dest.example": {"A": ["127.0.0.1"]}}),
            ("localhost", {"localhost": {"A": ["127.0.0.1"], "AAAA": ["::1"]}}),
            ("dest.example", {"dest.example": {"MX": ["127.0.0.1"]}}),
            ("dest.example", {"dest.example": {"MX": ["::ffff:127.0.0.1"]}}),
            (
                "dest.example",
                {
                    "dest.example": {"MX": ["mx.dest.example"]},
                    "mx.dest.example": {"CNAME": ["inside.dest.example"]},
                    "inside.dest.example": {"A": ["10.0.0.1"]},
                },
            ),
        ],
        ids=["no MX", "localhost", "MX that is an address", "MX that is a mapped one", "alias"],
    )
    def test_no_other_way_leads_inside(self, domain, zone, monkeypatch):
        found, result = self.dialled(mail(f"root@{domain}"), zone, monkeypatch=monkeypatch)
        assert found == []
        assert "no address that mail may be sent to" in result.error

    def test_public_address_is_used_beside_one_inside(self, monkeypatch):
        zone = {
            "dest.example": {"MX": ["inside.dest.example", "mx.dest.example"]},
            "inside.dest.example": {"A": ["10.0.0.1"]},
            "mx.dest.example": {"A": ["10.0.0.2"] * 20 + ["8.8.8.8"], "AAAA": ["fd00::1", "2606:4700::1"]},
        }
        found, _ = self.dialled(mail(), zone, monkeypatch=monkeypatch)
        assert found == ["2606:4700::1", "8.8.8.8"]

    @pytest.mark.parametrize("domain", ["[8.8.8.8]", "[IPv6:2606:4700::1]"])
    def test_public_literal_is_connected_to(self, domain, monkeypatch):
        found, _ = self.dialled(mail(f"root@{domain}"), monkeypatch=monkeypatch)
        assert found == [domain.strip("[]").removeprefix("IPv6:")]

    @pytest.mark.parametrize("entry", ["10.0.0.0/8", "10.0.0.1", "MX.dest.example"])
    def test_what_is_listed_is_connected_to(self, entry, monkeypatch):
        zone = {"dest.example": {"MX": ["mx.dest.example"]}, "mx.dest.example": {"A": ["10.0.0.1"]}}
        found, _ = self.dialled(mail(), zone, [entry], monkeypatch=monkeypatch)
        assert found == ["10.0.0.1"]

    def test_relays_and_endpoints_may_be_anywhere(self, monkeypatch):
        zone = {"relay.internal": {"A": ["10.0.0.1"]}}
        letter = mail(target=Target("dest.example", host="relay.internal"))
        found, _ = self.dialled(letter, zone, monkeypatch=monkeypatch)
        assert found == ["10.0.0.1"]

    def test_addresses_are_judged_once_a_connection(self):
        asked = []

        def permits(host, address):
            asked.append(address)
            return True

        async def work():
            async with Scripted() as host:
                sender = pool(host.port, permits=permits)
                for _ in range(5):
                    assert (await sender.send(mail())).is_delivered
                assert asked == ["127.0.0.1"]
                await sender.close()

        run(work())
