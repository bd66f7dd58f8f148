import base64
from datetime import timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from postal_server.models import Webhook, WebhookAttempt
from postal_server.services.preparation import webhook
from postal_server.services.results import webhook as results
from postal_server.services.shared import keys
from postal_server.services.shared.work import Decision, HttpDelivery
from tests.postal_server.services.conftest import NOW, webhook_claim


def test_the_stored_bytes_are_posted_and_signed(world, webhook_requests, config):
    [prepared, *_] = webhook.prepare(
        [webhook_claim(row.id) for row in webhook_requests], world.directory(), config, NOW
    )
    post = prepared.delivery
    assert isinstance(post, HttpDelivery)
    assert (post.url, post.body, post.timeout) == (
        "http://hook.example/all",
        bytes(webhook_requests[0].body),
        5.0,
    )
    signature = dict(post.headers)["X-Postal-Signature-256"]
    public = keys.request_key(config).private_key.public_key()
    public.verify(base64.b64decode(signature), post.body, padding.PKCS1v15(), hashes.SHA256())


def test_another_try_is_the_same_request(world, webhook_requests, config):
    claims = [webhook_claim(webhook_requests[0].id, 3)]
    assert webhook.prepare(claims, world.directory(), config, NOW) == webhook.prepare(
        claims, world.directory(), config, NOW + timedelta(hours=1)
    )


def test_a_batch_takes_one_query(world, webhook_requests, config, django_assert_num_queries):
    directory = world.directory()
    with django_assert_num_queries(1):
        webhook.prepare([webhook_claim(row.id) for row in webhook_requests], directory, config, NOW)


def test_what_was_queued_before_a_webhook_was_switched_off_is_sent(world, webhook_requests, config):
    Webhook.objects.update(enabled=False)
    [prepared] = webhook.prepare([webhook_claim(webhook_requests[0].id)], world.directory(), config, NOW)
    post = prepared.delivery
    assert isinstance(post, HttpDelivery)


def test_requests_of_a_deleted_webhook_are_given_up(world, webhook_requests, config):
    Webhook.objects.all().delete()
    directory = world.directory()
    [decision] = webhook.prepare([webhook_claim(webhook_requests[0].id)], directory, config, NOW)
    assert isinstance(decision, Decision)
    assert results.record([decision], directory, config, NOW).finished == [webhook_requests[0].id]
    assert WebhookAttempt.objects.get().answer == "The webhook was deleted."


def test_nothing_more_is_posted_to_a_receiver_that_is_gone(world, webhook_requests, config):
    Webhook.objects.update(enabled=False, disabled_reason=results.GONE_REASON)
    directory = world.directory()
    decisions = webhook.prepare([webhook_claim(row.id) for row in webhook_requests], directory, config, NOW)
    assert {type(decision) for decision in decisions} == {Decision}
    Webhook.objects.update(enabled=True)
    [prepared] = webhook.prepare([webhook_claim(webhook_requests[0].id)], world.directory(), config, NOW)
    post = prepared.delivery
    assert isinstance(post, HttpDelivery)
