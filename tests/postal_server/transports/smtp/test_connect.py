from __future__ import annotations

import asyncio

import pytest

from postal_server.engine.ports import Source
from postal_server.transports.smtp import connect
from postal_server.transports.smtp.connect import order
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
    assert order(addresses, source) == ordered


@pytest.mark.parametrize("loop", LOOPS)
def test_an_address_that_does_not_answer_holds_up_nobody(loop, monkeypatch):
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
