"""Format the report: conditions, measurements with medians and ratios, and whether targets are met."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import django


@dataclass(frozen=True)
class Target:
    """The target of a row: at least, or at most, `value` (a rate or a ratio)."""

    what: str
    measured: float
    bound: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        verdict = "met" if self.is_met else "**not met**"
        return f"- {self.what}: {number(self.measured)} (target {sign} {number(self.bound)}): {verdict}"


@dataclass
class Row:
    """One row of the targets table, measured: rates by subject, each from several runs.

    `each` says what the values are that stand beside the median.
    """

    title: str
    conditions: str
    unit: str = "messages/s"
    each: str = "runs"
    runs: dict[str, list[float]] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    load_average: float = field(default_factory=lambda: os.getloadavg()[0])

    def add(self, subject: str, value: float) -> None:
        self.runs.setdefault(subject, []).append(value)

    def median(self, subject: str) -> float:
        return statistics.median(self.runs[subject])

    def ratio(self, subject: str, other: str) -> float:
        return self.median(subject) / self.median(other)

    def markdown(self) -> str:
        first = next(iter(self.runs))
        lines = [
            f"## {self.title}",
            "",
            f"{self.conditions}; load average {self.load_average:.1f} before, "
            f"{os.getloadavg()[0]:.1f} after.",
            "",
            f"| | {self.unit}, median | {self.each} | times {first} |",
            "| --- | ---: | --- | ---: |",
        ]
        for subject, values in self.runs.items():
            each = ", ".join(number(value) for value in values)
            ratio = self.ratio(subject, first)
            lines.append(f"| {subject} | {number(self.median(subject))} | {each} | {ratio:.2f} |")
        lines += ["", *map(str, self.targets), *(f"- {note}" for note in self.notes), ""]
        return "\n".join(lines)


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> str:
    """What all rows have in common."""
    return (
        f"{os.cpu_count()} cores shared by generator, server and sink, all on loopback; "
        f"Python {platform.python_version()}, Django {django.__version__}, Linux {platform.release()}"
    )


def conditions(
    messages: int, size: int, connections: int, database: str = "SQLite WAL, synchronous=FULL"
) -> str:
    return f"{messages:,} messages of {size:,} bytes a run, {connections} connections, {database}"


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = f"| {' | '.join(names)} |\n|{' --- |' * len(names)}\n"
    return head + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
