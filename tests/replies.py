"""The corpus of replies in tests/corpus/replies, and the table in docs/replies.md that is made from it.

Each sample has the structure that a mail program gives to a reply, in one of its languages, as text or HTML:

    name, language, subject
    text, html   the body
    wrote        the lines of its author, which must all be left, in this order
    quoted       what must not be left; missing where nothing is quoted, or answers stand between
    absent       what a mail program signed with

`python -m tests.replies` writes the table anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from anymail_postal.inbound_message import InboundMessage
from anymail_postal.quotation_words import LANGUAGES

ROOT = Path(__file__).resolve().parent.parent
# A tenth of the time, where PyYAML has been compiled.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FOLDER = ROOT / "tests" / "corpus" / "replies"
PAGE = ROOT / "docs" / "replies.md"
PROGRAMS = {
    "gmail": "Gmail",
    "outlook": "Outlook",
    "apple": "Apple Mail",
    "thunderbird": "Thunderbird",
    "yahoo": "Yahoo",
}
BEGIN, END = "<!-- made by tests/replies.py: begin -->\n", "<!-- made by tests/replies.py: end -->\n"


@dataclass(frozen=True, eq=False)
class Sample:
    """One reply."""

    program: str
    name: str
    language: str
    subject: str
    wrote: list[str]
    text: str | None = None
    html: str | None = None
    quoted: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    def message(self) -> Any:
        """The mail, as the inbound view has it."""
        headers = [("From", "bob@example.net"), ("Subject", self.subject), ("In-Reply-To", "<1@example.org>")]
        return InboundMessage.construct(headers=headers, text=self.text, html=self.html)


@cache
def samples() -> tuple[Sample, ...]:
    """All of them."""
    return tuple(_read())


def _read() -> Iterator[Sample]:
    for path in sorted(FOLDER.glob("*.yaml")):
        for fields in yaml.load(path.read_text("utf-8"), Loader):
            yield Sample(program=path.stem, **fields)


@cache
def stripped(sample: Sample) -> list[str]:
    """What the inbound view leaves of it: the text, and the HTML as text."""
    from anymail_postal.reply_text import whole_text
    from anymail_postal.webhooks import PostalInboundWebhookView

    message = sample.message()
    PostalInboundWebhookView().strip_reply(message)
    html = None if message.stripped_html is None else whole_text(None, message.stripped_html).text
    return [each for each in (message.stripped_text, html) if each is not None]


def words(text: str) -> list[str]:
    """The words of a text; a link's brackets and a quotation's `>` are none."""
    return text.replace("<", " ").replace(">", " ").split()


def has_all_words(sample: Sample) -> bool:
    """Did every word of its author survive, in order?"""
    for left in stripped(sample):
        found = iter(words(left))
        if not all(word in found for word in words("\n".join(sample.wrote))):
            return False
    return True


def is_clean(sample: Sample) -> bool:
    """Is all gone that is not its author's?"""
    return not any(each in left for left in stripped(sample) for each in sample.quoted + sample.absent)


def table() -> str:
    """For each language, the mail programs whose replies are cut right in it, and how many samples say so."""
    rows = [
        f"| language | {' | '.join(PROGRAMS.values())} | labels, as in Outlook |",
        f"| --- |{' --- |' * len(PROGRAMS)} --- |",
    ]
    for language in LANGUAGES:
        cells = [_cell(program, language.code) for program in PROGRAMS]
        labels = ", ".join(
            each.partition("|")[0] for each in (language.sender, language.sent, language.to, language.subject)
        )
        rows.append(f"| {language.name} | {' | '.join(cells)} | {labels} |")
    return "\n".join(rows) + "\n"


def _cell(program: str, code: str) -> str:
    found = [each for each in samples() if (each.program, each.language) == (program, code) and each.quoted]
    right = [each for each in found if has_all_words(each) and is_clean(each)]
    return f"{len(right)} of {len(found)}" if found else "-"


def page() -> str:
    """docs/replies.md with the table as it is now."""
    text = PAGE.read_text("utf-8")
    return re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n{table()}\n{END}", text, flags=re.DOTALL
    )


def main() -> None:
    """Write the table."""
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
