"""docs/production.md: all of it is run by the drill, and what it says of answers is so."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from postal_server.rules.classification import Answer, Ours, classify
from postal_server.rules.failure_class import About, Stage
from tests.drills import production
from tests.drills.walk import Command, File, Other
from tests.readme import rows

STEPS = [step for section in production.page() for step in section.steps]


# --- the drill runs all of it ---


def test_every_block_is_run_or_named_with_a_reason() -> None:
    """A block is commands, or a file whose first line is `# /its/path`, or in `EXAMPLES`."""
    examples = {first_line(step) for step in STEPS if isinstance(step, Other)}
    assert examples == set(production.EXAMPLES)


def first_line(example: Other) -> str:
    return example.text.splitlines()[0]


def test_every_reason_is_about_something_on_the_page() -> None:
    shown = [step.text for step in STEPS if isinstance(step, Command)]
    for start in (*production.INSTEAD, *production.OF_THE_PROJECT, *production.OF_THE_INTERNET):
        assert any(command.startswith(start) for command in shown), start


def test_blocks_of_commands_have_nothing_else() -> None:
    """What a command prints would look like something that is run."""
    for section in production.page():
        for step in section.steps:
            if isinstance(step, Command):
                assert shlex.split(step.text, comments=True), section.title


def test_files_are_those_of_a_machine() -> None:
    assert [step.path for step in STEPS if isinstance(step, File)] == [
        "/etc/nftables.conf",
        "/var/lib/postal/postal.yml",
    ]


# --- the answers of the first week ---


def answers() -> Iterator[object]:
    for operator, answer, failure_class, _ in rows(production.PAGE, "operator"):
        text = re.fullmatch(r"`(.+)`", answer)
        assert text
        yield pytest.param(text[1], failure_class.strip("`"), id=f"{operator}: {text[1][:20]}")


@pytest.mark.parametrize(("text", "failure_class"), list(answers()))
def test_answers_have_the_class_that_the_page_says(text: str, failure_class: str) -> None:
    found = classify(Answer(None, None, text, Stage.DOT), Ours(frozenset(["192.0.2.1"]))).name
    assert (found.value, found.about) == (failure_class, About.US)
