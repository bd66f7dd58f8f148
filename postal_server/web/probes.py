"""Health, readiness and metrics of the web process, whatever Host is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from postal_server.rules.delivery_policy import DeliveryPolicy
from postal_server.wire.http import LOOPBACK, Request, Response, is_in

HEALTH_PATH, READY_PATH, METRICS_PATH = "/health", "/ready", "/metrics"
TEXT = "text/plain; charset=utf-8"
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED")  # of a proxy, whatever address it names


def ready_text(policy: DeliveryPolicy) -> str:
    """What `/ready` answers: `OK`, and a line with the delivery mode, which `anymail_postal` reads."""
    return f"OK\ndelivery.mode: {policy.mode.value}"


@dataclass(frozen=True)
class Probes:
    """`problem()` says why nothing can be accepted, and is empty if it can; then `/ready` is `ready_text`."""

    problem: Callable[[], str]
    ready_text: str = "OK"

    async def health(self, request: Request) -> Response:
        """The process is alive."""
        return _answer(200, TEXT, b"OK")

    async def ready(self, request: Request) -> Response:
        """The process can accept messages."""
        problem = self.problem()
        return _answer(503 if problem else 200, TEXT, (problem or self.ready_text).encode())

    async def metrics(self, request: Request) -> Response:
        """Prometheus metrics, for this machine only: they show how much is sent, and where."""
        if not is_in(request.client, LOOPBACK) or any(name in request.environ for name in FORWARDED):
            return _answer(403, TEXT, b"Forbidden")
        return _answer(200, CONTENT_TYPE_LATEST, generate_latest())


def _answer(status: int, content_type: str, body: bytes) -> Response:
    return Response(status, (("content-type", content_type),), body, is_traced=False)
