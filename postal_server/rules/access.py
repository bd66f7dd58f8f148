"""Who may do what: the roles of people and the scopes of tokens, in one table."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Role(str, enum.Enum):
    """What a person is in an organization. Each may do what those after it may."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class TokenScope(str, enum.Enum):
    """What a token is for. `manage` includes `read`, and `admin` includes them all."""

    READ = "read"
    SEND = "send"
    MANAGE = "manage"
    ADMIN = "admin"


class Action(str, enum.Enum):
    """What may be done to what belongs to an organization, or to the installation."""

    VIEW = "view"  # names, states and numbers; never the text of a mail
    READ_MAIL = "read mail"
    SEND = "send mail"
    RELEASE = "release held mail"
    MANAGE = "manage"  # domains, credentials, routes, webhooks, suppressions, held mail, the queue
    OWN = "own"  # people and tokens, the organization itself, deletion
    ADMINISTER = "administer the installation"  # organizations, pools, workers, simulations


# The least role, and the scope, that an action needs. None: no role is enough.
RULES: Mapping[Action, tuple[Role | None, TokenScope]] = {
    Action.VIEW: (Role.VIEWER, TokenScope.READ),
    Action.READ_MAIL: (Role.MEMBER, TokenScope.READ),
    Action.SEND: (Role.MEMBER, TokenScope.SEND),
    Action.RELEASE: (Role.MEMBER, TokenScope.MANAGE),
    Action.MANAGE: (Role.ADMIN, TokenScope.MANAGE),
    Action.OWN: (Role.OWNER, TokenScope.ADMIN),
    Action.ADMINISTER: (None, TokenScope.ADMIN),
}
_RANKS = {role: rank for rank, role in enumerate(reversed(Role))}
_INCLUDED_IN = {
    TokenScope.READ: {TokenScope.READ, TokenScope.MANAGE, TokenScope.ADMIN},
    TokenScope.SEND: {TokenScope.SEND, TokenScope.ADMIN},
    TokenScope.MANAGE: {TokenScope.MANAGE, TokenScope.ADMIN},
    TokenScope.ADMIN: {TokenScope.ADMIN},
}


@dataclass(frozen=True)
class Place:
    """Where something is done: in a mail server, in an organization, or else to the installation."""

    organization_id: int | None = None
    server_id: int | None = None


@dataclass(frozen=True)
class Actor:
    """Who does something: a person, a token that a person made, or whoever runs commands.

    `roles` are by the id of the organization. A token has `scopes`, and may be limited to an organization or
    a mail server; it may never do more than the person who made it. `client` is the address that a request
    came from, empty for a command.
    """

    name: str
    is_administrator: bool = False
    roles: Mapping[int, Role] = field(default_factory=dict)
    scopes: frozenset[TokenScope] | None = None
    organization_id: int | None = None
    server_id: int | None = None
    client: str = ""


def sees(actor: Actor, place: Place) -> bool:
    """Is anything in this place theirs? What is not does not exist for them."""
    if actor.organization_id is not None and actor.organization_id != place.organization_id:
        return False
    if actor.server_id is not None and actor.server_id != place.server_id:
        return False
    return actor.is_administrator or place.organization_id in actor.roles


def may(actor: Actor, action: Action, place: Place) -> bool:
    """May they do this here?"""
    role, scope = RULES[action]
    if not sees(actor, place):
        return False
    if actor.scopes is not None and actor.scopes.isdisjoint(_INCLUDED_IN[scope]):
        return False
    if actor.is_administrator:
        return True
    own = actor.roles.get(place.organization_id or 0)
    return role is not None and own is not None and _RANKS[own] >= _RANKS[role]
