import threading

import pytest
import requests
import responses
from anymail.exceptions import AnymailConfigurationError
from cryptography.hazmat.primitives.asymmetric import rsa

from anymail_postal import conf, keys, signatures
from anymail_postal.keys import KeySet, fetch_json, sources
from tests.each import each

from .recorded import DKIM_RECORD, KEY_ID, MAILS, WEBHOOKS
from .test_signatures import b64url, bare, id_of, jwk

OLD, NEW, OTHER = (rsa.generate_private_key(65537, 1024) for _ in range(3))
URL = "https://postal.example.com/.well-known/jwks.json"
UNKNOWN = "f" * 64


class Postal:
    """A key set, the clock it is asked by, and how often it was asked."""

    def __init__(self, *published):
        self.published = published
        self.now = 1000.0
        self.asked = 0
        self.error = None
        self.key_set = KeySet(URL, self.fetch, lambda: self.now)

    def fetch(self, url):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return {"keys": [jwk(key) for key in self.published]}

    def ids(self, wanted=None):
        return [key.id for key in self.key_set.keys(wanted)]


def test_keys_are_fetched_once_and_kept_for_a_quarter_of_an_hour():
    postal = Postal(OLD)
    assert postal.ids() == [id_of(OLD)]
    postal.now += 15 * 60 - 1
    assert postal.ids(id_of(OLD)) == [id_of(OLD)]
    assert postal.asked == 1
    postal.now += 1
    assert postal.ids() == [id_of(OLD)]
    assert postal.asked == 2


def test_unknown_id_makes_it_look_again():
    postal = Postal(OLD)
    postal.ids()
    postal.published = (NEW,)
    postal.now += 61
    assert postal.ids(id_of(NEW)) == [id_of(NEW)]
    assert postal.asked == 2


def test_it_looks_once_a_minute_at_most_whatever_the_reason():
    postal = Postal(OLD)
    for _ in range(10):
        assert postal.ids(UNKNOWN) == [id_of(OLD)]
    assert postal.asked == 1
    postal.now += 59.9
    postal.ids(UNKNOWN)
    assert postal.asked == 1
    postal.now += 0.1
    postal.ids(UNKNOWN)
    assert postal.asked == 2


ERRORS = [
    requests.ConnectionError("refused"),
    requests.Timeout("2 s"),
    ValueError("no JSON"),
    RecursionError(),
]


@each("error", ERRORS, ids=lambda error: type(error).__name__)
def test_failure_is_remembered_for_a_minute_and_then_forgiven(error, caplog):
    postal = Postal(OLD)
    postal.error = error
    for _ in range(5):
        assert postal.ids() == []
    assert postal.asked == 1
    assert URL in caplog.text
    postal.error = None
    postal.now += 60
    assert postal.ids() == [id_of(OLD)]


@each("error", ERRORS, ids=lambda error: type(error).__name__)
def test_last_good_keys_outlive_an_outage(error):
    postal = Postal(OLD)
    postal.ids()
    postal.error = error
    postal.now += 24 * 3600
    assert postal.ids(id_of(OLD)) == [id_of(OLD)]
    assert postal.ids(UNKNOWN) == [id_of(OLD)]
    assert postal.asked == 2


def test_key_set_without_usable_keys_is_a_failure():
    postal = Postal(OLD)
    postal.ids()
    postal.published = ()
    postal.now += 3600
    assert postal.ids() == [id_of(OLD)]


def test_only_one_thread_fetches():
    entered, leave = threading.Event(), threading.Event()
    asked = []

    def fetch(url):
        asked.append(url)
        entered.set()
        assert leave.wait(5)
        return {"keys": [jwk(OLD)]}

    key_set, found = KeySet(URL, fetch), []
    threads = [threading.Thread(target=lambda: found.append(key_set.keys())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(5)
    leave.set()
    for thread in threads:
        thread.join(5)
    assert asked == [URL]
    assert [[key.id for key in each] for each in found] == [[id_of(OLD)]] * 4


def test_each_url_has_one_key_set_in_the_process():
    assert keys.key_set(URL) is keys.key_set(URL)
    assert keys.key_set(URL) is not keys.key_set(URL + "?other")


# --- fetching ---


@responses.activate
def test_document_is_fetched():
    responses.get(URL, json={"keys": [jwk(OLD)]})
    assert fetch_json(URL) == {"keys": [jwk(OLD)]}


@responses.activate
@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b"[" * 1000])
def test_other_content_is_a_failure(content):
    responses.get(URL, body=content)
    with pytest.raises((ValueError, RecursionError)):
        fetch_json(URL)


# --- where the keys come from ---


def config(**options):
    return conf.server("default", **options)


def test_no_source_is_an_error_of_configuration():
    with pytest.raises(AnymailConfigurationError, match="ANYMAIL_POSTAL_WEBHOOK_KEY"):
        sources(config(webhook_key=None, webhook_jwks_url=None))


PINNED = {
    "text": (bare(OLD), [OLD]),
    "JWK": (jwk(OLD), [OLD]),
    "list": ([bare(OLD), jwk(NEW), f"v=DKIM1; p={bare(OTHER)}"], [OLD, NEW, OTHER]),
    "tuple": ((bare(OLD),), [OLD]),
    "JWK set": ({"keys": [jwk(OLD), jwk(NEW)]}, [OLD, NEW]),
}


@each("value, wanted", PINNED.values(), ids=PINNED)
def test_pinned_keys(value, wanted):
    found = sources(config(webhook_key=value))
    assert [key.id for key in found.candidates()] == [id_of(key) for key in wanted]
    assert found.urls == ()


BAD = {
    "text": "no key",
    "in a list": [bare(OLD), "no key"],
    "JWK": {"kty": "EC"},
    "http URL": "http://postal.example.com/.well-known/jwks.json",
}


@each("value", BAD.values(), ids=BAD)
def test_bad_key_is_an_error_of_configuration_that_shows_which(value):
    shown = value[-1] if isinstance(value, list) else value
    with pytest.raises(AnymailConfigurationError) as caught:
        sources(config(webhook_key=value))
    assert "POSTAL_WEBHOOK_KEY" in str(caught.value)
    assert str(shown)[:12] in str(caught.value)


URLS = {
    "setting": ({"webhook_jwks_url": URL}, [URL]),
    "below the API": ({"webhook_jwks_url": True, "api_url": "https://postal.example.com/"}, [URL]),
    "among the keys": ({"webhook_key": [bare(OLD), URL]}, [URL]),
    "both": (
        {"webhook_key": URL, "webhook_jwks_url": "https://other.example/keys"},
        ["https://other.example/keys", URL],
    ),
    "loopback": ({"webhook_jwks_url": "http://127.0.0.1:5000/keys"}, ["http://127.0.0.1:5000/keys"]),
}


@each("options, wanted", URLS.values(), ids=URLS)
def test_key_set_urls(options, wanted):
    assert list(sources(config(**options)).urls) == wanted


@pytest.mark.parametrize(
    "options",
    [
        {"webhook_jwks_url": True, "api_url": "http://postal.example.com"},
        {"webhook_jwks_url": True, "api_url": None},
        {"webhook_jwks_url": "http://postal.example.com/keys"},
    ],
    ids=["http below the API", "no API URL", "http"],
)
def test_key_set_without_tls_is_an_error_of_configuration(options):
    with pytest.raises(AnymailConfigurationError):
        sources(config(**options))


@responses.activate
def test_pinned_key_needs_no_fetch():
    found = sources(config(webhook_key=bare(OLD), webhook_jwks_url="https://pinned.example/keys"))
    assert [key.id for key in found.candidates(id_of(OLD))] == [id_of(OLD)]
    assert len(responses.calls) == 0


@responses.activate
def test_published_keys_join_the_pinned():
    responses.get("https://joined.example/keys", json={"keys": [jwk(NEW)]})
    found = sources(config(webhook_key=bare(OLD), webhook_jwks_url="https://joined.example/keys"))
    assert {key.id for key in found.candidates(id_of(NEW))} == {id_of(OLD), id_of(NEW)}
    assert {key.id for key in found.candidates()} == {id_of(OLD), id_of(NEW)}


def test_cryptography_is_asked_for_first(monkeypatch):
    monkeypatch.setattr(signatures, "missing", ImportError("no module"))
    with pytest.raises(AnymailConfigurationError, match="pip install cryptography"):
        sources(config(webhook_jwks_url=URL))


# --- the recording ---


@responses.activate
def test_every_recorded_post_verifies_through_the_published_key_set():
    (key,) = signatures.parse_keys(DKIM_RECORD)
    numbers = key.rsa.public_numbers()
    published = {"kty": "RSA", "n": b64url(numbers.n), "e": b64url(numbers.e), "use": "sig", "alg": "RS256"}
    url = "https://recorded.example/.well-known/jwks.json"
    responses.get(url, json={"keys": [{**published, "kid": KEY_ID}]})
    found = sources(config(webhook_jwks_url=url))
    for post in (*WEBHOOKS, *MAILS):
        signature = signatures.read_signature(
            post.headers["X-Postal-Signature-256"], None, post.headers["X-Postal-Signature-Kid"]
        )
        assert signatures.verify(post.body, signature, found.candidates(signature.key_id)).id == KEY_ID
    assert len(responses.calls) == 1
