"""Held mail in the administration: found by reason, age and stream, and dealt with on all pages at once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME

from postal_server import models
from postal_server.rules.hold import HoldReason
from postal_server.services.operations import held
from tests.each import each

from .conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.urls("postal_server.urls")]
LIST = "/admin/postal_server/message/"


def add(server, pk: int, reason: HoldReason, stream: str = "", held_for: timedelta = timedelta()) -> None:
    models.Body.objects.create(id=pk, server_id=server.pk, created_at=NOW, raw=b"x")
    models.Message.objects.create(
        id=pk,
        server_id=server.pk,
        body_id=pk,
        scope="outgoing",
        size_bytes=1,
        created_at=NOW,
        rcpt_to="ann@dest.example",
        stream=stream,
        status="Held",
        hold_reason=reason.value,
        last_attempt_at=NOW - held_for,
        hold_expires_at=NOW + timedelta(days=7),
    )


@pytest.fixture
def one_of_each(server) -> None:
    models.Stream.objects.create(server=server, name="news")
    for pk, reason in enumerate(HoldReason, 1):
        add(server, pk, reason, "news" if pk % 2 else "", timedelta(hours=5 * pk))
    models.Message.objects.create(
        id=99, server_id=server.pk, scope="outgoing", size_bytes=1, created_at=NOW, stream="news"
    )


@each(
    "query, count",
    [
        ({}, 10),
        ({"waiting": "held"}, 9),
        *(({"waiting": reason.value}, 1) for reason in HoldReason),
        ({"waiting": "nonsense"}, 10),
        ({"held_for": "1"}, 9),
        ({"held_for": "24"}, 5),
        ({"held_for": "x"}, 10),
        ({"held_stream": "news"}, 5),
        ({"held_stream": "news", "held_for": "24"}, 3),
        ({"held_stream": "none"}, 0),
    ],
)
def test_held_mail_is_found(page, one_of_each, query, count) -> None:
    assert page.get(LIST, query).context["cl"].result_count == count


def test_the_reason_is_shown(page, one_of_each) -> None:
    assert "send_limit" in page.get(LIST, {"waiting": "send_limit"}).content.decode()
    assert "Held (suppressed), held until" in page.get(f"{LIST}1/change/").content.decode()


def act(page, action: str, **more):
    """The action on all pages of those held by a send limit; only the first page is ticked."""
    ticked = {ACTION_CHECKBOX_NAME: ["1"], "select_across": "1"}
    return page.post(f"{LIST}?waiting=send_limit", {"action": action, **ticked, **more}, follow=True)


@pytest.fixture
def many(server, monkeypatch) -> int:
    """More than a page, in more than one transaction."""
    monkeypatch.setattr(held, "CHUNK", 20)
    for pk in range(1, 71):
        add(server, pk, HoldReason.SEND_LIMIT)
    add(server, 71, HoldReason.SPAM)
    return 70


def test_all_pages_are_released(page, many) -> None:
    assert f"{many} of {many} messages released." in act(page, "release").content.decode()
    assert models.QueuedMessage.objects.count() == many
    assert models.Message.objects.filter(hold_expires_at__isnull=False).count() == 1


def test_all_pages_are_cancelled_once_that_is_sure_and_told(page, server, many) -> None:
    models.Webhook.objects.create(server=server, url="http://h.example/", all_events=True, beyond_postal=True)
    assert f"Messages chosen: {many}" in act(page, "cancel").content.decode()
    assert not models.WebhookRequest.objects.exists()
    act(page, "cancel", sure="yes")
    told = [json.loads(bytes(row.body))["payload"] for row in models.WebhookRequest.objects.all()]
    assert {(payload["hold_reason"], payload["by"]) for payload in told} == {("send_limit", "admin")}
    assert len(told) == many
