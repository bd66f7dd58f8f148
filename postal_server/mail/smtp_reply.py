"""SMTP replies: code, enhanced status code and text (RFC 5321 section 4.2, RFC 2034)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .charset import decode_undeclared

# RFC 5321 section 4.5.3.1.5 gives a line 512 octets; people read `text`, so the rest of a flood is dropped.
MAX_LINES = 100
MAX_LINE = 2000

_LINE = re.compile(r"(\d{3})([ -]?)(.*)\Z", re.DOTALL | re.ASCII)
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?: |\Z)", re.ASCII)


@dataclass(frozen=True)
class Reply:
    """One complete reply.

    `text` has neither the code nor the enhanced code; the lines of a multi-line reply are joined by LF.
    `str(reply)` is the reply as it stands on the wire, lines joined by LF, without a final line end.
    """

    code: int
    text: str
    enhanced: str | None = None

    @property
    def is_positive(self) -> bool:
        """2xx and 3xx: go on."""
        return 200 <= self.code < 400

    @property
    def is_permanent(self) -> bool:
        """5xx: the same will not work."""
        return 500 <= self.code < 600

    @property
    def is_understood(self) -> bool:
        """A code that RFC 5321 gives a meaning to; 0 stands for a line that is no reply at all."""
        return 200 <= self.code < 600

    def __str__(self) -> str:
        prefix = f"{self.enhanced} " if self.enhanced else ""
        *inner, last = self.text.split("\n")
        return "\n".join([*(f"{self.code}-{prefix}{line}" for line in inner), f"{self.code} {prefix}{last}"])

    @classmethod
    def parse(cls, lines: Sequence[bytes]) -> Reply:
        """The reply that a peer sent in `lines`, with or without their line ends.

        Never raises: what is no reply gets the code 0, which is neither positive, transient nor permanent.
        The code of the last line counts (RFC 5321 section 4.2.1: all lines carry the same); without one it is
        no reply, whatever the others say.
        """
        code, texts, enhanced = 0, [], None
        for line in lines[:MAX_LINES]:
            text = decode_undeclared(line[:MAX_LINE]).rstrip("\r\n")
            if match := _LINE.match(text):
                code, text = int(match[1]), match[3]
            else:
                code = 0
            if (status := _ENHANCED.match(text)) and int(status[1]) == code // 100:
                enhanced = enhanced or status[0].rstrip()
                text = text[status.end() :]
            texts.append(text.replace("\r", " "))
        return cls(code, "\n".join(texts), enhanced)
