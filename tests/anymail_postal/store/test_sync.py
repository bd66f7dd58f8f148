"""Catching up: what the API knows and no webhook said is sent, once."""

import json
from datetime import timedelta

import pytest
import responses
from anymail.signals import tracking
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from anymail_postal.contrib.store.models import PostalEvent, PostalMessage
from anymail_postal.contrib.store.store import Store
from anymail_postal.ports import EventReceipt
from anymail_postal.webhooks import PostalTrackingWebhookView

URL = "https://postal.example.com"
LONG_AGO = now().replace(microsecond=312645) - timedelta(hours=5)


@pytest.fixture(autouse=True)
def postal_settings(settings, db):
    settings.ANYMAIL = {"POSTAL_API_URL": URL, "POSTAL_API_KEY": "key"}
    return settings


@pytest.fixture
def sent():
    """The tracking events that were sent."""
    events = []

    def receiver(sender, event, esp_name, **kwargs):
        assert (sender, esp_name) == (PostalTrackingWebhookView, "Postal")
        events.append(event)

    tracking.connect(receiver)
    yield events
    tracking.disconnect(receiver)


class Postal:
    """An API that knows some messages. Answers have the shapes of contract 1.11 and 1.12."""

    def __init__(self):
        self.messages, self.deliveries, self.activity = {}, {}, {}
        for path, answer in (("message", self.message), ("deliveries", self.list_deliveries)):
            responses.add_callback("POST", f"{URL}/api/v1/messages/{path}", callback=answer)

    def knows(self, postal_id, *deliveries, **details):
        self.messages[postal_id] = {
            "rcpt_to": "ann@example.org",
            "mail_from": "app@example.com",
            "subject": "Hello",
            "message_id": "x@example.com",
            "timestamp": LONG_AGO.timestamp(),
            "direction": "outgoing",
            "size": "900",
            "bounce": False,
            "bounce_for_id": 0,
            "tag": "news",
            "received_with_ssl": True,
            **details,
        }
        self.deliveries[postal_id] = [
            {
                "id": 100 * postal_id + number,
                "status": status,
                "details": text,
                "output": output,
                "sent_with_ssl": False,
                "log_id": None,
                "time": 0.5,
                "timestamp": at.timestamp(),
            }
            for number, (status, at, text, output) in enumerate(deliveries)
        ]

    def message(self, request):
        asked = json.loads(request.body)
        if asked["id"] not in self.messages:
            return self.answer({"code": "MessageNotFound", "id": asked["id"]}, "error")
        activity = self.activity.get(asked["id"], {"loads": [], "clicks": []})
        found = {"id": asked["id"], "token": "tok", "details": self.messages[asked["id"]]}
        return self.answer({**found, "activity_entries": activity})

    def list_deliveries(self, request):
        return self.answer(self.deliveries[json.loads(request.body)["id"]])

    def answer(self, data, status="success"):
        return 200, {}, json.dumps({"status": status, "time": 0.01, "flags": {}, "data": data})


@pytest.fixture
def postal():
    with responses.mock:
        yield Postal()


def row(postal_id=5, server="default", sent_at=LONG_AGO, **values):
    return PostalMessage.objects.create(
        server=server,
        postal_id=postal_id,
        token="tok",
        recipient="ann@example.org",
        sent_at=sent_at,
        **values,
    )


def came(name, occurred_at, event_type="deferred", key="k", happened_at=None):
    """A webhook that did arrive."""
    with Store().receive(EventReceipt("default", key, name, event_type, 5, occurred_at=occurred_at)):
        pass
    if happened_at is not None:
        PostalEvent.objects.filter(key=key).update(happened_at=happened_at)


def sync(**options):
    call_command("postal_sync", **options)


def delivery(status, minutes=0, details="", output=None):
    return status, LONG_AGO + timedelta(minutes=minutes), details, output


def test_what_was_missed_is_sent_in_order(postal, sent):
    message = row(metadata={"order": 7})
    postal.knows(
        5, delivery("SoftFail", 1, "Temporary", "450 later"), delivery("Sent", 3, "accepted", "250 ok")
    )
    sync()
    assert [event.event_type for event in sent] == ["deferred", "delivered"]
    event = sent[-1]
    assert (event.message_id, event.recipient, event.tags) == (5, "ann@example.org", ["news"])
    assert (event.description, event.mta_response) == ("accepted", "250 ok")
    assert event.metadata == {"order": 7}
    assert event.postal.occurred_at == LONG_AGO + timedelta(minutes=3)
    assert event.timestamp == (LONG_AGO + timedelta(minutes=3)).replace(microsecond=0)
    message.refresh_from_db()
    assert (message.event_type, message.event_at) == ("delivered", LONG_AGO + timedelta(minutes=3))


def test_a_second_run_sends_nothing(postal, sent):
    row()
    postal.knows(5, delivery("SoftFail"), delivery("Held", 2, "Server is in development mode."))
    postal.activity[5] = {"loads": [open_entry(4)], "clicks": [click_entry(5)]}
    sync()
    assert len(sent) == 4
    sync()
    assert len(sent) == 4


def test_ids_are_stable(postal, sent):
    row()
    postal.knows(5, delivery("Sent"))
    sync()
    PostalEvent.objects.all().delete()
    PostalMessage.objects.update(event_type="queued")
    sync()
    assert len(sent) == 2
    assert sent[0].event_id == sent[1].event_id


def test_what_came_by_webhook_is_not_sent_again(postal, sent):
    row()
    # The webhook's time differs in the last digit.
    came("MessageDelayed", LONG_AGO + timedelta(microseconds=1))
    postal.knows(5, delivery("SoftFail"), delivery("SoftFail", 10))
    sync()
    assert [event.postal.occurred_at for event in sent] == [LONG_AGO + timedelta(minutes=10)]


def test_the_same_moment_with_another_name_is_another_event(postal, sent):
    row()
    came("MessageDelayed", LONG_AGO)
    postal.knows(5, delivery("Sent"))
    sync()
    assert [event.event_type for event in sent] == ["delivered"]


def test_a_hold_that_ended_in_silence_has_failed(postal, sent):
    message = row()
    came("MessageHeld", LONG_AGO, "queued")
    text = "The hold on this message has been removed without action."
    postal.knows(5, delivery("Held"), delivery("HoldCancelled", 60, text))
    sync()
    [event] = sent
    assert (event.event_type, event.description, event.reject_reason) == ("failed", text, "other")
    assert event.postal.name == "MessageHoldCancelled"
    message.refresh_from_db()
    assert message.event_type == "failed"


def test_end_of_a_hold_that_came_by_webhook_is_not_sent_again(postal, sent):
    row()
    came("MessageHoldCancelled", LONG_AGO + timedelta(minutes=60), "failed")
    postal.knows(5, delivery("HoldCancelled", 60))
    sync()
    assert sent == []


def test_what_our_server_says_of_a_delivery_counts(postal, sent):
    row()
    postal.knows(5, delivery("HardFail", 0, "Whatever", "554 short"), stream="news")
    postal.deliveries[5][0]["classification"] = {"class": "content", "diagnostic": "554 the whole answer"}
    sync()
    [event] = sent
    assert (event.event_type, event.reject_reason, event.mta_response) == (
        "bounced",
        "spam",
        "554 the whole answer",
    )
    assert (event.postal.failure_class, event.postal.stream) == ("content", "news")


@pytest.mark.parametrize("status", ["Processed", "Error", "Unheard"])
def test_other_states_have_no_event(postal, sent, status):
    row()
    postal.knows(5, delivery(status))
    sync()
    assert sent == []


class TestBounce:
    def test_a_bounce_names_its_report(self, postal, sent):
        row()
        postal.knows(9, timestamp=(LONG_AGO + timedelta(minutes=7)).timestamp(), direction="incoming")
        details = "We've received a bounce message for this e-mail. See <msg:9> for details."
        postal.knows(5, delivery("Bounced", 8, details))
        sync()
        [event] = sent
        assert (event.event_type, event.reject_reason, event.message_id) == ("bounced", "bounced", 5)
        assert event.postal.bounce_id == 9
        assert PostalEvent.objects.get().occurred_at == LONG_AGO + timedelta(minutes=7)

    def test_its_webhook_counts(self, postal, sent):
        row()
        came("MessageBounced", LONG_AGO + timedelta(minutes=7), "unknown")
        postal.knows(9, timestamp=(LONG_AGO + timedelta(minutes=7)).timestamp(), direction="incoming")
        postal.knows(5, delivery("Bounced", 8, "See <msg:9> for details."))
        sync()
        assert sent == []

    @pytest.mark.parametrize("details", ["See <msg:9> for details.", "See details."])
    def test_a_report_that_is_gone_does_not_matter(self, postal, sent, details):
        row()
        postal.knows(5, delivery("Bounced", 8, details))
        sync()
        assert [event.event_type for event in sent] == ["bounced"]
        assert PostalEvent.objects.get().occurred_at == LONG_AGO + timedelta(minutes=8)


def open_entry(minutes, ip="192.0.2.1"):
    at = (LONG_AGO + timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"ip_address": ip, "user_agent": "Browser", "timestamp": at}


def click_entry(minutes):
    return {**open_entry(minutes), "url": "https://example.com/x"}


class TestActivity:
    def test_opens_and_clicks_are_sent(self, postal, sent):
        row()
        postal.knows(5)
        postal.activity[5] = {"loads": [open_entry(1)], "clicks": [click_entry(2)]}
        sync()
        assert [event.event_type for event in sent] == ["opened", "clicked"]
        assert [event.postal.ip_address for event in sent] == ["192.0.2.1", "192.0.2.1"]
        assert sent[1].click_url == "https://example.com/x"
        assert sent[1].user_agent == "Browser"

    def test_each_entry_takes_one_webhook_that_came_soon_after(self, postal, sent):
        row()
        postal.knows(5)
        came("MessageLoaded", None, "opened", key="a", happened_at=LONG_AGO + timedelta(minutes=3))
        came("MessageLoaded", None, "opened", key="b", happened_at=LONG_AGO + timedelta(minutes=90))
        postal.activity[5] = {"loads": [open_entry(45), open_entry(1), open_entry(2)], "clicks": []}
        sync()
        # That of minute 1 came at 3. Those of 2 and 45 did not come: 90 is too late for both.
        assert [round((event.postal.occurred_at - LONG_AGO).total_seconds() / 60) for event in sent] == [
            2,
            45,
        ]

    def test_two_people_at_one_moment_are_two(self, postal, sent):
        row()
        postal.knows(5)
        postal.activity[5] = {
            "loads": [],
            "clicks": [click_entry(1), {**click_entry(1), "ip_address": "::1"}],
        }
        sync()
        assert {event.event_id for event in sent} == {sent[0].event_id}


class TestWhichMessages:
    @pytest.mark.parametrize("state", ["delivered", "bounced", "failed", "rejected"])
    def test_final_ones_are_not_asked_about(self, postal, sent, state):
        row(event_type=state)
        postal.knows(5, delivery("Sent"))
        sync()
        assert sent == []
        assert not responses.calls

    @pytest.mark.parametrize("age", [timedelta(minutes=39), timedelta(days=15)], ids=str)
    def test_too_young_and_too_old_ones_neither(self, postal, sent, age):
        row(sent_at=now() - age)
        postal.knows(5, delivery("Sent"))
        sync()
        assert sent == []

    def test_what_just_happened_is_left_to_postal(self, postal, sent):
        row()
        recently = ("Sent", now() - timedelta(minutes=5), "", "")
        postal.knows(5, delivery("SoftFail"), recently)
        at = (now() - timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
        postal.activity[5] = {"loads": [{**open_entry(0), "timestamp": at}], "clicks": []}
        sync()
        assert [event.event_type for event in sent] == ["deferred"]

    def test_one_that_missed_its_own_events_catches_up(self, postal, sent):
        came("MessageSent", LONG_AGO, event_type="delivered")
        row()
        postal.knows(5, delivery("Sent"))
        sync()
        assert (PostalMessage.objects.get().event_type, sent) == ("delivered", [])

    def test_one_that_postal_has_forgotten_is_left(self, postal, sent):
        row(postal_id=99)
        sync()
        assert sent == []

    def test_a_server_can_be_chosen(self, postal, sent, settings):
        settings.ANYMAIL = {**settings.ANYMAIL, "POSTAL_SERVERS": {"eu": {"api_key": "eu-key"}}}
        row()
        row(postal_id=6, server="eu")
        postal.knows(5, delivery("Sent"))
        postal.knows(6, delivery("Sent"))
        sync(server="eu")
        assert [event.postal.server for event in sent] == ["eu"]
        assert responses.calls[0].request.headers["X-Server-API-Key"] == "eu-key"
        sync()
        assert [event.postal.server for event in sent] == ["eu", "default"]


class TestTrouble:
    def test_a_receiver_that_fails_does_not_stop_the_others(self, postal, sent, capsys):
        def fail(event, **kwargs):
            if event.message_id == 5:
                raise RuntimeError("receiver")

        row()
        row(postal_id=6)
        postal.knows(5, delivery("Sent"))
        postal.knows(6, delivery("Sent"))
        tracking.connect(fail)
        try:
            with pytest.raises(CommandError, match="1 failed"):
                sync()
        finally:
            tracking.disconnect(fail)
        assert PostalEvent.objects.get().postal_id == 6
        assert "a receiver failed" in capsys.readouterr().err
        sent.clear()
        sync()
        assert [event.message_id for event in sent] == [5]

    def test_a_postal_that_is_not_there_is_given_up(self, sent, capsys):
        for number in range(10):
            row(postal_id=number)
        with responses.mock:
            responses.add("POST", f"{URL}/api/v1/messages/message", status=502, body="Bad gateway")
            with pytest.raises(CommandError, match="3 failed"):
                sync()
            assert len(responses.calls) == 3
        assert "default: given up for now." in capsys.readouterr().err

    def test_a_server_that_is_not_configured_is_named(self, postal, sent, capsys):
        row(server="gone")
        row()
        postal.knows(5, delivery("Sent"))
        with pytest.raises(CommandError, match="1 failed"):
            sync()
        assert "gone: " in capsys.readouterr().err
        assert len(sent) == 1

    def test_progress_is_printed(self, postal, sent, capsys):
        row()
        postal.knows(5, delivery("Sent"))
        sync()
        assert capsys.readouterr().out == "messages of default: 1\n1 missed events were sent.\n"
