"""The shapes of failure notices that are known, in the order in which they are tried."""

from __future__ import annotations

from .row import Row
from .servers import SERVERS

ROWS: tuple[Row, ...] = SERVERS
