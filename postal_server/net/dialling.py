"""What SMTP and HTTP clients share: connecting to a host with several addresses, descriptions of errors."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import zip_longest
from typing import Protocol, TypeVar

FALL_BACK_AFTER = timedelta(milliseconds=250)  # RFC 8305 section 5: to the next address


class Abortable(Protocol):
    def abort(self) -> None: ...


Connection = TypeVar("Connection", bound=Abortable)


class NoneConnected(Exception):
    """No address accepted the connection; `errors` says why, by address."""

    def __init__(self, errors: dict[str, Exception]) -> None:
        super().__init__(", ".join(map(str, errors.values())))
        self.errors = errors


async def race(
    addresses: Sequence[str], dial: Callable[[str], Awaitable[Connection]], expected: type[Exception]
) -> tuple[Connection, str]:
    """The first connection to any of the addresses (happy eyeballs), and to which. Raises `NoneConnected`.

    `expected` is what `dial` raises where it fails.
    """
    tasks: dict[asyncio.Future[Connection], str] = {}
    errors: dict[str, Exception] = {}
    waiting = list(addresses)
    try:
        while waiting or tasks:
            if waiting:
                address = waiting.pop(0)
                tasks[asyncio.ensure_future(dial(address))] = address
            pause = FALL_BACK_AFTER.total_seconds() if waiting else None
            done, _ = await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                address = tasks.pop(task)
                try:
                    return task.result(), address
                except expected as error:
                    errors[address] = error
        raise NoneConnected(errors)
    finally:
        for task in tasks:
            task.cancel()
            task.add_done_callback(_drop)


def _drop(task: asyncio.Future[Connection]) -> None:
    """Close a connection that came too late."""
    with suppress(Exception, asyncio.CancelledError):
        task.result().abort()


def interleave_families(addresses: Sequence[str]) -> list[str]:
    """Families in turn, IPv6 first (RFC 8305 section 4)."""
    sixes = [a for a in addresses if ":" in a]
    fours = [a for a in addresses if ":" not in a]
    return [address for pair in zip_longest(sixes, fours, fillvalue="") for address in pair if address]


def describe(error: BaseException) -> str:
    """An error of the network in a few words, without Python's own."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, asyncio.TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error) or type(error).__name__
