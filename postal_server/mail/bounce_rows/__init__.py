"""The shapes of failure notices that are known, in the order in which they are tried."""

from __future__ import annotations

from .filters import COMMON, FILTERS
from .operators import LIKE_EXIM, OPERATORS
from .row import Row
from .servers import SERVERS, TRANSLATED

ROWS: tuple[Row, ...] = (*LIKE_EXIM, *SERVERS, *OPERATORS, *FILTERS, *COMMON, *TRANSLATED)
