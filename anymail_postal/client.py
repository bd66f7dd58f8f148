"""Postal's four API calls, and how any of them is made: session, retries, and what an answer means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import requests
from anymail.utils import get_anymail_setting
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from . import __version__, conf, wire
from .errors import (
    CLASS_BY_CODE,
    MEANING_OF_CODE,
    PostalAPIError,
    PostalMessageNotFound,
    PostalResponseError,
    network_error_type,
)

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

T = TypeVar("T")

TIMEOUT_SECONDS = 30  # Anymail's, for want of its REQUESTS_TIMEOUT
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


def retry_safely(session: requests.Session, retries: int) -> None:
    """Let a session repeat calls up to `retries` times where that cannot send mail twice."""
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


def api_headers(api_key: str) -> dict[str, str]:
    """The headers of each call."""
    return {"X-Server-API-Key": api_key, "Content-Type": "application/json", "Accept": "application/json"}


def read_response(response: requests.Response, **context: Any) -> wire.Answer:
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


def read_data(read: Callable[[Any, str], T], answer: wire.Answer, server: str, **context: Any) -> T:
    """The data of an answer, by one of the readers in `wire`. Raises `PostalResponseError`."""
    try:
        return read(answer.data, server)
    except wire.WireError as error:
        raise PostalResponseError("Invalid Postal API response format", **context) from error


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


class PostalClient:
    """Postal's API for one mail server of the settings. Every call may raise `PostalAPIError`.

    `session` is the caller's to close; one that the client made is closed by `close()` or by leaving `with`.
    """

    def __init__(self, server: str = conf.DEFAULT_SERVER, *, session: requests.Session | None = None) -> None:
        self.config = conf.server(server)
        self.headers = api_headers(self.config.required("api_key"))
        self.base_url = f"{self.config.required('api_url')}/api/v1/"
        self.timeout = get_anymail_setting("requests_timeout", default=TIMEOUT_SECONDS)
        self.owns_session = session is None
        self.session = session if session is not None else PostalSession()
        if self.owns_session:
            self.session.headers["User-Agent"] = f"anymail-postal/{__version__}"
            retry_safely(self.session, self.config.retries)

    def send(self, params: Mapping[str, Any]) -> wire.SendResult:
        """Queue the mail that `params` describe, as `send/message` takes them."""
        return self._call("send/message", params, wire.read_send)

    def send_raw(
        self, mail_from: str, rcpt_to: Iterable[str], data: bytes, *, bounce: bool = False
    ) -> wire.SendResult:
        """Queue a complete mail (RFC 5322), such as one signed or encrypted by the caller.

        `rcpt_to` are bare addresses. `mail_from` only sets Postal's record; with `bounce` the envelope sender
        is the null reverse-path.
        """
        params = wire.raw_params(mail_from, rcpt_to, data)
        return self._call("send/raw", {**params, "bounce": True} if bounce else params, wire.read_send)

    def message(self, id: int, expansions: Iterable[str] | Literal[True] = ()) -> wire.PostalMessage:
        """A message by Postal's id, with the parts that `expansions` name; True for all of them.

        Raises `PostalMessageNotFound`, and TypeError for an id that is not an int: Postal answers those with
        a server error.
        """
        wanted = expansions if expansions is True else list(expansions)
        return self._call("messages/message", {"id": _checked(id), "_expansions": wanted}, wire.read_message)

    def deliveries(self, id: int) -> list[wire.Delivery]:
        """The attempts to deliver a message, by time. Raises as `message` does."""
        return self._call("messages/deliveries", {"id": _checked(id)}, wire.read_deliveries)

    def ping(self) -> None:
        """Ask something harmless. Raises `PostalAuthError` if Postal does not know the key."""
        try:
            self.message(0)
        except PostalMessageNotFound:
            return  # ids begin at 1, and the key is checked before the id: it is good

    def close(self) -> None:
        """Close the session, if this client made it."""
        if self.owns_session:
            self.session.close()

    def __enter__(self) -> PostalClient:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _call(self, endpoint: str, params: Mapping[str, Any], read: Callable[[Any, str], T]) -> T:
        url, data = self.base_url + endpoint, json.dumps(params)
        request = {"method": "POST", "url": url, "data": data, "headers": self.headers}
        response = post(self.session, self.timeout, request)
        answer = read_response(response)
        return read_data(read, answer, self.config.name, response=response)


def _checked(postal_id: object) -> int:
    if not isinstance(postal_id, int) or isinstance(postal_id, bool):
        raise TypeError(f"A message id of Postal is an int, not {postal_id!r}.")
    return int(postal_id)
