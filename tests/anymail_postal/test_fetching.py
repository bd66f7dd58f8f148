import socket
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
import requests
import responses

from anymail_postal import fetching
from anymail_postal.fetching import fetch

URL = "https://postal.example.com/.well-known/jwks.json"


@responses.activate
def test_document_is_fetched():
    responses.get(URL, body=b"{}")
    assert fetch(URL) == b"{}"


@responses.activate
@pytest.mark.parametrize("status", [204, 301, 302, 403, 404, 500, 503])
def test_other_statuses_are_failures_and_redirects_are_not_followed(status):
    responses.get(URL, status=status, headers={"Location": "https://evil.example/"}, json={"keys": []})
    with pytest.raises(ValueError, match=str(status)):
        fetch(URL)
    assert len(responses.calls) == 1


@responses.activate
def test_answer_is_bounded_in_size():
    responses.get(URL, body=b" " * (fetching.MAX_BYTES + 1))
    with pytest.raises(ValueError, match="too large"):
        fetch(URL)


@contextmanager
def server_that_sends(head: bytes, drops: bytes = b""):
    """A server on loopback that answers with `head`, and then with a byte of `drops` every 20 ms."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def answer():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(head)
                for drop in drops:
                    time.sleep(0.02)
                    connection.sendall(bytes([drop]))
            except OSError:
                return  # the client gave up

    thread = threading.Thread(target=answer)
    thread.start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        thread.join(10)


OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
DRIPPING = {
    "status line": (b"HTTP/1.1 ", b"2" * 200),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 40),
    "body": (OK + b"\r\n", b" " * 200),
    "body of a known length": (OK + b"Content-Length: 9000\r\n\r\n", b" " * 200),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 30),
}


@pytest.mark.parametrize(("head", "drops"), DRIPPING.values(), ids=DRIPPING)
def test_answer_that_drips_is_given_up_in_time(monkeypatch, head, drops):
    monkeypatch.setattr(fetching, "TIMEOUT", timedelta(seconds=0.3))
    with server_that_sends(head, drops) as url:
        begin = time.monotonic()
        with pytest.raises(requests.RequestException):
            fetch(url)
        assert time.monotonic() - begin < 3  # it would go on for more than four


@pytest.mark.parametrize("drops", [b"", b'{"keys":[]}'])
def test_answer_that_comes_in_time_is_read(drops):
    with server_that_sends(OK + b"\r\n" + (b"" if drops else b'{"keys":[]}'), drops) as url:
        assert fetch(url) == b'{"keys":[]}'


@responses.activate
def test_connection_error_is_a_failure():
    with pytest.raises(requests.ConnectionError):
        fetch(URL)
