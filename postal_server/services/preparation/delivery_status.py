"""Recognize what status reports (RFC 3464, or what hosts write instead) say of each message's recipient.

One report may be about several recipients, who fare differently: each is judged by what is said of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from postal_server.mail.address import suppression_key
from postal_server.mail.report import Kind, Part
from postal_server.rules.classification import Ours
from postal_server.services.results.arrival import Arrived
from postal_server.services.results.bounce import Bounced
from postal_server.services.results.classification import classify_part
from postal_server.services.results.delay import Delayed
from postal_server.services.results.report import Reported

from .evidence import Original, reported_keys
from .read_report import ReadReport

_KIND_OF_ACTION = {
    "failed": Kind.BOUNCE,
    "delayed": Kind.DELAYED,
    "delivered": Kind.DELIVERED,
    "relayed": Kind.RELAYED,
    "expanded": Kind.EXPANDED,
}
_EFFECTS: dict[Kind, type[Reported]] = {
    Kind.BOUNCE: Bounced,
    Kind.DELAYED: Delayed,
    Kind.DELIVERED: Arrived,
}
_FAILURES = (Kind.BOUNCE, Kind.DELAYED)


def recognize(read: ReadReport, ours: Ours) -> list[Reported]:
    """What follows for each message that the report is about."""
    return [
        _effect(read, original, part, ours, is_forwarded=is_forwarded)
        for original in read.found.originals
        for part, is_forwarded in _parts_about(original, read.report.parts)
    ]


def _parts_about(original: Original, parts: Sequence[Part]) -> list[tuple[Part, bool]]:
    """The parts about a message's recipient, and whether each is about somebody behind it.

    Where none names it, the mail was forwarded: the first failure counts, or else the first part.
    """
    key = suppression_key(original.rcpt_to or "")
    own = [part for part in parts if key in reported_keys(part)]
    own = own or [part for part in parts if not reported_keys(part)]
    if own or not parts:
        return [(part, False) for part in own or [Part()]]
    return [(next((part for part in parts if part.action == "failed"), parts[0]), True)]


def _effect(read: ReadReport, original: Original, part: Part, ours: Ours, *, is_forwarded: bool) -> Reported:
    kind = _KIND_OF_ACTION.get(part.action, read.report.kind)
    reported = replace(
        read.reported(original, _EFFECTS.get(kind, Reported)),
        kind=kind,
        part=part,
        is_forwarded=is_forwarded,
    )
    if kind is Kind.BOUNCE:
        reported = replace(reported, is_strong=reported.is_strong and not read.job.message.mail_from)
    if kind not in _FAILURES:
        return reported
    return replace(reported, classification=classify_part(part, ours))
