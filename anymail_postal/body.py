"""The two encodings of Postal's posts, JSON and form, and typed reading of their values.

Everything here is hostile until proven otherwise; the one exception is `UnreadableBody`.
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
MAX_ID = 2**63 - 1  # what databases call a big integer
LONG = 10_000  # bytes from which a form value is probably base64
# Nearly all escapes of base64 in a form; undone one kind at a time, which is ten times faster.
BASE64_ESCAPES = ((b"%0A", b"\n"), (b"%2B", b"+"), (b"%2F", b"/"), (b"%3D", b"="))


def parse(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields of a post. A form gives text, and None for Postal's bare keys (contract 4.7).

    No signature covers the content type: it cannot make a form of what is JSON.
    """
    is_form = content_type.partition(";")[0].strip().lower() == FORM
    return parse_form(body) if is_form and not is_object(body) else parse_json(body)


def is_object(body: bytes) -> bool:
    """Does this begin as a JSON object does, and no form?"""
    return body.lstrip().startswith(b"{")


def parse_json(body: bytes) -> dict[str, Any]:
    """The fields of a post in JSON."""
    try:
        fields = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnreadableBody("The body is not JSON.") from error
    if not isinstance(fields, dict):
        raise UnreadableBody("The body is not a JSON object.")
    return fields


def parse_form(body: bytes) -> dict[str, str | None]:
    """The fields of a form, read from its bytes; a key without `=` is a null. Of repeated keys the last."""
    fields = {}
    for pair in body.split(b"&") if body else ():
        key, equals, value = pair.partition(b"=")
        fields[_form_text(key)] = _form_text(value) if equals else None
    return fields


def _form_text(quoted: bytes) -> str:
    unquoted = quoted.replace(b"+", b" ")
    if len(unquoted) > LONG and b"%25" not in unquoted:  # an escaped % must not be undone twice
        for escape, byte in BASE64_ESCAPES:
            unquoted = unquoted.replace(escape, byte)
    return unquote_to_bytes(unquoted).decode("utf-8", "replace")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")  # RFC 8259, section 6


def text(fields: Mapping[str, Any], key: str) -> str | None:
    """A text that every database takes: JSON can spell more."""
    value = fields.get(key)
    if value is None or isinstance(value, str):
        return storable(value) if value else value
    raise _wrong(key, "text")


def storable(value: str) -> str:
    """`value` without NULs, which PostgreSQL refuses; lone surrogates, which all refuse, become U+FFFD."""
    if "\0" in value:
        value = value.replace("\0", "")
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def whole(fields: Mapping[str, Any], key: str) -> int | None:
    """A whole number from 0 to 2**63 - 1, or its digits: Postal itself writes both (contract Q34)."""
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, str) and len(value) <= 19 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID:
        return value
    raise _wrong(key, "a whole number")


def flag(fields: Mapping[str, Any], key: str) -> bool | None:
    """True or false, which forms spell out."""
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
    """An aware UTC time, written as epoch seconds."""
    seconds = number(fields, key)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise _wrong(key, "a time") from error


def mapping(fields: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A JSON object; null and a missing key are an empty one."""
    value = fields.get(key)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise _wrong(key, "an object")


def _wrong(key: str, wanted: str) -> UnreadableBody:
    return UnreadableBody(f"{key!r} is not {wanted}.")
