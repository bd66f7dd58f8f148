"""Which incoming mail gets no failure notice, although it could not be delivered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .priority import BULK_PRECEDENCE

SUPPRESSING = {"all", "ndr"}  # [MS-OXCMAIL] section 2.2.3.2.14


def is_automatic(head: Mapping[str, Sequence[str]]) -> bool:
    """Was it sent by a program, so that no person expects a reply?

    `head` maps lower-case field names to their values. Sources: RFC 3834 section 5 (Auto-Submitted), RFC
    2076 section 3.9 (Precedence), and Exchange's word for "no reports, please".
    """
    submitted = (value.partition(";")[0].strip().lower() for value in head.get("auto-submitted", ()))
    if any(value not in ("", "no") for value in submitted):
        return True
    if any(value.strip().lower() in BULK_PRECEDENCE for value in head.get("precedence", ())):
        return True
    unwanted = (word for value in head.get("x-auto-response-suppress", ()) for word in value.split(","))
    return any(word.strip().lower() in SUPPRESSING for word in unwanted)
