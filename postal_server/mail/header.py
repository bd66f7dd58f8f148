"""Header fields of a raw message, read and changed without parsing its body."""

from __future__ import annotations

import binascii
import re
from functools import cached_property
from itertools import islice

from .charset import decode, decode_undeclared

MAX_SUBJECT = 2000  # bytes of one that is looked through for words
MAX_WORDS = 2000  # encoded words of one value
MAX_FIELDS = 10_000  # what follows them is not looked at
# Above what can be configured, so that all accepted fields, and those added here, are read.
MAX_ACCEPTED_FIELDS = 9_000

_ENCODED_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]*)?\?([BbQq])\?([^?]*)\?=")
_ONLY_BLANKS = re.compile(r"[ \t]+\Z")


def split_header(raw: bytes) -> tuple[bytes, bytes]:
    """The header fields, each with its line end, and the body after the first empty line.

    Without an empty line all is header and the body is empty. CRLF and bare LF both end lines.
    """
    header_end, body_start = find_body(raw, 0, len(raw))
    return raw[:header_end], raw[body_start:]


def find_body(raw: bytes | bytearray, start: int, end: int) -> tuple[int, int]:
    """Where the header fields of the message or part in `raw[start:end]` end, and where its body begins."""
    if raw.startswith(b"\r\n", start, end):
        return start, start + 2
    if raw.startswith(b"\n", start, end):
        return start, start + 1
    crlf = raw.find(b"\n\r\n", start, end)
    lf = raw.find(b"\n\n", start, crlf + 1 if crlf >= 0 else end)
    if lf >= 0:
        return lf + 1, lf + 2
    return (crlf + 1, crlf + 3) if crlf >= 0 else (end, end)


def unfold(header_block: bytes) -> bytes:
    """The block with LF line ends and every field on one line; the blank or TAB of a fold stays."""
    return header_block.replace(b"\r\n", b"\n").replace(b"\n ", b" ").replace(b"\n\t", b"\t")


def is_header_too_large(raw: bytes | bytearray, max_bytes: int, max_fields: int) -> bool:
    """Has a message, or as much of it as has arrived, a header of more bytes or fields than these?

    No more of it is looked at. A bare CR begins a field as well, as it will when line ends are repaired.
    """
    max_fields = min(max_fields, MAX_ACCEPTED_FIELDS)
    if raw.find(b"\r\n\r\n", 0, min(max_bytes, max_fields)) >= 0:
        return False  # the ordinary case: too short for that
    end = find_body(raw, 0, min(len(raw), max_bytes + 2))[0]  # 2: the empty line behind a header that fits
    if end > max_bytes:
        return True
    if raw.count(b"\n", 0, end) + raw.count(b"\r", 0, end) <= max_fields:
        return False
    block = raw[:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return block.count(b"\n") - block.count(b"\n ") - block.count(b"\n\t") > max_fields


def header_fields(raw: bytes, limit: int = MAX_FIELDS) -> list[tuple[str, bytes]]:
    """The first `limit` fields as (name, unfolded value without outer blanks), in order.

    Lines that are no field are left out. Names keep their case.
    """
    fields = []
    for line in unfold(raw[: find_body(raw, 0, len(raw))[0]]).split(b"\n"):  # the body is not copied
        name, colon, value = line.partition(b":")
        if colon and (name := name.rstrip(b" \t")):
            fields.append((name.decode("utf-8", "replace"), value.strip(b" \t\r")))
            if len(fields) == limit:
                break
    return fields


def header_values(raw: bytes, name: str) -> list[str]:
    """The values of every field called `name`, in order, unfolded but not RFC 2047-decoded.

    Addresses must be read from this and never from decoded text, which could hold commas and brackets
    of its own. Bytes that are not UTF-8 become U+FFFD.
    """
    return [value.decode("utf-8", "replace") for value in _values(raw, name)]


def _values(raw: bytes, name: str) -> list[bytes]:
    wanted = name.lower()
    return [value for key, value in header_fields(raw) if key.lower() == wanted]


class Fields:
    """The fields of a header, read once for those who ask for many; their names in lower case."""

    def __init__(self, header: bytes, limit: int = MAX_FIELDS) -> None:
        self._fields = [(name.lower(), value) for name, value in header_fields(header, limit)]

    @cached_property
    def all(self) -> list[tuple[str, str]]:
        """All of them, with values as those of `header_values`."""
        return [(name, value.decode("utf-8", "replace")) for name, value in self._fields]

    def values(self, name: str) -> list[str]:
        """The values of every field with this name, which is in lower case."""
        return [value for key, value in self.all if key == name]

    @cached_property
    def subject(self) -> str:
        """The beginning of the Subject, decoded; the last one counts. Empty without one."""
        values = [value for name, value in self._fields if name == "subject"]
        return decode_header(values[-1][:MAX_SUBJECT]) if values else ""


def first(raw: bytes, name: str) -> str | None:
    """The topmost value of `name`, or None: the one that the server itself has prepended, if any."""
    return next(iter(header_values(raw, name)), None)


def last(raw: bytes, name: str) -> str | None:
    """The lowest value of `name`, or None. Postal lets the last of repeated fields count."""
    return next(reversed(header_values(raw, name)), None)


def subject(raw: bytes) -> str | None:
    """The Subject, decoded, or None."""
    values = _values(raw, "Subject")
    return decode_header(values[-1]) if values else None


def message_id(raw: bytes) -> str | None:
    """The Message-ID without its angle brackets, or None."""
    values = _values(raw, "Message-ID")
    return bare_message_id(decode_undeclared(values[-1])) if values else None


def bare_message_id(value: str) -> str | None:
    """The Message-ID in a field's value, without its angle brackets; None if there is nothing in it."""
    return value.partition("<")[2].partition(">")[0].strip() or value.strip("<> \t") or None


def decode_header(value: bytes | str) -> str:
    """A header value with its RFC 2047 encoded words decoded. Never raises.

    Blanks between two encoded words go; words of one charset are joined before decoding, because some
    senders split characters. Other text stays as it is, and so do encoded words after the first 2000.
    """
    text = decode_undeclared(value) if isinstance(value, bytes) else value.replace("\0", "")
    if "=?" not in text:
        return text
    decoded: list[str] = []
    pending, charset = b"", ""
    position = 0
    for match in islice(_ENCODED_WORD.finditer(text), MAX_WORDS):
        data = _decode_word(match[2], match[3])
        if data is None:
            continue
        between = text[position : match.start()]
        if not pending or not _ONLY_BLANKS.match(between):
            decoded += [decode(pending, charset), between]
            pending = b""
        elif match[1].lower() != charset:
            decoded.append(decode(pending, charset))
            pending = b""
        charset = match[1].lower()
        pending += data
        position = match.end()
    return "".join([*decoded, decode(pending, charset or "utf-8"), text[position:]])


def _decode_word(encoding: str, payload: str) -> bytes | None:
    """The bytes of an encoded word's payload, or None where it cannot be decoded."""
    data = payload.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    try:
        return binascii.a2b_base64(data + b"=" * (-len(data) % 4))
    except binascii.Error:
        return None


def _field_pattern(name: str) -> re.Pattern[bytes]:
    """Matches a whole field in a header block, its folds and its line end included."""
    return re.compile(rb"(?im)^%s[ \t]*:.*(?:\n[ \t].*)*(?:\n|\Z)" % re.escape(name.encode("ascii")))


def remove_header(raw: bytes, name: str) -> bytes:
    """`raw` without any field called `name`; every other byte stays."""
    end = find_body(raw, 0, len(raw))[0]
    header, count = _field_pattern(name).subn(b"", raw[:end])
    return header + raw[end:] if count else raw


def set_field(header_block: bytes, name: str, value: str) -> bytes:
    """The block with a single field `name`, in the place of its first one or at the end."""
    line = f"{name}: {value}\r\n".encode()
    pattern = _field_pattern(name)
    match = pattern.search(header_block)
    if match is None:
        return header_block + line
    return header_block[: match.start()] + line + pattern.sub(b"", header_block[match.end() :])


def prepend(raw: bytes, headers: bytes) -> bytes:
    """`raw` with `headers`, complete lines each with its CRLF, put first."""
    return headers + raw
