"""The administrator's own rules: `reputation "our wording" operator=att.net`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from postal_server.rules.failure_class import FailureClass
from postal_server.rules.reply_rules import ReplyRule

from .rule_book import LEAST_WORD

EXPECTED = 'a class and a text are expected, as in `reputation "is not welcome" operator=att.net`'
SOURCE = "postal.yml"
_RULE = re.compile(r'\s*(\S+)\s+"([^"]*)"(?:\s+operator=(\S+))?\s*', re.ASCII)
_OPERATOR = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")


def parse_own_rules(texts: Iterable[str]) -> tuple[ReplyRule, ...]:
    """The rules in texts. Raises ValueError that names the value at fault."""
    return tuple(map(parse_own_rule, texts))


def parse_own_rule(text: str) -> ReplyRule:
    """The rule in `CLASS "TEXT" [operator=DOMAIN]`: plain text, found anywhere in a reply, in any case."""
    match = _RULE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r}: {EXPECTED}")
    name, words, operator = match[1].lower(), " ".join(match[2].split()), (match[3] or "").lower()
    if name not in {each.value for each in FailureClass}:
        raise ValueError(f"{text!r}: {name!r} is none of {', '.join(each.value for each in FailureClass)}")
    if len(words) < LEAST_WORD:
        raise ValueError(f"{text!r}: the text needs {LEAST_WORD} characters or more")
    if operator and not _OPERATOR.fullmatch(operator):
        raise ValueError(f"{text!r}: {operator!r} is not the domain of an operator of mail hosts")
    return ReplyRule(FailureClass(name), re.escape(words), operator, source=SOURCE, sample=words)
