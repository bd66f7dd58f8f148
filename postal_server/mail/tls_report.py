"""TLS reports (RFC 8460): where a domain wants them sent, their content, and the mail that carries one."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import formataddr
from urllib.parse import unquote, urlsplit

from .address import is_plausible_recipient, split_address

RECORD_NAME = "_smtp._tls"
MEDIA_TYPE = "application/tlsrpt+gzip"
MAX_ADDRESSES = 5  # of one record
MAX_DETAILS = 1000  # of one policy

_VERSION = re.compile(r"v=TLSRPTv1\s*(?:;|$)")


@dataclass(frozen=True)
class Failures:
    """Sessions that failed alike. `kind` is the result type of section 4.3."""

    kind: str
    count: int
    host: str = ""
    address: str = ""
    source: str = ""
    reason: str = ""


@dataclass(frozen=True)
class PolicyResult:
    """The results under one policy; `type` is `tlsa`, `sts` or `no-policy-found`."""

    type: str
    text: Sequence[str]
    hosts: Sequence[str]
    successes: int
    failures: Sequence[Failures]


@dataclass(frozen=True)
class Report:
    """The sessions of one day (UTC) with one domain. `id` is as unique as a Message-ID."""

    id: str
    organization: str
    contact: str  # an address
    domain: str
    day: date
    policies: Sequence[PolicyResult]

    @property
    def submitter(self) -> str:
        """The domain that the report comes from."""
        return split_address(self.contact)[1]

    @property
    def file_name(self) -> str:
        """Section 5.1: who, about whom, from when until when, and a unique word."""
        word = self.id.partition("@")[0]
        start = int(datetime.fromisoformat(f"{self.day:%Y-%m-%d}T00:00:00+00:00").timestamp())
        return f"{self.submitter}!{self.domain}!{start}!{start + 86_399}!{word}.json.gz"

    def compressed(self) -> bytes:
        """The report as it is sent: JSON, gzip."""
        return gzip.compress(json.dumps(self._content()).encode(), mtime=0)

    def _content(self) -> dict[str, object]:
        return {
            "organization-name": self.organization,
            "date-range": {
                "start-datetime": f"{self.day:%Y-%m-%d}T00:00:00Z",
                "end-datetime": f"{self.day:%Y-%m-%d}T23:59:59Z",
            },
            "contact-info": f"mailto:{self.contact}",
            "report-id": self.id,
            "policies": [_policy(result, self.domain) for result in self.policies],
        }


def addresses(records: Sequence[str]) -> list[str]:
    """Where reports go, by the TXT records at `_smtp._tls.<domain>`: mail addresses and https URLs.

    None unless there is exactly one record (section 3).
    """
    ours = [record for record in records if _VERSION.match(record)]
    if len(ours) != 1:
        return []
    pairs = (part.strip().partition("=") for part in ours[0].split(";"))
    listed = next((value for name, _, value in pairs if name.strip() == "rua"), "")
    addresses = (_address(uri.strip()) for uri in listed.split(",")[:MAX_ADDRESSES])
    return [address for address in addresses if address]


def _address(uri: str) -> str:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    if parts.scheme == "mailto":
        address = unquote(parts.path)
        return address if is_plausible_recipient(address) else ""
    return uri if parts.scheme == "https" and parts.hostname else ""


def _policy(result: PolicyResult, domain: str) -> dict[str, object]:
    policy: dict[str, object] = {"policy-type": result.type, "policy-domain": domain}
    if result.text:
        policy["policy-string"] = list(result.text)
    if result.hosts:
        policy["mx-host"] = list(result.hosts)
    values: dict[str, object] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": result.successes,
            "total-failure-session-count": sum(failures.count for failures in result.failures),
        },
    }
    if result.failures:
        values["failure-details"] = [_details(failures) for failures in result.failures[:MAX_DETAILS]]
    return values


def _details(failures: Failures) -> dict[str, object]:
    named = {
        "sending-mta-ip": failures.source,
        "receiving-mx-hostname": failures.host,
        "receiving-ip": failures.address,
        "failure-reason-code": failures.reason,
    }
    known = {name: value for name, value in named.items() if value}
    return {"result-type": failures.kind, **known, "failed-session-count": failures.count}


def compose(report: Report, recipients: Sequence[str], *, message_id: str, date: str, name: str) -> bytes:
    """The mail that carries a report (section 5.3). `name` is the sender's, `date` an RFC 5322 date.

    It asks to be sent without TLS rather than not at all (RFC 8689), as it may be about broken TLS.
    """
    mail = MIMEMultipart("report", report_type="tlsrpt", policy=SMTP)
    mail["From"] = formataddr((name, report.contact))
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = f"Report Domain: {report.domain} Submitter: {report.submitter} Report-ID: <{report.id}>"
    mail["Date"] = date
    mail["Message-ID"] = f"<{message_id}>"
    mail["TLS-Report-Domain"] = report.domain
    mail["TLS-Report-Submitter"] = report.submitter
    mail["TLS-Required"] = "No"
    mail["Auto-Submitted"] = "auto-generated"
    text = f"TLS sessions of {report.organization} with {report.domain} on {report.day:%d %b %Y} (UTC).\n"
    mail.attach(MIMEText(text, "plain", "us-ascii" if text.isascii() else "utf-8", policy=SMTP))
    body = MIMEApplication(report.compressed(), MEDIA_TYPE.partition("/")[2], policy=SMTP)
    body.add_header("Content-Disposition", "attachment", filename=report.file_name)
    mail.attach(body)
    return mail.as_bytes()
