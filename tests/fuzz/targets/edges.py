"""The edges of the server: what clients, peers, resolvers and scanners say."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import math
import re
import struct
import tempfile
import time
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import dns.message
import dns.nameserver

from postal_server.api.client_name import ClientNames
from postal_server.api.views import API
from postal_server.errors import HostileInput, Refusal
from postal_server.importing import mariadb_dump
from postal_server.mail import header
from postal_server.mail.charset import decode_undeclared, storable
from postal_server.net.memory_budget import MemoryBudget
from postal_server.rules import domain as domain_rules
from postal_server.rules import outcome
from postal_server.rules.classification import MAX_RULE, Answer, Ours, classify
from postal_server.rules.failure_class import About
from postal_server.rules.failure_class import Stage as FailureStage
from postal_server.rules.status import CredentialType, Scope, ServerMode
from postal_server.services.shared.credential import digest
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import CredentialEntry, DomainEntry, ServerEntry
from postal_server.services.shared.throttle import Limits, Throttle
from postal_server.smtpd.clients import Clients
from postal_server.smtpd.options import Options
from postal_server.smtpd.protocol import SmtpProtocol
from postal_server.smtpd.shared import Shared
from postal_server.transports.dns import DnsResolver
from postal_server.transports.http.response import EXCERPT_BYTES, MAX_HEAD_BYTES, ResponseReader, retry_after
from postal_server.transports.http.url import Url
from postal_server.transports.smtp.protocol import Extensions, ReplyReader
from postal_server.web.gateway import RawResponse
from postal_server.web.protocol import CONTINUE, HttpProtocol
from postal_server.web.shared import Shared as WebShared
from postal_server.wire import api as wire
from postal_server.wire import scanner
from postal_server.wire.http import Request
from tests.postal_server.recorded_installation import FakeJournal, configuration
from tests.postal_server.smtpd.talk import HOSTNAME, MemoryHandler

from . import pieces, target

API_KEY = "K70gy3gHQZaFB9vMhiHcbnpN"
SERVER = ServerEntry(
    1, "uuid", "Live", "live", 1, "example", "s8halm", ServerMode.LIVE, "", 5.0, 20.0, None, None, True,
    False, False, False,
)  # fmt: skip
DIRECTORY = Directory(
    1,
    servers={1: SERVER},
    credentials={1: CredentialEntry(1, 1, CredentialType.API, digest(API_KEY), "", None, False)},
    domains={1: DomainEntry(1, "example.test", 1, None, True, False, "", "", "", True, "OK")},
)
CONFIG = configuration(Path(tempfile.gettempdir()))

FIELD_LINE = re.compile(rb"[!-9;-~]+:|[ \t]")
FIELDS = ("to", "cc", "bcc", "from", "sender", "subject", "tag", "reply_to", "plain_body", "html_body")
CONTENT_TYPES = (
    "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain",
)  # fmt: skip
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


# The API


def api_answer(action: str, query: str, content_type: str, body: bytes) -> tuple[Any, FakeJournal]:
    journal = FakeJournal()
    environ = {
        "HTTP_X_SERVER_API_KEY": API_KEY,
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    api = API(CONFIG, lambda: DIRECTORY, journal, ClientNames(lambda address: None))
    return api.answer(Request("POST", f"/api/v1/{action}", query, "192.0.2.1", environ)), journal


@target(
    [
        b"\x00{}",
        b'\x00{"to":["a@b.example"],"from":"x@example.test","subject":"S","plain_body":"P","headers":{"X-A":"b"},'
        b'"attachments":[{"name":"a","content_type":"text/plain","data":"YQ=="}]}',
        b'\x01{"rcpt_to":["a@b.example"],"mail_from":"x@example.test","data":"RnJvbTogeEBleGFtcGxlLnRlc3QNCg0K"}',
        b'\x02{"id":"12","_expansions":true}',
        b"\x04params=%7B%22to%22%3A%22a%40b%22%7D&a[]=1",
        b"\x08--b\r\nContent-Disposition: form-data; name=params\r\n\r\n{}\r\n--b--\r\n",
    ],
    (
        b'"to":',
        b'"headers":{"',
        b'"attachments":[',
        b"null",
        b"\\ud800",
        b"\\u0000",
        b"\\r\\n",
        b"_expansions",
    ),
)
def api_bodies(data: bytes) -> None:
    """A request to the API: never an exception, and JSON or a bare page for an answer."""
    mode = data[0] if data else 0
    body, content_type = data[1:], CONTENT_TYPES[mode // 4 % len(CONTENT_TYPES)]
    query = body[:100].decode("latin-1") if mode & 64 else ""
    if mode % 4 < 2:
        answer, journal = api_answer(("send/message", "send/raw")[mode % 4], query, content_type, body)
        assert answer.status in (200, 400, 413)
        if answer.status == 200:
            assert json.loads(answer.body)["status"] in ("success", "error", "parameter-error")
            assert b"<" not in answer.body
        check_accepted(journal)
        return
    with contextlib.suppress(HostileInput, Refusal):
        lookup = wire.read_lookup(wire.read_parameters(content_type, body, query))
        assert type(lookup.id) is int


@target(
    [
        b"\x03x@example.test\xff\x00a@b.example\xff\x08Hello\xff\x05Subject",
        b"\x03X <x@example.test>\xff\x00A B <a@b.example>, c@d.example\xff\x09<p>Hi</p>\xff\x0bX-Head: value"
        b"\xff\x0cname\xff\x07r@example.test\xff\x04s@example.test",
    ],
    (
        b"\r\nBcc: x@y.example",
        b"\xff\x03",
        b"\xff\x05",
        b"=?utf-8?q?",
        b"<x@example.test>",
        b"\xc2\x85",
        b"\xff\x0b",
    ),
)
def api_texts(data: bytes) -> None:
    """Any text in any parameter of `send/message`: nothing breaks out of its header field."""
    parameters: dict[str, Any] = {"headers": {}}
    for piece in data.split(b"\xff"):
        number, text = (piece[0] if piece else 0), piece[1:].decode("utf-8", "replace")
        if number < 3:
            parameters.setdefault(FIELDS[number], []).append(text)
        elif number < len(FIELDS):
            parameters[FIELDS[number]] = text
        elif number == len(FIELDS) + 1:
            name, _, value = text.partition(":")
            parameters["headers"][name] = value
        else:
            attachment = {"name": text, "content_type": text[::-1], "data": "YQ=="}
            parameters.setdefault("attachments", []).append(attachment)
    answer, journal = api_answer("send/message", "", "application/json", json.dumps(parameters).encode())
    assert answer.status in (200, 400)
    for accepted in check_accepted(journal):
        block, _ = header.split_header(accepted.raw)
        lines = block.removesuffix(b"\r\n").split(b"\r\n")
        assert all(FIELD_LINE.match(line) for line in lines)
        assert b"\r" not in block.replace(b"\r\n", b"")
        assert b"\n" not in block.replace(b"\r\n", b"")
        for name in ("From", "Subject", "To", "Message-ID", "Date", "Content-Type"):
            assert len(header.header_values(accepted.raw, name)) <= 1


def check_accepted(journal: FakeJournal) -> list[Any]:
    """What is about to be stored can be stored, and sent."""
    for accepted in journal.accepted:
        for message in accepted.messages:
            assert not CONTROL.search(message.rcpt_to or "")
        for text in (accepted.mail_from, accepted.subject, accepted.message_id, accepted.tag):
            storable(text or "").encode()
    return journal.accepted


# SMTP, as a server


class Wire:
    """A transport that remembers what was written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 1234) if name == "peername" else None

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


async def smtp_session(chunks: Any, proxy: bool) -> tuple[bytes, list[Any]]:
    handler = MemoryHandler()
    options = Options(
        HOSTNAME, plaintext_auth=True, max_message_bytes=2000, max_errors=10, max_commands=50,
        max_recipients=5, proxy_protocol=proxy,
    )  # fmt: skip
    shared = Shared(handler, options, Clients(10, 10), Throttle(Limits()), MemoryBudget(10_000, 5_000))
    protocol = SmtpProtocol(shared, set())
    transport = Wire()
    protocol.connection_made(transport)  # type: ignore[arg-type]
    for chunk in chunks:
        protocol.data_received(chunk)
        for _ in range(4):
            await asyncio.sleep(0)
        assert len(protocol._buffer) <= len(chunk) + 20_000, "input is held without bounds"
    protocol.connection_lost(None)
    banner, _, replies = transport.written.partition(b"\r\n")
    assert banner.startswith(b"220 ") or proxy or not transport.written
    return replies, [envelope.data for _, envelope in handler.accepted]


EHLO = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<in@example.test>\r\n"


@target(
    [
        b"\x00" + EHLO + b"DATA\r\nSubject: x\r\n\r\n..x\r\n.\r\nQUIT\r\n",
        b"\x00" + EHLO + b"BDAT 3\r\nabcBDAT 2 LAST\r\n\r\nRSET\r\n",
        b"\x00EHLO c\r\nAUTH PLAIN AHgASzcwZ3kzZ0hRWmFGQjl2TWhpSGNibnBO\r\nAUTH LOGIN\r\neA==\r\n*\r\n",
        b"\x00EHLO c\r\nAUTH CRAM-MD5\r\neCAwMTIz\r\nNOOP\r\nSTARTTLS\r\nVRFY x\r\n",
        b"\x00" + EHLO + b"DATA\r\na\n.\nMAIL FROM:<>\r\n.\nx\r\n.\r\n",
        b"\x01PROXY TCP4 192.0.2.9 192.0.2.1 1 25\r\nHELO x\r\n",
    ],
    (
        b"\r\n.\r\n",
        b"\n.\r\n",
        b"DATA\r\n",
        b"BDAT 5 LAST\r\n",
        b" SIZE=9999999",
        b" SMTPUTF8",
        b"RCPT TO:<",
        b"RSET\r\n",
    ),
)
def smtp_dialogues(data: bytes) -> None:
    """A client's side of a connection: well-formed replies, whatever the network cuts it into."""
    proxy, said = data[:1] == b"\x01", data[1:]
    replies, messages = asyncio.run(smtp_session([said], proxy))
    assert all(re.fullmatch(rb"\d{3}[ -][ -~\x80-\xff]*", line) for line in replies.split(b"\r\n")[:-1])
    assert len(messages) <= said.count(b"\r\n.\r\n") + said.upper().count(b"LAST"), (
        "an end of data is smuggled"
    )
    challenge = re.compile(rb"(?m)^334 .*$")  # CRAM-MD5's is random
    again, messages_again = asyncio.run(smtp_session(pieces(said), proxy))
    assert challenge.sub(b"334", replies) == challenge.sub(b"334", again)
    assert messages == messages_again


# HTTP, as a server


class HttpWire(Wire):
    """A transport that keeps what is written, and is never full."""

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 1)

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False


class AtOnce(Executor):
    """Runs what it is given in the caller's thread."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(function(*args, **kwargs))
        return done


class Recorder:
    """Answers every request at once, with what it was taken for; the body of a large one is not read."""

    is_login = False

    def route(self, environ: Any) -> Recorder:
        self._environ = environ
        return self

    def body_limit(self) -> None:
        return None

    def begin(self, *, has_small_body: bool) -> Any:
        return (
            self._answer(self._environ) if has_small_body else lambda: RawResponse("200 OK", (), b"<large>")
        )

    async def _answer(self, environ: Any) -> RawResponse:
        told = f"<{environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()
        return RawResponse("200 OK", (), told + b" " + environ["wsgi.input"].read() + b">")


async def http_session(chunks: Any) -> bytes:
    """Everything that the server writes to these bytes."""
    shared = WebShared(Recorder(), AtOnce(), AtOnce(), AtOnce(), MemoryBudget(100_000, 100_000), 10, 10, bool)
    protocol = HttpProtocol(shared)
    wire = HttpWire()
    protocol.connection_made(wire)  # type: ignore[arg-type]
    for chunk in chunks:
        protocol.data_received(chunk)
        for _ in range(4):
            await asyncio.sleep(0)
        held = sum(each.body.buffered_bytes for each in (*protocol._waiting, protocol._reading) if each)
        assert held <= len(chunk) + 65_536, "a body is held without bounds"
    while protocol._answering is not None or (protocol._waiting and not wire.is_closed):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    return wire.written.replace(CONTINUE, b"")  # sent where nothing else is under way


@target(
    [
        b"POST /send?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\n\r\n",
        b"POST http://x/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nX_Y: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n\r\n",
    ],
    (
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1\r\n",
        b"Connection: close\r\n",
    ),
)
def http_requests(data: bytes) -> None:
    """A client's side of a connection: the same answers, whatever the network cuts the bytes into."""
    said = asyncio.run(http_session([data]))
    assert said == asyncio.run(http_session(pieces(data)))
    assert said.count(b"HTTP/1.1 ") <= data.count(b"\n\r\n") + data.count(b"HTTP/1.1 ") + 1


# SMTP, as a client


@target(
    [
        b"220 mx ESMTP\r\n250-mx\r\n250-SIZE 1000\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n",
        b"550-5.1.1 no\r\n550 5.1.1 such user\r\n421 try again in 5 minutes\r\n",
    ],
    (b"250-", b"451 4.7.1 ", b" seconds", b"SIZE ", b"\r\n"),
)
def smtp_replies(data: bytes) -> None:
    """A host's replies, what they offer and what becomes of the mail."""

    def read(chunks: Any) -> list[str]:
        reader, found = ReplyReader(), []
        try:
            for chunk in chunks:
                found += [(reply.code, reply.text, reply.enhanced) for reply in reader.feed(chunk)]
        except HostileInput:
            return ["hostile"]
        return found

    whole = read([data])
    assert whole == read(pieces(data)) or "hostile" in whole
    with contextlib.suppress(HostileInput):
        for reply in ReplyReader().feed(data):
            extensions = Extensions.parse(reply)
            assert extensions.max_bytes is None or extensions.max_bytes > 0
            assert isinstance(extensions.mechanisms, list)
            peer = outcome.Peer("mx.example", "192.0.2.1", 25, log_id="X")
            outcome.outcome_of_reply(reply, recipient="a@b.example", peer=peer, seconds=0.1)
            assert "\r" not in reply.text


# DNS


class Nameserver(dns.nameserver.Nameserver):
    """Answers every question with the same bytes behind the question."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def __str__(self) -> str:
        return "fuzz"

    def kind(self) -> str:
        return "fuzz"

    def is_always_max_size(self) -> bool:
        return False

    def answer_nameserver(self) -> str:
        return "192.0.2.53"

    def answer_port(self) -> int:
        return 53

    async def async_query(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        wire = request.to_wire()
        end = 12 + len(request.question[0].name.to_wire()) + 4
        flags, answers, authority = self.data[0], self.data[1] % 16, self.data[2] % 4
        head = struct.pack("!HBBHHHH", request.id, 0x81, 0x80 | flags & 0x2F, 1, answers, authority, 0)
        return dns.message.from_wire(head + wire[12:end] + self.data[3:], ignore_trailing=True)


def record(kind: int, content: bytes, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack("!HHIH", kind, 1, 300, len(content)) + content


NAMESERVER = Nameserver()


@target(
    [
        b"\x00\x01\x00" + record(1, b"\xc0\x00\x02\x01"),
        b"\x00\x01\x00" + record(28, bytes(15) + b"\x01"),
        b"\x00\x02\x00" + record(15, b"\x00\x0a\x02mx\xc0\x0c") + record(15, b"\x00\x00\x00"),
        b"\x00\x01\x00" + record(16, b"\x12v=DKIM1; p=abc\xff\xfe\x00x"),
        b"\x00\x01\x00" + record(5, b"\x01c\xc0\x0c"),
        b"\x03\x00\x01" + record(6, b"\x00\x00" + bytes(20)),
        b"\x20\x01\x00" + record(12, b"\x01p\xc0\x0c"),
    ]
)
def dns_answers(data: bytes) -> None:
    """A resolver's answer: text or the reason why there is none, never an exception."""
    if len(data) < 3:
        return
    resolver = DnsResolver([("192.0.2.53", 53)])
    resolver._resolver.nameservers = [NAMESERVER]
    resolver._resolver.cache = None
    resolver._resolver.lifetime = resolver._resolver.timeout = 0.05
    NAMESERVER.data = data

    async def ask() -> None:
        hosts = await resolver.mail_hosts("dest.example")
        for host in hosts.values[:3]:
            await resolver.addresses(host)
        await resolver.name_of("192.0.2.1")
        texts = (await resolver.records("dest.example", "TXT")).values
        names = (await resolver.records("dest.example", "CNAME")).values
        domain_rules.check_spf(texts, "spf.example.test")
        domain_rules.check_dkim("s._domainkey.dest.example", texts, "v=DKIM1; p=abc")
        domain_rules.check_mx("dest.example", hosts.values, ["mx.example.test"])
        domain_rules.check_return_path("rp.dest.example", names, "rp.example.test")

    asyncio.run(ask())


# HTTP, as a client


@target(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nA: b\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 503 Busy\r\nRetry-After: 5\r\n\r\nlater",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"ok", mtime=0),
    ],
    (
        b"\r\n\r\n",
        b"Content-Encoding: deflate\r\n",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"ffffffff\r\n",
    ),
)
def http_answers(data: bytes) -> None:
    """An endpoint's answer: the same whatever it is cut into, and little of it is kept."""

    def read(chunks: Any) -> Any:
        reader = ResponseReader()
        try:
            for chunk in chunks:
                if not reader.is_done:
                    reader.feed(chunk)
            reader.end()
        except HostileInput:
            return "hostile"
        assert len(reader.excerpt) <= EXCERPT_BYTES
        retry_after(reader.headers.get("retry-after", ""))
        return reader.status, reader.headers, reader.excerpt

    whole, cut = read([data]), read(pieces(data))
    # Whether too much came before the body is looked at behind each piece.
    assert whole == cut or (cut == "hostile" and len(data) > MAX_HEAD_BYTES)
    with contextlib.suppress(ValueError):
        url = Url.parse(data.decode("utf-8", "replace"))
        assert not CONTROL.search(url.target + url.host + url.credentials)
        assert " " not in url.target


# Scanners


@target(
    [
        b'{"symbols":{"A":{"name":"A","score":1.5,"description":"x"}}}',
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: 90\r\n\r\n 1.2 MISSING_HEADERS  x\n-0.1 DKIM_VALID  y\n",
        b"stream: Eicar-Test-Signature FOUND\0",
    ],
    (b'"description"', b"1e999", b"NaN", b" FOUND\0", b"SPAMD/1.1 0 ", b"\n 9.9 RULE "),
)
def scanner_answers(data: bytes) -> None:
    """rspamd's, spamd's and clamd's answers: finite scores, or hostile."""
    for read in (scanner.rspamd_score, lambda answer: scanner.spamd_score(answer, Scope.OUTGOING)):
        with contextlib.suppress(HostileInput):
            assert math.isfinite(read(data))
    _, details = scanner.clamd_threat(data)
    details.encode()


# The import


@target(
    [
        b"CREATE TABLE `t` (\n  `a` int,\n  `b` text\n);\nINSERT INTO `t` VALUES (1,'x\\'y'),(-2.5,NULL);\n",
        b"INSERT INTO `t` (`a`, `b`) VALUES (0x41,_binary 'z''z\\0');\nINSERT INTO `u` VALUES ('');\n",
    ],
    (b"INSERT INTO `t` VALUES ", b"(1,2);\n", b"0x", b"x'", b"''", b"\\'", b"1e9", b"_binary "),
)
def mariadb_dumps(data: bytes) -> None:
    """A dump that somebody hands to `import`."""
    lines = data.decode("utf-8", "surrogateescape").splitlines(keepends=True)
    with contextlib.suppress(HostileInput):
        for table, row in mariadb_dump.rows(lines, {"t", "u"}):
            assert table in ("t", "u")
            assert all(isinstance(name, str) for name in row)


# Classes of failures


@target(
    seeds=[
        b"550-5.1.1 The account does\n550-5.1.1 not exist\n550 5.1.1 https://x.example/?p=NoSuchUser",
        b"smtp; host mx.d.example[192.0.2.1] said: 554 5.7.1 <a@b>: blocked (in reply to RCPT TO command)",
        b"421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred",
    ],
    words=[b"550 ", b"550-", b"5.1.1 ", b"user unknown", b"mailbox full", b"blocked", b"(in reply to ", b"@"],
)
def classified_answers(data: bytes) -> None:
    text = decode_undeclared(data)
    ours = Ours(frozenset(["192.0.2.1"]), frozenset(["example.com"]))
    for stage in FailureStage:
        answer = Answer(None, None, text, stage, "", "spam@example.net")
        classify(answer, ours)  # compiles the expressions that it tries
        began = time.process_time()
        found = classify(answer, ours)
        assert time.process_time() - began < 0.1
        assert len(found.rule) <= MAX_RULE
        if found.stage in (FailureStage.CONNECT, FailureStage.MAIL):
            assert found.name.about is not About.RECIPIENT
