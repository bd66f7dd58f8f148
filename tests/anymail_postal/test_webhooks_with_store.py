"""The views of a project that lists the store."""

import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import django
import pytest
from anymail.exceptions import AnymailConfigurationError
from anymail.signals import tracking as tracking_signal
from django.test import Client

from anymail_postal import conf, dispatch, testing, webhooks
from anymail_postal.contrib.store.models import PostalEvent
from anymail_postal.ports import SentMessage
from anymail_postal.testing import inbound_request, make_key, public_key, simple_mail, webhook_request

from .receivers import raising

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("anymail", "empty_cache")]
DELIVERIES: list[str] = []


def enqueue(delivery_id):
    DELIVERIES.append(delivery_id)


def enqueue_badly(delivery_id):
    raise ConnectionError("broker is down")


@pytest.fixture
def anymail(settings):
    settings.ROOT_URLCONF = "tests.anymail_postal.urls"
    settings.ANYMAIL = {"POSTAL_WEBHOOK_KEY": public_key(make_key())}
    DELIVERIES.clear()
    return settings.ANYMAIL


def just_sent(**values):
    """A webhook about a message that Postal took this moment."""
    body = testing.webhook_body("MessageSent", **values)
    body["payload"]["message"]["timestamp"] = datetime.now(timezone.utc).timestamp()
    return webhook_request("MessageSent", payload=body["payload"])


def unreadable(request):
    return replace(request, body=b"hello", headers=testing.sign(b"hello", make_key()))


MESSAGE = SentMessage(postal_id=7, token="abc", recipient="ann@example.com", metadata={"order": 7})


def test_metadata_comes_from_the_store(tracked):
    conf.store().record_sent("default", [MESSAGE])
    assert webhook_request(id=7).send().status_code == 200
    assert webhook_request("MessageLoaded", id=7).send().status_code == 200
    assert [call["event"].metadata for call in tracked] == [{"order": 7}] * 2


def test_sealed_metadata_goes_before_the_store(tracked):
    conf.store().record_sent("default", [MESSAGE])
    webhook_request(id=7, metadata={"order": 8}).send()
    assert tracked[0]["event"].metadata == {"order": 8}


def test_young_message_that_the_store_does_not_know_yet_is_to_come_again(tracked):
    request = just_sent(id=7)
    assert request.send().status_code == 503
    conf.store().record_sent("default", [MESSAGE])
    assert request.send().status_code == 200
    assert [call["event"].metadata for call in tracked] == [{"order": 7}]


@pytest.mark.parametrize("seconds", [-61, 61])
def test_other_messages_are_not_waited_for(tracked, seconds):
    body = testing.webhook_body("MessageSent")
    moment = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    body["payload"]["message"]["timestamp"] = moment.timestamp()
    assert webhook_request(payload=body["payload"]).send().status_code == 200
    assert tracked[0]["event"].metadata is None


def test_incoming_mail_is_not_waited_for():
    assert just_sent(direction="incoming").send().status_code == 200


@pytest.mark.parametrize(
    "make", [webhook_request, lambda: inbound_request(simple_mail())], ids=["tracking", "inbound"]
)
def test_repeat_is_no_second_signal(make, tracked, received):
    request = make()
    assert [request.send().status_code for _ in range(3)] == [200, 200, 200]
    assert len(tracked + received) == 1


def test_two_webhooks_on_one_url_are_one_event(tracked):
    fields = testing.webhook_body("MessageSent")
    for uuid in ("first", "second"):
        webhook_request(payload=fields["payload"], uuid=uuid).send()
    assert len(tracked) == 1


def test_two_reports_of_a_bounce_are_two_events_and_a_report_twice_is_one(tracked):
    fields = testing.webhook_body("MessageBounced", id=7)
    for uuid, moment in (("a", 1.5), ("b", 1.5), ("c", 2.5)):
        fields["payload"]["bounce"]["timestamp"] = moment
        webhook_request("MessageBounced", payload=fields["payload"], uuid=uuid).send()
    assert len(tracked) == 2


def test_every_open_counts(tracked):
    fields = testing.webhook_body("MessageLoaded", id=7)
    for uuid in ("a", "b"):
        webhook_request("MessageLoaded", payload=fields["payload"], uuid=uuid).send()
    assert len(tracked) == 2


def test_events_of_our_server_come_once_and_keep_why(tracked):
    event = webhook_request(
        "MessageDeliveryFailed", id=5, classification={"class": "rate", "diagnostic": "421 x"}
    )
    event.send()
    end = webhook_request("MessageHoldCancelled", id=5, timestamp=1606753101.5)
    end.send()
    # A second webhook on this URL has the event with another uuid.
    webhook_request("MessageHoldCancelled", id=5, timestamp=1606753101.5).send()
    assert [call["event"].event_type for call in tracked] == ["bounced", "failed"]
    kept = {row.name: row for row in PostalEvent.objects.all()}
    failure, hold_end = kept["MessageDeliveryFailed"], kept["MessageHoldCancelled"]
    assert (failure.failure_class, failure.reject_reason, failure.output) == ("rate", "timed_out", "421 x")
    assert hold_end.occurred_at.timestamp() == 1606753101.5


@pytest.mark.parametrize(
    ("event", "values", "is_suppressed"),
    [
        ("MessageDeliveryFailed", {"classification": {"class": "bad_address"}}, True),
        ("MessageDeliveryFailed", {"classification": {"class": "reputation"}}, False),
        ("MessageDeliveryFailed", {"output": "552 5.2.2 over quota"}, False),
        ("MessageDeliveryFailed", {"output": "550 5.1.1 no such user"}, True),
        ("MessageBounced", {}, True),
        (
            "MessageBounced",
            {"classification": {"class": "bad_address"}, "report": {"evidence": "weak"}},
            False,
        ),
        ("MessageHeld", {"classification": {"class": "suppressed", "sure": True}}, False),
    ],
)
@pytest.mark.parametrize("dispatch", ["sync", f"{__name__}.enqueue"])
def test_only_bad_addresses_are_suppressed(anymail, event, values, is_suppressed, dispatch):
    anymail.update(POSTAL_SUPPRESSION="store", POSTAL_WEBHOOK_DISPATCH=dispatch)
    webhook_request(event, to="ann@example.com", **values).send()
    assert conf.store().suppressed("default", ["ann@example.com"]) == (
        {"ann@example.com"} if is_suppressed else set()
    )


def test_receiver_that_raises_leaves_no_mark():
    request = webhook_request()
    with raising(tracking_signal, ValueError("bug")) as calls:
        assert request.send(Client(raise_request_exception=False)).status_code == 500
        assert request.send().status_code == 200
    assert len(calls) == 2


# --- posts for tasks ---


@pytest.fixture
def by_callable(anymail):
    anymail["POSTAL_WEBHOOK_DISPATCH"] = f"{__name__}.enqueue"


@pytest.mark.usefixtures("by_callable")
def test_event_is_kept_and_handled_later(tracked):
    assert webhook_request("MessageHeld", id=7, to="ann@example.com").send().status_code == 200
    assert (tracked, len(DELIVERIES)) == ([], 1)
    webhooks.handle_delivery(DELIVERIES[0])
    webhooks.handle_delivery(DELIVERIES[0])
    (call,) = tracked
    assert call["sender"] is webhooks.PostalTrackingWebhookView
    assert (call["event"].event_type, call["event"].recipient) == ("queued", "ann@example.com")


@pytest.mark.usefixtures("by_callable")
@pytest.mark.parametrize("encoding", ["BodyAsJSON", "FormData"])
@pytest.mark.parametrize("format", ["RawMessage", "Hash"])
def test_mail_is_kept_and_handled_later(received, format, encoding):
    request = inbound_request(simple_mail("Grüße\n"), format=format, encoding=encoding)
    assert request.send().status_code == 200
    assert (received, len(DELIVERIES)) == ([], 1)
    webhooks.handle_delivery(DELIVERIES[0])
    (call,) = received
    assert (call["event"].message.subject, call["event"].message.text) == ("Hello", "Grüße\n")


@pytest.mark.usefixtures("by_callable")
def test_repeat_of_a_post_whose_task_got_lost_is_enqueued_again(tracked):
    request = webhook_request()
    request.send()
    request.send()
    assert len(DELIVERIES) == 2
    for delivery_id in DELIVERIES:
        webhooks.handle_delivery(delivery_id)
    assert len(tracked) == 1
    request.send()
    assert len(DELIVERIES) == 2


@pytest.mark.usefixtures("by_callable")
def test_task_that_fails_can_be_tried_again(tracked):
    webhook_request().send()
    with raising(tracking_signal, ValueError("bug")), pytest.raises(ValueError, match="bug"):
        webhooks.handle_delivery(DELIVERIES[0])
    tracked.clear()
    webhooks.handle_delivery(DELIVERIES[0])
    assert len(tracked) == 1


@pytest.mark.usefixtures("by_callable")
def test_what_is_no_event_is_not_kept():
    assert webhook_request("MessageSent", direction="incoming").send().status_code == 200
    assert DELIVERIES == []


@pytest.mark.usefixtures("by_callable")
@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        (lambda: unreadable(webhook_request()), 400),
        (lambda: unreadable(inbound_request(simple_mail())), 503),
    ],
    ids=["tracking", "inbound"],
)
def test_unreadable_posts_are_refused_before_a_task(request_of, status):
    assert request_of().send().status_code == status
    assert DELIVERIES == []


@pytest.mark.usefixtures("by_callable")
def test_young_message_is_waited_for_before_a_task(tracked):
    request = just_sent(id=7)
    assert request.send().status_code == 503
    assert DELIVERIES == []


@pytest.mark.usefixtures("by_callable")
@pytest.mark.parametrize("delivery_id", ["", "no-such", "tracking-999", "inbound-x"])
def test_unknown_delivery_is_nothing(delivery_id, tracked, received):
    webhooks.handle_delivery(delivery_id)
    assert tracked + received == []


def test_broker_that_is_down_is_a_500_and_the_post_is_kept(anymail):
    anymail["POSTAL_WEBHOOK_DISPATCH"] = f"{__name__}.enqueue_badly"
    request = webhook_request()
    with pytest.raises(ConnectionError):
        request.send()
    anymail["POSTAL_WEBHOOK_DISPATCH"] = f"{__name__}.enqueue"
    assert request.send().status_code == 200
    assert len(DELIVERIES) == 1


@pytest.mark.usefixtures("by_callable")
def test_task_comes_after_the_transaction_of_the_request(monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setitem(dispatch.connection.settings_dict, "ATOMIC_REQUESTS", True)
    with django_capture_on_commit_callbacks() as callbacks:
        webhook_request().send()
    assert DELIVERIES == []
    (callback,) = callbacks
    callback()
    assert len(DELIVERIES) == 1


@pytest.mark.skipif(django.VERSION < (6, 0), reason="django.tasks came with Django 6.0")
def test_django_task(anymail, tracked):
    anymail["POSTAL_WEBHOOK_DISPATCH"] = "task"  # whose default backend runs at once
    assert webhook_request().send().status_code == 200
    assert len(tracked) == 1


def test_django_without_tasks_is_an_error_of_configuration(anymail, monkeypatch):
    monkeypatch.setitem(sys.modules, "anymail_postal.tasks", None)
    anymail["POSTAL_WEBHOOK_DISPATCH"] = "task"
    with pytest.raises(AnymailConfigurationError, match=r"Django 6\.0"):
        webhook_request().send()


@pytest.mark.usefixtures("without_store", "by_callable")
def test_dispatch_without_a_store_is_an_error_of_configuration():
    with pytest.raises(AnymailConfigurationError, match="POSTAL_WEBHOOK_DISPATCH"):
        webhook_request().send()
