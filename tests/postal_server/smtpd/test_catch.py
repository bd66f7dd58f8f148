"""The catch, over real sessions."""

from __future__ import annotations

import asyncio
import smtplib
import threading
import time

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
    """The address of a catch in a loop of its own. Reports of failure go to `reports`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start():
        return await catch.listen("127.0.0.1", 0, ("127.0.0.1", 1))

    server, handler = asyncio.run_coroutine_threadsafe(start(), loop).result()
    yield server.sockets[0].getsockname()[:2], handler
    loop.call_soon_threadsafe(server.close)
    # Django leaves connections to databases in memory open.
    handler._database.submit(lambda: connection.connection and connection.connection.close()).result()
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
    address, handler = listening
    monkeypatch.setattr(handler, "_send_report", lambda to, report: reports.append((to, report)))
    simulate(server, stage="bounce")
    send(address, server)
    assert CaughtMail.objects.count() == 1
    wait_until(lambda: reports)
    assert reports[0][0] == f"bounces+{server.token}-x@rp.test"
    assert b"Final-Recipient: rfc822; ann@c.test" in reports[0][1]


def test_mail_that_is_taken_late_is_kept_and_not_reported(listening, server, monkeypatch):
    reports = []
    address, handler = listening
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
