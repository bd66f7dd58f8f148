"""Failure notices that are not RFC 3464: which recipients they name, and why.

Rows of data say how those of each kind of server look (`bounce_rows`); for the rest there is a careful
general recognizer. People's mail and vacation notices must not be taken for one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain
from typing import NamedTuple

from . import autoreply
from .address_list import addresses_in
from .bounce_rows import ROWS
from .bounce_rows.row import ADDRESS, Row
from .bounce_words import DELAYS, ENDS, FAILURE_SUBJECTS, FAILURE_TEXTS, GIVEN_UP, MAILERS, RECIPIENT_LABELS
from .delivery_status import Part
from .enhanced_code import find_status
from .header import Fields, decode_header
from .phrases import Phrases, Text, has_any, plain

MAX_VALUE = 2000  # characters of a field's value, and of a reason
MAX_RECIPIENTS = 500
FIRST_CHARACTERS = 3000  # of the text, where a notice has said what it is
MAX_MENTIONS = 3  # of one recipient
MAX_BLOCK = 4000  # characters below a recipient
MAX_LINES_NAMING = 10
# Characters that patterns see around an address: those of rows, which see the reason too, and all others.
BEFORE_ADDRESS, BEHIND_ADDRESS = 400, 2000
CLOSE_BEFORE, CLOSE_BEHIND = 150, 350
REASON_LINES = 30
OF_FAILURES = "45"  # the first digits of their codes


@dataclass(frozen=True)
class Shape:
    """A notice: the name of its row, and what it says of each recipient. There is at least one part.

    The action of a part is "failed" or "delayed"; it has neither remote host nor stage.
    """

    name: str
    parts: tuple[Part, ...]


def find(header: Fields, text: Text, *, has_null_path: bool = False) -> Shape | None:
    """What a failure notice says, or None for any other mail. Never raises.

    `text` is that of the message, in which any mail that came back may still stand; `has_null_path`: it came
    with the null reverse-path, as notices must (RFC 5321, section 4.5.5).
    """
    notice = _Notice(header, text, has_null_path)
    if not notice.is_of_machine:
        return None
    said = _STARTS.all_in(text)
    unfinished: Shape | None = None
    for form in _FORMS:
        if form.starts and said.isdisjoint(form.starts):
            continue
        shape = _read(form, notice, next(filter(said.__contains__, form.starts), ""))
        if shape and shape.parts[0].final_recipient:
            return shape
        unfinished = unfinished or shape
    shape = _general(notice)
    return shape or (unfinished if notice.is_about_failure or notice.tells else None)


_HEADER_LINE = re.compile(
    r"(?i)(?:received|return-path|dkim-signature|delivered-to|mime-version|x-mailer): ?\S"
)
_FIELD_LINE = re.compile(r"(?i)(?:from|to|subject|date|message-id|reply-to|cc|sender): ?\S")
_DECORATED = re.compile(r"[ \t]{0,40}[-=*_|#+~]{2}")
_DECORATION = " \t-=*_|#+~>.<"
_FIRST_TWO = frozenset([end[:2] for end in ENDS])
_OWN_NAMES = re.compile(
    r"(?i)<?(?:postmaster|mailer-daemon|mail-daemon|abuse|support|help|helpdesk|hostmaster|noreply|no-reply|root|webmaster"
    r"|microsoftexchange[0-9a-f]{32}|mdaemon|mailmaster|double-bounce)@"
)
_REPLY_OR_FORWARD = re.compile(
    r"(?i)\s{0,9}(?:re|aw|sv|vs|vl|odp|antw|betr|ynt|va|res|rif|r|i|fw|fwd|wg|tr|rv|enc|doorst|vb|ilt|pd|отв|回复|答复|转发|轉寄)"
    r"\s{0,3}(?:\[\d{1,3}\])?\s{0,3}[:：]"
)


@dataclass
class _Notice:
    """A mail that may be a notice, as the rows look at it."""

    header: Fields
    said: Text
    has_null_path: bool

    def values(self, name: str) -> list[str]:
        """The values of the fields with this name in lower case."""
        return [value[:MAX_VALUE] for value in self.header.values(name)]

    @cached_property
    def sender(self) -> str:
        """From, decoded."""
        return decode_header(" ".join(self.values("from"))[:MAX_VALUE])

    @cached_property
    def subject(self) -> str:
        """The Subject, decoded; all of them, where a gateway has put one of its own beside it."""
        return decode_header(" ".join(self.values("subject"))[:MAX_VALUE])

    @property
    def lines(self) -> list[str]:
        """The lines of the text."""
        return self.said.lines

    @cached_property
    def is_mailer(self) -> bool:
        """Does its From look like a mail server's?"""
        return has_any(plain(self.sender), MAILERS)

    @cached_property
    def is_about_failure(self) -> bool:
        """Does its subject speak of mail that did not arrive?"""
        return has_any(plain(self.subject), FAILURE_SUBJECTS)

    @cached_property
    def tells(self) -> bool:
        """Do its first lines speak of mail that did not arrive, or not yet?"""
        first = self.said.plain[:FIRST_CHARACTERS]
        return _FAILURES.is_any_in(self.said, first) or _DELAYS.is_any_in(self.said, first)

    @cached_property
    def is_of_machine(self) -> bool:
        """May it be a notice at all? Replies, forwarded notices and vacations are not."""
        if not self.is_mailer and _REPLY_OR_FORWARD.match(self.subject):
            return False
        if autoreply.names_absence(self.subject) and not self.is_about_failure:
            return False
        if autoreply.is_receipt(self.header) or (autoreply.is_marked(self.header) and not self.is_mailer):
            return False
        if self.is_mailer or self.is_about_failure or self.values("x-failed-recipients"):
            return True
        return (self.has_null_path or bool(self.values("auto-submitted"))) and self.tells

    @cached_property
    def own_addresses(self) -> frozenset[str]:
        """The addresses of the notice itself: who sent it, and to whom."""
        values = [value for name in ("from", "to", "reply-to") for value in self.values(name)]
        return frozenset(address.lower() for value in values for address in addresses_in(value[:MAX_VALUE]))

    @property
    def sender_domain(self) -> str:
        """The domain of From, or ""."""
        address = next(iter(addresses_in(" ".join(self.values("from"))[:MAX_VALUE])), "")
        return address.rpartition("@")[2]

    def may_have_failed(self, found: _Found) -> bool:
        """May this address be a recipient's, and not that of the notice's sender or reader?"""
        return not _OWN_NAMES.match(found.address) and found.address.lower() not in self.own_addresses

    def line_of(self, phrase: str) -> int:
        """The number of the line in which a phrase of the plain text begins."""
        words = r"\s{1,200}".join(map(re.escape, phrase.split()))
        match = re.search(words, self.said.folded)
        return self.said.folded.count("\n", 0, match.start()) if match else 0

    @cached_property
    def headings(self) -> list[int]:
        """The numbers of the lines at which a mail that came back may begin, in ascending order."""
        found, run = [], 0
        for number, (line, folded) in enumerate(zip(self.lines, self.said.folded.split("\n"), strict=True)):
            may_be_field = ":" in line
            run = run + 1 if may_be_field and _FIELD_LINE.match(line) else 0
            if run == 3:  # of its header fields
                found.append(number - 2)
            elif (may_be_field and _HEADER_LINE.match(line)) or _is_heading(
                line, folded[:200].strip(_DECORATION)
            ):
                found.append(number)
        return found

    def end_from(self, start: int, ends: tuple[str, ...]) -> int:
        """The number of the first line, after `start`, of the mail that came back."""
        end = next((number for number in self.headings if number > start), len(self.lines))
        if ends:
            for number, line in enumerate(self.said.folded.split("\n")[start + 1 : end], start + 1):
                if line.strip(_DECORATION).startswith(ends):
                    return number
        return end


def _is_heading(line: str, text: str) -> bool:
    """Does this line, `text` without decoration, announce the mail that came back?"""
    if text[:2] not in _FIRST_TWO or not text.startswith(ENDS) or text.startswith("the original message was"):
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


class _Form(NamedTuple):
    """A row made ready: its phrases are plain text."""

    row: Row
    starts: tuple[str, ...]
    ends: tuple[str, ...]


_FORMS = tuple(_Form(row, tuple(map(plain, row.starts)), tuple(map(plain, row.ends))) for row in ROWS)
_STARTS = Phrases(phrase for form in _FORMS for phrase in form.starts)
_FAILURES, _DELAYS, _GIVEN_UP = Phrases(FAILURE_TEXTS), Phrases(DELAYS), Phrases(GIVEN_UP)


def _read(form: _Form, notice: _Notice, phrase: str) -> Shape | None:
    """What a notice of this shape says, or None if it has another. `phrase` is one of its `starts`."""
    row = form.row
    if not _is_from(row, notice):
        return None
    pattern = _compiled(row.recipient)
    if not phrase and not any(_near_addresses(pattern, notice.said.text)):
        return None
    start = notice.line_of(phrase) if phrase else 0
    end = notice.end_from(start, form.ends)
    domain = notice.sender_domain if row.domain == "@" else row.domain
    # Some say what has failed before they say that it has, or show a heading first.
    for lines in (slice(start, end), slice(end), slice(start, None)):
        said = "\n".join(notice.lines[lines])
        matches = _matches(pattern, said, 0, len(said)) if domain else _near_addresses(pattern, said)
        each = (_found(match, domain) for match in matches)
        found = _limited(
            one for one in each if (lines.start == start and lines.stop == end) or notice.may_have_failed(one)
        )
        if found or not phrase:
            break
    if not found and not phrase:
        return None
    action = "delayed" if row.is_delay or _is_delay(notice, said) else "failed"
    return Shape(row.name, _parts(said, found, row.reason, action))


def _near_addresses(
    pattern: re.Pattern[str], text: str, before: int = BEFORE_ADDRESS, behind: int = BEHIND_ADDRESS
) -> Iterator[re.Match[str]]:
    """The matches of a pattern for an address: most text is far from any, and costs no time."""
    for start, end in _near(text, before, behind):
        yield from _matches(pattern, text, start, end)


def _near(text: str, before: int, behind: int) -> list[tuple[int, int]]:
    """The parts of a text, in whole lines, that have addresses in them."""
    found: list[tuple[int, int]] = []
    at = text.find("@")
    while at >= 0:
        start = text.rfind("\n", 0, max(at - before, 0)) + 1
        end = text.find("\n", at + behind)
        end = len(text) if end < 0 else end
        if found and start <= found[-1][1]:
            start = found.pop()[0]
        found.append((start, end))
        at = text.find("@", max(at + 1, end - behind))
    return found


def _matches(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """The matches in a part of a text that begins with a line, as `finditer` finds them.

    A pattern that begins with `^` is tried where lines begin, and at no other character.
    """
    if not pattern.pattern.startswith("^"):
        yield from pattern.finditer(text, start, end)
        return
    newline, line = 0, start
    while newline >= 0:
        match = pattern.match(text, line, end)
        if match:
            yield match
        newline = text.find("\n", match.end() - 1 if match else line, end)
        line = newline + 1


def _close(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """As `_near_addresses`, of a pattern that sees only what stands right beside an address."""
    return _near_addresses(pattern, text, CLOSE_BEFORE, CLOSE_BEHIND)


def _is_from(row: Row, notice: _Notice) -> bool:
    """Does the header of the notice fit the row?"""
    if row.sender and not _compiled(row.sender).search(notice.sender):
        return False
    if row.subject and not _compiled(row.subject).search(notice.subject):
        return False
    return not row.field or any(
        _compiled(row.field).match(f"{name}: {value[:MAX_VALUE]}") for name, value in notice.header.all
    )


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


def _limited(found: Iterable[_Found]) -> list[_Found]:
    """As many recipients as are read, and the first mentions of each."""
    mentions: Counter[str] = Counter()
    kept = []
    for each in found:
        mentions[each.address.lower()] += 1
        if mentions[each.address.lower()] <= MAX_MENTIONS:
            kept.append(each)
        if len(kept) == MAX_RECIPIENTS:
            break
    return kept


def bare(address: str) -> str:
    """An address as written in running text, without brackets, quotation marks and the final full stop."""
    return _PREFIX.sub("", address.strip("<>'\"` \t.,;:"))


_PREFIX = re.compile(r"(?i)\A(?:mailto|smtp|rfc822)[:=;]")
# The digit stands before the look-behind, as the search for it is quick.
_CODE = re.compile(r"[45](?<![\d.].)(?:\d\d(?=[ -]|$)|\.\d{1,3}\.\d{1,3}(?!\.?\d))", re.ASCII | re.MULTILINE)
_PUNCTUATION = " \t:;,.>)]\"'*"
_COMMAND = re.compile(r"(?i)\b(?:RCPT|MAIL)\b")
_MAY_NAME_ALIAS = re.compile("(?i)ed (?:from|by)")
_VIA = re.compile(rf"(?i)(?:generated|expanded) (?:from|by):? {{0,3}}(?P<via>{ADDRESS})")


def _parts(said: str, found: Sequence[_Found], pattern: str, action: str) -> tuple[Part, ...]:
    """A part for each recipient with the reason that `said`, the explanation, gives for it."""
    if not found:
        return (
            Part(None, None, action, find_status(said, OF_FAILURES), _diagnostic(said[:FIRST_CHARACTERS])),
        )
    blocks = _blocks(said, found)
    reasons = _reasons(said, blocks, pattern)
    above = said[: found[0].start].rstrip().rpartition("\n\n")[2]
    naming = _lines_naming(said)
    parts: dict[str, Part] = {}
    for each, block, reason in zip(found, blocks, reasons, strict=True):
        key = each.address.lower()
        if key in parts and parts[key].status:
            continue
        why = " ".join([each.why, reason])[:MAX_VALUE]
        if not _CODE.search(why):
            more = next(filter(_CODE.search, naming.get(key, ())), "") or _paragraph(block)
            why += "" if more in why else f" {more}"
        text = _diagnostic(why) or _diagnostic(above)
        via = each.via or _alias(_paragraph(block))
        code = find_status(text or "", OF_FAILURES)
        if key not in parts or code:
            parts[key] = Part(each.address, via, action, code, text)
    [*others, last] = parts.values()
    if not others and last.status is None:
        last = replace(last, status=find_status(said, OF_FAILURES))
    return (*others, last)


def _alias(reason: str) -> str | None:
    """The address that a recipient stands behind, as a reason names it."""
    match = _VIA.search(reason) if _MAY_NAME_ALIAS.search(reason) else None
    return bare(match["via"]) if match else None


def _blocks(said: str, found: Sequence[_Found]) -> list[str]:
    """The text below each recipient, up to the next one."""
    blocks = []
    end, following = len(said), len(said)
    for each, after in reversed([*zip(found, [*found[1:], None], strict=True)]):
        if after and after.address.lower() != each.address.lower():
            end = following
        blocks.append(said[each.end : min(end, each.end + MAX_BLOCK)])
        following = each.start
    return blocks[::-1]


def _reasons(said: str, blocks: Sequence[str], pattern: str) -> list[str]:
    """The reason in the text below each recipient; what is said only once is true for all of them."""
    if not pattern:
        return [_paragraph(block) for block in blocks]
    reasons = [match["why"] if (match := _compiled(pattern).search(block)) else "" for block in blocks]
    if any(reasons[:-1]) or (len(reasons) == 1 and reasons[0]):
        return reasons
    once = reasons[-1] or (match["why"] if (match := _compiled(pattern).search(said)) else "")
    return [once] * len(reasons)


def _paragraph(block: str) -> str:
    """The first paragraph of the text below a recipient, from the same line on."""
    lines: list[str] = []
    for line in block.split("\n", REASON_LINES)[:REASON_LINES]:
        if lines:
            if not line.strip():
                break
            lines.append(line)
        elif text := line.lstrip(_PUNCTUATION):
            lines.append(text)
    return "\n".join(lines)


def _lines_naming(said: str) -> dict[str, list[str]]:
    """The lines that name each address; below a command of SMTP, what was answered."""
    naming: dict[str, list[str]] = {}
    lines = said.split("\n")
    for number, line in enumerate(lines):
        if "@" not in line:
            continue
        text = line
        if _COMMAND.search(line):
            text = "\n".join(lines[number : number + 3])
        for match in _compiled(ADDRESS).finditer(line):
            known = naming.setdefault(bare(match[0]).lower(), [])
            if len(known) < MAX_LINES_NAMING:
                known.append(text[:MAX_VALUE])
    return naming


def _diagnostic(text: str) -> str | None:
    return " ".join(text.split())[:MAX_VALUE] or None


def _is_delay(notice: _Notice, said: str) -> bool:
    """Does the server go on trying?"""
    about = plain(notice.subject)
    text = plain(said[:FIRST_CHARACTERS])
    return (has_any(about, DELAYS) or _DELAYS.is_any_in(notice.said, text)) and not (
        has_any(about, GIVEN_UP) or _GIVEN_UP.is_any_in(notice.said, text)
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
    r"(?:\b(?:to|for|an|für|à|a|para|per|al|naar|aan|voor|do|dla|till|til|на|для|кому|and|und|et|y|e)|[,;])"
    rf"[ \t\n]{{1,20}}['\"“«]?(?P<to>{ADDRESS})",
    rf"(?P<to>{ADDRESS})",
)


def _general(notice: _Notice) -> Shape | None:
    """A notice of no known shape: its sender, subject and first lines must agree that mail has failed."""
    if _REPLY_OR_FORWARD.match(notice.subject):
        return None
    failed = [address for value in notice.values("x-failed-recipients") for address in value.split(",")]
    if notice.is_mailer or failed:
        is_notice = notice.is_about_failure or notice.tells
    else:
        has_code = _CODE.search(notice.said.plain[:FIRST_CHARACTERS]) is not None
        is_notice = notice.has_null_path and (notice.is_about_failure or (notice.tells and has_code))
    if not is_notice or autoreply.is_challenge(notice.header, notice.said):
        return None
    end = notice.end_from(0, ())
    said = "\n".join(notice.lines[:end])
    found = _named(failed, said) or _general_recipients(said, notice)
    if not found:
        found = [_Found(0, 0, each.address) for each in _general_recipients(notice.subject, notice)[:1]]
    if not found and not notice.is_about_failure:
        return None
    action = "delayed" if _is_delay(notice, said) else "failed"
    return Shape("general", _parts(said, found, "", action))


def _named(addresses: Sequence[str], said: str) -> list[_Found]:
    """Recipients that the header names (Exim), with their places in the text."""
    found = []
    for address in dict.fromkeys(map(bare, addresses[:MAX_RECIPIENTS])):
        if address:
            start = max(said.find(address), 0)
            found.append(_Found(start, start + len(address), address))
    return sorted(found)


def _general_recipients(said: str, notice: _Notice) -> list[_Found]:
    """The recipients that a text names in the most telling of several ways."""
    labelled = (match for match in _close(_LABELLED, said) if plain(match["label"]) in RECIPIENT_LABELS)
    others = (_close(_compiled(pattern), said) for pattern in _GENERAL)
    for matches in chain([labelled], others):
        all_found = (_found(match, "") for match in matches)
        found = _limited(each for each in all_found if notice.may_have_failed(each))
        if found:
            return found
    return []
