"""One HTTP connection, for one request after another."""

from __future__ import annotations

import asyncio
from typing import Any

from postal_server.errors import HostileInput
from postal_server.net.dialling import describe

from .response import ResponseReader


class HttpConnection(asyncio.Protocol):
    """A connection, for one exchange at a time. `is_usable`: it is open, and another request may follow."""

    def __init__(self) -> None:
        self.is_usable = True
        self.idle_since = 0.0
        self._transport: Any = None
        self._reader: ResponseReader | None = None
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self.abort()  # a response to no request
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

    async def exchange(self, head: bytes, body: bytes) -> ResponseReader:
        """Send a request and read the response.

        Raises `NoResponse`, `OSError` where the connection breaks, or `HostileInput` for what is no response.
        """
        reader = self._reader = ResponseReader()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            self._transport.writelines((head, body))
            await self._waiter
        except BaseException as error:
            self.abort()
            if isinstance(error, (OSError, HostileInput)) and not reader.has_begun:
                raise NoResponse(describe(error)) from error
            raise
        finally:
            self._reader = self._waiter = None
        if not reader.may_reuse:
            self.abort()
        return reader

    def abort(self) -> None:
        """Close at once."""
        self.is_usable = False
        self._transport.abort()

    def _finish(self, error: Exception | None) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if error is None:
            self._waiter.set_result(None)
        else:
            self._waiter.set_exception(error)


class NoResponse(OSError):
    """The connection ended before the first byte of a response."""
