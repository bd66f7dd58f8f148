"""How a call of Postal's API is made: session, retries, and what an answer means."""

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

MAX_RETRY_AFTER_SECONDS = 10.0  # a caller waits meanwhile, perhaps a web request


class SafeRetry(Retry):
    """Repeats what Postal cannot have accepted: failed connects, 429 and 503. Waits no longer than 10 s.

    Never a read time-out, 500, 502 or 504: the mail may be queued, and Postal cannot tell a repeat from
    another mail.
    """

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """The wait that the server asks for, in seconds, cut to what a caller can bear."""
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, MAX_RETRY_AFTER_SECONDS)


class PostalSession(requests.Session):
    """A session that reads proxies and certificates from the environment once, not again for every call."""

    def __init__(self) -> None:
        super().__init__()
        self._environment: dict[object, Any] = {}

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """What `requests` makes of its arguments, the session and the environment, kept by the arguments."""
        if proxies:
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        key = url, stream, verify, cert
        if key not in self._environment:
            self._environment[key] = super().merge_environment_settings(url, {}, stream, verify, cert)
        return dict(self._environment[key])


class PostalAdapter(HTTPAdapter):
    """An adapter that looks up its connection pool once for each URL, not again for every call."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pools: dict[object, Any] = {}

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The pool for a request; what a proxy needs may change, so that is looked up."""
        if proxies:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        key = request.url, verify, cert
        if key not in self._pools:
            self._pools[key] = super().get_connection_with_tls_context(request, verify, proxies, cert)
        return self._pools[key]


def create_session(user_agent: str, retries: int) -> PostalSession:
    """A session that repeats a call up to `retries` times where that cannot send mail twice."""
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
    """The headers of each call."""
    return {"X-Server-API-Key": api_key, "Content-Type": "application/json", "Accept": "application/json"}


def read_answer(response: requests.Response, **context: Any) -> wire.Answer:
    """The answer to a successful call.

    Raises `PostalAPIError` or the subclass for Postal's code, `PostalResponseError` if the answer is not
    Postal's. `context` are the keyword arguments of Anymail's exceptions.
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
    """The data of the answer to a call, by one of the readers in `wire`.

    `server` is the name of the server that answered. Raises as `read_answer` does.
    """
    answer = read_answer(response, **context)
    try:
        return read(answer.data, server)
    except wire.WireError as error:
        raise PostalResponseError(
            "Invalid Postal API response format", response=response, **context
        ) from error


def network_error(error: requests.RequestException, url: str, **context: Any) -> PostalAPIError:
    """The error for a call without an answer: a `PostalAPIError`, and also of the type of `error`."""
    kind = network_error_type(type(error))  # type: ignore[arg-type]  # it is hashable
    return kind(f"Error posting to {url}{tls_hint(error)}:", **context)


def tls_hint(error: Exception) -> str:
    """A question about `http` for an https request that no TLS answered; empty for other errors."""
    if not isinstance(error, requests.exceptions.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ""
    return " (does this port speak http? Then write http:// instead of https://)"


def post(
    session: requests.Session, timeout: Any, params: Mapping[str, Any], **context: Any
) -> requests.Response:
    """Make one call; `params` are those of `requests` without the time-out.

    Raises the error for a call without an answer, see `network_error`.
    """
    try:
        response: requests.Response = session.request(
            timeout=timeout,
            allow_redirects=False,  # a redirect would take the key elsewhere, and lose the body
            **params,
        )
    except requests.RequestException as error:
        raise network_error(error, params["url"], **context) from error
    return response
