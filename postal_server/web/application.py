"""The WSGI application: which part answers a request, and what every answer has.

The wire (API, tracking, key set) is answered here, without Django's handler; all else is Django's: the
start page, the administration and its static files. What needs no thread is answered by `answer_async` too.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

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

from .gateway import BodyLimit, Environ, RawResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

log = logging.getLogger(__name__)

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
LOGIN_PATH = "/admin/login/"
MAX_HOST = 255  # characters of a host name in the log
MAX_REFUSED = 100  # host names that the log tells of
READING = frozenset({"GET", "HEAD"})
MAX_PAGE_BYTES = 4 * 1024 * 1024  # of a body for Django's pages
CLIENT = "postal_server.client"  # in the environ of Django's pages: the address of `Request.client`
NOT_REQUEST_ID = re.compile(r"[^\w-]", re.ASCII)

View = Callable[[Request], Response]


class API(Protocol):
    """What is below `/api/` (`api.views`)."""

    def answer(self, request: Request) -> Response:
        """The answer, for a thread."""

    def answer_async(self, request: Request) -> Coroutine[Any, Any, Response] | None:
        """The answer to a request whose body has come, for an event loop; null if it takes a thread."""

    def max_body_bytes(self, request: Request) -> int:
        """How large a body may be that is read; 0 for a request that is refused without reading it."""


def allowed_hosts(config: Config) -> list[str]:
    """The hosts that the web process answers for; a loopback name stands for all of them."""
    name = config.postal.web_hostname.lower()
    return [*LOOPBACK_HOSTS] if name in LOOPBACK_HOSTS or name == "::1" else [name]


def trusted_proxies(config: Config) -> tuple[Network, ...]:
    """The networks whose X-Forwarded-For is believed; loopback always is. Raises `ConfigurationError`."""
    try:
        return (*LOOPBACK, *networks(config.postal.trusted_proxies))
    except ValueError as error:
        raise ConfigurationError(f"postal.trusted_proxies: {error}") from error


@dataclass
class Application:
    """`pages` are by path, for GET and HEAD, `probes` the same for any host, as those who ask go by address.

    `make_django` is asked at the first request for a page.
    """

    config: Config
    api: API
    tracking: View
    tracking_mark: str
    pages: Mapping[str, View]
    probes: Mapping[str, View]
    make_django: Callable[[], WSGIApplication]
    _django: WSGIApplication | None = None
    _refused: set[str] = field(default_factory=set)  # hosts that were told of
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.hosts = frozenset(allowed_hosts(self.config))
        self.trusted = trusted_proxies(self.config)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        started = time.monotonic()
        request = read_request(environ, self.trusted)
        view = self._view(request)
        if view is None and (request.content_length or 0) > MAX_PAGE_BYTES:
            view = _refuse_body
        if view is None:
            environ[CLIENT] = request.client
            return self._pages_of_django()(environ, start_response)
        try:
            answer = view(request)
        except Exception:
            answer = _unanswered(request)
        answered = _complete(answer, request, started)
        start_response(answered.status, list(answered.headers))
        return [answered.body]

    def answer_async(self, environ: Environ) -> Coroutine[Any, Any, RawResponse] | None:
        """The answer to a request whose body has come, for an event loop; null if it takes a thread."""
        request = read_request(environ, self.trusted)
        view = self._view(request)
        if view is None or view == self.tracking:
            return None
        if view != self.api.answer:
            return _answer_async(_at_once(view, request), request)
        answering = self.api.answer_async(request)
        return None if answering is None else _answer_async(answering, request)

    def is_login(self, environ: Environ) -> bool:
        """Is a password checked, which takes as much time as guessing it is to take?"""
        return bool(environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == LOGIN_PATH)

    def body_limit(self, environ: Environ) -> BodyLimit | None:
        """How large a body may be that is gathered before the answer; null if it is not read.

        Of chunks Django reads nothing, nor anybody of a login that is longer than passwords are.
        """
        request = read_request(environ, self.trusted)
        view = self._view(request)
        if view == self.api.answer:
            size = self.api.max_body_bytes(request)
            return BodyLimit(size, is_known=True) if size else None
        is_page = view is None and not self.is_login(environ)
        return BodyLimit(MAX_PAGE_BYTES) if is_page and request.content_length else None

    def stands_for_many(self, address: str) -> bool:
        """Is this the address of a proxy, behind which all the world may be?"""
        return is_in(address, self.trusted)

    def _view(self, request: Request) -> View | None:
        if request.header(self.tracking_mark) == "1":
            return self.tracking
        if request.path in self.probes and request.method in READING:
            return self.probes[request.path]
        if not self._is_for_us(request):
            return self._refuse_host
        if request.path.startswith("/api/"):
            return self.api.answer
        return self.pages.get(request.path) if request.method in READING else None

    def _is_for_us(self, request: Request) -> bool:
        forwarded = request.header("X-Forwarded-Host").rpartition(",")[2]
        return host_name(request.header("Host")) in self.hosts and (
            not forwarded.strip() or host_name(forwarded) in self.hosts
        )

    def _refuse_host(self, request: Request) -> Response:
        """Postal's answer says nothing, so the log does: once for each name, as strangers ask for many."""
        host = request.header("Host")
        asked = (request.header("X-Forwarded-Host") if host_name(host) in self.hosts else host)[:MAX_HOST]
        if asked not in self._refused and len(self._refused) < MAX_REFUSED:
            self._refused.add(asked)
            ours = self.config.postal.web_hostname
            log.info("Refused a request for the host %r: postal.web_hostname is %s", asked, ours)
        return forbidden_host()

    def _pages_of_django(self) -> WSGIApplication:
        # Loading the administration takes longer than starting all the rest.
        with self._lock:
            if self._django is None:
                self._django = self.make_django()
            return self._django


def _refuse_body(request: Request) -> Response:
    return error_response(413, request.header("Accept"))


async def _at_once(view: View, request: Request) -> Response:
    return view(request)


async def _answer_async(answering: Coroutine[Any, Any, Response], request: Request) -> RawResponse:
    started = time.monotonic()
    try:
        answer = await answering
    except Exception:
        answer = _unanswered(request)
    return _complete(answer, request, started)


def _unanswered(request: Request) -> Response:
    """The answer where a view raised: a bug, logged here and nowhere else."""
    log.exception("%s %s could not be answered", request.method, request.path[:200])
    return error_response(500, request.header("Accept"))


def _complete(answer: Response, request: Request, started: float) -> RawResponse:
    headers = answer.all_headers(_request_id(request), time.monotonic() - started)
    return RawResponse(answer.status_line, headers, b"" if request.method == "HEAD" else answer.body)


def _request_id(request: Request) -> str:
    """The id that a front proxy gave the request, cleaned, or a new one."""
    given = NOT_REQUEST_ID.sub("", request.header("X-Request-Id"))[:255]
    return given or str(uuid.uuid4())
