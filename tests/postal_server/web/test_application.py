"""Which bodies are gathered before they are answered, and for whom."""

from __future__ import annotations

from wsgiref.util import setup_testing_defaults

from postal_server.api.views import MAX_BODY_BYTES
from postal_server.errors import Busy
from postal_server.web.application import MAX_PAGE_BYTES
from postal_server.web.gateway import BodyLimit
from tests.each import each

from ..recorded_installation import NAMES, call

SEND = "/api/v1/send/message"
KEY = {"HTTP_X_SERVER_API_KEY": NAMES["api_key"]}


def body_limit(app, path: str, length: int | None, **environ: str) -> BodyLimit | None:
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "HTTP_HOST": "postal.example.test", **environ}
    environ |= {"HTTP_TRANSFER_ENCODING": "chunked"} if length is None else {"CONTENT_LENGTH": str(length)}
    setup_testing_defaults(environ)
    return app.route(environ).body_limit()


@each(
    "path, length, environ, expected",
    [
        (SEND, 3_000_000, KEY, BodyLimit(MAX_BODY_BYTES, is_known=True)),
        (SEND, None, KEY, BodyLimit(MAX_BODY_BYTES, is_known=True)),
        (SEND, MAX_BODY_BYTES, KEY, BodyLimit(MAX_BODY_BYTES, is_known=True)),
        (SEND, MAX_BODY_BYTES + 1, KEY, None),
        (SEND, 3_000_000, {}, None),
        (SEND, None, {"HTTP_X_SERVER_API_KEY": "wrong"}, None),
        ("/api/v1/send/nothing", 3_000_000, KEY, None),
        ("/admin/x/", 3_000_000, {}, BodyLimit(MAX_PAGE_BYTES)),
        ("/admin/x/", MAX_PAGE_BYTES, {}, BodyLimit(MAX_PAGE_BYTES)),
        ("/admin/x/", None, {}, None),
        ("/admin/login/", 3_000_000, {}, None),
        ("/health", 3_000_000, {"REQUEST_METHOD": "GET"}, None),
        ("/admin/x/", 3_000_000, {"HTTP_HOST": "other.example"}, None),
    ],
)
def test_a_body_is_gathered_for_who_may_send_it(app, path, length, environ, expected) -> None:
    assert body_limit(app, path, length, **environ) == expected


def test_a_body_is_not_gathered_while_nothing_can_be_accepted(app, journal) -> None:
    journal.busy = Busy("full")
    assert body_limit(app, SEND, 3_000_000, **KEY) is None


def test_a_page_reads_no_body_of_more_than_a_form_has(app) -> None:
    """Django would read it in a thread, as slowly as it comes."""
    headers = {"Content-Length": str(MAX_PAGE_BYTES + 1), "Content-Type": "multipart/form-data; boundary=x"}
    assert call(app, "/admin/x/", headers=headers, body=None).status == 413


@each(
    "address, is_proxy",
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("192.0.2.1", False), ("", False)],
)
def test_proxies_stand_for_many(app, address, is_proxy) -> None:
    assert app.is_proxy(address) is is_proxy
