"""What holds for everything that people set up: access, values, versions, audit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from postal_server.errors import ChangedMeanwhile, InvalidValues, NotAllowed, NotFound
from postal_server.models import AuditEntry, Webhook
from postal_server.rules.access import Actor, Role
from postal_server.rules.status import CredentialType
from postal_server.services.administration import (
    audit,
    credentials,
    domains,
    organizations,
    routes,
    rows,
    servers,
    webhooks,
)

URL = "https://user:secret@app.example/tracking"


def make_each(server, context):
    """One of every kind, by its service."""
    endpoint = routes.create_endpoint(
        routes.HTTPEndpoint, server, {"name": "app", "url": "https://app.example/in"}, context
    )
    return [
        servers.create(server.organization, {"name": "More"}, context),
        domains.create(server, {"name": "more.example"}, context),
        credentials.create(server, CredentialType.SMTP, {}, context)[0],
        endpoint,
        routes.create(server, {"name": "in", "http_endpoint": endpoint}, context),
        webhooks.create(server, {"url": URL}, context),
    ]


def lists(context):
    return [
        organizations.visible(context),
        servers.visible(context),
        domains.visible(context),
        credentials.visible(context),
        routes.visible(context),
        routes.visible_endpoints(routes.HTTPEndpoint, context),
        webhooks.visible(context),
    ]


class TestAccess:
    def test_an_admin_makes_each_and_a_member_none(self, world, as_):
        made = make_each(world.server, as_(Role.ADMIN))
        assert len({type(row) for row in made}) == 6
        with pytest.raises(NotAllowed, match="member may not manage here"):
            webhooks.create(world.server, {"url": URL}, as_(Role.MEMBER))

    def test_what_is_not_theirs_does_not_exist(self, world, theirs, root, as_):
        make_each(theirs, root)
        own = make_each(world.server, root)
        for context in (as_(Role.VIEWER), as_(Role.OWNER)):
            found = [row for rows_ in lists(context) for row in rows_]
            places = {rows.place_of(row).organization_id for row in found}
            assert places == {world.organization.pk}
            assert set(own) <= set(found)
            with pytest.raises(NotFound):
                webhooks.create(theirs, {"url": URL}, context)
            with pytest.raises(NotFound, match="There is no webhook"):
                rows.find(Webhook.objects.all(), context, pk=theirs.webhooks.get().pk)

    def test_a_token_of_a_mail_server_sees_that_one(self, world, root):
        second = servers.create(world.organization, {"name": "Second"}, root)
        make_each(second, root)
        actor = Actor(
            "token", is_administrator=True, organization_id=world.organization.pk, server_id=second.pk
        )
        found = [row for rows_ in lists(replace(root, actor=actor)) for row in rows_]
        assert {getattr(row, "server", second) for row in found} == {second}
        assert world.server not in found

    def test_nobody_sees_anything(self, world, root):
        make_each(world.server, root)
        assert [list(rows_) for rows_ in lists(replace(root, actor=Actor("nobody")))] == [[]] * 7


class TestValues:
    def test_a_wrong_value_is_named_and_nothing_is_stored(self, world, root):
        with pytest.raises(InvalidValues) as caught:
            webhooks.create(world.server, {"url": "ftp://x", "enabled": "perhaps"}, root)
        assert caught.value.problems.keys() == {"url", "enabled"}
        assert not Webhook.objects.exists()
        assert not AuditEntry.objects.exists()

    def test_a_value_that_a_kind_does_not_have_is_named(self, world, root):
        with pytest.raises(InvalidValues, match="token: A webhook has no such value"):
            webhooks.create(world.server, {"url": URL, "token": "x"}, root)

    def test_what_is_for_administrators_is_no_value_for_others(self, world, as_):
        with pytest.raises(InvalidValues, match="send_limit"):
            servers.change(world.server, {"send_limit": 10}, as_(Role.OWNER))

    def test_two_of_the_same_name_are_one_too_many(self, world, root):
        domains.create(world.server, {"name": "Twice.example"}, root)
        with pytest.raises(InvalidValues):
            domains.create(world.server, {"name": "twice.example"}, root)


class TestTwoWriters:
    def test_the_later_one_is_told(self, world, root):
        webhook = webhooks.create(world.server, {"url": URL}, root)
        version = rows.version_of(webhook)
        webhooks.change(webhook, {"name": "one"}, root, version)
        with pytest.raises(ChangedMeanwhile, match="The webhook one has been changed meanwhile"):
            webhooks.change(webhook, {"name": "two"}, root, version)
        assert Webhook.objects.get().name == "one"

    def test_what_changes_by_itself_is_no_other_version(self, world, root):
        webhook = webhooks.create(world.server, {"url": URL}, root)
        version = rows.version_of(webhook)
        Webhook.objects.update(last_used_at=root.now)
        assert webhooks.change(webhook, {"name": "one"}, root, version).name == "one"

    def test_values_that_are_not_given_stay_as_somebody_else_has_set_them(self, world, root):
        webhook = webhooks.create(world.server, {"url": URL}, root)
        webhooks.change(Webhook.objects.get(), {"enabled": False}, root)
        assert not webhooks.change(webhook, {"name": "one"}, root).enabled

    def test_what_was_deleted_meanwhile_is_named(self, world, root):
        webhook = webhooks.create(world.server, {"url": URL}, root)
        webhooks.delete(Webhook.objects.get(), root)
        with pytest.raises(NotFound, match="was deleted meanwhile"):
            webhooks.change(webhook, {"name": "one"}, root)


class TestAudit:
    def test_it_says_who_did_what_from_where(self, world, root):
        webhook = webhooks.create(world.server, {"url": URL}, root)
        webhooks.change(webhook, {"name": "one", "url": URL}, root)
        webhooks.delete(webhook, root)
        made, changed, deleted = AuditEntry.objects.order_by("pk")
        assert {(row.actor, row.client, row.kind) for row in (made, changed, deleted)} == {
            ("root", "192.0.2.1", "webhook")
        }
        assert [row.action for row in (made, changed, deleted)] == ["created", "changed", "deleted"]
        assert (made.organization_id, made.server_id) == (world.organization.pk, world.server.pk)
        shown = "https://***@app.example/tracking"
        assert (changed.before, changed.after) == ({"name": shown}, {"name": "one"})
        assert deleted.after == {}

    def test_no_secret_is_in_it(self, world, root):
        make_each(world.server, root)
        domains.create(world.organization, {"name": "whole.example"}, root)
        text = str(list(AuditEntry.objects.values("before", "after", "object_name")))
        assert "PRIVATE KEY" not in text
        assert "key_encrypted" not in text
        assert "key_digest" not in text
        assert "secret@" not in text
        assert "https://***@app.example/tracking" in text

    def test_it_is_kept_for_400_days(self, world, root):
        make_each(world.server, root)
        audit.prune(root.now + timedelta(days=399))
        assert AuditEntry.objects.exists()
        audit.prune(root.now + timedelta(days=401))
        assert not AuditEntry.objects.exists()

    def test_a_change_that_fails_is_not_in_it(self, world, root, monkeypatch):
        monkeypatch.setattr(audit.AuditEntry.objects, "create", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            webhooks.create(world.server, {"url": URL}, root)
        assert not Webhook.objects.exists(), "nothing is done that is not written down"
