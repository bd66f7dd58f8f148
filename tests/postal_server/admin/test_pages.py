"""The administration: what it makes, what it shows of mail, and what it does with messages."""

from __future__ import annotations

import contextlib
import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from postal_server import models
from postal_server.admin import base, configuration
from postal_server.engine import directory
from postal_server.engine.directory import DirectoryKeeper
from postal_server.rules.domain import DnsStatus
from postal_server.services.operations import held, provisioning
from postal_server.services.operations.domain_checks import records_to_publish
from postal_server.services.shared import credential
from postal_server.services.shared.dns_questions import Question
from postal_server.services.shared.loader import load
from postal_server.services.shared.token import message_token

from .conftest import MAIL, NOW, enqueue, hold

pytestmark = [pytest.mark.django_db, pytest.mark.urls("postal_server.urls")]

REGISTERED = [model for model in admin.site._registry if model.__module__.startswith("postal_server")]


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model.__name__)
def test_every_list_can_be_seen(page, message, model) -> None:
    assert page.get(reverse(f"admin:postal_server_{model._meta.model_name}_changelist")).status_code == 200


ADDABLE = [
    m
    for m in REGISTERED
    if m not in (models.Message,) and not isinstance(admin.site._registry[m], base.ReadOnlyAdmin)
]


@pytest.mark.parametrize("model", ADDABLE, ids=lambda model: model.__name__)
def test_every_form_opens(page, server, model) -> None:
    assert page.get(reverse(f"admin:postal_server_{model._meta.model_name}_add")).status_code == 200


# Credentials


def add_credential(page: Client, server: models.Server, **values):
    given = {"server": server.pk, "type": "API", "name": "App", "network": "", **values}
    return page.post(reverse("admin:postal_server_credential_add"), given)


def test_new_key_is_shown_once(page, server) -> None:
    response = add_credential(page, server)
    row = models.Credential.objects.get()
    key = response.context["key"]
    assert credential.digest(key) == row.key_digest
    assert key in response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]
    for name in ("changelist", "change"):
        arguments = [row.pk] if name == "change" else []
        answer = page.get(reverse(f"admin:postal_server_credential_{name}", args=arguments))
        assert key not in answer.content.decode()
        assert row.key_digest not in answer.content.decode()


@pytest.mark.parametrize(
    ("kind", "network", "stored"),
    [
        ("SMTP-IP", "192.0.2.1", "192.0.2.1/32"),
        ("SMTP-IP", "2001:db8::1/64", "2001:db8::/64"),
        ("SMTP-IP", "", None),
        ("SMTP-IP", "nonsense", None),
        ("API", "192.0.2.1", None),
    ],
)
def test_network_belongs_to_smtp_ip_credentials(page, server, kind, network, stored) -> None:
    response = add_credential(page, server, type=kind, network=network)
    found = models.Credential.objects.values_list("network", flat=True).first()
    assert found == stored
    assert ("adminform" in response.context) is (stored is None)


def test_hold_of_a_credential_can_be_changed_without_a_new_key(page, server) -> None:
    add_credential(page, server)
    row = models.Credential.objects.get()
    page.post(reverse("admin:postal_server_credential_change", args=[row.pk]), {"name": "App", "hold": "on"})
    changed = models.Credential.objects.get()
    assert (changed.hold, changed.key_digest) == (True, row.key_digest)


# Domains


def add_domain(page: Client, server: models.Server, **values) -> models.Domain:
    inline = {f"track_domains-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    page.post(
        reverse("admin:postal_server_domain_add"),
        {"name": "new.test", "server": server.pk, "organization": "", **inline, **values},
    )
    return models.Domain.objects.get()


def test_new_domain_is_verified_and_has_a_key(page, server, recorded_key) -> None:
    domain = add_domain(page, server)
    assert domain.verified_at is not None
    assert domain.dkim_private_key == recorded_key


@pytest.mark.parametrize("has_two", [True, False])
def test_who_owns_a_domain_is_asked_for_in_words(page, server, has_two) -> None:
    owner = server.organization_id if has_two else ""
    inline = {f"track_domains-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    given = {"name": "new.test", "server": server.pk if has_two else "", "organization": owner, **inline}
    said = page.post(reverse("admin:postal_server_domain_add"), given).content.decode()
    assert "Choose a server or an organization, one of the two." in said
    assert "Constraint" not in said


def test_domain_shows_the_records_to_publish(page, server, recorded_config) -> None:
    domain = add_domain(page, server)
    shown = page.get(reverse("admin:postal_server_domain_change", args=[domain.pk])).content.decode()
    for record in records_to_publish(domain, recorded_config):
        assert record.name in shown
        assert record.value in shown
    assert "PRIVATE KEY" not in shown


def test_dns_is_looked_up_on_demand(page, server, monkeypatch) -> None:
    domain = add_domain(page, server)
    monkeypatch.setattr(configuration, "ask_now", lambda questions: dict.fromkeys(questions, ()))
    page.post(
        reverse("admin:postal_server_domain_changelist"),
        {"action": "check_dns", "_selected_action": [domain.pk]},
    )
    domain.refresh_from_db()
    assert (domain.spf_status, domain.spf_error) == (
        DnsStatus.MISSING.value,
        "No SPF record exists for this domain",
    )


def test_dns_that_was_never_looked_up_is_not_called_ok(page, server, recorded_key) -> None:
    domain = provisioning.add_domain(server, "new.test", NOW, private_key=recorded_key)
    domain.dns_problems = {"DMARC": "There are 2 of <b>them</b>."}
    domain.save()
    shown = page.get(reverse("admin:postal_server_domain_change", args=[domain.pk])).content.decode()
    assert shown.count("not checked") == 4
    assert "OK" not in re.findall(r"<td>(.*?)</td>", shown)
    assert "There are 2 of &lt;b&gt;them&lt;/b&gt;." in shown


@pytest.mark.parametrize("is_published", [True, False])
def test_ownership_is_verified_by_dns(page, server, monkeypatch, is_published) -> None:
    domain = add_domain(page, server)
    models.Domain.objects.update(verified_at=None)
    text = f"postal-verification {domain.verification_token}" if is_published else "else"
    monkeypatch.setattr(configuration, "ask_now", lambda questions: {Question("new.test", "TXT"): (text,)})
    page.post(
        reverse("admin:postal_server_domain_changelist"),
        {"action": "verify", "_selected_action": [domain.pk]},
    )
    domain.refresh_from_db()
    assert (domain.verified_at is not None) is is_published


# Servers, routes, webhooks


@pytest.mark.parametrize(
    ("excess", "shown"), [(0, "nothing"), (3 * 1024 * 1024, "3.0 MB, of mail that waits or is held")]
)
def test_a_server_shows_what_retention_could_not_delete(page, server, excess, shown) -> None:
    models.Server.objects.update(raw_message_excess_bytes=excess)
    for view, arguments in (("changelist", []), ("change", [server.pk])):
        text = page.get(reverse(f"admin:postal_server_server_{view}", args=arguments)).content.decode()
        assert shown in text


def test_deleted_server_is_marked_and_gone_from_the_list(page, server) -> None:
    page.post(reverse("admin:postal_server_server_delete", args=[server.pk]), {"post": "yes"})
    server.refresh_from_db()
    assert server.deleted_at is not None
    listed = page.get(reverse("admin:postal_server_server_changelist"))
    assert listed.context["cl"].result_count == 0


def test_route_needs_one_endpoint_of_its_own_server(page, server) -> None:
    other = models.Server.objects.create(organization=server.organization, name="B", permalink="b")
    domain = models.Domain.objects.create(server=server, name="example.test")
    endpoint = models.HTTPEndpoint.objects.create(server=other, name="e", url="http://a.example/")
    inline = {f"additional_endpoints-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    given = {"server": server.pk, "domain": domain.pk, "name": "in", "mode": "Endpoint", "spam_mode": "Mark"}

    def errors(**values) -> list[str]:
        response = page.post(reverse("admin:postal_server_route_add"), given | inline | values)
        return response.context["adminform"].form.non_field_errors() if response.context else []

    assert errors() == ["Choose one endpoint."]
    assert errors(http_endpoint=endpoint.pk) == ["The endpoint belongs to another server."]
    assert errors(mode="Hold", http_endpoint=endpoint.pk) == [
        "Only routes in mode Endpoint have an endpoint."
    ]
    models.HTTPEndpoint.objects.update(server=server)
    assert errors(http_endpoint=endpoint.pk) == []
    assert models.Route.objects.get().http_endpoint == endpoint


def test_webhook_listens_to_chosen_events(page, server) -> None:
    page.post(
        reverse("admin:postal_server_webhook_add"),
        {"server": server.pk, "name": "w", "url": "https://a.example/", "events": ["MessageSent"]},
    )
    assert models.Webhook.objects.get().events == ["MessageSent"]


# Messages


def open_message(page: Client, message: models.Message) -> str:
    return page.get(reverse("admin:postal_server_message_change", args=[message.pk])).content.decode()


def test_nothing_of_a_mail_is_markup_in_the_page(page, message) -> None:
    models.Delivery.objects.create(
        message_id=7,
        status="HardFail",
        details="<img src=x onerror=alert(5)>",
        output="<b>no</b>",
        created_at=NOW,
    )
    shown = open_message(page, message)
    assert "<script>alert" not in shown
    assert "onerror=alert(5)>" not in shown
    assert "<b>no</b>" not in shown
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in shown
    assert '<iframe sandbox="" ' in shown


def test_html_is_a_page_that_can_do_nothing(page, message) -> None:
    response = page.get(reverse("admin:postal_server_message_html", args=[7]))
    assert b"<script" not in response.content
    assert b"alert(3)" not in response.content  # see test_html.py
    assert response.headers["X-DNS-Prefetch-Control"] == "off"
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert "allow-" not in policy


def test_file_is_a_download_with_a_harmless_name(page, message) -> None:
    response = page.get(reverse("admin:postal_server_message_file", args=[7, 0]))
    assert response.headers["Content-Type"] == "application/octet-stream"
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment; ")
    assert "/" not in disposition
    assert "\\" not in disposition
    assert page.get(reverse("admin:postal_server_message_file", args=[7, 1])).status_code == 404


@pytest.mark.parametrize("model", [models.Message, models.CaughtMail, models.Suppression])
def test_nul_in_a_search_is_no_error(page, message, model) -> None:
    url = reverse(f"admin:postal_server_{model._meta.model_name}_changelist")
    assert page.get(url, {"q": "a\0@b.example"}).status_code == 200


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a"; filename=b.exe', "a_; filename=b.exe"),
        ("a\r\nX: y", "a__X_ y"),
        ("..", "file"),
        ("C:\\x.exe", "C__x.exe"),
        ("ü.pdf", "_.pdf"),
    ],
)
def test_file_names_are_safe(name, plain) -> None:
    assert f'filename="{plain}";' in base.download(b"", name).headers["Content-Disposition"]


def test_message_is_downloaded_as_stored(page, message) -> None:
    response = page.get(reverse("admin:postal_server_message_raw", args=[7]))
    assert response.content == MAIL
    assert 'filename="message-7.eml"' in response.headers["Content-Disposition"]


def test_purged_message_can_be_seen(page, message) -> None:
    models.Message.objects.update(body_id=None)
    assert "it was deleted" in open_message(page, message)
    assert page.get(reverse("admin:postal_server_message_raw", args=[7])).status_code == 404


@pytest.mark.parametrize("pk", ["0", "8", "x", "9" * 30])
def test_unknown_message_is_not_found(page, message, pk) -> None:
    assert page.get(f"/admin/postal_server/message/{pk}/change/").status_code == 404


def test_references_in_details_are_links() -> None:
    assert base.link_messages("See <msg:12> <b>.") == (
        'See <a href="/admin/postal_server/message/12/change/">message 12</a> &lt;b&gt;.'
    )


def do(page: Client, action: str, **values: str) -> int:
    address = reverse("admin:postal_server_message_do", args=[7])
    return page.post(address, {"action": action, **values}).status_code


def test_held_message_is_released_for_another_try(page, message) -> None:
    hold(message)
    assert do(page, "release") == 302
    row = models.QueuedMessage.objects.get()
    assert (row.pk, row.is_manual, row.destination) == (7, True, "dest.example")


def test_hold_is_cancelled(page, message) -> None:
    hold(message)
    assert do(page, "cancel") == 200  # are you sure?
    message.refresh_from_db()
    assert message.status == "Held"
    do(page, "cancel", sure="yes")
    message.refresh_from_db()
    assert (message.status, message.hold_expires_at) == ("HoldCancelled", None)


def test_waiting_message_is_held(page, message) -> None:
    enqueue(message)
    do(page, "hold_messages")
    message.refresh_from_db()
    assert (message.status, models.QueuedMessage.objects.count()) == ("Held", 0)
    assert models.Delivery.objects.get().details == "Message has been held by an administrator."


def test_message_that_is_being_tried_is_not_held(page, message) -> None:
    enqueue(message, claimed_by=1)
    do(page, "hold_messages")
    assert models.QueuedMessage.objects.count() == 1


def test_failed_message_is_tried_again(page, message) -> None:
    do(page, "retry")
    assert models.QueuedMessage.objects.get().is_manual


def test_several_messages_at_once(page, message) -> None:
    hold(message)
    response = page.post(
        reverse("admin:postal_server_message_changelist"),
        {"action": "release", "_selected_action": [7]},
        follow=True,
    )
    assert "1 of 1 messages released." in response.content.decode()


@pytest.mark.parametrize(
    ("action", "put", "status"), [("cancel", hold, "HoldCancelled"), ("remove", enqueue, "HardFail")]
)
def test_several_at_once_only_when_sure(page, message, action, put, status) -> None:
    put(message)
    before = message.status if put is enqueue else "Held"
    listing = reverse("admin:postal_server_message_changelist")
    chosen = {"action": action, "_selected_action": [7], "index": 0, "select_across": 0}
    asked = page.post(listing, chosen)
    form = asked.content.decode()
    assert asked.status_code == 200
    assert "Are you sure?" in form
    message.refresh_from_db()
    assert (message.status, models.Delivery.objects.count()) == (before, 0)
    given = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', form))
    done = page.post(listing, given, follow=True)
    assert "1 of 1 messages" in done.content.decode()
    message.refresh_from_db()
    assert message.status == status
    assert models.Delivery.objects.count() == 1


def test_all_pages_of_a_list_at_once_when_sure(page, message) -> None:
    hold(message)
    listing = reverse("admin:postal_server_message_changelist")
    chosen = {"action": "cancel", "_selected_action": [7], "index": 0, "select_across": 1}
    form = page.post(f"{listing}?waiting=held", chosen).content.decode()
    given = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', form))
    assert given["select_across"] == "1"
    page.post(f"{listing}?waiting=held", given)
    message.refresh_from_db()
    assert message.status == "HoldCancelled"


def test_mail_is_changed_in_turn_and_the_directory_is_read_once(page, message, monkeypatch) -> None:
    for pk in (8, 9):
        message.pk = pk
        message.save(force_insert=True)
    hold(message)
    turns, read = [], []

    @contextlib.contextmanager
    def write_transaction():
        turns.append(1)
        yield

    monkeypatch.setattr(held, "CHUNK", 1)
    monkeypatch.setattr(base, "write_transaction", write_transaction)
    monkeypatch.setattr(held, "load", lambda: read.append(1) or load())
    monkeypatch.setattr(directory, "refresh", DirectoryKeeper(held.load).refresh)
    chosen = {"action": "cancel", "_selected_action": [7, 8, 9], "sure": "yes"}
    page.post(reverse("admin:postal_server_message_changelist"), chosen)
    assert models.Message.objects.filter(status="HoldCancelled").count() == 3
    assert (len(turns), len(read)) == (3, 1)
    page.post(reverse("admin:postal_server_message_changelist"), chosen)
    assert len(read) == 1  # nothing has changed since


def test_unknown_action_is_not_found(page, message) -> None:
    assert do(page, "delete_model") == 404
    assert page.get(reverse("admin:postal_server_message_do", args=[7])).status_code == 404


@pytest.mark.parametrize(
    ("term", "is_found"),
    [
        ("7", True),
        ("8", False),
        ("ann@dest.example", True),
        ("bob@dest.example", False),
        ("1 OR 1=1", False),
        ("", True),
    ],
)
def test_search(page, message, term, is_found) -> None:
    response = page.get(reverse("admin:postal_server_message_changelist"), {"q": term})
    assert (response.context["cl"].result_count == 1) is is_found


def test_search_by_token(page, message) -> None:
    response = page.get(reverse("admin:postal_server_message_changelist"), {"q": message_token(7)})
    assert response.context["cl"].result_count == 1


def test_mail_is_for_those_who_may_see_it(client, message) -> None:
    user = User.objects.create(username="sue", is_staff=True)
    client.force_login(user)
    names = [("raw", [7]), ("html", [7]), ("file", [7, 0]), ("change", [7])]
    addresses = [reverse(f"admin:postal_server_message_{name}", args=args) for name, args in names]
    assert {client.get(address).status_code for address in addresses} == {403}
    user.user_permissions.add(Permission.objects.get(codename="view_message"))
    assert {client.get(address).status_code for address in addresses} == {200}
    assert (
        client.post(reverse("admin:postal_server_message_do", args=[7]), {"action": "retry"}).status_code
        == 403
    )


# Caught mail


def test_caught_mail_is_shown_alike(page, server) -> None:
    mail = models.CaughtMail.objects.create(
        server_id=server.pk, rcpt_to="a@b.example", raw=MAIL, created_at=NOW
    )
    shown = page.get(reverse("admin:postal_server_caughtmail_change", args=[mail.pk])).content.decode()
    assert "<script>alert" not in shown
    assert page.get(reverse("admin:postal_server_caughtmail_raw", args=[mail.pk])).content == MAIL
    html = page.get(reverse("admin:postal_server_caughtmail_html", args=[mail.pk]))
    assert html.headers["Content-Security-Policy"].startswith("sandbox;")
