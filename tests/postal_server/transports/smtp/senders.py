"""A pool that finds `dest.example` on loopback."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from postal_server.engine.ports import Stage
from postal_server.transports.smtp.connect import Connector, MxHosts
from postal_server.transports.smtp.pool import PoolLimits, SmtpPool
from postal_server.transports.smtp.session import Timeouts
from tests.fakes import FakeResolver

ZONE = {"dest.example": {"MX": ["mx.dest.example"]}, "mx.dest.example": {"A": ["127.0.0.1"]}}
SHORT = Timeouts({**dict.fromkeys(Stage, timedelta(seconds=0.1)), Stage.CONNECT: timedelta(seconds=5)})


def pool(port: int, zone: Any = None, limits: PoolLimits | None = None, **connector: Any) -> SmtpPool:
    resolver = FakeResolver(ZONE if zone is None else zone)
    permits = connector.pop("permits", lambda host, address: True)
    connector.setdefault("timeouts", Timeouts.limited(timedelta(seconds=2), timedelta(seconds=5)))
    return SmtpPool(
        Connector(MxHosts(resolver, port), resolver, lambda source: "us.example", permits, **connector),
        limits,
    )
