"""Text in format=flowed, whose lines a mail program broke to send them (RFC 3676)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Quote marks, the blank that may stand before the text, the text, and the line end.
_LINE = re.compile(rb"(>*)( ?)([^\r\n]*)(\r?\n|\r|\Z)")
_SIGNATURE = b"-- "


@dataclass(frozen=True)
class Joined:
    """Text whose broken lines are whole again, and where its bytes stood before.

    `starts` are the offsets of its pieces, rising, and `origins` those in the text that it was made of.
    """

    text: bytes
    starts: Sequence[int]
    origins: Sequence[int]

    def origin(self, offset: int) -> int:
        """Where the byte at this offset of the joined text stood."""
        piece = bisect_right(self.starts, offset) - 1
        return self.origins[piece] + offset - self.starts[piece]


def join_lines(text: bytes) -> Joined:
    """`text`, of DelSp=yes, without what was put into it where its lines were broken (section 4).

    That is the blank at the end of a line and the line end, and of the next line its quote marks, which are
    as many, and the blank before its text. All other bytes are there.
    """
    pieces: list[bytes] = []
    starts, origins = [0], [0]
    for start, end in _breaks(text):
        piece = text[origins[-1] : start]
        pieces.append(piece)
        starts.append(starts[-1] + len(piece))
        origins.append(end)
    return Joined(b"".join([*pieces, text[origins[-1] :]]), starts, origins)


def _breaks(text: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of what stands between the pieces of each broken line."""
    break_start, depth = None, 0
    for line in _LINE.finditer(text):
        is_signature = line[3] == _SIGNATURE
        if break_start is not None and len(line[1]) == depth and not is_signature:
            yield break_start, line.start(3)
        is_broken = line[3].endswith(b" ") and line[4] and not is_signature
        break_start, depth = (line.end(3) - 1 if is_broken else None), len(line[1])
