"""Answers and reports that are nobody's sample: is the class right, and would the right people be suppressed?

`tests/corpus/answers/*.tsv` has them by class: stage, operator of the mail host, reply (`\\n` between its
lines), expected class, and whether a mail to that address is never going to be taken.
"""

import csv
import functools
from pathlib import Path
from typing import NamedTuple

from postal_server.rules.classification import Answer, Classification, Ours, classify
from postal_server.rules.failure_class import FailureClass, Stage

CORPUS = Path(__file__).parents[3] / "corpus" / "answers"
GONE = {FailureClass.BAD_ADDRESS, FailureClass.BAD_DOMAIN, FailureClass.INACTIVE}


class Case(NamedTuple):
    name: str
    expected: FailureClass
    is_gone: bool
    found: Classification

    @property
    def is_found_gone(self) -> bool:
        return self.found.name in GONE


@functools.cache  # not in each process that collects tests: it takes half a second
def cases() -> list[Case]:
    read = []
    for path in sorted(CORPUS.glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                reply = row["reply"].replace("\\n", "\n")
                answer = Answer(None, None, reply, Stage(row["stage"]), row["operator"])
                read.append(
                    Case(
                        f"{path.name}: {reply!r}",
                        FailureClass(row["class"]),
                        row["suppress"] == "yes",
                        classify(answer, Ours()),
                    )
                )
    return read


def shown(wrong: list[Case]) -> list[str]:
    return [f"{case.name} is {case.found.name.value} by {case.found.rule!r}" for case in wrong]


def test_there_are_answers_of_every_class():
    assert len(cases()) >= 300
    assert {case.expected for case in cases()} >= set(FailureClass) - {FailureClass.UNKNOWN}


def test_nobody_who_may_be_there_is_taken_for_gone():
    assert shown([case for case in cases() if case.is_found_gone and not case.is_gone]) == []


def test_nobody_who_is_gone_is_missed():
    assert shown([case for case in cases() if case.is_gone and not case.is_found_gone]) == []


def test_most_who_are_gone_are_surely_gone():
    gone = [case for case in cases() if case.is_gone]
    unsure = [case for case in gone if not case.found.is_sure]
    assert len(unsure) <= 0.06 * len(gone), shown(unsure)


def test_each_class_is_right():
    assert shown([case for case in cases() if case.found.name is not case.expected]) == []
