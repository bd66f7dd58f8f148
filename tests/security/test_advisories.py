"""What was found in other mail servers, tried here. Each test names the advisory."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

import pytest
import requests

from .test_smtp import MEGABYTE, Wire, mail

OBJECT_NAMES = ["__proto__", "constructor", "hasOwnProperty", "toString", "__class__", "length", ""]


@pytest.fixture
def session(postal):
    """A stranger's connection that greeted; `begin` starts a mail to somebody here."""
    wire = Wire(postal.smtp_address)
    wire.begin = lambda: [wire.say(line) for line in envelope(postal)]
    assert wire.say(b"EHLO c.example").startswith("250")
    yield wire
    wire.close()


def envelope(postal) -> tuple[bytes, bytes]:
    return b"MAIL FROM:<a@b.example>", b"RCPT TO:<postmaster@%s>" % postal.domain.encode()


def received(postal) -> list[str | None]:
    """The subjects of the mail that was taken, in order."""
    return [message["subject"] for message in reversed(postal.messages())]


def wait_for(found: list, count: int) -> None:
    end = time.monotonic() + 20
    while len(found) < count and time.monotonic() < end:
        time.sleep(0.05)
    assert len(found) >= count


def test_haraka_cve_2026_34752_names_of_objects_are_header_fields_like_others(postal, call, site):
    """A header called `__proto__` ended the server."""
    fields = b"".join(b"%s: x\r\n" % name.encode() for name in OBJECT_NAMES)
    address = postal.post_mail_to(site.url, format="Hash")
    postal.deliver(address, fields + mail(postal))
    wait_for(site.requests, 1)
    number = postal.messages()[0]["id"]
    shown = call("messages/message", {"id": number, "_expansions": True}).json()["data"]
    for name in OBJECT_NAMES[:-1]:
        assert shown["headers"][name.lower()] == ["x"], name
    headers = dict.fromkeys(OBJECT_NAMES[:-1], "y")
    given = {"to": ["bob@example.org"], "from": f"app@{postal.domain}", "plain_body": "x", "headers": headers}
    assert call("send/message", given).json()["status"] == "success"
    assert postal.outbox.wait_for(to="bob@example.org").message["__proto__"] == "y"


@pytest.mark.parametrize("rest", [b"", b"NOOP\r\n" * 300], ids=["silence", "in clear"])
def test_exim_cve_2026_45185_tls_that_ends_within_a_chunk_is_the_end(postal, session, rest):
    """What came behind a close_notify was written to memory that was free."""
    assert session.say(b"STARTTLS").startswith("220 ")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(session.socket, server_hostname="localhost") as tls:
        for line in (b"EHLO c.example", *envelope(postal)):
            tls.sendall(line + b"\r\n")
            assert tls.recv(4096).startswith(b"250")
        tls.sendall(b"BDAT 1000 LAST\r\nSubject: cut\r\n\r\n")
        time.sleep(0.1)
        with contextlib.suppress(OSError), tls.unwrap() as clear:  # the server may have closed by then
            clear.sendall(rest + b"x" * 1000)
            assert clear.recv(4096) == b""
    other = Wire(postal.smtp_address)
    assert other.say(b"NOOP").startswith("250 ")
    other.close()
    assert received(postal) == []


class TestPostfix:
    """3.11.6: what a refused message left behind went into the next."""

    @pytest.mark.parametrize("by", ["DATA", "BDAT"])
    def test_nothing_is_kept_of_a_message_that_was_refused_at_its_end(self, postal, session, by):
        looping = b"Received: by localhost; x\r\n" * 5 + b"Subject: refused\r\n\r\nleft over\r\n"
        session.begin()
        if by == "DATA":
            assert session.say(b"DATA").startswith("354 ")
            assert session.say(looping + b".").startswith("550 5.4.6 ")
        else:
            session.socket.sendall(b"BDAT %d LAST\r\n" % len(looping) + looping)
            assert session.reply().startswith("550 5.4.6 ")
        assert session.say(b"DATA").startswith("503 ")
        assert session.say(b"RCPT TO:<postmaster@%s>" % postal.domain.encode()).startswith("503 ")
        session.socket.sendall(b"BDAT 5 LAST\r\nx\r\n\r\n")
        assert session.reply().startswith("503 ")
        session.begin()
        assert session.say(b"DATA").startswith("354 ")
        assert session.say(b"Subject: next\r\n\r\nx\r\n.").startswith("250 ")
        assert received(postal) == ["next"]

    def test_many_tiny_chunks_are_a_message_or_too_many(self, postal, session, growth):
        session.begin()
        text = b"Subject: tiny\r\n\r\n" + b"x" * 1500
        session.socket.sendall(b"".join(b"BDAT 1\r\n%c" % byte for byte in text) + b"BDAT 0 LAST\r\n")
        assert {session.reply()[:3] for _ in range(len(text) + 1)} == {"250"}
        assert received(postal) == ["tiny"]
        session.begin()
        session.socket.sendall(b"BDAT 1\r\nx" * 10_000)
        replies = []
        while reply := session.reply():
            replies.append(reply[:3])
        assert set(replies[:-1]) == {"250"}
        assert replies[-1] == "421"
        assert growth() < 16 * MEGABYTE

    @pytest.mark.parametrize("bad", [b"BDAT", b"BDAT x", b"BDAT -1", b"BDAT 5 FIRST", b"BDAT \xd9\xa3"])
    def test_a_bad_chunk_leaves_the_message_as_it_was(self, postal, session, bad):
        session.begin()
        assert session.say(bad).startswith("501 ")
        assert session.say(b"DATA").startswith("354 ")
        assert session.say(b"Subject: data\r\n\r\nx\r\n.").startswith("250 ")
        session.begin()
        session.socket.sendall(b"BDAT 18\r\nSubject: chunk\r\n\r\n")
        assert session.reply().startswith("250 ")
        assert session.say(bad).startswith("501 ")
        assert session.say(b"DATA").startswith("503 ")
        assert session.say(b"BDAT 0 LAST").startswith("250 ")
        assert received(postal) == ["data", "chunk"]


class TestMailpit:
    COMMANDS = b"QUIT\r\nRSET\r\nMAIL FROM:<evil@b.example>\r\nDATA\r\n"

    @pytest.mark.parametrize(
        "text",
        [b"x" * 998 + b"\r\n", b"\r\n.\n", b".\r\r\n", COMMANDS, b"X-Y: z\r\n"],
        ids=["lines", "half ends", "dots", "commands", "header"],
    )
    def test_1_31_commands_behind_a_message_that_is_too_large_are_in_step(self, postal, session, text):
        session.begin()
        assert session.say(b"DATA").startswith("354 ")
        session.socket.sendall(text * (15 * MEGABYTE // len(text)))
        behind = [b"", b".", b"NOOP", b"VRFY x", *envelope(postal), b"DATA", b""]
        session.socket.sendall(b"\r\n".join(behind))
        replies = [session.reply()[:3] for _ in range(6)]
        assert replies == ["552", "250", "502", "250", "250", "354"]
        assert session.say(b"Subject: next\r\n\r\nx\r\n.").startswith("250 ")
        assert received(postal) == ["next"]

    @pytest.mark.parametrize(
        "path", ["/", "/admin/login/", "/api/v1/messages/message", "/.well-known/jwks.json"]
    )
    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example"},
            {"Host": "evil.example:5000"},
            {"Host": "localhost.evil.example"},
            {"Host": "127.0.0.1.evil.example"},
            {"Host": ""},
            {"X-Forwarded-Host": "evil.example"},
        ],
        ids=lambda headers: " ".join(*headers.items()),
    )
    def test_1_31_1_dns_rebinding_shows_no_page(self, postal, path, headers):
        """A name of the attacker's that resolves to this machine has a browser ask here."""
        headers = {"X-Server-API-Key": postal.api_key, **headers}
        answer = requests.get(postal.url + path, headers=headers, timeout=10)
        assert (answer.status_code, answer.content) == (403, b"")

    def test_1_34_0_no_crafted_mail_ends_the_server(self, postal, session, site):
        address = postal.post_mail_to(site.url, format="Hash")
        for number, text in enumerate(CRAFTED):
            session.say(b"MAIL FROM:<a@b.example>")
            assert session.say(b"RCPT TO:<%s>" % address.encode()).startswith("250 ")
            assert session.say(b"DATA").startswith("354 ")
            assert session.say(text + b"\r\n.").startswith("250 "), number
        assert session.say(b"NOOP").startswith("250 ")
        end = time.monotonic() + 20
        while "Pending" in {message["status"] for message in postal.messages()}:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert len(site.requests) == len(CRAFTED)  # none of them is an error to who reads it
        postal.deliver(address, mail(postal))
        wait_for(site.requests, len(CRAFTED) + 1)


MULTIPART = b"Content-Type: multipart/mixed; boundary="
CRAFTED = [
    b"",
    b"\r\n",
    b":",
    b"\0\0\0: \0\r\n\r\n\0",
    b"Content-Type:\r\n\r\nx",
    b"Content-Type: /\r\n\r\nx",
    b"Content-Type: text/plain; charset=\r\n\r\nx",
    b"Content-Type: text/plain; charset=" + b"x" * 5000 + b"\r\n\r\n\xff",
    b"Content-Type: text/html; charset=utf-7\r\n\r\n+2AA-",
    b"Content-Type: text/plain; charset=idna\r\n\r\n" + b"xn--" * 1000,
    b"Content-Type: text/plain; charset=zlib_codec\r\n\r\nx",
    MULTIPART + b"\r\n\r\n--\r\n\r\n----",
    MULTIPART + b'""\r\n\r\n--\r\n\r\nx\r\n----',
    MULTIPART + b"a\r\n\r\n--a",
    MULTIPART + b"a\r\n\r\n--a--",
    MULTIPART + b"a\r\n\r\n--a\r\n" + MULTIPART + b"a\r\n\r\n--a\r\n\r\nx\r\n--a--",
    MULTIPART + b"x" * 5000 + b"\r\n\r\n--" + b"x" * 5000,
    b"Content-Type: message/rfc822\r\n\r\n" * 300,
    b"Content-Type: message/delivery-status\r\n\r\nStatus: 9.9.9\r\n\r\nAction: \xff",
    b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 1000,
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n=X=FF=",
    b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 777 x\r\nM",
    b"Content-Disposition: attachment; filename*=utf-8''%ED%A0%80%00/../../x\r\n\r\nx",
    b"Content-Disposition: attachment; filename*0*=x'; filename*99999999999=y\r\n\r\nx",
    b"From: " + b"(" * 2000 + b"\r\n\r\nx",
    b"From: =?utf-8?q?=00?= <a@b>\r\nTo: <>\r\nCc: ,,,;:\r\nReply-To: @\r\n\r\nx",
    b"Date: Thu, 99 Foo 99999 99:99:99 +9999\r\n\r\nx",
    b"Message-ID: <>\r\nIn-Reply-To: <\r\nReferences: >\r\n\r\nx",
    b"Subject: =?utf-16?b?2AA=?= =?x?q??= =?utf-8?b?////?=\r\n\r\nx",
    b"List-Unsubscribe: <mailto:" + b"%" * 500 + b">\r\nAuto-Submitted: \xff\r\nX-Spam-Score: nan\r\n\r\nx",
]


def test_one_client_cannot_keep_the_others_out(postal):
    """Its hundred connections are all that it gets; what comes from elsewhere is greeted."""
    wires = []
    for _ in range(100):
        wires.append(Wire(postal.smtp_address))
    extra = socket.create_connection(postal.smtp_address, timeout=10)
    assert extra.recv(100).startswith(b"421 ")
    other = socket.create_connection(postal.smtp_address, timeout=10, source_address=("127.0.0.2", 0))
    assert other.recv(100).startswith(b"220 ")
    for wire in (*wires, extra, other):
        wire.close()
