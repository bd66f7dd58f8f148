"""The interface of a store for the backend and the views; `anymail_postal.contrib.store` implements it.

A store keeps metadata of any size, the events and mail that were received, requests for a task to handle,
scheduled mail, and addresses that are not mailed again. The rest of the package works without one.
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
    """The state of a request when it arrives; the response is 200, 200 without a signal, or 503."""

    NEW = "new"  # not handled yet: run the receivers
    DONE = "done"  # a repetition of a handled request: send no signal
    RUNNING = "running"  # another process is handling it and may fail: have Postal repeat it


@dataclass(frozen=True)
class SentMessage:
    """An accepted message to one recipient. `postal_id` and `token` are from Postal's response."""

    postal_id: int
    token: str
    recipient: str
    rfc_message_id: str = ""
    subject: str = ""
    tag: str = ""
    metadata: JSON = field(default_factory=dict)


@dataclass(frozen=True)
class ScheduledSend:
    """An API call to make at `send_at` (aware). `endpoint` is the path below /api/v1, `params` the JSON body.

    `subject`, `tag` and `metadata` are for the records of the sent messages.
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
    """What is kept of a webhook. `key` (at most 64 characters) identifies the event, see `dedupe.py`.

    `name` is Postal's (MessageSent), `event_type` and `reject_reason` are Anymail's. `occurred_at` is
    `payload.timestamp`, None if the payload has none. By it, an event that two webhooks of one mail server
    send to one URL is recognized although the uuids differ. `failure_class` is why a message was not taken, a
    word of `anymail_postal.classification`, "" if it was. `may_suppress`: may a bounce or rejection keep
    further mail from the recipient?
    """

    server: str
    key: str
    name: str
    event_type: str
    postal_id: int | None = None
    recipient: str = ""
    occurred_at: datetime | None = None
    reject_reason: str | None = None
    failure_class: str = ""
    details: str = ""
    output: str = ""
    may_suppress: bool = True


@dataclass(frozen=True)
class MailReceipt:
    """What is kept of an incoming mail. `key` (at most 64 characters) identifies the mail, see `dedupe.py`.

    `sender` and `recipient` are those of the envelope; the null reverse-path is "".
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
    """A kept request for a task to handle. `body` are the bytes that Postal sent."""

    kind: Literal["tracking", "inbound"]
    server: str
    body: bytes
    content_type: str


@dataclass(frozen=True)
class StoredEvent:
    """A tracking event in a store. `number` increases with each event; `at` (aware) is when it happened."""

    number: int
    at: datetime
    server: str
    name: str
    event_type: str
    reject_reason: str
    failure_class: str
    recipient: str
    details: str
    output: str


class Store(Protocol):
    """Messages are identified by the server name and Postal's id. Any method may raise `django.db.Error`."""

    def record_sent(self, server: str, messages: Iterable[SentMessage]) -> None:
        """Record accepted messages with their metadata. Recorded messages are not changed."""
        ...

    def metadata(self, server: str, postal_id: int) -> dict[str, Any] | None:
        """The metadata of a sent message; `{}` if it has none, None if the message is not recorded (yet)."""
        ...

    def receive(self, receipt: Receipt) -> AbstractContextManager[Claim]:
        """Claim a request in a transaction. The `with` block runs the receivers if the claim is NEW.

        An exception in the block rolls the claim back with what the receivers wrote.
        """
        ...

    def keep(self, receipt: Receipt, body: bytes, content_type: str) -> str | None:
        """Keep a request for a task, and return its delivery id; None if it has been handled.

        It is committed on return, unless the caller is in a transaction. A repetition of a request that is
        not handled yet has the same delivery id, because its task may have been lost.
        """
        ...

    def delivery(self, delivery_id: str) -> AbstractContextManager[Delivery | None]:
        """Open a kept request in a transaction, which marks it as handled unless the `with` block raises.

        None if it has been handled, is being handled, or does not exist.
        """
        ...

    def schedule(self, sends: Sequence[ScheduledSend]) -> None:
        """Keep API calls, all or none of them, until `postal_send_due` makes them."""
        ...

    def suppressed(self, server: str, addresses: Iterable[str]) -> set[str]:
        """The subset of `addresses` that must not be mailed, compared without case."""
        ...

    def event_names(self, server: str) -> set[str]:
        """Postal's names of the events of a server that are kept."""
        ...

    def events(self, limit: int, *, server: str | None = None, after: int | None = None) -> list[StoredEvent]:
        """The last `limit` events by their numbers, or the first `limit` after the number `after`.

        With `server` None, the events of all servers.
        """
        ...
