"""What the code cites of Postal's behaviour stands in `docs/contract.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .readme import ROOT

CONTRACT = (ROOT / "docs" / "contract.md").read_text("utf-8")
SECTIONS = set(re.findall(r"^#+ (?:Appendix )?(\d+(?:\.\d+)?|[AB])\.? ", CONTRACT, re.MULTILINE))
QUIRKS = set(re.findall(r"^\| (Q\d+) \|", CONTRACT, re.MULTILINE))

_ONE = r"(?:Q\d+|\d+(?:\.\d+)?|appendix [AB])"
_JOINT = r"(?:,| to| and|,? or)"
# "contract 1.7 to 1.10, 1.13 and 5.5", "contract, sections 4.3 to 4.8", "the contract's section 12"
CITATION = re.compile(rf"[Cc]ontract(?:'s|,)? (?:sections? )?({_ONE}(?:{_JOINT} {_ONE})*)")
FOLDERS = ("anymail_postal", "postal_server", "example_project", "benchmarks", "demo", "tests", "docs")


def cited() -> Iterator[tuple[str, set[str]]]:
    """The files that cite the contract, and what they cite."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".md") or path.name == "deviations.json":
                found = set(citations(path))
                if found:
                    yield str(path.relative_to(ROOT)), found


def citations(path: Path) -> Iterator[str]:
    """The sections and quirks that a file cites. A comment may break a citation between lines."""
    text = re.sub(r"\s*\n\s*#?\s*", " ", path.read_text("utf-8"))
    for found in CITATION.finditer(text):
        yield from re.findall(r"Q\d+|\d+(?:\.\d+)?|[AB]\b", found[1].replace("appendix ", ""))
    yield from re.findall(r"\bQ\d{1,2}\b", text) if path.name != "contract.md" else ()


def test_every_citation_of_the_contract_resolves() -> None:
    unknown = {path: found - SECTIONS - QUIRKS for path, found in cited()}
    assert "postal_server/wire/webhook.py" in unknown
    assert not {path: found for path, found in unknown.items() if found}


def test_citations_are_seen() -> None:
    texts = {
        "contract 1.7 to 1.10, 1.13 and 5.5": ["1.7", "1.10", "1.13", "5.5"],
        "contract, sections 1.5 and 1.9 to 1.12": ["1.5", "1.9", "1.12"],
        "(contract, appendix A)": ["A"],
        "the contract's section 12": ["12"],
        "contract, Q5": ["Q5"],
    }
    for text, wanted in texts.items():
        [found] = CITATION.finditer(text)
        assert re.findall(r"Q\d+|\d+(?:\.\d+)?|[AB]\b", found[1].replace("appendix ", "")) == wanted
