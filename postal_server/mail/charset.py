"""Bytes of mail as text, by the charset labels that mail programs use.

Labels are those of the WHATWG Encoding standard, which covers the supersets that Windows sends under the
names of others (`iso-8859-1` is windows-1252, `gb2312` gb18030), and those that only mail has.
Text made here fits into every database: it contains neither NUL, which PostgreSQL rejects, nor lone
surrogates, which cannot be encoded as UTF-8.
"""

from __future__ import annotations

import codecs
import encodings.aliases
import re
from functools import lru_cache

import webencodings

MAX_LABEL = 100  # characters; the longest in use has 45
MAX_SHIFTS = 50_000  # runs of Japanese in one text that are translated one by one

# Labels that the standard lacks or uses differently, without punctuation.
_OF_MAIL = {
    "hzgb2312": "hz",
    "iso2022kr": "iso2022_kr",
    "csiso2022kr": "iso2022_kr",
    "cp50220": "iso2022_jp",
    "cp50221": "iso2022_jp",
    "cp50222": "iso2022_jp",
    "cp51932": "euc_jp",
    "iso2022jpms": "iso2022_jp",
    "jis": "iso2022_jp",
    "jisms": "iso2022_jp",
    "eucjpms": "euc_jp",
    "eucjpwin": "euc_jp",
    "sjiswin": "cp932",
    "unicode11utf7": "utf_7",
    "unicode20utf7": "utf_7",
    "utf16": "utf_16",  # by its byte order mark, if there is one
    "ucs2": "utf_16",
    "unicode": "utf_16",
    "macce": "mac_latin2",
    "maccentraleurroman": "mac_latin2",
    "macicelandic": "mac_iceland",
    "maccroatian": "mac_croatian",
    "macromanian": "mac_romanian",
    "macfarsi": "mac_farsi",
    "macarabic": "mac_arabic",
    "macjapanese": "cp932",
    "mackorean": "cp949",
    "macchinesesimp": "gb18030",
    "macchinesetrad": "big5hkscs",
    "cp65001": "utf_8",
    "utf": "utf_8",
    "utf8mac": "utf_8",
    "utf8mb3": "utf_8",
    "utf8mb4": "utf_8",
    "utf8sig": "utf_8",
}
# Names under which a superset of the charset is sent.
_SUPERSETS = {
    "big5": "big5hkscs",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "shift_jis": "cp932",
    "tis-620": "cp874",
}
# `ascii` means nothing for 8-bit text. The standard's other two are no charsets of mail.
_UNUSABLE = frozenset(["ascii", "replacement", "x-user-defined"])
_PUNCTUATION = re.compile(r"[^a-z0-9]+")
_FIRST_WORD = re.compile(r"[^a-z0-9]*(?:charset\s*=[^a-z0-9]*)?([a-z0-9][a-z0-9._:+-]*)")
_CODE_PAGE = re.compile(r"(?:win|windows|ms|ibm|dos|cp|mscp)0*(\d+)\Z")


def decode(data: bytes, label: str | None) -> str:
    """`data` as text. Never raises: what cannot be decoded becomes U+FFFD; a meaningless label is ignored."""
    codec = codec_of(label) if label else None
    if codec is None:
        return decode_undeclared(data)
    if codec in _JAPANESE:
        return _decode_japanese(data, codec).replace("\0", "")
    try:
        text = _decode_windows_1252(data) if codec == "cp1252" else data.decode(codec, "replace")
    except ValueError:
        return decode_undeclared(data)
    if codec == "utf-7":  # it can spell half a character
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "") if "\0" in text else text


def decode_undeclared(data: bytes, likely: str | None = None) -> str:
    """8-bit text whose charset is not declared: UTF-8 if it is valid UTF-8, else windows-1252.

    Between the two, the charset with the label `likely` if it fits: that of a text beside it.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = (_decode_likely(data, likely) if likely else None) or _decode_windows_1252(data)
    return text.replace("\0", "") if "\0" in text else text


def _decode_likely(data: bytes, label: str) -> str | None:
    """`data` in the charset of this label, or None if it cannot be that, or is not one of bytes."""
    codec = codec_of(label)
    if codec is None or codec.replace("-", "_").startswith("utf_"):
        return None
    text = decode(data, label)
    return None if "\ufffd" in text else text


# In the standard the five bytes that Python's codec lacks are controls, so no byte is lost.
_WINDOWS_1252 = {byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xA0)}


def _decode_windows_1252(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1").translate(_WINDOWS_1252)


def storable(text: str) -> str:
    """`text` made fit for every database; for text that was not decoded here."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def codec_of(label: str) -> str | None:
    """The Python codec for a label, or None if it names no text charset that we have.

    Labels come with quotes, comments and worse: `"utf-8"`, `utf-8 (Unicode)`, `_iso-2022-jp$ESC`. No unknown
    name is passed to Python, which would look for a module of that name.
    """
    return _codec_of(label[:MAX_LABEL].lower())


@lru_cache(maxsize=512)
def _codec_of(label: str) -> str | None:
    word = _FIRST_WORD.match(label)
    names = [label, word[1] if word else "", word[1].removeprefix("x-") if word else ""]
    for name in dict.fromkeys(names):
        if codec := _known(name.strip()):
            return None if codec in _UNUSABLE else _SUPERSETS.get(codec, codec)
    return None


def _known(name: str) -> str | None:
    """The codec for a cleaned label, by the name that Python calls it, before supersets are taken."""
    squashed = _PUNCTUATION.sub("", name).removeprefix("cs")
    if page := _CODE_PAGE.match(squashed):
        squashed = f"cp{page[1]}"
    python = _OF_MAIL.get(squashed.removeprefix("x")) or _codecs_of_python().get(squashed)
    encoding = None if python == "ascii" or squashed in _OF_MAIL else webencodings.lookup(name)
    if encoding:
        return encoding.codec_info.name
    return codecs.lookup(python).name if python else None


@lru_cache(maxsize=1)
def _codecs_of_python() -> dict[str, str]:
    """Codecs of text by their names without punctuation."""
    aliases = encodings.aliases.aliases
    names = {**aliases, **{codec: codec for codec in aliases.values()}}
    return {
        _PUNCTUATION.sub("", name): codec
        for name, codec in names.items()
        if not codec.endswith("_codec") and codec not in ("rot_13", "mbcs")
    }


# Japanese text of Windows has characters (circled numbers, some names) that Python's codecs lack.

_SHIFTED = re.compile(rb"\x1b(?:\$[@B]((?:[!-~]{2})*)|\(I([!-_]*)|\([BJH])")
_PAIRS = re.compile(rb"((?:[\xa1-\xfe]{2})+)|\x8e([\xa1-\xdf])")
_JAPANESE = {"iso2022_jp": _SHIFTED, "euc_jp": _PAIRS}

_TO_7BIT = bytes(c & 0x7F for c in range(256))
_TO_8BIT = bytes(c | 0x80 for c in range(256))


def _leads() -> bytes:
    """The first byte in Shift JIS for each row of JIS X 0208."""
    return bytes(((c - 0x21) // 2 + 0x81 + (0x40 if c > 0x5E else 0)) & 0xFF for c in range(256))


_LEADS = _leads()
_ODD_ROWS = bytes((c + 0x1F + (c > 0x5F)) & 0xFF for c in range(256))
_EVEN_ROWS = bytes((c + 0x7E) & 0xFF for c in range(256))
_IS_ODD = bytes(0xFF if c & 1 else 0 for c in range(256))


def _decode_japanese(data: bytes, codec: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return _JAPANESE[codec].sub(_to_shift_jis, data, count=MAX_SHIFTS).decode("cp932", "replace")


def _to_shift_jis(match: re.Match[bytes]) -> bytes:
    """The characters in a run of EUC-JP or ISO-2022-JP, in Shift JIS."""
    if match[2]:
        return match[2].translate(_TO_8BIT)
    pairs = (match[1] or b"").translate(_TO_7BIT)
    rows, cells = pairs[::2], pairs[1::2]
    odd = int.from_bytes(rows.translate(_IS_ODD), "big")
    seconds = (int.from_bytes(cells.translate(_ODD_ROWS), "big") & odd) | (
        int.from_bytes(cells.translate(_EVEN_ROWS), "big") & ~odd
    )
    text = bytearray(len(pairs))
    text[::2] = rows.translate(_LEADS)
    text[1::2] = seconds.to_bytes(len(cells), "big")
    return bytes(text)
