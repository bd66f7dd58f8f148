import base64
import hashlib
import json
from dataclasses import replace

import pytest
from anymail.exceptions import AnymailConfigurationError, AnymailWebhookValidationFailure
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal import signatures
from anymail_postal.errors import KeysUnavailable, WebhookSignatureError
from anymail_postal.signatures import BadPublicKey, parse_jwks, parse_keys, read_signature, verify
from tests.each import each

from .recorded import DKIM_RECORD, KEY_ID, MAILS, WEBHOOKS

PRIVATE = rsa.generate_private_key(65537, 1024)
OTHER = rsa.generate_private_key(65537, 2048)
BODY = b'{"event":"MessageSent"}'


def der(key, form=serialization.PublicFormat.SubjectPublicKeyInfo):
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def pem(key, form=serialization.PublicFormat.SubjectPublicKeyInfo):
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def bare(key):
    return base64.b64encode(der(key)).decode()


def b64url(number):
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(key, **values):
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "n": b64url(numbers.n), "e": b64url(numbers.e), **values}


def id_of(key):
    return hashlib.sha256(der(key, serialization.PublicFormat.PKCS1)).hexdigest()


def signed(body=BODY, key=PRIVATE, algorithm=None):
    return base64.b64encode(key.sign(body, padding.PKCS1v15(), algorithm or hashes.SHA256())).decode()


@pytest.fixture(autouse=True)
def nothing_parsed_before():
    signatures._parse_text.cache_clear()


BARE = bare(PRIVATE)
PADDED = base64.b64encode(der(PRIVATE, serialization.PublicFormat.PKCS1)).decode()  # ends with "="
PEM = pem(PRIVATE)
FORMS = {
    "bare": BARE,
    "bare with line breaks": "\n".join([BARE[:64], BARE[64:128], BARE[128:]]) + "\n",
    "bare PKCS1": PADDED,
    "PEM": PEM,
    "PEM with CRLF and blanks": "  " + PEM.replace("\n", "\r\n") + "\n",
    "PEM as in an environment file": PEM.replace("\n", "\\n"),
    "PEM PKCS1": pem(PRIVATE, serialization.PublicFormat.PKCS1),
    "DKIM record": f"v=DKIM1; t=s; h=sha256; p={BARE};",
    "DKIM record with key type": f"v=DKIM1; k=rsa; p={BARE}",
    "DKIM record without end": f"v=DKIM1; p={BARE}",
    "DKIM record with padding": f"v=DKIM1; p={PADDED};",
    "DKIM record as dig prints it": f'"v=DKIM1; t=s; h=sha256; p={BARE[:100]}" "{BARE[100:]};"',
    "p= alone": f"p={BARE};",
    "p= without semicolon": f"p={BARE}",
    "JWK": jwk(PRIVATE),
    "JWK as text": json.dumps(jwk(PRIVATE, use="sig", alg="RS256", kid="something else")),
    "JWK padded": {**jwk(PRIVATE), "e": "AQAB===="[:4], "n": jwk(PRIVATE)["n"] + "="},
    "JWK set": {"keys": [jwk(PRIVATE)]},
    "JWK set as text": json.dumps({"keys": [jwk(PRIVATE)]}),
}


@each("source", FORMS.values(), ids=FORMS)
def test_public_key_is_read_in_every_form_people_have(source):
    (key,) = parse_keys(source)
    assert key.id == id_of(PRIVATE)
    verify(BODY, read_signature(signed(), None, None), [key])


def test_several_keys_in_one_source():
    both = [id_of(PRIVATE), id_of(OTHER)]
    assert [key.id for key in parse_keys(pem(PRIVATE) + pem(OTHER))] == both
    assert [key.id for key in parse_keys({"keys": [jwk(PRIVATE), jwk(OTHER)]})] == both


def test_key_is_parsed_once():
    assert parse_keys(BARE) is parse_keys(BARE)


EC = ec.generate_private_key(ec.SECP256R1())
BAD_KEYS = {
    "empty": ("", "cannot be read"),
    "no base64": ("not a key!", "is not base64"),
    "a stray character": (f"{BARE[:10]}!{BARE[10:]}", "is not base64"),
    "not ASCII": ("schlüssel", "only ASCII"),
    "base64 of nothing": ("AAAA", "cannot be read"),
    "elliptic curve": (bare(EC), "is not an RSA key"),
    "elliptic curve PEM": (pem(EC), "is not an RSA key"),
    "private key": (
        PRIVATE.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        "is a PRIVATE KEY; give the PUBLIC KEY",
    ),
    "PEM without end": ("-----BEGIN PUBLIC KEY-----\n" + BARE, "without its end"),
    "DKIM without key": ("v=DKIM1; t=s; p=;", "without a key"),
    "DKIM of another type": (f"v=DKIM1; k=ed25519; p={BARE}", "type 'ed25519'"),
    "JWK of another type": ({"kty": "EC"}, "is not an RSA key"),
    "JWK without numbers": ({"kty": "RSA"}, "without its numbers"),
    "JWK with a number": ({"kty": "RSA", "n": 5, "e": "AQAB"}, "without its numbers"),
    "JWK with bad base64": ({"kty": "RSA", "n": "!", "e": "AQAB"}, "is not base64"),
    "JWK too large": ({"kty": "RSA", "n": "A" * 5000, "e": "AQAB"}, "without its numbers"),
    "JWK with an even exponent": ({**jwk(PRIVATE), "e": "AAAA"}, "cannot be read"),
    "JWK with a huge exponent": ({**jwk(PRIVATE), "e": b64url(2**33 + 1)}, "beyond 32 bits"),
    "JWK set without a key": ({"keys": [{"kty": "EC"}, 5, None]}, "without an RSA key"),
    "JWK set that is none": ({"keys": {"0": 1}}, "is not a JWK set"),
    "JWK text that is no JSON": ("{kty: RSA}", "cannot be read"),
    "JWK nested too deep": ("{" + '"a":{' * 100_000, "cannot be read"),
    "dict that is no JSON": ({"kty": object()}, "cannot be read"),
    "16385 bits": ({"kty": "RSA", "n": b64url((1 << 16384) + 1), "e": "AQAB"}, "has 16385 bits"),
    "512 bits": ({"kty": "RSA", "n": b64url((1 << 511) + 1), "e": "AQAB"}, "has 512 bits|512"),
}


@each("source, why", BAD_KEYS.values(), ids=BAD_KEYS)
def test_bad_public_key_says_why(source, why):
    with pytest.raises(BadPublicKey, match=why):
        parse_keys(source)


@each("bits", [1024, 16384])
@each("padding", ["", "="])
def test_smallest_and_largest_key_are_read(bits, padding):
    modulus = b64url((1 << (bits - 1)) + 1)
    (key,) = parse_keys({"kty": "RSA", "n": modulus + padding, "e": "AQAB"})
    assert key.rsa.key_size == bits


def test_number_may_end_with_any_letter():
    modulus = (1 << 1535) + 23
    assert b64url(modulus).endswith("X")
    (key,) = parse_keys({"kty": "RSA", "n": b64url(modulus), "e": "AQAB"})
    assert key.rsa.public_numbers().n == modulus


def test_too_small_key_is_refused_also_where_cryptography_reads_it():
    class Small(rsa.RSAPublicKey):
        key_size = 512

        def __init__(self):
            pass

    for name in Small.__abstractmethods__:
        setattr(Small, name, None)
    Small.__abstractmethods__ = frozenset()
    with pytest.raises(BadPublicKey, match="has 512 bits"):
        signatures._public_key(Small())


def test_key_set_skips_what_is_no_key_of_postal():
    entries = [{"kty": "EC"}, "text", {"kty": "RSA", "n": "!", "e": "AQAB"}, jwk(PRIVATE)]
    assert [key.id for key in parse_jwks({"keys": entries})] == [id_of(PRIVATE)]


def test_key_set_is_bounded():
    entries = [{"kty": "EC"}] * signatures.MAX_KEYS + [jwk(PRIVATE)]
    with pytest.raises(BadPublicKey):
        parse_jwks({"keys": entries})


@each("document", [None, 5, [], "keys", {}, {"keys": None}])
def test_other_documents_are_no_key_set(document):
    with pytest.raises(BadPublicKey, match="is not a JWK set"):
        parse_jwks(document)


def test_without_cryptography_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(signatures, "missing", ImportError("no module"))
    with pytest.raises(AnymailConfigurationError, match="pip install cryptography"):
        parse_keys(BARE)


# --- signatures ---

KEYS = (*parse_keys(BARE), *parse_keys(bare(OTHER)))
GOOD_256 = signed()
GOOD_1 = signed(algorithm=hashes.SHA1())
WRONG = signed(b"other body")
UNKNOWN_ID = "0" * 64

GOOD = {
    # (SHA-256 header, SHA-1 header, key id)
    "SHA-256 and id": (GOOD_256, None, id_of(PRIVATE)),
    "both and id": (GOOD_256, GOOD_1, id_of(PRIVATE)),
    "id in upper case, with blanks": (GOOD_256, GOOD_1, f" {id_of(PRIVATE).upper()} "),
    "both without id": (GOOD_256, GOOD_1, None),
    "empty id is no id": (GOOD_256, GOOD_1, ""),
    "SHA-1 without id, of an old Postal": (None, GOOD_1, None),
    "SHA-1 and id": (None, GOOD_1, id_of(PRIVATE)),
    "garbage beside a good SHA-256": (GOOD_256, "garbage", None),
}


@each("headers", GOOD.values(), ids=GOOD)
def test_good_signature_names_its_key(headers):
    assert verify(BODY, read_signature(*headers), KEYS) == KEYS[0]


BAD = {
    "none": (None, None, None),
    "none, with an id": (None, None, id_of(PRIVATE)),
    "empty SHA-1": (None, "", None),
    "empty SHA-256 beside a good SHA-1": ("", GOOD_1, None),
    "garbage SHA-256 beside a good SHA-1": ("garbage!", GOOD_1, None),
    "wrong SHA-256 beside a good SHA-1": (WRONG, GOOD_1, id_of(PRIVATE)),
    "garbage": (None, "invalid", None),
    "base64 of garbage": (None, base64.b64encode(b"invalid").decode(), None),
    "not ASCII": (None, "sïgnature", None),
    "base64 with a line break": (GOOD_256[:64] + "\n" + GOOD_256[64:], None, None),
    "two headers joined": (f"{GOOD_256},{GOOD_256}", None, None),
    "too long": ("A" * 100_000, None, None),
    "of another body": (WRONG, None, None),
    "of another known key": (signed(key=OTHER), None, id_of(PRIVATE)),
    "SHA-1 in the SHA-256 header": (GOOD_1, None, None),
    "garbage with an unknown id": ("garbage!", None, UNKNOWN_ID),
    "empty with an unknown id": ("", None, UNKNOWN_ID),
    "too long with an unknown id": ("A" * (signatures.MAX_SIGNATURE_LENGTH + 4), None, UNKNOWN_ID),
}


@each("headers", BAD.values(), ids=BAD)
def test_bad_signature_is_refused(headers):
    with pytest.raises(WebhookSignatureError):
        verify(BODY, read_signature(*headers), KEYS)


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ((None, None, None), "has no signature"),
        (("garbage!", None, None), "a signature that is not base64"),
        ((WRONG, None, None), "a wrong signature"),
    ],
    ids=["none", "garbage", "wrong"],
)
def test_refusal_says_why(headers, why):
    with pytest.raises(WebhookSignatureError, match=why):
        verify(BODY, read_signature(*headers), KEYS)


def test_refusal_is_a_400_by_itself():
    assert issubclass(WebhookSignatureError, AnymailWebhookValidationFailure)


def test_sha1_may_be_forbidden():
    with pytest.raises(WebhookSignatureError, match="no SHA-256 signature"):
        read_signature(None, GOOD_1, None, allow_sha1=False)
    assert read_signature(GOOD_256, GOOD_1, None, allow_sha1=False).algorithm == "sha256"


@each("keys", [KEYS, ()], ids=["other keys", "no keys"])
@each("headers", [(GOOD_256, None), (None, GOOD_1)], ids=["SHA-256", "SHA-1"])
@each("key_id", [UNKNOWN_ID, "new", "ключ"])
def test_unknown_key_id_is_no_proof(keys, headers, key_id):
    with pytest.raises(KeysUnavailable, match="a key that is not known"):
        verify(BODY, read_signature(*headers, key_id), keys)


def test_longest_signature_is_looked_at():
    longest = "A" * signatures.MAX_SIGNATURE_LENGTH
    assert read_signature(longest, None, None).value == b"\0" * 2049


def test_without_keys_nothing_is_proven():
    with pytest.raises(KeysUnavailable):
        verify(BODY, read_signature(GOOD_256, None, None), ())


def test_algorithm_that_the_machine_forbids_is_no_proof():
    class Fips:
        def verify(self, *args):
            raise UnsupportedAlgorithm("SHA-1")

    key = replace(KEYS[0], rsa=Fips())
    with pytest.raises(KeysUnavailable, match="sha1"):
        verify(BODY, read_signature(None, GOOD_1, None), [key])


some_base64 = st.binary(max_size=200).map(lambda data: base64.b64encode(data).decode())
header = st.none() | st.text(max_size=300) | some_base64


@given(header, header, header, st.binary(max_size=200))
def test_hostile_headers_never_verify_and_raise_nothing_else(sha256, sha1, key_id, body):
    with pytest.raises((WebhookSignatureError, KeysUnavailable)):
        verify(body, read_signature(sha256, sha1, key_id), KEYS)


@given(
    st.text(max_size=400)
    | some_base64
    | st.dictionaries(st.sampled_from(["kty", "n", "e", "keys"]), st.recursive(st.text(), st.lists)),
)
def test_hostile_keys_raise_one_exception(source):
    with pytest.raises(BadPublicKey):
        parse_keys(source)


# --- the recording ---


@pytest.mark.parametrize("posts", [WEBHOOKS, MAILS], ids=["webhooks", "mails"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_every_recorded_post_verifies(posts, algorithm):
    keys = parse_keys(DKIM_RECORD)
    assert posts
    for post in posts:
        sha256, sha1 = post.headers["X-Postal-Signature-256"], post.headers["X-Postal-Signature"]
        headers = (sha256, None) if algorithm == "sha256" else (None, sha1)
        for key_id in (post.headers["X-Postal-Signature-Kid"], None):
            assert verify(post.body, read_signature(*headers, key_id), keys).id == KEY_ID
        with pytest.raises(WebhookSignatureError):
            verify(post.body + b" ", read_signature(*headers, KEY_ID), keys)
