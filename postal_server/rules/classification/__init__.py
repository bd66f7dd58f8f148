"""Why a remote did not take a mail: one classifier for answers and for reports.

Steps, of which the first that answers counts: the words are cleaned; an answer to our greeting or MAIL is
never about the recipient; our own addresses in a refusal; rules for this operator, then for all; the enhanced
code, which wins over words that are not sure; the basic code at RCPT; nobody knows. The table of classes is
in `docs/bounces.md`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address

from postal_server.rules.failure_class import About, FailureClass, Stage
from postal_server.rules.reply_rules import GENERAL, OF_OPERATORS, ReplyRule

from . import reply_codes
from .reply_text import ReplyText, clean
from .rule_book import RuleBook

MAX_RULE = 128  # characters of the words by which a rule was found

_HOSTS = re.compile(r"[\w:.-]{4,}")
_REFUSAL = re.compile(
    r"block|black.?list|listed|denied|deny|refus|reject|banned|spam|abuse|reputation|unsolicited|not allowed|"
    r"not accept|prohibited|disconnect"
)
# A name of ours is not there, in the words of a remote: what stands before and behind it.
_ABSENT_BEFORE = re.compile(
    r"(?:\b(?:unknown|unresolvable|no such|non-?existent) |not (?:find|resolve|look up|verify) )"
    "(?:(?:the|a|your|sender|sending|sender's|domain|host|hostname|name|client|helo|address|of|"
    r"for) ){0,4}\W{0,3}\Z"
)
_ABSENT_BEHIND = re.compile(
    r"\W{0,4}(?:(?:domain|host|is|was|does|could|can|be|name|lookup) ){0,4}"
    r"(?:not exist|not found|unknown|not resolve|cannot be found|not be (?:found|resolved))"
)
_NEAR = 60  # characters
_UNKNOWN_USER = re.compile(r"unknown user|user unknown|no such user")
_BEFORE_RECIPIENT = frozenset([Stage.CONNECT, Stage.MAIL])
_AFTER_RECIPIENT = frozenset([Stage.DATA, Stage.DOT])
_ABOUT_RECIPIENT = frozenset(name for name in FailureClass if name.about is About.RECIPIENT)
_NOT_ABOUT_US = frozenset(name for name in FailureClass if name.about is not About.US)
# RFC 4954: what a server says of the credentials of its client.
_OF_CREDENTIALS = frozenset([534, 535, 538])
_OF_BASIC_CODE = {
    550: FailureClass.BAD_ADDRESS,
    551: FailureClass.BAD_ADDRESS,
    552: FailureClass.MAILBOX_FULL,
    553: FailureClass.BAD_ADDRESS,
}


@dataclass(frozen=True)
class Answer:
    """A reply to us, or what a report says that another host was answered.

    `text` may begin with the codes. `operator` is the registered domain of the mail host, empty where it is
    not known.
    """

    code: int | None
    enhanced: str | None
    text: str
    stage: Stage
    operator: str = ""
    recipient: str = ""


@dataclass(frozen=True)
class Ours:
    """What is ours in a refusal: IP addresses and, in lower case, names of hosts and of domains that sign.

    `rules` are the administrator's own, which come before all others.
    """

    addresses: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    rules: tuple[ReplyRule, ...] = ()


@dataclass(frozen=True)
class Classification:
    """Why, and by what. `is_sure`: no second answer is needed to believe it.

    `rule` is what decided: the words that a rule found, behind its operator if it has one; or a code.
    `stage` is that of the answer, or the one that a report names.
    """

    name: FailureClass
    is_sure: bool
    rule: str
    operator: str
    stage: Stage | None = None


NOBODY_KNOWS = Classification(FailureClass.UNKNOWN, False, "", "")


def classify(answer: Answer, ours: Ours) -> Classification:
    """The class of an answer that did not take a mail."""
    reply = clean(
        answer.text,
        code=answer.code,
        enhanced=answer.enhanced,
        stage=answer.stage,
        recipient=answer.recipient,
    )
    is_early = reply.stage in _BEFORE_RECIPIENT
    found = _about_us(reply, answer, ours) or _by_rule(
        reply, answer, ours, _ABOUT_RECIPIENT if is_early or reply.code in _OF_CREDENTIALS else frozenset()
    )
    of_code = _by_enhanced_code(reply)
    if found is None or (of_code is not None and _says_more(of_code, found)):
        found = of_code
    found = found or _by_status(reply) or _by_basic_code(reply) or NOBODY_KNOWS
    if is_early and found.name.about is About.RECIPIENT:
        found = Classification(FailureClass.POLICY, False, f"{found.rule} at {reply.stage.value}", "")
    is_sure = found.is_sure and not reply.is_transient  # which is never proof
    return Classification(found.name, is_sure, found.rule[:MAX_RULE], answer.operator, reply.stage)


def _about_us(reply: ReplyText, answer: Answer, ours: Ours) -> Classification | None:
    """A refusal that names an address or a name of ours."""
    if not (ours.addresses or ours.names):
        return None
    domain = answer.recipient.rpartition("@")[2].lower()
    named = {word.strip(".-_:") for word in _HOSTS.findall(reply.text)}
    ours_named = (ours.names.intersection(named) - {domain}) or _addresses(named) & ours.addresses
    if not ours_named or not (_REFUSAL.search(reply.text) or _is_absent(ours_named, reply.text)):
        return None
    found = _book(ours.rules, answer.operator).find(reply.text, without=_NOT_ABOUT_US)
    if found is not None:
        return replace(_of_rule(*found), is_sure=True)
    return Classification(FailureClass.REPUTATION, True, f"names {min(ours_named)}", "")


def _is_absent(names: Iterable[str], text: str) -> bool:
    """Does the text say of one of these names that it is not known: `sender domain a.example not found`?"""
    for name in names:
        start = text.find(name)
        end = start + len(name)
        if _ABSENT_BEFORE.search(text[max(start - _NEAR, 0) : start]) or _ABSENT_BEHIND.match(
            text[end : end + _NEAR]
        ):
            return True
    return False


def _addresses(words: set[str]) -> set[str]:
    """The IP addresses among words; those of version 6 in their short form."""
    found = {word for word in words if word.count(".") == 3}
    for word in words:
        if word.count(":") > 1:
            try:
                found.add(str(ip_address(word.removeprefix("ipv6:"))))
            except ValueError:
                continue
    return found


def _by_rule(
    reply: ReplyText, answer: Answer, ours: Ours, without: frozenset[FailureClass]
) -> Classification | None:
    match = _book(ours.rules, answer.operator).find(reply.text, without)
    if match is None:
        return None
    found = _of_rule(*match)
    if found.name is FailureClass.BAD_ADDRESS and _is_of_filter(reply):
        return replace(found, is_sure=False)
    return found


def _is_of_filter(reply: ReplyText) -> bool:
    """May a filter of the recipient's say `550 Unknown user`, when the recipient had been accepted?

    Mobile operators do so. With a code about addresses the words mean what they say.
    """
    about_address = reply.enhanced is not None and reply.enhanced[1] == "1"
    is_late = reply.stage in _AFTER_RECIPIENT and not about_address
    return is_late and _UNKNOWN_USER.search(reply.text) is not None


def _of_rule(rule: ReplyRule, words: str) -> Classification:
    name = f"{rule.operator}: {words}" if rule.operator else words
    return Classification(rule.failure_class, rule.is_sure, name, "")


def _says_more(of_code: Classification, by_words: Classification) -> bool:
    """Words that are not sure, and such as "denied by policy", say less than a code with one meaning."""
    if by_words.name is FailureClass.POLICY and of_code.name.about is About.US:
        return of_code.is_sure
    return of_code.is_sure and not by_words.is_sure


def _by_enhanced_code(reply: ReplyText) -> Classification | None:
    found = reply_codes.of_enhanced(reply.enhanced) if reply.enhanced else None
    if found is None or reply.enhanced is None:
        return None
    return Classification(*found, ".".join(reply.enhanced), "")


def _by_status(reply: ReplyText) -> Classification | None:
    found = reply_codes.of_enhanced(reply.status) if reply.status else None
    return Classification(found[0], False, ".".join(reply.status), "") if found and reply.status else None


def _by_basic_code(reply: ReplyText) -> Classification | None:
    """550 and its like are about the recipient at RCPT alone; anywhere else the receiver has its reasons."""
    if reply.code is None or reply.code < 500:
        return None
    if reply.stage is Stage.RCPT and (name := _OF_BASIC_CODE.get(reply.code)):
        return Classification(name, False, str(reply.code), "")
    if reply.stage in (Stage.REPORT, Stage.RCPT):
        return None
    return Classification(FailureClass.POLICY, False, f"{reply.code} at {reply.stage.value}", "")


_OPERATORS = frozenset(rule.operator for rule in OF_OPERATORS)


def _book(own: tuple[ReplyRule, ...], operator: str) -> RuleBook:
    is_known = operator in _OPERATORS or any(rule.operator == operator for rule in own)
    return _compiled(own, operator if is_known else "")


@functools.lru_cache(maxsize=256)
def _compiled(own: tuple[ReplyRule, ...], operator: str) -> RuleBook:
    """The administrator's rules, the operator's, and those for all.

    Those of all other operators follow where it has none: many domains have such a mail host under their own
    name.
    """
    mine = [rule for rule in own if rule.operator in ("", operator)]
    theirs = [rule for rule in OF_OPERATORS if rule.operator == operator]
    others = [] if theirs else OF_OPERATORS
    return RuleBook([*mine, *theirs, *GENERAL, *others])
