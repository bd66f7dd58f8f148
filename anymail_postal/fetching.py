"""Documents that a server publishes, fetched with limits in time and size."""

from __future__ import annotations

import io
import socket
import time
from datetime import timedelta
from typing import Any

import requests
from requests.adapters import HTTPAdapter

TIMEOUT = timedelta(seconds=2)  # keys are fetched for webhooks, and Postal waits 5 s for our response
MAX_BYTES = 65536  # Postal's key set has less than 1 KB


def fetch(url: str) -> bytes:
    """The document at `url`. Raises `requests.RequestException` or `ValueError`.

    Redirects are not followed, so that it comes from the URL in the settings.
    """
    seconds = TIMEOUT.total_seconds()
    with requests.Session() as session:
        adapter = DeadlineAdapter(time.monotonic() + seconds)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        with session.get(url, timeout=seconds, allow_redirects=False, stream=True) as response:
            if response.status_code != 200:
                raise ValueError(f"HTTP status {response.status_code}")
            content = b""
            for chunk in response.iter_content(8192):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise ValueError("the response is too large")
    return content


class DeadlineAdapter(HTTPAdapter):
    """An adapter whose responses have to be complete before `deadline` (monotonic seconds).

    The time-outs of `requests` apply to each read: a response that trickles in has no limit in time.
    """

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """The pool for a request, whose connections keep the deadline."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        deadline = self.deadline

        class Connection(pool.ConnectionCls):  # type: ignore[misc]
            """A connection whose socket keeps the deadline."""

            sock: Any

            def connect(self) -> None:
                super().connect()
                self.sock = DeadlineSocket(self.sock, deadline)

        pool.ConnectionCls = Connection
        return pool


class DeadlineSocket:
    """A connected socket whose reads raise TimeoutError after `deadline`."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected = connected
        self._deadline = deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connected, name)

    def makefile(self, mode: str) -> io.BufferedReader:
        """The stream that `http.client` reads responses from."""
        return io.BufferedReader(_DeadlineReader(self._connected, self._deadline))


class _DeadlineReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected = connected
        self._raw = connected.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the response takes too long")
        self._connected.settimeout(seconds)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
