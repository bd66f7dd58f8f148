"""Compare the processor time per message of this checkout with that of another revision.

    python -m benchmarks compare REVISION [STAGE ...]

Both run at the same time and get the same load in turn, with alternating order. Only the ratio within a pair
is compared: rates and even processor time depend on what else the machine does. Prints the medians, and the
quartiles of the ratios. Exits with status 1 if a median ratio is above the bound.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import load, report
from .installation import ROOT, Installation, Running, installation
from .load import Load
from .processes import temporary_folder
from .rows import processes_of, processor_seconds
from .sink import Sink

BOUND = 1.03  # times the processor time of the older revision
Costs = dict[str, float]  # microseconds a message, by what was measured
Measure = Callable[[], Costs]


@dataclass(frozen=True)
class Scale:
    pairs: int = 10
    messages: int = 3_000


@dataclass
class Comparison:
    """Pairs of costs, of the other revision and of this checkout."""

    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        return [after / before for before, after in zip(self.before, self.after, strict=True)]

    @property
    def is_within_bound(self) -> bool:
        return statistics.median(self.ratios) <= BOUND

    def cells(self) -> list[str]:
        ratios = self.ratios
        first, middle, last = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        return [
            report.number(statistics.median(self.before)),
            report.number(statistics.median(self.after)),
            f"{middle:.3f}",
            f"{first:.3f} to {last:.3f}",
            "yes" if self.is_within_bound else "**no**",
        ]


def main(words: list[str]) -> int:
    given = argument_parser().parse_args(words)
    scale = Scale(given.pairs, given.messages)
    print(
        f"{report.machine()}; {scale.pairs} alternating pairs of {scale.messages:,} messages of "
        f"{Load(0, 0).size:,} bytes.\n",
        flush=True,
    )
    with tree_of(given.revision) as tree:
        found: dict[str, Comparison] = {}
        for name in given.stages or STAGES:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            found |= compare(STAGES[name], tree, scale)
    columns = ("microseconds a message", given.revision, "this checkout", "ratio", "quartiles", f"≤ {BOUND}")
    print(report.table(columns, [[name, *each.cells()] for name, each in found.items()]))
    return 0 if all(each.is_within_bound for each in found.values()) else 1


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("revision", help="what git calls the older one")
    parser.add_argument(
        "stages",
        nargs="*",
        metavar="STAGE",
        choices=[*STAGES, []],
        help=f"{', '.join(STAGES)} (default: all)",
    )
    parser.add_argument("--pairs", type=int, default=10, help="how often each side is measured (10)")
    parser.add_argument("--messages", type=int, default=3_000, help="messages in each measurement (3000)")
    return parser


@contextlib.contextmanager
def tree_of(revision: str) -> Iterator[Path]:
    """The files of a revision, in a folder that is deleted at the end of the block."""
    with temporary_folder() as folder:
        archive = folder / "tree.tar"
        for command in (
            ["git", "-C", ROOT, "archive", "--output", archive, revision],
            ["tar", "-xf", archive, "-C", folder],
        ):
            subprocess.run(command, check=True)
        yield folder


def compare(stage: Stage, tree: Path, scale: Scale) -> dict[str, Comparison]:
    """Measure `tree` and this checkout in turns."""
    found: dict[str, Comparison] = {}
    with Sink() as sink, stage(tree, sink, scale) as older, stage(ROOT, sink, scale) as newer:
        for pair in range(scale.pairs):
            if pair % 2:
                after, before = newer(), older()
            else:
                before, after = older(), newer()
            for name, cost in before.items():
                found.setdefault(name, Comparison()).before.append(cost)
                found[name].after.append(after[name])
    return found


# Stages: each starts what it measures and yields a function that takes one measurement

Stage = Callable[[Path, Sink, Scale], contextlib.AbstractContextManager[Measure]]


@contextlib.contextmanager
def acceptance(tree: Path, sink: Sink, scale: Scale) -> Iterator[Measure]:
    """Mail in over SMTP and over the API, nothing delivered."""
    with installation(tree=tree) as ours, ours.start("smtp", "web") as started:
        traffic = Load(0, scale.messages)

        def measure() -> Costs:
            return {
                "SMTP accept": cost(
                    started, "smtp", traffic, lambda: load.smtp(over_smtp(ours, started, traffic))
                ),
                "API accept": cost(
                    started, "web", traffic, lambda: load.api(over_api(ours, started, traffic))
                ),
            }

        measure()  # the first messages of a process cost more
        yield measure


@contextlib.contextmanager
def delivery(tree: Path, sink: Sink, scale: Scale, *, webhook: bool = False) -> Iterator[Measure]:
    """In over SMTP, out signed with RSA-2048; `webhook` adds a signed webhook request for every message."""
    name = "delivery with a webhook" if webhook else "delivery"
    with (
        installation(sink, tree=tree, webhook=webhook) as ours,
        ours.start("smtp", "worker") as started,
    ):
        traffic = Load(0, scale.messages)

        def in_and_out() -> None:
            sink.reset()
            load.smtp(over_smtp(ours, started, traffic))
            sink.wait(traffic.messages, traffic.messages * webhook)

        def measure() -> Costs:
            return {name: cost(started, "worker", traffic, in_and_out)}

        measure()
        yield measure


@contextlib.contextmanager
def delivery_with_webhook(tree: Path, sink: Sink, scale: Scale) -> Iterator[Measure]:
    with delivery(tree, sink, scale, webhook=True) as measure:
        yield measure


@contextlib.contextmanager
def library(tree: Path, sink: Sink, scale: Scale) -> Iterator[Measure]:
    """Sending, and both views; each measurement is a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("library_cost.py"))]

    def measure() -> Costs:
        output = subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(tree)},
        ).stdout
        costs: Costs = json.loads(output)
        return costs

    yield measure


STAGES: dict[str, Stage] = {
    "acceptance": acceptance,
    "delivery": delivery,
    "delivery-webhook": delivery_with_webhook,
    "library": library,
}


def cost(started: dict[str, Running], role: str, traffic: Load, work: Callable[[], object]) -> float:
    """Microseconds of processor time a message that the process of `role` uses for `work`."""
    pids = processes_of(started)[f"our {role}"]
    settle(pids)
    before = processor_seconds(pids)
    work()
    settle(pids)
    return (processor_seconds(pids) - before) / traffic.messages * 1e6


def settle(pids: tuple[int, ...], patience: float = 10.0) -> None:
    """Wait until these processes are idle: a message causes work after its acknowledgement."""
    ends_at, last = time.monotonic() + patience, -1.0
    while (now := processor_seconds(pids)) - last > 0.011 and time.monotonic() < ends_at:
        last = now
        time.sleep(0.25)


def over_smtp(ours: Installation, started: dict[str, Running], traffic: Load) -> Load:
    return replace(traffic, port=started["smtp"].ports["smtp"], key=ours.smtp_key)


def over_api(ours: Installation, started: dict[str, Running], traffic: Load) -> Load:
    return replace(traffic, port=started["web"].ports["web"], key=ours.api_key, connections=32)
