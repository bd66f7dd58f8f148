"""The fields of a feedback report (RFC 5965, RFC 6591): what a receiver's users say about a mail."""

from __future__ import annotations

from dataclasses import dataclass

from .header import bare_message_id, decode_header, header_fields

MAX_FIELDS = 200
MAX_ADDRESSES = 100
MAX_VALUE = 1000  # characters


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
