"""A call of Postal's API: what its answer means, and when it is repeated."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import requests
from requests.adapters import HTTPAdapter

from anymail_postal import api, errors
from anymail_postal.api import tls_hint
from anymail_postal.client import PostalClient
from tests.each import each

from .answers import KEY, URL, FakePostal, answer, envelope, error, success


@pytest.fixture(autouse=True)
def configured(settings: Any) -> None:
    settings.ANYMAIL = {"POSTAL_API_KEY": KEY, "POSTAL_API_URL": f"{URL}/"}


@pytest.fixture
def postal(monkeypatch: pytest.MonkeyPatch) -> FakePostal:
    return FakePostal().install(monkeypatch)


@each(
    "body, kind, code",
    [
        *((error(code, message="m"), kind, code) for code, kind in errors.CLASS_BY_CODE.items()),
        (envelope("parameter-error", {"message": "m"}), errors.PostalValidationError, "parameter-error"),
        (error("Brand new"), errors.PostalAPIError, "Brand new"),
    ],
)
def test_codes_become_exceptions(
    postal: FakePostal, body: object, kind: type[errors.PostalAPIError], code: str
) -> None:
    postal.answers = [body]
    with pytest.raises(errors.PostalAPIError) as raised:
        PostalClient().send({})
    assert type(raised.value) is kind
    assert raised.value.code == code
    assert raised.value.response is not None


@pytest.mark.parametrize(
    ("code", "said"),
    [("UnauthenticatedFromAddress", "may not send from this From address: add"), ("NoContent", "NoContent")],
)
def test_an_answer_without_a_sentence_gets_one(postal: FakePostal, code: str, said: str) -> None:
    postal.answers = [envelope("error", {"code": code})]
    with pytest.raises(errors.PostalAPIError) as raised:
        PostalClient().send({})
    assert said in str(raised.value).splitlines()[0]


@each(
    "response, text",
    [
        (answer("nonsense"), "Invalid JSON in Postal API response"),
        (answer(""), "Invalid JSON in Postal API response"),
        (answer([]), "Invalid Postal API response format"),
        (answer({"status": "success"}), "Invalid Postal API response format"),
        (answer(envelope("success", {"messages": {"a@b": {}}})), "Invalid Postal API response format"),
        (answer(success("a@b.test"), 302, "Found"), "Postal API response 302 (Found)"),
        (answer("<html>", 500, "Oops"), "Postal API response 500 (Oops): '<html>'"),
        (answer("", 403, "Forbidden"), "Postal API response 403 (Forbidden): ''"),
        (answer({"status": 400, "error": "Bad Request"}, 400, "Bad"), "Postal API response 400 (Bad)"),
    ],
    ids=["text", "empty", "list", "no-data", "odd-data", "redirect", "html", "wrong-host", "rack"],
)
def test_answers_that_are_not_postals(postal: FakePostal, response: requests.Response, text: str) -> None:
    postal.answers = [response]
    with pytest.raises(errors.PostalResponseError) as raised:
        PostalClient().send({})
    assert text in str(raised.value)
    assert raised.value.code is None


def test_an_error_in_postals_envelope_counts_whatever_the_status(postal: FakePostal) -> None:
    postal.answers = [answer(error("NoContent"), 413, "Too Large")]
    with pytest.raises(errors.PostalValidationError) as raised:
        PostalClient().send({})
    assert (raised.value.code, raised.value.status_code) == ("NoContent", 413)


def test_network_errors_are_also_those_of_requests(postal: FakePostal) -> None:
    postal.answers = [requests.ReadTimeout("slow")]
    with pytest.raises(errors.PostalAPIError, match="slow") as raised:
        PostalClient().send({})
    assert isinstance(raised.value, requests.ReadTimeout)
    assert KEY not in str(raised.value)


def test_https_to_a_port_that_speaks_http_is_asked_about(settings: Any) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"https://127.0.0.1:{server.server_port}"
        settings.ANYMAIL = {"POSTAL_API_URL": url, "POSTAL_API_KEY": KEY, "POSTAL_RETRIES": 0}
        try:
            with pytest.raises(errors.PostalAPIError, match="does this port speak http") as raised:
                PostalClient().ping()
        finally:
            server.shutdown()
            thread.join()
    assert isinstance(raised.value, requests.exceptions.SSLError)


def test_a_certificate_that_is_not_trusted_is_another_matter() -> None:
    wrong = requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    assert tls_hint(wrong) == tls_hint(requests.ReadTimeout()) == ""


# --- over a real socket ---


HANG_UP = 0


class Handler(BaseHTTPRequestHandler):
    """Answers with the statuses in `script`, one a request, and with success when they are used up."""

    script: ClassVar[list[tuple[int, dict[str, str]]]] = []
    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.seen.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        status, headers = self.script.pop(0) if self.script else (200, {})
        if status == HANG_UP:
            self.close_connection = True
            return
        body = b'{"status":"success","time":0,"flags":{},"data":{"message_id":null,"messages":{}}}'
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(settings: Any) -> Iterator[type[Handler]]:
    Handler.script, Handler.seen = [], []
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    settings.ANYMAIL = {"POSTAL_API_KEY": KEY, "POSTAL_API_URL": f"http://127.0.0.1:{http.server_port}"}
    yield Handler
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


@pytest.mark.parametrize(
    ("statuses", "calls"),
    [([429], 2), ([503], 2), ([503, 429], 3), ([500], 1), ([502], 1), ([504], 1), ([408], 1)],
    ids=str,
)
def test_only_429_and_503_are_repeated(
    server: type[Handler], no_waiting: list[float], statuses: list[int], calls: int
) -> None:
    server.script = [(status, {}) for status in statuses]
    with PostalClient() as postal_client:
        if calls == 1:
            with pytest.raises(errors.PostalResponseError):
                postal_client.send({})
        else:
            postal_client.send({})
    assert len(server.seen) == calls


def test_the_last_refusal_is_reported(server: type[Handler], no_waiting: list[float]) -> None:
    server.script = [(503, {})] * 5
    with PostalClient() as postal_client, pytest.raises(errors.PostalResponseError, match="503"):
        postal_client.send({})
    assert len(server.seen) == 3


@pytest.mark.parametrize(("asked", "waited"), [("3", 3), ("3600", 10)], ids=["as-asked", "no-longer-than"])
def test_retry_after_is_heeded(
    server: type[Handler], no_waiting: list[float], asked: str, waited: float
) -> None:
    server.script = [(503, {"Retry-After": asked})]
    with PostalClient() as postal_client:
        postal_client.send({})
    assert no_waiting == [waited]


def test_failed_connects_are_repeated(
    server: type[Handler], monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]
) -> None:
    from urllib3.util import connection

    attempts = []
    connect = connection.create_connection

    def fail_first(*args: Any, **kwargs: Any) -> Any:
        attempts.append(args)
        if len(attempts) == 1:
            raise OSError("refused")
        return connect(*args, **kwargs)

    monkeypatch.setattr(connection, "create_connection", fail_first)
    with PostalClient() as postal_client:
        postal_client.send({})
    assert len(attempts) == 2


def test_a_lost_answer_is_not_repeated(settings: Any, server: type[Handler]) -> None:
    """The mail may be queued: only the caller can know whether another copy does harm."""
    server.script = [(HANG_UP, {})]
    with PostalClient() as postal_client, pytest.raises(errors.PostalAPIError):
        postal_client.send({})
    assert len(server.seen) == 1


def test_redirects_are_not_followed(server: type[Handler]) -> None:
    server.script = [(301, {"Location": "/elsewhere"})]
    with PostalClient() as postal_client, pytest.raises(errors.PostalResponseError, match="301"):
        postal_client.send({})
    assert server.seen == ["/api/v1/send/message"]


def test_the_environment_is_read_once(server: type[Handler], monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def get_environ_proxies(url: str, no_proxy: object = None) -> dict[str, str]:
        reads.append(url)
        return {}

    monkeypatch.setattr("requests.sessions.get_environ_proxies", get_environ_proxies)
    with PostalClient() as postal_client:
        postal_client.send({})
        postal_client.send({})
    assert len(reads) == 1


def test_proxies_of_the_call_are_merged_with_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:1")
    for name in ("NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    session = api.PostalSession()
    given = session.merge_environment_settings(URL, {"http": "http://mine.test:2"}, None, None, None)
    assert given["proxies"]["http"] == "http://mine.test:2"
    kept = session.merge_environment_settings(URL, {}, None, None, None)
    assert kept["proxies"]["https"] == "http://proxy.test:1"
    assert kept["verify"] is True


@pytest.mark.skipif(
    not hasattr(HTTPAdapter, "get_connection_with_tls_context"), reason="it came with requests 2.32"
)
def test_the_pool_is_looked_up_once_but_with_a_proxy() -> None:
    adapter = api.PostalAdapter()
    request = requests.Request("POST", URL).prepare()
    pool = adapter.get_connection_with_tls_context(request, True)
    assert adapter.get_connection_with_tls_context(request, True) is pool
    assert adapter.get_connection_with_tls_context(request, False) is not pool
    proxied = adapter.get_connection_with_tls_context(request, True, {"https": "http://proxy.test:1"})
    assert proxied.proxy.host == "proxy.test"
    adapter.close()
