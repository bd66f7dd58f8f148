"""Handlers: where a view runs, and what every response has."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from postal_server.wire.http import (
    SECURITY,
    Request,
    Response,
    error_response,
    status_line,
    trace_headers,
)

from .gateway import BodyLimit, RawResponse
from .streaming import FramedStream, StreamingResponse, choose_framing

log = logging.getLogger(__name__)

NOT_REQUEST_ID = re.compile(r"[^\w-]", re.ASCII)

AsyncView = Callable[[Request], Coroutine[Any, Any, Response | StreamingResponse]]
View = Callable[[Request], Response]
# What makes a response: a coroutine for the event loop, or a function for a thread.
Work = Coroutine[Any, Any, RawResponse] | Callable[[], RawResponse]


class RequestHandler(Protocol):
    """Answers requests."""

    def begin(self, request: Request, *, has_small_body: bool) -> Work:
        """What makes the response. `has_small_body`: the body has come, and is read in no time."""

    def body_limit(self, request: Request) -> BodyLimit | None:
        """How large a body may be that is buffered before `begin`; None if no more than a small one is."""


@dataclass(frozen=True)
class InLoop:
    """Has a view in the event loop: it never blocks, and does not read the body."""

    view: AsyncView

    def begin(self, request: Request, *, has_small_body: bool) -> Work:
        return _answer_in_loop(self.view(request), request)

    def body_limit(self, request: Request) -> BodyLimit | None:
        return None


@dataclass(frozen=True)
class InThread:
    """Has a view in a thread: it may wait for the database."""

    view: View

    def begin(self, request: Request, *, has_small_body: bool) -> Work:
        return partial(_answer_in_thread, self.view, request)

    def body_limit(self, request: Request) -> BodyLimit | None:
        return None


class API(Protocol):
    """What is below `/api/` (`api.views`)."""

    def answer(self, request: Request) -> Response:
        """The response, for a thread."""

    def answer_async(self, request: Request) -> Coroutine[Any, Any, Response] | None:
        """The response to a request with a small body, for the event loop; None if it takes a thread."""

    def max_body_bytes(self, request: Request) -> int:
        """How large a body may be that is read; 0 for a request that is refused without reading it."""


@dataclass(frozen=True)
class InLoopOrThread:
    """Has the API answer in the event loop what it can, if the body is small; all else in a thread."""

    api: API

    def begin(self, request: Request, *, has_small_body: bool) -> Work:
        answering = self.api.answer_async(request) if has_small_body else None
        if answering is None:
            return partial(_answer_in_thread, self.api.answer, request)
        return _answer_in_loop(answering, request)

    def body_limit(self, request: Request) -> BodyLimit | None:
        size = self.api.max_body_bytes(request)
        return BodyLimit(size, is_known=True) if size else None


async def _answer_in_loop(
    answering: Coroutine[Any, Any, Response | StreamingResponse], request: Request
) -> RawResponse:
    started = time.monotonic()
    try:
        response = await answering
        if isinstance(response, StreamingResponse):
            return _complete_stream(response, request, started)
    except Exception:
        response = _internal_error(request)
    return _complete(response, request, started)


def _answer_in_thread(view: View, request: Request) -> RawResponse:
    started = time.monotonic()
    try:
        response = view(request)
    except Exception:
        response = _internal_error(request)
    return _complete(response, request, started)


def _internal_error(request: Request) -> Response:
    """The response where a view raised: a bug, logged here and nowhere else."""
    log.exception("%s %s could not be answered", request.method, request.path[:200])
    return error_response(500, request.header("Accept"))


def _complete(response: Response, request: Request, started: float) -> RawResponse:
    headers = response.all_headers(_request_id(request), time.monotonic() - started)
    return RawResponse(response.status_line, headers, b"" if request.method == "HEAD" else response.body)


def _complete_stream(response: StreamingResponse, request: Request, started: float) -> RawResponse:
    """Raises `ValueError` for a status or a length that is none."""
    seconds = time.monotonic() - started
    trace = trace_headers(_request_id(request), seconds) if response.is_traced else ()
    headers = (*response.headers, *trace, *SECURITY)
    framing = choose_framing(headers, request.environ["SERVER_PROTOCOL"])
    return RawResponse(status_line(response.status), headers, FramedStream(response.body, framing))


def _request_id(request: Request) -> str:
    """The id that a front proxy gave the request, cleaned, or a new one."""
    given = NOT_REQUEST_ID.sub("", request.header("X-Request-Id"))[:255]
    return given or str(uuid.uuid4())
