"""Measure the cost of classifying answers.

    python -m benchmarks.classification

Prints the processor time in microseconds of one answer, the minimum of several runs: for the answers of the
corpus, and for texts of 2,000 characters that are designed to be expensive.
"""

from __future__ import annotations

import csv
import random
import statistics
import time
from pathlib import Path

from postal_server.rules.classification import Answer, Ours, classify
from postal_server.rules.classification.rule_book import alternatives
from postal_server.rules.failure_class import Stage
from postal_server.rules.reply_rules import GENERAL, OF_OPERATORS

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "corpus" / "answers"
OURS = Ours(frozenset(["192.0.2.1"]), frozenset(f"customer{number}.example" for number in range(10_000)))
RUNS = 20
HOSTILE_CHARACTERS = 2000
PATTERNS = (
    "a", "a@", "550 ", "550-5.1.1 ", "5.1.1 ", "<", "http://", "www.", "1.", ":", "a:", "(in reply to ",
    "user ", "mailbox ", "not ", "recipient address rejected: ",
)  # fmt: skip


def corpus() -> list[Answer]:
    answers = []
    for path in sorted(CORPUS.glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                text = row["reply"].replace("\\n", "\n")
                answers.append(Answer(None, None, text, Stage(row["stage"]), row["operator"]))
    return answers


def hostile() -> list[Answer]:
    """Repeated beginnings, and the words of all rules without what would make them match."""
    words = [
        word
        for rule in (*GENERAL, *OF_OPERATORS)
        for alternative in alternatives(rule.pattern)
        for choice in alternative.words
        for word in choice
    ]
    texts = [pattern * HOSTILE_CHARACTERS for pattern in PATTERNS]
    for seed in range(RUNS):
        random.Random(seed).shuffle(words)
        texts.append(" ".join(words))
    return [Answer(None, None, text[:HOSTILE_CHARACTERS], Stage.REPORT) for text in texts]


def cost(answer: Answer) -> float:
    """Microseconds."""
    best = float("inf")
    for _ in range(RUNS):
        began = time.perf_counter()
        classify(answer, OURS)
        best = min(best, time.perf_counter() - began)
    return best * 1e6


def main() -> None:
    costs = sorted(map(cost, corpus()))
    print(f"{len(costs)} answers: median {statistics.median(costs):.0f}, slowest {costs[-1]:.0f}")
    costs = sorted(map(cost, hostile()))
    print(f"{len(costs)} hostile texts: median {statistics.median(costs):.0f}, slowest {costs[-1]:.0f}")


if __name__ == "__main__":
    main()
