"""Types of the commands' arguments, each with its error message."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from postal_server.installation import values
from postal_server.mail.address import is_plausible_recipient
from postal_server.rules.selection import destination_name
from postal_server.rules.suppression import valid_scope
from postal_server.services.operations.suppression_formats import moment_in

Value = TypeVar("Value")

UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "min": timedelta(minutes=1)}
DURATION = re.compile(rf"(\d{{1,4}})({'|'.join(UNITS)})", re.ASCII)


def checked(check: Callable[[str], Value]) -> Callable[[str], Value]:
    """A type of arguments whose ValueError is what the person is told."""

    def convert(text: str) -> Value:
        try:
            return check(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error

    return convert


domain = checked(values.domain)


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
