"""MTA-STS (RFC 8461): a domain's record and policy, and whether a host is one of the policy's."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from postal_server.errors import HostileInput

RECORD_NAME = "_mta-sts"
MAX_AGE = 31_557_600  # seconds: the most that a policy may ask for (section 3.2)
MAX_POLICY_BYTES = 65_536
MAX_PATTERNS = 100

_VERSION = re.compile(r"v=STSv1\s*(?:;|$)")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_PATTERN = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")


class Mode(str, enum.Enum):
    """What a policy asks of senders (RFC 8461 section 3.2)."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True)
class Policy:
    """`patterns` are lower-case host names, `*.` in front for any one label; `max_age` is in seconds."""

    mode: Mode
    patterns: tuple[str, ...]
    max_age: int

    def permits(self, host: str) -> bool:
        """Is the host one of the policy's (section 4.1)?"""
        host = host.lower().rstrip(".")
        return any(_matches(pattern, host) for pattern in self.patterns)


def policy_url(domain: str) -> str:
    """Where the policy of a domain is fetched."""
    return f"https://mta-sts.{domain}/.well-known/mta-sts.txt"


def record_id(records: Sequence[str]) -> str | None:
    """The policy's id in the TXT records at `_mta-sts.<domain>`; None where there is not exactly one."""
    ours = [record for record in records if _VERSION.match(record)]
    if len(ours) != 1:
        return None
    pairs = (part.partition("=") for part in ours[0].split(";"))
    record_id = next((value.strip() for name, _, value in pairs if name.strip() == "id"), "")
    return record_id if _ID.fullmatch(record_id) else None


def parse_policy(text: bytes) -> Policy:
    """The policy in a file. Raises `HostileInput` for anything else (section 3.2)."""
    if len(text) > MAX_POLICY_BYTES:
        raise HostileInput("the policy is too large")
    patterns: list[str] = []
    fields: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        name, mark, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if name == "mx":
            patterns.append(value.lower().rstrip("."))
        elif mark:
            fields.setdefault(name, value)  # of a repeated field the first counts
    if fields.get("version") != "STSv1":
        raise HostileInput("the policy is of no known version")
    if len(patterns) > MAX_PATTERNS or not all(map(_PATTERN.fullmatch, patterns)):
        raise HostileInput("an mx line of the policy is no host name")
    age = fields.get("max_age", "")
    if not (age.isascii() and age.isdigit() and len(age) <= 10):
        raise HostileInput("the policy has no max_age")
    try:
        mode = Mode(fields.get("mode", ""))
    except ValueError:
        raise HostileInput("the policy has no known mode") from None
    if not patterns and mode is not Mode.NONE:
        raise HostileInput("the policy names no hosts")
    return Policy(mode, tuple(patterns), min(int(age), MAX_AGE))


def _matches(pattern: str, host: str) -> bool:
    if not pattern.startswith("*."):
        return pattern == host
    label, _, rest = host.partition(".")
    return bool(label) and rest == pattern[2:]
