"""The four actions of `/api/v1`: authenticate, read, ask the services, answer.

The two send actions stay clear of the database and of Django: credentials and domains come from the
directory, and the journal makes the message durable before the answer. Source: contract 1.
"""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

from postal_server.conf import Config
from postal_server.engine.database import checked_connection
from postal_server.errors import (
    AccessDenied,
    Busy,
    HostileInput,
    InvalidServerAPIKey,
    MessageTooLarge,
    Refusal,
    ServerSuspended,
)
from postal_server.mail.compose import make_boundaries
from postal_server.services import credential as credentials
from postal_server.services import message as messages
from postal_server.services import submission
from postal_server.services.directory import CredentialEntry, Directory
from postal_server.services.submission import Client, Submitted
from postal_server.services.work import Accepted, Stored
from postal_server.wire import api as wire
from postal_server.wire import message as shown
from postal_server.wire.http import Answer, BodyTooLarge, Request, error_answer, json_answer

from .room import BodyRoom

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH"})
PATH = re.compile(r"/api/v1/(send/message|send/raw|messages/message|messages/deliveries)(?:\.\w+)?/?\Z")
# A message of 50 MiB, in base64 with its line ends written as `\n`, and 4 MiB for everything else.
MAX_BODY_BYTES = submission.MAX_API_MESSAGE_BYTES * 62 // 45 + 4 * 1024 * 1024


class Journal(Protocol):
    """What makes messages durable (`engine.journal`)."""

    def check_room(self, size_bytes: int) -> None:
        """Raise `Busy` if a message of this size cannot be taken now."""

    def store(self, accepted: Accepted) -> list[Stored]:
        """Return when the message is durable. Raises `Busy`."""


@dataclass(frozen=True)
class API:
    """`/api/v1`, for any number of threads. `reverse_name` says what an address is called, at once."""

    config: Config
    directory: Callable[[], Directory]
    journal: Journal
    reverse_name: Callable[[str], str | None]
    room: BodyRoom = field(default_factory=BodyRoom)

    def answer(self, request: Request) -> Answer:
        """The answer to a request below `/api/`. Bugs are the caller's to log."""
        started = time.monotonic()
        accept = request.header("Accept")
        found = PATH.match(request.path)
        if found is None or request.method not in METHODS:
            return error_answer(404, accept)
        try:
            data = self._act(ACTIONS[found[1]], request)
            return json_answer(wire.success(data, time.monotonic() - started))
        except AccessDenied as refusal:
            return json_answer(wire.failure(refusal, 0.0))
        except MessageTooLarge as refusal:
            return json_answer(wire.failure(refusal, time.monotonic() - started), 413)
        except Refusal as refusal:
            return json_answer(wire.failure(refusal, time.monotonic() - started))
        except HostileInput:
            return error_answer(400, accept)
        except Busy as busy:
            headers = (("retry-after", str(busy.retry_after)),)
            return json_answer(wire.busy(busy, time.monotonic() - started), 503, headers)

    def _act(self, action: Action, request: Request) -> Any:
        directory = self.directory()
        credential = authenticate(request.header("X-Server-API-Key"), directory)
        if action.sends:
            self.journal.check_room(request.content_length or 0)
        length = request.content_length
        with self.room.take(MAX_BODY_BYTES if length is None else min(length, MAX_BODY_BYTES)):
            return action.run(Call(self, credential, directory, request), self._read(action, request))

    def _read(self, action: Action, request: Request) -> Any:
        """What is asked for. A large body is not held beside what was read from it."""
        try:
            body = request.read(MAX_BODY_BYTES)
        except BodyTooLarge as error:
            raise MessageTooLarge from error
        parameters = wire.read_parameters(request.header("Content-Type"), body, request.query)
        del body
        return action.read(parameters)

    def store(self, submitted: Submitted) -> dict[str, Any]:
        """Wait until the submission is durable, and show its ids and tokens. Raises `Busy`."""
        stored = self.journal.store(submitted.accepted)
        shown_messages = {}
        for key, place in submitted.keys:
            shown_messages[key] = {"id": stored[place].id, "token": stored[place].token}
        return {"message_id": submitted.accepted.message_id, "messages": shown_messages}


def authenticate(key: str, directory: Directory) -> CredentialEntry:
    """The API credential with this key. Raises the refusals of contract 1.4, in its order."""
    key = key.strip()
    if not key:
        raise AccessDenied
    credential = directory.api_credential(key)
    if credential is None:
        raise InvalidServerAPIKey(token=key)
    if directory.servers[credential.server_id].is_suspended:
        raise ServerSuspended
    return credential


@dataclass(frozen=True)
class Call:
    """Who asks for what, and what is known."""

    api: API
    credential: CredentialEntry
    directory: Directory
    request: Request


@dataclass(frozen=True)
class Action:
    """`read` makes values of the parameters, `run` makes the answer's data of those."""

    read: Callable[[Mapping[str, Any]], Any]
    run: Callable[[Call, Any], Any]
    sends: bool


def send_message(call: Call, message: wire.SendMessage) -> dict[str, Any]:
    client = call.request.client
    submitted = submission.submit_message(
        message,
        call.credential,
        call.directory,
        client=Client(client, call.api.reverse_name(client)),
        message_uuid=str(uuid.uuid4()),
        boundaries=make_boundaries(secrets.token_bytes(20)),
        config=call.api.config,
        now=datetime.now(timezone.utc),
    )
    return call.api.store(submitted)


def send_raw(call: Call, message: wire.SendRaw) -> dict[str, Any]:
    submitted = submission.submit_raw(message, call.credential, call.directory)
    return {"message_id": None, "messages": {}} if submitted is None else call.api.store(submitted)


def show_message(call: Call, lookup: wire.Lookup) -> dict[str, Any]:
    with checked_connection():
        credentials.mark_used([call.credential.id], datetime.now(timezone.utc))
        return messages.show(messages.find(call.credential.server_id, lookup.id), lookup.expansions)


def show_deliveries(call: Call, lookup: wire.Lookup) -> list[dict[str, Any]]:
    with checked_connection():
        credentials.mark_used([call.credential.id], datetime.now(timezone.utc))
        found = messages.find(call.credential.server_id, lookup.id)
        return shown.deliveries(messages.deliveries(found.row.id))


ACTIONS: Mapping[str, Action] = {
    "send/message": Action(wire.read_send_message, send_message, sends=True),
    "send/raw": Action(wire.read_send_raw, send_raw, sends=True),
    "messages/message": Action(wire.read_lookup, show_message, sends=False),
    "messages/deliveries": Action(wire.read_lookup, show_deliveries, sends=False),
}
