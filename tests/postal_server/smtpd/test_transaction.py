from __future__ import annotations

import pytest

from postal_server.net.memory_budget import MemoryBudget
from postal_server.services.shared.throttle import Limits, Throttle
from postal_server.smtpd import replies
from postal_server.smtpd.clients import Clients
from postal_server.smtpd.connection_state import Phase
from postal_server.smtpd.handler import ClientSession
from postal_server.smtpd.options import Options
from postal_server.smtpd.shared import Shared
from postal_server.smtpd.transaction import ACCEPTED, Transaction

from .talk import MemoryHandler

MESSAGE = b"Subject: x\r\n\r\nHello\r\n"


@pytest.fixture
def transaction() -> Transaction:
    """After EHLO."""
    options = Options("mx.example", max_message_bytes=1000, max_recipients=2)
    clients, throttle = Clients(1, 1, 3), Throttle(Limits())
    shared = Shared(MemoryHandler(), options, clients, throttle, MemoryBudget(10_000, 10_000))
    transaction = Transaction(shared, ClientSession("TRACE", "192.0.2.1"))
    transaction.end("EHLO")
    return transaction


def begin(transaction: Transaction, *recipients: str) -> list[int]:
    """The codes of the replies to MAIL and to RCPT for each recipient."""
    answers = [transaction.mail(":<a@b.example>")]
    answers += [transaction.rcpt(f":<{recipient}>", now=0.0) for recipient in recipients]
    return [answer.reply.code for answer in answers]


def test_a_message_by_data(transaction):
    assert begin(transaction, "in@example.test") == [250, 250]
    transaction.begin_data()
    buffer = bytearray(MESSAGE + b".\r\nQUIT\r\n")
    assert transaction.read(buffer)
    assert transaction.reader.take_content() == MESSAGE
    assert (transaction.refusal, buffer) == (None, b"QUIT\r\n")
    transaction.end()
    assert (transaction.phase, transaction.envelope, transaction.recipient_bytes) == (Phase.READY, None, 0)


def test_a_message_by_chunks(transaction):
    begin(transaction, "in@example.test")
    for size, last, phase in ((10, "", Phase.CHUNKS), (len(MESSAGE) - 10, " LAST", Phase.CHUNKS)):
        assert transaction.begin_chunk(f" {size}{last}", bytearray()) is None
        assert transaction.phase is phase
        assert transaction.read(bytearray(b"x" * size))
    assert transaction.reader.is_complete


@pytest.mark.parametrize(
    ("recipients", "codes", "phase"),
    [
        (["in@example.test"], [250, 250], Phase.RCPT),
        (["reject@example.test"], [250, 550], Phase.NO_RECIPIENT),
        (["x@other.example"], [250, 530], Phase.MAIL),
        (["no address"], [250, 501], Phase.MAIL),
        (["reject@example.test", "in@example.test"], [250, 550, 250], Phase.RCPT),
        (["in@example.test", "reject@example.test"], [250, 250, 550], Phase.RCPT),
        (["in@example.test"] * 3, [250, 250, 250, 452], Phase.RCPT),
        (["reject@example.test"] * 4, [250, 550, 550, 550, 450], Phase.NO_RECIPIENT),
    ],
)
def test_the_phase_follows_from_the_recipients(transaction, recipients, codes, phase):
    assert begin(transaction, *recipients) == codes
    assert transaction.phase is phase


@pytest.mark.parametrize("argument", [":<a@b.example> SIZE=x", ":<a@b.example> BODY=BINARY"])
def test_a_parameter_that_cannot_be_right_begins_no_transaction(transaction, argument):
    answer = transaction.mail(argument)
    assert (answer.reply, answer.label) == (replies.BAD_PARAMETER, "invalid-command")
    assert (transaction.phase, transaction.envelope) == (Phase.READY, None)


def test_a_chunk_out_of_order_is_discarded_and_then_refused(transaction):
    assert transaction.begin_chunk(" 5 LAST", bytearray()) is None
    buffer = bytearray(b"helloNOOP\r\n")
    assert transaction.read(buffer)
    assert (transaction.refusal.reply, buffer) == (replies.RCPT_FIRST, b"NOOP\r\n")
    transaction.end()
    assert transaction.phase is Phase.READY


def test_what_gives_way_loses_its_recipients_and_is_refused_at_its_end(transaction):
    begin(transaction, "in@example.test")
    transaction.begin_data()
    buffer = bytearray(MESSAGE)
    assert not transaction.read(buffer)
    transaction.give_way(buffer)
    assert len(buffer) < 5
    buffer += b".\r\n"
    assert transaction.read(buffer)
    assert transaction.refusal.reply is replies.BUSY
    assert transaction.envelope.recipients == []


def test_a_message_that_is_too_large_is_refused_at_its_end(transaction):
    begin(transaction, "in@example.test")
    transaction.begin_data()
    assert transaction.read(bytearray(b"x" * 1001 + b"\r\n.\r\n"))
    assert transaction.refusal == replies.too_large(1000)
    assert transaction.reader.take_content() == b""


def test_an_accepted_command_has_no_label():
    assert ACCEPTED.label == ""
