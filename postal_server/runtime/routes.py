"""The table of routes: path, methods and view, and whether the view runs in the event loop or in a thread.

What no route takes is Django's (`postal_server.urls`).
"""

from __future__ import annotations

from postal_server.api.views import API
from postal_server.web import pages, probes, tracking
from postal_server.web.handlers import InLoop, InLoopOrThread, InThread
from postal_server.web.routing import ANY_METHOD, Route, Routes


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
