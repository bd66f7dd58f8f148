from __future__ import annotations

import pytest

from postal_server.rules.lane import (
    LOCAL,
    WEBHOOK_PREFIX,
    is_domain,
    is_over_http,
    lane_of_domain,
    lane_of_endpoint,
)
from postal_server.rules.status import EndpointType
from tests.each import each

WEBHOOK = f"{WEBHOOK_PREFIX}3"
HTTP, SMTP, ADDRESS = (lane_of_endpoint(kind, 3) for kind in EndpointType)


def test_lanes_are_stored_as_texts():
    assert [HTTP, SMTP, ADDRESS, WEBHOOK] == ["http:3", "smtp:3", "address:3", "webhook:3"]
    assert [lane_of_domain("dest.example"), LOCAL] == ["dest.example", "local"]


def test_an_endpoint_has_a_type():
    with pytest.raises(KeyError):
        lane_of_endpoint("", 3)


@each("lane", ["dest.example", "[192.0.2.1]", "[ipv6:2001:db8::1]", "localhost"])
def test_domains(lane):
    assert is_domain(lane_of_domain(lane))


@each("lane", [HTTP, SMTP, ADDRESS, WEBHOOK, LOCAL])
def test_other_lanes_are_no_domains(lane):
    assert not is_domain(lane)


def test_endpoints_and_webhooks_are_delivered_to_by_http():
    others = [SMTP, ADDRESS, LOCAL, lane_of_domain("http.example")]
    assert [is_over_http(lane) for lane in (HTTP, WEBHOOK, *others)] == [True, True, *[False] * 4]
