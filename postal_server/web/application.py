"""The web application: finds the handler of a request.

The table of routes has what is answered without Django: the API, tracking, the key set, probes. All else is
Django's: the start page, the administration and its static files.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from postal_server.conf import Config
from postal_server.errors import ConfigurationError
from postal_server.wire.http import (
    LOOPBACK,
    Network,
    Request,
    Response,
    error_response,
    forbidden_host,
    host_name,
    is_in,
    networks,
    read_request,
)

from .gateway import BodyLimit, Environ, RawResponse, call_wsgi
from .handlers import InLoop, RequestHandler, Work
from .routing import Routes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
LOGIN_PATH = "/admin/login/"
MAX_HOST = 255  # characters of a host name in the log
MAX_LOGGED_HOSTS = 100  # host names that are logged
MAX_PAGE_BYTES = 4 * 1024 * 1024  # of a body for Django's pages
CLIENT = "postal_server.client"  # in the environ of Django's pages: the address of `Request.client`


def allowed_hosts(config: Config) -> list[str]:
    """The hosts that the web process answers for; a loopback name stands for all of them."""
    name = config.postal.web_hostname.lower()
    return [*LOOPBACK_HOSTS] if name in LOOPBACK_HOSTS or name == "::1" else [name]


def trusted_proxies(config: Config) -> tuple[Network, ...]:
    """The networks whose X-Forwarded-For is trusted, loopback included. Raises `ConfigurationError`."""
    try:
        return (*LOOPBACK, *networks(config.postal.trusted_proxies))
    except ValueError as error:
        raise ConfigurationError(f"postal.trusted_proxies: {error}") from error


class Django:
    """Handles what has no route, in threads."""

    def __init__(self, make: Callable[[], WSGIApplication]) -> None:
        self._make = make
        self._application: WSGIApplication | None = None
        self._lock = threading.Lock()

    def begin(self, request: Request, *, has_small_body: bool) -> Work:
        return partial(self._answer, request)

    def body_limit(self, request: Request) -> BodyLimit | None:
        """None for chunks, which Django does not read, and for a login, whose body is small."""
        return BodyLimit(MAX_PAGE_BYTES) if request.content_length and not is_login(request) else None

    def _answer(self, request: Request) -> RawResponse:
        environ = {**request.environ, CLIENT: request.client}
        return call_wsgi(self._loaded(), environ)

    def _loaded(self) -> WSGIApplication:
        # Loading the administration takes longer than starting all the rest.
        with self._lock:
            if self._application is None:
                self._application = self._make()
            return self._application


def is_login(request: Request) -> bool:
    """Is a password checked? That takes long, to slow down guessing."""
    return request.method == "POST" and request.path == LOGIN_PATH


@dataclass(frozen=True)
class RoutedRequest:
    """A request and what handles it."""

    request: Request
    handler: RequestHandler

    @property
    def is_login(self) -> bool:
        """Is a password checked?"""
        return is_login(self.request)

    def begin(self, *, has_small_body: bool) -> Work:
        """What makes the response. `has_small_body`: the body has come, and is read in no time."""
        return self.handler.begin(self.request, has_small_body=has_small_body)

    def body_limit(self) -> BodyLimit | None:
        """How large a body may be that is buffered before `begin`; None if no more than a small one is."""
        return self.handler.body_limit(self.request)


@dataclass
class Application:
    """`routes` are those of this host, `tracking_routes` those of requests that bear `tracking_mark`.

    `make_django` is called at the first request for a page.
    """

    config: Config
    routes: Routes
    tracking_routes: Routes
    tracking_mark: str  # the name of a header field
    make_django: Callable[[], WSGIApplication]
    _refused: set[str] = field(default_factory=set)  # hosts that were logged

    def __post_init__(self) -> None:
        self.hosts = frozenset(allowed_hosts(self.config))
        self.trusted = trusted_proxies(self.config)
        self._django = Django(self.make_django)

    def route(self, environ: Environ) -> RoutedRequest:
        """The request with what handles it; its body is still to come."""
        request = read_request(environ, self.trusted)
        return RoutedRequest(request, self._handler(request))

    def _handler(self, request: Request) -> RequestHandler:
        is_tracking = request.header(self.tracking_mark) == "1"
        routes = self.tracking_routes if is_tracking else self.routes
        route = routes.find(request.path, request.method)
        if route is not None and route.is_for_any_host:
            return route.handler
        if not self._is_own_host(request):
            return InLoop(self._refuse_host)
        if route is not None:
            return route.handler
        if methods := routes.allowed_methods(request.path):
            return InLoop(partial(_refuse_method, methods))
        if (request.content_length or 0) > MAX_PAGE_BYTES:
            return InLoop(_refuse_body)
        return self._django

    def is_proxy(self, address: str) -> bool:
        """Is this the address of a proxy, which connects for any number of clients?"""
        return is_in(address, self.trusted)

    def _is_own_host(self, request: Request) -> bool:
        forwarded = request.header("X-Forwarded-Host").rpartition(",")[2]
        return host_name(request.header("Host")) in self.hosts and (
            not forwarded.strip() or host_name(forwarded) in self.hosts
        )

    async def _refuse_host(self, request: Request) -> Response:
        """Log the host, once for each name, as Postal's response gives no reason."""
        host = request.header("Host")
        asked = (request.header("X-Forwarded-Host") if host_name(host) in self.hosts else host)[:MAX_HOST]
        if asked not in self._refused and len(self._refused) < MAX_LOGGED_HOSTS:
            self._refused.add(asked)
            ours = self.config.postal.web_hostname
            log.info("Refused a request for the host %r: postal.web_hostname is %s", asked, ours)
        return forbidden_host()


async def _refuse_method(methods: list[str], request: Request) -> Response:
    page = error_response(405, request.header("Accept"))
    return replace(page, headers=(*page.headers, ("allow", ", ".join(methods))))


async def _refuse_body(request: Request) -> Response:
    return error_response(413, request.header("Accept"))
