"""SMTP as an attacker speaks it, to a running server that delivers to another implementation."""

from __future__ import annotations

import base64
import contextlib
import smtplib
import socket
import ssl
import time
from email.message import EmailMessage

import pytest

MEGABYTE = 1024 * 1024
ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n\n.\r\n", b"\r\n\0.\r\n"]


class Wire:
    """A connection that says what it likes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=20)
        self.file = self.socket.makefile("rb")
        self.reply()

    def reply(self) -> str:
        """The last line of a reply, empty once the server has closed."""
        while (line := self.file.readline()) and line[3:4] == b"-":
            pass
        return line.decode()

    def say(self, line: bytes) -> str:
        self.socket.sendall(line + b"\r\n")
        return self.reply()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def wire(postal):
    connection = Wire(postal.smtp_address)
    yield connection
    connection.close()


@pytest.fixture
def client(postal):
    """An authenticated client."""
    with smtplib.SMTP(*postal.smtp_address, timeout=20) as connection:
        connection.login("anybody", postal.smtp_key)
        yield connection


def mail(postal, text=b"Hello\r\n"):
    return b"From: app@" + postal.domain.encode() + b"\r\nTo: bob@example.org\r\nSubject: x\r\n\r\n" + text


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_cve_2024_27938_a_message_smuggled_in_is_text(postal, client, end):
    domain = postal.domain.encode()
    smuggled = (
        b"MAIL FROM:<admin@%s>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\n"
        b"From: admin@%s\r\nTo: victim@example.org\r\n\r\nSmuggled\r\n" % (domain, domain)
    )
    client.mail(f"app@{postal.domain}")
    client.rcpt("bob@example.org")
    assert client.docmd("DATA")[0] == 354
    client.send(mail(postal, b"Hello" + end + smuggled + b".\r\n"))
    assert client.getreply()[0] == 250
    assert client.noop()[0] == 250  # in step: nothing of it was taken for a command
    [caught] = [postal.outbox.wait_for(), *postal.outbox.all()[1:]]
    assert caught.rcpt_to == "bob@example.org"
    assert b"Smuggled" in caught.raw
    assert [message["rcpt_to"] for message in postal.messages()] == ["bob@example.org"]


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_cve_2023_51764_no_message_is_smuggled_out(postal, call, end):
    """By the API any bytes can be given: the receiver must still see one message."""
    smuggled = b"MAIL FROM:<admin@x.example>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSmuggled\r\n.\r\n"
    data = base64.b64encode(mail(postal, b"Hello" + end + smuggled)).decode()
    given = {"mail_from": f"app@{postal.domain}", "rcpt_to": ["bob@example.org"], "data": data}
    assert call("send/raw", given).json()["status"] == "success"
    caught = postal.outbox.wait_for(to="bob@example.org")
    assert b"Smuggled" in caught.raw
    assert b"\r" not in caught.raw.replace(b"\r\n", b"")
    assert b"\n" not in caught.raw.replace(b"\r\n", b"")
    assert len(postal.outbox) == 1


def test_commands_injected_behind_starttls_are_not_obeyed(postal, wire):
    """CVE-2021-33515 and its kin: what came in clear is not there any more inside TLS."""
    wire.say(b"EHLO attacker.example")
    wire.socket.sendall(
        b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<bob@%s>\r\nDATA\r\n" % postal.domain.encode()
    )
    assert wire.reply().startswith("220 ")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(wire.socket, server_hostname="localhost") as tls:
        tls.sendall(b"NOOP\r\nDATA\r\n")
        answers = b""
        while answers.count(b"\n") < 2:
            answers += tls.recv(1000)
    assert answers.splitlines()[0].startswith(b"250 ")
    assert answers.splitlines()[1].startswith(b"503 ")


@pytest.mark.parametrize(
    "command",
    [
        b"EHLO x\rSubject: injected",
        b"MAIL FROM:<a@example.org\rRCPT TO:<b@example.org>",
        b"MAIL FROM:<a\0b@example.org>",
        b"RCPT TO:<b@example.org\x0bX-Injected: 1>",
    ],
    ids=["EHLO", "MAIL", "NUL", "RCPT"],
)
def test_header_injection_through_an_smtp_argument_is_refused(wire, command):
    assert wire.say(b"EHLO good.example").startswith("250")
    if command.startswith(b"RCPT"):
        assert wire.say(b"MAIL FROM:<a@example.org>").startswith("250")
    assert wire.say(command).startswith("5")


def test_header_injection_through_folded_names_of_a_client_stays_in_its_line(postal, client):
    client.ehlo("x) by trusted.example (Postfix\tX-Injected: 1")
    client.login("anybody", postal.smtp_key)
    client.sendmail(f"app@{postal.domain}", ["bob@example.org"], mail(postal))
    caught = postal.outbox.wait_for(to="bob@example.org")
    assert caught.message["X-Injected"] is None
    [received] = caught.message.get_all("Received")
    assert received.startswith("from x??by?trusted.example??Postfix?X-Injected:?1 (")


def test_unbounded_command_line_is_not_kept(postal, wire, growth):
    with contextlib.suppress(ConnectionError):
        for _ in range(64):
            wire.socket.sendall(b"A" * MEGABYTE)
    assert growth() < 12 * MEGABYTE


def test_unbounded_authentication_is_not_kept(postal, wire, growth):
    wire.say(b"EHLO c.example")
    assert wire.say(b"AUTH LOGIN").startswith("334")
    with contextlib.suppress(ConnectionError):
        for _ in range(32):
            wire.socket.sendall(b"A" * MEGABYTE)
    assert growth() < 12 * MEGABYTE


@pytest.mark.parametrize("line", [b"A" * 64_000, b"A" * 998 + b"\r\n"], ids=["one line", "many lines"])
def test_unbounded_data_is_drained_and_refused(postal, client, growth, line):
    limit = 14 * MEGABYTE  # smtp_server.max_message_size
    client.mail(f"app@{postal.domain}")
    client.rcpt("bob@example.org")
    client.docmd("DATA")
    client.send(b"Subject: x\r\n\r\n")
    block = line * (MEGABYTE // len(line))
    for _ in range(80):
        client.send(block)
    client.send(b"\r\n.\r\n")
    assert client.getreply()[0] == 552
    assert growth() < 3 * limit
    assert client.noop()[0] == 250


def test_unbounded_chunk_is_refused(postal, client, growth):
    client.mail(f"app@{postal.domain}")
    client.rcpt("bob@example.org")
    client.send(b"BDAT 99999999999 LAST\r\nSubject: x\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            client.send(b"A" * MEGABYTE)
    assert growth() < 12 * MEGABYTE
    client.close()


def test_unbounded_recipients_are_refused(postal, client):
    client.mail(f"app@{postal.domain}")
    codes = {client.rcpt(f"r{number}@example.org")[0] for number in range(1010)}
    assert codes == {250, 452}
    client.rset()


def test_mime_bomb_is_delivered_within_bounds(postal, growth, site):
    """Thousands of parts inside each other, for an endpoint that wants them parsed."""
    address = postal.post_mail_to(site.url, format="Hash")
    bomb = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(50_000)
    )
    postal.deliver(address, b"From: a@example.org\r\nSubject: bomb\r\n" + bomb)
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.org", "after"
    mail.set_content("x")
    postal.deliver(address, mail)
    end = time.monotonic() + 20
    while len(site.requests) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(site.requests) == 2
    assert growth() < 20 * len(bomb)


def test_wrong_keys_are_not_logged(postal, wire):
    secret = "SECRET-that-nobody-should-read"
    for guess in (secret, postal.api_key):
        token = base64.b64encode(b"\0user\0" + guess.encode()).decode()
        assert wire.say(f"AUTH PLAIN {token}".encode()).startswith("535")
    log = postal.running.log_path.read_text("utf-8", "replace")
    for text in (secret, token, postal.api_key, postal.smtp_key):
        assert text not in log
