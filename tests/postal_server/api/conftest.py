"""Every request to the API is made twice: in a thread, and in an event loop where that is possible."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postal_server.web.application import Application
from postal_server.web.gateway import RawResponse


@pytest.fixture(params=["thread", "loop"])
def app(app, request):
    return app if request.param == "thread" else in_loop(app)


def in_loop(app: Application) -> Any:
    """A WSGI application that answers as `app` does in an event loop."""

    async def answer_in_loop(environ: Any) -> RawResponse | None:
        answering = app.answer_async(environ)
        return None if answering is None else await answering

    def answer(environ: Any, start_response: Any) -> Any:
        answered = asyncio.run(answer_in_loop(environ))
        if answered is None:
            return app(environ, start_response)
        start_response(answered.status, list(answered.headers))
        return [answered.body]

    return answer
