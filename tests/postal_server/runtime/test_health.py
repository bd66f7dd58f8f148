from __future__ import annotations

import asyncio
import os
import threading
import urllib.request

import pytest

from postal_server.engine import metrics  # noqa: F401 - what /metrics shows
from postal_server.runtime.health import HealthServer
from tests.each import each


@each(
    "path, problem, status, text",
    [
        ("/", "", "200 OK", "worker (pid: {pid}, host: "),
        ("/health", "anything", "200 OK", "OK"),
        ("/ready", "", "200 OK", "OK"),
        ("/ready", "the journal has ended", "503 Service Unavailable", "the journal has ended"),
        ("/metrics", "", "200 OK", "# HELP postal_messages_accepted_total"),
        ("/other", "", "404 Not Found", "Not Found"),
    ],
)
def test_pages(path, problem, status, text):
    server = HealthServer("worker", "127.0.0.1", 0, lambda: problem)
    got_status, _, body = server.page(path)
    assert got_status == status
    assert text.format(pid=os.getpid()) in body


def get(request: bytes, measure=lambda: None) -> bytes:
    async def talk() -> bytes:
        server = HealthServer("worker", "127.0.0.1", 0, lambda: "", measure)
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
        await server.stop()
        return answer

    return asyncio.run(talk())


@each(
    "request_line, status",
    [
        (b"GET /health HTTP/1.1", b"HTTP/1.1 200 OK"),
        (b"GET /health?x=1 HTTP/1.1", b"HTTP/1.1 200 OK"),
        (b"HEAD /health HTTP/1.1", b"HTTP/1.1 200 OK"),
        (b"POST /health HTTP/1.1", b"HTTP/1.1 404 Not Found"),
        (b"\xff\x00", b"HTTP/1.1 404 Not Found"),
    ],
)
def test_answers(request_line, status):
    answer = get(request_line + b"\r\nHost: x\r\n\r\n")
    assert answer.startswith(status)
    assert answer.endswith(b"\r\n\r\n") is request_line.startswith(b"HEAD")


def test_too_much_of_a_request_is_cut_off():
    assert get(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000) == b""


def test_a_port_in_use_does_not_keep_the_process_from_starting_and_is_reported_with_its_key(caplog):
    async def main() -> None:
        first = HealthServer("a", "127.0.0.1", 0, lambda: "")
        await first.start()
        second = HealthServer("b", "127.0.0.1", first.port, lambda: "", key="worker.some_port")
        await second.start()
        assert second.port is None
        assert f"worker.some_port: cannot listen on 127.0.0.1:{first.port}: Address al" in caplog.text
        await first.stop()

    asyncio.run(main())


def test_urllib_reads_it():
    async def main() -> bytes:
        server = HealthServer("worker", "127.0.0.1", 0, lambda: "")
        await server.start()
        url = f"http://127.0.0.1:{server.port}/health"

        def fetch() -> bytes:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read()

        body = await asyncio.get_running_loop().run_in_executor(None, fetch)
        await server.stop()
        return body

    assert asyncio.run(main()) == b"OK"


@pytest.mark.parametrize(("path", "times"), [(b"/metrics", 1), (b"/ready", 0)])
def test_what_takes_long_to_measure_is_measured_for_metrics_only_and_beside_the_loop(path, times):
    threads = []
    get(b"GET " + path + b" HTTP/1.1\r\n\r\n", lambda: threads.append(threading.current_thread()))
    assert len(threads) == times
    assert threading.main_thread() not in threads
