from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.tlsa import NO_MATCH, WRONG_DATE, WRONG_NAME, Tlsa, problem, usable
from tests.each import each

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
HOST = "mx.dest.example"


def certificate(name, key, issuer=None, *, is_authority=False, sans=(), days=30, path_length=None):
    """Signed by `issuer` (certificate, key), by itself without one."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signing_key = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_authority, path_length), critical=True)
    )
    if sans:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(san) for san in sans]), critical=False
        )
    return builder.sign(signing_key, hashes.SHA256())


def pair(name, issuer=None, **values):
    key = ec.generate_private_key(ec.SECP256R1())
    return certificate(name, key, issuer, **values), key


ROOT = pair("root", is_authority=True)
MIDDLE = pair("middle", ROOT, is_authority=True)
LEAF = pair(HOST, MIDDLE, sans=[HOST])
OTHER = pair("other", is_authority=True)


def der(*pairs):
    return [each[0].public_bytes(Encoding.DER) for each in pairs]


def record(usage, selector, matching, of):
    """A record that `of` matches."""
    if selector:
        content = of[1].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        [content] = der(of)
    digest = {
        0: lambda data: data,
        1: lambda d: hashlib.sha256(d).digest(),
        2: lambda d: hashlib.sha512(d).digest(),
    }
    return Tlsa(usage, selector, matching, digest[matching](content))


ALL = [(selector, matching) for selector in (0, 1) for matching in (0, 1, 2)]


@each("selector, matching", ALL)
def test_a_certificate_is_the_one_named(selector, matching):
    assert problem(der(LEAF, MIDDLE), [record(3, selector, matching, LEAF)], [HOST], NOW) == ""
    assert problem(der(LEAF, MIDDLE), [record(3, selector, matching, OTHER)], [HOST], NOW) == NO_MATCH


def test_one_record_of_several_is_enough():
    records = [record(3, 1, 1, OTHER), record(3, 1, 1, LEAF)]
    assert problem(der(LEAF), records, [HOST], NOW) == ""


def test_a_named_certificate_needs_neither_name_nor_date():
    old = pair("whatever", days=-1)
    assert problem(der(old), [record(3, 1, 1, old)], [HOST], NOW) == ""


def test_the_host_s_own_certificate_is_meant_not_one_above():
    assert problem(der(LEAF, MIDDLE), [record(3, 1, 1, MIDDLE)], [HOST], NOW) == NO_MATCH


@each("selector, matching", ALL)
def test_an_authority_vouches_for_what_it_has_signed(selector, matching):
    assert problem(der(LEAF, MIDDLE, ROOT), [record(2, selector, matching, ROOT)], [HOST], NOW) == ""
    assert problem(der(LEAF, MIDDLE), [record(2, selector, matching, MIDDLE)], [HOST], NOW) == ""


@each(
    "chain, anchor, why",
    [
        ([LEAF, MIDDLE], record(2, 0, 0, ROOT), ""),
        ([LEAF, MIDDLE], record(2, 0, 1, ROOT), NO_MATCH),
        ([LEAF, ROOT], record(2, 1, 1, ROOT), NO_MATCH),
        ([LEAF, ROOT, MIDDLE], record(2, 1, 1, ROOT), ""),
        ([LEAF, OTHER], record(2, 1, 1, OTHER), NO_MATCH),
        ([pair(HOST, MIDDLE, sans=["mx.evil.example"]), MIDDLE], record(2, 1, 1, MIDDLE), WRONG_NAME),
        ([pair(HOST, MIDDLE), MIDDLE], record(2, 1, 1, MIDDLE), WRONG_NAME),
        ([pair("x", MIDDLE, sans=["*.dest.example"]), MIDDLE], record(2, 1, 1, MIDDLE), ""),
        ([pair("x", MIDDLE, sans=["dest.example"]), MIDDLE], record(2, 1, 1, MIDDLE), ""),
        ([pair("x", MIDDLE, sans=[HOST], days=-1), MIDDLE], record(2, 1, 1, MIDDLE), WRONG_DATE),
        ([pair("x", LEAF, sans=[HOST]), LEAF], record(2, 1, 1, LEAF), NO_MATCH),
    ],
    ids=[
        "the record has the authority, the host need not",
        "the host must send what the record has a digest of",
        "a link is missing",
        "any order",
        "it has not signed the certificate",
        "another name",
        "no name",
        "a wildcard",
        "the domain's own name",
        "expired",
        "signed by who is no authority",
    ],
)
def test_a_chain_up_to_an_authority(chain, anchor, why):
    assert problem(der(*chain), [anchor], [HOST, "dest.example"], NOW) == why


def test_an_authority_for_hosts_only_cannot_make_another():
    root = pair("root", is_authority=True, path_length=0)
    middle = pair("middle", root, is_authority=True)
    leaf = pair(HOST, middle, sans=[HOST])
    assert problem(der(leaf, middle, root), [record(2, 1, 1, root)], [HOST], NOW) == NO_MATCH


def test_certificates_that_sign_each_other_come_to_an_end():
    key = ec.generate_private_key(ec.SECP256R1())
    first = certificate("a", key, is_authority=True), key
    chain = [pair(HOST, first, sans=[HOST]), *[(certificate("a", key, first, is_authority=True), key)] * 20]
    assert problem(der(*chain), [record(2, 1, 1, OTHER)], [HOST], NOW) == NO_MATCH


@each(
    "texts, count",
    [
        (["3 1 1 " + "ab" * 32], 1),
        (["2 0 2 " + "AB" * 64], 1),
        (["3 0 0 30 82 01"], 1),
        (["0 1 1 " + "ab" * 32, "1 1 1 " + "ab" * 32], 0),
        (["3 2 1 " + "ab" * 32], 0),
        (["3 1 3 " + "ab" * 32], 0),
        (["3 1 1 abcd"], 0),
        (["3 1 0"], 0),
        (["x y z"], 0),
        (["3 1 1 xyz", "3 1 1 " + "ab" * 32], 1),
    ],
)
def test_records_that_can_be_used(texts, count):
    assert len(usable(texts)) == count


def test_a_record_is_written_as_it_was_read():
    text = "3 1 1 " + "ab" * 32
    assert str(Tlsa.parse(text)) == text


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_garbage_is_no_certificate(chain):
    assert problem(chain, [record(2, 0, 0, ROOT), record(3, 0, 0, LEAF)], [HOST], NOW)
