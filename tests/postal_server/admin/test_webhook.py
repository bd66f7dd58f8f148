from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from postal_server import models

from .conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.urls("postal_server.urls")]


@pytest.fixture
def webhook(server) -> models.Webhook:
    return models.Webhook.objects.create(server=server, name="App", url="https://app.example/hook")


@pytest.fixture
def attempt(webhook) -> models.WebhookAttempt:
    return models.WebhookAttempt.objects.create(
        server_id=webhook.server_id,
        webhook_id=webhook.pk,
        uuid=uuid.uuid4(),
        event="MessageSent",
        url=webhook.url,
        attempt=16,
        status_code=-2,
        answer="<script>alert(1)</script>",
        payload='{"event": "<script>"}',
        will_retry=False,
        seconds=0.25,
        created_at=NOW,
    )


def run(page, model: str, action: str, pk: int):
    address = reverse(f"admin:postal_server_{model}_changelist")
    return page.post(address, {"action": action, "_selected_action": [pk]}, follow=True).content.decode()


def test_one_event_is_sent_again(page, attempt) -> None:
    assert "1 events are posted again." in run(page, "webhookattempt", "resend", attempt.pk)
    row = models.WebhookRequest.objects.get()
    assert (row.uuid, bytes(row.body)) == (attempt.uuid, attempt.payload.encode())


def test_all_that_was_given_up_is_sent_again(page, webhook, attempt) -> None:
    assert "1 events are posted again." in run(page, "webhook", "resend_failed", webhook.pk)
    assert "0 events are posted again." in run(page, "webhook", "resend_failed", webhook.pk)


def test_sending_again_is_for_those_who_may_change_webhooks(client, attempt) -> None:
    user = User.objects.create(username="sue", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_webhookattempt"))
    client.force_login(user)
    address = reverse("admin:postal_server_webhookattempt_changelist")
    assert client.post(address, {"action": "resend", "_selected_action": [attempt.pk]}).status_code == 403
    assert not models.WebhookRequest.objects.exists()


def test_an_attempt_says_what_came_back(page, attempt) -> None:
    listed = page.get(reverse("admin:postal_server_webhookattempt_changelist")).content.decode()
    shown = page.get(reverse("admin:postal_server_webhookattempt_change", args=[attempt.pk])).content.decode()
    for content in (listed, shown):
        assert "no connection" in content
        assert "250 ms" in content
        assert "<script>alert" not in content
    assert "&lt;script&gt;alert(1)" in shown


@pytest.mark.parametrize(("will_retry", "found"), [(False, 1), (True, 0)])
def test_what_was_given_up_can_be_listed(page, attempt, will_retry, found) -> None:
    models.WebhookAttempt.objects.update(will_retry=will_retry)
    address = reverse("admin:postal_server_webhookattempt_changelist")
    assert page.get(address, {"outcome": "given-up"}).context["cl"].result_count == found


def test_a_webhook_shows_why_it_is_off_and_forgets_it_when_switched_on(page, webhook) -> None:
    models.Webhook.objects.update(enabled=False, disabled_reason="The receiver answered 410 Gone.")
    listed = page.get(reverse("admin:postal_server_webhook_changelist")).content.decode()
    assert "off. The receiver answered 410 Gone." in listed
    given = {
        "server": webhook.server_id,
        "name": "App",
        "url": webhook.url,
        "enabled": "on",
        "all_events": "on",
    }
    page.post(reverse("admin:postal_server_webhook_change", args=[webhook.pk]), given)
    webhook.refresh_from_db()
    assert (webhook.enabled, webhook.disabled_reason) == (True, "")
