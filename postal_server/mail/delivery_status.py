"""The fields of a delivery status notification (RFC 3464, RFC 6533), as leniently as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from .charset import decode_undeclared
from .header import decode_header

MAX_RECIPIENTS = 500
MAX_STATUS = 1_000_000  # bytes of one that are read
MAX_DIAGNOSTIC = 2000  # characters
MAX_VALUE = 1000  # characters of any other value
MAX_LINES = 50_000

_FIELD = re.compile(r"[ \t]{0,3}([A-Za-z][A-Za-z-]{1,40})[ \t]*:(.*)", re.DOTALL)
_OF_MESSAGE = frozenset(["reporting-mta", "original-envelope-id", "x-original-envelope-id"])
_NAMES = frozenset(["final-recipient", "original-recipient"])
_OF_RECIPIENT = _NAMES | {"action", "status", "diagnostic-code", "remote-mta", "x-supplementary-info"}
# Types of addresses, names and diagnostics: `rfc822;`, `dns;`, `smtp;`, `X-Postfix;`.
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,40}[ \t]*;")
_STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)", re.ASCII)
_ANGLED = re.compile(r"<([^<>]*)>")
_COMMENT = re.compile(r"\s\([^()]*\)\Z")
# RFC 3461 section 4: what xtext has to encode; plain addresses with such tags are next to unknown.
_XTEXT = re.compile(r"\+(20|2B|3D|[89A-F][0-9A-F])")
_UTF8_ADDRESS = re.compile(r"\\x\{([0-9A-F]{2,6})\}")  # RFC 6533 section 3
# Words that mail servers put into Action instead of those of RFC 3464 section 2.3.3.
_ACTIONS = (
    ("fail", "failed"),
    ("undeliver", "failed"),
    ("reject", "failed"),
    ("expire", "failed"),
    ("error", "failed"),
    ("delay", "delayed"),
    ("defer", "delayed"),
    ("deliver", "delivered"),
    ("relay", "relayed"),
    ("expand", "expanded"),
)


@dataclass(frozen=True)
class Part:
    """What a report says about one recipient.

    `action` is that of RFC 3464 in lower case, `""` where nothing says it. `status` is an enhanced code
    (`5.1.1`). `stage` is the command that was answered, `"connect"`, `"mail"`, `"rcpt"`, `"data"` or `"dot"`,
    where the report names it, else `"report"`.
    """

    final_recipient: str | None = None
    original_recipient: str | None = None
    action: str = ""
    status: str | None = None
    diagnostic: str | None = None
    remote_mta: str | None = None
    stage: str = "report"


@dataclass(frozen=True)
class DeliveryStatus:
    """All that a status part says."""

    reporting_mta: str | None = None
    envelope_id: str | None = None
    parts: tuple[Part, ...] = ()


def read_status(content: bytes) -> DeliveryStatus:
    """The fields in a decoded status part. Never raises.

    Groups of fields should be parted by blank lines. Some servers put one between all fields, or none: so a
    group also begins with a field that the last one has already.
    """
    of_message: dict[str, str] = {}
    groups: list[dict[str, str]] = []
    group: dict[str, str] = {}
    for name, value, is_after_blank in _fields(decode_undeclared(content[:MAX_STATUS])):
        if name in _OF_MESSAGE:
            of_message.setdefault(name, value)
            continue
        if _begins_group(name, group, is_after_blank):
            groups.append(group)
            group = {}
            if len(groups) == MAX_RECIPIENTS:
                break
        group.setdefault(name, value)
    groups.append(group)
    parts = [_part(fields) for fields in groups[:MAX_RECIPIENTS] if fields]
    envelope_id = of_message.get("original-envelope-id") or of_message.get("x-original-envelope-id")
    return DeliveryStatus(
        reporting_mta=typed(of_message.get("reporting-mta")),
        envelope_id=_decode_xtext(typed(envelope_id) or "") or None,
        parts=tuple(parts),
    )


def is_status(text: str) -> bool:
    """Does text begin like a status part? For those that are labelled as something else."""
    names = {name for name, _, _ in islice(_fields(text[:MAX_DIAGNOSTIC]), 20)}
    has_name = bool(names & _NAMES) or "reporting-mta" in names
    return has_name and len(names) > 1 and _FIELD.match(text.lstrip()) is not None


def _fields(text: str) -> Iterator[tuple[str, str, bool]]:
    """Name in lower case, value, and whether a blank line is above it, of each field with a meaning here."""
    name, values, is_after_blank, has_blank = "", [""], False, False
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n", MAX_LINES)
    first = next(filter(str.strip, lines), "")
    indent = first[: len(first) - len(first.lstrip())]  # of all of them
    for line in (line.removeprefix(indent) for line in lines[:MAX_LINES]):
        if not line.strip():
            has_blank = True
            continue
        match = None if name and line[0] in " \t" and not has_blank else _FIELD.match(line)
        if match is None:
            if name and (line[0] in " \t" or (name == "diagnostic-code" and not has_blank)):
                values.append(line.strip())  # a fold, or one that has lost its blank
            continue
        if name in _OF_MESSAGE or name in _OF_RECIPIENT:
            yield name, _joined(values), is_after_blank
        name, values, is_after_blank, has_blank = match[1].lower(), [match[2].strip()], has_blank, False
    if name in _OF_MESSAGE or name in _OF_RECIPIENT:
        yield name, _joined(values), is_after_blank


def _joined(values: list[str]) -> str:
    return decode_header(" ".join(values[:200])[: 2 * MAX_DIAGNOSTIC])


def _begins_group(name: str, group: dict[str, str], is_after_blank: bool) -> bool:
    if not group:
        return False
    if name in group:
        return is_after_blank or name in _NAMES or name == "action"
    return is_after_blank and name in _NAMES and not group.keys().isdisjoint(("action", "status"))


def _part(fields: dict[str, str]) -> Part:
    status = _STATUS.search(fields.get("status", ""))
    diagnostic = fields.get("diagnostic-code") or fields.get("x-supplementary-info")
    return Part(
        final_recipient=_address(fields.get("final-recipient")),
        original_recipient=_address(fields.get("original-recipient")),
        action=_action(fields.get("action", "")),
        status=status[0] if status else None,
        diagnostic=typed(diagnostic, MAX_DIAGNOSTIC),
        remote_mta=typed(fields.get("remote-mta")),
    )


def _action(value: str) -> str:
    word = value.strip().lower()
    return next((action for beginning, action in _ACTIONS if word.startswith(beginning)), "")


def typed(value: str | None, limit: int = MAX_VALUE) -> str | None:
    """The value of a field that names its type first (`dns; mx.example`), or None."""
    if value is None:
        return None
    match = _TYPE.match(value.lstrip())
    text = value.lstrip()[match.end() :] if match else value
    return text.strip()[:limit] or None


def _address(value: str | None) -> str | None:
    """The address of a recipient field, without brackets, name and comment."""
    text = typed(value)
    if text is None:
        return None
    if angled := _ANGLED.search(text):
        text = angled[1]
        match = _TYPE.match(text)
        text = text[match.end() :] if match else text
    text = _COMMENT.sub("", text).strip("<> \t")
    text = _UTF8_ADDRESS.sub(_character, text) if "\\x{" in text else text
    return _decode_xtext(text) or None


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if 0x20 <= code < 0xD800 or 0xE000 <= code <= 0x10FFFF else match[0]


def _decode_xtext(text: str) -> str:
    """`text` without the encoding of RFC 3461 section 4, which some servers leave in Original-Recipient."""
    if "+" not in text:
        return text
    if "@" not in text:
        text = text.replace("+40", "@", 1)
    data = _XTEXT.sub(lambda match: chr(int(match[1], 16)), text)
    try:
        return decode_undeclared(data.encode("latin-1"))
    except UnicodeEncodeError:
        return data
