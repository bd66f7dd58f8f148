"""A mail server in the database, its directory and a configuration, as the services see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from postal_server import conf
from postal_server.mail import dkim
from postal_server.models import Domain, Organization, Server, Webhook
from postal_server.services import directory as directories

NOW = datetime(2026, 11, 22, 18, 58, 0, 250000, tzinfo=timezone.utc)
DNS = {
    "return_path_domain": "rp.postal.example.test",
    "route_domain": "routes.postal.example.test",
}


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> Path:
    """A folder with the installation's key; RSA-1024 is enough for tests, and quick."""
    root = tmp_path_factory.mktemp("installation")
    (root / "signing.key").write_text(dkim.generate_rsa(1024))
    return root


@pytest.fixture(scope="session")
def domain_key() -> str:
    return dkim.generate_rsa(1024)


@pytest.fixture
def config(keys) -> conf.Config:
    return conf.parse(
        {
            "postal": {"smtp_hostname": "mx.postal.example.test", "web_hostname": "postal.example.test"},
            "dns": DNS,
            "delivery": {"mode": "mx"},
        },
        {},
        keys,
    )


@dataclass
class World:
    """What the tests' rows belong to."""

    organization: Organization
    server: Server
    domain: Domain

    def directory(self) -> directories.Directory:
        return directories.load()

    def add_webhook(self, **values) -> Webhook:
        values = {"name": "all", "url": "http://hook.example/all", "all_events": True, **values}
        return Webhook.objects.create(server=self.server, **values)


@pytest.fixture
def world(db, domain_key) -> World:
    organization = Organization.objects.create(name="Example", permalink="example")
    server = Server.objects.create(
        organization=organization, name="Live", permalink="live", token="s8halm", mode="Live"
    )
    domain = Domain.objects.create(
        server=server,
        name="example.test",
        verified_at=NOW,
        dkim_suffix="WTgXDd",
        dkim_private_key=domain_key,
        dkim_status="OK",
    )
    return World(organization, server, domain)
