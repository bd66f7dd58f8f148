"""Failure notices that are not RFC 3464: which recipients they name, and why.

Rows of data say how those of each kind of server look (`bounce_rows`); for the rest there is a careful
general recognizer. People's mail and vacation notices must not be taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain, islice
from typing import NamedTuple

from . import autoreply
from .address_list import parse_mailboxes
from .bounce_rows import ROWS
from .bounce_rows.row import ADDRESS, Row
from .bounce_words import DELAYS, ENDS, FAILURE_SUBJECTS, FAILURE_TEXTS, GIVEN_UP, MAILERS, RECIPIENT_LABELS
from .header import decode_header, header_fields
from .phrases import fold, has_any, plain

MAX_HEADER = 64_000  # bytes of the header that are read
MAX_FIELDS = 500
MAX_VALUE = 2000  # bytes of a value, and characters of a reason
MAX_TEXT = 50_000  # characters of the text that are read
MAX_LINES = 2000
MAX_RECIPIENTS = 500
FIRST_CHARACTERS = 3000  # of the text, where a notice has said what it is
REASON_LINES = 30


@dataclass(frozen=True)
class ShapePart:
    """What a notice says of one recipient. `action` is "failed" or "delayed" (RFC 3464, section 2.3.3)."""

    recipient: str | None
    action: str
    status: str | None = None
    diagnostic: str | None = None
    original_recipient: str | None = None


@dataclass(frozen=True)
class Shape:
    """A notice: the name of its row, its recipients, and the mail that stands in its text, if any.

    `returned` begins with the header of that mail. There is at least one part.
    """

    name: str
    parts: tuple[ShapePart, ...]
    returned: str = ""


def find(header: bytes, text: str, *, has_null_path: bool = False) -> Shape | None:
    """What a failure notice says, or None for any other mail. Never raises.

    `text` is the decoded text of the message, in which any mail that came back may still stand;
    `has_null_path`: it came with the null reverse-path, as notices must (RFC 5321, section 4.5.5).
    """
    notice = _Notice(header[:MAX_HEADER], text[:MAX_TEXT], has_null_path)
    if not notice.is_of_machine:
        return None
    unfinished: Shape | None = None
    for row in ROWS:
        shape = _read(row, notice)
        if shape and shape.parts[0].recipient:
            return shape
        unfinished = unfinished or shape
    return _general(notice) or unfinished


_HEADER_LINE = re.compile(
    r"(?i)(?:received|return-path|dkim-signature|delivered-to|mime-version|x-mailer): ?\S"
)
_FIELD_LINE = re.compile(r"(?i)(?:from|to|subject|date|message-id|reply-to|cc|sender): ?\S")
_DECORATED = re.compile(r"[ \t]{0,40}[-=*_|#+~]{2}")
_DECORATION = " \t-=*_|#+~>.<"
_OWN_NAMES = re.compile(
    r"(?i)<?(?:postmaster|mailer-daemon|mail-daemon|abuse|support|help|helpdesk|hostmaster|noreply|no-reply|root|webmaster"
    r"|microsoftexchange[0-9a-f]{32}|mdaemon|mailmaster|double-bounce)@"
)
_REPLY_OR_FORWARD = re.compile(
    r"(?i)\s{0,9}(?:re|aw|sv|vs|vl|odp|antw|betr|ynt|va|res|rif|r|i|fw|fwd|wg|tr|rv|enc|doorst|vb|ilt|pd|отв|回复|答复|转发|轉寄)"
    r"\s{0,3}(?:\[\d{1,3}\])?\s{0,3}[:：]"
)
_ABOUT_MACHINE = frozenset({"auto-submitted", "x-failed-recipients"})


@dataclass
class _Notice:
    """A mail that may be a notice, as the rows look at it."""

    header: bytes
    raw_text: str
    has_null_path: bool
    fields: list[tuple[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.fields = [
            (name, value[:MAX_VALUE].decode("utf-8", "replace"))
            for name, value in header_fields(self.header, limit=MAX_FIELDS)
        ]

    def values(self, name: str) -> list[str]:
        """The values of the fields with this name in lower case."""
        return [value for key, value in self.fields if key.lower() == name]

    @cached_property
    def sender(self) -> str:
        """From, decoded."""
        return decode_header(" ".join(self.values("from"))[:MAX_VALUE])

    @cached_property
    def subject(self) -> str:
        """The Subject, decoded."""
        return decode_header(" ".join(self.values("subject"))[:MAX_VALUE])

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text."""
        text = self.raw_text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\xa0", " ")
        return text.split("\n")[:MAX_LINES]

    @cached_property
    def folded(self) -> str:
        """The text in lower case without accents, with the same lines."""
        return fold("\n".join(self.lines))

    @cached_property
    def flat(self) -> str:
        """The text in lower case without accents, one blank between words."""
        return " ".join(self.folded.split())

    @cached_property
    def is_mailer(self) -> bool:
        """Does its From look like a mail server's?"""
        return has_any(plain(self.sender), MAILERS)

    @cached_property
    def is_about_failure(self) -> bool:
        """Does its subject speak of mail that did not arrive?"""
        return has_any(plain(self.subject), FAILURE_SUBJECTS)

    @cached_property
    def is_of_machine(self) -> bool:
        """May it be a notice at all? Replies, forwarded notices and vacations are not."""
        if not self.is_mailer and _REPLY_OR_FORWARD.match(self.subject):
            return False
        if autoreply.names_absence(self.subject) and not self.is_about_failure:
            return False
        return (
            self.has_null_path
            or self.is_mailer
            or self.is_about_failure
            or any(name.lower() in _ABOUT_MACHINE for name, _ in self.fields)
        )

    @cached_property
    def own_addresses(self) -> frozenset[str]:
        """The addresses of the notice itself: who sent it, and to whom."""
        values = [value for name in ("from", "to", "reply-to") for value in self.values(name)]
        return frozenset(
            mailbox.address.lower() for value in values for mailbox in parse_mailboxes(value[:MAX_VALUE])
        )

    @property
    def sender_domain(self) -> str:
        """The domain of From, or ""."""
        mailbox = next(iter(parse_mailboxes(" ".join(self.values("from"))[:MAX_VALUE])), None)
        return mailbox.address.rpartition("@")[2] if mailbox else ""

    def line_of(self, phrase: str) -> int:
        """The number of the line in which a phrase of `flat` begins."""
        words = r"\s{1,200}".join(map(re.escape, phrase.split()))
        match = re.search(words, self.folded)
        return self.folded.count("\n", 0, match.start()) if match else 0

    def end_from(self, start: int, ends: Sequence[str]) -> int:
        """The number of the first line, after `start`, of the mail that came back."""
        run = 0
        for number in range(start + 1, len(self.lines)):
            line = self.lines[number]
            if not line.strip():
                run = 0
                continue
            run = run + 1 if _FIELD_LINE.match(line) else 0
            if run == 3:  # of its header fields
                return number - 2
            if _HEADER_LINE.match(line) or _is_heading(line, ends):
                return number
        return len(self.lines)

    def returned_from(self, end: int) -> str:
        """The mail that came back: the lines from its first header field on."""
        for number in range(end, len(self.lines)):
            if _FIELD_LINE.match(self.lines[number]) or _HEADER_LINE.match(self.lines[number]):
                return "\n".join(self.lines[number:])
        return ""


def _is_heading(line: str, ends: Sequence[str]) -> bool:
    """Does this line announce the mail that came back?"""
    text = plain(line[:200].strip(_DECORATION))
    if text.startswith(tuple(ends)) and ends:
        return True
    if not text.startswith(ENDS) or text.startswith("the original message was"):
        return False
    return bool(
        _DECORATED.match(line)
        or line.rstrip().endswith((":", ".", "：", "。"))
        or "follow" in text
        or "below" in text
        or text in ENDS
    )


@lru_cache(maxsize=1000)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.MULTILINE)


def _read(row: Row, notice: _Notice) -> Shape | None:
    """What a notice of this shape says, or None if it has another."""
    start = 0
    if row.starts:
        phrase = next((phrase for phrase in row.starts if phrase in notice.flat), None)
        if phrase is None:
            return None
    if row.sender and not _compiled(row.sender).search(notice.sender):
        return None
    if row.subject and not _compiled(row.subject).search(notice.subject):
        return None
    if row.field and not any(_compiled(row.field).match(f"{name}: {value}") for name, value in notice.fields):
        return None
    if row.starts and phrase:
        start = notice.line_of(phrase)
    end = notice.end_from(start, row.ends)
    said = "\n".join(notice.lines[start:end])
    action = "delayed" if row.is_delay or _is_delay(notice, said) else "failed"
    domain = notice.sender_domain if row.domain == "@" else row.domain
    matches = islice(_compiled(row.recipient).finditer(said), MAX_RECIPIENTS)
    found = [_found(match, domain) for match in matches]
    return Shape(row.name, _parts(said, found, row.reason, action), notice.returned_from(end))


class _Found(NamedTuple):
    """A recipient in a text: where it stands, and what stands beside it."""

    start: int
    end: int
    address: str
    why: str = ""
    via: str | None = None


def _found(match: re.Match[str], domain: str) -> _Found:
    groups = match.groupdict()
    address = bare(match["to"])
    if domain and "@" not in address:
        address = f"{address}@{domain}"
    via = groups.get("via")
    return _Found(match.start(), match.end(), address, groups.get("why") or "", bare(via) if via else None)


def bare(address: str) -> str:
    """An address as written in running text, without brackets, quotation marks and the final full stop."""
    return address.strip("<>'\"` \t.,;:").removeprefix("mailto:").removeprefix("SMTP:")


_ENHANCED_AFTER_CODE = re.compile(r"(?<![\d.])[45]\d\d[ -]{1,3}#?([45]\.\d{1,3}\.\d{1,3})(?!\.?\d)", re.ASCII)
_ENHANCED = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?!\.?\d)", re.ASCII)
_CODE = re.compile(
    r"(?<![\d.])[45]\d\d(?=[ -]|$)|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?!\.?\d)", re.ASCII | re.MULTILINE
)
_VIA = re.compile(rf"(?i)(?:generated|expanded) (?:from|by):? {{0,3}}(?P<via>{ADDRESS})")


def status(text: str) -> str | None:
    """The enhanced status code in what a server said, or None (RFC 3463)."""
    match = _ENHANCED_AFTER_CODE.search(text) or _ENHANCED.search(text)
    return match[1] if match else None


def _parts(said: str, found: Sequence[_Found], reason: str, action: str) -> tuple[ShapePart, ...]:
    """A part for each recipient with the reason that `said`, the explanation, gives for it."""
    if not found:
        return (ShapePart(None, action, status(said), _diagnostic(said[:FIRST_CHARACTERS])),)
    above = _last_paragraph(said[: found[0].start])
    naming = _lines_naming(said)
    parts: dict[str, ShapePart] = {}
    for position, each in enumerate(found):
        end = found[position + 1].start if position + 1 < len(found) else len(said)
        block = said[each.end : end]
        why = each.why or _reason(block, reason) or (_reason(said, reason) if reason else "")
        if not _CODE.search(why):
            more = next((line for line in naming.get(each.address.lower(), ()) if _CODE.search(line)), "")
            why = f"{why}\n{more}"
        if not why.strip():
            why = above
        via = each.via or next((bare(match["via"]) for match in _VIA.finditer(block[:1000])), None)
        code = status(why) or (status(said) if len(found) == 1 else None)
        part = ShapePart(each.address, action, code, _diagnostic(why), via)
        known = parts.get(each.address.lower())
        if known is None or (known.status is None and part.status):
            parts[each.address.lower()] = part
    return tuple(parts.values())


def _reason(block: str, pattern: str) -> str:
    """The reason in the text below a recipient: what the pattern finds, else the first paragraph."""
    if pattern:
        match = _compiled(pattern).search(block)
        return match["why"] if match else ""
    lines: list[str] = []
    for line in block.split("\n", REASON_LINES)[:REASON_LINES]:
        text = line.strip(" \t:;,>)]\"'")
        if not text and any(lines):
            break
        lines.append(text)
    return "\n".join(lines)


def _last_paragraph(text: str) -> str:
    return text.rstrip().rpartition("\n\n")[2]


def _lines_naming(said: str) -> dict[str, list[str]]:
    """The lines that name each address."""
    lines: dict[str, list[str]] = {}
    for line in said.split("\n"):
        if "@" in line:
            for match in _compiled(ADDRESS).finditer(line):
                lines.setdefault(bare(match[0]).lower(), []).append(line)
    return lines


def _diagnostic(text: str) -> str | None:
    return " ".join(text.split())[:MAX_VALUE] or None


def _is_delay(notice: _Notice, said: str) -> bool:
    """Does the server go on trying?"""
    about = plain(notice.subject)
    text = plain(said[:FIRST_CHARACTERS])
    return (has_any(about, DELAYS) or has_any(text, DELAYS)) and not (
        has_any(about, GIVEN_UP) or has_any(text, GIVEN_UP)
    )


# How the general recognizer looks for recipients, best first.
_LABELLED = re.compile(
    r"^[ \t>*|-]{0,20}(?P<label>[^\n:：=<@]{1,40}?)[ \t]{0,20}[:：=][ \t]{0,20}"
    rf"\[?(?:SMTP:)?(?P<to>{ADDRESS})",
    re.MULTILINE | re.IGNORECASE,
)
_GENERAL = (
    rf"^[ \t>*|•-]{{0,40}}['\"]?(?P<to>{ADDRESS})['\"]?[ \t]{{0,20}}:?[ \t]{{0,20}}$",
    rf"^[ \t>*|•-]{{0,40}}['\"]?(?P<to>{ADDRESS})['\"]?[ \t]{{0,20}}(?:[:;,(\[.]|-{{1,3}} |on |am |at |\()",
    r"\b(?:to|for|an|für|à|a|para|per|al|naar|aan|voor|do|dla|till|til|на|для|кому)"
    rf"[ \t\n]{{1,20}}['\"“«]?(?P<to>{ADDRESS})",
    rf"(?P<to>{ADDRESS})",
)


def _general(notice: _Notice) -> Shape | None:
    """A notice of no known shape: its sender, subject and first lines must agree that mail has failed."""
    if autoreply.is_marked(notice.header) or autoreply.is_challenge(notice.header, notice.raw_text):
        return None
    if not notice.is_mailer and _REPLY_OR_FORWARD.match(notice.subject):
        return None
    first = notice.flat[:FIRST_CHARACTERS]
    tells = has_any(first, FAILURE_TEXTS) or has_any(first, DELAYS)
    if notice.is_mailer:
        is_notice = notice.is_about_failure or tells
    elif notice.has_null_path:
        is_notice = notice.is_about_failure or (tells and _CODE.search(first) is not None)
    else:
        is_notice = False
    if not is_notice:
        return None
    end = notice.end_from(0, ())
    said = "\n".join(notice.lines[:end])
    found = _general_recipients(said, notice)
    if not found and not notice.is_about_failure:
        return None
    action = "delayed" if _is_delay(notice, said) else "failed"
    return Shape("general", _parts(said, found, "", action), notice.returned_from(end))


def _general_recipients(said: str, notice: _Notice) -> list[_Found]:
    """The recipients that a text names in the most telling of several ways."""
    labelled = [match for match in _LABELLED.finditer(said) if plain(match["label"]) in RECIPIENT_LABELS]
    others = (list(_compiled(pattern).finditer(said)) for pattern in _GENERAL)
    for matches in chain([labelled], others):
        found = [_found(match, "") for match in matches]
        found = [each for each in found if _may_be_recipient(each.address, notice)]
        if found:
            return found[:MAX_RECIPIENTS]
    return []


def _may_be_recipient(address: str, notice: _Notice) -> bool:
    return not _OWN_NAMES.match(address) and address.lower() not in notice.own_addresses
