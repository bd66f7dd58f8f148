"""Lists of mail; what a single mail shows is in `test_pages.py`."""

from __future__ import annotations

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
