"""The catch, over real sessions."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import smtplib
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection

from postal_server.models import CaughtMail, Organization, Server, Simulation
from postal_server.smtpd import catch

pytestmark = pytest.mark.django_db(transaction=True)
RAW = "From: a@b.test\r\nSubject: Hi\r\n\r\nHello\r\n.dot\r\n"


@pytest.fixture
def server():
    owner = Organization.objects.create(name="Example", permalink="example")
    return Server.objects.create(organization=owner, name="Main", permalink="main")


@pytest.fixture
def listening():
    """The address of a catch, its handler, and its loop. Reports of failure go to `reports`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start():
        return await catch.listen("127.0.0.1", 0, ("127.0.0.1", 1))

    server, handler = asyncio.run_coroutine_threadsafe(start(), loop).result()
    close_database = handler._close_database

    def close_even_in_memory():
        with contextlib.suppress(RuntimeError):  # a test has closed it
            # Django leaves connections to databases in memory open.
            handler._database.submit(lambda: connection.connection and connection.connection.close())
            close_database()

    handler._close_database = close_even_in_memory
    yield server.sockets[0].getsockname()[:2], handler, loop
    loop.call_soon_threadsafe(server.close)
    asyncio.run_coroutine_threadsafe(handler.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def send(address, server, recipient="ann@c.test"):
    with smtplib.SMTP(*address, timeout=10) as client:
        client.sendmail(f"bounces+{server.token}-x@rp.test", recipient, RAW)


def wait_until(holds):
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def simulate(server, **values):
    Simulation.objects.create(
        server_id=server.pk, **{"recipient": "ann@c.test", "stage": "rcpt", "reply": "550 5.1.1 no", **values}
    )


def test_mail_is_kept_byte_for_byte_for_its_server(listening, server):
    send(listening[0], server)
    row = CaughtMail.objects.get()
    assert (row.server_id, row.rcpt_to, bytes(row.raw)) == (server.pk, "ann@c.test", RAW.encode())


def test_refusal_at_rcpt(listening, server):
    simulate(server)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(listening[0], server)
    assert refused.value.recipients["ann@c.test"] == (550, b"5.1.1 no")
    send(listening[0], server, "bob@c.test")
    assert CaughtMail.objects.get().rcpt_to == "bob@c.test"


def test_refusal_at_the_final_dot(listening, server):
    simulate(server, stage="data", reply="451 4.7.1 later", times=1)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(listening[0], server)
    assert refused.value.smtp_code == 451
    send(listening[0], server)
    assert CaughtMail.objects.count() == 1


def test_mail_that_bounces_is_kept_and_reported_to_its_return_path(listening, server, monkeypatch):
    reports = []
    address, handler, _ = listening
    monkeypatch.setattr(handler, "_send_report", lambda to, report: reports.append((to, report)))
    simulate(server, stage="bounce")
    send(address, server)
    assert CaughtMail.objects.count() == 1
    wait_until(lambda: reports)
    assert reports[0][0] == f"bounces+{server.token}-x@rp.test"
    assert b"Final-Recipient: rfc822; ann@c.test" in reports[0][1]


def test_mail_that_is_taken_late_is_kept_and_not_reported(listening, server, monkeypatch):
    reports = []
    address, handler, _ = listening
    monkeypatch.setattr(handler, "_send_report", lambda to, report: reports.append(to))
    simulate(server, reply="250 OK", delay_seconds=0.05)
    send(address, server)
    assert CaughtMail.objects.count() == 1
    assert reports == []


def test_mistake_of_ours_is_a_temporary_refusal(listening, server, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(catch.caught_mail, "keep", fail)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(listening[0], server)
    assert refused.value.smtp_code == 451


@pytest.fixture
def close(listening):
    """Begin to close the catch, and give it time to end what it would break off; a future of its end."""
    _, handler, loop = listening

    def begin(**grace):
        closed = asyncio.run_coroutine_threadsafe(handler.close(**grace), loop)
        with contextlib.suppress(concurrent.futures.TimeoutError):
            closed.result(0.2)
        return closed

    return begin


@contextlib.contextmanager
def begun(address, server, *commands):
    """A session with a mail under way, of which these commands were sent."""
    with contextlib.closing(smtplib.SMTP(*address, timeout=10)) as client:
        client.ehlo()
        client.mail(f"bounces+{server.token}-x@rp.test")
        for command in commands:
            assert client.docmd(command)[0] in (250, 354)
        yield client


@pytest.mark.parametrize("commands", [[], ["RCPT TO:<ann@c.test>"], ["RCPT TO:<ann@c.test>", "DATA"]])
def test_a_stop_waits_for_the_mail_under_way(listening, server, close, commands):
    """To refuse it for now would put it off for minutes."""
    rest = ["RCPT TO:<ann@c.test>", "DATA"][len(commands) :]
    with begun(listening[0], server, *commands) as client:
        closed = close()
        for command in rest:
            assert client.docmd(command)[0] in (250, 354)
        client.send(f"{RAW}.\r\n")
        assert client.getreply() == (250, b"2.0.0 OK: kept")
        closed.result(10)
    assert CaughtMail.objects.count() == 1


def test_a_stop_ends_sessions_without_mail_at_once(listening, close):
    with contextlib.closing(smtplib.SMTP(*listening[0], timeout=10)) as client:
        client.ehlo()
        close().result(1)
        assert client.getreply()[0] == 421
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()


def test_a_stop_waits_no_longer_than_it_may(listening, server, close):
    with begun(listening[0], server) as client:
        close(grace=timedelta(seconds=0.1)).result(1)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
