"""Making organizations, mail servers, domains, routes and webhooks."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from postal_server import conf
from postal_server.mail import dkim
from postal_server.models import Credential
from postal_server.services.operations import provisioning

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.fixture
def config(tmp_path, monkeypatch):
    given = {"default_spam_threshold": 4, "default_spam_failure_threshold": 11}
    config = conf.parse({"version": 2, "storage": {}, "postal": given}, {}, tmp_path)
    monkeypatch.setattr(conf, "config", lambda: config)
    return config


def test_server_begins_with_the_installations_spam_thresholds_and_two_keys(config):
    new = provisioning.add_server(provisioning.organization("Example"), "Main")
    assert (new.server.spam_threshold, new.server.spam_failure_threshold) == (4.0, 11.0)
    assert set(Credential.objects.values_list("type", flat=True)) == {"API", "SMTP"}


def test_organization_is_made_once(config):
    assert provisioning.organization("Example Org") == provisioning.organization("Example Org")


def test_servers_of_one_name_have_permalinks_of_their_own(config):
    owner = provisioning.organization("Example")
    made = [provisioning.add_server(owner, "Main").server.permalink for _ in range(3)]
    assert made == ["main", "main-2", "main-3"]


def test_domain_signs_with_an_rsa_key_of_2048_bits_unless_one_is_given(config):
    server = provisioning.add_server(provisioning.organization("Example"), "Main").server
    domain = provisioning.add_domain(server, "Example.TEST", NOW)
    assert domain.name == "example.test"
    assert "MIIBIj" in dkim.public_record(dkim.SigningKey.load(domain.dkim_private_key))
    again = provisioning.add_domain(server, "other.test", NOW, private_key=domain.dkim_private_key)
    assert again.dkim_private_key == domain.dkim_private_key


def test_route_and_webhook(config):
    server = provisioning.add_server(provisioning.organization("Example"), "Main").server
    domain = provisioning.add_domain(server, "example.test", NOW)
    route = provisioning.add_http_route(server, domain, "reply", "http://127.0.0.1/in")
    assert (str(route), route.http_endpoint.url) == ("reply@example.test", "http://127.0.0.1/in")
    assert provisioning.add_webhook(server, "http://127.0.0.1/hook").all_events
