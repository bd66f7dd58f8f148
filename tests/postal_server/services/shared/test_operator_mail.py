"""Mail of the installation itself, over a real SMTP connection."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.core.management import CommandError, call_command

from postal_server import conf
from postal_server.services.shared import operator_mail
from tests.postal_server.smtpd.talk import MemoryHandler, Running


@pytest.fixture
def host():
    """An SMTP server in a thread of its own; its handler takes mail for in@example.test."""
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
    return {"smtp": {"host": address[0], "port": address[1], "from_address": "postal@example.test", **values}}


def test_a_mail_is_handed_over_with_its_headers(host, tmp_path):
    handler, address = host
    config = conf.parse(given(address), {}, tmp_path)
    mail = operator_mail.compose(["in@example.test"], "Grüße", "Text\n", config.smtp)
    operator_mail.send([mail], config.smtp)
    [(_, envelope)] = handler.accepted
    assert envelope.reverse_path == "postal@example.test"
    assert b"From: Postal <postal@example.test>\r\n" in envelope.data
    assert b"Auto-Submitted: auto-generated\r\n" in envelope.data


def test_a_user_logs_in(host, tmp_path):
    handler, address = host
    values = {"username": "anybody", "password": "K70gy3gHQZaFB9vMhiHcbnpN"}
    config = conf.parse(given(address, **values), {}, tmp_path)
    operator_mail.send([operator_mail.compose(["x@remote.example"], "S", "T", config.smtp)], config.smtp)
    [(session, _)] = handler.accepted
    assert session.principal is not None


@pytest.mark.parametrize(("mode", "port"), [("catch", 2526), ("mx", 1025)])
def test_where_all_mail_is_caught_so_is_this(tmp_path, mode, port):
    document = {"delivery": {"mode": mode}, "smtp": {"port": 1025, "username": "x"}}
    found = operator_mail.host(conf.parse(document, {}, tmp_path))
    assert (found.port, bool(found.username)) == (port, mode != "catch")


def test_the_command_says_what_became_of_its_mail(host, tmp_path, monkeypatch, capsys):
    handler, address = host
    config = conf.parse({**given(address), "delivery": {"mode": "mx"}}, {}, tmp_path)
    monkeypatch.setattr(conf, "config", lambda: config)
    call_command("test_app_smtp", "in@example.test")
    assert capsys.readouterr().out == f"{address[0]}:{address[1]} took it.\n"
    assert len(handler.accepted) == 1
    with pytest.raises(CommandError, match=r"did not take it: .*530"):
        call_command("test_app_smtp", "stranger@remote.example")
