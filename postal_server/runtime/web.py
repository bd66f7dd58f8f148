"""The web application: how it is put together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from postal_server.api.client_name import ClientNames
from postal_server.api.views import API, Journal
from postal_server.conf import Config
from postal_server.engine.ports import Resolver
from postal_server.services.shared.delivery_policy import policy_of
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.keys import request_key
from postal_server.web import pages, probes, tracking
from postal_server.web.application import Application

from .routes import make_routes, make_tracking_routes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

NAME_TIMEOUT = 2.0  # seconds for a PTR look-up


def create(
    config: Config,
    *,
    journal: Journal,
    directory: Callable[[], Directory],
    resolver: Resolver,
    problem: Callable[[], str],
) -> Application:
    """The application of a process whose journal and directory are running. Django is set up already.

    `problem()` says why nothing can be accepted, and is empty if it can.
    """
    api = API(config, directory, journal, ClientNames(_reverse_look_up(resolver)))
    public = pages.Pages(lambda: request_key(config))
    asked = probes.Probes(problem, probes.ready_text(policy_of(config)))
    return Application(
        config=config,
        routes=make_routes(api, public, asked),
        tracking_routes=make_tracking_routes(tracking.Tracking(config, directory)),
        tracking_mark=tracking.MARK,
        make_django=make_django,
    )


def make_django() -> WSGIApplication:
    """Django's own handler, for all that is not the wire."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postal_server.settings")
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415 - settings first

    return get_wsgi_application()


def _reverse_look_up(resolver: Resolver) -> Callable[[str], str | None]:
    """`resolver` for threads without an event loop."""

    def look_up(address: str) -> str | None:
        async def ask() -> str | None:
            return await asyncio.wait_for(resolver.name_of(address), NAME_TIMEOUT)

        try:
            return asyncio.run(ask())
        except asyncio.TimeoutError:
            return None

    return look_up
