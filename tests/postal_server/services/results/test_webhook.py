import json
from datetime import timedelta

import pytest

from postal_server.models import Message, Webhook, WebhookAttempt, WebhookRequest
from postal_server.rules import http_code
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results import webhook
from postal_server.services.shared.work import Decision
from tests.postal_server.services.conftest import NOW, posted, webhook_claim


class TestEmit:
    def test_each_webhook_that_listens_gets_a_request_of_its_own(self, world):
        world.add_webhook()
        world.add_webhook(name="some", all_events=False, events=["MessageHeld"])
        world.add_webhook(name="both", all_events=False, events=["MessageSent"])
        assert (
            webhook.emit(
                [webhook.WebhookEvent(world.server.pk, "MessageSent", {"a": 1}, 5)], world.directory(), NOW
            )
            == 2
        )
        one, two = WebhookRequest.objects.all()
        assert one.uuid != two.uuid
        said = json.loads(bytes(one.body))
        assert list(said) == ["event", "timestamp", "payload", "uuid"]
        assert said == {
            "event": "MessageSent",
            "timestamp": NOW.timestamp(),
            "payload": {"a": 1},
            "uuid": str(one.uuid),
        }
        assert (one.message_id, one.due_at, one.claimed_by) == (5, None, None)
        assert one.expires_at > NOW + timedelta(days=3)

    @pytest.mark.parametrize("count", [1, 20])
    def test_a_batch_takes_two_queries(self, world, count, django_assert_num_queries):
        world.add_webhook()
        directory = world.directory()
        with django_assert_num_queries(2):
            webhook.emit(
                [webhook.WebhookEvent(world.server.pk, "MessageSent", {}, 1)] * count, directory, NOW
            )

    def test_an_event_behind_one_that_waits_waits_with_it(self, world):
        """It could not go before that one, and would be in the way of every claim."""
        hook, other = world.add_webhook(), world.add_webhook(name="other")
        directory, later = world.directory(), NOW + timedelta(hours=1)
        webhook.emit(
            [webhook.WebhookEvent(world.server.pk, "MessageSent", {}, n) for n in (1, 2)], directory, NOW
        )
        WebhookRequest.objects.filter(webhook_id=hook.pk, message_id=1).update(due_at=later)
        webhook.emit(
            [webhook.WebhookEvent(world.server.pk, "MessageLoaded", {}, n) for n in (1, 2)], directory, NOW
        )
        loaded = WebhookRequest.objects.filter(event="MessageLoaded").values_list(
            "webhook_id", "message_id", "due_at"
        )
        assert set(loaded) == {
            (hook.pk, 1, later),
            (hook.pk, 2, None),
            (other.pk, 1, None),
            (other.pk, 2, None),
        }

    def test_an_event_in_a_case_of_our_own_goes_beyond_postal_alone(self, world):
        ours = world.add_webhook()
        world.add_webhook(name="imported", beyond_postal=False)
        message = Message(id=4, server_id=world.server.pk, scope="outgoing", size_bytes=1, created_at=NOW)
        events = [
            webhook.MessageEvent("MessageDelayed", [message], lambda message, token: {}, is_beyond)
            for is_beyond in (False, True)
        ]
        assert webhook.emit_about_messages(events, world.directory(), NOW) == 3
        assert WebhookRequest.objects.filter(webhook_id=ours.pk).count() == 2

    def test_without_a_webhook_there_is_no_query(self, world, django_assert_num_queries):
        directory = world.directory()
        with django_assert_num_queries(0):
            assert (
                webhook.emit([webhook.WebhookEvent(world.server.pk, "MessageSent", {})], directory, NOW) == 0
            )

    def test_events_about_a_message_begin_with_its_hash(self, world):
        world.add_webhook()
        message = Message(id=4, server_id=world.server.pk, scope="outgoing", size_bytes=1, created_at=NOW)
        webhook.emit_for_message(
            "MessageLoaded", message, {"ip_address": "192.0.2.1"}, world.directory(), NOW
        )
        payload = json.loads(bytes(WebhookRequest.objects.get().body))["payload"]
        assert list(payload) == ["message", "ip_address"]
        assert payload["message"]["id"] == 4


class TestRecord:
    @pytest.mark.parametrize("code", [200, 204, 299])
    def test_a_good_answer_finishes(self, world, webhook_requests, config, code):
        recorded = webhook.record([posted(webhook_requests[0].id, code)], world.directory(), config, NOW)
        assert (recorded.finished, recorded.deferred) == ([webhook_requests[0].id], [])
        assert Webhook.objects.get().last_used_at == NOW

    @pytest.mark.parametrize(("seconds", "is_marked"), [(59, False), (61, True)])
    def test_the_last_use_is_noted_to_the_minute(self, world, webhook_requests, config, seconds, is_marked):
        webhook.record([posted(webhook_requests[0].id, 200)], world.directory(), config, NOW)
        later = NOW + timedelta(seconds=seconds)
        webhook.record([posted(webhook_requests[0].id, 200)], world.directory(), config, later)
        assert Webhook.objects.get().last_used_at == (later if is_marked else NOW)

    @pytest.mark.parametrize(
        "code", [301, 404, 429, 500, http_code.TIMED_OUT, http_code.NO_CONNECTION, http_code.NO_TLS]
    )
    def test_any_other_answer_is_tried_again_after_two_minutes(self, world, webhook_requests, config, code):
        recorded = webhook.record([posted(webhook_requests[0].id, code)], world.directory(), config, NOW)
        [(number, due)] = recorded.deferred
        assert number == webhook_requests[0].id
        assert timedelta(minutes=2) <= due - NOW <= timedelta(minutes=2.2)
        assert recorded.finished == []

    def test_retry_after_is_honoured(self, world, webhook_requests, config):
        result = posted(webhook_requests[0].id, 503, retry_after=timedelta(hours=1))
        [(_, due)] = webhook.record([result], world.directory(), config, NOW).deferred
        assert due == NOW + timedelta(hours=1)

    def test_the_last_try_ends_it(self, world, webhook_requests, config):
        recorded = webhook.record(
            [posted(webhook_requests[0].id, 500, attempts=15)], world.directory(), config, NOW
        )
        assert recorded.finished == [webhook_requests[0].id]
        assert not WebhookAttempt.objects.get().will_retry

    def test_gone_switches_the_webhook_off(self, world, webhook_requests, config):
        recorded = webhook.record([posted(webhook_requests[0].id, 410)], world.directory(), config, NOW)
        assert recorded.finished == [webhook_requests[0].id]
        row = Webhook.objects.get()
        assert (row.enabled, row.disabled_reason) == (False, webhook.GONE_REASON)
        assert not world.directory().webhooks_for(world.server.pk, "MessageSent")

    def test_what_is_given_up_untried_is_logged(self, world, webhook_requests, config):
        decision = Decision(webhook_claim(webhook_requests[0].id, 3), DeliveryStatus.FAILED, "Too old.")
        assert webhook.record([decision], world.directory(), config, NOW).finished == [webhook_requests[0].id]
        row = WebhookAttempt.objects.get()
        assert (row.attempt, row.status_code, row.answer, row.will_retry) == (3, 0, "Too old.", False)
        assert row.uuid == webhook_requests[0].uuid

    def test_every_try_is_logged(self, world, webhook_requests, config):
        webhook.record(
            [posted(webhook_requests[0].id, 503, attempts=2, text="a" * 2000)],
            world.directory(),
            config,
            NOW,
        )
        row = WebhookAttempt.objects.get()
        assert (row.attempt, row.status_code, row.will_retry, row.seconds) == (3, 503, True, 0.2)
        assert (row.answer, row.url, row.event) == ("a" * 1024, "http://hook.example/all", "MessageSent")
        assert row.uuid == webhook_requests[0].uuid

    @pytest.mark.parametrize("count", [1, 3])
    def test_a_batch_takes_three_queries(
        self, world, webhook_requests, config, count, django_assert_num_queries
    ):
        directory = world.directory()
        results = [posted(row.id, 200) for row in webhook_requests[:count]]
        with django_assert_num_queries(3):
            webhook.record(results, directory, config, NOW)

    def test_a_request_that_is_gone_is_finished(self, world, config):
        assert webhook.record([posted(99, 200)], world.directory(), config, NOW).finished == [99]
