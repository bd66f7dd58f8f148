"""HTTP for threads: services post a body now and then, the event loop's poster does it."""

from __future__ import annotations

import asyncio

from postal_server.services.shared.work import HttpDelivery

from .ports import HttpPoster

TIMEOUT = 30.0  # seconds


class Posts:
    """Callable from any thread but the loop's, once bound."""

    def __init__(self, poster: HttpPoster) -> None:
        self._poster = poster
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Post in this loop."""
        self._loop = loop

    def __call__(self, url: str, content_type: str, body: bytes) -> int:
        """Post `body`; the status of the answer, or one of the negative numbers of `HttpResult`."""
        assert self._loop is not None, "not bound to a loop"
        post = HttpDelivery(url, [("Content-Type", content_type)], body, TIMEOUT)
        return (
            asyncio.run_coroutine_threadsafe(self._poster.post(post), self._loop).result(2 * TIMEOUT).status
        )
