"""Is a mail an aggregate report about a domain: DMARC (RFC 7489, RFC 9990) or TLS (RFC 8460)?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from .header import header_values
from .mime import Part

MAX_BEGINNING = 2000  # bytes of a part that is looked into

_PACKED = frozenset(
    [
        "application/gzip",
        "application/x-gzip",
        "application/gzip-compressed",
        "application/x-gzip-compressed",
        "application/zip",
        "application/x-zip",
        "application/x-zip-compressed",
        "application/octet-stream",
    ]
)
_XML = frozenset(["application/xml", "text/xml", "application/dmarc+xml"])
_TLS = frozenset(["application/tlsrpt+gzip", "application/tlsrpt+json"])
# `receiver!policy-domain!begin!end[!id].xml.gz`; some have left out the `.xml`
_DMARC_NAME = re.compile(
    r"[^!\s]{1,255}![^!\s]{1,255}!\d{1,20}!\d{1,20}(?:![^!]{1,255})?\.(?:xml(?:\.gz)?|zip|gz)\Z", re.I
)
_TLS_NAME = re.compile(
    r"[^!\s]{1,255}![^!\s]{1,255}!\d{1,20}!\d{1,20}(?:![^!]{1,255})?\.json(?:\.gz)?\Z", re.I
)
_FEEDBACK_ELEMENT = re.compile(rb"<feedback\b|<report_metadata\b")
_TLS_REPORT = re.compile(r"report-type\s{0,9}=\s{0,9}\"?tlsrpt", re.I)


class Aggregate(Enum):
    """Which of the two."""

    DMARC = "dmarc"
    TLS = "tlsrpt"


def find_aggregate(header: bytes, leaves: Iterable[Part]) -> Aggregate | None:
    """Which aggregate report a mail carries, by its types and file names, or None. Nothing is unpacked."""
    if any(_TLS_REPORT.search(value[:1000]) for value in header_values(header, "Content-Type")):
        return Aggregate.TLS
    for part in leaves:
        if part.mime_type in _TLS:
            return Aggregate.TLS
        if part.mime_type not in _PACKED and part.mime_type not in _XML:
            continue
        name = part.filename or ""
        if _TLS_NAME.match(name):
            return Aggregate.TLS
        if _DMARC_NAME.match(name) or part.mime_type == "application/dmarc+xml":
            return Aggregate.DMARC
        if part.mime_type in _XML and _FEEDBACK_ELEMENT.search(part.content_of(MAX_BEGINNING)):
            return Aggregate.DMARC
    return None
