"""What is particular to one kind of what people set up."""

from __future__ import annotations

import pytest

from postal_server.errors import InvalidValues, NotAllowed
from postal_server.models import (
    AddressEndpoint,
    AuditEntry,
    Credential,
    HTTPEndpoint,
    IPPool,
    Message,
    Organization,
    QueuedMessage,
    Server,
)
from postal_server.rules.access import Role
from postal_server.rules.status import CredentialType
from postal_server.services.administration import (
    credentials,
    deletion,
    domains,
    organizations,
    routes,
    servers,
    webhooks,
)
from postal_server.services.operations import domain_checks, retention
from postal_server.services.shared import credential as keys
from tests.postal_server.services.conftest import store


class TestOrganizations:
    def test_a_new_one_gets_a_permalink_and_the_default_pools(self, root):
        pool = IPPool.objects.create(name="main", default=True)
        IPPool.objects.create(name="other")
        made = organizations.create({"name": "Big Company"}, root)
        assert (made.permalink, list(made.ip_pools.all())) == ("big-company", [pool])

    def test_an_owner_changes_its_name_and_not_its_permalink(self, world, as_):
        changed = organizations.change(world.organization, {"name": "New"}, as_(Role.OWNER))
        assert (changed.name, changed.permalink) == ("New", "example")
        with pytest.raises(InvalidValues, match="permalink"):
            organizations.change(world.organization, {"permalink": "new"}, as_(Role.OWNER))
        with pytest.raises(NotAllowed):
            organizations.change(world.organization, {"name": "Newer"}, as_(Role.ADMIN))

    def test_its_pools_are_changed_and_written_down(self, world, root):
        pool = IPPool.objects.create(name="main")
        organizations.change(world.organization, {"ip_pools": [pool]}, root)
        entry = AuditEntry.objects.get()
        assert (entry.before, entry.after) == ({"ip_pools": []}, {"ip_pools": [pool.pk]})


class TestDeletion:
    def test_it_says_what_is_lost_and_wants_the_name(self, world, root, as_):
        store(world, "a@dest.example", "b@dest.example")
        assert deletion.losses(world.organization) == deletion.Losses(servers=1, queued=2, held=0, messages=2)
        with pytest.raises(InvalidValues, match="wants its name, which is live"):
            deletion.delete(world.server, "Live", root)
        with pytest.raises(NotAllowed):
            deletion.delete(world.server, "live", as_(Role.ADMIN))

    def test_it_is_gone_at_once_and_deleted_later(self, world, as_, root):
        store(world, "a@dest.example")
        deletion.delete(world.server, "live", as_(Role.OWNER))
        assert list(servers.visible(root)) == []
        assert AuditEntry.objects.get().action == "deleted"
        retention.delete_removed()
        assert [model.objects.count() for model in (Server, Message, QueuedMessage)] == [0, 0, 0]

    def test_an_organization_takes_its_servers_along(self, world, root):
        deletion.delete(world.organization, "example", root)
        assert list(organizations.visible(root)) == list(servers.visible(root)) == []
        retention.delete_removed()
        assert not Organization.objects.exists()


class TestDomains:
    def test_what_an_administrator_adds_is_verified_and_has_a_key(self, world, root, as_):
        assert domains.create(world.server, {"name": "One.Example."}, root).verified_at == root.now
        unverified = domains.create(world.organization, {"name": "two.example"}, as_(Role.ADMIN))
        assert unverified.verified_at is None
        assert unverified.dkim_private_key.startswith("-----BEGIN")

    def test_it_is_verified_by_its_record(self, world, config, as_):
        context = as_(Role.ADMIN)
        domain = domains.create(world.server, {"name": "two.example"}, context)
        record = domain_checks.verification_record(domain, config)
        with pytest.raises(InvalidValues, match=r"two\.example has no TXT record"):
            domains.verify(domain, context, lambda questions: {questions[0]: ["v=spf1 -all"]})
        domains.verify(domain, context, lambda questions: {questions[0]: [record]})
        assert domain.verified_at == context.now
        assert [row.action for row in AuditEntry.objects.order_by("pk")] == ["created", "verified"]


class TestCredentials:
    def test_its_key_works_and_is_renewed(self, world, root):
        row, key = credentials.create(world.server, CredentialType.SMTP, {"name": "app"}, root)
        assert keys.decrypt(row.key_encrypted) == key
        renewed = credentials.renew(row, root)
        stored = Credential.objects.get(pk=row.pk)
        assert renewed != key
        assert stored.key_digest == keys.digest(renewed)
        assert renewed not in str(list(AuditEntry.objects.values()))

    def test_a_network_is_for_smtp_ip_alone(self, world, root):
        row, network = credentials.create(
            world.server, CredentialType.SMTP_IP, {"network": "192.0.2.5/24"}, root
        )
        assert row.network == network == "192.0.2.0/24"
        with pytest.raises(InvalidValues, match="network: 'x' is neither an address"):
            credentials.create(world.server, CredentialType.SMTP_IP, {"network": "x"}, root)
        with pytest.raises(InvalidValues, match="network: Only SMTP-IP"):
            credentials.create(world.server, CredentialType.API, {"network": "192.0.2.1"}, root)
        with pytest.raises(InvalidValues, match="has no key"):
            credentials.renew(row, root)

    def test_a_revoked_one_is_gone(self, world, root):
        row, _ = credentials.create(world.server, CredentialType.API, {}, root)
        credentials.revoke(row, root)
        assert not Credential.objects.exists()


class TestRoutes:
    @pytest.fixture
    def endpoint(self, world, root):
        return routes.create_endpoint(AddressEndpoint, world.server, {"address": "a@b.example"}, root)

    def test_the_mode_says_whether_there_is_an_endpoint(self, world, root, endpoint):
        with pytest.raises(InvalidValues, match="mode: A route in mode Endpoint has one endpoint"):
            routes.create(world.server, {"name": "in"}, root)
        with pytest.raises(InvalidValues, match="address_endpoint: A route in mode Hold has no endpoint"):
            routes.create(world.server, {"name": "in", "mode": "Hold", "address_endpoint": endpoint}, root)
        made = routes.create(world.server, {"name": "in", "address_endpoint": endpoint}, root)
        assert routes.endpoint_of(made) == endpoint
        with pytest.raises(InvalidValues):
            routes.change(made, {"mode": "Hold"}, root)
        changed = routes.change(made, {"mode": "Hold", "address_endpoint": None}, root)
        assert routes.endpoint_of(changed) is None

    def test_what_it_leads_to_is_of_its_own_mail_server(self, world, theirs, root):
        foreign = routes.create_endpoint(AddressEndpoint, theirs, {"address": "a@b.example"}, root)
        with pytest.raises(InvalidValues, match="address_endpoint: It belongs to another"):
            routes.create(world.server, {"name": "in", "address_endpoint": foreign}, root)
        domain = domains.create(theirs, {"name": "theirs.example"}, root)
        with pytest.raises(InvalidValues, match="domain: It belongs to another"):
            routes.create(world.server, {"name": "in", "mode": "Hold", "domain": domain}, root)

    def test_an_endpoint_that_is_used_stays(self, world, root, endpoint):
        route = routes.create(
            world.server, {"name": "in", "domain": world.domain, "address_endpoint": endpoint}, root
        )
        with pytest.raises(InvalidValues, match=r"The route in@example\.test leads to it"):
            routes.delete_endpoint(endpoint, root)
        routes.delete(route, root)
        routes.delete_endpoint(endpoint, root)
        assert not AddressEndpoint.objects.exists()

    def test_an_endpoint_is_changed(self, world, root):
        made = routes.create_endpoint(
            HTTPEndpoint, world.server, {"name": "app", "url": "https://a.example"}, root
        )
        assert routes.change_endpoint(made, {"timeout": 30}, root).timeout == 30
        with pytest.raises(InvalidValues, match="timeout"):
            routes.change_endpoint(made, {"timeout": 300}, root)


class TestWebhooks:
    def test_events_are_known_ones(self, world, root):
        with pytest.raises(InvalidValues, match="events: There is no event MessageSnet"):
            webhooks.create(world.server, {"url": "https://a.example", "events": ["MessageSnet"]}, root)

    def test_enabled_again_it_says_no_more_why_it_was_not(self, world, root):
        webhook = world.add_webhook(enabled=False, disabled_reason="gone")
        assert webhooks.change(webhook, {"name": "x"}, root).disabled_reason == "gone"
        assert webhooks.change(webhook, {"enabled": True}, root).disabled_reason == ""
