"""The fields of a feedback report (RFC 5965, RFC 6591): what a receiver's users say about a mail."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .header import bare_message_id, decode_header, header_fields, header_values

FEEDBACK_TYPE = "message/feedback-report"
MAX_FIELDS = 200
MAX_ADDRESSES = 100
MAX_VALUE = 1000  # characters

_FEEDBACK_TYPE = re.compile(
    r"\s{0,20}(?:(?:user-agent|version):[^\n]{0,300}\n){0,2}feedback-type[ \t]*:", re.IGNORECASE
)
_JMRP_SENDER = "staff@hotmail.com"


@dataclass(frozen=True)
class Feedback:
    """Who complains about what. `type` is in lower case: `abuse`, `fraud`, `opt-out`, `auth-failure`, ...

    `original_mail_from` and `original_recipients` are without brackets; receivers may have redacted them
    (RFC 6590). `source_ip` sent the mail. `arrival_date` is as written. `reported_domains` are in lower case.
    """

    type: str = "abuse"
    user_agent: str | None = None
    source_ip: str | None = None
    original_mail_from: str | None = None
    original_recipients: tuple[str, ...] = ()
    arrival_date: str | None = None
    reporting_mta: str | None = None
    reported_domains: tuple[str, ...] = ()
    envelope_id: str | None = None
    auth_failure: str | None = None


def read_feedback(content: bytes) -> Feedback:
    """The fields in a decoded `message/feedback-report`. Never raises; without a type it is `abuse`."""
    values: dict[str, list[str]] = {}
    for name, value in header_fields(content.lstrip() + b"\r\n\r\n", MAX_FIELDS):
        if text := decode_header(value)[:MAX_VALUE].strip():
            values.setdefault(name.lower(), []).append(text)

    def first(name: str) -> str | None:
        return values.get(name, [None])[0]

    mail_from = first("original-mail-from")
    dates = values.get("arrival-date") or values.get("received-date")
    return Feedback(
        type=(first("feedback-type") or "abuse").partition(";")[0].strip().lower(),
        user_agent=first("user-agent"),
        source_ip=first("source-ip") or first("source"),
        original_mail_from=bare_message_id(mail_from) if mail_from else None,
        original_recipients=tuple(
            address
            for value in values.get("original-rcpt-to", [])[:MAX_ADDRESSES]
            if (address := bare_message_id(value))
        ),
        arrival_date=dates[0] if dates else None,
        reporting_mta=(first("reporting-mta") or "").rpartition(";")[2].strip() or None,
        reported_domains=tuple(
            domain.lower() for domain in values.get("reported-domain", [])[:MAX_ADDRESSES]
        ),
        envelope_id=first("original-envelope-id"),
        auth_failure=first("auth-failure"),
    )


def is_feedback(text: str) -> bool:
    """Does text begin like a feedback report? For those that are labelled as something else."""
    return _FEEDBACK_TYPE.match(text) is not None


def find_jmrp(header: bytes, returned: bytes) -> Feedback | None:
    """A complaint of Microsoft's Junk Mail Reporting Program, which returns the mail alone, or None.

    Microsoft writes the recipient into the header of the mail, `returned`.
    """
    senders = [bare_message_id(value) for value in header_values(header, "From")]
    recipients = header_values(returned, "X-HmXmrOriginalRecipient")
    if not returned or not (_JMRP_SENDER in senders or recipients):
        return None
    addresses = (bare_message_id(value[:MAX_VALUE]) for value in recipients[:MAX_ADDRESSES])
    return Feedback(user_agent="JMRP", original_recipients=tuple(filter(None, addresses)))
