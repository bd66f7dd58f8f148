from datetime import timedelta

import pytest

from postal_server import conf
from postal_server.models import (
    Domain,
    Route,
    Server,
    Webhook,
)
from postal_server.rules.status import CredentialType
from postal_server.services.shared import credential
from postal_server.services.shared.loader import load
from tests.each import each
from tests.postal_server.services.conftest import NOW


def test_api_and_smtp_keys_open_their_own_door_only(world):
    api, api_key = credential.create(world.server, CredentialType.API, "api")
    smtp, smtp_key = credential.create(world.server, CredentialType.SMTP, "smtp", hold=True)
    directory = load()
    assert directory.api_credential(api_key).id == api.pk
    assert directory.smtp_credential(smtp_key).id == smtp.pk
    assert directory.api_credential(smtp_key) is directory.smtp_credential(api_key) is None
    assert directory.api_credential(api_key.swapcase()) is directory.api_credential("") is None
    assert [(c.secret, c.hold) for c in directory.smtp_credentials(world.server.pk)] == [(smtp_key, True)]


@pytest.mark.parametrize("path", ["example/live", "example_live"])
def test_an_smtp_user_name_names_a_server(world, path):
    assert load().server_by_path(path).id == world.server.pk
    assert load().server_by_path("example/nosuch") is None


@pytest.mark.parametrize(
    ("client", "name"),
    [
        ("192.0.2.7", "host"),
        ("192.0.2.8", "net"),
        ("::ffff:192.0.2.8", "net"),
        ("2001:db8::5", "six"),
        ("198.51.100.1", None),
    ],
)
def test_the_narrowest_network_authenticates_a_client(world, client, name):
    made = {
        label: credential.create(world.server, CredentialType.SMTP_IP, label, network=network)[0].pk
        for label, network in (("net", "192.0.2.0/24"), ("host", "192.0.2.7"), ("six", "2001:db8::/32"))
    }
    found = load().ip_credential(client)
    assert (found and found.id) == made.get(name)


class TestAuthorizedDomain:
    @pytest.fixture
    def names(self, world):
        other = Server.objects.create(organization=world.organization, name="Any", permalink="any")
        shared = Domain.objects.create(
            organization=world.organization, name="organization.test", verified_at=NOW
        )
        Domain.objects.create(organization=world.organization, name="example.test", verified_at=NOW)
        Domain.objects.create(server=world.server, name="unverified.test")
        for name in ("any.test", "zany.test"):
            Domain.objects.create(server=other, name=name, verified_at=NOW, use_for_any=True)
        return {world.server.pk: "live", other.pk: "any", shared.pk: "shared"}

    @each(
        "server, address, domain",
        [
            ("live", "x@example.test", "example.test"),
            ("live", "X@EXAMPLE.TEST", "example.test"),
            ("live", "x@Organization.test.", "organization.test"),
            ("live", '"a@b"@example.test', "example.test"),
            ("live", "x@unverified.test", None),
            ("live", "x@sub.example.test", None),
            ("live", "x@any.test", None),
            ("live", "nonsense", None),
            ("any", "x@elsewhere.test", "any.test"),
            ("any", "x@organization.test", "organization.test"),
        ],
    )
    def test_a_verified_domain_of_server_or_organization_authorizes(self, names, server, address, domain):
        directory = load()
        entry = next(s for s in directory.servers.values() if s.permalink == server)
        found = directory.authorized_domain(entry, address)
        assert (found and found.name) == domain

    @pytest.mark.parametrize(("mode", "is_allowed"), [("catch", True), ("allowlist", False), ("mx", False)])
    def test_where_any_mail_is_sent_a_domain_for_any_sender_where_caught_is_none(
        self, world, tmp_path, monkeypatch, mode, is_allowed
    ):
        Domain.objects.create(
            server=world.server, name="a.test", verified_at=NOW, use_for_any=True, only_where_caught=True
        )
        config = conf.parse({"delivery": {"mode": mode, "allowlist": ["qa.example"]}}, {}, tmp_path)
        monkeypatch.setattr(conf, "config", lambda: config)
        directory = load()
        found = directory.authorized_domain(directory.servers[world.server.pk], "x@elsewhere.test")
        assert (found is not None) is is_allowed

    def test_the_servers_own_domain_wins(self, names, world):
        directory = load()
        found = directory.authorized_domain(directory.servers[world.server.pk], "x@example.test")
        assert found.server_id == world.server.pk


class TestRoutes:
    def test_routes_are_found_by_address_and_by_token(self, route):
        directory = load()
        assert directory.route_for("IN+x@Example.test").id == route.pk
        assert directory.route_for("other@example.test") is None
        assert directory.route_by_token("PFidnp7X+tag") == (directory.routes[route.pk], "tag")
        assert directory.route_by_token("nosuch") is None

    def test_each_server_has_a_return_path_route_of_its_own(self, world, route):
        made = Route.objects.create(
            server=world.server, name="__returnpath__", http_endpoint=route.http_endpoint
        )
        directory = load()
        assert directory.return_path_route(world.server.pk).id == made.pk
        assert directory.return_path_route(0) is None


def test_webhooks_are_chosen_by_event(world):
    every = world.add_webhook()
    world.add_webhook(name="off", enabled=False)
    some = world.add_webhook(name="some", all_events=False, events=["MessageSent"])
    directory = load()
    assert [w.id for w in directory.webhooks_for(world.server.pk, "MessageSent")] == [every.pk, some.pk]
    assert [w.id for w in directory.webhooks_for(world.server.pk, "SendLimitExceeded")] == [every.pk]
    assert directory.webhooks_for(0, "MessageSent") == []


@each(
    "event, is_beyond_postal, chosen",
    [
        ("MessageDelayed", False, {"ours", "imported", "imported, named"}),
        ("MessageDelayed", True, {"ours"}),  # of a report: Postal says nothing
        ("SuppressionAdded", False, {"ours", "imported, named", "ours, named"}),
        ("MessageComplained", False, {"ours"}),
    ],
)
def test_what_postal_lacks_goes_to_those_that_expect_it(world, event, is_beyond_postal, chosen):
    world.add_webhook(name="ours")
    world.add_webhook(name="imported", beyond_postal=False)
    world.add_webhook(name="imported, named", beyond_postal=False, events=["SuppressionAdded"])
    world.add_webhook(name="ours, named", all_events=False, events=["SuppressionAdded"])
    names = dict(Webhook.objects.values_list("pk", "name"))
    webhooks = load().webhooks_for(world.server.pk, event, is_beyond_postal=is_beyond_postal)
    assert {names[webhook.id] for webhook in webhooks} == chosen


def test_role_mail_finds_a_server_of_the_organization(world):
    Server.objects.create(
        organization=world.organization, name="Later", permalink="later", created_at=NOW + timedelta(1)
    )
    Domain.objects.create(organization=world.organization, name="organization.test", verified_at=NOW)
    directory = load()
    assert directory.server_of_domain(directory.mail_domain("Organization.test")).id == world.server.pk
    assert directory.mail_domain("nosuch.test") is None
