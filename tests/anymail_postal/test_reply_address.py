"""Signed reply addresses: lengths, purposes, rotation, expiry, and whatever hostile text may hold."""

import base64
import hmac
import re
from datetime import date
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal.errors import ReplyTokenError
from anymail_postal.reply_address import EPOCH, LAST_DAY, ReplyToken, address_pattern, make_token, open_token
from tests.each import each

SECRET = b"a secret of the project, long enough to be one"
OLDER = b"the secret before that, used for mail in flight"
TODAY = date(2026, 11, 24)
A_UUID = UUID("6a1f3c52-0f5e-4d0a-9a53-7d5c6b1e9f00")

TOKENS = {
    "small ids": (ReplyToken(12, 7), 31),
    "no user": (ReplyToken(12), 31),
    "zeros": (ReplyToken(0, 0), 31),
    "largest small ids": (ReplyToken(2**32 - 1, 2**32 - 1), 31),
    "expiry": (ReplyToken(12, 7, date(2026, 12, 31)), 34),
    "first day": (ReplyToken(12, None, TODAY), 34),
    "day 0": (ReplyToken(12, None, EPOCH), 34),
    "last day": (ReplyToken(12, None, LAST_DAY), 34),
    "wide object": (ReplyToken(2**32, 7), 44),
    "wide user": (ReplyToken(12, 2**32), 44),
    "largest ids": (ReplyToken(2**64 - 1, 2**64 - 1), 44),
    "UUID": (ReplyToken(A_UUID), 44),
    "wide with expiry": (ReplyToken(2**40, None, TODAY), 47),
    "UUID with expiry": (ReplyToken(A_UUID, None, TODAY), 47),
}
tokens = st.builds(
    ReplyToken,
    st.integers(0, 2**64 - 1),
    st.none() | st.integers(0, 2**64 - 1),
    st.none() | st.dates(TODAY, LAST_DAY),
) | st.builds(ReplyToken, st.uuids(), st.none(), st.none() | st.dates(TODAY, LAST_DAY))

A_TOKEN = ReplyToken(12, 7)


def made(token=A_TOKEN, secret=SECRET, purpose="reply"):
    return make_token(token, secret, purpose)


def opened(text, secrets=(SECRET,), purpose="reply", today=TODAY):
    return open_token(text, secrets, purpose, today)


@each("token, length", TOKENS.values(), ids=TOKENS)
def test_a_token_has_its_exact_length_and_opens_again(token, length):
    text = made(token)
    assert len(text) == length
    assert re.fullmatch(r"[a-z2-7]+", text)
    assert opened(text, today=EPOCH) == token


@given(tokens)
def test_every_token_opens_again(token):
    assert opened(made(token)) == token


def test_the_format_does_not_change():
    # A reply may come years after the mail: an address made today must open with every later release.
    # Expected texts: RFC 5869 and RFC 4648 worked out by hand with hmac and hashlib.
    assert made(ReplyToken(12, 7)) == "daaaaaamaaaaab3ls2ff57ntqmwgusi"
    assert made(ReplyToken(A_UUID, None, TODAY)) == "c5is22q7hrja6xsnbknfg7k4nmpj6aejmh26f6kdoxivy4a"


def signed_by_hand(raw):
    """A token of these bytes, signed with the project's secret by another implementation of HKDF."""
    info = b"anymail_postal/reply/1/reply"
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(SECRET)
    return base64.b32encode(raw + hmac.digest(key, raw, "sha256")[:10]).decode().rstrip("=").lower()


def test_keys_are_those_of_hkdf():
    assert signed_by_hand(bytes([0x18, 0, 0, 0, 12, 0, 0, 0, 7])) == made()


@each(
    "first",
    [0x08, 0x28, 0x98, 0x19, 0x1A],
    ids=["version 0", "version 2", "version 9", "expiry without room", "wide without room"],
)
def test_a_good_signature_does_not_help_another_format(first):
    with pytest.raises(ReplyTokenError):
        opened(signed_by_hand(bytes([first, 0, 0, 0, 12, 0, 0, 0, 7])))


@each("purpose", ["replies", "REPLY", "", "reply/1"])
def test_a_token_of_one_purpose_fails_for_another(purpose):
    with pytest.raises(ReplyTokenError):
        opened(made(), purpose=purpose)


def test_upper_case_counts_as_lower():
    assert opened(made().upper()) == ReplyToken(12, 7)


@pytest.mark.parametrize("secrets", [(SECRET, OLDER), (OLDER, SECRET)], ids=["first", "second"])
def test_every_secret_opens(secrets):
    assert opened(made(), secrets) == ReplyToken(12, 7)


@pytest.mark.parametrize("secrets", [(), (OLDER,)], ids=["none", "another"])
def test_without_its_secret_a_token_is_refused(secrets):
    with pytest.raises(ReplyTokenError):
        opened(made(), secrets)


@pytest.mark.parametrize(
    ("today", "good"),
    [(date(2026, 12, 30), True), (date(2026, 12, 31), True), (date(2027, 1, 1), False)],
    ids=["before", "last day", "after"],
)
def test_a_token_is_good_until_the_end_of_its_last_day(today, good):
    text = made(ReplyToken(12, 7, date(2026, 12, 31)))
    if good:
        assert opened(text, today=today).object_id == 12
    else:
        with pytest.raises(ReplyTokenError):
            opened(text, today=today)


def test_every_refusal_says_the_same():
    expired = made(ReplyToken(12, 7, date(2020, 1, 1)))
    texts = set()
    for text in (expired, made(secret=OLDER), "a" * 31, "a", "a" * 30 + "\N{KELVIN SIGN}"):
        with pytest.raises(ReplyTokenError) as refusal:
            opened(text)
        texts.add(str(refusal.value))
    assert texts == {"This is not a valid reply address, or it has expired."}


@each("position", range(31))
def test_a_change_of_any_letter_is_noticed(position):
    text = made()
    letter = "a" if text[position] != "a" else "b"
    with pytest.raises(ReplyTokenError):
        opened(text[:position] + letter + text[position + 1 :])


def test_a_token_has_one_spelling():
    # 31 letters hold 155 bits, three more than 19 bytes: those must be zero.
    text = made()
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    last = alphabet[alphabet.index(text[-1]) + 1]
    padded = text[:-1] + last + "="
    assert base64.b32decode(padded.upper()) == base64.b32decode(text.upper() + "=")
    with pytest.raises(ReplyTokenError):
        opened(text[:-1] + last)


@given(st.text() | st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=30, max_size=48))
def test_random_text_is_refused_with_one_exception(text):
    with pytest.raises(ReplyTokenError):
        opened(text)


@given(st.binary(min_size=19, max_size=19) | st.binary(min_size=27, max_size=27), st.integers(0, 255))
def test_random_bytes_of_our_shape_are_refused(raw, first):
    text = base64.b32encode(bytes([first]) + raw[1:]).decode().rstrip("=").lower()
    with pytest.raises(ReplyTokenError):
        opened(text)


@each(
    "token, message",
    [
        (ReplyToken(-1), "0 to 2**64 - 1"),
        (ReplyToken(2**64), "0 to 2**64 - 1"),
        (ReplyToken(1, -1), "0 to 2**64 - 1"),
        (ReplyToken(1, 2**64), "0 to 2**64 - 1"),
        (ReplyToken(A_UUID, 7), "leave the user out"),
        (ReplyToken(A_UUID, 0), "leave the user out"),
        (ReplyToken(1, None, date(2149, 6, 7)), "until 2149-06-06, not on 2149-06-07"),
        (ReplyToken(1, None, date(1969, 12, 31)), "not on 1969-12-31"),
    ],
    ids=["negative", "huge", "negative user", "huge user", "UUID", "UUID and 0", "too late", "too early"],
)
def test_what_does_not_fit_is_a_value_error(token, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        made(token)


PATTERN = address_pattern("reply", "r.example.org")


@each(
    "text, found",
    [
        ("reply+abc@r.example.org", ["abc"]),
        ("Reply+ABC@R.Example.ORG", ["ABC"]),
        ('"Ann" <reply+abc@r.example.org>, reply+def@r.example.org', ["abc", "def"]),
        ("write to reply+abc@r.example.org.", ["abc"]),
        ("mailto:reply+abc@r.example.org?subject=x", ["abc"]),
        ("reply+da_maged!@r.example.org", ["da_maged!"]),
        ("reply+a+b@r.example.org", ["a+b"]),
        ("https://x.example/?to=reply%2Babc%40r.example.org&x=1", ["abc"]),
        ("reply@r.example.org", []),
        ("reply+@r.example.org", []),
        ("noreply+abc@r.example.org", []),
        ("no-reply+abc@r.example.org", []),
        ("no.reply+abc@r.example.org", []),
        ("x+reply+abc@r.example.org", []),
        ("reply+abc@r.example.org.evil.example", []),
        ("reply+abc@r.example.organic", []),
        ("reply+abc@r.example.org-x", []),
        ("reply+abc@rxexample.org", []),
        (f"reply+{'a' * 65}@r.example.org", []),
    ],
)
def test_reply_addresses_are_found_in_text(text, found):
    assert PATTERN.findall(text) == found


def test_the_local_part_is_taken_literally():
    assert not address_pattern("re.ly", "r.example").search("reply+abc@r.example")
