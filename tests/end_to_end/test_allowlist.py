"""A server that delivers to who is listed and catches all other mail, over every way by which mail leaves."""

from __future__ import annotations

import contextlib
import smtplib
import subprocess
import time
from collections.abc import Callable

import pytest
import requests
from aiosmtpd.controller import Controller

from anymail_postal.delivery_mode import fetch_mode
from postal_server.testing import MailServer, RunningServer, free_ports

LISTED = "qa@dest.example, partner.example, listed@own.test"
# Routes of the mail server: to an address, to an SMTP server, and one that returns what comes.
ROUTES = """
from postal_server.models import *
server = Server.objects.get()
domain = server.domains.get()
def route(name, mode="Endpoint", **endpoint):
    Route.objects.create(server=server, domain=domain, name=name, mode=mode, **endpoint)
for name, address in (("to-qa", "qa@dest.example"), ("to-ann", "ann@dest.example")):
    route(name, address_endpoint=AddressEndpoint.objects.create(server=server, address=address))
host = SMTPEndpoint(server=server, name="s", hostname="127.0.0.1", port={port}, ssl_mode="None")
host.save()
for name in ("listed", "unlisted"):
    route(name, smtp_endpoint=host)
route("gone", mode="Bounce")
"""


class Receiver:
    """Somebody else's mail host, which takes everything. aiosmtpd's hooks."""

    def __init__(self) -> None:
        [self.port] = free_ports(1)
        self.taken: list[tuple[str, str]] = []  # sender and recipient

    async def handle_DATA(self, server, session, envelope):
        self.taken += [(envelope.mail_from, recipient) for recipient in envelope.rcpt_tos]
        return "250 2.0.0 OK"

    @property
    def recipients(self) -> list[str]:
        return sorted(recipient for _, recipient in self.taken)


@pytest.fixture
def receiver():
    found = Receiver()
    controller = Controller(found, hostname="127.0.0.1", port=found.port)
    controller.start()
    yield found
    controller.stop()


@pytest.fixture
def start():
    """Start a server with these environment variables and a mail server for own.test."""
    with contextlib.ExitStack() as stack:

        def begin(**variables: str) -> MailServer:
            listed = {"DELIVERY_MODE": "allowlist", "DELIVERY_ALLOWLIST": LISTED}
            return stack.enter_context(RunningServer(variables={**listed, **variables})).add("own.test")

        yield begin


def send(box: MailServer, *recipients: str) -> None:
    answer = requests.post(
        f"{box.url}/api/v1/send/message",
        json={"to": recipients, "from": "app@own.test", "subject": "api", "plain_body": "x"},
        headers={"X-Server-API-Key": box.api_key},
        timeout=10,
    ).json()
    assert answer["status"] == "success", answer


def submit(box: MailServer, *recipients: str) -> None:
    with smtplib.SMTP(*box.smtp_address, timeout=20) as client:
        client.login("anybody", box.smtp_key)
        client.sendmail("app@own.test", recipients, "From: app@own.test\r\nSubject: smtp\r\n\r\nx\r\n")


def command(box: MailServer, *words: str) -> str:
    done = subprocess.run(
        box.running._command(*words),
        capture_output=True,
        text=True,
        env=box.running._environment(),
        check=True,
    )
    return done.stdout


def deliver(box: MailServer, to: str, from_: str) -> None:
    """Bring mail in, as soon as the running server knows the new route."""
    ends_at = time.monotonic() + 10
    while True:
        try:
            return box.deliver(to, from_=from_)
        except AssertionError:
            assert time.monotonic() < ends_at, f"no route for {to}"
            time.sleep(0.1)


def wait_until(condition: Callable[[], bool], box: MailServer, receiver: Receiver) -> None:
    ends_at = time.monotonic() + 20
    while not condition():
        shown = f"Sent to {receiver.recipients}\n{box.outbox.describe()}\n{box.running.log()}"
        assert time.monotonic() < ends_at, shown
        time.sleep(0.05)


def test_every_way_out_is_open_to_who_is_listed_alone(start, receiver):
    box = start(
        POSTAL_SMTP_RELAYS=f"smtp://127.0.0.1:{receiver.port}?ssl_mode=None",
        SMTP_HOST="127.0.0.1",
        SMTP_PORT=str(receiver.port),
    )
    command(box, "console", "-c", ROUTES.format(port=receiver.port))
    send(box, "qa@dest.example", "ann@dest.example", "QA@Dest.Example.", "ann@sub.partner.example")
    submit(box, "anybody@partner.example", "bob@dest.example")
    deliver(box, "to-qa@own.test", "one@dest.example")
    deliver(box, "to-ann@own.test", "two@dest.example")
    deliver(box, "listed@own.test", "three@dest.example")
    deliver(box, "unlisted@own.test", "four@dest.example")
    deliver(box, "gone@own.test", "five@dest.example")
    deliver(box, "gone@own.test", "sender@partner.example")
    assert f"127.0.0.1:{receiver.port} took it" in command(box, "test-app-smtp", "boss@partner.example")
    assert "the catch, as delivery.mode is allowlist" in command(box, "test-app-smtp", "boss@dest.example")
    assert fetch_mode(box.url) == "allowlist"
    box.wait_until_quiet()
    sent = ["QA@Dest.Example", "anybody@partner.example", "boss@partner.example", "listed@own.test"]
    sent += ["qa@dest.example", "qa@dest.example", "sender@partner.example"]
    caught = ["ann@dest.example", "ann@dest.example", "ann@sub.partner.example", "bob@dest.example"]
    caught += ["five@dest.example", "unlisted@own.test"]
    wait_until(lambda: len(receiver.taken) >= len(sent) and len(box.outbox) >= len(caught), box, receiver)
    assert receiver.recipients == sorted(sent)
    assert sorted(mail.rcpt_to for mail in box.outbox) == sorted(caught)


def test_without_relays_mail_for_who_is_listed_goes_to_its_mail_hosts(start, receiver):
    box = start(
        DELIVERY_ALLOWLIST="qa@[127.0.0.1]", SMTP_CLIENT_PORT=str(receiver.port), SMTP_CLIENT_MTA_STS="false"
    )
    send(box, "qa@[127.0.0.1]", "ann@[127.0.0.1]")
    box.outbox.wait_for(to="ann@[127.0.0.1]")
    wait_until(lambda: bool(receiver.taken), box, receiver)
    assert receiver.recipients == ["qa@[127.0.0.1]"]
    assert len(box.outbox) == 1
