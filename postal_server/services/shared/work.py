"""The values that flow between edges, journal, pipeline and services. No behaviour lives here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from postal_server.rules.hold import HoldReason
from postal_server.rules.lane import ANY_SOURCE
from postal_server.rules.outcome import Outcome
from postal_server.rules.status import DeliveryStatus, Scope

from .entries import Source


@dataclass(frozen=True)
class NewMessage:
    """One recipient of an accepted submission: what becomes a `Message` row and its queue row."""

    server_id: int
    scope: Scope
    rcpt_to: str | None
    destination: str  # the lane: recipient domain, `http:<id>`, `smtp:<id>`, `address:<id>`, `local`
    domain_id: int | None = None
    credential_id: int | None = None
    route_id: int | None = None
    endpoint_type: str = ""
    endpoint_id: int | None = None
    is_bounce: bool = False
    bounce_for_id: int | None = None
    source_id: int = ANY_SOURCE  # of the address it leaves from


@dataclass(frozen=True)
class Accepted:
    """A submission that was accepted and is to be stored: one text, one or more recipients.

    `raw` is the text to store, Postal's Received line included. `message_id` is without brackets.
    """

    raw: bytes
    messages: tuple[NewMessage, ...]
    mail_from: str | None
    subject: str | None
    message_id: str | None
    tag: str | None = None
    stream: str = ""
    ignored_stream: str = ""  # what the mail names, where that is no name of a stream
    priority: int = 0  # a `rules.priority.Priority`
    received_with_ssl: bool | None = None


@dataclass(frozen=True)
class Stored:
    """A message that is durable: what the API answers."""

    id: int
    token: str
    rcpt_to: str | None


@dataclass(frozen=True)
class Claimed:
    """A queue row that this worker holds."""

    id: int  # of the message, or of the webhook request
    server_id: int
    lane: str
    attempts: int  # made before this one
    is_manual: bool
    size_bytes: int
    created_at: datetime
    claims: int = 1  # since the last recorded attempt, this one included
    source_id: int = ANY_SOURCE  # of the address it leaves from
    is_bulk: bool = False


@dataclass(frozen=True)
class Inspection:
    """What the spam and virus scanners say. `score` is 0 where none is configured."""

    score: float = 0
    is_spam: bool = False
    is_threat: bool = False
    threat_details: str | None = None


@dataclass(frozen=True)
class Changes:
    """What preparing changed on a message's row, written when its result is recorded. None: unchanged.

    `raw` is a body of the message's own, where it must differ from the one that was accepted. `kind` is what
    a report was taken for, `bounce_for_id` the message that it is about.
    """

    prefix: bytes | None = None
    tag: str | None = None
    raw: bytes | None = None
    is_rewritten: bool | None = None
    inspection: Inspection | None = None
    kind: str | None = None
    bounce_for_id: int | None = None


@dataclass(frozen=True)
class Target:
    """Where an SMTP delivery goes: the MX of `domain`, or one `host`; if that is down, the `alternatives`.

    `tls_optional`: the sender asks for delivery even without TLS (RFC 8689, `TLS-Required: No`), so the
    domain's TLS policy is not applied.
    """

    domain: str  # the name in `No SMTP servers were available for <domain>`
    host: str | None = None
    port: int | None = None
    ssl_mode: str = "Auto"  # None, Auto, STARTTLS, TLS
    username: str = ""
    password: str = field(default="", repr=False)
    alternatives: tuple[Target, ...] = ()
    tls_optional: bool = False


@dataclass(frozen=True)
class Dsn:
    """What a host that has the DSN extension (RFC 3461) is asked for.

    `notify` are the events to report, as the RFC spells them. `envelope_id` and `original_recipient` come
    back in reports; where they are empty, they are not sent.
    """

    notify: str
    envelope_id: str = ""
    original_recipient: str = ""


@dataclass(frozen=True)
class SmtpDelivery:
    """Hand `data` to `target` for one recipient; `source` None: from an address of the machine's choice.

    `dsn` None: reports are left to the host, whatever it has.
    """

    reverse_path: str | None
    recipient: str
    data: bytes
    target: Target
    source: Source | None = None
    dsn: Dsn | None = None


@dataclass(frozen=True)
class HttpDelivery:
    """POST `body` to `url`. `timeout` in seconds, for the whole exchange.

    `headers` are all but Host, Content-Length, Connection, and Authorization where the URL has user info.
    """

    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    timeout: float


@dataclass(frozen=True)
class Prepared:
    """A claimed row that is ready to be sent, and what preparing it changed on its message."""

    claimed: Claimed
    delivery: SmtpDelivery | HttpDelivery
    changes: Changes | None = None


class Effect:
    """A consequence of a decision besides the message's status: a frozen dataclass for each subject.

    The subject's module in `services.results` defines it and applies it.
    """


@dataclass(frozen=True)
class Decision:
    """A claimed row with nothing to send: its message gets this status at once, and the effects apply.

    `hold_reason` goes with the status Held.
    """

    claimed: Claimed
    status: DeliveryStatus
    details: str
    output: str | None = None
    changes: Changes | None = None
    effects: tuple[Effect, ...] = ()
    hold_reason: HoldReason | None = None


@dataclass(frozen=True)
class TlsSession:
    """An SMTP session as a TLS report counts it (RFC 8460): `failure` is its result type, empty for success.

    `policy_type` is `tlsa`, `sts` or `no-policy-found`; `policy` its text, `hosts` the patterns of MTA-STS.
    """

    domain: str
    policy_type: str
    policy: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    failure: str = ""
    host: str = ""
    address: str = ""
    source: str = ""
    reason: str = ""


@dataclass(frozen=True)
class KeptPolicy:
    """A domain's MTA-STS policy as it is kept: its text, and the id of the record that announced it."""

    domain: str
    record_id: str
    text: str
    fetched_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Result:
    """What became of something that was sent; `changes` are those of its `Prepared`.

    `tls_sessions` are the sessions that were opened, or not, on its account.
    """

    claimed: Claimed
    outcome: Outcome
    changes: Changes | None = None
    tls_sessions: tuple[TlsSession, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """What the queue must do once results are recorded, in the same transaction.

    `withheld_notices`: how many senders got no failure notice because of a limit.
    """

    finished: list[int] = field(default_factory=list)
    deferred: list[tuple[int, datetime]] = field(default_factory=list)  # id, due_at
    withheld_notices: int = 0
