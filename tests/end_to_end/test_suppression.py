"""What answers of receivers make of further mail: over SMTP and signed webhooks, up to the signal."""

from __future__ import annotations

import re
import socketserver
import subprocess
import threading
from collections.abc import Iterator

import pytest
import requests
from anymail.message import AnymailMessage

from tests.altered import AlteredServer, relaying_to

from .suppression_list import entries, run_inside

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.end_to_end.urls")]
DAY = 86400
BOB = "bob@example.org"
NO_SUCH_USER = "550 5.1.1 No such user here"
NO_MX = "556 5.1.10 <bob@example.org>: Recipient address has null MX"
DISABLED = "550 5.2.1 The email account that you tried to reach is inactive."
FULL = "552 5.2.2 The email account that you tried to reach is over quota."
WHO_KNOWS = "554 5.0.0 Code 17"
REPUTATION = "553 5.3.0 alpd682 DNSBL:ATTRBL 521< 192.0.2.1 >_is_blocked."
RATE = "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints"


def send(postal, *addresses: str) -> list[str]:
    """The statuses of mails to these addresses, each sent after the one before was answered."""
    for address in addresses:
        AnymailMessage(subject="Hello", body="x", from_email=f"app@{postal.domain}", to=[address]).send()
        postal.wait_until_quiet()
    return [message["status"] for message in reversed(postal.messages())]


def submit(postal, *recipients: str, **parameters) -> str:
    """Send by the API without a project; the status of the first one's message."""
    answer = requests.post(
        f"{postal.url}/api/v1/send/message",
        json={
            "to": recipients,
            "from": f"app@{postal.domain}",
            "subject": "x",
            "plain_body": "x",
            **parameters,
        },
        headers={"X-Server-API-Key": postal.api_key},
        timeout=10,
    ).json()
    assert answer["status"] == "success", answer
    postal.wait_until_quiet()
    number = answer["data"]["messages"][recipients[0]]["id"]
    return next(message["status"] for message in postal.messages() if message["id"] == number)


def command(postal, *words: str) -> str:
    done = subprocess.run(
        postal.running._command("suppressions", *words),
        env=postal.running._environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("answer", "second"), [(NO_SUCH_USER, "Held"), (FULL, "HardFail"), (REPUTATION, "HardFail")]
)
def test_a_sure_answer_about_the_address_stops_the_next_mail(project, heard, answer, second):
    project.simulate(BOB, answer)
    assert send(project, BOB, "Bob@example.org") == ["HardFail", second]
    assert heard["tracking"][0].event_type in ("bounced", "failed")


def test_the_same_domain_in_another_spelling_is_stopped(project):
    project.simulate("bob@xn--bcher-kva.example", NO_SUCH_USER)
    statuses = send(project, "bob@xn--bcher-kva.example", "bob@b\u00fccher.example")
    assert statuses == ["HardFail", "Held"]


@pytest.mark.parametrize(
    ("reason", "answer", "strikes", "lasts"),
    [
        ("bad_address", NO_SUCH_USER, 1, (30, 90, 365)),
        ("bad_domain", NO_MX, 1, (3, 14, 60)),
        ("inactive", DISABLED, 2, (30, 90)),
        ("mailbox_full", FULL, 3, (7, 14)),
        ("unknown", WHO_KNOWS, 3, (3, 7)),
    ],
)
def test_who_comes_on_after_how_many_days_and_for_how_long(postal, reason, answer, strikes, lasts):
    postal.simulate(BOB, answer)
    for times, days in enumerate(lasts, 1):
        for number in range(1, strikes + 1):
            assert submit(postal, BOB) == "HardFail"
            assert len(entries(postal, times=times)) == (number == strikes)
            postal.advance(DAY)
        [entry] = entries(postal)
        assert (entry.reason, entry.scope, entry.state, entry.lasts) == (reason, "", "active", days)
        assert submit(postal, BOB) == "Held"
        postal.advance(days * DAY)


def test_failures_of_one_day_are_one(postal):
    postal.simulate(BOB, FULL)
    assert [submit(postal, BOB) for _ in range(4)] == ["HardFail"] * 4
    assert entries(postal) == []


@pytest.mark.parametrize(("answer", "reason"), [("450 4.4.1 timed out", "expired"), (RATE, None)])
def test_mail_whose_lifetime_is_over(postal, answer, reason):
    postal.simulate(BOB, answer)
    for _ in range(3):
        assert submit(postal, BOB) == "SoftFail"
        postal.advance(6 * DAY)
        postal.wait_until_quiet()
        last = postal.messages()[0]
        assert (last["status"], last["details"][:32]) == ("HardFail", "The maximum lifetime of this mes")
    assert [(entry.reason, entry.lasts) for entry in entries(postal)] == [(reason, 3)] * bool(reason)
    assert submit(postal, BOB) == ("Held" if reason else "SoftFail")


def test_a_released_mail_that_arrives_ends_what_failures_made(postal):
    postal.simulate(BOB, NO_SUCH_USER, times=1)
    assert [submit(postal, BOB), submit(postal, BOB)] == ["HardFail", "Held"]
    held = str(postal.messages()[0]["id"])
    subprocess.run(
        postal.running._command("held", "release", held), env=postal.running._environment(), check=True
    )
    assert postal.outbox.wait_for(to=BOB)
    postal.wait_until_quiet()
    assert postal.messages()[0]["details"].endswith("Recipient removed from suppression list")
    [entry] = entries(postal)
    assert entry.ended_by == "success"
    assert submit(postal, BOB) == "Sent"


def test_what_a_person_adds_ends_by_itself_or_by_a_person(postal):
    command(postal, "add", "--server", postal.token, BOB, "ann@example.org", "--days", "2")
    assert {(entry.reason, entry.lasts) for entry in entries(postal)} == {("manual", 2)}
    assert submit(postal, BOB) == "Held"
    command(postal, "remove", "--server", postal.token, "ann@example.org")
    assert submit(postal, "ann@example.org") == "Sent"
    postal.advance(2 * DAY)
    assert submit(postal, BOB) == "Sent"


def test_a_domain_that_has_mx_again_leaves_the_list(postal):
    postal.simulate(BOB, NO_MX, times=1)
    assert [submit(postal, BOB), submit(postal, BOB)] == ["HardFail", "Held"]
    postal.advance(DAY)
    run_inside(
        postal.running,
        "suppressed_domains.check(now, lambda asked: dict.fromkeys(asked, ['10 mx.example.org.']))",
    )
    [entry] = entries(postal)
    assert entry.ended_by == "domain has MX again"
    assert submit(postal, BOB) == "Sent"


def test_mail_that_is_failed_instead_of_held(project, heard):
    project.simulate(BOB, NO_SUCH_USER)
    run_inside(
        project.running,
        "from postal_server.models import Server\n"
        f"server = Server.objects.get(pk={project.id}); server.suppressed_as = 'failed'; server.save()",
    )
    project.advance(0)  # has the server read its configuration
    assert send(project, BOB, BOB) == ["HardFail", "HardFail"]
    assert len(project.outbox) == 0
    event = heard["tracking"].wait_for(
        lambda event: "suppression list" in (event.description or ""), "the mail that was not tried"
    )
    assert event.event_type in ("rejected", "bounced")


def test_an_entry_for_one_stream_lets_the_other_pass(postal):
    run_inside(
        postal.running,
        "from postal_server.rules.suppression import Reason\n"
        "from postal_server.services.results.suppression_entries import given_entry, put\n"
        f"put([given_entry(({postal.id}, '{BOB}'), now, keep_until=None, reason=Reason.UNSUBSCRIBE, "
        "scope='stream:news')])",
    )
    assert submit(postal, BOB, stream="news") == "Held"
    assert submit(postal, BOB, stream="receipts") == "Sent"
    assert submit(postal, BOB) == "Sent"


class Receiver(socketserver.ThreadingTCPServer):
    """A mail host that knows nobody whose name begins with `no`."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 100

    class RequestHandlerClass(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 mx.example.org ESMTP")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self._say("354 go on")
                    while self.rfile.readline() not in (b".\r\n", b""):
                        pass
                if verb == b"RCPT" and re.match(rb"RCPT TO:<no", line, re.IGNORECASE):
                    self._say(NO_SUCH_USER)
                else:
                    self._say("221 bye" if verb == b"QUIT" else "250 ok")

        def _say(self, reply: str) -> None:
            self.wfile.write(f"{reply}\r\n".encode())

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.RequestHandlerClass)


@pytest.fixture(scope="module")
def relaying() -> Iterator[AlteredServer]:
    """A server that hands all mail to the receiver."""
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        with relaying_to(receiver.server_address[1]) as running:
            yield running
        receiver.shutdown()


@pytest.mark.parametrize("outcome", ["dropped", "confirmed"])
def test_a_storm(relaying, outcome):
    """An operator that suddenly knows nobody is not believed, until it is over or a person says so."""
    postal = relaying.add()
    bad = [f"no{number}@example.org" for number in range(25)]
    submit(postal, *bad)
    assert {entry.state for entry in entries(postal)} == {"proposed"}
    assert len(entries(postal)) == len(bad)
    assert submit(postal, bad[0]) == "HardFail"  # it was tried
    if outcome == "dropped":
        run_inside(relaying, "for count in (1.2, 3.4): incidents.review(hours(count))")
        assert entries(postal) == []
        assert submit(postal, bad[0]) == "HardFail"
    else:
        run_inside(
            relaying,
            "[incident] = incidents.incidents().filter(ended_at=None)\n"
            "context = OperationContext(THE_SERVER, conf.config(), now, load(), transaction.atomic)\n"
            "sum(incidents.confirm(incident, context))",
        )
        assert {entry.state for entry in entries(postal)} == {"active"}
        assert submit(postal, bad[0]) == "Held"
