"""Every request to the API is made twice: in a thread, and in an event loop where that is possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from postal_server.web.application import Application
from postal_server.web.handlers import Work


@pytest.fixture(params=["thread", "loop"])
def app(app, request):
    return app if request.param == "thread" else InLoop(app)


@dataclass(frozen=True)
class InLoop:
    """The application, which takes the body of every request for a small one."""

    app: Application
    environ: Any = None

    def route(self, environ: Any) -> InLoop:
        return InLoop(self.app, environ)

    def begin(self, *, has_small_body: bool) -> Work:
        return self.app.route(self.environ).begin(has_small_body=True)
