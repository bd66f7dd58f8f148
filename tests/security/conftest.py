"""A running server as an attacker meets it, and a site on loopback that sees who comes."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from postal_server.testing import MailServer, RunningServer

from .large_mail import Relayed, relaying, reset_peak, resident_bytes


@pytest.fixture
def relayed() -> Iterator[Relayed]:
    with relaying() as found:
        yield found


@pytest.fixture
def growth(postal_server: RunningServer) -> Callable[[], int]:
    """By how many bytes the server's memory has grown at its peak since the test began."""
    reset_peak(postal_server.pid)
    before = resident_bytes(postal_server.pid)
    return lambda: resident_bytes(postal_server.pid, "VmHWM") - before


@pytest.fixture
def call(postal: MailServer) -> Callable[..., requests.Response]:
    """One call of the API with the server's own key."""

    def post(
        action: str, parameters: Any = None, key: str | None = None, **options: Any
    ) -> requests.Response:
        headers = {"X-Server-API-Key": key or postal.api_key, **options.pop("headers", {})}
        return requests.post(
            f"{postal.url}/api/v1/{action}", json=parameters, headers=headers, timeout=30, **options
        )

    return post


class Site:
    """A web server on loopback: `requests` are the paths that were asked for, `answer` what it says."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"ok")
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                site.requests.append(self.path)
                status, headers, body = site.answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()
