"""A real Exim takes mail from us, or says why not, at once or later, in its own shape."""

from __future__ import annotations

import pytest

from postal_server.testing import free_ports
from tests.altered import relaying_to
from tests.end_to_end.suppression_list import entries

from .daemons import shared_folder
from .exim import Exim
from .test_postfix import ask, send, wait_for_status


@pytest.fixture(scope="module")
def installed():
    """An Exim, and an installation of ours that hands everything to it and gets its reports."""
    [port] = free_ports(1)
    with shared_folder() as folder, relaying_to(port) as ours:
        server = Exim(folder, reports=ours.smtp_port)
        server.port = port
        with server.running():
            yield ours, server


def last_class(postal, number: int) -> dict:
    """Why the message was not taken, as the API says."""
    return ask(postal, "messages/deliveries", id=number)[-1]["classification"]


def test_unknown_user_is_refused_at_once(pair):
    postal, _ = pair
    number = send(postal, "nobody@example.org", "no")
    wait_for_status(postal, number, "HardFail")
    found = last_class(postal, number)
    assert (found["class"], found["sure"], found["stage"]) == ("bad_address", True, "rcpt")
    assert found["diagnostic"].startswith("550 Unrouteable address")


@pytest.mark.parametrize(
    ("recipient", "name", "words"),
    [
        ("nobody@late.example", "bad_address", "Unrouteable address"),
        ("full@late.example", "mailbox_full", "mailbox is full"),
    ],
)
def test_what_it_finds_out_later_comes_as_a_report(pair, recipient, name, words):
    postal, server = pair
    number = send(postal, recipient, "late")
    wait_for_status(postal, number, "Bounced")
    found = last_class(postal, number)
    assert found["class"] == name, (found, server.log)
    assert words in found["diagnostic"]
    assert [entry.key for entry in entries(postal)] == [recipient] * (name == "bad_address")
    [report] = ask(postal, "messages/message", id=number, _expansions=["reports"])["reports"]
    assert (report["kind"], report["evidence"]) == ("bounce", "strong")


def test_members_of_a_list_are_not_our_recipient(pair):
    """Two of three addresses behind an alias are gone."""
    postal, _ = pair
    number = send(postal, "team@late.example", "team")
    wait_for_status(postal, number, "Bounced")
    [report] = ask(postal, "messages/message", id=number, _expansions=["reports"])["reports"]
    assert report["final_recipient"] in ("gone@elsewhere.example", "left@elsewhere.example")
    assert report["forwarded"] is True
    assert entries(postal) == []
