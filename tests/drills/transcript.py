"""What was typed and said, to be read by people."""

from __future__ import annotations

import re

MOST_LINES = 14  # of what a command prints: more is the packages' own
# Passwords and keys of an installation that is gone when this is read: they would only look like real ones.
SECRET = re.compile(
    r"(API[ _]KEY\W+|SMTP key\s+|a-long-random-password|correct horse battery)([\w.-]{16,})?", re.IGNORECASE
)


class Transcript:
    def __init__(self, title: str) -> None:
        self._lines = [f"# {title}"]

    def section(self, title: str) -> None:
        self._lines += ["", f"## {title}", ""]

    def command(self, command: str, said: str, seconds: float) -> None:
        lines = said.rstrip().splitlines()
        left_out = len(lines) - MOST_LINES
        if left_out > 0:
            lines = [*lines[: MOST_LINES // 2], f"... ({left_out} lines)", *lines[-MOST_LINES // 2 :]]
        self._lines.append(f"$ {command}   ({seconds:.1f} s)")
        self._lines += [f"  {line}" for line in lines]

    def note(self, text: str) -> None:
        self._lines.append(f"- {text}")

    def __str__(self) -> str:
        return SECRET.sub(lambda found: f"{found[1]}..." if found[2] else found[0], "\n".join(self._lines))
