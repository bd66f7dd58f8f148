"""Measure this project and, for comparison, the peers that are installed: see `docs/benchmarks.md`.

`python -m benchmarks compare REVISION` compares the cost of a message with that of an older revision.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from . import compare, report
from .rows import DEFAULT, ROWS, Scale


def main() -> int:
    # Exit normally on SIGTERM, so that all processes are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if sys.argv[1:2] == ["compare"]:
        return compare.main(sys.argv[2:])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "rows",
        nargs="*",
        metavar="ROW",
        choices=[*ROWS, "all", []],
        help=f"{', '.join(ROWS)} or all (by default {', '.join(DEFAULT)})",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the messages, one run: does it work?"
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--out", type=Path, help="append the report to this file too")
    parser.add_argument("--plots", type=Path, help="write the curves into this folder, as SVG")
    given = parser.parse_args()
    if given.plots:
        given.plots.mkdir(parents=True, exist_ok=True)
    names = list(ROWS) if "all" in given.rows else given.rows or DEFAULT
    scale = Scale(quick=given.quick, database=given.database)
    say(f"{report.machine()}.\n", given.out)
    for name in names:
        started = time.monotonic()
        found = ROWS[name](scale)
        row, chart = found if isinstance(found, tuple) else (found, None)
        say(row if isinstance(row, str) else row.markdown(), given.out)
        command = " ".join(["python -m benchmarks", name, *(["--quick"] if given.quick else [])])
        command += f" --database {given.database}" if given.database != "sqlite" else ""
        say(f"`{command}`, {time.monotonic() - started:.0f} s\n", given.out)
        if chart and given.plots:
            (given.plots / f"bench-{name}.svg").write_text(chart.svg())
    return 0


def say(text: str, path: Path | None) -> None:
    print(text, flush=True)
    if path:
        with path.open("a") as file:
            file.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
