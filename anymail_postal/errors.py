"""The exceptions of this package.

Those that sending raises are also Anymail's, so that code for Anymail catches them and `fail_silently`
suppresses them. Configuration errors are not, because nothing should suppress them.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from html import unescape
from typing import TYPE_CHECKING, Any

import django
import requests
from anymail.exceptions import (
    AnymailConfigurationError,
    AnymailError,
    AnymailRequestsAPIError,
    AnymailWebhookValidationFailure,
)

# What Django raises for a line break in a header: BadHeaderError, or ValueError from 6.0 on, which deprecates
# the former.
if TYPE_CHECKING or django.VERSION >= (6, 0):
    BadHeaderError = ValueError
else:
    from django.core.mail import BadHeaderError

REDACTED = "[redacted]"
MAX_RAW = 300  # characters that are shown of a response that is not JSON
MAX_HEAD = 20_000  # characters of a page that are searched for its title
TITLE = re.compile(r"<title[^<>]{0,100}>([^<]{1,200})", re.IGNORECASE)
# Attributes of Anymail's exceptions that are not pickled: they hold sessions, open files and the API key.
LIVE = frozenset({"backend", "email_message", "payload", "request", "response"})


class PostalError(Exception):
    """The base of this package's exceptions.

    All can be pickled for a task queue, with type, text and `code`, but without the mail, the backend and the
    response.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in vars(self).items() if name not in LIVE}
        return _restored, (type(self), self.args, state)


def _restored(kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    """An exception from its pickled form."""
    error = kind(*args)
    vars(error).update(state)
    return error


class UnknownServer(PostalError, AnymailConfigurationError, LookupError):
    """No settings name this Postal server."""


class _AnymailsFamily(PostalError, AnymailError):
    """The base of those that are Anymail's as well. Their text includes the cause, also after pickling."""

    cause_description: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        restore, (kind, args, state) = super().__reduce__()
        state["cause_description"] = self.describe_cause()
        return restore, (kind, args, state)

    def describe_cause(self) -> str | None:
        """The exception that caused this one, as text."""
        cause: str | None = super().describe_cause()  # type: ignore[no-untyped-call]
        return cause or self.cause_description


class PostalAPIError(_AnymailsFamily, AnymailRequestsAPIError):
    """Postal refused a call, or could not be reached.

    `code` is Postal's error code, "parameter-error" where Postal has none, or None if the response is not
    Postal's. Neither str() nor repr() includes the API key, which Postal repeats in its responses.
    """

    response: requests.Response | None
    # The description of the response in a pickled exception.
    response_description: str | None = None

    def __init__(self, *args: Any, code: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **{"esp_name": "Postal", **kwargs})
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        restore, (kind, args, state) = super().__reduce__()
        state["response_description"] = self.describe_response()
        return restore, (kind, args, state)

    def describe_response(self) -> str | None:
        """The HTTP status and the body of the response without secrets; None without a response."""
        if self.response is None:
            return self.response_description
        description = f"Postal API response {self.response.status_code} ({self.response.reason})"
        return f"{description}{redacted_answer(self.response)}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {' '.join(map(str, self.args))} code={self.code!r}>"


@lru_cache(maxsize=32)
def network_error_type(cause: type[requests.RequestException]) -> type[PostalAPIError]:
    """The exception class for a call without a response: a subclass of `PostalAPIError` and of `cause`."""

    def reduce(self: PostalAPIError) -> tuple[Any, ...]:
        _, (_, args, state) = PostalAPIError.__reduce__(self)
        return _restored_network_error, (cause, args, state)

    members = {"__module__": PostalAPIError.__module__, "__reduce__": reduce}
    return type("PostalAPIError", (PostalAPIError, cause), members)


def _restored_network_error(
    cause: type[requests.RequestException], args: tuple[Any, ...], state: dict[str, Any]
) -> Exception:
    return _restored(network_error_type(cause), args, state)  # type: ignore[arg-type]  # it is hashable


class PostalAuthError(PostalAPIError):
    """Postal does not know the API key."""


class PostalServerSuspended(PostalAPIError):
    """The mail server or its organization is suspended."""


class PostalSenderError(PostalAPIError):
    """The mail server may not send from the From address."""


class PostalValidationError(PostalAPIError):
    """Postal refused the parameters of the call."""


class PostalMessageNotFound(PostalAPIError):
    """The mail server has no message with this id."""


class PostalResponseError(PostalAPIError):
    """The response is not Postal's: a page of a proxy, a server error, or JSON of another shape."""


class PostalMetadataTooLarge(_AnymailsFamily, ValueError):
    """The metadata does not fit into a Message-ID, and there is no store for it."""


class PostalHeaderError(_AnymailsFamily, BadHeaderError):
    """A header cannot be written: it has a line break, or a word longer than the limit of a line."""


class WebhookSignatureError(_AnymailsFamily, AnymailWebhookValidationFailure):
    """A request is not from Postal: its signature is missing, malformed or made with another key."""


class KeysUnavailable(PostalError):
    """A signature cannot be checked now: the key id is unknown, or there is no usable key."""


class UnreadableBody(PostalError, ValueError):
    """The body of a signed request cannot be read: no JSON or form, wrong types, invalid base64."""


class ReplyTokenError(PostalError):
    """A reply address is forged, damaged or expired."""


# Every error code of Postal's API (contract 1.6).
CLASS_BY_CODE: dict[str, type[PostalAPIError]] = {
    "AccessDenied": PostalAuthError,
    "InvalidServerAPIKey": PostalAuthError,
    "ServerSuspended": PostalServerSuspended,
    "UnauthenticatedFromAddress": PostalSenderError,
    "FromAddressMissing": PostalSenderError,
    "NoRecipients": PostalValidationError,
    "TooManyToAddresses": PostalValidationError,
    "TooManyCCAddresses": PostalValidationError,
    "TooManyBCCAddresses": PostalValidationError,
    "NoContent": PostalValidationError,
    "AttachmentMissingName": PostalValidationError,
    "AttachmentMissingData": PostalValidationError,
    "parameter-error": PostalValidationError,
    "MessageNotFound": PostalMessageNotFound,
}


# Texts for the codes that Postal sends without one (contract 1.6).
MEANING_OF_CODE = {
    "UnauthenticatedFromAddress": "The mail server may not send from this From address: add and verify its "
    "domain in Postal.",
    "FromAddressMissing": "The mail has no From address.",
}


def redacted_answer(response: requests.Response) -> str:
    """The body of a response for messages, without secrets: indented JSON, raw text or a page's title."""
    try:
        answer = response.json()
    except ValueError:
        return ": " + redact(_shortened(response.text), *sent_keys(response))
    if isinstance(answer, dict) and isinstance(answer.get("data"), dict) and "token" in answer["data"]:
        answer = {**answer, "data": {**answer["data"], "token": REDACTED}}
    return ":\n" + redact(json.dumps(answer, indent=2), *sent_keys(response))


def _shortened(text: str) -> str:
    """The raw text of a response up to `MAX_RAW` characters; for a longer page, its title."""
    if len(text) <= MAX_RAW:
        return repr(text)
    if text.lstrip()[:1] != "<":
        return f"{text[:MAX_RAW]!r}..."
    title = TITLE.search(text[:MAX_HEAD])
    named = f" with the title {' '.join(unescape(title[1]).split())!r}" if title else ""
    return f"a page{named}; is POSTAL_API_URL the address of Postal's web interface?"


def redact(text: str, *secrets: str) -> str:
    """`text` with each of the secrets replaced."""
    for secret in filter(None, secrets):
        text = text.replace(secret, REDACTED)
    return text


def sent_keys(response: requests.Response) -> list[str]:
    """The API key in the request of a response, which a page of a proxy may repeat."""
    request: requests.PreparedRequest | None = getattr(response, "request", None)
    key = request.headers.get("X-Server-API-Key") if request is not None and request.headers else None
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    return [key] if key else []
