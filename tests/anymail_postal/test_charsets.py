"""Charset labels as found in mail, and the text that is meant."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal.charsets import decode, decode_html, find_codec
from tests.each import each

# text, and the codec that writes it -> labels under which mail programs send it
TEXTS = {
    ("“smart” – 5 € ü", "cp1252"): [
        "iso-8859-1",
        "ISO_8859-1:1987",
        "iso8859-1",
        "latin1",
        "l1",
        "windows-1252",
        "cp-1252",
        "x-cp1252",
        "win-1252",
        "Windows1252",
        '"iso-8859-1"',
        "'windows-1252'",
        "csISOLatin1",
        "us-ascii",
        "ANSI_X3.4-1968",
    ],
    ("Şişli “ö”", "cp1254"): ["iso-8859-9", "latin5", "windows-1254"],
    ("Zażółć gęślą", "iso8859-2"): ["iso-8859-2", "latin2", "ISO_8859-2:1987"],
    ("Zażółć gęślą", "cp1250"): ["windows-1250", "cp-1250", "x-cp1250"],
    ("5 € Œuvre", "iso8859-15"): ["iso-8859-15", "iso8859-15", "latin9"],
    ("Привет", "cp1251"): ["windows-1251", "cp1251", "win-1251", "x-cp1251"],
    ("Привет", "koi8-r"): ["koi8-r", "KOI8_R", "cskoi8r"],
    ("Привіт", "koi8-u"): ["koi8-u"],
    ("Привет", "mac-cyrillic"): ["x-mac-cyrillic", "x-mac-ukrainian"],
    ("Grüße", "mac-roman"): ["macintosh", "x-mac-roman"],
    ("Grüße", "cp850"): ["cp-850", "cp850", "ibm850", "IBM-850"],
    ("สวัสดี", "cp874"): ["windows-874", "iso-8859-11", "tis-620", "dos-874", "TIS620"],
    ("שלום", "iso8859-8"): ["iso-8859-8-i", "iso-8859-8", "iso-8859-8-e", "logical", "visual"],
    ("שלום", "cp1255"): ["windows-1255"],
    ("金曜日①髙橋", "cp932"): [
        "x-sjis",
        "shift_jis",
        "Shift-JIS",
        "sjis",
        "windows-31j",
        "ms_kanji",
        "cp932",
        "MS932",
        "SJIS-win",
    ],
    ("日本語テスト", "euc_jp"): ["euc-jp", "x-euc-jp", "cp51932", "ujis", "eucJP-ms", "eucJP-win"],
    ("テスト", "iso2022_jp"): [
        "iso-2022-jp",
        "_iso-2022-jp$ESC",
        "csISO2022JP",
        "cp50220",
        "iso-2022-jp-ms",
        "JIS",
    ],
    ("星期五朱镕基", "gb18030"): [
        "gb2312",
        "x-gbk",
        "gbk",
        "windows-936",
        "gb18030",
        "GB_2312-80",
        "cp936",
        "chinese",
    ],
    ("中文", "hz"): ["hz-gb-2312"],
    ("星期五", "big5hkscs"): ["big5", "x-x-big5", "Big5-HKSCS", "cn-big5", "cp950", "windows-950"],
    ("똠방각하", "cp949"): [
        "ks_c_5601-1987",
        "euc-kr",
        "x-windows-949",
        "korean",
        "uhc",
        "cp949",
        "ks_c_5601",
    ],
    ("한국", "iso2022_kr"): ["iso-2022-kr"],
    ("Grüße", "utf-8"): [
        "utf-8",
        "UTF8",
        "utf_8",
        "x-utf-8",
        "unicode-1-1-utf-8",
        "cp65001",
        "utf-8;",
        "us-ascii",
        "utf8mb4",
    ],
    ("Grüße", "utf-7"): ["utf-7"],
    ("Grüße", "utf-16-le"): ["utf-16le"],
}
CASES = [(label, text, codec) for (text, codec), labels in TEXTS.items() for label in labels]


@each("label, text, codec", CASES)
def test_label_means_what_mail_programs_mean_by_it(label, text, codec):
    assert decode(text.encode(codec), label) == text


JAPANESE = {
    "NEC's row 13": (b"\x1b$B-!HV\x1b(B ok", "iso-2022-jp", "①番 ok"),
    "between two lines": (b"a\r\n\x1b$B-!\x1b(B\r\nb", "iso-2022-jp", "a\r\n①\r\nb"),
    "half-width katakana": (b"\x1b(I1\x1b(B \x1b$B-!\x1b(B", "iso-2022-jp", "ｱ ①"),
    "EUC with row 13": (b"\xad\xa1\xc8\xd6 ok", "euc-jp", "①番 ok"),
    "EUC with katakana": (b"\x8e\xb1\xad\xa1", "euc-jp", "ｱ①"),
    "EUC with JIS X 0212": (b"\x8f\xb0\xa1\xad\xa1", "euc-jp", "丂①"),
}


@each("raw, label, text", JAPANESE.values(), ids=JAPANESE)
def test_japanese_has_the_characters_of_windows(raw, label, text):
    assert decode(raw, label) == text


@pytest.mark.parametrize("text", ["①②③ⅠⅡ㈱№", "髙﨑", "日本語、テスト。"])
def test_japanese_of_windows_comes_back_from_its_seven_bits(text):
    shifted = text.encode("cp932")
    rows = []
    for lead, trail in zip(shifted[::2], shifted[1::2], strict=True):
        row = (lead - (0x70 if lead < 0xA0 else 0xB0)) * 2 - (1 if trail < 0x9F else 0)
        cell = trail - (0x7E if trail >= 0x9F else 0x20 if trail > 0x7F else 0x1F)
        rows.append(bytes([row, cell]))
    if max(max(row) for row in rows) > 0x7E:
        pytest.skip("IBM's rows are beyond the 94 that seven bits have")
    assert decode(b"\x1b$B" + b"".join(rows) + b"\x1b(B", "iso-2022-jp") == text


@each(
    "label",
    [
        "idna",
        "punycode",
        "rot13",
        "base64",
        "unicode_escape",
        "raw_unicode_escape",
        "undefined",
        "mbcs",
        "zlib",
    ],
)
def test_codec_of_python_that_is_no_charset_is_unknown(label):
    assert find_codec(label) is None
    assert decode(b"Gr\xc3\xbc", label) == "Grü"


@each("label", [None, "", "x-unknown", "8bit", "unknown-8bit", "\0", "x" * 1000, "cp0", "é"])
def test_unknown_charset_is_utf_8_or_else_windows_1252(label):
    assert decode("Grüße".encode(), label) == "Grüße"
    assert decode(b"Gr\xfc 5 \x80", label) == "Grü 5 €"


@each("label", [None, "iso-8859-1", "windows-1252", "us-ascii"])
def test_no_byte_of_windows_1252_is_lost(label):
    text = decode(bytes(range(256)), label)
    assert len(set(text)) == 256
    assert "\N{REPLACEMENT CHARACTER}" not in text
    assert text[0x80:0x82] == "€\x81"


META = '<meta charset="windows-1251"><p>'
META_HTTP = "<META http-equiv=Content-Type content='text/html; charset=koi8-r'><p>"


@each(
    "raw, label, text",
    [
        ((META + "Привет").encode("cp1251"), None, META + "Привет"),
        ((META_HTTP + "Привет").encode("koi8-r"), None, META_HTTP + "Привет"),
        ((META + "Привет").encode(), None, META + "Привет"),
        ((META + "é").encode("cp1252"), "iso-8859-1", META + "é"),
        (b'<meta charset="utf-16"><p>\xe9', None, '<meta charset="utf-16"><p>é'),
        (b'<meta charset="x-none"><p>\xe9', None, '<meta charset="x-none"><p>é'),
        (b'<p charset="koi8-r">\xe9', None, '<p charset="koi8-r">é'),
        (b" " * 1024 + META.encode() + b"\xe9", None, " " * 1024 + META + "é"),
    ],
)
def test_html_without_a_label_says_its_charset_itself(raw, label, text):
    assert decode_html(raw, label) == text


@each("label", [None, "utf-8", "iso-8859-1", "gb2312"])
def test_mark_of_utf_8_says_more_than_the_label(label):
    assert decode("\N{BYTE ORDER MARK}Grüße".encode(), label) == "Grüße"


@given(st.binary(), st.sampled_from(CASES).map(lambda case: case[0]) | st.text())
def test_any_bytes_are_text_under_any_label(raw, label):
    assert isinstance(decode(raw, label), str)


@given(st.text())
def test_no_label_raises(label):
    codec = find_codec(label)
    assert codec in (None, "iso-2022-jp", "euc-jp") or codecs.lookup(codec)
