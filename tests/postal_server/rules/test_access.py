import itertools

import pytest

from postal_server.rules.access import RULES, Action, Actor, Place, Role, TokenScope, may, sees

OURS, THEIRS, INSTALLATION = Place(1, 11), Place(2, 22), Place()
ALL = set(Action)
OF_ROLE = {
    Role.VIEWER: {Action.VIEW},
    Role.MEMBER: {Action.VIEW, Action.READ_MAIL, Action.SEND, Action.RELEASE},
    Role.ADMIN: ALL - {Action.OWN, Action.ADMINISTER},
    Role.OWNER: ALL - {Action.ADMINISTER},
}
OF_SCOPE = {
    TokenScope.READ: {Action.VIEW, Action.READ_MAIL},
    TokenScope.SEND: {Action.SEND},
    TokenScope.MANAGE: {Action.VIEW, Action.READ_MAIL, Action.RELEASE, Action.MANAGE},
    TokenScope.ADMIN: ALL,
}


def allowed(actor: Actor, place: Place) -> set[Action]:
    return {action for action in Action if may(actor, action, place)}


def test_every_action_has_a_rule():
    assert RULES.keys() == ALL


@pytest.mark.parametrize("role", Role)
def test_a_role_holds_in_its_organization_alone(role):
    person = Actor("ann", roles={1: role})
    assert allowed(person, OURS) == allowed(person, Place(1)) == OF_ROLE[role]
    assert allowed(person, THEIRS) == allowed(person, INSTALLATION) == set()
    assert sees(person, OURS)
    assert not sees(person, THEIRS)


def test_nobody_sees_anything():
    assert not any(sees(Actor("nobody"), place) for place in (OURS, THEIRS, INSTALLATION))


def test_an_administrator_may_do_everything_everywhere():
    root = Actor("root", is_administrator=True)
    assert all(allowed(root, place) == ALL for place in (OURS, THEIRS, INSTALLATION))


@pytest.mark.parametrize(("role", "scope"), list(itertools.product([None, *Role], TokenScope)))
def test_a_token_may_do_what_its_scope_and_its_person_both_may(role, scope):
    """None: it was made by an administrator."""
    token = Actor(
        "token", is_administrator=role is None, roles={1: role} if role else {}, scopes=frozenset([scope])
    )
    assert allowed(token, OURS) == OF_SCOPE[scope] & OF_ROLE.get(role, ALL)


def test_a_token_ends_where_its_limits_are():
    of_server = Actor("token", is_administrator=True, organization_id=1, server_id=11)
    assert allowed(of_server, OURS) == ALL
    assert not sees(of_server, Place(1))
    assert not sees(of_server, Place(1, 12))
    of_organization = Actor("token", is_administrator=True, organization_id=1)
    assert allowed(of_organization, Place(1, 12)) == ALL
    assert not sees(of_organization, THEIRS)
    assert not sees(of_organization, INSTALLATION)
