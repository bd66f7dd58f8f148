"""The admin shows what the store knows and lets people change only what they should."""

from datetime import datetime, timezone

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import override_settings
from django.urls import path, reverse

from anymail_postal.contrib.store.models import (
    InboundMail,
    PostalEvent,
    PostalMessage,
    ScheduledMail,
    Suppression,
)
from anymail_postal.contrib.store.store import Store
from anymail_postal.ports import EventReceipt, MailReceipt, ScheduledSend, SentMessage

urlpatterns = [path("admin/", admin.site.urls)]
WHEN = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def urls():
    with override_settings(ROOT_URLCONF=__name__):
        yield


@pytest.fixture
def rows(db):
    store = Store()
    store.record_sent("default", [SentMessage(5, "tok", "ann@example.org", subject="<b>Hello</b>")])
    for key, event_type, output in (("1", "deferred", "450 <later>"), ("2", "bounced", "550 no")):
        with store.receive(
            EventReceipt(
                "default", key, "Name", event_type, 5, "ann@example.org", failure_class="rate", output=output
            )
        ):
            pass
    with store.receive(MailReceipt("default", "m", 9, "bob@example.org", "reply@r.example", "Re: Hello")):
        pass
    store.schedule([ScheduledSend("default", WHEN, "send/message", {}, subject="Later")])
    Suppression.objects.create(server="default", address="eve@example.org")


@pytest.fixture
def browser(client, db):
    client.force_login(get_user_model().objects.create_superuser("admin"))
    return client


MODELS = [PostalMessage, PostalEvent, InboundMail, ScheduledMail, Suppression]


def url(model, page, *args):
    return reverse(f"admin:anymail_postal_store_{model._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize("model", MODELS)
def test_every_list_and_row_can_be_looked_at(browser, rows, model):
    assert browser.get(url(model, "changelist"), {"q": "5"}).status_code == 200
    assert browser.get(url(model, "change", model.objects.first().pk)).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_only_suppressions_are_added_by_hand(browser, rows, model):
    assert browser.get(url(model, "add")).status_code == (200 if model is Suppression else 403)


def test_what_happened_cannot_be_changed(browser, rows):
    page = url(PostalMessage, "change", PostalMessage.objects.get().pk)
    assert browser.post(page, {"recipient": "eve@example.org"}).status_code == 403


def test_a_message_has_its_timeline(browser, rows):
    page = browser.get(url(PostalMessage, "change", PostalMessage.objects.get().pk)).content.decode()
    accepted, deferred, bounced = (
        page.index(f"<strong>{word}</strong>") for word in ("accepted", "deferred", "bounced")
    )
    assert accepted < deferred < bounced
    assert "450 &lt;later&gt;" in page
    assert page.count("<td>rate</td>") == 2
    assert "<later>" not in page


@pytest.mark.parametrize("state", ["failed", "sending"])
def test_mail_that_was_not_sent_can_be_sent_again(browser, rows, state):
    ScheduledMail.objects.update(state=state, error="refused")
    row = ScheduledMail.objects.get()
    answer = browser.post(
        url(ScheduledMail, "changelist"), {"action": "send_again", "_selected_action": row.pk}, follow=True
    )
    assert "1 will be sent by the next postal_send_due." in answer.content.decode()
    row.refresh_from_db()
    assert (row.state, row.error) == ("waiting", "")
