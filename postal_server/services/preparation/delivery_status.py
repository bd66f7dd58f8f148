"""Recognize what status reports (RFC 3464, or what hosts write instead) say of each message's recipient.

One report may be about several recipients, who fare differently: each is judged by what is said of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from postal_server.mail.address import split_address, suppression_key
from postal_server.mail.report import Kind, Part
from postal_server.rules.classification import Ours
from postal_server.rules.shaping import operator_of
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
    named = [(part, reported_keys(part)) for part in read.report.parts]
    return [
        _effect(read, original, part, ours, is_forwarded=is_forwarded)
        for original in read.found.originals
        for part, is_forwarded in _parts_about(original, named)
    ]


def _parts_about(
    original: Original, named: Sequence[tuple[Part, Collection[str]]]
) -> list[tuple[Part, bool]]:
    """The parts about a message's recipient, and whether each is about somebody behind it.

    `named` are all parts, with the keys of the recipients that they name. Where none names this one, or all
    that do are about others behind it, the mail was forwarded: the first failure counts, or else the first
    part.
    """
    key = suppression_key(original.rcpt_to or "")
    own = [part for part, keys in named if key in keys]
    own = own or [part for part, keys in named if not keys]
    others = {_final_key(part) for part in own} - {None, key}
    is_list = len(others) > 1
    about_it = [part for part in own if not _is_behind(_final_key(part), key, is_list=is_list)]
    if about_it or not named:
        return [(part, False) for part in about_it or [Part()]]
    behind = own or [part for part, _ in named]
    return [(next((part for part in behind if part.action == "failed"), behind[0]), True)]


def _final_key(part: Part) -> str | None:
    return suppression_key(part.final_recipient) if part.final_recipient else None


def _is_behind(final: str | None, key: str, *, is_list: bool) -> bool:
    """Is this somebody else, to whom mail for `key` went on?

    Each member of a list is. A host that only rewrites the address on its way inwards leaves the local part,
    or stays with the domain's owner.
    """
    if final is None or final == key or is_list:
        return final not in (None, key)
    (local, domain), (own_local, own_domain) = split_address(final), split_address(key)
    return local != own_local and operator_of(domain) != operator_of(own_domain)


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
