import base64
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from postal_server.models import Message, Webhook, WebhookAttempt, WebhookRequest
from postal_server.rules import http_code, outcome
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results import webhook
from postal_server.services.shared import keys
from postal_server.services.shared.work import Claimed, Decision, HttpDelivery, Result
from tests.postal_server.services.conftest import NOW


def claim(number, attempts=0):
    return Claimed(number, 1, "webhook:1", attempts, False, 100, NOW)


def answered(number, code, attempts=0, retry_after=None, text="ok"):
    found = outcome.outcome_of_response(
        code, text, url="http://h.example/", seconds=0.2, retry_after=retry_after
    )
    return Result(claim(number, attempts), found)


@pytest.fixture
def requests(world):
    """Three stored requests of one webhook."""
    world.add_webhook()
    events = [webhook.WebhookEvent(world.server.pk, "MessageSent", {"n": n}, n) for n in range(3)]
    webhook.emit(events, world.directory(), NOW)
    return list(WebhookRequest.objects.order_by("id"))


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


class TestPrepare:
    def test_the_stored_bytes_are_posted_and_signed(self, world, requests, config):
        [prepared, *_] = webhook.prepare([claim(row.id) for row in requests], world.directory(), config, NOW)
        post = prepared.delivery
        assert isinstance(post, HttpDelivery)
        assert (post.url, post.body, post.timeout) == (
            "http://hook.example/all",
            bytes(requests[0].body),
            5.0,
        )
        signature = dict(post.headers)["X-Postal-Signature-256"]
        public = keys.request_key(config).private_key.public_key()
        public.verify(base64.b64decode(signature), post.body, padding.PKCS1v15(), hashes.SHA256())

    def test_another_try_is_the_same_request(self, world, requests, config):
        claims = [claim(requests[0].id, 3)]
        assert webhook.prepare(claims, world.directory(), config, NOW) == webhook.prepare(
            claims, world.directory(), config, NOW + timedelta(hours=1)
        )

    def test_a_batch_takes_one_query(self, world, requests, config, django_assert_num_queries):
        directory = world.directory()
        with django_assert_num_queries(1):
            webhook.prepare([claim(row.id) for row in requests], directory, config, NOW)

    def test_what_was_queued_before_a_webhook_was_switched_off_is_sent(self, world, requests, config):
        Webhook.objects.update(enabled=False)
        [prepared] = webhook.prepare([claim(requests[0].id)], world.directory(), config, NOW)
        post = prepared.delivery
        assert isinstance(post, HttpDelivery)

    def test_requests_of_a_deleted_webhook_are_given_up(self, world, requests, config):
        Webhook.objects.all().delete()
        directory = world.directory()
        [decision] = webhook.prepare([claim(requests[0].id)], directory, config, NOW)
        assert isinstance(decision, Decision)
        assert webhook.record([decision], directory, config, NOW).finished == [requests[0].id]
        assert WebhookAttempt.objects.get().answer == "The webhook was deleted."

    def test_nothing_more_is_posted_to_a_receiver_that_is_gone(self, world, requests, config):
        Webhook.objects.update(enabled=False, disabled_reason=webhook.GONE_REASON)
        directory = world.directory()
        decisions = webhook.prepare([claim(row.id) for row in requests], directory, config, NOW)
        assert {type(decision) for decision in decisions} == {Decision}
        Webhook.objects.update(enabled=True)
        [prepared] = webhook.prepare([claim(requests[0].id)], world.directory(), config, NOW)
        post = prepared.delivery
        assert isinstance(post, HttpDelivery)


class TestRecord:
    @pytest.mark.parametrize("code", [200, 204, 299])
    def test_a_good_answer_finishes(self, world, requests, config, code):
        recorded = webhook.record([answered(requests[0].id, code)], world.directory(), config, NOW)
        assert (recorded.finished, recorded.deferred) == ([requests[0].id], [])
        assert Webhook.objects.get().last_used_at == NOW

    @pytest.mark.parametrize(("seconds", "is_marked"), [(59, False), (61, True)])
    def test_the_last_use_is_noted_to_the_minute(self, world, requests, config, seconds, is_marked):
        webhook.record([answered(requests[0].id, 200)], world.directory(), config, NOW)
        later = NOW + timedelta(seconds=seconds)
        webhook.record([answered(requests[0].id, 200)], world.directory(), config, later)
        assert Webhook.objects.get().last_used_at == (later if is_marked else NOW)

    @pytest.mark.parametrize(
        "code", [301, 404, 429, 500, http_code.TIMED_OUT, http_code.NO_CONNECTION, http_code.NO_TLS]
    )
    def test_any_other_answer_is_tried_again_after_two_minutes(self, world, requests, config, code):
        recorded = webhook.record([answered(requests[0].id, code)], world.directory(), config, NOW)
        [(number, due)] = recorded.deferred
        assert number == requests[0].id
        assert timedelta(minutes=2) <= due - NOW <= timedelta(minutes=2.2)
        assert recorded.finished == []

    def test_retry_after_is_honoured(self, world, requests, config):
        result = answered(requests[0].id, 503, retry_after=timedelta(hours=1))
        [(_, due)] = webhook.record([result], world.directory(), config, NOW).deferred
        assert due == NOW + timedelta(hours=1)

    def test_the_last_try_ends_it(self, world, requests, config):
        recorded = webhook.record(
            [answered(requests[0].id, 500, attempts=15)], world.directory(), config, NOW
        )
        assert recorded.finished == [requests[0].id]
        assert not WebhookAttempt.objects.get().will_retry

    def test_gone_switches_the_webhook_off(self, world, requests, config):
        recorded = webhook.record([answered(requests[0].id, 410)], world.directory(), config, NOW)
        assert recorded.finished == [requests[0].id]
        row = Webhook.objects.get()
        assert (row.enabled, row.disabled_reason) == (False, webhook.GONE_REASON)
        assert not world.directory().webhooks_for(world.server.pk, "MessageSent")

    def test_what_is_given_up_untried_is_logged(self, world, requests, config):
        decision = Decision(claim(requests[0].id, 3), DeliveryStatus.FAILED, "Too old.")
        assert webhook.record([decision], world.directory(), config, NOW).finished == [requests[0].id]
        row = WebhookAttempt.objects.get()
        assert (row.attempt, row.status_code, row.answer, row.will_retry) == (3, 0, "Too old.", False)
        assert row.uuid == requests[0].uuid

    def test_every_try_is_logged(self, world, requests, config):
        webhook.record(
            [answered(requests[0].id, 503, attempts=2, text="a" * 2000)], world.directory(), config, NOW
        )
        row = WebhookAttempt.objects.get()
        assert (row.attempt, row.status_code, row.will_retry, row.seconds) == (3, 503, True, 0.2)
        assert (row.answer, row.url, row.event) == ("a" * 1024, "http://hook.example/all", "MessageSent")
        assert row.uuid == requests[0].uuid

    @pytest.mark.parametrize("count", [1, 3])
    def test_a_batch_takes_three_queries(self, world, requests, config, count, django_assert_num_queries):
        directory = world.directory()
        results = [answered(row.id, 200) for row in requests[:count]]
        with django_assert_num_queries(3):
            webhook.record(results, directory, config, NOW)

    def test_a_request_that_is_gone_is_finished(self, world, config):
        assert webhook.record([answered(99, 200)], world.directory(), config, NOW).finished == [99]


def resend(attempts) -> int:
    return sum(webhook.resend(attempts, NOW))


class TestResend:
    @pytest.fixture
    def tried(self, world, requests, config):
        """Have a request answered with `code` for the `attempts`-th time, and end it as the engine would."""

        def call(number: int, code: int, attempts: int = 16) -> WebhookAttempt:
            row = requests[number]
            result = answered(row.id, code, attempts=attempts - 1)
            recorded = webhook.record([result], world.directory(), config, NOW)
            WebhookRequest.objects.filter(pk__in=recorded.finished).delete()
            for pk, due_at in recorded.deferred:
                WebhookRequest.objects.filter(pk=pk).update(due_at=due_at)
            return WebhookAttempt.objects.order_by("-pk")[0]

        return call

    def test_what_was_given_up_is_posted_again_byte_by_byte(self, requests, tried):
        attempt = tried(0, 500)
        assert resend(webhook.given_up()) == 1
        row = WebhookRequest.objects.get(uuid=attempt.uuid)
        assert (bytes(row.body), row.event, row.attempts, row.due_at) == (
            bytes(requests[0].body),
            "MessageSent",
            0,
            None,
        )
        assert row.expires_at == NOW + webhook.WEBHOOK_LIFETIME

    def test_once(self, tried):
        tried(0, 500)
        assert resend(webhook.given_up()) == 1
        assert resend(webhook.given_up()) == 0

    def test_what_arrived_or_waits_was_not_given_up(self, tried):
        tried(0, 200), tried(1, 500, attempts=1)
        assert not webhook.given_up().exists()

    def test_what_waits_is_brought_forward(self, tried):
        attempt = tried(0, 500, attempts=1)
        assert WebhookRequest.objects.get(uuid=attempt.uuid).due_at > NOW
        assert resend(WebhookAttempt.objects.filter(pk=attempt.pk)) == 1
        assert WebhookRequest.objects.get(uuid=attempt.uuid).due_at is None

    def test_what_is_being_posted_is_left_alone(self, tried):
        attempt = tried(0, 500, attempts=1)
        before = WebhookRequest.objects.get(uuid=attempt.uuid).due_at
        WebhookRequest.objects.filter(uuid=attempt.uuid).update(claimed_by=7)
        resend(WebhookAttempt.objects.filter(pk=attempt.pk))
        assert WebhookRequest.objects.get(uuid=attempt.uuid).due_at == before

    def test_what_arrived_can_be_sent_again_when_asked_for(self, tried):
        attempt = tried(0, 200)
        assert resend(WebhookAttempt.objects.filter(pk=attempt.pk)) == 1
        assert WebhookRequest.objects.filter(uuid=attempt.uuid).count() == 1

    def test_in_steps(self, tried, monkeypatch):
        monkeypatch.setattr(webhook, "RESENT_TOGETHER", 2)
        for number in range(3):
            tried(number, 500)
        assert list(webhook.resend(webhook.given_up(), NOW)) == [2, 1]

    def test_of_one_server_or_webhook(self, world, tried):
        attempt = tried(0, 500)
        assert webhook.given_up(server_id=world.server.pk, webhook_id=attempt.webhook_id).count() == 1
        assert webhook.given_up(server_id=world.server.pk + 1).count() == 0
        assert webhook.given_up(webhook_id=attempt.webhook_id + 1).count() == 0

    def test_nothing_is_posted_once_the_webhook_is_deleted(self, tried):
        tried(0, 500)
        Webhook.objects.all().delete()
        WebhookRequest.objects.all().delete()
        assert resend(webhook.given_up()) == 0
        assert not WebhookRequest.objects.exists()
        assert webhook.given_up().count() == 1  # nobody tries it again
