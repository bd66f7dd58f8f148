"""The text of an SMTP reply, brought to one spelling: what rules about replies are searched in.

Addresses, Message-IDs and URLs are no evidence: `<spam-reports@d.example>: No such user` is not about spam.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from postal_server.mail.enhanced_code import enhanced_code
from postal_server.mail.report_words import find_stage
from postal_server.rules.failure_class import Stage

MAX_READ = 2000  # characters of a reply that are read: as many as are kept
MAX_TEXT = 800  # characters of the cleaned text
ADDRESS = "<address>"  # in place of an address or a Message-ID
URL = "<url>"
LEAST_LOCAL_PART = 3  # characters; shorter ones are parts of words
LISTED = "<url:blocklist>"  # in place of the URL of a blocklist

_CODES = re.compile(
    r"(?:\A|(?<=[\s;:<>\"'(]))([245]\d\d)(?:[ -]+#?([245]\.\d{1,3}\.\d{1,3})(?![.\d]*\d)|(?=[ -])|\Z)",
    re.ASCII,
)
_DIAGNOSTIC_TYPE = re.compile(r"\s*(?:smtp|lmtp|dns|x-[a-z0-9-]{1,40})\s*;\s*", re.ASCII)
_NOT_IN_ADDRESS = r"<>\"'()\[\]:;,"
_ADDRESS = re.compile(rf"<?(?<![^{_NOT_IN_ADDRESS}@])[^{_NOT_IN_ADDRESS}@]*@[^{_NOT_IN_ADDRESS}]*>?")
_URL = re.compile(r"(?:https?://|\bwww\.)[^\s<>\"')\]]*")
# Hosts of public blocklists, which a URL names where the words around it do not.
_BLOCKLIST = re.compile(
    r"spamhaus|spamcop|sorbs|barracudacentral|uceprotect|abuseat|dnsbl|surbl|uribl|psbl|mailspike|senderscore|"
    r"spamrats|truncate|manitu|cloudmark|csi\.|blocklist|blacklist"
)

# How replies quote a local part, by which it is known as one.
_AROUND_LOCAL_PART = (("<", ">"), ('"', '"'), ("'", "'"), ("(", ")"), ("[", "]"), ("", "... "))
_IN_REPLY = re.compile(r"\(in reply to [^)]{1,60}\)")


Enhanced = tuple[str, str, str]  # the three numbers of an enhanced code


@dataclass(frozen=True, slots=True)
class ReplyText:
    """A cleaned reply. `text` has code and enhanced code once, at its start, where they are known.

    `status` is what a reporter wrote beside a reply that has no enhanced code: often it follows from the
    basic code alone.
    """

    code: int | None
    enhanced: Enhanced | None
    text: str
    stage: Stage
    status: Enhanced | None = None

    @property
    def is_transient(self) -> bool:
        if self.code is not None:
            return self.code < 500
        return self.enhanced is not None and self.enhanced[0] == "4"


def clean(text: str, *, code: int | None, enhanced: str | None, stage: Stage, recipient: str) -> ReplyText:
    """The reply in `text`, which may have its codes on every line, on none, or behind a reporter's words.

    Codes that are given win over those in the text; but of a report `enhanced` is the status field, which
    yields to the reply. Lower case, one blank between words, 800 characters.
    """
    words = text[:MAX_READ].lower()
    status = None
    if stage is Stage.REPORT:
        stage, words = _reported(words)
        status, enhanced = enhanced, None
    words = " ".join(words.split())
    found = _CODES.search(words)
    if found and (found.start() == 0 or code is None or code == int(found[1])):
        code = code or int(found[1])
        enhanced = enhanced or found[2]
        words = _joined(words[found.end() :], found[1], found[2])
    if "@" in words:
        words = " ".join([_ADDRESS.sub(ADDRESS, word) if "@" in word else word for word in words.split(" ")])
    if "://" in words or "www." in words:
        words = _URL.sub(_url_mark, words)
    if recipient:
        words = _without_local_part(words, recipient)
    head = f"{code or ''} {enhanced or ''}".split()
    parts = enhanced_code(enhanced or words)
    beside = enhanced_code(status) if status and parts is None else None
    if code is None and beside is not None:
        parts, beside = beside, None
    return ReplyText(code, parts, " ".join([*head, words])[:MAX_TEXT], stage, beside)


def _reported(text: str) -> tuple[Stage, str]:
    """The stage that a reporter's words name, and the text without what only names it."""
    text = _DIAGNOSTIC_TYPE.sub("", text, count=1) if ";" in text[:50] else text
    return Stage(find_stage(text)), _IN_REPLY.sub("", text)


def _joined(text: str, code: str, enhanced: str | None) -> str:
    """A multi-line reply without the codes at the start of its further lines."""
    if f" {code}" in text:
        for separator in "- ":
            if enhanced:
                text = text.replace(f" {code}{separator}{enhanced} ", " ")
            text = text.replace(f" {code}{separator}", " ")
    return text.strip(" -:")


def _url_mark(match: re.Match[str]) -> str:
    host = match[0].partition("://")[2].partition("/")[0] or match[0]
    return LISTED if _BLOCKLIST.search(host) else URL


def _without_local_part(text: str, recipient: str) -> str:
    """The same where a reply names the recipient without its domain."""
    local = recipient.rpartition("@")[0].lower()
    if len(local) < LEAST_LOCAL_PART or local not in text:
        return text
    for before, after in _AROUND_LOCAL_PART:
        text = text.replace(f"{before}{local}{after}", f"{ADDRESS}{after if not before else ''}")
    return text
