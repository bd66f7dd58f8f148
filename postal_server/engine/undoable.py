"""A mapping in memory that follows a transaction: changes can be undone."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")
_ABSENT: Any = object()


class Undoable(MutableMapping[Key, Value]):
    """Changes in a tick are visible at once, and are undone if the tick's transaction fails.

    Call `settle` once the transaction is durable, `undo` where it failed. Values are replaced, not changed in
    place. One thread changes it, any may read.
    """

    def __init__(self) -> None:
        self._values: dict[Key, Value] = {}
        self._recorded: dict[Key, Value] = {}  # where it differs from `_values`, or _ABSENT

    def __getitem__(self, key: Key) -> Value:
        return self._values[key]

    def __setitem__(self, key: Key, value: Value) -> None:
        self._recorded.setdefault(key, self._values.get(key, _ABSENT))
        self._values[key] = value

    def __delitem__(self, key: Key) -> None:
        self._recorded.setdefault(key, self._values[key])
        del self._values[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key, default: Any = None) -> Any:  # faster than the inherited one
        return self._values.get(key, default)

    def replace(self, values: dict[Key, Value]) -> None:
        """Replace all values by those that are recorded; readers see either the old or the new ones."""
        self._values = values

    def settle(self) -> None:
        """The changes are durable."""
        self._recorded.clear()

    def undo(self) -> None:
        """Undo the changes since `settle` was last called."""
        for key, value in self._recorded.items():
            if value is _ABSENT:
                self._values.pop(key, None)
            else:
                self._values[key] = value
        self._recorded.clear()
