from __future__ import annotations

import pytest

from postal_server.net.listening import canonical_address
from postal_server.rules.client import client_key
from postal_server.smtpd.clients import Clients
from tests.each import each


@each(
    "one, other, same",
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("", "", True),
    ],
)
def test_an_ipv6_line_is_one_client(one, other, same):
    assert (client_key(one) == client_key(other)) is same


@each(
    "address, canonical",
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", ""),
    ],
)
def test_an_address_has_one_form(address, canonical):
    assert canonical_address(address) == canonical


def test_connections_are_limited_per_client_and_in_all():
    clients = Clients(max_connections=3, max_per_client=2)
    assert [clients.enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert [clients.enter("192.0.2.2") for _ in range(2)] == [True, False]
    clients.leave("192.0.2.1")
    assert clients.enter("192.0.2.2")


def test_where_all_places_are_taken_one_may_be_made_free_but_not_for_who_has_too_many():
    clients = Clients(max_connections=2, max_per_client=2)
    assert [clients.enter("192.0.2.1") for _ in range(2)] == [True, True]
    asked: list[str] = []

    def evict() -> bool:
        asked.append("asked")
        clients.leave("192.0.2.1")
        return True

    assert not clients.enter("192.0.2.1", evict)
    assert not asked
    assert clients.enter("192.0.2.2", evict)
    assert not clients.enter("192.0.2.3")
    assert asked == ["asked"]


def test_strangers_name_so_many_recipients_a_minute():
    clients = Clients(9, 9, max_recipients_per_minute=2)
    assert [clients.may_name_recipient("2001:db8::1", 60.0) for _ in range(3)] == [True, True, False]
    assert not clients.may_name_recipient("2001:db8::2", 119.0)  # the same /64
    assert clients.may_name_recipient("2001:db8:0:1::1", 119.0)
    assert clients.may_name_recipient("2001:db8::1", 120.0)


@pytest.mark.parametrize(("address", "limit"), [("127.0.0.9", 1), ("::1", 1), ("192.0.2.1", 0)])
def test_this_machine_and_no_limit_have_none(address, limit):
    clients = Clients(9, 9, max_recipients_per_minute=limit)
    assert all(clients.may_name_recipient(address, 60.0) for _ in range(3))
