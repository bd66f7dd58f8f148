"""Mail of the installation itself, over a real SMTP connection."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from django.core.management import CommandError, call_command

from postal_server import conf
from postal_server.services.shared import operator_mail
from tests.postal_server.smtpd.talk import MemoryHandler, Running

LOGIN = {"username": "anybody", "password": "K70gy3gHQZaFB9vMhiHcbnpN"}


@pytest.fixture
def host():
    with running() as found:
        yield found


@pytest.fixture
def catch():
    with running() as found:
        yield found


@contextlib.contextmanager
def running():
    """An SMTP server in a thread of its own, which takes mail for in@example.test: handler and address."""
    handler, started, ended = MemoryHandler(), threading.Event(), threading.Event()
    address = []

    async def serve():
        async with Running(handler) as running:
            address.append(running.address)
            started.set()
            while not ended.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(5)
    yield handler, address[0]
    ended.set()
    thread.join(5)


def given(address, **values):
    return {
        "delivery": {"mode": "mx"},
        "smtp": {"host": address[0], "port": address[1], "from_address": "postal@example.test", **values},
    }


def test_a_mail_is_handed_over_with_its_headers(host, tmp_path):
    handler, address = host
    config = conf.parse(given(address), {}, tmp_path)
    mail = operator_mail.compose(["in@example.test"], "Grüße", "Text\n", config.smtp)
    operator_mail.send([mail], config)
    [(_, envelope)] = handler.accepted
    assert envelope.reverse_path == "postal@example.test"
    assert b"From: Postal <postal@example.test>\r\n" in envelope.data
    assert b"Auto-Submitted: auto-generated\r\n" in envelope.data


def test_a_user_logs_in(host, tmp_path):
    handler, address = host
    config = conf.parse(given(address, **LOGIN), {}, tmp_path)
    operator_mail.send([operator_mail.compose(["x@remote.example"], "S", "T", config.smtp)], config)
    [(session, _)] = handler.accepted
    assert session.principal is not None


@pytest.mark.parametrize(
    ("mode", "recipient", "is_caught"),
    [
        ("catch", "ann@qa.example", True),
        ("mx", "bob@dest.example", False),
        ("allowlist", "ann@qa.example", False),
        ("allowlist", "bob@dest.example", True),
    ],
)
def test_where_mail_for_its_recipient_is_caught_so_is_this(tmp_path, mode, recipient, is_caught):
    document = {
        "delivery": {"mode": mode, "allowlist": ["qa.example"]},
        "smtp": {"port": 1025, "username": "x"},
    }
    found = operator_mail.host(recipient, conf.parse(document, {}, tmp_path))
    assert (found.port, bool(found.username)) == ((2526, False) if is_caught else (1025, True))


def test_each_recipient_of_one_mail_has_it_by_its_own_way(host, catch, tmp_path):
    handler, address = host
    catcher, (catch_host, catch_port) = catch
    listed = {"mode": "allowlist", "allowlist": ["ann@qa.example"]}
    listed |= {"catch_host": catch_host, "catch_port": catch_port}
    config = conf.parse({**given(address, **LOGIN), "delivery": listed}, {}, tmp_path)
    recipients = ["ann@qa.example", "in@example.test"]
    operator_mail.send([operator_mail.compose(recipients, "S", "T", config.smtp)], config)
    assert [recipient.address for recipient in handler.accepted[0][1].recipients] == ["ann@qa.example"]
    assert [recipient.address for recipient in catcher.accepted[0][1].recipients] == ["in@example.test"]


def test_the_command_says_what_became_of_its_mail(host, tmp_path, monkeypatch, capsys):
    handler, address = host
    config = conf.parse({**given(address), "delivery": {"mode": "mx"}}, {}, tmp_path)
    monkeypatch.setattr(conf, "config", lambda: config)
    call_command("test_app_smtp", "in@example.test")
    assert capsys.readouterr().out == f"{address[0]}:{address[1]} took it.\n"
    assert len(handler.accepted) == 1
    with pytest.raises(CommandError, match=r"did not take it: .*530"):
        call_command("test_app_smtp", "stranger@remote.example")
