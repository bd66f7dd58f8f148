"""What a store must offer to the backend and the views; `anymail_postal.contrib.store` is one.

A store remembers what Postal does not give back: metadata of any size, events seen before, posts that wait
for a task, mail that waits for its time, addresses not to mail again. The core works without one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Literal, Protocol

JSON = Mapping[str, Any]


class Claim(Enum):
    """What is known about a post when it arrives; the view answers 200, 200 without a signal, or 503."""

    NEW = "new"  # Nobody has handled it: run the receivers.
    DONE = "done"  # Handled before: a repeat, no signal.
    RUNNING = "running"  # Somebody is at it right now and may still fail: ask Postal to come again.


@dataclass(frozen=True)
class SentMessage:
    """One recipient's message as accepted: `postal_id` and `token` are Postal's answer, the rest is ours."""

    postal_id: int
    token: str
    recipient: str
    rfc_message_id: str = ""
    subject: str = ""
    tag: str = ""
    metadata: JSON = field(default_factory=dict)


@dataclass(frozen=True)
class ScheduledSend:
    """An API call to make at `send_at` (aware): `endpoint` is the path below /api/v1, `params` its JSON body.

    `subject`, `tag` and `metadata` are what the rows of the sent messages will say.
    """

    server: str
    send_at: datetime
    endpoint: Literal["send/message", "send/raw"]
    params: JSON
    subject: str = ""
    tag: str = ""
    metadata: JSON = field(default_factory=dict)


@dataclass(frozen=True)
class EventReceipt:
    """A tracking post. `key` (at most 64 characters) says which event it is, see `dedupe.py`.

    `name` is Postal's word (MessageSent), `event_type` and `reject_reason` are Anymail's. `occurred_at` is
    `payload.timestamp`, None where the payload has none: with it, two webhooks on one URL are one event
    although their uuids differ.
    """

    server: str
    key: str
    name: str
    event_type: str
    postal_id: int | None = None
    recipient: str = ""
    occurred_at: datetime | None = None
    reject_reason: str | None = None
    details: str = ""
    output: str = ""


@dataclass(frozen=True)
class MailReceipt:
    """An inbound post. `key` (at most 64 characters) says which mail it is, see `dedupe.py`.

    `sender` and `recipient` are the envelope's; the null reverse-path is "".
    """

    server: str
    key: str
    postal_id: int | None = None
    sender: str = ""
    recipient: str = ""
    subject: str = ""


Receipt = EventReceipt | MailReceipt


@dataclass(frozen=True)
class Delivery:
    """A kept post, handed to the task that handles it: the bytes as Postal posted them."""

    kind: Literal["tracking", "inbound"]
    server: str
    body: bytes
    content_type: str


@dataclass(frozen=True)
class StoredEvent:
    """A tracking event that a store remembers. `number` grows with each; `at` is when it happened."""

    number: int
    at: datetime
    server: str
    name: str
    event_type: str
    reject_reason: str
    recipient: str
    details: str
    output: str


class Store(Protocol):
    """Rows keyed by (server name, Postal's id). Every method may raise `django.db.Error`: the view's 500."""

    def record_sent(self, server: str, messages: Iterable[SentMessage]) -> None:
        """Remember accepted messages with their metadata. A message recorded before is left as it is."""
        ...

    def metadata(self, server: str, postal_id: int) -> dict[str, Any] | None:
        """Metadata of a sent message; `{}` if it had none; None if no such message is recorded (yet)."""
        ...

    def receive(self, receipt: Receipt) -> AbstractContextManager[Claim]:
        """Claim a post in a transaction that also holds the receivers, so that an exception undoes the claim.

        The body of the `with` runs the receivers only if the claim is NEW.
        """
        ...

    def keep(self, receipt: Receipt, body: bytes, content_type: str) -> str | None:
        """Keep a post for a task and return its delivery id; None if it was handled before.

        Committed on return, unless the caller holds a transaction. A repeat of a post not handled yet returns
        the id it has: its task may have been lost.
        """
        ...

    def delivery(self, delivery_id: str) -> AbstractContextManager[Delivery | None]:
        """Open a kept post in a transaction that also holds the receivers; leaving it well marks it handled.

        None if it was handled before, is being handled, or does not exist.
        """
        ...

    def schedule(self, sends: Sequence[ScheduledSend]) -> None:
        """Keep API calls, all or none, until `postal_send_due` makes them."""
        ...

    def suppressed(self, server: str, addresses: Iterable[str]) -> set[str]:
        """Those of `addresses`, as given, that must not be mailed. Case does not matter."""
        ...

    def events(self, limit: int, *, server: str | None = None, after: int | None = None) -> list[StoredEvent]:
        """The last `limit` events in the order of their numbers, or the next `limit` after number `after`.

        `server` None is all servers.
        """
        ...
