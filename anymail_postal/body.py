"""The two encodings of Postal's requests, JSON and form, and typed access to their values.

All functions expect hostile input, and raise `UnreadableBody` for what they cannot read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote_to_bytes

from .errors import UnreadableBody

FORM = "application/x-www-form-urlencoded"
MAX_ID = 2**63 - 1  # the largest value of a database's big integer
LONG = 10_000  # bytes: longer form values are probably base64
# Nearly all escapes of base64 in a form. Replacing one kind at a time is ten times faster.
BASE64_ESCAPES = ((b"%0A", b"\n"), (b"%2B", b"+"), (b"%2F", b"/"), (b"%3D", b"="))


def parse(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a body. Those of a form are texts, or None for Postal's bare keys (contract 4.7).

    The signature does not cover the content type, so a JSON object is never read as a form.
    """
    is_form = content_type.partition(";")[0].strip().lower() == FORM
    return parse_form(body) if is_form and not is_object(body) else parse_json(body)


def is_object(body: bytes) -> bool:
    """Does this begin like a JSON object?"""
    return body.lstrip().startswith(b"{")


def parse_json(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object."""
    try:
        fields = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnreadableBody("The body is not JSON.") from error
    if not isinstance(fields, dict):
        raise UnreadableBody("The body is not a JSON object.")
    return fields


def parse_form(body: bytes) -> dict[str, str | None]:
    """The fields of a form. A key without `=` has the value None; of repeated keys, the last counts."""
    fields = {}
    for pair in body.split(b"&") if body else ():
        key, equals, value = pair.partition(b"=")
        fields[_form_text(key)] = _form_text(value) if equals else None
    return fields


def _form_text(quoted: bytes) -> str:
    unquoted = quoted.replace(b"+", b" ")
    if len(unquoted) > LONG and b"%25" not in unquoted:  # an escaped % must not be decoded twice
        for escape, byte in BASE64_ESCAPES:
            unquoted = unquoted.replace(escape, byte)
    return unquote_to_bytes(unquoted).decode("utf-8", "replace")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")  # RFC 8259, section 6


def text(fields: Mapping[str, Any], key: str) -> str | None:
    """A text without characters that databases refuse, which JSON may have."""
    value = fields.get(key)
    if value is None or isinstance(value, str):
        return storable(value) if value else value
    raise _wrong(key, "text")


def short_text(fields: Mapping[str, Any], key: str, characters: int) -> str | None:
    """A text like `text`, cut after so many characters."""
    value = text(fields, key)
    return value and value[:characters]


def storable(value: str) -> str:
    """`value` without NUL, which PostgreSQL refuses. Lone surrogates, which all refuse, become U+FFFD."""
    if "\0" in value:
        value = value.replace("\0", "")
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def whole(fields: Mapping[str, Any], key: str) -> int | None:
    """A whole number from 0 to 2**63 - 1, as a number or as digits: Postal writes both (contract Q34)."""
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, str) and len(value) <= 19 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID:
        return value
    raise _wrong(key, "a whole number")


def flag(fields: Mapping[str, Any], key: str) -> bool | None:
    """True or False; forms have "true" and "false"."""
    value = fields.get(key)
    if value is None or isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise _wrong(key, "true or false")


def number(fields: Mapping[str, Any], key: str) -> float | None:
    """A finite number."""
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
        if math.isfinite(value):
            return value
    raise _wrong(key, "a number")


def time(fields: Mapping[str, Any], key: str) -> datetime | None:
    """An aware UTC time from epoch seconds."""
    seconds = number(fields, key)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise _wrong(key, "a time") from error


def mapping(fields: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A JSON object, empty if it is null or missing."""
    value = fields.get(key)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise _wrong(key, "an object")


def _wrong(key: str, wanted: str) -> UnreadableBody:
    return UnreadableBody(f"{key!r} is not {wanted}.")
