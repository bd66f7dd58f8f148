"""Suppression lists and incidents in the administration."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from postal_server import models
from postal_server.services.results.suppression_entries import given_entry, put
from tests.each import each

from .conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.urls("postal_server.urls")]
LIST = "/admin/postal_server/suppression/"
INCIDENTS = "/admin/postal_server/incident/"


def suppress(page, server, address: str, pk: int | None = None, **values):
    name, args = ("change", [pk]) if pk else ("add", [])
    until = NOW + timedelta(days=30)
    given = {
        "on": server.pk,
        "address": address,
        "reason": "manual",
        "scope": "",
        "text": "asked",
        "keep_until_0": f"{until:%Y-%m-%d}",
        "keep_until_1": f"{until:%H:%M:%S}",
        **values,
    }
    return page.post(reverse(f"admin:postal_server_suppression_{name}", args=args), given)


def act(page, action: str, pk: int, url: str = LIST):
    return page.post(url, {"action": action, "_selected_action": [pk]})


def test_an_address_is_suppressed_in_the_spelling_that_is_compared(page, server) -> None:
    assert suppress(page, server, "Ann@Dest.example").status_code == 302
    row = models.Suppression.objects.get()
    assert (row.server_id, row.address, row.key) == (server.pk, "Ann@Dest.example", "ann@dest.example")
    assert suppress(page, server, "bob@dest.example", row.pk).status_code == 302
    assert models.Suppression.objects.get().key == "bob@dest.example"


def test_an_entry_has_a_reason_and_a_scope(page, server) -> None:
    suppress(page, server, "ann@dest.example", reason="complaint", scope="domain:Bücher.example")
    row = models.Suppression.objects.get()
    assert (row.reason, row.scope) == ("complaint", "domain:xn--bcher-kva.example")


@each("address", ["ann@dest.example", "ANN@dest.example", "nobody", "a\0@x.example"])
def test_twice_or_no_address_is_refused(page, server, address) -> None:
    suppress(page, server, "ann@dest.example")
    assert suppress(page, server, address).status_code == 200
    assert models.Suppression.objects.count() == 1


@each("scope", ["news", "stream:", "stream:N", "domain:-"])
def test_what_is_no_scope_is_refused(page, server, scope) -> None:
    assert "is not a scope such as" in suppress(page, server, "a@x.example", scope=scope).content.decode()
    assert not models.Suppression.objects.exists()


def test_entries_are_ended_and_kept(page, server) -> None:
    models.Webhook.objects.create(server=server, name="w", url="http://hook.example/", all_events=True)
    suppress(page, server, "ann@dest.example")
    row = models.Suppression.objects.get()
    act(page, "end_entries", row.pk)
    act(page, "end_entries", row.pk)
    row.refresh_from_db()
    assert row.ended_by == "administration"
    told = models.WebhookRequest.objects.order_by("pk").values_list("event", flat=True)
    assert list(told) == ["SuppressionAdded", "SuppressionRemoved"]
    assert page.get(reverse("admin:postal_server_suppression_delete", args=[row.pk])).status_code == 403


def test_mail_that_was_held_for_an_entry_is_released_with_it(page, message) -> None:
    models.Message.objects.update(
        status="Held", hold_reason="suppressed", hold_expires_at=NOW + timedelta(days=7)
    )
    server = models.Server.objects.get(pk=message.server_id)
    suppress(page, server, message.rcpt_to)
    row = models.Suppression.objects.get()
    page.post(LIST, {"action": "end_entries", "_selected_action": [row.pk]}, follow=True)
    assert not models.QueuedMessage.objects.exists()
    act(page, "end_entries_and_release", row.pk)
    assert models.QueuedMessage.objects.get().is_manual
    assert models.Message.objects.get().hold_reason == ""


@each(
    "change",
    [
        {"ended_at": NOW, "ended_by": "hand", "answer": "550", "times": 3},
        {"keep_until": NOW - timedelta(days=1)},
        {"state": "proposed"},
    ],
)
def test_what_stops_nothing_can_be_added_again(page, server, change) -> None:
    suppress(page, server, "ann@dest.example")
    models.Suppression.objects.update(**change)
    assert suppress(page, server, "ann@dest.example").status_code == 302
    row = models.Suppression.objects.get()
    assert (row.ended_at, row.ended_by, row.answer, row.times, row.state) == (None, "", "", 1, "active")
    assert row.keep_until > NOW


@pytest.fixture
def several(server) -> None:
    """Entries by what tells them apart."""
    rows = {
        "ann": {"reason": "bad_address"},
        "news": {"scope": "stream:news", "keep_until": NOW + timedelta(days=3)},
        "past": {"keep_until": NOW - timedelta(days=1)},
        "ended": {"ended_at": NOW},
        "proposed": {"state": "proposed", "incident_id": 5},
    }
    for name, values in rows.items():
        entry = given_entry((server.pk, f"{name}@x.example"), NOW, keep_until=None)
        for field, value in values.items():
            setattr(entry, field, value)
        put([entry])


@each(
    "query, found",
    [
        ({}, {"ann", "news", "past", "ended", "proposed"}),
        ({"state": "active"}, {"ann", "news"}),
        ({"state": "proposed"}, {"proposed"}),
        ({"state": "ended"}, {"past", "ended"}),
        ({"state": "' OR 1=1"}, {"ann", "news", "past", "ended", "proposed"}),
        ({"reason": "bad_address"}, {"ann"}),
        ({"ends": "7"}, {"news"}),
        ({"ends": "never", "state": "active"}, {"ann"}),
        ({"ends": "x"}, {"ann", "news", "past", "ended", "proposed"}),
        ({"incident_id": "5"}, {"proposed"}),
        ({"server": "999999"}, set()),
        ({"q": "ANN@x.example"}, {"ann"}),
        ({"q": "ann"}, set()),
        ({"q": "stream:news"}, {"news"}),
    ],
)
def test_the_list_is_narrowed_down(page, several, query, found) -> None:
    rows = page.get(LIST, query).context["cl"].result_list
    assert {row.address.partition("@")[0] for row in rows} == found


def test_an_entry_shows_its_evidence_and_its_message_what_followed(page, message) -> None:
    entry = given_entry((message.server_id, "Ann@dest.example"), NOW, keep_until=None)
    entry.source_message_id, entry.answer, entry.rule = message.pk, "550 <b>no</b>", "general:7"
    put([entry])
    row = models.Suppression.objects.get()
    url = reverse("admin:postal_server_suppression_change", args=[row.pk])
    shown = page.get(url).content.decode()
    source = reverse("admin:postal_server_message_change", args=[message.pk])
    for part in ("550 &lt;b&gt;no&lt;/b&gt;", "general:7", f'href="{source}"'):
        assert part in shown
    assert f'href="{url}"' in page.get(source).content.decode()


@pytest.fixture
def incident(server) -> models.Incident:
    """An open incident with a proposal."""
    row = models.Incident.objects.create(operator="google.com", count=20, answers=50, created_at=NOW)
    entry = given_entry((server.pk, "ann@x.example"), NOW, keep_until=None)
    entry.state, entry.incident_id = "proposed", row.pk
    put([entry])
    return row


@pytest.mark.parametrize(("action", "states"), [("confirm", ["active"]), ("drop", [])])
def test_an_incident_is_decided(page, incident, action, states) -> None:
    assert f"?incident_id={incident.pk}" in page.get(INCIDENTS).content.decode()
    act(page, action, incident.pk, INCIDENTS)
    assert list(models.Suppression.objects.values_list("state", flat=True)) == states
    incident.refresh_from_db()
    assert incident.ended_at is not None


def test_who_may_only_look_decides_nothing(page, incident) -> None:
    guest = User.objects.create(username="guest", is_staff=True)
    guest.user_permissions.add(*Permission.objects.filter(codename__in=["view_incident", "view_suppression"]))
    browser = Client()
    browser.force_login(guest)
    act(browser, "confirm", incident.pk, INCIDENTS)
    act(browser, "end_entries", models.Suppression.objects.get().pk)
    assert models.Suppression.objects.get().state == "proposed"
    assert models.Suppression.objects.get().ended_at is None
