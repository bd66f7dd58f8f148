"""Measure the cost of hostile mail to `anymail_postal`.

    python -m benchmarks.hostile_mail [--kilobytes 64]

Each mail is designed to be expensive for a parser: its header, address list or structure consists only of
expensive syntax. It is read as by the inbound view and a receiver. Prints the CPU time of this process in
milliseconds, the minimum of three runs, the most expensive mail first.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from anymail_postal import inbound
from anymail_postal.inbound_message import InboundMessage, parse

HEADERS = (
    "From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Received",
    "Content-Type", "Content-Disposition", "Content-Transfer-Encoding", "Content-ID", "Auto-Submitted",
    "Precedence", "List-Id", "X-Postal-Spam-Score", "X-Other",
)  # fmt: skip
PATTERNS = (
    '"', "\\", "a ", ",", ";", "(", ")", "<", ">", "@", ":", "[", "=", "=?", "=?utf-8?q?", "=?utf-8?q?a?= ",
    "=?utf-8?b?YQ==?=\r\n ", "a@b,", '"a" <a@b>,', "a.", '"\\', '("', "(a)", "a;", 'a="', "a=b;", "a*0*=x;",
    "\r\n ", " ", "\t", "\xe9", "\0",
)  # fmt: skip


def filled(pattern: bytes, size: int) -> bytes:
    """`pattern` repeated, `size` bytes."""
    return (pattern * (size // len(pattern) + 1))[:size]


def in_header(name: str, pattern: str) -> Callable[[int], bytes]:
    """Mail with a header that consists of a pattern."""
    raw = pattern.encode("latin-1")
    return lambda size: name.encode() + b": " + filled(raw, size) + b"\r\n\r\nHello\r\n"


def nested(count: int, boundary: Callable[[int], bytes]) -> bytes:
    """Nested multiparts without an end."""
    parts = [
        (b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n" % (2 * (boundary(n),)))
        for n in range(count)
    ]
    return b"".join(parts) + b"\r\n"


def in_parts(part: bytes) -> Callable[[int], bytes]:
    """A multipart that repeats the same part."""
    return lambda size: (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + filled(b"--b\r\n" + part + b"\r\n", size)
    )


def repeated(head: bytes, pattern: bytes) -> Callable[[int], bytes]:
    return lambda size: head + filled(pattern, size)


# name -> the mail of about so many bytes
MAILS: dict[str, Callable[[int], bytes]] = {
    **{f"{name} of {pattern!r}": in_header(name, pattern) for name in HEADERS for pattern in PATTERNS},
    "300 multiparts, lines like boundaries": lambda size: (
        nested(300, b"b%d".__mod__) + filled(b"--x\n", size)
    ),
    "boundaries that begin as others": lambda size: (
        nested(30, lambda n: b"x" * (30 - n)) + filled(b"--xx\n", size)
    ),
    "boundaries of dashes": lambda size: nested(30, lambda n: b"-" * (n + 1)) + filled(b"-", size),
    "lines of dashes": lambda size: nested(30, lambda n: b"-" * (n + 1)) + filled(b"-" * 70 + b"\n", size),
    "empty parts": in_parts(b""),
    "parts with many fields": in_parts(b"a:\r\n" * 60),
    "parts with hostile types": in_parts(
        b"Content-Type: a/b; " + b'("' * 100 + b"\r\nContent-ID: <" + b"<" * 99
    ),
    "parts with hostile names": in_parts(
        b'Content-Disposition: attachment; filename="' + b"=?" * 200 + b'"\r\n'
    ),
    "mails within mails": repeated(b"", b"Content-Type: message/rfc822\r\n\r\n"),
    "blocks of a delivery status": repeated(
        b"Content-Type: message/delivery-status\r\n\r\n", b"a: b\r\n\r\n"
    ),
    "fields": repeated(b"", b"a:\r\n"),
    "To again and again": repeated(b"", b"To: a@b\r\n"),
    "Content-Type again and again": repeated(b"", b"Content-Type: a/b; c=d\r\n"),
    "flowed text": repeated(b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n", b"> a \r\n"),
    "flowed quotes": repeated(b"Content-Type: text/plain; format=flowed\r\n\r\n", b">"),
    "a codec that is no charset": repeated(b"Content-Type: text/plain; charset=punycode\r\n\r\n", b"a-99999"),
    "Japanese escapes": repeated(b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n", b"\x1b$B-!\x1b(B"),
    "quoted-printable": repeated(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", b"=\n"),
    "carriage returns": repeated(b"", b"a: b\r"),
}


def read(raw: bytes) -> InboundMessage:
    """Read a mail as the view and a receiver do."""
    fields = {"id": 1, "rcpt_to": "a@b.example", "message": raw.decode("latin-1"), "base64": False}
    inbound.read(fields)
    message = parse(raw)
    for name in ("from_email", "to", "cc", "subject", "date", "text", "html", "inlines", "content_id_map"):
        getattr(message, name)
    for part in message.attachments:
        part.get_filename()
    list(message.items())
    return message


def cost(raw: bytes, runs: int = 3) -> float:
    """Seconds of CPU time for reading a mail: the minimum of some runs, to exclude other work."""
    found = []
    for _ in range(runs):
        begin = time.process_time()
        read(raw)
        found.append(time.process_time() - begin)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kilobytes", type=int, default=64)
    size = parser.parse_args().kilobytes * 1024
    costs = sorted(((cost(make(size)), name) for name, make in MAILS.items()), reverse=True)
    for seconds, name in costs[:30]:
        print(f"{seconds * 1000:8.1f} ms  {name}")
    print(f"of {len(costs)} mails of {size // 1024} KB")


if __name__ == "__main__":
    main()
