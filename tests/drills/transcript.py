"""What was typed and said, to be read by people."""

from __future__ import annotations

import re

MOST_LINES = 14  # of what the installation of packages prints
# Keys of an installation that is gone when this is read: they would only look like real ones.
KEY = re.compile(r"(API[ _]KEY\W+|SMTP key +)[\w.-]{16,}", re.IGNORECASE)


class Transcript:
    def __init__(self, title: str) -> None:
        self._lines = [f"# {title}"]

    def section(self, title: str) -> None:
        self._lines += ["", f"## {title}", ""]

    def command(self, command: str, said: str, seconds: float, *, is_cut: bool = False) -> None:
        lines = said.rstrip().splitlines()
        left_out = len(lines) - MOST_LINES
        if is_cut and left_out > 0:
            lines = [*lines[: MOST_LINES // 2], f"... ({left_out} lines)", *lines[-MOST_LINES // 2 :]]
        self._lines.append(f"$ {command}   ({seconds:.1f} s)")
        self._lines += [f"  {line}" for line in lines]

    def note(self, text: str) -> None:
        self._lines.append(f"- {text}")

    def __str__(self) -> str:
        return KEY.sub(r"\1...", "\n".join(self._lines))
