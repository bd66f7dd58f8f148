import base64
import hashlib
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from postal_server.mail import dkim
from postal_server.wire import signing


@pytest.fixture(scope="module")
def key():
    return signing.SigningKey.load(dkim.generate_rsa(1024))


def test_headers_come_in_postals_order(key):
    headers = key.request_headers(b"{}", signing.JSON)
    assert [name for name, _ in headers] == [
        "Accept-Encoding",
        "Accept",
        "User-Agent",
        "Content-Type",
        "X-Postal-Signature-Kid",
        "X-Postal-Signature",
        "X-Postal-Signature-256",
    ]
    assert dict(headers)["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("X-Postal-Signature", hashes.SHA1()), ("X-Postal-Signature-256", hashes.SHA256())],
)
def test_both_signatures_are_of_the_exact_body(key, name, algorithm):
    signature = base64.b64decode(dict(key.request_headers(b"a\\u003cb", signing.JSON))[name])
    public = key.private_key.public_key()
    public.verify(signature, b"a\\u003cb", padding.PKCS1v15(), algorithm)
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"a<b", padding.PKCS1v15(), algorithm)


def test_signing_again_gives_the_same_headers(key):
    assert key.request_headers(b"x", signing.FORM) == key.request_headers(b"x", signing.FORM)


def _integer(number: int) -> bytes:
    data = number.to_bytes(number.bit_length() // 8 + 1, "big")
    size = len(data)
    head = bytes([2, size]) if size < 128 else bytes([2, 0x81, size])
    return head + data


def test_the_key_id_is_the_hash_of_modulus_and_exponent(key):
    numbers = key.private_key.public_key().public_numbers()
    inner = _integer(numbers.n) + _integer(numbers.e)
    assert key.key_id == hashlib.sha256(bytes([0x30, 0x81, len(inner)]) + inner).hexdigest()


def test_the_key_set_has_one_key_in_postals_order(key):
    [shown] = key.jwks()["keys"]
    assert list(shown) == ["kty", "n", "e", "use", "alg", "kid"]
    assert (shown["e"], shown["kid"]) == ("AQAB", key.key_id)
    assert "=" not in json.dumps(shown)


@pytest.mark.parametrize("pem", ["nonsense", dkim.generate_ed25519()])
def test_other_keys_are_refused(pem):
    with pytest.raises(ValueError, match=r".+"):
        signing.SigningKey.load(pem)
