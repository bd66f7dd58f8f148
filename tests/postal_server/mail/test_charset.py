import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail import charset
from postal_server.mail.charset import codec_of, decode, decode_undeclared, storable
from tests.each import each

GERMAN, JAPANESE, CHINESE, KOREAN = "Grüße", "テスト", "星期五", "안녕"


@each(
    "label, text, codec",
    [
        ("utf-8", GERMAN, "utf-8"),
        ("UTF8", GERMAN, "utf-8"),
        ("utf8mb4", GERMAN, "utf-8"),
        ("x-utf-8", GERMAN, "utf-8"),
        ('"utf-8"', GERMAN, "utf-8"),
        ("'utf-8'", GERMAN, "utf-8"),
        ("utf-8 (Unicode)", GERMAN, "utf-8"),
        ("utf-8;", GERMAN, "utf-8"),
        ("charset=utf-8", GERMAN, "utf-8"),
        ("utf 8", GERMAN, "utf-8"),
        ("iso-8859-1", "“smart” 5 €", "cp1252"),
        ("latin1", "–", "cp1252"),
        ("iso_8859-1:1987", "–", "cp1252"),
        ("cp-1252", "–", "cp1252"),
        ("iso-8859-9", "ğ–", "cp1254"),
        ("iso-8859-8-i", "שלום", "iso8859-8"),
        ("iso-8859-8-e", "שלום", "iso8859-8"),
        ("iso-8859-15", "€", "iso8859-15"),
        ("windows-874", "สวัสดี", "cp874"),
        ("tis-620", "สวัสดี…", "cp874"),
        ("iso-8859-11", "สวัสดี…", "cp874"),
        ("win-1251", "Привет", "cp1251"),
        ("koi8-u", "Привіт", "koi8-u"),
        ("cp-850", GERMAN, "cp850"),
        ("ibm850", GERMAN, "cp850"),
        ("x-mac-roman", GERMAN, "mac-roman"),
        ("macintosh", GERMAN, "mac-roman"),
        ("x-mac-cyrillic", "Привет", "mac-cyrillic"),
        ("x-mac-ce", "Žluť", "mac-latin2"),
        ("x-mac-greek", "Γεια", "mac-greek"),
        ("x-mac-japanese", JAPANESE, "shift_jis"),
        ("gb2312", "朱镕基", "gbk"),
        ("gbk", "㐀", "gb18030"),
        ("x-gbk", CHINESE, "gbk"),
        ("windows-936", CHINESE, "gbk"),
        ("hz-gb-2312", CHINESE, "hz"),
        ("big5", "嘅", "big5hkscs"),
        ("ks_c_5601-1987", "똠방각하", "cp949"),
        ("euc-kr", "똠방각하", "cp949"),
        ("iso-2022-kr", KOREAN, "iso2022_kr"),
        ("shift_jis", "①髙橋", "cp932"),
        ("x-sjis", "①", "cp932"),
        ("SJIS-win", "①", "cp932"),
        ("x-ms-cp932", "①", "cp932"),
        ("eucJP-win", JAPANESE, "euc_jp"),
        ("eucJP-ms", JAPANESE, "euc_jp"),
        ("ISO-2022-JP-MS", JAPANESE, "iso2022_jp"),
        ("JIS", JAPANESE, "iso2022_jp"),
        ("euc-jp", JAPANESE, "euc_jp"),
        ("x-euc-jp", JAPANESE, "euc_jp"),
        ("iso-2022-jp", JAPANESE, "iso2022_jp"),
        ("_iso-2022-jp$ESC", JAPANESE, "iso2022_jp"),
        ("cp50220", JAPANESE, "iso2022_jp"),
        ("unicode-1-1-utf-7", GERMAN, "utf-7"),
        ("utf-16", GERMAN, "utf-16"),
        ("utf-16be", GERMAN, "utf-16-be"),
    ],
)
def test_labels_mean_what_mail_programs_mean_by_them(label, text, codec):
    assert decode(text.encode(codec), label) == text


@each(
    "label",
    ["us-ascii", "ANSI_X3.4-1968", "646", "x-unknown", "unknown-8bit", "default", "8bit", "x-user-defined",
     "nonsense", "iso-2022-cn", "", None],
)  # fmt: skip
def test_a_label_that_says_nothing_is_none(label):
    assert decode(GERMAN.encode(), label) == GERMAN
    assert decode(b"\x93Gr\xfc\xdfe\x94", label) == "“Grüße”"


@each(
    "label",
    ["base64", "zlib", "hex", "rot13", "quopri", "uu", "bz2", "idna", "punycode", "undefined", "mbcs",
     "unicode_escape", "raw-unicode-escape"],
)  # fmt: skip
def test_codecs_of_python_that_are_no_charset_are_not_used(label):
    assert codec_of(label) is None


def test_an_unknown_label_never_gets_to_python_which_would_look_for_a_module():
    asked = []
    codecs.register(search := asked.append)
    try:
        assert codec_of("os.path-of-a-stranger") is None
    finally:
        codecs.unregister(search)
    assert asked == []


@each(
    "data, label, text",
    [
        (b"\x1b$B-!HV\x1b(B ok", "iso-2022-jp", "①番 ok"),
        (b'\x1b$B$"-!\x1b(I1\x1b(J x\n\x1b$B$$', "iso-2022-jp", "あ①ｱ x\nい"),
        (b"\x1b$B|b\x1b(B", "iso-2022-jp", "髙"),
        (b"\xad\xa1\xa4\xa2 \x8e\xb1", "euc-jp", "①あ ｱ"),
    ],
)
def test_japanese_has_the_characters_of_windows(data, label, text):
    assert decode(data, label) == text


def test_every_character_of_jis_is_found_beside_one_of_windows():
    both = 0
    for row in range(0x21, 0x75):
        cells = bytes(c for cell in range(0x21, 0x7F) for c in (row, cell))
        for start in range(0, len(cells), 2):
            pair = cells[start : start + 2]
            try:
                expected = (b"\x1b$B" + pair).decode("iso2022_jp")
            except UnicodeDecodeError:
                continue
            found = decode(b"\x1b$B-!" + pair + b"\x1b(B", "iso-2022-jp")[1:]
            both += found == expected
            if found != expected:  # where Windows has another: the wave dash and five like it
                assert found.encode("cp932")
    assert both > 6800


@pytest.mark.parametrize("label", ["utf-7", "UTF_7", "utf-16-le", "cesu-8", "utf-32", "hz", None])
@given(data=st.binary(max_size=60))
def test_any_database_takes_the_text(label, data):
    text = decode(b"+2AA-x\x00\xd8" + data, label)
    assert text.encode().decode() == text
    assert "\0" not in text


@given(st.binary(max_size=100), st.text(max_size=30))
def test_hostile_text_never_raises(data, label):
    assert "\0" not in decode(data, label)


@given(st.text())
def test_utf8_comes_back(text):
    text = text.encode("utf-8", "ignore").decode().replace("\0", "")
    assert decode_undeclared(text.encode()) == text


@each(
    "text, stored",
    [("Grüße", "Grüße"), ("a\0b", "ab"), ("a\ud83d", "a\ufffd"), ("\ud83d\ude00", "😀"), ("", "")],
)
def test_text_is_made_fit_for_storing(text, stored):
    assert storable(text) == stored


def test_labels_are_bounded():
    assert decode(b"\xfc", "utf-8" + " " * 10**6) == "\ufffd"
    assert charset.MAX_LABEL >= 45


@each("label", [None, "iso-8859-1", "windows-1252", "nonsense"])
def test_no_byte_of_windows_1252_is_lost(label):
    data = bytes(range(1, 256))
    text = decode(data, label)
    assert "\ufffd" not in text
    assert len(set(text)) == 255
    assert text[0x80:0x90] == "\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90"
