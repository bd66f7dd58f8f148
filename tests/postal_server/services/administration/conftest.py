from __future__ import annotations

from dataclasses import replace

import pytest

from postal_server.mail import dkim
from postal_server.models import Organization, Server
from postal_server.rules.access import Actor, Role
from postal_server.services.operations.context import OperationContext


@pytest.fixture
def root(world, config, domain_key, monkeypatch) -> OperationContext:
    """Somebody who may do everything. New domains get a key that is there already: to make one takes time."""
    monkeypatch.setattr(dkim, "generate_rsa", lambda: domain_key)
    return replace(world.context(config), actor=Actor("root", is_administrator=True, client="192.0.2.1"))


@pytest.fixture
def as_(root, world):
    """The context of a person with this role in the organization of `world`."""

    def call(role: Role) -> OperationContext:
        return replace(root, actor=Actor(role.value, roles={world.organization.pk: role}))

    return call


@pytest.fixture
def theirs(world) -> Server:
    """A mail server of another organization."""
    other = Organization.objects.create(name="Other", permalink="other")
    return Server.objects.create(organization=other, name="Theirs", permalink="theirs")
