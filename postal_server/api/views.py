"""The four actions of `/api/v1`: authenticate, read, ask the services, answer.

The two send actions stay clear of the database and of Django: credentials and domains come from the
directory, and the journal makes the message durable before the answer. So they need no thread: `answer_async`
answers them in an event loop, at less than half of what `answer` costs. Source: contract 1.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any, Protocol

from postal_server.conf import Config
from postal_server.engine.database import checked_connection
from postal_server.errors import (
    AccessDenied,
    Busy,
    HostileInput,
    InvalidMediaType,
    InvalidServerAPIKey,
    MessageTooLarge,
    PostalServerError,
    Refusal,
    ServerSuspended,
)
from postal_server.mail.compose import make_boundaries
from postal_server.services.acceptance import submission
from postal_server.services.acceptance.submission import Client, Submitted
from postal_server.services.operations import stored_message as messages
from postal_server.services.shared import credential as credentials
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import CredentialEntry
from postal_server.services.shared.token import new_message_id
from postal_server.services.shared.work import Accepted, Stored
from postal_server.wire import api as wire
from postal_server.wire import message as shown
from postal_server.wire.http import BodyTooLarge, Request, Response, error_response, json_response

from .body_memory import BodyMemoryBudget
from .client_name import ClientNames

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH"})
PATH = re.compile(r"/api/v1/(\w+/\w+)(?:\.\w+)?/?\Z", re.ASCII)
# A message of 50 MiB, in base64 with its line ends written as `\n`, and 4 MiB for everything else.
LARGE_MESSAGE_BYTES = 1024 * 1024  # of a message; showing one costs some six times its size
MAX_BODY_BYTES = submission.MAX_API_MESSAGE_BYTES * 62 // 45 + 4 * 1024 * 1024


class Journal(Protocol):
    """What makes messages durable (`engine.journal`)."""

    def check_room(self, size_bytes: int) -> None:
        """Raise `Busy` if a message of this size cannot be taken now."""

    def store(self, accepted: Accepted) -> list[Stored]:
        """Return when the message is durable. Raises `Busy`."""

    def append_async(self, accepted: Accepted) -> asyncio.Future[list[Stored]]:
        """Done when the message is durable. Raises `Busy`."""


@dataclass(frozen=True)
class API:
    """`/api/v1`, for any number of threads and for an event loop."""

    config: Config
    directory: Callable[[], Directory]
    journal: Journal
    client_names: ClientNames
    body_memory: BodyMemoryBudget = field(default_factory=BodyMemoryBudget)
    # Shows large messages. One thread, as the allocator keeps some times their size for each that does.
    large_message_thread: ThreadPoolExecutor = field(
        default_factory=partial(ThreadPoolExecutor, 1, "large-messages")
    )

    def answer(self, request: Request) -> Response:
        """The response to a request below `/api/`. Blocks. A bug is raised, for the caller to log."""
        started = time.monotonic()
        action = find_action(request)
        if action is None:
            return error_response(404, request.header("Accept"))
        try:
            with self._call(action, request) as call:
                if isinstance(action, ReadAction):
                    return self._show(action, call, started)
                data = self._send(action, call)
        except PostalServerError as error:
            return _failure(error, request, started)
        return json_response(wire.success(data, time.monotonic() - started))

    def _show(self, action: ReadAction, call: Call, started: float) -> Response:
        """What the action shows. Large messages are shown one at a time, to save memory."""

        def show(found: messages.StoredMessage) -> Response:
            with checked_connection():
                return json_response(
                    wire.success(action.show(found, call.parameters), time.monotonic() - started)
                )

        with checked_connection():
            credentials.mark_used([call.credential.id], datetime.now(timezone.utc))
            found = messages.find(call.credential.server_id, call.parameters.id)
        if found.row.size_bytes > LARGE_MESSAGE_BYTES:
            return self.large_message_thread.submit(show, found).result()
        return show(found)

    def _send(self, action: SendAction, call: Call) -> dict[str, Any]:
        submitted = action.submit(
            call, self.client_names(call.request.client) if action.names_client else None
        )
        return _stored(submitted, self.journal.store(submitted.accepted)) if submitted else NOTHING_SENT

    def answer_async(self, request: Request) -> Coroutine[Any, Any, Response] | None:
        """The same in an event loop, for a small body; None if the request needs a thread."""
        action = find_action(request)
        return self._answer_async(action, request) if isinstance(action, SendAction) else None

    def max_body_bytes(self, request: Request) -> int:
        """How large a body may be that is read; 0 for a request that is refused without reading it."""
        length = request.content_length or 0
        try:
            authenticate(request.header("X-Server-API-Key"), self.directory())
            self.journal.check_room(length)
        except PostalServerError:
            return 0
        return MAX_BODY_BYTES if length <= MAX_BODY_BYTES and find_action(request) else 0

    async def _answer_async(self, action: SendAction, request: Request) -> Response:
        started = time.monotonic()
        try:
            with self._call(action, request) as call:
                name = await self.client_names.find(request.client) if action.names_client else None
                submitted = action.submit(call, name)
                data = NOTHING_SENT
                if submitted:
                    data = _stored(submitted, await self.journal.append_async(submitted.accepted))
        except PostalServerError as error:
            return _failure(error, request, started)
        return json_response(wire.success(data, time.monotonic() - started))

    @contextmanager
    def _call(self, action: Action, request: Request) -> Iterator[Call]:
        """The credential and parameters of a request; its body is counted meanwhile. Raises refusals."""
        directory = self.directory()
        credential = authenticate(request.header("X-Server-API-Key"), directory)
        length = request.content_length
        if isinstance(action, SendAction):
            self.journal.check_room(length or 0)
        with self.body_memory.take(MAX_BODY_BYTES if length is None else min(length, MAX_BODY_BYTES)):
            yield Call(self.config, credential, directory, request, action.read(_parameters(request)))


def find_action(request: Request) -> Action | None:
    """The action of a request, or None."""
    found = PATH.match(request.path)
    return ACTIONS.get(found[1]) if found and request.method in METHODS else None


def _parameters(request: Request) -> wire.Parameters:
    """The parameters of a request. Its body is released once they are read."""
    try:
        body = request.read(MAX_BODY_BYTES)
    except BodyTooLarge as error:
        raise MessageTooLarge from error
    return wire.read_parameters(request.header("Content-Type"), body, request.query)


def _failure(error: PostalServerError, request: Request, started: float) -> Response:
    """The response to a request that was refused. Raises any other error."""
    seconds = time.monotonic() - started
    if isinstance(error, AccessDenied):
        return json_response(wire.failure(error, 0.0))
    if isinstance(error, Refusal):
        return json_response(wire.failure(error, seconds), 413 if isinstance(error, MessageTooLarge) else 200)
    if isinstance(error, HostileInput):
        status = 406 if isinstance(error, InvalidMediaType) else 400
        return error_response(status, request.header("Accept"))
    if isinstance(error, Busy):
        return json_response(wire.busy(error, seconds), 503, (("retry-after", str(error.retry_after)),))
    raise error


def _stored(submitted: Submitted, stored: Sequence[Stored]) -> dict[str, Any]:
    """The ids and tokens of stored messages."""
    shown_messages = {}
    for key, place in submitted.keys:
        shown_messages[key] = {"id": stored[place].id, "token": stored[place].token}
    return {"message_id": submitted.accepted.message_id, "messages": shown_messages}


NOTHING_SENT: dict[str, Any] = {"message_id": None, "messages": {}}


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
    """A call of an action. `parameters` is what its `read` returned."""

    config: Config
    credential: CredentialEntry
    directory: Directory
    request: Request
    parameters: Any


@dataclass(frozen=True)
class SendAction:
    """An action that stores messages. With `names_client`, `submit` gets the client's DNS name or None."""

    read: Callable[[wire.Parameters], Any]
    submit: Callable[[Call, str | None], Submitted | None]
    names_client: bool = False


@dataclass(frozen=True)
class ReadAction:
    """An action that shows a message: `show` returns the data, from the database."""

    read: Callable[[wire.Parameters], Any]
    show: Callable[[messages.StoredMessage, wire.Lookup], Any]


Action = SendAction | ReadAction


def send_message(call: Call, client_name: str | None) -> Submitted:
    return submission.submit_message(
        call.parameters,
        call.credential,
        call.directory,
        client=Client(call.request.client or "unknown", client_name),
        message_uuid=str(uuid.uuid4()),
        boundaries=make_boundaries(secrets.token_bytes(20)),
        config=call.config,
        now=datetime.now(timezone.utc),
    )


def send_raw(call: Call, _client_name: str | None) -> Submitted | None:
    return submission.submit_raw(
        call.parameters,
        call.credential,
        call.directory,
        new_id=partial(new_message_id, call.config),
        config=call.config,
        now=datetime.now(timezone.utc),
    )


def show_message(found: messages.StoredMessage, asked: wire.Lookup) -> dict[str, Any]:
    return messages.show(found, asked.expansions)


def show_deliveries(found: messages.StoredMessage, _asked: wire.Lookup) -> list[dict[str, Any]]:
    return shown.deliveries(messages.deliveries(found.row.id))


ACTIONS: Mapping[str, Action] = {
    "send/message": SendAction(wire.read_send_message, send_message, names_client=True),
    "send/raw": SendAction(wire.read_send_raw, send_raw),
    "messages/message": ReadAction(wire.read_lookup, show_message),
    "messages/deliveries": ReadAction(wire.read_lookup, show_deliveries),
}
