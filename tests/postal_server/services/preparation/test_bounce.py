import base64
import json
from pathlib import Path

import pytest

from postal_server.models import Body, Domain, ImportedToken, Message, Server
from postal_server.rules.status import Scope
from postal_server.services.preparation import bounce
from postal_server.services.preparation.job import Job
from postal_server.services.results.bounce import Bounced
from postal_server.services.shared.token import message_token
from tests.postal_server.services.conftest import NOW, store

REPORT = """From: MAILER-DAEMON@mx.dest.example
Subject: Undelivered Mail
Content-Type: multipart/report; report-type=delivery-status; boundary="r"

--r
Content-Type: text/plain

Sorry.
--r
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.dest.example

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}

--r
Content-Type: text/rfc822-headers

{header}From: sender@example.test

--r--
"""


def report(header="", recipient="a@dest.example", action="failed", status="5.1.1"):
    text = REPORT.format(header=header, recipient=recipient, action=action, status=status)
    return text.replace("\n", "\r\n").encode()


@pytest.fixture
def match(world, config):
    """The match of a report, or None."""

    def call(raw, rcpt_to="s8halm@rp.postal.example.test"):
        [claim] = store(world, rcpt_to, raw=raw, scope=Scope.INCOMING, is_bounce=True, mail_from=None)
        directory = world.directory()
        row = Message.objects.get(pk=claim.id)
        body = bytes(Body.objects.get(pk=row.body_id).raw)
        job = Job(claim, row, directory.servers[world.server.pk], body)
        return bounce.match([job], directory, config, NOW).get(claim.id)

    return call


@pytest.fixture
def original(world):
    return store(world)[0].id


def test_by_the_return_path(match, original):
    path = f"s8halm+{message_token(original)}@rp.postal.example.test"
    assert match(report(), path) == (Bounced(original, is_hard=True),)
    assert match(b"Subject: failure\r\n\r\nYour mail failed\r\n", path) == (Bounced(original),)


def test_by_the_token_in_the_returned_header(match, original):
    raw = report(header=f"X-Postal-MsgID: {message_token(original)}\n")
    assert match(raw) == (Bounced(original, is_hard=True),)


def test_by_the_token_anywhere_in_the_text(match, original):
    raw = f"Subject: failure\r\n\r\nYour mail failed\r\nx-postal-msgid:{message_token(original)}\r\n".encode()
    assert match(raw) == (Bounced(original),)


def test_by_the_token_of_an_imported_message(world, match, original):
    ImportedToken.objects.create(token="wBx9aLnQ44yKFCOw", server_id=world.server.pk, message_id=original)
    assert match(report(header="X-Postal-MsgID: wBx9aLnQ44yKFCOw\n")) == (Bounced(original, is_hard=True),)


OWN_PATH = "s8halm@psrp.example.test"
BY_MESSAGE_ID = report(header="Message-ID: <x@rp.postal.example.test>\n", recipient="A@dest.example")


def test_by_message_id_and_recipient_where_the_return_path_has_no_token(world, match):
    """It is no evidence that suppresses: other recipients of the mail know as much."""
    Domain.objects.update(return_path_status="OK")
    one, _ = store(world, "a@dest.example", "b@dest.example")
    assert match(BY_MESSAGE_ID, OWN_PATH) == (Bounced(one.id, is_hard=False),)


def test_by_message_id_of_imported_mail(world, match):
    """Postal's return paths name the mail server alone."""
    one, _ = store(world, "a@dest.example", "b@dest.example")
    ImportedToken.objects.create(token="wBx9aLnQ44yKFCOw", server_id=world.server.pk, message_id=one.id)
    assert match(BY_MESSAGE_ID) == (Bounced(one.id, is_hard=False),)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("s8halm@rp.postal.example.test", "OK"),
        ("s8halm@rp.postal.example.test", "Missing"),
        (OWN_PATH, "Missing"),
        (OWN_PATH, ""),
        ("s8halm@psrp.other.test", "OK"),
        ("s8halm@psrp.example.test.other.test", "OK"),
    ],
)
def test_recipient_of_a_group_gets_no_other_recipient_bounced(world, match, path, status):
    """Forged by who knows the Message-ID and the mail server's token from a mail of his own."""
    Domain.objects.update(return_path_status=status)
    store(world, "a@dest.example", "b@dest.example")
    assert match(BY_MESSAGE_ID, path) is None


@pytest.mark.parametrize(
    "raw",
    [
        report(),
        report(header="Message-ID: <other@example.test>\n"),
        report(header="Message-ID: <x@rp.postal.example.test>\n", recipient="other@dest.example"),
        report(header="X-Postal-MsgID: aaaaaaaaaaaaaaaa\n"),
        b"",
    ],
)
def test_never_by_the_recipient_or_by_the_message_id_alone(match, original, raw):
    Domain.objects.update(return_path_status="OK")
    assert match(raw, OWN_PATH) is None


def test_messages_of_other_servers_and_incoming_ones_are_left_alone(world, match):
    other = Server.objects.create(organization=world.organization, name="O", permalink="o")
    [foreign] = store(world, server=other)
    [incoming] = store(world, scope=Scope.INCOMING)
    for claim in (foreign, incoming):
        assert match(report(header=f"X-Postal-MsgID: {message_token(claim.id)}\n")) is None


@pytest.mark.parametrize(
    ("action", "status", "is_hard"),
    [
        ("failed", "5.1.1", True),
        ("failed", "4.2.2", False),
        ("failed", "5.7.1", False),
        ("delayed", "4.4.1", False),
    ],
)
def test_every_report_counts_but_only_hard_ones_suppress(match, original, action, status, is_hard):
    path = f"s8halm+{message_token(original)}@rp.postal.example.test"
    assert match(report(action=action, status=status), path) == (Bounced(original, is_hard),)


def test_recorded_reports_match_as_in_postal(world, match, original):
    """Of Postal's three recorded reports, the one without a token matches nothing."""
    cases = json.loads((Path(__file__).parents[3] / "corpus/wire/bounces.json").read_text())
    for case in cases:
        raw = base64.b64decode(case["data"])
        token = case["token"]
        if token:
            ImportedToken.objects.create(token=token, server_id=world.server.pk, message_id=original)
        found = match(raw)
        assert (found is not None) is bool(token), case["name"]


def test_a_batch_takes_two_queries(world, config, django_assert_num_queries):
    claims = store(world, *[f"a{n}@x.example" for n in range(10)])
    directory = world.directory()
    server = directory.servers[world.server.pk]
    jobs = [
        Job(claim, row, server, report(header=f"X-Postal-MsgID: {message_token(claim.id)}\n"))
        for claim, row in zip(claims, Message.objects.order_by("id"), strict=True)
    ]
    jobs.append(
        Job(claims[0], Message(id=0, rcpt_to="s8halm@rp.x"), server, report(header="Message-ID: <q@x>\n"))
    )
    with django_assert_num_queries(2):
        assert len(bounce.match(jobs, directory, config, NOW)) == 10
