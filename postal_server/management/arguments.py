"""Types of the commands' arguments, each with its error message."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from postal_server.mail.address import domain_to_ascii, is_plausible_recipient
from postal_server.models.webhook import WEBHOOK_URL
from postal_server.rules.selection import destination_name
from postal_server.rules.suppression import valid_scope
from postal_server.services.operations.suppression_formats import moment_in

UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "min": timedelta(minutes=1)}
DURATION = re.compile(rf"(\d{{1,4}})({'|'.join(UNITS)})", re.ASCII)


def domain(text: str) -> str:
    """A domain, in the form used in DNS."""
    try:
        name = domain_to_ascii(text)
    except ValueError:
        name = ""
    if not name or name.rpartition(".")[2].isdigit():
        raise ArgumentTypeError(f"{text!r} is not a domain such as example.com")
    return name


def address(text: str) -> str:
    """An e-mail address."""
    if not is_plausible_recipient(text):
        raise ArgumentTypeError(f"{text!r} is not an address such as ann@example.com")
    return text


def moment(text: str) -> datetime:
    """A day, which begins at midnight UTC, or a time with its offset from UTC."""
    try:
        return moment_in(f"{text}T00:00:00Z" if len(text) == len("2030-01-31") else text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is neither a day such as 2030-01-31 nor a time") from error


def scope(text: str) -> str:
    """Which mail an entry of a suppression list stops."""
    try:
        return valid_scope(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def destination(text: str) -> str:
    """The name of a lane of the queue: a recipient domain, or an endpoint such as `http:3`."""
    name = destination_name(text)
    if not name or not set(name).isdisjoint(" \t@/"):
        raise ArgumentTypeError(f"{text!r} is not a destination such as example.com")
    return name


def duration(text: str) -> timedelta:
    """A length of time: `5d`, `12h` or `30min`."""
    match = DURATION.fullmatch(text)
    if not match:
        raise ArgumentTypeError(f"{text!r} is not a length of time such as 5d, 12h or 30min")
    return int(match[1]) * UNITS[match[2]]


def url(text: str) -> str:
    """A URL that is allowed for webhooks and endpoints."""
    try:
        WEBHOOK_URL(text)
        parts = urlsplit(text)
        is_url = bool(parts.hostname) and parts.port != 0
    except (ValidationError, ValueError):
        is_url = False
    if not is_url:
        raise ArgumentTypeError(
            f"{text!r} is not a URL such as https://user:password@www.example.com/anymail/postal/tracking/"
        )
    return text
