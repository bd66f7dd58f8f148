"""Requests to the scanners, and the meaning of their answers. Source: contract 6.3.

Protocols: rspamd's `/checkv2` (JSON over HTTP), SpamAssassin's SPAMC/1.2, ClamAV's zINSTREAM.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from postal_server.errors import HostileInput
from postal_server.rules.status import Scope

MAX_ANSWER = 1024 * 1024

NO_THREATS = "No threats found"
NOT_SCANNED = "Could not scan message"
TIMED_OUT = "Timed out scanning for threats"
BROKEN = "Error when scanning for threats"

# Rules of SpamAssassin that judge the way a mail came: outgoing mail has not been relayed yet.
NOT_FOR_OUTGOING = re.compile(
    r"(?:NO_RECEIVED|NO_RELAYS|ALL_TRUSTED|FREEMAIL_FORGED_REPLYTO|CK_HELO_GENERIC"
    r"|(?:SPF|HELO|DKIM|RDNS|RCVD_IN)_\w*)\Z"
)
_REPORT_LINE = re.compile(r"(?m)^ {0,4}(-?\d{1,4}(?:\.\d{1,3})?) {1,2}([A-Z][A-Z0-9_]{1,60})(?: |$)")
_SPAMD_STATUS = re.compile(rb"SPAMD/[\d.]+ 0 ")
_FOUND = re.compile(rb"stream: (.{1,200}) FOUND\0?\Z")


@dataclass(frozen=True)
class About:
    """What scanners are sent with the text of a mail."""

    token: str
    mail_from: str
    rcpt_to: str
    scope: Scope


def rspamd_headers(about: About, password: str, flags: str) -> dict[str, str]:
    """The headers of a check. Outgoing mail has no client: rspamd then leaves out checks of addresses."""
    headers = {
        "User-Agent": "Postal",
        "Deliver-To": about.rcpt_to,
        "From": about.mail_from,
        "Rcpt": about.rcpt_to,
        "Queue-Id": about.token,
    }
    if password:
        headers["Password"] = password
    if flags:
        headers["Flags"] = flags
    if about.scope is Scope.OUTGOING:
        headers |= {"User": "", "Ip": ""}
    return {name: _header_text(value) for name, value in headers.items()}


def _header_text(text: str) -> str:
    """Text for a header, without what could begin another field."""
    return re.sub(r"[^ -~]", "?", text)


def rspamd_score(answer: bytes) -> float:
    """The sum of the scores of symbols that have a description. Raises `HostileInput`."""
    try:
        symbols = json.loads(answer)["symbols"]
        if not isinstance(symbols, Mapping):
            raise TypeError("symbols are no object")
        scores = [float(s["score"]) for s in symbols.values() if s.get("description")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise HostileInput(f"rspamd's answer cannot be read: {error}") from error
    score = _sum(scores)
    if not math.isfinite(score):  # JSON for rows and webhooks has no such number
        raise HostileInput(f"rspamd's score is {score}")
    return score


def spamd_request(raw: bytes) -> bytes:
    """The head of a request for a report; `raw` follows it."""
    return f"REPORT SPAMC/1.2\r\nContent-length: {len(raw)}\r\n\r\n".encode()


def spamd_score(answer: bytes, scope: Scope) -> float:
    """The sum of a report's lines. Raises `HostileInput`."""
    if not _SPAMD_STATUS.match(answer):
        raise HostileInput("spamd did not answer with a report")
    lines = _REPORT_LINE.findall(answer.decode("utf-8", "replace").replace("\r\n", "\n"))
    outgoing = scope is Scope.OUTGOING
    return _sum([float(s) for s, rule in lines if not (outgoing and NOT_FOR_OUTGOING.match(rule))])


def _sum(scores: list[float]) -> float:
    """The sum without binary noise; an integer 0 for nothing at all, which Postal writes so."""
    return round(sum(scores), 3) if scores else 0


def clamd_request(raw: bytes) -> tuple[bytes, bytes]:
    """What goes before and after `raw`: one chunk, then the empty one."""
    return b"zINSTREAM\0" + struct.pack("!I", len(raw)), struct.pack("!I", 0)


def clamd_threat(answer: bytes) -> tuple[bool, str]:
    """Whether there is a threat, and its name or the rest of the answer."""
    if threat := _FOUND.match(answer.strip(b"\r\n")):
        return True, threat[1].decode("utf-8", "replace")
    return False, NO_THREATS if answer.rstrip(b"\0\r\n") == b"stream: OK" else NOT_SCANNED
