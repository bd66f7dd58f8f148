"""One shape of failure notice that is not RFC 3464, as a row of data."""

from __future__ import annotations

from dataclasses import dataclass

# An address in running text, and one in angle brackets, which may be quoted or not ASCII.
PLAIN = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}"
ADDRESS = rf"(?:<[^<>\s]{{1,64}}@[^<>\s@]{{1,253}}>|{PLAIN})"


@dataclass(frozen=True, slots=True)
class Row:
    """How the notices of one kind of server look.

    A notice has this shape if `sender` (in From), `subject` and `field` (a whole header field, `Name: value`)
    match, and one of the `starts` is in its text. Where one of them is empty, it is not asked for.
    Patterns are regular expressions without regard to case; `recipient` and `reason` see lines (`^`, `$`).

    `starts` and `ends` are plain words: any blanks or line ends may stand between them. What is said of the
    recipients stands between the first of the `starts` and the first of the `ends`.
    `recipient` has the group `to`, and may have `why`, the reason, and `via`, the address we had sent to.
    `reason` has the group `why`, and is looked for after each recipient, then anywhere. Without one,
    the reason is what stands below the recipient, or else above it.
    `domain` completes recipients without one; `"@"` stands for the domain of From.
    `is_delay`: the server goes on trying, and will send another notice.
    """

    name: str
    sender: str = ""
    subject: str = ""
    field: str = ""
    starts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    recipient: str = rf"^[ \t]{{0,40}}(?P<to>{ADDRESS})"
    reason: str = ""
    domain: str = ""
    is_delay: bool = False
