"""From a session and an envelope to what the journal appends, in the recorded installation."""

from __future__ import annotations

import asyncio

import pytest

from postal_server.errors import LoopDetected, MessageTooLarge, UnauthenticatedFromAddress
from postal_server.smtpd.handler import ClientSession, Envelope
from postal_server.smtpd.mail_handler import MailHandler

from ..recorded_installation import NAMES

pytestmark = pytest.mark.django_db  # for the directory
OURS = b"From: me@example.test\r\nSubject: Hi\r\n\r\nHello\r\n"
THEIRS = b"From: ext@remote.example\r\nSubject: Hi\r\n\r\nHello\r\n"


class Journal:
    """Stores at once, and remembers."""

    def __init__(self):
        self.accepted = []
        self.calls = 0

    def check_room(self, size_bytes):
        pass

    def append_together(self, submissions):
        self.calls += 1
        self.accepted += submissions
        done = asyncio.get_running_loop().create_future()
        done.set_result([])
        return done


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def handler(recorded_config, recorded_directory, journal):
    return MailHandler(recorded_config, lambda: recorded_directory, journal)


@pytest.fixture
def send(handler, journal):
    """Send `data` to `recipients`; answers (scope, recipient) of what was appended."""

    async def accept(told, envelope):
        await handler.accept_message(told, envelope)

    def call(data, *recipients, key=None, key_after=None, reverse_path="ext@remote.example", **session):
        told = ClientSession("TRACE", "192.0.2.7", helo="client.example", **session)
        told.principal = handler.authenticate(NAMES[key]) if key else None
        taken = [handler.accept_recipient(told, address) for address in recipients]
        if key_after:
            told.principal = handler.authenticate(NAMES[key_after])
        asyncio.run(accept(told, Envelope(reverse_path, taken, data)))
        return [(str(m.scope.value), m.rcpt_to) for accepted in journal.accepted for m in accepted.messages]

    return call


def test_incoming_mail_needs_no_sender_of_ours(send):
    assert send(THEIRS, "in@example.test") == [("incoming", "in@example.test")]


def test_submitted_mail_is_outgoing_even_to_a_local_route(send):
    assert send(OURS, "in@example.test", "a@dest.example", key="smtp_key") == [
        ("outgoing", "in@example.test"),
        ("outgoing", "a@dest.example"),
    ]


def route_token():
    return f"{NAMES['route_token']}@{NAMES['route_domain']}"


def return_path():
    return f"{NAMES['server_token']}@{NAMES['return_path_domain']}"


def test_submissions_of_one_mail_are_appended_together(send, journal):
    send(OURS, return_path(), "a@dest.example", key="smtp_key")
    assert len(journal.accepted) == 2
    assert journal.calls == 1


@pytest.mark.parametrize("recipient", ["a@dest.example", route_token(), return_path()])
def test_who_is_authenticated_must_be_the_sender_whatever_the_recipient(send, journal, recipient):
    with pytest.raises(UnauthenticatedFromAddress):
        send(THEIRS, recipient, key="smtp_key")
    assert not journal.accepted
    assert send(OURS, recipient, key="smtp_key")


def test_authentication_after_the_recipients_counts_too(send):
    with pytest.raises(UnauthenticatedFromAddress):
        send(THEIRS, "in@example.test", key_after="smtp_key")


def test_the_received_line_names_the_client_but_in_privacy_mode(send, journal):
    send(THEIRS, "in@example.test", client_name="client.name.example")
    line = journal.accepted[0].raw.split(b"\r\n")[0]
    assert line.startswith(
        b"Received: from client.example (client.name.example [192.0.2.7]) by mx.postal.example.test with"
    )
    private = OURS.replace(b"example.test", b"private.test")
    send(private, "a@dest.example", key="private_smtp_key")
    line = journal.accepted[1].raw.split(b"\r\n")[0]
    assert line.startswith(b"Received: by mx.postal.example.test with SMTP; ")


def test_a_mail_that_goes_round_is_refused_the_fifth_time(send):
    line = b"Received: from a by mx.postal.example.test with SMTP; now\r\n"
    assert send(line * 3 + THEIRS, "in@example.test")
    with pytest.raises(LoopDetected):
        send(line * 4 + THEIRS, "in@example.test")


def test_our_received_line_counts_for_the_size(send, recorded_config):
    data = THEIRS.ljust(recorded_config.max_message_bytes, b"x")
    with pytest.raises(MessageTooLarge):
        send(data, "in@example.test")


def test_a_null_reverse_path_of_a_submission_makes_no_bounce(send, journal):
    send(OURS, "a@dest.example", key="smtp_key", reverse_path=None)
    [accepted] = journal.accepted
    assert accepted.mail_from is None
    assert not accepted.messages[0].is_bounce


def test_received_with_ssl_is_null_in_clear(send, journal):
    send(THEIRS, "in@example.test")
    send(THEIRS, "in@example.test", tls="TLSv1.3")
    assert [accepted.received_with_ssl for accepted in journal.accepted] == [None, True]


def test_cram_md5_names_servers_by_either_spelling(handler):
    for name in ("example/live", "example_live"):
        assert NAMES["smtp_key"] in [secret for _, secret in handler.find_cram_keys(name)]
    assert handler.find_cram_keys("example/none") is None
