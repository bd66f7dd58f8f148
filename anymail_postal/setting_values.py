"""What the values of settings may be: readers, which turn a value as written into the one that is used.

Each raises `BadValueError` for a value that is not allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from django.utils.module_loading import import_string

T = TypeVar("T")

SERVER_NAME = re.compile(r"[a-z0-9-]+")


class BadValueError(ValueError):
    """The value of a setting is not allowed; the text says which values are."""


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise BadValueError("must be a text that is not empty.")
    return value


def header_text(value: Any) -> str:
    """A text that fits into an HTTP header: printable ASCII without spaces at its ends."""
    value = text(value)
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise BadValueError("must be printable ASCII text without leading or trailing spaces.")
    return str(value)


def short_text(value: Any) -> str:
    """A text of 1 to 3 printable characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= 3 or not value.isprintable():
        raise BadValueError("must be a text of 1 to 3 characters.")
    return value


def url(value: Any) -> str:
    """An http or https base URL, returned without trailing slashes."""
    if not isinstance(value, str) or not is_web_url(value):
        raise BadValueError("must be a URL such as 'https://postal.example.com'.")
    base = value.rstrip("/")
    if base.endswith("/api/v1"):
        raise BadValueError("must not include '/api/v1'.")
    return base


def jwks_url(value: Any) -> str | Literal[True]:
    """True, or the URL of a key set: https, or http to a loopback host."""
    if value is True:
        return True
    if isinstance(value, str) and is_web_url(value):
        parts = urlsplit(value)
        if parts.scheme == "https" or is_loopback(parts.hostname or ""):
            return value
    raise BadValueError("must be True or an https URL (http only to a loopback host).")


# Characters that a URL cannot contain (RFC 3986, section 2). Parsers read a backslash as a slash or as a part
# of the user name, and so disagree about the host.
_NOT_IN_URLS = re.compile(r'[\x00-\x20\x7f"<>\\^`{|}]')


def is_web_url(value: str) -> bool:
    """Is this a complete http or https URL?"""
    if _NOT_IN_URLS.search(value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Is this a loopback address, or a name for one?"""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def domain(value: Any) -> str:
    """An ASCII domain name, in lower case."""
    labels = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
    if not isinstance(value, str) or not re.fullmatch(rf"(?=.{{1,253}}$){labels}(\.{labels})*", value):
        raise BadValueError("must be a domain name in ASCII (write 'xn--...' for an international one).")
    return value.lower()


def reply_local_part(value: Any) -> str:
    """The local part of a Postal route."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9.-]{1,16}", value):
        raise BadValueError("must be 1 to 16 of the characters a-z, 0-9, '-' and '.'.")
    return value


def boolean(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise BadValueError("must be True or False.")
    return value


def whole(minimum: int, maximum: int | None = None) -> Callable[[Any], int]:
    """A reader of whole numbers from `minimum` to `maximum`."""

    def read(value: Any) -> int:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= minimum
        if not fits or (maximum is not None and value > maximum):
            limits = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise BadValueError(f"must be a whole number {limits}.")
        return int(value)

    return read


def duration(value: Any) -> timedelta:
    """A duration that is not negative; numbers are seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            value = timedelta(seconds=value)
        except (OverflowError, ValueError):
            value = None
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise BadValueError("must be a timedelta or a number of seconds, and not negative.")
    return value


def one_of(*choices: T) -> Callable[[Any], T]:
    """A reader of one of these values, which must also have its type."""

    def read(value: Any) -> T:
        for choice in choices:
            if value == choice and type(value) is type(choice):
                return choice
        raise BadValueError(f"must be one of {', '.join(map(repr, choices))}.")

    return read


def optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """A reader of None and of what `read` reads."""

    def read_optional(value: Any) -> T | None:
        return None if value is None else read(value)

    return read_optional


def text_list(value: Any) -> tuple[str, ...]:
    """The texts in one text or a list of texts; none for None."""
    texts = (value,) if isinstance(value, str) else (() if value is None else value)
    if not isinstance(texts, (list, tuple)) or not all(isinstance(each, str) and each for each in texts):
        raise BadValueError("must be a text or a list of texts.")
    return tuple(texts)


def webhook_secrets(value: Any) -> tuple[str, ...]:
    """One `user:password` of basic authentication, or a list of them."""
    pairs = text_list(value)
    if not all(":" in each for each in pairs):
        raise BadValueError(
            "must be 'user:password' or a list of such texts, as basic authentication has them."
        )
    return pairs


def secrets(value: Any) -> tuple[str, ...]:
    """One secret or a list of them, newest first, each of at least 32 characters."""
    keys = text_list(value)
    if not keys or min(map(len, keys)) < 32:
        raise BadValueError("must be a secret of at least 32 characters, or a list of such secrets.")
    return keys


def languages(value: Any) -> tuple[str, ...]:
    """Two-letter language codes."""
    codes = text_list(value)
    if not codes or not all(re.fullmatch(r"[a-z]{2}", code) for code in codes):
        raise BadValueError("must be a list of language codes such as ['en', 'de'].")
    return codes


def public_keys(value: Any) -> str | Mapping[str, Any] | Collection[str | Mapping[str, Any]]:
    """A public key in any form that `anymail_postal.signatures` reads, or a list of such keys."""
    keys = value if isinstance(value, (list, tuple)) else (value,)
    if not keys or not all(isinstance(key, (str, Mapping)) and key for key in keys):
        raise BadValueError("must be a public key (text or JWK), or a list of public keys.")
    return value  # type: ignore[no-any-return]


def dispatch(value: Any) -> str:
    """ "sync", "task", or the dotted path of a callable."""
    if value in ("sync", "task"):
        return str(value)
    dotted_callable(value)
    return str(value)


def dotted_callable(value: Any) -> Callable[..., Any]:
    """The callable that a dotted path names."""
    try:
        target = import_string(value)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise BadValueError("must be the dotted path of a callable.") from error
    if not callable(target):
        raise BadValueError("must be the dotted path of a callable.")
    return target  # type: ignore[no-any-return]


def servers(value: Any) -> Mapping[str, Mapping[str, Any]]:
    """The settings of servers by their names."""
    if not isinstance(value, Mapping):
        raise BadValueError("must be a dict of dicts.")
    for name, values in value.items():
        if not isinstance(name, str) or not SERVER_NAME.fullmatch(name):
            raise BadValueError(f"has the name {name!r}, but names consist of a-z, 0-9 and '-'.")
        if not isinstance(values, Mapping):
            raise BadValueError(f"must hold a dict for {name!r}.")
    return value
