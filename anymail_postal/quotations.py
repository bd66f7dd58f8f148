"""Find the quoted lines of a reply. Pure.

Only what is certainly quoted is found: by the markup of a mail program, by `>`, or by the words of a mail
program with a date, a time or an address. In case of doubt, a quotation stays, so that nothing of the
author's is removed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .quotation_words import DEVICES, FORWARDS, LANGUAGES, MODEL_NAMES, REPLIES, Language
from .reply_lines import INVISIBLE, Line

MAX_SHOWN = 500  # characters of a line that may introduce a quotation
MAX_INTRODUCTION = 400  # characters of "On 3 June 2025, Ann <ann@example.org> wrote:"
MAX_INTRODUCTION_LINES = 4  # over which mail programs break it
MAX_BARE_WORDS = 7  # without a verb: "Jun 3, 2025, 10:00 by ann@example.org:"
MAX_LABEL = 45
MAX_SEARCHED = 20_000  # characters that are searched for the language of a header
MAX_HEADER_LINES = 30
MAX_TRIES = 100  # lines that seem to begin a quotation but do not, after which the search ends
MAX_SIGNATURES = 4
MAX_DEVICE = 60  # characters
MAX_BLOCKS = 200  # quotations, after which the search ends
MAX_SIGNATURE_LINES = 12  # below "-- "

ADDRESS = re.compile(r"[^\s<>@\[(]@[^\s<>@]")
WITH_ADDRESS = re.compile(r"\S{0,100}@\S{0,200}")
# An address after a name, as mail programs write it.
BRACKETED = re.compile(r"[<(\[]\s*(?:mailto:)?[^\s<>()@]{1,100}@[^\s<>()@]{1,200}\s*[>)\]]")
# A time in a mail's source (RFC 5322, section 3.3); in quotations, mail programs write times differently.
SOURCE_TIME = re.compile(
    r"\d{2}:\d{2}:\d{2} [+-]\d{4}\b|[a-z]{3}, \d{1,2} [a-z]{3} \d{4} \d{2}:\d{2}:\d{2} gmt\b"
)
TIME = re.compile(r"\d{1,2}\s?[:.h時时点시]\s?\d{2}")
NO_ADDRESS, BARE_ADDRESS, NAME_AND_ADDRESS = range(3)  # programs write "Ann <ann@example.org>", or a link
SHORT_DATE = re.compile(r"\d{1,2}[./-] ?\d{1,2}[./-] ?\d{2}")
LONG_DATE = re.compile(r"\d{1,2}[./-] ?\d{1,2}[./-] ?\d{4}|\d{4}[./-] ?\d{1,2}[./-] ?\d{1,2}")
LONG_YEAR = re.compile(r"\d{4}")
YEAR = re.compile(f"{LONG_YEAR.pattern}|{SHORT_DATE.pattern}")
DATE = re.compile(rf"{YEAR.pattern}|\d{{1,2}}[./-]\d{{1,2}}|{TIME.pattern}")
RUN_ON = ":   "  # Yahoo's Android app has the quoted text in the same line
SENTENCE_END = (".", "!", "?", "…", "。", "！", "？")
RULE_SIGNS = frozenset("-_=*─—–~")
RULE = re.compile(r"[-_=*─—–~]{10,}")
DECORATION = " \t-–—_*=<>|·•~"
LINK = re.compile(r"<[^<>]*>|\(https?:[^()]*\)|\[[^\[\]]*\]")
COUNT = re.compile(r"[\[(]?\d*[\])]?$")

NO_NAMES = frozenset(["i", "ich", "ihr", "ihre", "sie", "wir"])  # although they may begin with a capital

SPACED_SCRIPTS = "\u0590"  # Latin, Greek and Cyrillic come before, Hebrew and all that follow after

DROPPED = dict.fromkeys(map(ord, INVISIBLE))


def normal(text: str) -> str:
    """A text for comparisons: in one width and case, with single spaces, without directional marks."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(DROPPED))
    return " ".join(text.casefold().split())


# --- words ---


@dataclass(frozen=True)
class Words:
    """The words of some languages, in the form for comparisons."""

    labels: dict[str, tuple[tuple[str, str], ...]]  # label -> its meanings: code of a language, kind
    original: frozenset[str]
    forwarded: frozenset[str]
    opens: frozenset[str]  # the first words
    opens_unspaced: tuple[str, ...]  # of scripts that join them to what follows
    wrote: tuple[str, ...]
    signatures: tuple[tuple[str, str], ...]  # the text before and after the device


@lru_cache(maxsize=16)
def words(codes: tuple[str, ...] | None = None) -> Words:
    """The words of the languages with these codes ("zh" is all of Chinese), or of all."""
    wanted = None if codes is None else {code.lower() for code in codes}
    rows = [row for row in LANGUAGES if wanted is None or not wanted.isdisjoint(_codes(row))]
    labels: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        for kind in ("sender", "sent", "date", "to", "cc", "subject"):
            for label in _split(getattr(row, kind)):
                labels.setdefault(_label(label), []).append((row.code, kind))
    opens = [each for row in rows for each in _split(row.opens)]
    return Words(
        labels={label: tuple(meanings) for label, meanings in labels.items()},
        original=frozenset(each for row in rows for each in _split(row.original)),
        forwarded=frozenset(each for row in rows for each in _split(row.forwarded)),
        opens=frozenset(each.partition(" ")[0].rstrip(".") for each in opens),
        opens_unspaced=tuple(each for each in opens if each > SPACED_SCRIPTS),
        wrote=tuple({each: None for row in rows for each in _split(row.wrote)}),
        signatures=tuple(_signature(each) for row in rows for each in row.signatures.split("|") if each),
    )


def _codes(row: Language) -> set[str]:
    return {row.code.lower(), row.code.partition("-")[0]}


def _split(alternatives: str) -> list[str]:
    return [normal(each) for each in alternatives.split("|") if each]


def _label(text: str) -> str:
    """A label without spaces, which some mail programs put between its letters."""
    return text.replace(" ", "")


def _signature(pattern: str) -> tuple[str, str]:
    before, _, after = pattern.partition("{}")
    return normal(before), normal(after)


# Long names may be inflected ("z iPhonu"), short ones are separate words.
BRAND = re.compile(
    "|".join(
        f"(?<![a-z]){re.escape(brand)}" + ("(?![a-z])" if len(brand) <= 4 else "")
        for brand in map(normal, DEVICES.split("|"))
    )
)


MODELS = frozenset(normal(MODEL_NAMES).split("|"))


# --- subjects ---


@lru_cache(maxsize=1)
def _prefixes() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """The subject prefixes of replies and of forwarded mail, with their languages."""
    found: tuple[dict[str, set[str]], dict[str, set[str]]] = ({}, {})
    for row in LANGUAGES:
        for number, own, everywhere in ((0, row.replies, REPLIES), (1, row.forwards, FORWARDS)):
            for each in _split(f"{own}|{everywhere}"):
                found[number].setdefault(each, set()).add(row.code)
    return found


def is_replied(subject: str) -> bool:
    """Does a subject begin like that of a reply ("Re:", "AW:")?"""
    return _prefix(subject) in _prefixes()[0]


def is_forwarded(subject: str, read_text: Callable[[], str]) -> bool:
    """Does a subject begin like that of forwarded mail ("Fwd:", "WG:")?

    "VS:" is a reply in Finnish and forwarded mail in Danish. For such prefixes, the text is read, and its
    labels decide.
    """
    prefix = _prefix(subject)
    replies, forwards = _prefixes()
    if prefix not in forwards or prefix not in replies:
        return prefix in forwards
    return replies[prefix].isdisjoint(_languages_of_senders(read_text()[:MAX_SEARCHED].split("\n")))


def _prefix(subject: str) -> str:
    """The prefix of a subject: the word before a colon, "" if there is none."""
    text = subject[:MAX_SHOWN].strip()
    while text.startswith("[") and "]" in text:  # the tag of a list
        text = text.partition("]")[2].strip()
    prefix, colon, _ = normal(text[:MAX_LABEL]).partition(":")
    return COUNT.sub("", prefix).rstrip(" .^*") if colon else ""


def _languages_of_senders(lines: Iterable[str]) -> Iterator[str]:
    """The languages of the labels before a sender."""
    for line in lines:
        label, colon, _ = normal(line[:MAX_LABEL]).partition(":")
        if colon:
            for code, kind in words().labels.get(_label(label.strip(DECORATION)), ()):
                if kind == "sender":
                    yield code


# --- lines ---


@dataclass
class Block:
    """A quotation. Its introduction begins at line `start`, its text at `first`; it ends before `end`."""

    start: int
    first: int
    end: int

    @property
    def is_introduced(self) -> bool:
        return self.start < self.first


@dataclass(frozen=True)
class Cut:
    """The lines to remove: `lines` has a flag for each. `is_rest`: are all lines after some line removed?"""

    lines: list[bool]
    is_rest: bool


def find(lines: Sequence[Line], languages: Iterable[str] | None = None) -> Cut:
    """The quotations and mail programs' signatures in a reply. None of a mail that is all quotation."""
    return _Reply(lines, words(None if languages is None else tuple(languages))).cut()


class _Reply:
    def __init__(self, lines: Sequence[Line], known: Words) -> None:
        self._lines = lines
        self._blank = [line.is_blank for line in lines]
        self._words = known
        self._normal: list[str | None] = [None] * len(lines)
        self._tries = MAX_TRIES
        self._blocks: list[Block] = []
        self._end = len(lines)  # the line after which all is quoted
        self._rules: dict[str, int] = {}  # the first line of each
        self._has_copies = False  # of other mail that the author has inserted

    def cut(self) -> Cut:
        self._scan()
        gone = [number >= self._end for number in range(len(self._lines))]
        last = self._last_word()
        stays = [not self._goes(number, last) for number in range(len(self._blocks))]
        last_question = max(
            (block.first for block, stay in zip(self._blocks, stays, strict=True) if stay), default=-1
        )
        for block, stay in zip(self._blocks, stays, strict=True):
            # An answer needs its question: between answers, only introductions are removed.
            is_between = block.end <= last and block.first < last_question
            end = block.start if stay else block.first if is_between else block.end
            gone[block.start : end] = [True] * (end - block.start)
        if not any(self._says_something(number) for number in self._left(gone)):
            return Cut([False] * len(gone), is_rest=False)
        self._sign_off(gone)
        return Cut(gone, is_rest=self._end < len(self._lines))

    # --- from top to bottom ---

    def _scan(self) -> None:
        """Find the quotations, up to forwarded mail or the line after which all is quoted."""
        number, floor = 0, 0
        while number < len(self._lines) and len(self._blocks) < MAX_BLOCKS:
            line = self._lines[number]
            if line.is_last:
                self._end = self._with_rule(number, floor)
                return
            if self._blank[number]:
                number += 1
                continue
            if self._is_forwarded(number):
                return
            if line.is_quoted and not self._is_groupwise(number):
                end = self._block_end(number)
                self._blocks.append(Block(self._introduction(number, floor), number, end))
                number = floor = end
                continue
            heading_end = self._heading_end(number, floor)
            if heading_end is None:
                number += 1
                continue
            has_labels = self._meanings(number) or self._is_separator(number)
            start = self._with_rule(number, floor) if has_labels else self._with_separator(number, floor)
            first = self._next_text(heading_end)
            if first == len(self._lines) or not self._lines[first].is_quoted:
                self._end = start
                return
            end = self._block_end(first)
            self._blocks.append(Block(start, first, end))
            number = floor = end

    def _block_end(self, number: int) -> int:
        end = number
        while number < len(self._lines) and (self._lines[number].is_quoted or self._blank[number]):
            number += 1
            if self._lines[number - 1].is_quoted and not self._blank[number - 1]:
                end = number
        return end

    def _next_text(self, number: int) -> int:
        while number < len(self._lines) and self._blank[number]:
            number += 1
        return number

    def _text_above(self, number: int, floor: int) -> int:
        """The nearest line above that is not blank, not above `floor`; `floor` - 1 if there is none."""
        above = number - 1
        while above >= floor and self._blank[above]:
            above -= 1
        return above

    def _text(self, number: int) -> str:
        """A line without its `>` for comparisons, "" if it is too long to introduce anything."""
        found = self._normal[number]
        if found is None:
            text = self._lines[number].text
            found = normal(text) if len(text) <= MAX_SHOWN else ""
            if self._lines[number].is_quoted:
                found = found.lstrip("> ")
            self._normal[number] = found
        return found

    def _is_forwarded(self, number: int) -> bool:
        """Does forwarded mail begin here?"""
        text = self._text(number)
        phrase = text.strip(DECORATION)
        is_dashed = text.startswith("--") or text.endswith("--")
        return (is_dashed or phrase.endswith(":")) and phrase.rstrip(" :") in self._words.forwarded

    # --- introductions ---

    def _introduction(self, number: int, floor: int) -> int:
        """The first line of the introduction of the quotation at `number`; `number` if it has none."""
        above = self._text_above(number, floor)
        start = number
        while above >= floor and self._lines[above].introduces:
            start, above = above, above - 1
        if start == number:
            start = self._attribution_start(above, floor, number)
        return number if start == number else self._with_separator(start, floor)

    def _attribution_start(self, last: int, floor: int, default: int) -> int:
        """The first line of the attribution that ends with the line `last`, perhaps a few lines above.

        It is the nearest line that makes an attribution, or one above that begins like one.
        """
        best, joined, is_full = default, "", False
        for number in range(last, max(last - MAX_INTRODUCTION_LINES, floor - 1), -1):
            line = self._lines[number]
            if self._blank[number] or line.is_quoted or len(line.text) > MAX_SHOWN:
                break
            if number < last and _ends_sentence(line.text):
                break
            joined = f"{self._text(number)} {joined}".strip()
            is_first = number == floor or self._blank[number - 1]
            if best == default:
                is_start = number == last or is_first or self._opens(number)
            else:
                is_start = self._opens_with_word(number) and DATE.search(self._text(number)) is not None
            if not (is_start and self._is_attribution(joined) and self._names_a_writer(number, last + 1)):
                continue
            is_better = best == default or not is_full or self._opens_with_word(number)
            best = number if is_better else best
            is_full = _has_date_and_time(WITH_ADDRESS.sub("", joined))
            if is_full and (self._opens_with_word(number) or self._text(number)[:1].isdigit()):
                break
        return best

    def _is_attribution(self, text: str) -> bool:
        """Is this an attribution ("On 3 June, Ann wrote:")?

        It has a verb and an address, or a verb, a date and a time; or it is a date and an address.
        """
        if len(text) > MAX_INTRODUCTION:
            return False
        bare = text.strip(DECORATION)
        writes = self._writes(bare)
        if not (bare.endswith(":") or (writes and bare.endswith(self._words.wrote))):
            return False
        if not ADDRESS.search(text):
            return writes and _has_date_and_time(text)
        rest = WITH_ADDRESS.sub("", text)
        is_bare = bare.endswith((">:", "):", "]:")) or bare[:1].isdigit()
        is_short = len(bare.split()) <= MAX_BARE_WORDS and _has_date_and_time(rest)
        return writes or is_short or (is_bare and DATE.search(rest) is not None)

    def _writes(self, text: str) -> bool:
        return any(each in text for each in self._words.wrote)

    def _names_a_writer(self, start: int, end: int) -> bool:
        """Is there a name beside the verb, or an address before it? True if there is no verb.

        There is neither in "The manager wrote:" and "I wrote to ann@example.org:".
        """
        text = " ".join(line.text for line in self._lines[start:end]).translate(DROPPED)
        lower, address = text.lower(), text.find("@")
        places = [(lower.rfind(verb), len(verb)) for verb in self._words.wrote if verb in lower]
        return not places or any(
            0 <= address < place
            or _is_name(text[place + length :].split()[:1])
            or (address < 0 and _is_name(text[:place].split()[-1:]))
            for place, length in places
        )

    def _opens(self, number: int) -> bool:
        """Does this line begin like an attribution: with a known word, or with a number nearby?"""
        if self._opens_with_word(number):
            return True
        start = "".join(self._text(number).lstrip(DECORATION).split(" ", 4)[:4])
        return any(character.isdigit() for character in start)

    def _opens_with_word(self, number: int) -> bool:
        text = self._text(number).lstrip(DECORATION)
        first = text.partition(" ")[0]
        return first.rstrip(",.") in self._words.opens or text.startswith(self._words.opens_unspaced)

    def _begins_with_introduction(self, block: Block) -> bool:
        """Does a quotation itself begin with its introduction, as in Apple Mail and Foxmail?"""
        joined = ""
        for number in range(block.first, min(block.first + MAX_INTRODUCTION_LINES, block.end)):
            joined = f"{joined} {self._text(number)}".strip()
            if self._is_attribution(joined):
                return True
        return self._header_end(block.first) is not None

    def _with_rule(self, start: int, floor: int) -> int:
        """The line of the rule or the `-----Original Message-----` above `start`; `start` if there is none.

        A rule that the author has used before is the author's.
        """
        above = self._text_above(start, floor)
        if above >= floor and self._is_rule(above) and self._first_rule(self._text(above)) == above:
            return above
        return self._with_separator(start, floor)

    def _with_separator(self, start: int, floor: int) -> int:
        """The line of the `-----Original Message-----` above `start`; `start` if there is none."""
        above = self._text_above(start, floor)
        return above if above >= floor and self._is_separator(above) else start

    def _first_rule(self, text: str) -> int:
        """The first line with this rule."""
        if not self._rules:
            for number, line in enumerate(self._lines):
                if line.text.strip()[:1] in RULE_SIGNS and self._is_rule(number):
                    self._rules.setdefault(self._text(number), number)
        return self._rules[text]

    def _is_rule(self, number: int) -> bool:
        return RULE.fullmatch(self._text(number).replace(" ", "")) is not None

    def _is_separator(self, number: int) -> bool:
        text = self._text(number)
        return (text.startswith("--") or text.endswith("--")) and text.strip(
            DECORATION
        ) in self._words.original

    # --- quotations without `>` ---

    def _is_groupwise(self, number: int) -> bool:
        """Is this an introduction by GroupWise? ">>> Ann <ann@example.org> 03.06.2025 10:00 >>>"."""
        text = self._text(number)
        is_framed = self._lines[number].text.startswith(">>> ") and text.endswith(" >>>")
        return is_framed and _has_date_and_time(WITH_ADDRESS.sub("", text))

    def _begins_paragraph(self, number: int, floor: int) -> bool:
        """Is there no text of the author directly above?"""
        above = number - 1
        line = self._lines[number]
        is_first = above < floor or self._blank[above] or line.begins_block or line.has_rule
        return is_first or self._is_rule(above) or self._is_signature(above)

    def _heading_end(self, number: int, floor: int) -> int | None:
        """The end of the introduction of unmarked quoted mail that begins at this line, if any."""
        if self._tries <= 0 or len(self._lines[number].text) > MAX_SHOWN:
            return None
        if self._is_separator(number):
            self._tries -= 1
            end = self._separator_end(number)
        elif self._meanings(number):
            self._tries -= 1
            end = self._header_end(number)
        elif self._is_groupwise(number):
            end = number + 1
        else:
            end = self._attribution_end(number)
            end = None if end is None or not self._begins_paragraph(number, floor) else end
        if end is None or self._is_copied(number, floor, end) or self._begins_below(number, end):
            return None
        return end

    def _separator_end(self, number: int) -> int | None:
        """The end of a separator with the header or attribution after it; None if there is neither."""
        first = self._next_text(number + 1)
        if first == len(self._lines):
            return None
        end = self._header_end(first, is_sure=True)
        return end if end is not None else self._attribution_end(first, is_sure=True)

    def _begins_below(self, number: int, end: int) -> bool:
        """Does the header begin a few lines below, so that this line is the author's?"""
        if self._lines[number].has_rule or not self._meanings(number):
            return False
        return any(self._header_end(later) is not None for later in range(number + 1, end))

    def _is_copied(self, number: int, floor: int, end: int) -> bool:
        """Has the author copied this header or attribution from elsewhere?

        Authors introduce what they copy with a colon, perhaps several times, or copy a mail's source. Mail
        programs draw a line or nothing.
        """
        if self._lines[number].has_rule:
            return False
        start = self._with_rule(number, floor)
        above = self._text_above(start, floor)
        is_ruled = start < number or self._is_separator(number)
        is_introduced = above >= floor and self._text(above).endswith(":")
        is_source = bool(self._meanings(number)) and any(
            SOURCE_TIME.search(self._text(place)) for place in range(number, end)
        )
        is_copied = is_introduced or (not is_ruled and (self._has_copies or is_source))
        self._has_copies = self._has_copies or is_copied
        return is_copied

    def _meanings(self, number: int) -> tuple[tuple[str, str], ...]:
        """The possible meanings of the label of this line: languages and kinds."""
        return self._labelled(number)[0]

    def _labelled(self, number: int) -> tuple[tuple[tuple[str, str], ...], str]:
        text = self._text(number).lstrip(DECORATION)
        for sign in (":", "|"):
            label, found, value = text[: MAX_LABEL * 2].partition(sign)
            if found and len(label) <= MAX_LABEL:
                meanings = self._words.labels.get(_label(label.strip(DECORATION)), ())
                if meanings:
                    return meanings, value.strip(DECORATION) + text[MAX_LABEL * 2 :]
        return (), ""

    def _header_end(self, number: int, is_sure: bool = False) -> int | None:
        """The end of the header of a quoted mail that begins here.

        It has a sender, a time and a subject in one language, and either a name with an address or all of
        Outlook's labels in order, because people write "Date: 3 June 2025, 10:30" as well. Below a separator
        (`is_sure`) or Outlook's border, a sender and one of the others suffice.
        """
        is_sure = is_sure or self._lines[number].has_border
        kinds: dict[str, list[str]] = {}
        times: dict[str, str] = {}
        address, end, missed = NO_ADDRESS, number, 0
        for place in range(number, min(number + MAX_HEADER_LINES, len(self._lines))):
            if missed > 2:
                break
            if self._blank[place]:
                missed += 1
                continue
            meanings, value = self._labelled(place)
            if not meanings:
                if end == number or self._blank[place - 1]:
                    break
                # A list of recipients may have many lines.
                missed += not (ADDRESS.search(self._text(place)) or self._text(place).endswith((";", ",")))
                continue
            missed, end = 0, place + 1
            address = max(address, self._address(place))
            for code, kind in meanings:
                kinds.setdefault(code, []).append(kind)
                if kind in ("sent", "date"):
                    times[code] = value
        is_header = any(
            _is_header(found, times.get(code, ""), address, is_sure) for code, found in kinds.items()
        )
        return end if is_header else None

    def _address(self, number: int) -> int:
        """The address in a line."""
        text, is_linked = self._text(number), self._lines[number].has_address
        if "@" not in text or not ADDRESS.search(text):
            return NAME_AND_ADDRESS if is_linked else NO_ADDRESS
        return NAME_AND_ADDRESS if BRACKETED.search(text) else BARE_ADDRESS

    def _attribution_end(self, number: int, is_sure: bool = False) -> int | None:
        """The end of an attribution that begins here and has no marked quotation below it.

        It needs a date or time, an address in brackets, and a verb.
        """
        if not self._opens(number) and not is_sure:
            return None
        joined = ""
        for place in range(number, min(number + MAX_INTRODUCTION_LINES, len(self._lines))):
            line = self._lines[place]
            if self._blank[place] or line.is_quoted or len(line.text) > MAX_SHOWN:
                return None
            before, beginning, _ = line.text.partition(RUN_ON)
            joined = f"{joined} {normal(before) + ':' if beginning else self._text(place)}".strip()
            bare = joined.strip(DECORATION)
            if not bare.endswith(":") and not bare.endswith(self._words.wrote):
                continue
            self._tries -= 1
            if len(joined) > MAX_INTRODUCTION or not self._is_attribution(joined):
                return None
            if not beginning and self._attribution_start(place, number, -1) != number:
                return None
            is_framed = joined.startswith("---") and joined.endswith("---")
            is_full = self._writes(joined) and BRACKETED.search(joined) and _has_day(joined)
            return place + 1 if is_sure or is_framed or is_full else None
        return None

    # --- what is removed ---

    def _goes(self, which: int, last: int) -> bool:
        """Is a quotation certain enough to be removed?"""
        block = self._blocks[which]
        is_marked, is_below = self._lines[block.first].is_marked, block.end > last
        if block.is_introduced and (is_marked or is_below or self._names_an_address(block)):
            return True
        if (is_marked or is_below) and self._begins_with_introduction(block):
            return True
        if not (is_marked and is_below) or self._stands_above_another(which):
            return False
        floor = self._blocks[which - 1].end if which else 0
        above = self._text_above(block.start, floor)
        if above < floor or not self._text(above).endswith(":"):
            return True
        is_old_attribution = (
            self._opens_with_word(above)
            and self._writes(self._text(above))
            and YEAR.search(self._text(above)) is not None
            and self._names_a_writer(above, above + 1)
        )
        if is_old_attribution:  # "On Tue, 3 Jun 2025, Ann Lee wrote:", by Alpine and Google Groups
            block.start = above
        return is_old_attribution

    def _stands_above_another(self, which: int) -> bool:
        """Are these `>` lines the author's, because an introduced quotation follows?"""
        is_typed = self._lines[self._blocks[which].first].text.startswith(">")
        has_rest = self._end < len(self._lines)
        return is_typed and (has_rest or any(later.is_introduced for later in self._blocks[which + 1 :]))

    def _names_an_address(self, block: Block) -> bool:
        """Does the introduction name an address, so that the `blockquote` below is not the author's?"""
        return any(
            self._lines[number].introduces or ADDRESS.search(self._text(number))
            for number in range(block.start, block.first)
        )

    def _last_word(self) -> int:
        """The author's last line, neither quoted nor a signature below quotations; -1 if there is none."""
        taken = [number >= self._end for number in range(len(self._lines))]
        for block in self._blocks:
            taken[block.start : block.end] = [True] * (block.end - block.start)
        own = self._left(taken)
        for _ in range(MAX_SIGNATURES):
            if own and self._is_signature(own[-1]):
                own.pop()
        below = self._blocks[-1].end if self._blocks else 0
        for count, number in enumerate(reversed(own[-MAX_SIGNATURE_LINES:]), 1):
            if number >= below and self._lines[number].text.rstrip() == "--":
                del own[-count:]
                break
        return own[-1] if own else -1

    def _left(self, gone: Sequence[bool]) -> list[int]:
        return [number for number, is_blank in enumerate(self._blank) if not (is_blank or gone[number])]

    def _says_something(self, number: int) -> bool:
        return not self._is_rule(number) and not self._lines[number].is_quoted

    # --- signatures of mail programs ---

    def _sign_off(self, gone: list[bool]) -> None:
        """Remove the mail program's signature at the end, if any text remains."""
        left = self._left(gone)
        for _ in range(MAX_SIGNATURES):
            if len(left) == 1 or not self._is_signature(left[-1]):
                return
            gone[left.pop()] = True
            if len(left) > 1 and self._lines[left[-1]].text.rstrip() == "--":
                gone[left.pop()] = True

    def _is_signature(self, number: int) -> bool:
        """Is this line the signature of a mail program or a phone?"""
        text = self._lines[number].text
        if len(text) > MAX_SHOWN or self._lines[number].is_quoted or text.rstrip().endswith("?"):
            return False
        shown = LINK.sub(" ", text)
        text = normal(shown).strip(" .-–—_*()[]")
        return any(self._names_a_device(text, *each) for each in self._words.signatures)

    def _names_a_device(self, text: str, before: str, after: str) -> bool:
        if len(text) <= len(before) + len(after) or not (text.startswith(before) and text.endswith(after)):
            return False
        device = text[len(before) : len(text) - len(after)].strip()
        last = device.rpartition(" ")[2]
        is_name = last in MODELS or BRAND.search(last) or any(character.isdigit() for character in last)
        return len(device) <= MAX_DEVICE and bool(is_name) and BRAND.search(device) is not None


def _is_name(words_beside: list[str]) -> bool:
    """Is the word beside a verb a name? In scripts with capitals, it begins with one."""
    word = "".join(words_beside).strip(DECORATION + "\"'“”„«»,:;()")
    is_capital = bool(word) and not word[0].islower() and not word[0].isdigit()
    return word == "you" or (is_capital and word.casefold() not in NO_NAMES)


def _has_date_and_time(text: str) -> bool:
    """Are there a date and a time, from different digits? "3.06.25" is not a time."""
    is_long = LONG_YEAR.search(text) is not None
    rest = LONG_DATE.sub("", text) if is_long else SHORT_DATE.sub("", text, count=1)
    return (is_long or rest != text) and TIME.search(rest) is not None


def _has_day(text: str) -> bool:
    """Does a text have more of a date than a time?"""
    return re.search(r"\d", TIME.sub("", WITH_ADDRESS.sub("", text), count=1)) is not None


def _ends_sentence(text: str) -> bool:
    """Does a line end a sentence? The number of a day ("Fr., 28.") does not, nor does an address."""
    text = text.rstrip()
    if not text.endswith(SENTENCE_END) or text[-2:-1].isdigit():
        return False
    return "<" not in text or "@" not in text


def _is_header(kinds: list[str], time: str, address: int, is_sure: bool) -> bool:
    """Are lines of these kinds, in this order, the header of a mail that was sent at this time?"""
    order = ["sent" if kind == "date" else kind for kind in kinds if kind != "cc"]
    found, has_time = set(order), TIME.search(time) is not None
    if "sender" not in found:
        return False
    if is_sure:
        return address != NO_ADDRESS or len(found) > 1
    if order[:2] == ["sender", "subject"]:
        return False  # Apple Mail's order, which it uses in forwarded mail only
    is_outlook = len(found) == 4 and order[:2] == ["sender", "sent"] and order[-1] == "subject"
    if address == NAME_AND_ADDRESS:
        return is_outlook or (found >= {"sent", "subject"} and has_time)
    if address == BARE_ADDRESS:
        return is_outlook and ("sent" in kinds or has_time)
    return is_outlook and "sent" in kinds and _has_date_and_time(time)
