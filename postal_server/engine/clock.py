"""A clock that cannot be set, and the detection of changes of the wall clock."""

from __future__ import annotations

import time
from datetime import datetime

# That which goes on while the machine sleeps, where there is one: others go on meanwhile.
ALWAYS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

JUMP = 60.0  # seconds; a smaller correction does no harm
# What a clock says that went forward is believed after this: until then it can be set right again, and what
# has waited is tried.
DOUBT = 3600.0


def seconds() -> float:
    """Seconds since the machine was started."""
    return time.clock_gettime(ALWAYS)


class WallClock:
    """What a worker makes of the wall clock. Times are those of both clocks, at the same moment."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._doubted_until = float("-inf")
        # May times in the queue lie too far ahead? Changes before the start were not observed.
        self.was_set_back = True

    def look(self, now: datetime, monotonic: float) -> None:
        """Compare the clocks."""
        offset = now.timestamp() - monotonic
        ahead = offset - self._offset if self._offset is not None else 0.0
        self._offset = offset
        if ahead > JUMP:
            self._doubted_until = monotonic + DOUBT
        elif ahead < -JUMP:
            self.was_set_back = True

    def is_doubtful(self, monotonic: float) -> bool:
        """Did it go forward so lately that nothing should be given up because of it?"""
        return monotonic < self._doubted_until
