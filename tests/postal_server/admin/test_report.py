"""The list of what came back, and what the pages of messages say of it."""

from __future__ import annotations

import pytest
from django.urls import reverse

from postal_server import models
from tests.each import each

from .conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.urls("postal_server.urls")]
LIST = "/admin/postal_server/reportmail/"


@pytest.fixture
def report(message) -> models.Message:
    """A bounce about `message`."""
    row = models.Message.objects.create(
        id=8,
        server_id=message.server_id,
        scope="incoming",
        kind="bounce",
        rcpt_to="bounces+x@rp.example.test",
        subject="Undelivered",
        bounce_for_id=message.pk,
        size_bytes=1,
        created_at=NOW,
    )
    models.Report.objects.create(
        server_id=message.server_id,
        message_id=row.pk,
        original_id=message.pk,
        kind="bounce",
        found_by="return_path",
        is_strong=True,
        is_forwarded=True,
        address="ann@dest.example",
        final_recipient="<script>@other.example",
        status="5.1.1",
        diagnostic="550 5.1.1 No such user",
        failure_class="bad_address",
        surplus=3,
        created_at=NOW,
    )
    return row


@each(
    "query, found",
    [
        ({}, 1),
        ({"kind": "bounce"}, 1),
        ({"kind": "autoreply"}, 0),
        ({"days": "7"}, 1),
        ({"days": "x"}, 1),
        ({"q": "ann@dest.example"}, 1),
        ({"q": "bounces+x@rp.example.test"}, 1),
        ({"q": "@dest.example"}, 1),
        ({"q": "@other.example"}, 0),
        ({"q": "under"}, 0),
        ({"q": "Undel"}, 1),
    ],
)
def test_the_list_is_filtered_and_searched(page, report, query, found) -> None:
    answer = page.get(LIST, query)
    assert answer.context["cl"].result_count == found
    if found:
        assert reverse("admin:postal_server_message_change", args=[7]) in answer.content.decode()


@pytest.mark.parametrize("pk", [7, 8])
def test_a_message_and_its_report_say_what_was_read(page, report, pk) -> None:
    text = page.get(reverse("admin:postal_server_message_change", args=[pk])).content.decode()
    assert "550 5.1.1 No such user" in text
    assert "return_path, strong" in text
    assert "&lt;script&gt;@other.example (forwarded)" in text
    assert "3 more that were not kept" in text
    assert reverse("admin:postal_server_message_change", args=[15 - pk]) in text
