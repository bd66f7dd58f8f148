"""Lanes of the queue: all that waits for one destination. Each is a string, as it is stored.

A lane is a recipient domain (`example.com`, `[ipv6:2001:db8::1]`), an endpoint (`http:3`, `smtp:3`,
`address:3`), a webhook (`webhook:3`), or `local`, for what needs no other host.
"""

from __future__ import annotations

from enum import Enum
from typing import NewType

from .status import EndpointType

Lane = NewType("Lane", str)


class LaneKind(Enum):
    DOMAIN = "domain"
    HTTP = "http"
    SMTP = "smtp"
    ADDRESS = "address"
    WEBHOOK = "webhook"
    LOCAL = "local"


LOCAL = Lane(LaneKind.LOCAL.value)
WEBHOOK_PREFIX = f"{LaneKind.WEBHOOK.value}:"
OF_ENDPOINTS = {
    EndpointType.HTTP.value: LaneKind.HTTP,
    EndpointType.SMTP.value: LaneKind.SMTP,
    EndpointType.ADDRESS.value: LaneKind.ADDRESS,
}
NUMBERED = {kind.value: kind for kind in (*OF_ENDPOINTS.values(), LaneKind.WEBHOOK)}
ANY_SOURCE = 0  # in place of the id of a source address: mail that is bound to none
HTTP_PREFIXES = (f"{LaneKind.HTTP.value}:", WEBHOOK_PREFIX)


def lane_of_domain(domain: str) -> Lane:
    """The lane of mail to a domain, which is in the form used in DNS."""
    return Lane(domain)


def lane_of_endpoint(endpoint_type: str, number: int | None) -> Lane:
    """The lane of an endpoint. Raises `KeyError` for anything but an `EndpointType`."""
    return Lane(f"{OF_ENDPOINTS[endpoint_type].value}:{number}")


def kind_of(lane: str) -> LaneKind:
    """The kind of a lane. An address literal is a domain, though it may have colons."""
    if lane == LOCAL:
        return LaneKind.LOCAL
    prefix, colon, _ = lane.partition(":")
    return NUMBERED.get(prefix, LaneKind.DOMAIN) if colon else LaneKind.DOMAIN


def is_domain(lane: str) -> bool:
    """Is it a recipient domain, rather than an endpoint, a webhook or `local`?"""
    return kind_of(lane) is LaneKind.DOMAIN


def is_over_http(lane: str) -> bool:
    """Is it delivered to by HTTP?"""
    return lane.startswith(HTTP_PREFIXES)
