"""The store's rows: metadata, claims in the receivers' transaction, kept posts, suppressions."""

import threading
from datetime import datetime, timedelta, timezone

import pytest
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from anymail_postal import conf
from anymail_postal.contrib.store.models import (
    InboundMail,
    PostalEvent,
    PostalMessage,
    ScheduledMail,
    Suppression,
)
from anymail_postal.contrib.store.store import Store, is_lock_timeout
from anymail_postal.ports import (
    Claim,
    Delivery,
    EventReceipt,
    MailReceipt,
    ScheduledSend,
    SentMessage,
    StoredEvent,
)
from tests.each import each

WHEN = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=timezone.utc)


@pytest.fixture
def store(db):
    return Store()


def event(**values):
    given_values = {
        "server": "default",
        "key": "k1",
        "name": "MessageSent",
        "event_type": "delivered",
        "postal_id": 5,
        "recipient": "ann@example.org",
        "occurred_at": WHEN,
    }
    return EventReceipt(**{**given_values, **values})


def mail(**values):
    return MailReceipt(**{"server": "default", "key": "m1", "postal_id": 9, **values})


def received(store, receipt):
    with store.receive(receipt) as claim:
        return claim


def sent(**values):
    return SentMessage(**{"postal_id": 5, "token": "tok", "recipient": "ann@example.org", **values})


def test_the_migrations_are_complete(db):
    call_command("makemigrations", "anymail_postal_store", check=True, dry_run=True, verbosity=0)


def test_the_core_finds_the_store(db):
    assert isinstance(conf.store(), Store)


class TestSentMessages:
    def test_metadata_of_any_size_comes_back(self, store):
        metadata = {"order": 7, "text": "é" * 5000}
        store.record_sent("default", [sent(metadata=metadata), sent(postal_id=6)])
        assert store.metadata("default", 5) == metadata
        assert store.metadata("default", 6) == {}

    @each("server, postal_id", [("default", 7), ("other", 5), ("default", 2**70), ("default", -(2**70))])
    def test_what_was_not_recorded_is_none(self, store, server, postal_id):
        store.record_sent("default", [sent(metadata={"a": 1})])
        assert store.metadata(server, postal_id) is None

    def test_what_was_recorded_stays(self, store):
        store.record_sent("default", [sent(metadata={"a": 1})])
        store.record_sent("default", [sent(metadata={"a": 2}), sent(postal_id=8, metadata={"b": 3})])
        assert store.metadata("default", 5) == {"a": 1}
        assert store.metadata("default", 8) == {"b": 3}

    def test_a_row_says_all_that_is_known(self, store):
        store.record_sent(
            "eu",
            [sent(rfc_message_id="x@example.org", subject="Hello", tag="news", metadata={"a": 1})],
        )
        row = PostalMessage.objects.get()
        assert (row.server, row.postal_id, row.token, row.recipient) == ("eu", 5, "tok", "ann@example.org")
        assert (row.rfc_message_id, row.subject, row.tag) == ("x@example.org", "Hello", "news")
        assert row.event_type == "queued"
        assert str(row) == "Hello to ann@example.org"

    def test_what_no_column_takes_is_cut(self, store):
        store.record_sent("default", [sent(subject="a\0" + "ä" * 300 + "\ud800", tag="t" * 999)])
        row = PostalMessage.objects.get()
        assert row.subject == "a" + "ä" * 254
        assert row.tag == "t" * 255

    def test_a_failure_does_not_spoil_what_is_around(self, store):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE anymail_postal_store_postalmessage RENAME TO elsewhere")
        with transaction.atomic():
            with pytest.raises(DatabaseError):
                store.record_sent("default", [sent()])
            assert not Suppression.objects.exists()


class TestReceive:
    @pytest.mark.parametrize("receipt", [event(), mail()], ids=["event", "mail"])
    def test_a_repeat_is_done(self, store, receipt):
        assert received(store, receipt) is Claim.NEW
        assert received(store, receipt) is Claim.DONE

    @pytest.mark.parametrize("receipt", [event(), mail()], ids=["event", "mail"])
    def test_an_exception_of_a_receiver_undoes_the_claim(self, store, receipt):
        with pytest.raises(RuntimeError), store.receive(receipt):
            raise RuntimeError
        assert received(store, receipt) is Claim.NEW

    def test_receivers_share_the_transaction(self, store):
        def receivers():
            Suppression.objects.create(server="default", address="written-by-a-receiver")
            raise RuntimeError

        with pytest.raises(RuntimeError), store.receive(event()):
            receivers()
        assert not Suppression.objects.exists()

    def test_receivers_can_use_the_database_after_a_repeat(self, store):
        received(store, event())
        with store.receive(event()) as claim:
            assert claim is Claim.DONE
            assert PostalEvent.objects.count() == 1

    @pytest.mark.parametrize(
        ("other", "claim"),
        [
            ({"key": "k2"}, Claim.DONE),  # the uuid of a second webhook on the same URL
            ({"key": "k2", "server": "eu"}, Claim.NEW),
            ({"key": "k2", "name": "MessageDelayed"}, Claim.NEW),
            ({"key": "k2", "postal_id": 6}, Claim.NEW),
            ({"key": "k2", "occurred_at": WHEN + timedelta(seconds=1)}, Claim.NEW),
            ({"occurred_at": None}, Claim.DONE),
            ({"server": "eu"}, Claim.NEW),
        ],
    )
    def test_which_events_are_the_same(self, store, other, claim):
        received(store, event())
        assert received(store, event(**other)) is claim

    @pytest.mark.parametrize("missing", [{"occurred_at": None}, {"postal_id": None}], ids=str)
    def test_without_time_or_message_only_the_key_counts(self, store, missing):
        assert received(store, event(**missing)) is Claim.NEW
        assert received(store, event(key="k2", **missing)) is Claim.NEW

    def test_a_row_says_all_that_is_known(self, store):
        received(store, event(event_type="bounced", reject_reason="spam", details="d", output="550 no"))
        row = PostalEvent.objects.get()
        assert (row.name, row.event_type, row.reject_reason) == ("MessageSent", "bounced", "spam")
        assert (row.details, row.output, row.occurred_at, row.happened_at) == ("d", "550 no", WHEN, WHEN)
        assert row.handled_at is not None
        assert str(row) == "MessageSent for ann@example.org"

    def test_a_mail_says_all_that_is_known(self, store):
        received(store, mail(sender="", recipient="reply@r.example", subject="Re: x"))
        row = InboundMail.objects.get()
        assert (row.postal_id, row.sender, row.recipient, row.subject) == (9, "", "reply@r.example", "Re: x")
        assert str(row) == "Re: x from <>"

    @pytest.mark.parametrize("number", [2**63, -(2**63), 2**200])
    def test_an_impossible_id_is_no_id(self, store, number):
        assert received(store, event(postal_id=number)) is Claim.NEW
        assert PostalEvent.objects.get().postal_id is None

    def test_an_event_of_the_server_has_no_recipient(self, store):
        received(store, event(name="SendLimitExceeded", event_type="unknown", postal_id=None, recipient=""))
        assert str(PostalEvent.objects.get()) == "SendLimitExceeded"


class TestHostileTexts(TestCase):
    @given(st.text(st.characters(), max_size=400), st.integers())
    def test_any_text_and_number_can_be_stored(self, text, number):
        with transaction.atomic():
            receipt = event(recipient=text, details=text, output=text, name=text, postal_id=number)
            assert received(Store(), receipt) is Claim.NEW
            PostalEvent.objects.all().delete()


def do_not_wait():
    """Have SQLite say at once that the database is locked."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 50")


class TestConcurrency:
    @pytest.fixture
    def store(self, transactional_db):
        return Store()

    def test_a_repeat_while_the_first_is_running_is_running(self, store, monkeypatch):
        monkeypatch.setattr("anymail_postal.contrib.store.store.LOCK_WAIT", "'50ms'")
        claims = []

        def repeat():
            do_not_wait()
            claims.append(received(store, event()))
            BaseDatabaseWrapper.close(connection)  # SQLite's own keeps a database in memory open.

        do_not_wait()
        with store.receive(event()) as claim:
            thread = threading.Thread(target=repeat)
            thread.start()
            thread.join()
        assert (claim, claims) == (Claim.NEW, [Claim.RUNNING])

    @pytest.mark.skipif(connection.vendor != "postgresql", reason="a setting of PostgreSQL")
    def test_receivers_wait_for_their_own_locks_as_ever(self, store):
        with store.receive(event()), connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("0",)

    def test_another_trouble_of_the_database_is_raised(self, store, monkeypatch):
        def fail(*args, **kwargs):
            raise OperationalError("the disk is full")

        monkeypatch.setattr(PostalEvent, "save", fail)
        with pytest.raises(OperationalError, match="disk"), store.receive(event()):
            pass


class Cause(Exception):
    sqlstate = "55P03"


@each(
    "error, cause, answer",
    [
        (OperationalError("canceling statement due to lock timeout"), Cause(), True),
        (OperationalError(1205, "Lock wait timeout exceeded"), None, True),
        (OperationalError("database table is locked"), None, True),
        (OperationalError(2006, "server has gone away"), None, False),
        (OperationalError("connection refused"), Exception(), False),
        (OperationalError(), None, False),
    ],
    ids=["PostgreSQL", "MySQL", "SQLite", "MySQL gone", "refused", "empty"],
)
def test_lock_timeouts_are_distinguished_from_other_errors(error, cause, answer):
    error.__cause__ = cause
    assert is_lock_timeout(error) is answer


class TestKeptPosts:
    @pytest.mark.parametrize(
        ("receipt", "kind"), [(event(), "tracking"), (mail(), "inbound")], ids=["event", "mail"]
    )
    def test_a_kept_post_is_handed_out_once(self, store, receipt, kind):
        delivery_id = store.keep(receipt, b"\x00\xffbody", "application/json")
        with store.delivery(delivery_id) as delivery:
            assert delivery == Delivery(kind, "default", b"\x00\xffbody", "application/json")
        with store.delivery(delivery_id) as again:
            assert again is None

    def test_the_body_is_kept_no_longer_than_needed(self, store):
        with store.delivery(store.keep(mail(), b"private", "text/plain")):
            pass
        assert bytes(InboundMail.objects.get().body) == b""

    def test_a_failed_receiver_leaves_it_waiting(self, store):
        delivery_id = store.keep(mail(), b"body", "text/plain")
        with pytest.raises(RuntimeError), store.delivery(delivery_id):
            raise RuntimeError
        with store.delivery(delivery_id) as delivery:
            assert delivery.body == b"body"

    def test_a_repeat_has_the_same_id_until_it_was_handled(self, store):
        delivery_id = store.keep(mail(), b"body", "text/plain")
        assert store.keep(mail(), b"body", "text/plain") == delivery_id
        with store.delivery(delivery_id):
            pass
        assert store.keep(mail(), b"body", "text/plain") is None

    def test_a_second_webhook_has_the_id_of_the_first(self, store):
        delivery_id = store.keep(event(), b"1", "application/json")
        assert store.keep(event(key="k2"), b"2", "application/json") == delivery_id

    def test_a_post_handled_at_once_is_not_kept(self, store):
        received(store, event())
        assert store.keep(event(), b"body", "application/json") is None

    def test_a_request_takes_over_what_no_task_has_handled(self, store):
        delivery_id = store.keep(event(), b"body", "application/json")
        assert received(store, event()) is Claim.NEW
        assert received(store, event()) is Claim.DONE
        with store.delivery(delivery_id) as delivery:
            assert delivery is None

    @each(
        "delivery_id",
        [
            "",
            "tracking",
            "tracking-",
            "tracking-x",
            "tracking-999",
            "mail-1",
            "inbound--1",
            f"inbound-{10**30}",
            "²",
        ],
    )
    def test_an_unknown_delivery_is_none(self, store, delivery_id):
        with store.delivery(delivery_id) as delivery:
            assert delivery is None


class TestStateOfMessages:
    @pytest.mark.parametrize(
        ("events", "state"),
        [
            (["deferred"], "deferred"),
            (["deferred", "delivered"], "delivered"),
            (["delivered", "deferred"], "delivered"),
            (["delivered", "bounced"], "bounced"),
            (["bounced", "delivered"], "bounced"),
            (["delivered", "opened", "clicked"], "delivered"),
            (["opened"], "queued"),
            (["delivered", "failed"], "delivered"),
            (["rejected", "delivered"], "delivered"),
            (["unknown"], "queued"),
        ],
        ids=lambda value: "+".join(value) if isinstance(value, list) else value,
    )
    def test_an_event_never_replaces_one_that_says_more(self, store, events, state):
        store.record_sent("default", [sent()])
        for number, event_type in enumerate(events):
            received(store, event(key=str(number), event_type=event_type, occurred_at=None))
        assert PostalMessage.objects.get().event_type == state

    def test_an_event_may_come_before_its_message_is_recorded(self, store):
        received(store, event(event_type="delivered"))
        received(store, event(key="other", server="eu", event_type="delivered", postal_id=6))
        store.record_sent("default", [sent(), sent(postal_id=6)])
        states = dict(PostalMessage.objects.values_list("postal_id", "event_type"))
        assert states == {5: "delivered", 6: "queued"}

    def test_only_its_own_message_changes(self, store):
        store.record_sent("default", [sent(postal_id=6)])
        store.record_sent("eu", [sent()])
        received(store, event())
        assert set(PostalMessage.objects.values_list("event_type", flat=True)) == {"queued"}

    def test_reason_and_time_are_noted(self, store):
        store.record_sent("default", [sent()])
        received(store, event(event_type="bounced", reject_reason="invalid"))
        row = PostalMessage.objects.get()
        assert (row.reject_reason, row.event_at) == ("invalid", WHEN)

    def test_the_timeline_is_in_order(self, store):
        store.record_sent("default", [sent()])
        for key, seconds in (("b", 20), ("a", 10), ("c", 30)):
            received(store, event(key=key, occurred_at=WHEN + timedelta(seconds=seconds)))
        received(store, event(key="d", postal_id=6))
        assert [each.key for each in PostalMessage.objects.get().events()] == ["a", "b", "c"]


@pytest.fixture
def suppressing(settings):
    settings.ANYMAIL = {"POSTAL_SUPPRESSION": "store"}


@pytest.mark.usefixtures("suppressing")
class TestSuppression:
    @pytest.mark.parametrize(
        ("event_type", "reason", "feeds"),
        [
            ("bounced", "bounced", True),
            ("bounced", None, True),
            ("rejected", "blocked", True),
            ("rejected", "timed_out", True),
            ("rejected", "spam", False),
            ("bounced", "spam", False),
            ("failed", None, False),
            ("deferred", None, False),
            ("delivered", None, False),
        ],
    )
    def test_bounced_and_rejected_feed_it(self, store, event_type, reason, feeds):
        received(store, event(event_type=event_type, reject_reason=reason, recipient="Ann@Example.org"))
        assert store.suppressed("default", ["ann@example.org"]) == ({"ann@example.org"} if feeds else set())

    @pytest.mark.parametrize("name", ["MessageDeliveryFailed", "MessageBounced"])
    def test_what_says_nothing_of_the_address_does_not(self, store, name):
        received(store, event(name=name, event_type="bounced", reject_reason="blocked", may_suppress=False))
        assert not Suppression.objects.exists()

    def test_addresses_come_back_as_given(self, store):
        received(store, event(event_type="bounced", recipient="Ann@Example.org"))
        asked = ["ANN@example.org", "ann@EXAMPLE.org", "bob@example.org"]
        assert store.suppressed("default", asked) == {"ANN@example.org", "ann@EXAMPLE.org"}

    def test_each_server_has_its_own(self, store):
        received(store, event(event_type="bounced"))
        assert store.suppressed("eu", ["ann@example.org"]) == set()

    def test_a_second_bounce_changes_nothing(self, store):
        received(store, event(event_type="bounced", reject_reason="invalid"))
        received(store, event(key="k2", event_type="bounced", occurred_at=None))
        row = Suppression.objects.get()
        assert (str(row), row.reason, row.postal_id) == ("ann@example.org", "invalid", 5)

    def test_without_a_recipient_there_is_nothing_to_suppress(self, store):
        received(store, event(event_type="bounced", recipient=""))
        assert not Suppression.objects.exists()

    def test_a_failing_receiver_suppresses_no_address(self, store):
        with pytest.raises(RuntimeError), store.receive(event(event_type="bounced")):
            raise RuntimeError
        assert not Suppression.objects.exists()

    def test_an_address_entered_by_hand_counts_in_any_case(self, store):
        Suppression.objects.create(server="default", address="Ann@Example.ORG")
        assert store.suppressed("default", ["ann@example.org"]) == {"ann@example.org"}


def test_suppression_is_off_by_default(store):
    received(store, event(event_type="bounced"))
    assert not Suppression.objects.exists()


class TestSchedule:
    def test_calls_are_kept_as_given(self, store):
        send = ScheduledSend(
            server="eu",
            send_at=WHEN,
            endpoint="send/message",
            params={"to": ["ann@example.org"], "plain_body": "Hi"},
            subject="Hello",
            tag="news",
            metadata={"a": 1},
        )
        store.schedule([send, send])
        row = ScheduledMail.objects.first()
        assert ScheduledMail.objects.count() == 2
        assert (row.server, row.send_at, row.endpoint) == ("eu", WHEN, "send/message")
        assert row.params == {"to": ["ann@example.org"], "plain_body": "Hi"}
        assert (row.subject, row.tag, row.metadata, row.state) == ("Hello", "news", {"a": 1}, "waiting")
        assert str(row) == "Hello"


class TestEvents:
    @pytest.fixture(autouse=True)
    def three(self, store):
        received(store, event(key="a", details="ok", output="250 Ok"))
        received(store, event(key="b", postal_id=6, server="eu"))
        received(store, event(key="c", postal_id=7, event_type="bounced", reject_reason="invalid"))

    def keys(self, events):
        return [PostalEvent.objects.get(pk=each.number).key for each in events]

    def test_the_last_are_given_in_order(self, store):
        assert self.keys(store.events(2)) == ["b", "c"]
        assert self.keys(store.events(9)) == ["a", "b", "c"]

    def test_the_next_follow_a_number(self, store):
        first = store.events(9)[0].number
        assert self.keys(store.events(1, after=first)) == ["b"]
        assert self.keys(store.events(9, after=first)) == ["b", "c"]
        assert self.keys(store.events(9, after=first + 2)) == []

    def test_a_server_can_be_chosen(self, store):
        assert self.keys(store.events(9, server="default")) == ["a", "c"]
        assert self.keys(store.events(9, server="eu", after=0)) == ["b"]

    def test_an_event_says_all_that_is_known(self, store):
        first = store.events(9)[0]
        assert first == StoredEvent(
            number=first.number,
            at=WHEN,
            server="default",
            name="MessageSent",
            event_type="delivered",
            reject_reason="",
            failure_class="",
            recipient="ann@example.org",
            details="ok",
            output="250 Ok",
        )

    def test_names_of_the_events_of_a_server(self, store):
        received(store, event(server="eu", key="k9", name="MessageHeld"))
        assert store.event_names("eu") == {"MessageHeld", "MessageSent"}
        assert store.event_names("nowhere") == set()
