"""From HTTP to WSGI and back."""

from __future__ import annotations

import pytest

from postal_server.errors import HostileInput
from postal_server.web.gateway import RequestHead, call_wsgi, make_environ
from tests.each import each

HEADERS = [("A", "b")]


def environ(target: bytes, *fields: tuple[bytes, bytes]) -> dict:
    head = RequestHead()
    head.add_target(target)
    for name, value in fields:
        head.add_field(name, value)
    head.complete(b"GET", "1.1")
    return make_environ(head, ("192.0.2.1", 7), ("192.0.2.2", 80))


@each(
    "target, path, query",
    [
        (b"/a?b?c", "/a", "b?c"),
        (b"/a%3Fb%25", "/a?b%", ""),
        (b"//a//b", "//a//b", ""),
        (b"*", "*", ""),
        (b"http://x", "/", ""),
        (b"HTTPS://x?a=/", "/", "a=/"),
        (b"http://x/a://b?c", "/a://b", "c"),
    ],
)
def test_a_target_is_a_path_and_a_query(target, path, query) -> None:
    made = environ(target)
    assert (made["PATH_INFO"], made["QUERY_STRING"]) == (path, query)


@each("target", [b"", b"a", b"x:25", b"ftp://x/", b"?a", b"a/http://x"])
def test_what_is_no_target_is_refused(target) -> None:
    with pytest.raises(HostileInput):
        environ(target)


def test_fields_are_named_as_wsgi_names_them() -> None:
    made = environ(
        b"/",
        (b"Content-Type", b"a/b"),
        (b"content-length", b" 3 "),
        (b"X-Y", b"\t\xe9 "),
        (b"Content_Length", b"4"),
        (b"Remote-Addr", b"198.51.100.1"),
        (b"X-Y", b"2"),
    )
    assert (made["CONTENT_TYPE"], made["CONTENT_LENGTH"]) == ("a/b", "3")
    assert made["HTTP_X_Y"] == "\xe9, 2"
    assert (made["REMOTE_ADDR"], made["SERVER_PORT"]) == ("192.0.2.1", "80")


@pytest.mark.parametrize("version", ["0.9", "1.0", "2.0"])
def test_only_http_1_1_has_chunks_and_waits_for_a_word(version) -> None:
    head = RequestHead()
    head.add_field(b"Expect", b"100-Continue")
    assert head.expects_continue
    head.complete(b"POST", version)
    assert not head.expects_continue
    head.add_field(b"transfer-ENCODING", b"chunked")
    with pytest.raises(HostileInput):
        head.complete(b"POST", version)


class Content(list):
    is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_what_is_written_stands_before_what_is_returned() -> None:
    content = Content([b"b", b"c"])

    def application(environ, start_response):
        start_response("200 OK", HEADERS)(b"a")
        return content

    answered = call_wsgi(application, {})
    assert (answered.status, answered.headers, answered.body) == ("200 OK", HEADERS, b"abc")
    assert content.is_closed


def test_content_that_fails_is_closed() -> None:
    class Failing(Content):
        def __iter__(self):
            raise RuntimeError("a bug")

    content = Failing()
    with pytest.raises(RuntimeError):
        call_wsgi(lambda environ, start_response: content, {})
    assert content.is_closed


def test_an_answer_is_started_once_unless_it_failed() -> None:
    def twice(environ, start_response):
        start_response("200 OK", HEADERS)
        start_response("500 Internal Server Error", [], environ.get("exc_info"))
        return []

    with pytest.raises(AssertionError):
        call_wsgi(twice, {})
    assert call_wsgi(twice, {"exc_info": (RuntimeError, RuntimeError(), None)}).status.startswith("500")
