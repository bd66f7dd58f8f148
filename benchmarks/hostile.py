"""Measure the cost of hostile input. `python -m benchmarks hostile` runs this in a separate process.

    python -m benchmarks.hostile [--quick] [--all] [WAY ...]

Each input is designed to be expensive for a parser, and goes where such input can go: into the SMTP
server or the API, without the limits in front, to the worker, to the administration, and into
`anymail_postal`, which processes the requests of any Postal. Prints the processor time of this process
for an input of one size and of twice that, the minimum of some runs. For each way and kind, the most
expensive input is shown (`--all`: every one). A header, an address list, a subject or a structure must be
cheap; for everything else, of which a reader needs every byte, the cost must only be proportional to the
size.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from anymail_postal import body, events, inbound, replies, reply_text  # noqa: E402 - they need settings
from anymail_postal.errors import PostalError  # noqa: E402
from anymail_postal.testing import raw_fields, webhook_body  # noqa: E402
from postal_server import conf  # noqa: E402
from postal_server.errors import PostalServerError  # noqa: E402
from postal_server.mail import dkim, dsn, report, tracking  # noqa: E402
from postal_server.mail.header import is_header_too_large, split_header  # noqa: E402
from postal_server.mail.header_encoding import encode_header  # noqa: E402
from postal_server.mail.html import clean  # noqa: E402
from postal_server.mail.message_view import parts  # noqa: E402
from postal_server.mail.transport_encoding import dot_stuff, repair_lines, to_7bit  # noqa: E402
from postal_server.rules.status import CredentialType, ServerMode  # noqa: E402
from postal_server.services.acceptance import reception, submission  # noqa: E402
from postal_server.services.shared.directory import Directory  # noqa: E402
from postal_server.services.shared.entries import CredentialEntry, DomainEntry, ServerEntry  # noqa: E402
from postal_server.wire import api, endpoint  # noqa: E402

from . import hostile_mail  # noqa: E402
from .report import Target, number, table  # noqa: E402

KB, MB = 1024, 1024 * 1024
BAR = 50.0  # milliseconds of a header, an address list, a subject or a structure
GROWTH = 2.5  # for twice the input
NOISE = 10.0  # milliseconds below which growth tells nothing
BOUNDED = ("header", "address list", "subject", "structure")

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
CONFIG = conf.parse({"postal": {"smtp_hostname": "mx.example.test"}}, {}, Path())
KEY = dkim.SigningKey.load(dkim.generate_rsa(1024))
SERVER = ServerEntry(
    id=1,
    uuid="",
    name="",
    permalink="live",
    organization_id=1,
    organization_permalink="example",
    token="token",
    mode=ServerMode.LIVE,
    postmaster_address="",
    spam_threshold=5,
    spam_failure_threshold=20,
    outbound_spam_threshold=None,
    send_limit=None,
    allow_sender=True,
    privacy_mode=False,
    log_smtp_data=False,
    is_suspended=False,
)
CREDENTIAL = CredentialEntry(1, 1, CredentialType.API, "", "", None, False)
DOMAIN = DomainEntry(1, "example.test", 1, None, True, True, "", "", "", True, "")  # may send as anybody
DIRECTORY = Directory(1, servers={1: SERVER}, credentials={1: CREDENTIAL}, domains={1: DOMAIN})
ROW = SimpleNamespace(
    id=1,
    rcpt_to="a@b.example",
    mail_from=None,
    subject=None,
    message_id=None,
    created_at=NOW,
    size_bytes=1,
    is_inspected=False,
    is_spam=False,
    is_bounce=False,
    received_with_ssl=None,
)
PLAIN = b"Subject: x\r\n\r\n"  # what follows is text
RECEIVED = b"Received: from c.example (c.example [192.0.2.1]) by mx.example.test with SMTP; now\r\n"


# The ways: each processes bytes as far as they would get.


def is_taken(raw: bytes) -> bool:
    """Does a message get past the limit that the SMTP server and the API have for its header?"""
    return not is_header_too_large(raw, CONFIG.max_header_bytes, CONFIG.smtp_server.max_header_fields)


def smtp(raw: bytes) -> None:
    """From an unauthenticated client, on arrival: in the event loop."""
    if is_taken(raw):
        text = RECEIVED + raw
        reception.check_loop(text, CONFIG.postal.smtp_hostname)
        recipient = reception.AcceptedRecipient(reception.INCOMING, "in@example.test", SERVER)
        reception.accept_message([recipient], text, "a@b.example", received_with_ssl=False)


def smtp_with_key(raw: bytes) -> None:
    """From an authenticated client, on arrival: in the event loop."""
    if is_taken(raw):
        submission.submit_smtp(
            RECEIVED + raw,
            ["a@b.example"],
            CREDENTIAL,
            DIRECTORY,
            reverse_path="a@example.test",
            received_with_ssl=False,
            new_id=lambda: "x@example.test",
            now=NOW,
        )


def outgoing(raw: bytes) -> None:
    """What the worker does with a message before it is sent."""
    if is_taken(raw):
        text = to_7bit(repair_lines(encode_header(raw)))
        dkim.sign(text, domain="example.test", selector="s", key=KEY, now=1)
        dot_stuff(text)


def tracked(raw: bytes) -> None:
    """Links and pixel of an outgoing message."""
    if is_taken(raw):
        found = tracking.draft(
            raw, pixel_url="https://track.example/x", excluded=frozenset(), track_clicks=True
        )
        if found:
            found.write(["https://track.example/x/y"] * len(found.targets))


def recognized(raw: bytes) -> None:
    """Mail to a return path: what kind of report is it?"""
    if is_taken(raw):
        report.read(RECEIVED + raw, None)


def posted(encoding: str, raw: bytes) -> None:
    """Mail for an HTTP endpoint in format Hash, with quotations removed."""
    if is_taken(raw):
        payload = endpoint.hash_payload(
            ROW, "token", parts(raw), spam="NotSpam", strip_replies=True, is_form=encoding == endpoint.AS_FORM
        )
        endpoint.hash_body(payload, encoding)


def shown(raw: bytes) -> None:
    """A message in the administration and over the API."""
    if is_taken(raw):
        clean(parts(raw).html_body or "")


def returned(raw: bytes) -> None:
    """A failure notice."""
    if is_taken(raw):
        made = dsn.compose_failure(
            split_header(raw)[0],
            sender="a@b.example",
            recipient="in@example.test",
            subject="x",
            original_message_id="x",
            token="t",
            postmaster="p@example.test",
            reporting_mta="mx.example.test",
            failure=dsn.Failure(),
            message_id="x@example.test",
            date=NOW,
            boundary="b",
        )
        to_7bit(repair_lines(encode_header(made)))


def over_api(content_type: str, given: bytes) -> None:
    """A body as the API reads it, `send/message` and `send/raw`."""
    parameters = api.read_parameters(content_type, given, "")
    if "data" in parameters:
        submission.submit_raw(
            api.read_send_raw(parameters),
            CREDENTIAL,
            DIRECTORY,
            new_id=lambda: "x@example.test",
            config=CONFIG,
            now=NOW,
        )
    else:
        submission.submit_message(
            api.read_send_message(parameters),
            CREDENTIAL,
            DIRECTORY,
            client=submission.Client("192.0.2.1"),
            message_uuid="x",
            boundaries=("b1", "b2"),
            config=CONFIG,
            now=NOW,
        )


def in_django(raw: bytes) -> None:
    """A posted mail, as the view and a receiver of `anymail_postal` read it."""
    hostile_mail.read(raw)


def reply(raw: bytes) -> None:
    """A posted mail from which the library extracts the new part."""
    message = inbound.read(raw_fields("a@b.example", "c@d.example", raw)).message
    replies.is_answer(message)
    reply_text.extract_reply(message.text, message.html)


def event(posted: bytes) -> None:
    """A posted event."""
    events.read(body.parse(posted, "application/json"), tag_separator=",")


def inbound_post(content_type: str, posted: bytes) -> None:
    """A posted mail in format Hash."""
    message = inbound.read(body.parse(posted, content_type)).message
    message.from_email, message.to, message.subject, message.date, message.text, list(message.items())
    [part.get_filename() for part in message.attachments]


# The inputs: from a size in bytes to the bytes.

Make = Callable[[int], bytes]
filled, repeated, nested = hostile_mail.filled, hostile_mail.repeated, hostile_mail.nested

# One header name of each kind that is parsed in its own way.
OTHER_HEADERS = (
    "Content-Type",
    "Content-Disposition",
    "Content-ID",
    "Received",
    "References",
    "Message-ID",
    "Date",
    "List-Post",
    "Precedence",
    "X-Failed-Recipients",
    "X-Other",
)
ADDRESS_HEADERS = ("From", "To", "Resent-To")
MORE_PATTERNS = (
    "=?utf-8?b?4?=",
    "=?iso-2022-jp?b?GyRCJCI=?=",
    "=?utf-7?q?+2D0?=",
    "=?x?q?" + "a" * 50 + "?= ",
    "\xfc",
    "\xfc ",
    "a \xfc",
    '"\xfc" <\xfc@b>,',
    "\xfc: a@b;",
    "(\xfc) a@b,",
    "g:a@b;",
    "<@a,@b:c@d>,",
    "<a@b>,",
    "a \xfc ",
    "a*=utf-8''%FC; ",
    "a*1*=%41; ",
    'a="\\\xfc"; ',
    "a=b*; ",
    "<",
    "<a@b> ",
    "%",
    "&",
    "by mx.example.test ",
    "\xfc\r\n ",
    "a@\xfc.example,",
    "xn--a.",
    "Re: ",
)


def field(name: str, pattern: str) -> Make:
    return hostile_mail.in_header(name, pattern)


def utf8_field(name: str, pattern: str) -> Make:
    raw = pattern.encode()
    return lambda size: name.encode() + b": " + filled(raw, size) + b"\r\n\r\nHello\r\n"


def fields(names: Sequence[str], patterns: Sequence[str]) -> dict[str, Make]:
    made = {f"{name} of {pattern!r}": field(name, pattern) for name in names for pattern in patterns}
    wide = [pattern for pattern in patterns if not pattern.isascii()]
    return made | {f"{n} of {p!r} in UTF-8": utf8_field(n, p) for n in names for p in wide}


ALL_PATTERNS = (*hostile_mail.PATTERNS, *MORE_PATTERNS)
HEADERS: dict[str, Make] = {
    **fields(OTHER_HEADERS, ALL_PATTERNS),
    "999 fields": lambda size: b"".join(b"X-%d: %s\r\n" % (n, b"v" * (size // 999 - 9)) for n in range(999)),
    "999 fields of 8 bit": lambda size: b"".join(
        b"X-%d: %s\r\n" % (n, b"\xfc " * (size // 2000 - 5)) for n in range(999)
    ),
    "999 dates": lambda size: (b"Date: " + b"1 " * (size // 2100) + b"\r\n") * 999,
    "999 types": lambda size: (b"Content-Type: a/b; " + b"a=b;" * (size // 4300) + b"\r\n") * 999,
    "fields of one byte": repeated(b"", b"a:\r\n"),
    "no header": repeated(b"\r\n", b"a: b\r\n"),
    "no end": repeated(b"", b"x"),
}


def many_fields(name: str, pattern: str) -> Make:
    """As many fields of a name as are accepted."""
    start, raw = name.encode() + b": ", pattern.encode("latin-1")
    return lambda size: (start + filled(raw, size // 999 - len(start) - 2) + b"\r\n") * 999 + b"\r\nHello\r\n"


ADDRESS_LISTS = fields(ADDRESS_HEADERS, ALL_PATTERNS) | {
    f"999 {name} of {pattern!r}": many_fields(name, pattern)
    for name in ADDRESS_HEADERS
    for pattern in ALL_PATTERNS
}
SUBJECTS = fields(("Subject",), ALL_PATTERNS)


def many_parts(part: bytes) -> Make:
    return hostile_mail.in_parts(part)


def multiparts(count: int, boundary: Callable[[int], bytes], line: bytes) -> Make:
    return lambda size: nested(count, boundary) + filled(line, size)


STRUCTURES: dict[str, Make] = {
    "300 multiparts, lines like boundaries": multiparts(300, b"b%d".__mod__, b"--x\n"),
    "30 multiparts, lines of the outermost": multiparts(30, b"b%d".__mod__, b"--b0x\n"),
    "30 multiparts, all boundaries": multiparts(
        30, b"b%d".__mod__, b"".join(b"--b%d \n" % n for n in range(29, -1, -1))
    ),
    "boundaries that begin as others": multiparts(30, lambda n: b"x" * (30 - n), b"--xx\n"),
    "boundaries of dashes": multiparts(30, lambda n: b"-" * (n + 1), b"-"),
    "lines of dashes": multiparts(30, lambda n: b"-" * (n + 1), b"-" * 70 + b"\n"),
    "one boundary of dashes": multiparts(1, lambda n: b"-" * 60, b"-" * 61 + b"\n-"),
    "empty parts": many_parts(b""),
    "parts of one field": many_parts(b"a:b\r\n"),
    "parts with many fields": many_parts(b"a:\r\n" * 60),
    "parts with long types": many_parts(b"Content-Type: a/b; " + b"a=b;" * 800 + b"\r\n"),
    "parts with hostile types": many_parts(
        b"Content-Type: a/b; " + b'("' * 100 + b"\r\nContent-ID: <" + b"<" * 99
    ),
    "parts with hostile names": many_parts(
        b'Content-Disposition: attachment; filename="' + b"=?" * 200 + b'"\r\n'
    ),
    "parts with names in words": many_parts(
        b'Content-Disposition: attachment; filename="' + b"=?utf-8?q?=FC?= " * 100 + b'"\r\n'
    ),
    "parts with names in 8 bit": many_parts(
        b'Content-Disposition: attachment; filename="' + b"\xfc" * 900 + b'"\r\n\r\nx'
    ),
    "parts with sections": many_parts(
        b"Content-Disposition: attachment; "
        + b"".join(b"filename*%d*=%%41;" % n for n in range(99))
        + b"\r\n"
    ),
    "files without names": many_parts(b"Content-Type: image/png\r\n\r\nx"),
    "parts in 8 bit": many_parts(b"Content-Type: text/plain\r\n\r\n\xfc"),
    "parts in base64": many_parts(
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n4Q=="
    ),
    "parts in Japanese": many_parts(b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B-!"),
    "HTML and text in turn": many_parts(
        b"Content-Type: text/html\r\n\r\n<p>\r\n--b\r\nContent-Type: text/plain\r\n\r\nx"
    ),
    "mails as parts": many_parts(b"Content-Type: message/rfc822\r\n\r\nSubject: \xfc\r\n\r\nx"),
    "mails within mails": repeated(b"", b"Content-Type: message/rfc822\r\n\r\n"),
    "mails with 8 bit within mails": repeated(b"", b"X: \xfc\r\nContent-Type: message/rfc822\r\n\r\n"),
    "blocks of a delivery status": repeated(
        b"Content-Type: message/delivery-status\r\n\r\n", b"a: b\r\n\r\n"
    ),
    "multiparts in base64": repeated(
        b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        b"LS1iDQoNCmEN",
    ),
    "signed multiparts": many_parts(
        b"Content-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n\xfc\r\n--c--\r\n"
    ),
}
LINES: dict[str, Make] = {
    repr(pattern): repeated(b"\r\n", pattern)
    for pattern in (b"x", b"\xfc", b"\r", b"\n", b".\r\n", b"\0", b" ", b"=\r\n")
}

HTML_HEAD = b"Subject: Re: x\r\nIn-Reply-To: <a@b>\r\nContent-Type: text/html; charset=%s\r\n\r\n"
HTML_PATTERNS = (
    b"<",
    b"<a ",
    b"<a href=",
    b"<a href='",
    b'<a href="http://a.example/&amp;">x</a>',
    b"<a href=http://a>",
    b"&",
    b"&amp;",
    b"&#x41;",
    b"&#9999999",
    b"<!--",
    b"<!-->",
    b"-->",
    b"<![CDATA[",
    b"<script>",
    b"<script><!--<script>",
    b"</body>",
    b"<div>",
    b"<div><p>",
    b"<table><tr><td>",
    b"<blockquote>",
    b"<blockquote type=cite>",
    b"</div>",
    b"<style>",
    b"<style>a{b:url(c)}</style>",
    b"<p style='a:b;'>",
    b"<p a=b c=d>",
    b"<b a='",
    b"<svg><a href=x>",
    b"<base href=http://a>",
    b"<template>",
    b"<br>",
    b"<div class=gmail_quote>",
    b"<hr>On x wrote:<br>",
    b"=",
    b"a ",
    b"<p>From: a@b<br>Sent: x<br>",
    b"<img src=x>",
    b"<a href='http://\xfc.example/'>",
    b"<font>",
    b"<li>",
    b"/*",
    b"<select><option>",
    b"<a b" + b" c" * 40 + b">",
    b"\0",
    b"<x" * 3,
    b"&lt;",
    b"<math><mi>",
    b"</p>",
)
HTML: dict[str, Make] = {
    f"{pattern!r}": repeated(HTML_HEAD % b"utf-8", pattern) for pattern in HTML_PATTERNS
} | {
    f"{pattern!r} in base64 lines": repeated(
        HTML_HEAD % b"utf-8\r\nContent-Transfer-Encoding: quoted-printable", pattern
    )
    for pattern in (b"=\n", b"=3D", b"= \n", b"=FC")
}
TEXT_HEAD = b"Subject: Re: x\r\nIn-Reply-To: <a@b>\r\nContent-Type: text/plain; charset=utf-8%s\r\n\r\n"
TEXT_PATTERNS = (
    b"> \n",
    b">",
    b"\n",
    b" \n",
    b">\n\n",
    b"> a\n\n",
    b"-- \n",
    b"--- ",
    b"-----",
    b"-----Original Message-----\n",
    b"-----Original Message",
    b"From:",
    b"From: a@b\n",
    b"From:\n\n",
    b"From: a\nSent:",
    b"On ",
    b"On x wrote:\n",
    b"On a\n",
    b"wrote:\n",
    b"wrote: ",
    b"a@b.example wrote:\n> x\n",
    b"_" * 18 + b"\n",
    b"_",
    b"Le ",
    b"Am x schrieb a@b:\n",
    b"Sent from my ",
    b"http://a.example/b ",
    b"http://",
    b"http://a/(",
    b"http://a.b/?" + b"!" * 30,
    b"https+notrack://",
    b"*From:* a\n*Sent:* b\n",
    b"a@b.example\n",
    b"<a@b.example>:\n5.1.1 x\n\n",
    b"Hi. This is the\n",
    b"a: b\n",
    b"=",
    b"550 5.1.1 ",
    b"9",
    b".",
    b"\xfc",
    b"\xe2\x80\xaf",
    b"\t",
    b" ",
    b"\r",
    b"a",
    b"a b\n",
    b"|\n",
    b"=> x\n",
    b"\0",
)
TEXTS: dict[str, Make] = {f"{pattern!r}": repeated(TEXT_HEAD % b"", pattern) for pattern in TEXT_PATTERNS}
FLOWED: dict[str, Make] = {
    f"{pattern!r}{delsp.decode()}": repeated(TEXT_HEAD % (b"; format=flowed" + delsp), pattern)
    for pattern in (
        b"> a \r\n",
        b">",
        b"a \r\n",
        b" \r\n",
        b"-- \r\n",
        b"> \r\n>> \r\n",
        b"http://a.example/ \r\n",
        b" \n",
        b"\r",
    )
    for delsp in (b"", b"; delsp=yes")
}
CHARSET_PATTERNS = {
    "utf-7": (b"+", b"+2D0-", b"+AOQ-", b"a+-", b"&", b"+/"),
    "iso-2022-jp": (b"\x1b$B", b"\x1b$B-!\x1b(B", b"\x1b", b"\x1b$(D", b"\x1b(I!", b'\x1b$B$"', b"\xfc"),
    "iso-2022-kr": (b"\x1b$)C", b"\x0e", b"\x0ea\x0f"),
    "hz": (b"~", b"~{", b"~{!!~}", b"~\n", b"~~", b"\xfc"),
    "euc-jp": (b"\x8f", b"\xad\xa1", b"\x8e", b"\xad\xa1a", b"\xff"),
    "shift_jis": (b"\x87\x40", b"\x81", b"\xfc"),
    "gb18030": (b"\x81\x30\x81\x30", b"\x81", b"\xff"),
    "big5": (b"\x88\x62", b"\xff", b"\x81"),
    "utf-16": (b"\xd8", b"\xd8\x00", b"a"),
    "utf-8": (b"\xed\xa0\x80", b"\xff", b"\xf0\x9f\x98", b"\xef\xbb\xbf"),
    "windows-1252": (b"\x81", b"\xfc"),
    "punycode": (b"a-99999", b"z"),
    "idna": (b"xn--a.", b"a"),
    "unicode_escape": (b"\\u0041", b"\\"),
    "x-unknown": (b"\xfc", b"a"),
}
CHARSETS: dict[str, Make] = {
    f"{charset} of {pattern!r}": repeated(
        b"Content-Type: text/%s; charset=%s\r\n\r\n" % (kind, charset.encode()), pattern
    )
    for charset, patterns in CHARSET_PATTERNS.items()
    for pattern in patterns
    for kind in (b"plain",)
}

REPORT_HEAD = (
    b"From: MAILER-DAEMON@a\r\nSubject: Undelivered Mail\r\n"
    b"Content-Type: multipart/report; boundary=b\r\n\r\n"
    b"--b\r\n\r\n%s\r\n--b\r\nContent-Type: message/%s\r\n\r\n"
)
REPORTS: dict[str, Make] = {
    f"{kind} of {pattern!r}": repeated(REPORT_HEAD % (b"failed", kind.encode()), pattern)
    for kind in ("delivery-status", "feedback-report", "rfc822", "global-delivery-status")
    for pattern in (
        b"\r\n",
        b" \r\n",
        b"Final-Recipient: rfc822; a@b\r\nAction: failed\r\n\r\n",
        b"Final-Recipient: ",
        b";",
        b"a:\r\n",
        b"X-Postal-MsgID: a\r\n",
        b"X-Postal-MsgID:",
        b"x-postal-msgid: \r\n",
        b"Diagnostic-Code: smtp; 550 5.1.1 x\r\n\r\n",
        b"Status: 5.5.5 ",
        b"Original-Recipient: rfc822;<a@b>\r\n\r\n",
        b"Message-ID: <a@b>\r\n",
        b"\n \n",
        b"a",
    )
} | {
    f"explanation of {pattern!r}": repeated(
        b"From: MAILER-DAEMON@a\r\nSubject: failure notice\r\n%s\r\n" % more, pattern
    )
    for pattern in TEXT_PATTERNS
    for more in (b"", b"X-Failed-Recipients: a@b.example\r\n")
}

JSON, FORM, MULTIPART = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
)
JSON_PATTERNS: dict[
    str, tuple[bytes, bytes, bytes]
] = {  # what stands before, the pattern, what stands behind
    "lists": (b"", b"[", b""),
    "objects": (b"", b'{"a":', b""),
    "100 lists in each other": (b'{"a":[0', b"," + b"[" * 90 + b"]" * 90, b"]}"),
    "empty objects": (b'{"a":[{}', b",{}", b"]}"),
    "digits": (b'{"id":', b"9", b"}"),
    "numbers": (b'{"to":[1', b",1", b"]}"),
    "exponents": (b'{"a":[1', b",1e308", b"]}"),
    "escapes": (b'{"subject":"', b"\\u00e9", b'"}'),
    "halves": (b'{"subject":"', b"\\ud83d", b'"}'),
    "one name": (b'{"a":1', b',"a":1', b"}"),
    "names": (b'{"a":1', b',"headers":{"b":"c"}', b"}"),
    "blanks": (b"{", b" ", b"}"),
    "headers": (
        b'{"to":["a@b.example"],"from":"a@b.example","plain_body":"x","headers":{"a":"b"',
        b',"X":"y"',
        b"}}",
    ),
    "attachments": (
        b'{"to":["a@b.example"],"from":"a@b.example","plain_body":"x","attachments":[{"name":"a","data":"YQ=="}',
        b',{"name":"\xc3\xbc","content_type":"a/b","data":"YQ=="}',
        b"]}",
    ),
    "base64": (
        b'{"to":["a@b.example"],"from":"a@b.example","plain_body":"x","attachments":[{"name":"a","data":"',
        b"YQ==",
        b'"}]}',
    ),
    "text": (b'{"to":["a@b.example"],"from":"a@b.example","plain_body":"', b"\xc3\xbc", b'"}'),
    "text of lines": (b'{"to":["a@b.example"],"from":"a@b.example","plain_body":"', b"\\r", b'"}'),
}
for unit in (
    "(",
    '"',
    "\\",
    "<",
    "@",
    "a ",
    "a@b.example,",
    "=?",
    "\xfc",
    "\xfc@b.example,",
    "g:a@b;",
    ",",
    '\\"\\" ',
):
    encoded = unit.replace("\\", "\\\\").replace('"', '\\"').encode()
    for name in ("to", "from", "reply_to", "subject", "tag", "sender"):
        before, after = (b'["', b'"]') if name == "to" else (b'"', b'"')
        JSON_PATTERNS[f"{name} of {unit!r}"] = (
            b'{"to":["a@b.example"],"from":"a@b.example","plain_body":"x","%s":%s' % (name.encode(), before),
            encoded,
            after + b"}",
        )


def around(before: bytes, pattern: bytes, behind: bytes) -> Make:
    return lambda size: before + pattern * (size // len(pattern)) + behind


JSONS: dict[str, Make] = {name: around(*pattern) for name, pattern in JSON_PATTERNS.items()}
FORMS: dict[str, Make] = {
    repr(pattern): repeated(b"", pattern)
    for pattern in (
        b"a[]=1&",
        b"a=1&",
        b"%41",
        b"+",
        b"&",
        b"=",
        b"%",
        b"params=%7B",
        b"a[b][c]=d&",
        b"a[][]=&",
    )
}
MULTIPARTS: dict[str, Make] = {
    repr(pattern): repeated(b"", pattern)
    for pattern in (
        b"--b\r\n",
        b"-",
        b"--b\r\na:\r\na:\r\na:\r\n",
        b"--b\r\nA:\r\n \r\n ",
        b"--b",
        b'--b\r\nContent-Disposition: form-data; name="\\"\\"\\"',
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n',
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nYQ==\r\n",
        b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
        b"\r\n",
        b"--b\r\nContent-Disposition: a;" + b"a=b;" * 60,
    )
} | {"one part's header": repeated(b"--b\r\nContent-Disposition: form-data", b';a="b')}


def raw_of(size: int) -> bytes:
    """A call of `send/raw` whose mail has a header line of so many bytes, which the limit refuses."""
    return (
        b'{"mail_from":"a@b.example","rcpt_to":["c@d.example"],"data":"'
        + b"WDog"
        + b"eHh4" * (size // 4)
        + b'"}'
    )


def event_of(place: str, pattern: str) -> Make:
    def make(size: int) -> bytes:
        given = webhook_body("MessageHeld")
        target = given["payload"] if place in ("details", "output") else given["payload"]["message"]
        target[place] = pattern * (size // len(pattern))
        return api.to_json(given)

    return make


EVENTS: dict[str, Make] = {
    f"{place} of {pattern!r}": event_of(place, pattern)
    for place in ("to", "details", "output", "tag", "subject", "from")
    for pattern in (
        *hostile_mail.PATTERNS,
        "is on the suppression list (reason: ",
        "550 5.7.1 ",
        "spam ",
        "\u20ac",
    )
}
HASHES: dict[str, Make] = {
    name: around(b'{"id":1,"rcpt_to":"a@b","plain_body":"",' + before, pattern, behind)
    for name, (before, pattern, behind) in {
        "attachments": (b'"attachments":[{}', b',{"filename":"a","content_type":"a/b","data":"YQ=="}', b"]}"),
        "names": (b'"a":1', b',"b":1', b"}"),
        "lists": (b'"a":', b"[", b"}"),
        "reply_to": (b'"reply_to":["a@b"', b',"a@b"', b"]}"),
        **{
            f"{name} of {unit!r}": (f'"{name}":"'.encode(), unit.encode(), b'"}')
            for name in (
                "from",
                "to",
                "subject",
                "date",
                "references",
                "message_id",
                "html_body",
                "plain_body",
            )
            for unit in (
                "(",
                "\\\\",
                "<",
                "@",
                "a ",
                "a@b.example,",
                "=?",
                "=?utf-8?q?a?= ",
                "ü",
                "g:a@b;",
                ",",
                '\\"',
            )
        },
    }.items()
}
HASH_FORMS: dict[str, Make] = {
    repr(pattern): repeated(b"id=1&rcpt_to=a%40b&plain_body=&", pattern)
    for pattern in (
        b"a=1&",
        b"attachments[1][data]=YQ&",
        b"%41",
        b"+",
        b"&",
        b"%2525",
        b"attachments[",
        b"from=%28&",
    )
}


@dataclass(frozen=True)
class Way:
    """Where inputs of a kind go, and how large the smaller one is."""

    name: str
    kind: str
    inputs: Mapping[str, Make]
    size: int
    go: Callable[[bytes], object]


BODIES = {"lines": LINES, "HTML": HTML, "text": TEXTS, "flowed text": FLOWED, "charset": CHARSETS}
OF_HEADER = {"header": HEADERS, "address list": ADDRESS_LISTS, "subject": SUBJECTS}
# As large as SMTP takes it, over which all of these come: the header, then the message.
HEADER_BYTES, MAIL_BYTES, BODY_BYTES = 120 * KB, MB, 250 * KB


def ways() -> Iterator[Way]:
    for name, go in {
        "SMTP, stranger": smtp,
        "SMTP, with a key": smtp_with_key,
        "outgoing": outgoing,
        "tracking": tracked,
        "bounce recognizer": recognized,
        "endpoint, JSON": partial(posted, endpoint.AS_JSON),
        "endpoint, form": partial(posted, endpoint.AS_FORM),
        "administration": shown,
        "notice": returned,
        "library, view": in_django,
        "library, replies": reply,
    }.items():
        for kind, inputs in OF_HEADER.items():
            yield Way(name, kind, inputs, HEADER_BYTES, go)
        yield Way(name, "structure", STRUCTURES, MAIL_BYTES, go)
        for kind, inputs in BODIES.items():
            if name not in ("SMTP, stranger", "SMTP, with a key", "notice"):
                yield Way(name, kind, inputs, BODY_BYTES, go)
    yield Way("bounce recognizer", "report", REPORTS, BODY_BYTES, recognized)
    yield Way("endpoint, JSON", "report", REPORTS, BODY_BYTES, partial(posted, endpoint.AS_JSON))
    yield Way("library, view", "report", REPORTS, BODY_BYTES, in_django)
    for kind, name in (
        ("header", "Content-Type"),
        ("header", "X-Other"),
        ("address list", "To"),
        ("subject", "Subject"),
    ):
        yield Way(
            "library, view, 12 MB", kind, fields((name,), ALL_PATTERNS), 6 * MB, in_django
        )  # Postal's own has no limit
    yield Way("API", "JSON", {**JSONS, "send/raw": raw_of}, 30 * KB, partial(over_api, JSON))
    yield Way("API, 4 MB", "JSON", {**JSONS, "send/raw": raw_of}, 2 * MB, partial(over_api, JSON))
    yield Way("API, 4 MB", "form", FORMS, 2 * MB, partial(over_api, FORM))
    yield Way("API, 4 MB", "multipart form", MULTIPARTS, 2 * MB, partial(over_api, MULTIPART))
    yield Way("library, events", "JSON", EVENTS, 500 * KB, event)
    yield Way("library, Hash", "JSON", HASHES, 500 * KB, partial(inbound_post, JSON))
    yield Way("library, Hash", "form", HASH_FORMS, 500 * KB, partial(inbound_post, FORM))


@dataclass(frozen=True)
class Cost:
    """Milliseconds of an input and of twice as much; `plain` are those of the latter's bytes as text.

    A mail of many megabytes has its price: what counts is what a structure costs beyond that.
    """

    way: Way
    name: str
    half: float
    whole: float
    plain: float = 0

    @property
    def own(self) -> float:
        return self.whole - self.plain

    @property
    def growth(self) -> float:
        return self.whole / max(self.half, NOISE)

    @property
    def is_met(self) -> bool:
        return self.growth <= GROWTH and (self.way.kind not in BOUNDED or self.own <= BAR)


def milliseconds(go: Callable[[bytes], object], given: bytes, runs: int) -> float:
    """The minimum of some runs, to exclude other work; a single run for what costs next to nothing."""
    least = float("inf")
    for _ in range(runs):
        began = time.process_time()
        with suppress(PostalServerError, PostalError):
            go(given)
        least = min(least, (time.process_time() - began) * 1000)
        if least < NOISE:
            break
    return least


def measured(way: Way, runs: int) -> list[Cost]:
    found = []
    for name, make in way.inputs.items():
        whole = milliseconds(way.go, make(2 * way.size), runs)
        half = milliseconds(way.go, make(way.size), runs) if whole >= NOISE else whole / 2
        is_structure = way.kind == "structure" and whole >= NOISE
        plain = milliseconds(way.go, PLAIN + make(2 * way.size), runs) if is_structure else 0
        found.append(Cost(way, name, half, whole, plain))
    return sorted(found, key=lambda cost: cost.own, reverse=True)


def row(cost: Cost, inputs: int) -> list[str]:
    size = 2 * cost.way.size
    size_text = f"{size // MB} MB" if size >= MB else f"{size // KB} KB"
    growth = f"{cost.growth:.2f}" if cost.whole >= NOISE else ""
    name = cost.name[:60].replace("|", "\\|")
    return [
        cost.way.name,
        cost.way.kind,
        str(inputs),
        size_text,
        name,
        number(cost.half),
        number(cost.whole),
        number(cost.plain) if cost.plain else "",
        growth,
        "" if cost.is_met else "**no**",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ways", nargs="*", metavar="WAY", help="only these, by their names or kinds")
    parser.add_argument("--quick", action="store_true", help="two runs each, not three")
    parser.add_argument("--all", action="store_true", help="every input over a tenth of the bar")
    given = parser.parse_args()
    every: list[Cost] = []
    names = (
        "way",
        "kind",
        "inputs",
        "bytes",
        "the dearest",
        "ms, half of it",
        "ms",
        "as text",
        "growth",
        "met",
    )
    print("## Hostile input\n\n" + table(names, []).rstrip(), flush=True)
    for way in ways():
        if given.ways and not {way.name, way.kind} & set(given.ways):
            continue
        costs = measured(way, 2 if given.quick else 3)
        every += costs
        shown = [cost for cost in costs if cost.whole >= NOISE] if given.all else costs[:1]
        for cost in shown:
            print(f"| {' | '.join(row(cost, len(costs)))} |", flush=True)
    print()
    dearest = max((cost.own for cost in every if cost.way.kind in BOUNDED), default=0)
    print(Target("ms of a header, an address list, a subject or a structure", dearest, BAR, at_most=True))
    fastest = max(every, key=lambda cost: cost.growth)
    print(Target(f"growth ({fastest.way.name}: {fastest.name[:60]})", fastest.growth, GROWTH, at_most=True))
    for cost in every:
        if not cost.is_met:
            print("-", "; ".join(row(cost, 0)))


if __name__ == "__main__":
    main()
