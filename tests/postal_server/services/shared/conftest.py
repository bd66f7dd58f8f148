from __future__ import annotations

import pytest

from postal_server.models import AdditionalRouteEndpoint, AddressEndpoint, HTTPEndpoint, Route, SMTPEndpoint


@pytest.fixture
def route(world):
    http = HTTPEndpoint.objects.create(server=world.server, name="in", url="http://h.example/in")
    smtp = SMTPEndpoint.objects.create(server=world.server, name="s", hostname="mx.dest.example")
    address = AddressEndpoint.objects.create(server=world.server, address="a@b.example")
    route = Route.objects.create(
        server=world.server, domain=world.domain, name="in", http_endpoint=http, token="PFidnp7X"
    )
    AdditionalRouteEndpoint.objects.create(route=route, smtp_endpoint=smtp)
    AdditionalRouteEndpoint.objects.create(route=route, address_endpoint=address)
    return route
