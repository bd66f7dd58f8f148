"""Every row: its source, its sample, and no row that takes another's sample for something else."""

import re

from postal_server.rules.classification import Answer, Ours, classify
from postal_server.rules.classification.reply_text import clean
from postal_server.rules.classification.rule_book import alternatives
from postal_server.rules.failure_class import Stage
from postal_server.rules.reply_rules import GENERAL, OF_OPERATORS

ROWS = (*GENERAL, *OF_OPERATORS)
SOURCE = re.compile(r"https://\S+|observed 20\d\d-[01]\d|usual wording")
NESTED = re.compile(r"[*+}]\)[*+{]")


def test_each_sample_is_of_its_own_class():
    wrong = []
    for row in ROWS:
        found = classify(Answer(None, None, row.sample, Stage.RCPT, row.operator), Ours())
        if found.name is not row.failure_class:
            wrong.append(
                f"{row.sample!r} is {found.name.value} by {found.rule!r}, not {row.failure_class.value}"
            )
    assert wrong == []


def test_each_sample_is_matched_by_its_own_pattern():
    for row in ROWS:
        reply = clean(row.sample, code=None, enhanced=None, stage=Stage.RCPT, recipient="")
        assert re.search(row.pattern, reply.text), row


def test_each_row_names_a_source():
    assert [row for row in ROWS if not SOURCE.fullmatch(row.source)] == []


def test_general_rows_have_no_operator_and_all_others_have_one():
    assert {row.operator for row in GENERAL} == {""}
    assert [row for row in OF_OPERATORS if "." not in row.operator] == []


def test_each_row_is_found_by_plain_characters():
    for row in ROWS:
        alternatives(row.pattern)  # raises ValueError, which names the pattern


def test_no_pattern_repeats_a_repetition():
    assert [row.pattern for row in ROWS if NESTED.search(row.pattern)] == []


def test_there_are_rows_enough():
    assert len(ROWS) >= 250


def test_no_pattern_is_there_twice():
    seen = [(row.operator, row.pattern) for row in ROWS]
    assert len(seen) == len(set(seen))
