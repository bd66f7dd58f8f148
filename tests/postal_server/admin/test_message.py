"""Lists of mail and of suppressed addresses; what a single mail shows is in `test_pages.py`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib import admin
from django.urls import reverse

from postal_server import models

from .conftest import NOW, enqueue, hold

pytestmark = [pytest.mark.django_db, pytest.mark.urls("postal_server.urls")]
LIST = "/admin/postal_server/message/"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"waiting": "held"}, 1),
        ({"status": "Held"}, 1),
        ({"status": "Sent"}, 0),
        ({"status": "' OR 1=1"}, 1),
        ({"server": "999999"}, 0),
        ({"server": "x"}, 1),
    ],
)
def test_filters(page, message, query, found) -> None:
    hold(message)
    assert page.get(LIST, query).context["cl"].result_count == found


def test_no_list_looks_through_all_rows_for_its_filters(page, message) -> None:
    """Django would: a filter by a plain column asks for its distinct values."""
    for model in (models.Message, models.QueuedMessage, models.WebhookAttempt, models.WebhookRequest):
        names = admin.site._registry[model].list_filter
        plain = [name for name in names if isinstance(name, str)]
        assert [name for name in plain if not model._meta.get_field(name).choices] == []


def test_the_server_is_named(page, message, django_assert_max_num_queries) -> None:
    for pk in range(100, 120):
        models.Message.objects.create(
            id=pk, server_id=message.server_id, scope="outgoing", size_bytes=1, created_at=NOW
        )
    with django_assert_max_num_queries(8):
        assert page.get(LIST).content.decode().count('field-server">example/live') == 21


def seen(page) -> str:
    return page.get(reverse("admin:postal_server_message_change", args=[7])).content.decode()


def test_a_queued_message_is_removed(page, message) -> None:
    enqueue(message)
    assert "Remove from the queue" in seen(page)
    page.post(reverse("admin:postal_server_message_do", args=[7]), {"action": "remove", "sure": "yes"})
    message.refresh_from_db()
    assert (message.status, models.QueuedMessage.objects.count()) == ("HardFail", 0)
    assert "Remove from the queue" not in seen(page)


def suppress(page, server, address: str, pk: int | None = None):
    name, args = ("change", [pk]) if pk else ("add", [])
    until = NOW + timedelta(days=30)
    given = {
        "on": server.pk,
        "address": address,
        "text": "asked",
        "keep_until_0": f"{until:%Y-%m-%d}",
        "keep_until_1": f"{until:%H:%M:%S}",
    }
    return page.post(reverse(f"admin:postal_server_suppression_{name}", args=args), given)


def test_an_address_is_suppressed_in_the_spelling_that_is_compared(page, server) -> None:
    assert suppress(page, server, "Ann@Dest.example").status_code == 302
    row = models.Suppression.objects.get()
    assert (row.server_id, row.address, row.key) == (server.pk, "Ann@Dest.example", "ann@dest.example")
    assert suppress(page, server, "bob@dest.example", row.pk).status_code == 302
    assert models.Suppression.objects.get().key == "bob@dest.example"


def test_webhooks_hear_of_what_is_saved_and_deleted(page, server) -> None:
    models.Webhook.objects.create(server=server, name="w", url="http://hook.example/", all_events=True)
    suppress(page, server, "ann@dest.example")
    suppress(page, server, "bob@dest.example")
    ann, bob = models.Suppression.objects.order_by("key")
    page.post(reverse("admin:postal_server_suppression_delete", args=[ann.pk]), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [bob.pk], "post": "yes"}
    page.post(reverse("admin:postal_server_suppression_changelist"), chosen)
    assert not models.Suppression.objects.exists()
    told = models.WebhookRequest.objects.order_by("pk").values_list("event", flat=True)
    assert list(told) == ["SuppressionAdded"] * 2 + ["SuppressionRemoved"] * 2


@pytest.mark.parametrize("address", ["ann@dest.example", "ANN@dest.example", "nobody", "a\0@x.example"])
def test_twice_or_no_address_is_refused(page, server, address) -> None:
    suppress(page, server, "ann@dest.example")
    assert suppress(page, server, address).status_code == 200
    assert models.Suppression.objects.count() == 1
