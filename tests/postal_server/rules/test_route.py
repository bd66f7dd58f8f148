import pytest

from postal_server.rules import route
from tests.each import each

ROUTES = {("in", "example.test"): "in", ("*", "wild.test"): "wild", ("named", "wild.test"): "named"}


@each(
    "local, domain, found",
    [
        ("in", "example.test", "in"),
        ("IN+Tag", "Example.TEST", "in"),
        ("in+a+b", "example.test", "in"),
        ("other", "example.test", None),
        ("any.thing+x", "wild.test", "wild"),
        ("named+x", "wild.test", "named"),
        ("in", "other.test", None),
    ],
)
def test_a_recipient_goes_to_its_own_route_then_to_the_wildcard(local, domain, found):
    assert route.match(local, domain, ROUTES) == found


@pytest.mark.parametrize(
    ("name", "tag", "address"),
    [("in", None, "in@d.test"), ("in", "t.x", "in+t.x@d.test"), ("*", None, "*@d.test")],
)
def test_the_forward_address_stands_for_the_routes_own(name, tag, address):
    assert route.own_address(name, "d.test", tag) == address


@each("local, role", [("postmaster", True), ("Abuse", True), ("abuse+x", True), ("info", False)])
def test_role_mailboxes_are_known(local, role):
    assert route.is_role(local) is role
