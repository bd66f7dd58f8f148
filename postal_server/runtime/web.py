"""The web application: its table of routes, and how it is put together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from postal_server.api.client_name import ClientNames
from postal_server.api.views import API, Journal
from postal_server.conf import Config
from postal_server.engine.ports import Resolver
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.keys import request_key
from postal_server.web import pages, probes, tracking
from postal_server.web.application import Application
from postal_server.web.handlers import InLoop, InLoopOrThread, InThread
from postal_server.web.routes import ANY_METHOD, Route, Routes

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
    return Application(
        config=config,
        routes=make_routes(api, pages.Pages(lambda: request_key(config)), probes.Probes(problem)),
        tracking_routes=make_tracking_routes(tracking.Tracking(config, directory)),
        tracking_mark=tracking.MARK,
        make_django=make_django,
    )


def make_routes(api: API, public: pages.Pages, asked: probes.Probes) -> Routes:
    """What is answered without Django, and where it runs."""
    return Routes(
        (
            Route(probes.HEALTH_PATH, InLoop(asked.health), is_for_any_host=True),
            Route(probes.READY_PATH, InLoop(asked.ready), is_for_any_host=True),
            Route(probes.METRICS_PATH, InLoop(asked.metrics), is_for_any_host=True),
            Route(pages.JWKS_PATH, InLoop(public.key_set)),
            Route(pages.IP_PATH, InLoop(public.ip)),
            Route("/api/", InLoopOrThread(api), methods=ANY_METHOD, is_prefix=True),
        )
    )


def make_tracking_routes(tracker: tracking.Tracking) -> Routes:
    """The same for requests to the tracking host."""
    return Routes(
        (Route("", InThread(tracker.answer), methods=ANY_METHOD, is_prefix=True, is_for_any_host=True),)
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
