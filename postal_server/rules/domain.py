"""The DNS records of a domain compared with those it must publish. Texts and statuses: contract 9.3.

`records` are those in DNS: TXT records as whole strings, host names without their final dot, in any case.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

ED25519_SELECTOR_END = "-ed25519"  # of a domain's second key, behind the selector of the first


class DnsStatus(str, enum.Enum):
    OK = "OK"
    MISSING = "Missing"
    INVALID = "Invalid"


@dataclass(frozen=True)
class Check:
    """The state of a record. `error` is empty where it is in order."""

    status: DnsStatus
    error: str = ""


GOOD = Check(DnsStatus.OK)
_SPF = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)  # RFC 7208 section 4.5


@dataclass(frozen=True)
class Policy:
    """A record that a domain has once or not at all. Receivers treat two of them as none.

    `prefix` is the label or labels in front of the domain; `mark` matches the start of the record.
    """

    what: str
    prefix: str
    mark: re.Pattern[str]


POLICIES = (
    Policy("DMARC", "_dmarc", re.compile(r"v\s*=\s*DMARC1\s*(?:;|\Z)", re.IGNORECASE)),  # RFC 7489, 6.6.3
    Policy("MTA-STS", "_mta-sts", re.compile(r"v=STSv1\s*(?:;|\Z)", re.IGNORECASE)),  # RFC 8461, 3.1
    Policy("TLS report", "_smtp._tls", re.compile(r"v=TLSRPTv1\s*(?:;|\Z)", re.IGNORECASE)),  # RFC 8460, 3
)


def check_spf(records: Sequence[str], include: str) -> Check:
    """Does the domain's one SPF record include ours? To receivers two are an error, whatever they contain."""
    policies = [text.split() for text in records if _SPF.match(text)]
    if not policies:
        return Check(DnsStatus.MISSING, "No SPF record exists for this domain")
    if len(policies) > 1:
        return Check(DnsStatus.INVALID, _too_many(len(policies), "SPF records for this domain"))
    mechanism = f"include:{include}".lower()
    if any(term.lower().lstrip("+?~-") == mechanism for term in policies[0]):
        return GOOD
    return Check(DnsStatus.INVALID, f"An SPF record exists but it doesn't include {include}")


def check_dkim(name: str, records: Sequence[str], expected: str) -> Check:
    """Is the one TXT record at `name` our public key? Blanks and the final semicolon do not matter."""
    if not records:
        return Check(DnsStatus.MISSING, f"No TXT records were returned for {name}")
    if len(records) > 1:
        many = f"There are {len(records)} records for at {name}. There should only be one."
        return Check(DnsStatus.INVALID, many)
    if _tags(records[0]) == _tags(expected):
        return GOOD
    return Check(
        DnsStatus.INVALID,
        f"The DKIM record at {name} does not match the record we have provided. "
        "Please check it has been copied correctly.",
    )


def check_mx(domain: str, records: Sequence[str], expected: Sequence[str]) -> Check:
    """Are all of our hosts among the domain's MX records? If none is, it does not receive mail here."""
    if not records:
        return Check(DnsStatus.MISSING, f"There are no MX records for {domain}")
    hosts = {host.lower() for host in records}
    missing = [host for host in expected if host.lower() not in hosts]
    if not missing:
        return GOOD
    if len(missing) == len(expected):
        return Check(DnsStatus.MISSING, "You have MX records but none of them point to us.")
    noun = "record" if len(missing) == 1 else "records"
    return Check(DnsStatus.INVALID, f"MX {noun} for {_listed(missing)} are missing and are required.")


def check_return_path(name: str, records: Sequence[str], expected: str) -> Check:
    return _check_cname(name, records, expected, f"There is no return path record at {name}")


def check_track_domain(name: str, records: Sequence[str], expected: str) -> Check:
    return _check_cname(name, records, expected, f"There is no record at {name}")


def check_policy(policy: Policy, domain: str, records: Sequence[str]) -> Check:
    """Is the policy published exactly once? Its content is the domain's own business."""
    count = sum(policy.mark.match(text) is not None for text in records)
    if count > 1:
        return Check(
            DnsStatus.INVALID, _too_many(count, f"{policy.what} records at {policy.prefix}.{domain}")
        )
    return GOOD if count else Check(DnsStatus.MISSING)


def check_ownership(domain: str, records: Sequence[str], prefix: str) -> Check:
    """Is there exactly one ownership record? `prefix` is the first word of such records."""
    count = sum(text.split(" ", 1)[0] == prefix for text in records)
    if count > 1:
        return Check(DnsStatus.INVALID, _too_many(count, f"{prefix} records at {domain}"))
    return GOOD if count else Check(DnsStatus.MISSING)


def check_second_key(name: str, records: Sequence[str]) -> Check:
    """Is the domain's Ed25519 key published exactly once?"""
    if len(records) > 1:
        return Check(DnsStatus.INVALID, _too_many(len(records), f"records at {name}"))
    return GOOD if records else Check(DnsStatus.MISSING)


def is_verified(records: Sequence[str], expected: str) -> bool:
    """Does the apex have the ownership record, as one whole TXT string?"""
    return expected in records


def _check_cname(name: str, records: Sequence[str], expected: str, missing: str) -> Check:
    if not records:
        return Check(DnsStatus.MISSING, missing)
    if len(records) > 1:
        return Check(DnsStatus.INVALID, _too_many(len(records), f"records at {name}"))
    if records[0].lower() == expected.lower():
        return GOOD
    return Check(
        DnsStatus.INVALID,
        f"There is a CNAME record at {name} but it points to {records[0]} which is incorrect. "
        f"It should point to {expected}.",
    )


def _too_many(count: int, what: str) -> str:
    return f"There are {count} {what}. There should only be one."


def _tags(record: str) -> str:
    return "".join(record.split()).rstrip(";")


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b, and c`."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"
