"""Receivers that remember what they were sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.dispatch import Signal


@contextmanager
def listening(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    """The arguments of every call of the signal's receivers in the `with`."""
    calls: list[dict[str, Any]] = []

    def receiver(**arguments: Any) -> None:
        del arguments["signal"]
        calls.append(arguments)

    signal.connect(receiver)
    try:
        yield calls
    finally:
        signal.disconnect(receiver)


@contextmanager
def raising(signal: Signal, *errors: Exception) -> Iterator[list[dict[str, Any]]]:
    """A receiver that raises these exceptions, one after the other, and then takes what comes."""
    waiting, calls = list(errors), []

    def receiver(**arguments: Any) -> None:
        calls.append(arguments)
        if waiting:
            raise waiting.pop(0)

    signal.connect(receiver)
    try:
        yield calls
    finally:
        signal.disconnect(receiver)
