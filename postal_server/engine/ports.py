"""What the pipeline asks of the network, and the values that come back. `transports/` implements it.

None of these calls raises for what a remote does: that is in the result.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from postal_server.mail.smtp_reply import Reply
from postal_server.services.shared.entries import Source
from postal_server.services.shared.work import (
    HttpDelivery,
    KeptPolicy,
    SmtpDelivery,
    Target,
    TlsSession,
)

__all__ = [
    "Answer",
    "Attempt",
    "HttpDelivery",
    "HttpPoster",
    "HttpResult",
    "KeptPolicy",
    "Lookup",
    "PolicyStore",
    "Reply",
    "Resolver",
    "SmtpDelivery",
    "SmtpResult",
    "SmtpSender",
    "Source",
    "Stage",
    "Target",
    "Tls",
    "TlsSession",
]


class Lookup(enum.Enum):
    """How a DNS look-up ended."""

    FOUND = "found"
    NO_DATA = "the name has no such record"
    NO_DOMAIN = "the domain does not exist"
    NULL_MX = "the domain takes no mail"  # RFC 7505
    FAILED = "the name servers failed"
    TIMED_OUT = "the name servers did not answer"


@dataclass(frozen=True)
class Answer:
    """`values` are records as text, or hosts in the order to try them. Empty unless `lookup` is FOUND.

    `canonical_name` is the one that the name is an alias of, empty if it is none.
    """

    lookup: Lookup
    values: tuple[str, ...] = ()
    is_secure: bool = False  # the resolver validated it (DNSSEC)
    canonical_name: str = ""


class Resolver(Protocol):
    """DNS, with each answer cached for as long as it says."""

    async def records(self, name: str, kind: str) -> Answer:
        """The records of a kind (`TXT`, `MX`, ...) as text, TXT strings joined."""

    async def mail_hosts(self, domain: str) -> Answer:
        """Hosts that take mail for `domain`, best first, equals in random order; itself without MX."""

    async def addresses(self, host: str) -> Answer:
        """All IPv6, then all IPv4 addresses. An IP address is its own answer."""

    async def name_of(self, address: str) -> str | None:
        """The PTR name of an IP address, None if there is none."""


class PolicyStore(Protocol):
    """MTA-STS policies, kept beyond the life of this process. Neither method raises."""

    async def load(self) -> Sequence[KeptPolicy] | None:
        """Those that have not expired; None if the store cannot be read now."""

    async def save(self, policy: KeptPolicy) -> None:
        """Keep it in place of the domain's former one."""


class Stage(enum.Enum):
    """How far an SMTP delivery came."""

    RESOLVE = "host look-up"
    CONNECT = "connecting"
    BANNER = "banner"
    HELO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BLOCK = "message data"
    DOT = "final dot"


@dataclass(frozen=True)
class Tls:
    """An encrypted connection. `problem` says why the certificate is not verified; empty if it is.

    `policy` is the TLS policy that applied, empty where the domain has none.
    """

    version: str
    problem: str = ""
    policy: str = ""

    @property
    def is_verified(self) -> bool:
        return not self.problem

    def __str__(self) -> str:
        state = f"certificate not verified: {self.problem}" if self.problem else "certificate verified"
        return f"{self.version} ({self.policy}), {state}" if self.policy else f"{self.version}, {state}"


@dataclass(frozen=True)
class Attempt:
    """A host, or one address of it, that could not be used; `policy` names what TLS it failed to give."""

    host: str
    address: str
    port: int
    error: str
    policy: str = ""


@dataclass(frozen=True)
class SmtpResult:
    """One delivery. Without a connection `address` is empty, `seconds` None and `stage` RESOLVE or CONNECT.

    `reply` is the remote's last reply, None where the connection broke. Then `error` says how, and at
    `Stage.DOT` the mail may have arrived or not. A reply of our own (an address that the remote cannot take,
    a message above its limit) looks like the remote's. `tried` are the hosts before this one. `seconds` is
    the time of the transaction alone. `tls_sessions` are those that were opened, or failed, for this mail.
    """

    log_id: str
    stage: Stage
    reply: Reply | None = None
    error: str = ""
    host: str = ""
    address: str = ""
    port: int = 0
    source: str | None = None
    tls: Tls | None = None
    seconds: float | None = None
    lookup: Lookup = Lookup.FOUND
    tried: tuple[Attempt, ...] = ()
    tls_sessions: tuple[TlsSession, ...] = ()

    @property
    def is_delivered(self) -> bool:
        return self.stage is Stage.DOT and self.reply is not None and self.reply.code // 100 == 2


class SmtpSender(Protocol):
    async def send(self, mail: SmtpDelivery) -> SmtpResult:
        """Deliver one mail to one recipient."""

    async def close(self) -> None:
        """Say QUIT on idle connections and cut the others."""


@dataclass(frozen=True)
class HttpResult:
    """One post. `status` is the answer's, or one of the codes in `rules.http_code`.

    `body` is the start of the answer, or what went wrong; `retry_after` its header in seconds.
    """

    status: int
    body: bytes = b""
    retry_after: int | None = None
    seconds: float | None = None


class HttpPoster(Protocol):
    async def post(self, post: HttpDelivery) -> HttpResult:
        """Post `post.body` within `post.timeout` seconds."""

    async def close(self) -> None:
        """Close all connections."""
