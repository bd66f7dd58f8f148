"""Metadata sealed in Message-IDs: what comes back, what does not open, and what never raises."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymail_postal import metadata
from anymail_postal.errors import PostalMetadataTooLarge
from tests.each import each

SECRET = b"the secret of the tests, long enough"
NONCE = bytes(range(12))
DOMAIN = "news.example.test"

texts = st.text(max_size=20).filter(lambda text: text.isprintable())
small_metadata = st.dictionaries(
    st.text("abcdefgh_", min_size=1, max_size=5),
    st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), texts),
    max_size=3,
)


@given(small_metadata, st.binary(min_size=12, max_size=12))
def test_what_was_sealed_is_opened(data: dict[str, object], nonce: bytes) -> None:
    size = len(json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode())
    if size > metadata.room(DOMAIN):
        with pytest.raises(PostalMetadataTooLarge, match=str(size)):
            metadata.seal(data, SECRET, nonce, DOMAIN)
        return
    message_id = metadata.seal(data, SECRET, nonce, DOMAIN)
    assert len(message_id) <= 255
    assert metadata.open_message_id(message_id, [SECRET]) == data
    assert metadata.open_message_id(f" <{message_id}> ", [b"another", SECRET]) == data


@given(st.one_of(st.text(max_size=400), st.binary(max_size=300), st.none(), st.integers()))
def test_nothing_else_opens_and_nothing_raises(message_id: object) -> None:
    assert metadata.open_message_id(message_id, [SECRET]) is None  # type: ignore[arg-type]


@given(st.binary(min_size=0, max_size=200))
def test_random_bytes_do_not_open(raw: bytes) -> None:
    local = base64.urlsafe_b64encode(metadata.VERSION + raw).rstrip(b"=").decode()
    assert metadata.open_message_id(f"{local}@{DOMAIN}", [SECRET]) is None


@given(small_metadata, st.data())
def test_no_character_can_be_changed(data: dict[str, object], choose: st.DataObject) -> None:
    local, _, domain = metadata.seal(data, SECRET, NONCE, DOMAIN).partition("@")
    at = choose.draw(st.integers(0, len(local) - 1))
    other = choose.draw(
        st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_").filter(
            lambda character: character != local[at]
        )
    )
    assert metadata.open_message_id(f"{local[:at]}{other}{local[at + 1 :]}@{domain}", [SECRET]) is None


def test_the_domain_does_not_matter_because_gateways_may_change_it() -> None:
    local = metadata.seal({"n": 1}, SECRET, NONCE, DOMAIN).partition("@")[0]
    assert metadata.open_message_id(f"{local}@elsewhere.example", [SECRET]) == {"n": 1}


def test_recipients_cannot_read_it() -> None:
    message_id = metadata.seal({"user": "ann"}, SECRET, NONCE, DOMAIN)
    raw = base64.urlsafe_b64decode(message_id.partition("@")[0] + "==")
    assert raw[:1] == b"\x01"
    assert raw[1:13] == NONCE
    assert b"ann" not in raw


@each(
    "change, why",
    [
        (lambda raw: b"\x02" + raw[1:], "another version"),
        (lambda raw: raw[:-1], "cut"),
        (lambda raw: raw + b"\x00", "longer"),
        (lambda raw: raw[:1] + raw[2:3] + raw[1:2] + raw[3:], "another nonce"),
    ],
)
def test_a_changed_id_does_not_open(change: object, why: str) -> None:
    local = metadata.seal({"user": "ann"}, SECRET, NONCE, DOMAIN).partition("@")[0]
    raw = base64.urlsafe_b64decode(local + "=" * (-len(local) % 4))
    changed = base64.urlsafe_b64encode(change(raw)).rstrip(b"=").decode()  # type: ignore[operator]
    assert metadata.open_message_id(f"{changed}@{DOMAIN}", [SECRET]) is None, why


def test_the_room_is_that_of_postals_column() -> None:
    assert metadata.room("x" * 20) == 146
    domain = "d" * 16 + ".test"
    fits = {"k": "v" * (metadata.room(domain) - 8)}
    assert len(metadata.seal(fits, SECRET, NONCE, domain)) <= 255
    with pytest.raises(
        PostalMetadataTooLarge,
        match=rf"{metadata.room(domain) + 1} bytes.*room for {metadata.room(domain)}\.",
    ):
        metadata.seal({"k": "v" * (metadata.room(domain) - 7)}, SECRET, NONCE, domain)


def test_a_domain_without_any_room_is_said_to_have_none() -> None:
    with pytest.raises(PostalMetadataTooLarge, match=r"room for 0\."):
        metadata.seal({}, SECRET, NONCE, "d" * 250)


@pytest.mark.parametrize(
    ("data", "error"),
    [({"at": object()}, TypeError), ({"n": float("nan")}, ValueError)],
    ids=["object", "nan"],
)
def test_what_json_cannot_say_is_an_error(data: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        metadata.seal(data, SECRET, NONCE, DOMAIN)


def test_text_is_not_escaped_so_that_more_fits() -> None:
    message_id = metadata.seal({"k": "ü"}, SECRET, NONCE, DOMAIN)
    assert len(message_id.partition("@")[0]) == len(base64.urlsafe_b64encode(b"x" * (29 + 10)).rstrip(b"="))


@each("length", range(41, 62))
def test_local_parts_of_every_length_are_looked_at_in_peace(length: int) -> None:
    # Four characters of base64 hold three bytes: no text has one character more than a multiple of four.
    assert metadata.open_message_id(f"{'AQ'.ljust(length, 'A')}@{DOMAIN}", [SECRET]) is None


@pytest.mark.parametrize("data", [{"n": 1}, {"n": 12}, {"n": 123}], ids=str)
def test_a_sealed_id_has_one_spelling(data: dict[str, object]) -> None:
    local = metadata.seal(data, SECRET, NONCE, DOMAIN).partition("@")[0]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # The last character may have bits that no byte needs: setting the lowest gives the same bytes.
    other = local[:-1] + alphabet[alphabet.index(local[-1]) ^ 1]
    assert metadata.open_message_id(f"{local}@{DOMAIN}", [SECRET]) == data
    assert metadata.open_message_id(f"{other}@{DOMAIN}", [SECRET]) is None
