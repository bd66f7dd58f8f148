"""Enhanced status codes (RFC 3463) in the text of replies."""

from __future__ import annotations

import re

# Behind a code, a quotation mark or a bracket; but not the first three numbers of an IP address.
ENHANCED = re.compile(r"(?:^|[\s#(<\[\";:=]|\b[245]\d\d-)([245])\.(\d{1,3})\.(\d{1,3})(?![.\d]*\d)", re.ASCII)


def enhanced_code(text: str) -> tuple[str, str, str] | None:
    """The first enhanced code in a text, as its three parts."""
    match = ENHANCED.search(text)
    return (match[1], match[2], match[3]) if match else None
