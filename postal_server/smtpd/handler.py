"""What the SMTP protocol needs from the rest of the server, and the values that it passes."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Principal:
    """Who has authenticated. `path` is `organization/server`; `credential` belongs to the handler."""

    path: str
    credential: Any


@dataclass(frozen=True)
class Recipient:
    """An accepted recipient, `outgoing`, `incoming` or `bounce`. `decision` belongs to the handler."""

    address: str
    kind: str
    decision: Any


@dataclass
class ClientSession:
    """What a handler may know of a connection and its client.

    `id` stands in logs. `client_name` is the PTR name of `client_address`, None where there is none; `helo`
    is the argument of EHLO or HELO; `tls` is the version of TLS, None without TLS. A handler may set
    `principal`, for a client that it knows by the address.
    """

    id: str
    client_address: str
    client_name: str | None = None
    helo: str | None = None
    tls: str | None = None
    principal: Principal | None = None


@dataclass
class Envelope:
    """One message and its envelope. `reverse_path` is None for `<>`.

    `data` is the content as sent, without dot-stuffing, bare CR and LF kept. `body` is the BODY parameter of
    MAIL, None without one; `smtputf8`: it had the parameter SMTPUTF8.
    """

    reverse_path: str | None
    recipients: list[Recipient] = field(default_factory=list)
    data: bytes = b""
    body: str | None = None
    smtputf8: bool = False


class SmtpHandler(Protocol):
    """Decides about clients, recipients and messages.

    All but `accept_message` answer at once, from memory: they run in the event loop.
    """

    def authenticate(self, secret: str) -> Principal | None:
        """Whose SMTP key `secret` is, or None."""

    def find_cram_keys(self, username: str) -> Iterable[tuple[Principal, str]] | None:
        """The SMTP keys, unencrypted, of the mail server that `username` names; None if it names none.

        A user name is `organization/server` or `organization_server`.
        """

    def check_room(self, size_bytes: int) -> None:
        """Raise `Busy` if a message of this size (0: unknown) cannot be accepted now."""

    def accept_recipient(self, session: ClientSession, address: str) -> Recipient:
        """Accept a recipient. Raises `Refusal`."""

    def accept_message(self, session: ClientSession, envelope: Envelope) -> Awaitable[object]:
        """Done when the message is durable. Raises `Refusal` or `Busy`, at once or when awaited."""


class Count(Protocol):
    """Adds 1 to the counter of this name with these labels (contract 11.3)."""

    def __call__(self, metric: str, /, **labels: str) -> None: ...


def count_nothing(metric: str, /, **labels: str) -> None:
    """The default `Count`."""
