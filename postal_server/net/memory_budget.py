"""A limit on the memory that unfinished input of peers takes: of all, and of those not authenticated."""

from __future__ import annotations

from typing import Protocol

FREE_BYTES = 64 * 1024  # of each peer that are not counted: ordinary mail is free


class Holder(Protocol):
    """A peer that holds memory."""

    @property
    def is_known(self) -> bool:
        """Has it authenticated?"""

    @property
    def may_give_way(self) -> bool:
        """Can what it holds still be refused?"""

    def give_way(self) -> None:
        """Release what it holds and refuse it for now: another peer needs the room."""


class MemoryBudget:
    """Counts bytes by holder, for one event loop.

    A holder that is alone always has room. When there is none left, the largest gives way to one that
    asks for less than half as much: a few large messages that never end keep no ordinary one out.
    """

    def __init__(self, max_bytes: int, max_bytes_of_strangers: int) -> None:
        self._max_bytes = max_bytes
        self._max_bytes_of_strangers = max_bytes_of_strangers
        self._by_holder: dict[Holder, tuple[int, bool]] = {}  # bytes, and whether that counts as a stranger's
        self.held = self.held_by_strangers = 0

    def hold(self, holder: Holder, size_bytes: int) -> bool:
        """Set what `holder` holds. Returns False, and it holds nothing, if there is no room for it."""
        self.release(holder)
        while not self._has_room(size_bytes, holder.is_known):
            largest = self._largest(holder.is_known)
            if largest is None or self._by_holder[largest][0] <= 2 * size_bytes:
                return False
            self.release(largest)
            largest.give_way()
        self._by_holder[holder] = size_bytes, holder.is_known
        self._add(size_bytes, holder.is_known)
        return True

    def release(self, holder: Holder) -> None:
        """`holder` holds nothing any more."""
        found = self._by_holder.pop(holder, None)
        if found is not None:
            size_bytes, is_known = found
            self._add(-size_bytes, is_known)

    def _has_room(self, size_bytes: int, is_known: bool) -> bool:
        of_strangers = 0 if is_known else self.held_by_strangers
        return not (
            (self.held and self.held + size_bytes > self._max_bytes)
            or (of_strangers and of_strangers + size_bytes > self._max_bytes_of_strangers)
        )

    def _add(self, size_bytes: int, is_known: bool) -> None:
        self.held += size_bytes
        if not is_known:
            self.held_by_strangers += size_bytes

    def _largest(self, asked_by_known: bool) -> Holder | None:
        """The largest holder that may give way; an authenticated one does not give way to a stranger."""
        candidates = [
            (size_bytes, holder)
            for holder, (size_bytes, is_known) in self._by_holder.items()
            if (asked_by_known or not is_known) and holder.may_give_way
        ]
        return max(candidates, key=lambda candidate: candidate[0])[1] if candidates else None
