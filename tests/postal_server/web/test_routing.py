"""The table of routes: which row answers, and what may be asked of a path."""

from __future__ import annotations

import pytest

from postal_server.web.handlers import InThread
from postal_server.web.routing import ANY_METHOD, Route, Routes
from tests.each import each

from ..recorded_installation import call


def handler() -> InThread:
    return InThread(lambda request: None)


PAGE, FORM, BELOW, REST = (handler() for _ in range(4))
ROUTES = Routes(
    (
        Route("/page/", REST, methods=ANY_METHOD, is_prefix=True),
        Route("/page", PAGE),
        Route("/page", FORM, methods=frozenset({"POST"})),
        Route("/below/", BELOW, methods=frozenset({"PUT"}), is_prefix=True),
    )
)


@each(
    "method, path, expected",
    [
        ("GET", "/page", PAGE),
        ("HEAD", "/page", PAGE),
        ("POST", "/page", FORM),
        ("PUT", "/page", None),
        ("PUT", "/page/", REST),
        ("PROPFIND", "/page/x", REST),
        ("PUT", "/below/x/y", BELOW),
        ("GET", "/below/x", None),
        ("GET", "/", None),
        ("GET", "/pag", None),
    ],
)
def test_a_request_has_the_first_row_of_its_path_and_method(method, path, expected) -> None:
    found = ROUTES.find(path, method)
    assert (found.handler if found else None) is expected


@each("path, methods", [("/page", ["GET", "HEAD", "POST"]), ("/below/x", ["PUT"]), ("/", [])])
def test_a_path_says_its_methods(path, methods) -> None:
    assert ROUTES.allowed_methods(path) == methods


@each("path", ["/health", "/ready", "/metrics", "/ip", "/.well-known/jwks.json"])
@each("method", ["POST", "DELETE", "OPTIONS"])
def test_a_wrong_method_is_a_405_that_says_the_right_ones(app, path, method) -> None:
    reply = call(app, path, method=method)
    assert (reply.status, reply.header("allow")) == (405, "GET, HEAD")


def test_a_request_for_another_host_does_not_learn_the_methods(app) -> None:
    assert call(app, "/health", method="POST", headers={"Host": "other.example"}).status == 403


def test_head_is_answered_as_get_without_the_body(app) -> None:
    got, head = (call(app, "/ip", method=method) for method in ("GET", "HEAD"))
    assert (head.status, head.header("content-length")) == (200, got.header("content-length"))
    assert head.body == b"" != got.body


@pytest.mark.parametrize("method", ["DELETE", "PROPFIND"])
def test_the_api_knows_methods_as_postal_does(app, method) -> None:
    assert call(app, "/api/v1/send/message", method=method).status == 404
