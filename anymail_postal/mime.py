"""Compose a mail as bytes for `send/raw`.

The header section is written here because Python's `email` folds it wrongly: it drops the quotes of long
names with a comma, and encodes long URLs and Message-IDs (CPython 3.10 to 3.13). The result has CRLF line
endings and is 7-bit except for local parts that are not. Text is always UTF-8, as Postal's link rewriter
labels it. The structure is the simplest for the contents:

    mixed( alternative( plain, watch-html, amp, related( html, inline files ), calendar ), attachments )
    where each multipart exists only if it has more than one part

Sources: RFC 5322 (headers), 2045-2047 (MIME, encoded words), 2183 and 2231 (file names), 2387 (related).
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote

from .errors import PostalHeaderError

LINE = 78  # characters: the limit that lines should keep (RFC 5322, section 2.1.1),
LONGEST_LINE = 998  # and the limit that they must keep
LONGEST_WORD = 996  # leaves room for the space at the start of a folded line
MAX_BLANKS = 60  # spaces between two words in one line; lines of spaces only are obsolete (RFC 5322, 3.2.2)
ENCODED_WORD_BYTES = 45  # result in 75 characters, the limit of RFC 2047

# In the order of the parts: mail programs show the last one that they understand (RFC 2046, section 5.1.4).
ALTERNATIVES_BEFORE_HTML = ("text/watch-html", "text/x-amp-html")
ALTERNATIVES_AFTER_HTML = ("text/calendar",)
ALTERNATIVES = (*ALTERNATIVES_BEFORE_HTML, *ALTERNATIVES_AFTER_HTML)

_LINE_BREAK = re.compile(r"[\r\n]")
_NAME = re.compile(r"[!-9;-~]{1,200}")  # RFC 5322, section 3.6.8; the limit keeps the line short
_PLAIN_VALUE = re.compile(r"[ -~]*")
_WORDS = re.compile(r"([ \t]*)([^ \t]+)")
_ODD = re.compile(r"[^ -~]|=\?")  # must not be in a header, or would be read as an encoded word
_SPECIALS = re.compile(r'[()<>@,:;.\\"\[\]]| {2}|^ | $')
_METHOD = re.compile(r"^METHOD:([A-Za-z-]{1,40})\s*$", re.MULTILINE | re.IGNORECASE)
_SHORT_FILENAME = re.compile(r"[ -~]{1,60}")
_FILENAME_PIECES = re.compile(r"(?:%..|[^%]){1,20}")
# The bytes that 7bit may have, and those that quoted-printable does not encode.
_SEVEN_BIT = bytes({*range(0x20, 0x7F), 0x09, 0x0D, 0x0A})
_PRINTABLE = _SEVEN_BIT.replace(b"=", b"")


@dataclass(frozen=True)
class Mailbox:
    """A display name in Unicode ("" for none), and an address with an ASCII domain."""

    name: str
    address: str


@dataclass(frozen=True)
class File:
    """An attachment, or with a `content_id` (without brackets) a file for the HTML.

    `content_type` includes the parameters, such as the charset of text.
    """

    name: str
    content_type: str
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True)
class Mail:
    """The contents of one mail. `message_id` has no brackets; `date` is aware.

    `spoofed_to` is a complete To header in place of `to`. `alternatives` are pairs of content type and text,
    of the types in `ALTERNATIVES`. `headers` must not have headers that are made from other fields.
    """

    from_: Sequence[Mailbox]
    message_id: str
    date: datetime | str
    to: Sequence[Mailbox] = ()
    cc: Sequence[Mailbox] = ()
    reply_to: Sequence[Mailbox] = ()
    sender: Mailbox | None = None
    spoofed_to: str | None = None
    subject: str = ""
    headers: Iterable[tuple[str, str]] = ()
    text: str | None = None
    html: str | None = None
    alternatives: Sequence[tuple[str, str]] = ()
    inline: Sequence[File] = ()
    attachments: Sequence[File] = ()


class Part(NamedTuple):
    """A part of a mail: the MIME headers without their line endings, and the encoded body."""

    headers: list[str]
    body: bytes


def compose(mail: Mail, unique: str) -> bytes:
    """The complete mail. `unique` is for the boundaries: ASCII letters and digits, different for each mail.

    Raises `PostalHeaderError` for a header with a line break, an invalid name, or a word that is longer than
    the limit of a line.
    """
    part = _contents(mail, unique)
    headers = "\r\n".join([*_headers(mail), "MIME-Version: 1.0", *part.headers])
    return headers.encode() + b"\r\n\r\n" + part.body


def _headers(mail: Mail) -> list[str]:
    """The header fields except for those of MIME, in the usual order."""
    date = mail.date if isinstance(mail.date, str) else format_datetime(mail.date)
    lines = [header("Date", date), mailboxes("From", mail.from_)]
    # RFC 5322, section 3.6.2: several authors need a sender.
    sender = mail.sender or (mail.from_[0] if len(mail.from_) > 1 else None)
    if sender is not None:
        lines.append(mailboxes("Sender", [sender]))
    if mail.reply_to:
        lines.append(mailboxes("Reply-To", mail.reply_to))
    if mail.spoofed_to is not None:
        lines.append(header("To", mail.spoofed_to))
    elif mail.to:
        lines.append(mailboxes("To", mail.to))
    if mail.cc:
        lines.append(mailboxes("Cc", mail.cc))
    lines += [header("Message-ID", f"<{mail.message_id}>"), header("Subject", mail.subject)]
    lines += [header(name, value) for name, value in mail.headers]
    return lines


# --- headers ---


def header(name: str, value: str) -> str:
    """One header field without its line ending: folded at spaces only, words that are not ASCII encoded.

    So a value without spaces, such as a URL or a Message-ID, is never folded.
    """
    check_header(name, value)
    value = value.strip(" \t")
    line = f"{name}: {value}"
    if len(line) <= LINE and _PLAIN_VALUE.fullmatch(value) and "=?" not in value:
        return line  # almost all headers
    return _fold(name, _words(value))


def check_header(name: str, value: str) -> None:
    """Raises `PostalHeaderError` for an invalid name or a line break, which would begin another header."""
    if not _NAME.fullmatch(name):
        raise PostalHeaderError(f"{name!r} is not the name of a header.")
    check_line(name, value)


def check_line(name: str, value: str) -> None:
    """Raises `PostalHeaderError` for a line break in the value of a header."""
    if _LINE_BREAK.search(value):
        raise PostalHeaderError(f"There is a line break in {name!r}: {value!r}.")


def _words(value: str) -> Iterator[str]:
    """The words of a value with the spaces before them. Words that are not ASCII, or far apart, are encoded.

    Adjacent ones are encoded together, because readers drop spaces between encoded words.
    """
    for is_odd, group in groupby(_WORDS.findall(value), key=_is_odd):
        words = list(group)
        blanks = words[0][0] or " "
        if is_odd:
            text = "".join(map("".join, words)).removeprefix(blanks)
            kept = blanks if len(blanks) <= MAX_BLANKS else blanks[:1]
            yield from _encoded(kept, blanks[len(kept) :] + text)
        else:
            yield from (before + word if before else f" {word}" for before, word in words)


def _is_odd(word: tuple[str, str]) -> bool:
    blanks, text = word
    return len(blanks) > MAX_BLANKS or bool(_ODD.search(text))


def _encoded(blanks: str, text: str) -> Iterator[str]:
    """The encoded words (RFC 2047) of a text, each of 75 characters at most, `blanks` before the first."""
    raw = text.encode("utf-8", "replace")
    while raw:
        end = min(len(raw), ENCODED_WORD_BYTES)
        while end < len(raw) and raw[end] & 0xC0 == 0x80:  # do not split a character
            end -= 1
        yield f"{blanks}=?utf-8?b?{b64encode(raw[:end]).decode('ascii')}?="
        raw, blanks = raw[end:], " "


def _fold(name: str, words: Iterable[str]) -> str:
    """The header in lines of at most 78 characters if its words, which begin with their spaces, allow it."""
    lines, line = [], f"{name}:"
    room = LONGEST_LINE  # the first word stays in the line of the name, because some readers need that
    for word in words:
        if len(word) > LONGEST_WORD + 1:
            raise PostalHeaderError(f"The header {name!r} has a word of {len(word) - 1} characters.")
        if len(line) + len(word) > room:
            lines.append(line)
            line = ""
        line += word
        room = LINE
    return "\r\n".join([*lines, line])


def mailboxes(name: str, boxes: Sequence[Mailbox]) -> str:
    """An address header without its line ending, folded between mailboxes only."""
    *before, last = map(_mailbox_words, boxes)
    return _fold(name, [*(word for words in before for word in (*words[:-1], f"{words[-1]},")), *last])


def _mailbox_words(box: Mailbox) -> list[str]:
    """A mailbox as one word, or its name encoded if that is too long for a line; each with its space."""
    text = mailbox(box)
    if len(text) < LONGEST_WORD:
        return [f" {text}"]
    return [*_encoded(" ", box.name), f" <{box.address}>"]


def mailbox(box: Mailbox) -> str:
    """A mailbox (RFC 5322, section 3.4): the name is quoted if it has specials, encoded if it is not ASCII.

    There is no encoding for addresses: those that are not ASCII stay as they are (RFC 6532).
    """
    if not box.address.isprintable():
        raise PostalHeaderError(f"The address {box.address!r} cannot be written in a header.")
    if not box.name:
        return box.address
    if _LINE_BREAK.search(box.name):
        raise PostalHeaderError(f"The name {box.name!r} has a line break.")
    if _ODD.search(box.name):
        return f"{''.join(_encoded('', box.name))} <{box.address}>"
    if _SPECIALS.search(box.name):
        escaped = box.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{box.address}>'
    return f"{box.name} <{box.address}>"


# --- contents ---


def _contents(mail: Mail, unique: str) -> Part:
    """The bodies and files in as few multiparts as possible."""
    html = [] if mail.html is None else [_text_part("text/html", mail.html)]
    inline = [_file_part(file) for file in mail.inline]
    if html and inline:
        html, inline = [_wrap('related; type="text/html"', [*html, *inline], f"=_r{unique}")], []
    bodies = [
        *([] if mail.text is None else [_text_part("text/plain", mail.text)]),
        *_alternatives(mail, ALTERNATIVES_BEFORE_HTML),
        *html,
        *_alternatives(mail, ALTERNATIVES_AFTER_HTML),
    ]
    files = [*inline, *map(_file_part, mail.attachments)]
    if not bodies and not files:
        bodies = [_text_part("text/plain", "")]
    parts = [_wrap("alternative", bodies, f"=_a{unique}")] if len(bodies) > 1 else bodies
    return _wrap("mixed", [*parts, *files], f"=_m{unique}") if files else parts[0]


def _alternatives(mail: Mail, types: Sequence[str]) -> list[Part]:
    return [
        _text_part(content_type, text)
        for wanted in types
        for content_type, text in mail.alternatives
        if mimetype(content_type) == wanted
    ]


def _wrap(subtype: str, parts: Iterable[Part], boundary: str) -> Part:
    """A multipart. Its boundary begins with "=_", which encoded bodies cannot contain (RFC 2045, 6.7)."""
    delimiter = f"--{boundary}\r\n"
    pieces = []
    for part in parts:
        pieces += [(delimiter + "\r\n".join(part.headers)).encode("ascii"), b"\r\n\r\n", part.body, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return Part([f'Content-Type: multipart/{subtype}; boundary="{boundary}"'], b"".join(pieces))


def _text_part(content_type: str, text: str) -> Part:
    """A body in UTF-8. Parameters except the charset are kept; a calendar gets its method (RFC 6047)."""
    kind, *parameters = (each.strip() for each in content_type.split(";"))
    parameters = [each for each in parameters if each and not each.lower().startswith("charset=")]
    method = _METHOD.search(text) if kind == "text/calendar" and not parameters else None
    if method:
        parameters = [f"method={method[1].upper()}"]
    raw = _crlf(text.encode("utf-8", "replace"))
    encoding, body = _encode_text(raw)
    return Part(
        [
            header("Content-Type", "; ".join([kind, "charset=utf-8", *parameters])),
            f"Content-Transfer-Encoding: {encoding}",
        ],
        body,
    )


def _encode_text(raw: bytes) -> tuple[str, bytes]:
    """The shortest 7-bit transfer encoding of a text with CRLF line endings, and the encoded text."""
    if is_sendable_as_is(raw):
        return "7bit", raw
    escapes = len(raw.translate(None, _PRINTABLE))
    if escapes * 6 <= len(raw):  # three bytes for one, instead of four for three in base64
        return "quoted-printable", b2a_qp(raw.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")
    return "base64", _base64(raw)


def is_sendable_as_is(raw: bytes) -> bool:
    """Is this text with CRLF line endings 7-bit, without control characters and long lines?"""
    return raw.isascii() and not raw.translate(None, _SEVEN_BIT) and not _has_long_line(raw)


def _has_long_line(raw: bytes) -> bool:
    """Has this text a line of more than 998 bytes including the line ending?"""
    start = 0
    while len(raw) - start > LONGEST_LINE - 2:
        # Leap to the last line ending within the limit, so that most lines are skipped.
        start = raw.rfind(b"\n", start, start + LONGEST_LINE) + 1
        if start == 0:
            return True
    return False


def _file_part(file: File) -> Part:
    """A file, exact to the byte, except that an attached mail gets CRLF line endings.

    message/rfc822 must not be encoded (RFC 2046, section 5.2.1), so a mail that is not 7-bit becomes a plain
    file.
    """
    content_type = file.content_type
    encoding, body = "base64", b""
    if mimetype(content_type) == "message/rfc822":
        body = _crlf(file.content)
        if is_sendable_as_is(body):
            encoding = "7bit"
        else:
            content_type = "application/octet-stream"
    if encoding == "base64":
        body = _base64(file.content)
    headers = [header("Content-Type", content_type), f"Content-Transfer-Encoding: {encoding}"]
    kind = "attachment"
    if file.content_id is not None:
        kind = "inline"
        headers.append(header("Content-ID", f"<{file.content_id}>"))
    headers.append("".join([f"Content-Disposition: {kind}", *_filename(file.name)]))
    return Part(headers, body)


def _filename(name: str) -> Iterator[str]:
    """The filename parameter: percent-encoded unless short and ASCII, split if it is long (RFC 2231)."""
    if not name:
        return
    if _SHORT_FILENAME.fullmatch(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        yield f';\r\n filename="{escaped}"'
        return
    pieces = _FILENAME_PIECES.findall(quote(name, safe="", encoding="utf-8", errors="replace"))
    for index, piece in enumerate(pieces):
        number = f"*{index}" if len(pieces) > 1 else ""
        charset = "" if index else "utf-8''"
        yield f";\r\n filename{number}*={charset}{piece}"


def mimetype(content_type: str) -> str:
    """A content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def _crlf(raw: bytes) -> bytes:
    """The text with CRLF line endings."""
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return raw.replace(b"\n", b"\r\n")


def _base64(raw: bytes) -> bytes:
    text = b64encode(raw)
    return b"\r\n".join([text[start : start + 76] for start in range(0, len(text), 76)])
