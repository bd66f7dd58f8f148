"""What the SMTP protocol asks of the rest of the server, and what it tells: session and envelope."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Principal:
    """Who is authenticated. `path` is `organisation/server`; `credential` is the handler's own."""

    path: str
    credential: Any


@dataclass(frozen=True)
class Recipient:
    """A recipient that was taken: `outgoing`, `incoming` or `bounce`. `decision` is the handler's own."""

    address: str
    kind: str
    decision: Any


@dataclass
class Session:
    """One connection, as far as it matters to mail.

    `client_name` is the PTR name of `client_address`, null where there is none; `tls` the protocol version,
    null in clear. A handler may set `principal` (a client known by its address).
    """

    id: str
    client_address: str
    client_name: str | None = None
    helo: str | None = None
    tls: str | None = None
    principal: Principal | None = None


@dataclass
class Envelope:
    """One message. `reverse_path` is null for `<>`.

    `data` is the content as sent, dots unstuffed, bare CR and LF kept. `body` is the BODY parameter.
    """

    reverse_path: str | None
    recipients: list[Recipient] = field(default_factory=list)
    data: bytes = b""
    body: str | None = None
    smtputf8: bool = False


class Handler(Protocol):
    """Decides. All but `accept` answer at once, from memory: they run in the event loop."""

    def authenticate(self, secret: str) -> Principal | None:
        """Who holds the SMTP key `secret`."""

    def cram_secrets(self, username: str) -> Iterable[tuple[Principal, str]] | None:
        """The SMTP keys in clear of the server that `username` (`org/server`, `org_server`) names.

        Null if it names none.
        """

    def check_room(self, size_bytes: int) -> None:
        """Raise `Busy` if a message of this size (0 if not told) cannot be taken now."""

    def recipient(self, session: Session, address: str) -> Recipient:
        """Take a recipient, or raise `Refusal`."""

    def accept(self, session: Session, envelope: Envelope) -> Awaitable[object]:
        """Done when the message is durable. Raises `Refusal` or `Busy`, at once or then."""


class Count(Protocol):
    """Adds one to the counter of this name and these labels (contract 11.3)."""

    def __call__(self, metric: str, /, **labels: str) -> None: ...


def count_nothing(metric: str, /, **labels: str) -> None:
    """The default `Count`."""
