from datetime import timedelta

import pytest
from anymail.exceptions import AnymailConfigurationError
from django.core.cache import cache

from anymail_postal import conf, dedupe
from anymail_postal.dedupe import CacheMemory, event_key, mail_key
from anymail_postal.ports import Claim, EventReceipt, MailReceipt
from tests.each import each

pytestmark = pytest.mark.usefixtures("empty_cache")

EVENT = ("default", "9dc8ad2f", "MessageSent", 7, b"{}")
MAIL = ("default", 7, b"{}")


def test_same_event_has_the_same_key():
    assert event_key(*EVENT) == event_key(*EVENT)
    assert event_key("default", "9dc8ad2f", "MessageSent", 7, b"other bytes") == event_key(*EVENT)
    assert len(event_key(*EVENT)) <= 64


@each("place", range(4))
def test_other_event_has_another_key(place):
    other = list(EVENT)
    other[place] = 8 if place == 3 else "other"
    assert event_key(*other) != event_key(*EVENT)


@pytest.mark.parametrize("uuid", [None, ""])
def test_event_without_uuid_is_identified_by_its_bytes(uuid):
    assert event_key("default", uuid, "MessageSent", 7, b"a") == event_key(
        "default", uuid, "MessageSent", 7, b"a"
    )
    assert event_key("default", uuid, "MessageSent", 7, b"a") != event_key(
        "default", uuid, "MessageSent", 7, b"b"
    )


@pytest.mark.parametrize("other", [("second", 7, b"{}"), ("default", 8, b"{}"), ("default", 7, b"{ }")])
def test_other_mail_has_another_key(other):
    assert mail_key(*other) != mail_key(*MAIL) == mail_key(*MAIL)
    assert len(mail_key(*MAIL)) <= 64


def test_parts_of_a_key_do_not_run_together():
    assert event_key("a", "bc", "d", 1, b"") != event_key("ab", "c", "d", 1, b"")


# --- Django's cache ---

RECEIPT = MailReceipt(server="default", key="k" * 64)
HOUR = timedelta(hours=1)


def receive(keep_for=HOUR):
    return CacheMemory(keep_for).receive(RECEIPT)


def test_first_is_new_and_repeats_are_done():
    with receive() as claim:
        assert claim is Claim.NEW
    for _ in range(2):
        with receive() as claim:
            assert claim is Claim.DONE


def test_repeat_while_the_first_is_running():
    with receive() as first, receive() as second:
        assert (first, second) == (Claim.NEW, Claim.RUNNING)
    with receive() as third:
        assert third is Claim.DONE


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_receivers_free_the_post(error):
    with pytest.raises(error), receive():
        raise error
    with receive() as claim:
        assert claim is Claim.NEW


def test_repeat_that_fails_frees_nothing():
    with receive(), pytest.raises(ValueError, match="x"), receive():
        raise ValueError("x")
    with receive() as claim:
        assert claim is Claim.DONE


class RecordingCache:
    def __init__(self):
        self.calls = []

    def add(self, key, value, timeout):
        self.calls.append(("add", key, value, timeout))
        return True

    def set(self, key, value, timeout):
        self.calls.append(("set", key, value, timeout))


def test_claims_last_ten_minutes_and_marks_as_long_as_the_setting_says(monkeypatch):
    recording = RecordingCache()
    monkeypatch.setattr(dedupe, "cache", recording)
    with receive(timedelta(hours=96)):
        assert [(name, timeout) for name, _, _, timeout in recording.calls] == [("add", 600)]
    assert [(name, timeout) for name, _, _, timeout in recording.calls] == [("add", 600), ("set", 96 * 3600)]


def test_memory_in_the_cache_ends():
    with receive(timedelta(0)):
        pass
    with receive() as claim:
        assert claim is Claim.NEW


# --- where ---


def claims(config, receipt=RECEIPT):
    found = []
    for _ in range(2):
        with dedupe.receive(receipt, config) as claim:
            found.append(claim)
    return found


@pytest.mark.parametrize(
    ("mode", "second"), [("auto", Claim.DONE), ("cache", Claim.DONE), ("off", Claim.NEW)]
)
@pytest.mark.usefixtures("without_store")
def test_without_a_store_the_cache_remembers(mode, second):
    assert claims(conf.server(webhook_dedupe=mode)) == [Claim.NEW, second]
    assert (cache.get(dedupe.CACHE_PREFIX + RECEIPT.key) is None) == (mode == "off")


@pytest.mark.usefixtures("without_store")
def test_store_that_is_not_installed_is_an_error_of_configuration():
    with pytest.raises(AnymailConfigurationError, match="POSTAL_WEBHOOK_DEDUPE"):
        claims(conf.server(webhook_dedupe="store"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("mode", "second", "in_cache"),
    [
        ("auto", Claim.DONE, False),
        ("store", Claim.DONE, False),
        ("cache", Claim.DONE, True),
        ("off", Claim.NEW, False),
    ],
)
def test_installed_store_remembers_by_default(mode, second, in_cache):
    assert claims(conf.server(webhook_dedupe=mode)) == [Claim.NEW, second]
    assert (cache.get(dedupe.CACHE_PREFIX + RECEIPT.key) is not None) == in_cache


@pytest.mark.django_db
def test_event_receipts_are_remembered_too():
    receipt = EventReceipt("default", "k", "MessageSent", "delivered", postal_id=7)
    assert claims(conf.server(webhook_dedupe="auto"), receipt) == [Claim.NEW, Claim.DONE]
