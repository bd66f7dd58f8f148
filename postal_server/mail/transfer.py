"""Content-Transfer-Encodings (RFC 2045 section 6): choosing, encoding and decoding."""

from __future__ import annotations

import binascii
import re
import string

MAX_LINE = 998  # octets without the CRLF, RFC 5322 section 2.1.1
QP_LINE = 73  # characters before the `=` of a soft line end, as Postal has it
BASE64_LINE = 60
BASE64_LINE_BYTES = BASE64_LINE // 4 * 3
BASE64_BLOCK = BASE64_LINE_BYTES * 1024
MAX_PIECES = 1000  # of base64 that was encoded piece by piece
MAX_BROKEN = 256_000  # bytes of base64 with something else in it that are searched for text behind it
MAX_ENCODING = 200  # characters of a Content-Transfer-Encoding that are read

# A byte that quoted-printable writes as itself: printable ASCII but `=`, blank, TAB, CR and LF.
_LITERAL_IN_QP = bytes(c for c in range(32, 127) if c != 61) + b"\t\r\n"
_NOT_LITERAL = re.compile(rb"[^\t\n -<>-~]")
_QP_ESCAPES = {bytes([c]): b"=%02X" % c for c in range(256)}
# A chunk must not end inside an escape: neither after `=` nor after its first digit.
_QP_CHUNK = re.compile(rb".{1,%d}(?<!=)(?<!=[0-9A-F])" % QP_LINE)
# Blanks behind the `=` were put there on the way (RFC 2045 section 6.7 rule 3).
_SOFT_LINE_END = re.compile(rb"=[ \t]+(?=\r?\n)")
_BASE64 = string.ascii_letters.encode() + string.digits.encode() + b"+/"
_BASE64_LINES = _BASE64 + b"=\r\n"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))
_NOT_PADDED_BASE64 = bytes(set(_NOT_BASE64) - set(b"="))
_PADDING = re.compile(rb"=+")
# Text begins where base64 cannot go on: at a line drawn below it, or at words that follow its padding.
_RULE = re.compile(rb"\n[ \t]*[-_*]{2}")
_WORDS = re.compile(rb"[^A-Za-z0-9+/=\s]|\S[ \t]+\S")

_ENCODINGS = frozenset(["", "7bit", "8bit", "binary", "quoted-printable", "base64"])
_BY_LETTERS = {"base64": "base64", "quotedprintable": "quoted-printable"}
_COMMENT = re.compile(r"\([^()]*\)")
_ENCODING_WORD = re.compile(r"[a-z0-9][a-z0-9_-]*(?: printable)?")


def has_long_line(data: bytes) -> bool:
    """Is a line longer than 998 octets? Looks at one byte range per 999, so it costs next to nothing."""
    start, end = 0, len(data)
    while end - start > MAX_LINE:
        line_end = data.rfind(b"\n", start, start + MAX_LINE + 1)
        if line_end < 0:
            if data[start + MAX_LINE : start + MAX_LINE + 2] != b"\r\n":
                return True
            line_end = start + MAX_LINE + 1
        start = line_end + 1
    return False


def is_7bit(data: bytes) -> bool:
    """May `data`, with its CRLF line ends, go out as it is (RFC 2045 section 2.7)?"""
    return data.isascii() and b"\0" not in data and not has_long_line(data)


def choose(data: bytes) -> str:
    """The cheapest encoding for text: `7bit`, `quoted-printable` or `base64` (contract 1.8 rule 8)."""
    if is_7bit(data):
        return "7bit"
    escaped = len(data.translate(None, _LITERAL_IN_QP))
    qp_cost = len(data) + 2 * escaped
    return "quoted-printable" if 3 * qp_cost <= 4 * len(data) else "base64"


def to_crlf(data: bytes) -> bytes:
    """`data` with every CRLF, CR and LF as CRLF."""
    data = data.replace(b"\r\n", b"\n")
    if b"\r" in data:
        data = data.replace(b"\r", b"\n")
    return data.replace(b"\n", b"\r\n")


def to_lf(data: bytes) -> bytes:
    """`data` with every CRLF and CR as LF."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def encode(data: bytes, encoding: str) -> bytes:
    """`data` in a transfer encoding that `choose` names."""
    if encoding == "base64":
        return encode_base64(data)
    if encoding == "quoted-printable":
        return encode_quoted_printable(data)
    return data


def encode_base64(data: bytes) -> bytes:
    """Base64 in lines of 60 characters, each with its CRLF."""
    return bytes(base64_lines(data, b"\r\n"))


def base64_lines(data: bytes, line_end: bytes) -> bytearray:
    """Base64 in lines of 60 characters, each with its line end.

    Written in pieces into memory of the final size, for the sake of large files.
    """
    lines = -(-len(data) // BASE64_LINE_BYTES)
    text = bytearray(-(-len(data) // 3) * 4 + lines * len(line_end))
    end = 0
    for start in range(0, len(data), BASE64_BLOCK):
        block = binascii.b2a_base64(data[start : start + BASE64_BLOCK], newline=False)
        piece = b"".join([block[i : i + BASE64_LINE] + line_end for i in range(0, len(block), BASE64_LINE)])
        begin, end = end, end + len(piece)
        text[begin:end] = piece
    return text


def encode_quoted_printable(data: bytes) -> bytes:
    """Quoted-printable. CRLF stay line ends; a text without a final one ends in a soft line end."""
    escaped = _NOT_LITERAL.sub(lambda match: _QP_ESCAPES[match[0]], data.replace(b"\r\n", b"\n"))
    # RFC 2045 section 6.7 rule 3: a blank at the end of a line is encoded.
    escaped = escaped.replace(b" \n", b"=20\n").replace(b"\t\n", b"=09\n")
    lines = [
        line if len(line) <= QP_LINE else b"=\r\n".join(_QP_CHUNK.findall(line))
        for line in escaped.split(b"\n")
    ]
    text = b"\r\n".join(lines)
    return text if not lines[-1] else text + b"=\r\n"


def encoding_name(value: str) -> str:
    """The encoding that a Content-Transfer-Encoding names, in lower case.

    It comes with comments (`base64 (by hand)`), quotes, stray semicolons, and as `base-64`.
    """
    name = value.strip().lower()
    if name in _ENCODINGS:
        return name
    word = _ENCODING_WORD.search(_COMMENT.sub(" ", name[:MAX_ENCODING]))
    name = word[0] if word else ""
    return _BY_LETTERS.get(re.sub("^x-|[ _-]", "", name), name)


def decode(data: bytes, encoding: str) -> bytes:
    """`data` without its transfer encoding. Never raises: what cannot be decoded is skipped.

    An unknown encoding counts as none.
    """
    encoding = encoding_name(encoding)
    if encoding == "base64":
        return decode_base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(_SOFT_LINE_END.sub(b"=", data) if b"= " in data or b"=\t" in data else data)
    return data


def decode_base64(data: bytes) -> bytes:
    """Base64, decoded leniently: other characters are skipped, an incomplete end is dropped.

    Text after the base64 is left out. Padding in the middle means that it was encoded in pieces.
    """
    kept = data.translate(None, _NOT_BASE64)
    lines = data.count(b"\n")
    others = len(data) - len(kept) - lines
    # The ordinary case: nothing but the CRs, or none, and the padding.
    if (others <= 2 or lines <= others <= lines + 2) and _ends_at_padding(data):
        return _decode_piece(kept)
    kept = split_base64(data)[0].translate(None, _NOT_PADDED_BASE64)
    pieces = _PADDING.split(kept.rstrip(b"="), maxsplit=MAX_PIECES)
    if any(len(piece) % 4 < 2 for piece in pieces[:-1]):  # no padding, but a stray `=`
        pieces = [b"".join(pieces)]
    return b"".join(_decode_piece(piece.replace(b"=", b"")) for piece in pieces)


def _ends_at_padding(data: bytes) -> bool:
    padding = data.find(b"=")
    return padding < 0 or not data[padding:].strip(b"=\r\n")


def _decode_piece(kept: bytes) -> bytes:
    kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def is_base64(data: bytes) -> bool:
    """Is there nothing but base64 in lines?"""
    return not data.translate(None, _BASE64_LINES)


def split_base64(data: bytes) -> tuple[bytes, bytes]:
    """Base64 and the text behind it, such as the footer of a mailing list that does not look at encodings."""
    if len(data) > MAX_BROKEN:
        return data, b""
    rule = _RULE.search(data)
    end = rule.start() + 1 if rule else len(data)
    padding = _PADDING.search(data, 0, end)
    if padding and _WORDS.search(data, padding.end()):
        end = padding.end()
    return data[:end], data[end:]
