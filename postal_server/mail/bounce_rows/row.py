"""One shape of failure notice that is not RFC 3464, as a row of data."""

from __future__ import annotations

from dataclasses import dataclass

# An address in running text, and one in angle brackets, whose local part may be quoted or not ASCII.
# Only the beginning of a word is tried, so that long words cost no time.
PLAIN = (
    r"(?<![\w.!#$%&*+/?^`{|}~-])[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?![A-Za-z0-9-]|\.[A-Za-z0-9])"
)
BRACKETED = r"""<(?:[^<>\s"]{1,64}|"[^<>"\n]{1,62}")@[^<>\s@]{1,253}>"""
ADDRESS = rf"(?:{BRACKETED}|{PLAIN})"
ALONE = rf"^[ \t]{{0,40}}['\"]?(?P<to>{ADDRESS})['\"]?[ \t]{{0,40}}$"  # on a line of its own
AT_START = rf"^[ \t]{{0,40}}['\"]?(?P<to>{ADDRESS})"  # of a line
FIRST_COLUMN = rf"^(?P<to>{ADDRESS}):"
PARAGRAPH = r"(?P<why>[^\n]+(?:\n[^\n]+){0,15})"  # up to the next empty line
LINE = r"(?P<why>[^\n]+)"


@dataclass(frozen=True, slots=True)
class Row:
    """How the notices of one kind of server look.

    A notice has this shape if one of the `starts` is in its text, and `sender` (in From), `subject` and
    `field` (a whole header field, `Name: value`) match. What is empty is not asked for.
    Patterns are regular expressions without regard to case; `recipient` and `reason` see lines (`^`, `$`).

    `starts` and `ends` are plain phrases: case, accents, blanks and line ends do not matter. What is said of
    the recipients stands between the first of the `starts` and the mail that came back, which begins at its
    header or a heading: one of `ends`, or an ordinary one.
    `recipient` has the group `to`, and may have `why`, the reason, and `via`, the address we had sent to.
    `reason` has the group `why`. It is looked for below each recipient; what is said once is true for all.
    Without it the reason is the paragraph below the recipient, or else that above the first one.
    `domain` completes recipients without one; "@" stands for the domain of From.
    `is_delay`: the server goes on trying. Others are delays if they say so in words that are known.
    """

    name: str
    starts: tuple[str, ...] = ()
    sender: str = ""
    subject: str = ""
    field: str = ""
    ends: tuple[str, ...] = ()
    recipient: str = AT_START
    reason: str = ""
    domain: str = ""
    is_delay: bool = False
