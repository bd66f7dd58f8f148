"""State diagrams are those of the code, and the developers' pages name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.diagrams import FOLDER, dot, transitions
from tests.each import each

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("docs/a-messages-way.md", "docs/engine.md", "docs/glossary.md", "CONTRIBUTING.md")
FOLDERS = ("postal_server", "anymail_postal", "tests")
NAMED = re.compile(r"`(\w[\w/]*(?:\.py|/))`")


@each("name", transitions())
def test_diagram_is_drawn_from_the_table(name: str) -> None:
    assert (FOLDER / f"{name}.dot").read_text("utf-8") == dot(transitions()[name]), (
        "run python -m tests.diagrams"
    )
    picture = (FOLDER / f"{name}.svg").read_text("utf-8")
    for words in {word for found in transitions()[name] for word in found}:
        assert f">{words}<" in picture


@each("page", PAGES)
def test_page_names_files_that_exist(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = set(NAMED.findall(text))
    assert named
    for name in named:
        places = [ROOT / name, ROOT / "postal_server" / name, ROOT / "anymail_postal" / name]
        is_there = any(place.exists() for place in places)
        # A bare name follows a path in its sentence.
        is_there = is_there or (
            "/" not in name and any(any((ROOT / folder).rglob(name)) for folder in FOLDERS)
        )
        assert is_there, f"{page} names {name}"
