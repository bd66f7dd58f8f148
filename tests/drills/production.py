"""What docs/production.md needs that a drill does not have: who answers in place of what, and why.

`INSTEAD` names each command of the page that is not run as it stands, `EXAMPLES` each block that is neither a
command nor a file. `tests/test_production.py` holds that the page has no other.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.readme import ROOT

from .walk import Command, Other, Section, sections

PAGE: Path = ROOT / "docs/production.md"
# By how the command begins: what the drill does in its place.
INSTEAD = {
    "scp ": "the machines have no SSH between them: the files are copied",
    "certbot ": "no authority issues certificates for a drill: one of its own looks for the answer on port "
    "80 of each name, as Let's Encrypt does, and writes the same files with the same modes",
    ". ~/.profile": "each command is run by a new login shell, which reads it",
}
# By the first line of the block.
EXAMPLES = {
    "https://user:a-long-random-password@www.example.com/anymail/postal/tracking/": "typed at `initialize`",
}
# Where commands are run by another than root on the server: in the project, on its own machine.
OF_THE_PROJECT = ("pip install ", "python manage.py ")
# They need Debian's mirror or the package index, and are run in the network of this machine.
OF_THE_INTERNET = ("apt-get ", "/opt/postal/bin/pip ", "pip ", "make ")


def page() -> list[Section]:
    return sections(PAGE)


def commands() -> list[str]:
    return [step.text for section in page() for step in section.steps if isinstance(step, Command)]


def examples() -> list[str]:
    return [step.text for section in page() for step in section.steps if isinstance(step, Other)]


def urls() -> str:
    """What `initialize` is told: a URL a line."""
    [found] = [text for text in examples() if text.startswith("https://user:")]
    return found


def postgresql() -> str:
    """The option of `initialize` that the page names for PostgreSQL."""
    [found] = re.findall(r"`(--database '[^']+')`", PAGE.read_text("utf-8"))
    return str(found)
