import base64
import types

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail import dkim as signer
from postal_server.mail.dkim import (
    SigningKey,
    canonical_body,
    canonical_header,
    generate_ed25519,
    generate_rsa,
    public_record,
    sign,
)
from tests.each import each

RSA = SigningKey.load(generate_rsa(1024))  # short, because hundreds are made
ED25519 = SigningKey.load(generate_ed25519().encode())
HEADER = b"From: Ann <ann@example.test>\r\nTo: b@dest.example\r\nSubject: Hello  there\r\n"


class VerifyKey:
    """dkimpy asks PyNaCl to verify Ed25519; `cryptography` does as well and is installed."""

    def __init__(self, text, encoder):
        self.key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text))

    def verify(self, data, signature):
        self.key.verify(signature, data)


@pytest.fixture(autouse=True)
def ed25519_without_nacl(monkeypatch):
    nacl = types.SimpleNamespace(
        signing=types.SimpleNamespace(VerifyKey=VerifyKey),
        encoding=types.SimpleNamespace(Base64Encoder=None),
        exceptions=types.SimpleNamespace(ValueError=ValueError, BadSignatureError=InvalidSignature),
    )
    monkeypatch.setattr(dkim, "nacl", nacl, raising=False)


def signed(raw, key=RSA):
    return sign(raw, domain="example.test", selector="s1", key=key, now=1_700_000_000) + raw


def on_the_wire(raw):
    """SMTP ends every line in CRLF, the last one too."""
    raw = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def verifies(raw, key=RSA):
    record = public_record(key).encode()
    return dkim.verify(on_the_wire(raw), dnsfunc=lambda name, timeout=5: record, minkey=1024)


ODD_BODIES = {
    "empty": b"",
    "one empty line": b"\r\n",
    "only empty lines": b"\r\n\r\n\r\n",
    "only blanks": b" \t \r\n \r\n",
    "blanks without line end": b" \t ",
    "no final line end": b"text",
    "trailing blanks": b"one  \r\ntwo\t\r\n \r\n",
    "trailing blank, no line end": b"one\r\n\r\n ",
    "tabs and runs": b"a\t\tb   c \t d\r\n" + b" " * 5000 + b"x\r\n",
    "bare LF": b"one\ntwo \n\n",
    "mixed line ends": b"one\r\ntwo\n\r\nthree \n",
    "eight bits": "Grüße\r\n".encode() + b"\xff\x00\r\n",
    "dots": b".\r\n..two\r\n",
    "long line": b"z" * 3000 + b"\r\n",
}


@each("key", [RSA, ED25519], ids=["rsa", "ed25519"])
@each("body", ODD_BODIES.values(), ids=ODD_BODIES.keys())
def test_odd_bodies_verify(body, key):
    assert verifies(signed(HEADER + b"\r\n" + body, key), key)


@given(
    st.text(alphabet=st.sampled_from("ab .\t\n"), max_size=40),
    st.text(alphabet=st.sampled_from("ab .\t\n"), max_size=40),
    st.booleans(),
)
def test_any_mixture_of_lines_and_blanks_verifies(body, value, crlf):
    end = "\r\n" if crlf else "\n"
    value = value.strip("\n").replace("\n\n", "\n").replace("\n", "\n ")
    text = f"From: a@example.test\nSubject: {value}x\n\n{body}".replace("\n", end)
    assert verifies(signed(text.encode()))


@given(
    st.one_of(st.binary(max_size=200), st.text("a \t\r\n", max_size=60).map(str.encode)), st.integers(0, 9)
)
def test_the_relaxed_body_is_dkimpys_however_it_is_cut(body, size):
    body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    canonicalize = dkim.CanonicalizationPolicy.from_c_value(b"relaxed/relaxed").canonicalize_body
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signer, "PIECE_BYTES", size)
        assert b"".join(canonical_body(b"A: b\r\n\r\n" + body, 8)) == canonicalize(body)


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
def test_a_changed_message_does_not_verify(key):
    raw = signed(HEADER + b"\r\nbody\r\n", key)
    assert verifies(raw, key)
    assert not verifies(raw.replace(b"body", b"b0dy"), key)
    assert not verifies(raw.replace(b"Hello", b"Hallo"), key)


def test_a_second_from_breaks_the_signature():
    signature = sign(HEADER + b"\r\nbody\r\n", domain="example.test", selector="s", key=RSA, now=1)
    assert not verifies(signature + b"From: ceo@bank.example\r\n" + HEADER + b"\r\nbody\r\n")


def test_repeated_fields_are_signed_from_the_bottom_up():
    raw = b"Subject: one\r\nSubject: two\r\n" + HEADER + b"To: c@dest.example\r\n\r\nbody\r\n"
    assert verifies(signed(raw))
    assert b"h=subject:subject:from:to:subject:to:from;" in signed(raw)


def test_two_signatures_verify_beside_each_other():
    raw = signed(signed(HEADER + b"\r\nbody\r\n", ED25519), RSA)
    both = {b"s1": public_record(RSA).encode()}
    message = dkim.DKIM(raw, minkey=1024)
    assert message.verify(0, dnsfunc=lambda name, timeout=5: both[b"s1"])
    assert message.verify(1, dnsfunc=lambda name, timeout=5: public_record(ED25519).encode())


def test_the_field_is_folded_as_postal_folds_it():
    field = sign(HEADER + b"\r\nbody\r\n", domain="example.test", selector="s1", key=RSA, now=1_700_000_000)
    lines = field.decode().split("\r\n")
    assert lines[:3] == [
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;",
        "\td=example.test;",
        "\ts=s1; t=1700000000;",
    ]
    assert lines[3].startswith("\tbh=")
    assert lines[4] == "\th=from:to:subject:from;"
    assert lines[5].startswith("\tb=")
    assert [len(line) for line in lines[5:]] == [75, 73, 29, 0]


def test_a_flood_of_signed_fields_keeps_lines_short():
    raw = signed(b"References: <a@b.example>\r\n" * 2000 + HEADER + b"\r\nbody\r\n")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert raw.count(b"references") == 200


def test_fields_are_folded_to_one_line_and_lower_cased():
    assert canonical_header(b"SubJect : a\r\n\t  b \r\nno field\r\nX:\r\n") == b"subject:a b\r\nx:\r\n"


def test_records_are_in_postals_form():
    prefix = "v=DKIM1; t=s; h=sha256; p="
    public = RSA.private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert public_record(RSA) == f"{prefix}{base64.b64encode(public).decode()};"
    assert public_record(ED25519).startswith("v=DKIM1; k=ed25519; t=s; h=sha256; p=")


def pem_of(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


ENCRYPTED = RSA.private_key.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"secret"),
)


@each("pem", ["", "nonsense", ENCRYPTED, b"\xff"], ids=["empty", "nonsense", "encrypted", "8-bit"])
def test_what_is_no_signing_key_is_a_value_error(pem):
    with pytest.raises(ValueError):  # noqa: PT011
        SigningKey.load(pem)


def test_other_kinds_of_keys_are_a_value_error():
    with pytest.raises(ValueError, match="RSA and Ed25519"):
        SigningKey.load(pem_of(dsa.generate_private_key(1024)))
