"""Decode text by the charset labels in mail.

Labels have the meaning that they have for browsers and mail programs: a superset of Windows if there is one,
so that "iso-8859-1" is windows-1252, and "gb2312" is GB 18030. Source: WHATWG Encoding, section 4.2.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import lru_cache

MAX_LABEL = 60  # characters

# Labels in lower case without punctuation, for which Python has another name or a smaller set.
_CODECS = {
    "ascii": "ascii",
    "usascii": "ascii",
    "ansix341968": "ascii",
    "iso646us": "ascii",
    "latin1": "cp1252",
    "l1": "cp1252",
    "latin5": "cp1254",
    "l5": "cp1254",
    "tis620": "cp874",
    "unicode11utf8": "utf-8",
    "unicode": "utf-16",
    "sjis": "cp932",
    "shiftjis": "cp932",
    "mskanji": "cp932",
    "sjiswin": "cp932",
    "csshiftjis": "cp932",
    "windows31j": "cp932",
    "cswindows31j": "cp932",
    "gb2312": "gb18030",
    "gb231280": "gb18030",
    "csgb2312": "gb18030",
    "csiso58gb231280": "gb18030",
    "isoir58": "gb18030",
    "chinese": "gb18030",
    "gbk": "gb18030",
    "euccn": "gb18030",
    "cngb": "gb18030",
    "hzgb2312": "hz",
    "big5": "big5hkscs",
    "csbig5": "big5hkscs",
    "cnbig5": "big5hkscs",
    "euckr": "cp949",
    "cseuckr": "cp949",
    "korean": "cp949",
    "isoir149": "cp949",
    "ksc5601": "cp949",
    "ksc56011987": "cp949",
    "ksc56011989": "cp949",
    "uhc": "cp949",
    "eucjp": "euc-jp",
    "cseucpkdfmtjapanese": "euc-jp",
    "ujis": "euc-jp",
    "eucjpms": "euc-jp",
    "eucjpwin": "euc-jp",
    "iso2022jp": "iso-2022-jp",
    "csiso2022jp": "iso-2022-jp",
    "iso2022jp1": "iso-2022-jp",
    "iso2022jpms": "iso-2022-jp",
    "jis": "iso-2022-jp",
    "jisms": "iso-2022-jp",
    "visual": "iso8859-8",
    "logical": "iso8859-8",
    "macintosh": "mac-roman",
    "mac": "mac-roman",
    "macukrainian": "mac-cyrillic",
}
_CODE_PAGES = {
    "932": "cp932",
    "936": "gb18030",
    "949": "cp949",
    "950": "big5hkscs",
    "10000": "mac-roman",
    "20127": "ascii",
    "20866": "koi8-r",
    "20932": "euc-jp",
    "21866": "koi8-u",
    "50220": "iso-2022-jp",
    "50221": "iso-2022-jp",
    "50222": "iso-2022-jp",
    "51932": "euc-jp",
    "51936": "gb18030",
    "51949": "cp949",
    "52936": "hz",
    "54936": "gb18030",
    "65000": "utf-7",
    "65001": "utf-8",
}
_ISO_8859 = {"1": "cp1252", "9": "cp1254", "11": "cp874"}
_CODE_PAGE = re.compile(r"(?:windows|win|cp|ibm|dos|mscp|cpibm)?(\d{3,5})")
_ISO = re.compile(r"(?:cs)?iso8859(\d{1,2})[ei]?")
# Python has codecs that are not charsets, some of which take time that grows with the square of the length.
_IS_CHARSET = re.compile(
    r"ascii|utf-(?:7|8|8-sig|(?:16|32)(?:-[bl]e)?)|iso8859-\d+|iso2022_\w+|cp\d+|koi8-[rtu]|mac-\w+|big5\w*"
    r"|euc_\w+|gb\w+|hz|johab|shift_\w+|kz1048|tis-620|ptcp154|hp-roman8"
)


def decode(raw: bytes, label: str | None) -> str:
    """The text in `raw`. Bytes that are invalid in the charset become U+FFFD.

    With the label ASCII, an unknown label or None, it is UTF-8 if it is valid, or else windows-1252.
    """
    if raw.startswith(codecs.BOM_UTF8):  # takes precedence over any label
        return raw.decode("utf-8-sig", "replace")
    codec = find_codec(label) if label else None
    if codec == "iso-2022-jp":
        return _decode_iso_2022_jp(raw)
    if codec == "euc-jp":
        return _decode_euc_jp(raw)
    if codec in (None, "ascii"):
        try:
            return raw.decode()
        except UnicodeDecodeError:
            codec = "cp1252"
    return _decode_windows_1252(raw) if codec == "cp1252" else raw.decode(codec, "replace")


_META = re.compile(rb"""<meta\b[^<>]{0,200}?\bcharset\s*=\s*["']?\s*([\w:.-]{1,40})""", re.IGNORECASE)
_META_WITHIN = 1024  # bytes (WHATWG HTML, section 13.2.3.2)


def decode_html(raw: bytes, label: str | None) -> str:
    """As `decode`, but without a label the charset is UTF-8, or else that of the HTML's `meta`."""
    found = None if label else _META.search(raw[:_META_WITHIN])
    if found is None or found[1].lower().startswith(b"utf-16"):  # the `meta` itself shows that it is not
        return decode(raw, label)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return decode(raw, found[1].decode("ascii"))


# The five bytes that windows-1252 does not define are controls as in Latin-1, so that no byte is lost.
_WINDOWS_1252 = {byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xA0)}


def _decode_windows_1252(raw: bytes) -> str:
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:
        return raw.decode("latin-1").translate(_WINDOWS_1252)


@lru_cache(maxsize=256)
def find_codec(label: str) -> str | None:
    """Python's name of a charset, None if it is unknown; "iso-2022-jp" and "euc-jp" are for `decode`."""
    if len(label) > MAX_LABEL:
        return None
    # "iso-8859-1:1987", "'utf-8'", "_iso-2022-jp$ESC": as found in mail.
    plain = label.lower().partition(":")[0].partition("$")[0]
    squeezed = re.sub(r"[^a-z0-9]", "", plain)
    squeezed = squeezed.lstrip("x") if squeezed.startswith("x") else squeezed
    if squeezed in _CODECS:
        return _CODECS[squeezed]
    iso, page = _ISO.fullmatch(squeezed), _CODE_PAGE.fullmatch(squeezed)
    if iso:
        return _ISO_8859.get(iso[1]) or _charset(f"iso8859-{iso[1]}")
    if page:
        return _CODE_PAGES.get(page[1]) or _charset(f"cp{page[1]}")
    return _charset(plain.strip(" _'\"")) or _charset(squeezed)


def _charset(name: str) -> str | None:
    """Python's name of a codec, None if that is not a charset."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return None
    if not _IS_CHARSET.fullmatch(found):
        return None
    return _ISO_8859.get(found.removeprefix("iso8859-"), found)


# --- Japanese, with Windows' extensions by NEC and IBM ---

_ESCAPE = re.compile(rb"\x1b(\([BJIH]|\$[@B]|\$\(D)")
_DOUBLE_BYTES = re.compile(rb"(?:[\x21-\x7e]{2})+")
_EUC_CHARACTERS = re.compile(rb"\x8e[\xa1-\xdf]|\x8f[\xa1-\xfe]{2}|(?:[\xa1-\xfe]{2})+")
_TO_EUC = bytes(byte | 0x80 for byte in range(256))
_FROM_EUC = bytes(byte & 0x7F for byte in range(256))
# JIS X 0208 to Shift_JIS: two rows of 94 become one of 188.
_LEAD = bytes(((row + 1) // 2 + (0x70 if row < 0x5F else 0xB0)) & 0xFF for row in range(256))
_TRAIL_ODD = bytes((cell + (0x1F if cell < 0x60 else 0x20)) & 0xFF for cell in range(256))
_TRAIL_EVEN = bytes((cell + 0x7E) & 0xFF for cell in range(256))


def _decode_iso_2022_jp(raw: bytes) -> str:
    try:
        return raw.decode("iso2022_jp")
    except UnicodeDecodeError:
        pass
    ascii_text, *escaped = _ESCAPE.split(raw)
    texts = [ascii_text.decode("ascii", "replace")]
    for escape, text in zip(escaped[::2], escaped[1::2], strict=True):
        if escape in (b"$@", b"$B"):
            texts.append(_replaced(_DOUBLE_BYTES, text, "ascii", _decode_jis))
        elif escape == b"(I":
            texts.append(text.translate(_TO_EUC).decode("cp932", "replace"))
        elif escape == b"$(D":
            texts.append((b"\x1b$(D" + text).decode("iso2022_jp_1", "replace"))
        else:
            texts.append(text.decode("ascii", "replace"))
    return "".join(texts)


def _decode_euc_jp(raw: bytes) -> str:
    try:
        return raw.decode("euc_jp")
    except UnicodeDecodeError:
        return _replaced(_EUC_CHARACTERS, raw, "ascii", _decode_euc_characters)


def _decode_euc_characters(raw: bytes) -> str:
    if raw[:1] in (b"\x8e", b"\x8f"):  # half-width katakana, JIS X 0212
        return raw.decode("euc_jp", "replace")
    return _decode_jis(raw.translate(_FROM_EUC))


def _replaced(
    pattern: re.Pattern[bytes], raw: bytes, codec: str, decode_match: Callable[[bytes], str]
) -> str:
    """The text of `raw` in a codec, except for matches of `pattern`, which `decode_match` decodes."""
    texts, position = [], 0
    for match in pattern.finditer(raw):
        texts += [raw[position : match.start()].decode(codec, "replace"), decode_match(match[0])]
        position = match.end()
    return "".join([*texts, raw[position:].decode(codec, "replace")])


def _decode_jis(double: bytes) -> str:
    """The text of two-byte characters of JIS X 0208, including the rows of NEC and IBM."""
    rows, cells = double[::2], double[1::2]
    pairs = zip(rows, cells.translate(_TRAIL_ODD), cells.translate(_TRAIL_EVEN), strict=True)
    shifted = bytearray(len(double))
    shifted[::2] = rows.translate(_LEAD)
    shifted[1::2] = bytes(odd if row & 1 else even for row, odd, even in pairs)
    return shifted.decode("cp932", "replace")
