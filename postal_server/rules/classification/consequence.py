"""What follows from an answer of a class, as sentences for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from postal_server.rules.failure_class import FailureClass
from postal_server.rules.suppression import STRIKES_KEPT, UNSURE_STRIKES, Reason, Rule

from . import Classification

SLOWED_DOWN_FOR = (FailureClass.RATE, FailureClass.REPUTATION)


def what_follows(found: Classification, rules: Mapping[Reason, Rule], *, is_transient: bool) -> str:
    """What becomes of the message and of its recipient. No address is suppressed for what has no rule."""
    if is_transient:
        slower = " Mail to this operator may be slowed down." if found.name in SLOWED_DOWN_FOR else ""
        return f"The message is tried again.{slower}"
    reasons = {reason.value: rule for reason, rule in rules.items()}
    rule = reasons.get(found.name.value)
    if rule is None:
        return "The message fails. Its recipient does not come on the suppression list."
    entry = f"{_when(found, rule)}{_how_long(rule)}"
    return f"The message fails. Its recipient comes on the suppression list {entry}."


def _when(found: Classification, rule: Rule) -> str:
    strikes = rule.strikes
    if found.name is FailureClass.BAD_ADDRESS and not found.is_sure:
        strikes = max(strikes, UNSURE_STRIKES)
    if strikes == 1:
        return "at once"
    apart = f"{_span(rule.apart)} apart" if rule.apart else "on different days"
    within = f" within {_span(rule.within)}" if rule.within != STRIKES_KEPT else ""
    return f"after {strikes} such failures {apart}{within}"


def _how_long(rule: Rule) -> str:
    first = rule.duration(1)
    return " for good" if first is None else f", for {_span(first)} the first time"


def _span(time: timedelta) -> str:
    hours = time // timedelta(hours=1)
    number, unit = (hours // 24, "day") if hours % 24 == 0 and hours > 24 else (hours, "hour")
    return f"{number} {unit}{'s' * (number != 1)}"
