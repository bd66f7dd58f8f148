"""The package's exceptions.

Those that end a send have two parents, ours and Anymail's, so that code written for Anymail catches them
and `fail_silently` covers them. Errors of configuration stay outside that family: nothing may hide them.
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

# What Django promises for a line break in a header: its own error, but ValueError from 6.0, where that one is
# deprecated.
if TYPE_CHECKING or django.VERSION >= (6, 0):
    BadHeaderError = ValueError
else:
    from django.core.mail import BadHeaderError

REDACTED = "[redacted]"
MAX_RAW = 300  # characters of an answer that is not JSON
MAX_HEAD = 20_000  # characters in which the title of a page is looked for
TITLE = re.compile(r"<title[^<>]{0,100}>([^<]{1,200})", re.IGNORECASE)
# What an exception of Anymail's family refers to, and what stays behind when it is pickled for a task queue:
# sessions, open files and the API key.
LIVE = frozenset({"backend", "email_message", "payload", "request", "response"})


class PostalError(Exception):
    """The root of this package's exceptions. Those of Anymail's family take its keyword arguments.

    All can be pickled: type, text and `code` arrive, the mail, the backend and the response do not.
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
    """One of Anymail's family: its text tells its cause, also after it was pickled."""

    cause_description: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        restore, (kind, args, state) = super().__reduce__()
        state["cause_description"] = self.describe_cause()
        return restore, (kind, args, state)

    def describe_cause(self) -> str | None:
        """The exception behind this one."""
        cause: str | None = super().describe_cause()  # type: ignore[no-untyped-call]
        return cause or self.cause_description


class PostalAPIError(_AnymailsFamily, AnymailRequestsAPIError):
    """Postal refused a call, or could not be asked.

    `code` is Postal's word, "parameter-error" where Postal gives none, or None if the answer is not
    Postal's. Text and repr never hold the API key, which Postal repeats in its own error.
    """

    response: requests.Response | None
    # Of one that was pickled: what it knew of its response.
    response_description: str | None = None

    def __init__(self, *args: Any, code: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **{"esp_name": "Postal", **kwargs})
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        restore, (kind, args, state) = super().__reduce__()
        state["response_description"] = self.describe_response()
        return restore, (kind, args, state)

    def describe_response(self) -> str | None:
        """The HTTP status and the answer, with secrets taken out."""
        if self.response is None:
            return self.response_description
        description = f"Postal API response {self.response.status_code} ({self.response.reason})"
        return f"{description}{redacted_answer(self.response)}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {' '.join(map(str, self.args))} code={self.code!r}>"


@lru_cache(maxsize=32)
def network_error_type(cause: type[requests.RequestException]) -> type[PostalAPIError]:
    """The type of error for a call without an answer: a `PostalAPIError`, and also a `cause`."""

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
    """The mail server, or the organisation it belongs to, is suspended."""


class PostalSenderError(PostalAPIError):
    """This server may not send mail from the From address."""


class PostalValidationError(PostalAPIError):
    """Postal refused the contents of the call."""


class PostalMessageNotFound(PostalAPIError):
    """The server has no message with this id."""


class PostalResponseError(PostalAPIError):
    """The answer is not Postal's: a proxy's page, a server error, or another shape than expected."""


class PostalMetadataTooLarge(_AnymailsFamily, ValueError):
    """The metadata does not fit into a Message-ID, and there is no store to keep it."""


class PostalHeaderError(_AnymailsFamily, BadHeaderError):
    """A header cannot be written: a line break in it, or a word longer than a line may be."""


class WebhookSignatureError(_AnymailsFamily, AnymailWebhookValidationFailure):
    """A request proves not to come from Postal: no signature, a malformed one, or one by another key."""


class KeysUnavailable(PostalError):
    """Whether a signature is good cannot be known now: an unknown key id, or no usable key."""


class UnreadableBody(PostalError, ValueError):
    """A signed request says nothing we understand: no JSON or form, wrong types, bad base64."""


class ReplyTokenError(PostalError):
    """A reply address or Message-ID is forged, damaged or expired."""


# Contract 1.6: every code that Postal's API can answer.
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


# Of codes that Postal answers without a sentence (contract 1.6).
MEANING_OF_CODE = {
    "UnauthenticatedFromAddress": "The mail server may not send from this From address: add and verify its "
    "domain in Postal.",
    "FromAddressMissing": "The mail has no From address.",
}


def redacted_answer(response: requests.Response) -> str:
    """The body of an answer for people: indented JSON or the raw text, without the API key.

    Of a page that a browser is to show, its title.
    """
    try:
        answer = response.json()
    except ValueError:
        return ": " + redact(_shortened(response.text), *sent_keys(response))
    if isinstance(answer, dict) and isinstance(answer.get("data"), dict) and "token" in answer["data"]:
        answer = {**answer, "data": {**answer["data"], "token": REDACTED}}
    return ":\n" + redact(json.dumps(answer, indent=2), *sent_keys(response))


def _shortened(text: str) -> str:
    """The raw text of an answer, up to `MAX_RAW` characters; of a longer page its title."""
    if len(text) <= MAX_RAW:
        return repr(text)
    if text.lstrip()[:1] != "<":
        return f"{text[:MAX_RAW]!r}..."
    title = TITLE.search(text[:MAX_HEAD])
    named = f" with the title {' '.join(unescape(title[1]).split())!r}" if title else ""
    return f"a page{named}; is POSTAL_API_URL the address of Postal's web interface?"


def redact(text: str, *secrets: str) -> str:
    """`text` without the secrets."""
    for secret in filter(None, secrets):
        text = text.replace(secret, REDACTED)
    return text


def sent_keys(response: requests.Response) -> list[str]:
    """The API keys that the request of this answer carried: a proxy's page may repeat its headers."""
    request: requests.PreparedRequest | None = getattr(response, "request", None)
    key = request.headers.get("X-Server-API-Key") if request is not None and request.headers else None
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    return [key] if key else []
