import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.xtext import typed_address
from tests.each import each


@each(
    "address, typed",
    [
        ("ann@dest.example", "rfc822;ann@dest.example"),
        ("ann+a=b@dest.example", "rfc822;ann+2Ba+3Db@dest.example"),
        ('"a b\\"c"@dest.example', 'rfc822;"a+20b\\"c"@dest.example'),
        ("a!#$%&'*-/?^_`{|}~@x.example", "rfc822;a!#$%&'*-/?^_`{|}~@x.example"),
        ("a\r\nRCPT TO:<x@y>", "rfc822;a+0D+0ARCPT+20TO:<x@y>"),
        ("jürgen@dest.example", "utf-8;j\\x{FC}rgen@dest.example"),
        (
            "jürgen+a\\=b c@bücher.example",
            "utf-8;j\\x{FC}rgen\\x{2B}a\\x{5C}\\x{3D}b\\x{20}c@b\\x{FC}cher.example",
        ),
        ("\U0001f4e8@dest.example", "utf-8;\\x{1F4E8}@dest.example"),
    ],
)
def test_what_no_parameter_may_hold_is_escaped(address, typed):
    assert typed_address(address) == typed


def decode(typed):
    kind, _, text = typed.partition(";")
    if kind == "rfc822":
        return unquote(text.replace("%", "%25").replace("+", "%"))
    return re.sub(r"\\x\{([0-9A-F]{2,6})\}", lambda found: chr(int(found[1], 16)), text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_one_word_of_ascii_and_can_be_read_again(text):
    typed = typed_address(text)
    assert re.fullmatch(r"(rfc822|utf-8);[!-~]*", typed)
    assert "=" not in typed
    assert decode(typed) == text
