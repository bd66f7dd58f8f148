"""How calls of Postal's API are made: session, retries, responses and their errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from . import wire
from .errors import (
    CLASS_BY_CODE,
    MEANING_OF_CODE,
    PostalAPIError,
    PostalResponseError,
    network_error_type,
)

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

T = TypeVar("T")

MAX_RETRY_AFTER_SECONDS = 10.0  # the caller waits meanwhile, perhaps a web request


class SafeRetry(Retry):
    """Repeats calls that Postal cannot have accepted: after a failed connection, 429 or 503.

    Not after a read time-out, 500, 502 or 504: the mail may be queued, and Postal does not recognize
    repetitions.
    """

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """The wait in seconds that the server asks for, at most `MAX_RETRY_AFTER_SECONDS`."""
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, MAX_RETRY_AFTER_SECONDS)


class PostalSession(requests.Session):
    """A session that reads proxies and certificates from the environment once instead of for each call."""

    def __init__(self) -> None:
        super().__init__()
        self._environment: dict[object, Any] = {}

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """The settings that `requests` merges, cached by the arguments."""
        if proxies:
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        key = url, stream, verify, cert
        if key not in self._environment:
            self._environment[key] = super().merge_environment_settings(url, {}, stream, verify, cert)
        return dict(self._environment[key])


class PostalAdapter(HTTPAdapter):
    """An adapter that looks up its connection pool once for each URL instead of for each call."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pools: dict[object, Any] = {}

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The connection pool for a request, cached unless there is a proxy, whose parameters may change."""
        if proxies:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        key = request.url, verify, cert
        if key not in self._pools:
            self._pools[key] = super().get_connection_with_tls_context(request, verify, proxies, cert)
        return self._pools[key]


def create_session(user_agent: str, retries: int) -> PostalSession:
    """A session that repeats a call up to `retries` times if that cannot send the mail twice."""
    session = PostalSession()
    session.headers["User-Agent"] = user_agent
    policy = SafeRetry(
        total=retries,
        read=False,
        other=0,
        redirect=0,
        status_forcelist=(429, 503),
        allowed_methods=None,  # POST too
        backoff_factor=0.5,
        raise_on_status=False,
    )
    for prefix in ("https://", "http://"):
        session.mount(prefix, PostalAdapter(max_retries=policy))
    return session


def api_headers(api_key: str) -> dict[str, str]:
    """The HTTP headers of a call."""
    return {"X-Server-API-Key": api_key, "Content-Type": "application/json", "Accept": "application/json"}


def read_answer(response: requests.Response, **context: Any) -> wire.Answer:
    """The envelope in the response to a successful call (contract 1.5).

    `context` are keyword arguments of Anymail's exceptions. Raises `PostalAPIError` or the subclass for
    Postal's error code, and `PostalResponseError` if the response is not Postal's.
    """
    context["response"] = response
    is_ok = 200 <= response.status_code < 300
    try:
        answer = wire.read_answer(response.json())
    except wire.WireError as error:
        raise PostalResponseError("Invalid Postal API response format", **context) from error
    except ValueError as error:
        if not is_ok:
            raise PostalResponseError(**context) from None
        raise PostalResponseError("Invalid JSON in Postal API response", **context) from error
    if answer.code is not None:
        sentence = answer.message or MEANING_OF_CODE.get(answer.code, answer.code)
        raise CLASS_BY_CODE.get(answer.code, PostalAPIError)(sentence, code=answer.code, **context)
    if not is_ok:
        raise PostalResponseError(**context)
    return answer


def read_data(response: requests.Response, read: Callable[[Any, str], T], server: str, **context: Any) -> T:
    """The data in the response to a call, read by `read`, a function of `wire`.

    `server` is the name of the server in the settings. Raises as `read_answer` does.
    """
    answer = read_answer(response, **context)
    try:
        return read(answer.data, server)
    except wire.WireError as error:
        raise PostalResponseError(
            "Invalid Postal API response format", response=response, **context
        ) from error


def network_error(error: requests.RequestException, url: str, **context: Any) -> PostalAPIError:
    """The exception for a call without a response: a `PostalAPIError` that is also of the type of `error`."""
    kind = network_error_type(type(error))  # type: ignore[arg-type]  # it is hashable
    return kind(f"Error posting to {url}{tls_hint(error)}:", **context)


def tls_hint(error: Exception) -> str:
    """A hint for an https request to a port that may not speak TLS; "" for other errors."""
    if not isinstance(error, requests.exceptions.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ""
    return " (does this port speak http? Then write http:// instead of https://)"


def post(
    session: requests.Session, timeout: Any, params: Mapping[str, Any], **context: Any
) -> requests.Response:
    """Make one call and return the response, whatever its status.

    `params` are the arguments of `requests` without the time-out, `context` those of Anymail's exceptions.
    Raises `network_error` if there is no response.
    """
    try:
        response: requests.Response = session.request(
            timeout=timeout,
            allow_redirects=False,  # a redirect would send the key elsewhere, and lose the body
            **params,
        )
    except requests.RequestException as error:
        raise network_error(error, params["url"], **context) from error
    return response
