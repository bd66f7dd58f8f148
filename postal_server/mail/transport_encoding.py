"""Making a message fit for the wire: 7 bits, CRLF, lines of 998 octets, dots doubled.

Applied before signing; to mail that is forwarded, only as far as the peer needs it. Where nothing needs
repair the very same bytes come back, so that signatures of others stay valid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .header import find_body, set_field
from .header_encoding import encode_part_headers
from .mime import Part, parse, replace_ranges
from .transfer import MAX_LINE, choose, encode, encode_base64, has_long_line, to_crlf

_BARE_CR = re.compile(rb"\r(?!\n)")
_HEADER_LINE = 900  # octets of a header line that is folded anew; leaves room for what a relay adds


def has_8bit_header(raw: bytes) -> bool:
    """Does the header need SMTPUTF8 (RFC 6532)?"""
    return not raw[: find_body(raw, 0, len(raw))[0]].isascii()


def to_7bit(raw: bytes) -> bytes:
    """`raw` with every 8-bit body as quoted-printable or base64, for a peer without 8BITMIME (RFC 6152).

    8-bit text in headers is encoded as well. Other bytes stay, signed parts (RFC 1847 section 2.1) included.
    """
    if raw.isascii():
        return raw
    raw = _rewrite(raw, lambda part: not part.body.isascii())
    return raw if raw.isascii() else encode_part_headers(raw)


def repair_lines(raw: bytes) -> bytes:
    """`raw` with CRLF line ends and no line over 998 octets (RFC 5322 section 2.1.1, RFC 5321 section 2.3.8).

    A bare LF ends a line. A bare CR does so in the body; in the header, where it could turn one field into
    two, it becomes a blank.
    """
    line_ends = raw.count(b"\r\n")
    if raw.count(b"\n") != line_ends or raw.count(b"\r") != line_ends:
        body_start = find_body(raw, 0, len(raw))[1]
        raw = to_crlf(_BARE_CR.sub(b" ", raw[:body_start])) + to_crlf(raw[body_start:])
    if not has_long_line(raw):
        return raw
    header_end = find_body(raw, 0, len(raw))[0]
    if has_long_line(raw[:header_end]):
        raw = _fold_lines(raw[:header_end]) + raw[header_end:]
    raw = _rewrite(raw, lambda part: has_long_line(part.body))
    # Left are headers of parts, what stands around parts, and signed parts, which no host would take as they
    # are: Postfix folds their lines too (smtp_line_length_limit).
    return _fold_lines(raw) if has_long_line(raw) else raw


def dot_stuff(raw: bytes) -> bytes:
    """`raw` as it goes after DATA, without the final dot (RFC 5321 section 4.5.2).

    Lines end in CRLF, the last one too: another server could take a bare CR or LF for a line end, with a dot
    behind it for the end of the message, and what follows for commands (CVE-2023-51764 and its kin).
    """
    line_ends = raw.count(b"\r\n")
    if raw.count(b"\n") != line_ends or raw.count(b"\r") != line_ends:
        raw = to_crlf(raw)
    stuffed = raw.replace(b"\r\n.", b"\r\n..")
    if raw.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


def _fold_lines(text: bytes) -> bytes:
    """Lines over 998 octets folded at blanks, or, where there is none, cut."""
    return b"\r\n".join([piece for line in text.split(b"\r\n") for piece in _fold(line)])


def _fold(line: bytes) -> Iterator[bytes]:
    """The lines that `line` is folded into. Nothing is copied twice: a line may have 50 MB."""
    start, lead = 0, b""  # what a cut, as against a fold at a blank, puts in front
    while len(line) - start + len(lead) > MAX_LINE:
        limit = start + _HEADER_LINE - len(lead)
        blank = line.rfind(b" ", start + 1 - len(lead), limit)
        # A line of blanks alone is no fold (RFC 5322 section 3.2.2): the cut needs text before it.
        cut = blank if blank >= 0 and line[start:blank].strip() else limit
        yield lead + line[start:cut]
        start, lead = cut, b"" if line[cut : cut + 1] in (b" ", b"\t") else b" "
    yield lead + line[start:]


def _rewrite(raw: bytes, needs_encoding: Callable[[Part], bool]) -> bytes:
    """`raw` with each leaf for which `needs_encoding` encoded anew, and its containers labelled `7bit`."""
    root = parse(raw, into_messages=True)
    edits: list[tuple[int, int, bytes]] = []
    _collect(root, needs_encoding, edits)
    if not edits:
        return raw
    return replace_ranges(raw, edits)


def _collect(part: Part, needs_encoding: Callable[[Part], bool], edits: list[tuple[int, int, bytes]]) -> bool:
    """Add the edits for `part` and what is below it; was there any?"""
    if part.mime_type == "multipart/signed":
        return False
    if not part.children:
        if part.is_multipart or part.mime_type == "message/rfc822" or not needs_encoding(part):
            return False
        encoding, body = _encoded(part)
        edits += [_label(part, encoding), (part.body_start, part.end, body)]
        return True
    changed = [_collect(child, needs_encoding, edits) for child in part.children]
    if any(changed) and part.encoding in ("8bit", "binary"):
        edits.append(_label(part, "7bit"))
    return any(changed)


def _encoded(part: Part) -> tuple[str, bytes]:
    content = part.content
    if not part.mime_type.startswith(("text/", "message/")):
        return "base64", encode_base64(content).removesuffix(b"\r\n")
    content = to_crlf(content)
    encoding = choose(content)
    return encoding, encode(content, encoding)


def _label(part: Part, encoding: str) -> tuple[int, int, bytes]:
    """The edit that gives `part` its Content-Transfer-Encoding; a message also needs to say it is MIME."""
    header_end = find_body(part.raw, part.start, part.end)[0]
    header = part.raw[part.start : header_end]
    if part.start == 0 and "mime-version" not in part.fields:
        header = set_field(header, "MIME-Version", "1.0")
    return part.start, header_end, set_field(header, "Content-Transfer-Encoding", encoding)
