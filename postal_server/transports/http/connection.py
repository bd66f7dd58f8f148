"""One HTTP connection: a request, its answer, then the next."""

from __future__ import annotations

import asyncio
from typing import Any

from postal_server.errors import HostileInput
from postal_server.net.dialling import describe

from .answer import AnswerReader


class Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    def __init__(self) -> None:
        self.is_usable = True
        self.idle_since = 0.0
        self._transport: Any = None
        self._reader: AnswerReader | None = None
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self.abort()  # an answer that nobody asked for
            return
        try:
            self._reader.feed(data)
        except HostileInput as error:
            self._finish(error)
        else:
            if self._reader.is_done:
                self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_usable = False
        if self._reader is None:
            return
        try:
            if exc is not None:
                raise exc
            self._reader.end()
        except (HostileInput, OSError) as error:
            self._finish(error)
        else:
            self._finish(None)

    async def exchange(self, head: bytes, body: bytes) -> AnswerReader:
        """Send a request and read its answer. Raises `OSError` or `HostileInput`."""
        reader = self._reader = AnswerReader()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            self._transport.writelines((head, body))
            await self._waiter
        except BaseException as error:
            self.abort()
            if isinstance(error, (OSError, HostileInput)) and not reader.has_begun:
                raise NothingCame(describe(error)) from error
            raise
        finally:
            self._reader = self._waiter = None
        if not reader.may_reuse:
            self.abort()
        return reader

    def abort(self) -> None:
        self.is_usable = False
        self._transport.abort()

    def _finish(self, error: Exception | None) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if error is None:
            self._waiter.set_result(None)
        else:
            self._waiter.set_exception(error)


class NothingCame(OSError):
    """The connection ended before the first byte of an answer."""
