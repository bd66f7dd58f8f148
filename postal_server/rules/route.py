"""Which route takes mail for a recipient. Source: contract 4.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

WILDCARD = "*"
RETURN_PATH = "__returnpath__"
ROLES = frozenset({"postmaster", "abuse"})  # RFC 5321 section 4.5.1 and RFC 2142: always reachable

R = TypeVar("R")


def match(local: str, domain: str, routes: Mapping[tuple[str, str], R]) -> R | None:
    """The route for `local@domain`: its own name before the first `+`, else the domain's wildcard.

    `routes` is keyed by name and domain, both in lower case.
    """
    name, _, _ = local.lower().partition("+")
    domain = domain.lower()
    return routes.get((name, domain)) or routes.get((WILDCARD, domain))


def own_address(name: str, domain: str, tag: str | None) -> str:
    """What mail to the route's forward address is addressed to; `*@domain` for a wildcard."""
    return f"{name}+{tag}@{domain}" if tag else f"{name}@{domain}"


def is_postmaster(address: str) -> bool:
    """Is this the postmaster of the host itself, who has no domain (RFC 5321 section 4.5.1)?"""
    return address.lower() == "postmaster"


def is_role(local: str) -> bool:
    """Is this a mailbox that every mail domain must take?"""
    return local.lower().partition("+")[0] in ROLES
