"""One SMTP connection: RFC 5321 with SIZE, 8BITMIME, PIPELINING, SMTPUTF8, CHUNKING, AUTH and STARTTLS.

Replies are Postal's (contract 5). Which input is read, and which commands are in order, stands in the tables
of `connection_state`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, ClassVar

from postal_server.errors import Busy, HostileInput, Refusal
from postal_server.mail.smtp_reply import Reply
from postal_server.net.listening import NEVER, canonical_address
from postal_server.net.memory_budget import FREE_BYTES

from . import replies
from .auth import Authenticator
from .commands import is_http, parse_command, parse_proxy
from .connection import BufferedConnection
from .connection_state import PHASES, Event, Phase, State
from .handler import ClientSession, Envelope
from .options import MAX_AUTH_LINE_BYTES, MAX_HELO_LENGTH, MAX_LINE_BYTES
from .replies import Answer
from .shared import METRIC, Shared
from .transaction import ACCEPTED, Transaction

logger = logging.getLogger(__name__)

MAX_PROXY_LINE_BYTES = 107  # PROXY protocol, version 1
NAME_TIMEOUT = 2.0  # seconds for the client's name, which is only needed for the Received header
TRACE_ALPHABET = string.ascii_uppercase + string.digits

# Looked up once: before Python 3.12 a member of an Enum costs as much as a function call.
COMMAND, LONG_LINE, AUTH, CLOSING = State.COMMAND, State.LONG_LINE, State.AUTH, State.CLOSING
CHUNKS = Phase.CHUNKS
READS_LINES = (COMMAND, LONG_LINE, AUTH)
READS_MESSAGE = (State.DATA, State.BDAT)
INPUT_WAITS = (State.STORING, State.HANDSHAKE)


class SmtpProtocol(BufferedConnection):
    """Reads commands and messages, asks the handler, replies.

    `connections` are those of the server; an open connection is one of them.
    """

    def __init__(self, shared: Shared, connections: set[SmtpProtocol]) -> None:
        super().__init__(shared, State.PROXY if shared.options.proxy_protocol else State.COMMAND)
        trace = "".join(secrets.choice(TRACE_ALPHABET) for _ in range(8))
        self.session = ClientSession(id=trace, client_address="")
        self._connections = connections
        self._transaction = Transaction(shared, self.session)
        self._authenticator = Authenticator(shared, self.session)
        self._naming: asyncio.Future[None] | None = None
        self._handshake: asyncio.Future[None] | None = None
        self._entered = False  # counted among the clients
        self._is_stopping = False  # closes once the message under way is answered
        self._commands = 0  # since the last message
        self._received_bytes = 0  # of the message under way, when the deadline last moved

    # The connection's life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connections.add(self)
        self._wait_for_command()
        if self._state is not State.PROXY:
            peer = transport.get_extra_info("peername")
            self._welcome(peer[0] if peer else "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._follow(Event.CLOSED)
        self._connections.discard(self)
        self._leave()
        for task in (self._naming, self._handshake):
            if task is not None:
                task.cancel()
        self._buffer.clear()
        self._transaction.reader = None
        self._shared.room.release(self)

    def expire(self) -> None:
        """The peer took too long: say so if it can be said, and do not wait for it to read that."""
        if self._is_full or self._state in (CLOSING, State.HANDSHAKE):
            self.abort()
            return
        logger.info("%s: timed out (%s)", self.session.id, self.session.client_address)
        self._close(replies.TIMED_OUT)

    def shut_down(self) -> None:
        """Close now, or once the message under way is answered."""
        self._is_stopping = True
        if self._state not in (*READS_MESSAGE, *INPUT_WAITS):
            self._close(replies.SHUTTING_DOWN)

    def evict(self) -> None:
        """Say 421, if the peer reads at all, and leave at once: another client has the place."""
        self._leave()
        logger.info("%s: gave way to another (%s)", self.session.id, self.session.client_address)
        self._close(replies.GIVING_WAY)
        if self._is_full:
            self.abort()

    @property
    def is_idle(self) -> bool:
        """Is this a client without authentication, of whom only a command is awaited?

        A transaction without data does not count: any client can begin one and then be silent.
        """
        return (
            self._entered
            and self.session.principal is None
            and not self._waits_for_turn
            and self._state in READS_LINES
            and self._transaction.phase is not CHUNKS
        )

    def _welcome(self, address: str) -> None:
        """Count the client and greet it."""
        session = self.session
        session.client_address = canonical_address(address)
        self._shared.count(METRIC + "connections_total")
        if self._options.logs_client(session.client_address):
            logger.info("%s: connection from %s", session.id, session.client_address)
        self._entered = self._shared.clients.enter(session.client_address, self._evict_idle)
        if not self._entered:
            self._close(replies.TOO_MANY_CONNECTIONS)
            return
        if self._shared.names is not None:
            self._naming = self._loop.create_task(self._look_up_name(self._shared.names))
        if (tls := self._transport.get_extra_info("ssl_object")) is not None:
            self._shared.count(METRIC + "tls_connections_total")
            session.tls = tls.version()
        self._out.append(f"220 {self._options.hostname} ESMTP Postal/{self.session.id}\r\n".encode())
        self._flush()

    def _leave(self) -> None:
        """Make room for another connection."""
        if self._entered:
            self._entered = False
            self._shared.clients.leave(self.session.client_address)

    def _evict_idle(self) -> bool:
        """Evict the connection that has been idle for the longest; False if none is idle."""
        idle = (each for each in self._connections if each.is_idle)
        longest = min(idle, key=lambda each: each.deadline, default=None)  # each command moves the deadline
        if longest is None:
            return False
        longest.evict()
        return True

    async def _look_up_name(self, names: Callable[[str], Awaitable[str | None]]) -> None:
        with suppress(asyncio.TimeoutError):
            name = names(self.session.client_address)
            self.session.client_name = await asyncio.wait_for(name, NAME_TIMEOUT)

    # Lines

    def _read_proxy(self) -> bool:
        end = self._buffer.find(b"\r\n", 0, MAX_PROXY_LINE_BYTES)
        if end < 0 and len(self._buffer) < MAX_PROXY_LINE_BYTES:
            return False
        line = bytes(self._buffer[: max(end, 0)])
        del self._buffer[: end + 2]
        self._shared.count(METRIC + "commands_total", command="PROXY")
        try:
            address = parse_proxy(line)
        except HostileInput:
            self._shared.count(METRIC + "client_errors", error="proxy-error")
            self._close(replies.PROXY_ERROR)
            return False
        self._follow(Event.CLIENT_KNOWN)
        self._welcome(address)
        return True

    def _read_line(self) -> bool:
        buffer, state = self._buffer, self._state
        is_auth = state is AUTH or buffer[:4].upper() == b"AUTH"
        limit = MAX_AUTH_LINE_BYTES if is_auth else MAX_LINE_BYTES
        end = buffer.find(b"\n")
        if end < 0:
            if len(buffer) > limit:
                self._skip_line(bytes(buffer[:limit]))
            return False
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        if self._transaction.phase is not CHUNKS:  # there only chunks, which occupy memory, earn time
            self._wait_for_command()
        if state is not COMMAND:
            self._follow(Event.LINE_READ)
        self._commands += 1
        if self._commands > self._options.max_commands:
            self._close(replies.TOO_MANY_COMMANDS)
        elif state is LONG_LINE or end > limit:
            self._authenticator.cancel()
            self._refuse_line(line[:limit], replies.LINE_TOO_LONG)
        elif state is AUTH:
            self._continue_auth(self._authenticator.respond(line.removesuffix(b"\r"), self._loop.time()))
        else:
            self._obey(line.removesuffix(b"\r"))
        return True

    def _skip_line(self, start: bytes) -> None:
        """Drop what has come of a line that is too long."""
        self._buffer.clear()
        if is_http(start):
            self._refuse_http()
        else:
            self._follow(Event.LINE_TOO_LONG)

    def _obey(self, line: bytes) -> None:
        """Carry out a command if it is in order."""
        try:
            command = parse_command(line)
        except HostileInput:
            self._refuse_line(line, replies.BAD_CHARACTERS)
            return
        following = PHASES[self._transaction.phase][command.verb]
        if isinstance(following, Phase) or command.verb == "BDAT":  # its bytes come, whatever the answer
            self._COMMANDS[command.verb](self, command.argument)
        else:
            self._answer(following)

    def _refuse_line(self, line: bytes, reply: Reply) -> None:
        """Refuse what is no command. HTTP is the end: a page may have sent it, with commands behind."""
        if is_http(line):
            self._refuse_http()
        else:
            self._answer(Answer(reply, "invalid-command"))

    def _refuse_http(self) -> None:
        self._shared.count(METRIC + "client_errors", error="http")
        self._close(replies.NOT_HTTP)

    def _wait_for_command(self) -> None:
        self._set_deadline(self._options.command_timeout.total_seconds())

    # Commands. Each is in order when it is called, by the table `PHASES`; only `_bdat` looks for itself.

    def _ehlo(self, argument: str) -> None:
        self._greet("EHLO", argument)
        extensions = [
            f"{self._options.hostname} My capabilities are",
            f"SIZE {self._options.max_message_bytes}",
            "8BITMIME",
            "PIPELINING",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
        ]
        if self._shared.certificates is not None and not self.session.tls:
            extensions.append("STARTTLS")
        extensions.append(f"AUTH {self._authenticator.mechanisms}")
        self._out.append("".join(f"250-{extension}\r\n" for extension in extensions[:-1]).encode())
        self._out.append(f"250 {extensions[-1]}\r\n".encode())

    def _helo(self, argument: str) -> None:
        self._greet("HELO", argument)
        self._reply(Reply(250, self._options.hostname))

    def _greet(self, verb: str, argument: str) -> None:
        self._shared.count(METRIC + "commands_total", command=verb)
        self._end_transaction(verb)
        self.session.helo = argument.strip()[:MAX_HELO_LENGTH] or None

    def _mail(self, argument: str) -> None:
        self._answer(self._transaction.mail(argument))

    def _rcpt(self, argument: str) -> None:
        transaction = self._transaction
        answer = transaction.rcpt(argument, self._loop.time())
        if answer is ACCEPTED:
            if transaction.recipient_bytes > FREE_BYTES:
                self._hold()
            answer = transaction.refusal or ACCEPTED
        self._answer(answer)

    def _data(self, _argument: str) -> None:
        if self._transaction.refusal is not None:
            self._refuse_message(self._transaction.refusal)
            return
        self._transaction.begin_data()
        self._follow(Event.DATA_BEGUN)
        self._received_bytes = 0
        self._set_deadline(self._options.data_timeout.total_seconds())
        self._reply(replies.GO_AHEAD)

    def _bdat(self, argument: str) -> None:
        is_first = self._transaction.phase is not CHUNKS
        answer = self._transaction.begin_chunk(argument, self._buffer)
        if answer is not None:
            self._answer(answer)
            return
        self._follow(Event.CHUNK_BEGUN)
        if is_first:
            self._received_bytes = 0
            self._set_deadline(self._options.data_timeout.total_seconds())

    def _rset(self, _argument: str) -> None:
        self._shared.count(METRIC + "commands_total", command="RSET")
        self._end_transaction("RSET")
        self._reply(replies.OK)

    def _noop(self, _argument: str) -> None:
        self._reply(replies.OK)

    def _quit(self, _argument: str) -> None:
        self._close(replies.CLOSING)

    def _auth(self, mechanism: str, argument: str) -> None:
        self._continue_auth(self._authenticator.begin(mechanism, argument, self._loop.time()))

    def _continue_auth(self, step: str | Answer) -> None:
        """Send the challenge, or how the exchange ended."""
        if isinstance(step, str):
            self._follow(Event.CHALLENGE_SENT)
            self._out.append(b"334 " + b64encode(step.encode()) + b"\r\n")
        else:
            self._answer(step)

    def _auth_unknown(self, _argument: str) -> None:
        self._answer(Answer(replies.UNKNOWN_MECHANISM, "invalid-command"))

    def _starttls(self, _argument: str) -> None:
        self._shared.count(METRIC + "commands_total", command="STARTLS")  # spelt as Postal's metric
        if self.session.tls:
            self._answer(Answer(replies.ALREADY_TLS, "tls-unavailable"))
        elif self._shared.certificates is None:
            self._answer(Answer(replies.NO_TLS, "tls-unavailable"))
        else:
            self._reply(replies.READY_FOR_TLS)
            self._flush()
            self._start_tls()

    def _unknown(self, line: str) -> None:
        self._refuse_line(line.encode(), replies.INVALID_COMMAND)

    # The message

    def _read_message(self) -> bool:
        transaction = self._transaction
        is_read = transaction.read(self._buffer)
        assert transaction.reader is not None
        is_complete = transaction.reader.is_complete
        if not is_complete:
            self._expect_progress(transaction.reader.received_bytes)
            self._hold()
        if not is_read:
            return False
        if transaction.refusal is not None:
            self._follow(Event.MESSAGE_REFUSED)
            self._refuse_message(transaction.refusal)
        elif is_complete:
            self._finish_message()
        else:
            self._follow(Event.CHUNK_READ)
            self._reply(replies.OK)
        return True

    def _expect_progress(self, received_bytes: int) -> None:
        """The peer may pause for `data_timeout`, but not stay below the least rate for longer than that.

        What came quickly before buys no more time than that.
        """
        patience = self._options.data_timeout.total_seconds()
        earned = (received_bytes - self._received_bytes) / self._options.min_data_rate
        self._received_bytes = received_bytes
        self.deadline = min(self._loop.time() + patience, self.deadline + earned)

    def _finish_message(self) -> None:
        """The message is complete: hand it over, and let input wait until it is stored."""
        transaction = self._transaction
        assert transaction.envelope is not None
        assert transaction.reader is not None
        transaction.envelope.data = transaction.reader.take_content()
        self._follow(Event.MESSAGE_READ)
        self.deadline = NEVER
        if self._naming is not None and not self._naming.done():
            self._naming.add_done_callback(self._hand_over)
        else:
            self._hand_over()

    def _hand_over(self, _naming: object = None) -> None:
        envelope = self._transaction.envelope
        assert envelope is not None
        if self._state is CLOSING:
            return
        try:
            future: asyncio.Future[Any] = asyncio.ensure_future(
                self._shared.handler.accept_message(self.session, envelope)
            )
        except Exception as error:
            future = self._loop.create_future()
            future.set_exception(error)
        self._shared.room.release(self)  # from here on the journal counts it
        future.add_done_callback(self._answer_message)

    def _answer_message(self, future: asyncio.Future[Any]) -> None:
        """`accept` is done: answer the final dot. It is not cancelled with the connection."""
        envelope = self._transaction.envelope
        assert envelope is not None
        self._follow(Event.MESSAGE_ANSWERED)
        self._transaction.end()
        if future.cancelled():
            self._reply(replies.LOCAL_ERROR)
        elif (error := future.exception()) is None:
            self._commands = self._errors = 0
            self._count_messages(envelope)
            self._reply(replies.OK)
        elif isinstance(error, (Refusal, Busy)):
            self._answer(replies.answer_to(error))
        else:
            self._shared.count(METRIC + "exceptions_total", type="data", error=type(error).__name__)
            logger.error("%s: a message could not be stored", self.session.id, exc_info=error)
            self._reply(replies.LOCAL_ERROR)
        if self._state is CLOSING:
            return
        self._wait_for_command()
        if self._is_stopping:
            self._close(replies.SHUTTING_DOWN)
        else:
            self._pump()

    def _count_messages(self, envelope: Envelope) -> None:
        tls = "yes" if self.session.tls else "no"
        for recipient in envelope.recipients:
            self._shared.count(METRIC + "messages_total", type=recipient.kind, tls=tls)

    def _refuse_message(self, answer: Answer) -> None:
        """The refused message has come as a whole: answer it."""
        self._end_transaction()
        self._wait_for_command()
        self._answer(answer)
        if self._is_stopping and self._state is not CLOSING:
            self._close(replies.SHUTTING_DOWN)

    def _end_transaction(self, *event: str) -> None:
        self._shared.room.release(self)
        self._transaction.end(*event)

    # Memory: this is `net.memory_budget.Holder`.

    @property
    def is_known(self) -> bool:
        return self.session.principal is not None

    @property
    def may_give_way(self) -> bool:
        """Not a message that is complete: it is about to be stored."""
        return self._state not in INPUT_WAITS

    def give_way(self) -> None:
        """Refuse the message under way for now."""
        known = "yes" if self.is_known else "no"
        self._shared.count(METRIC + "messages_without_room_total", authenticated=known)
        self._transaction.give_way(self._buffer)

    def _hold(self) -> None:
        """Count the memory of the message under way, if it is a large one; there may be no room."""
        transaction, reader = self._transaction, self._transaction.reader
        size = transaction.recipient_bytes + len(self._buffer) + (reader.kept_bytes if reader else 0)
        if size <= FREE_BYTES or transaction.refusal is not None:
            return
        if not self._shared.room.hold(self, size):
            self.give_way()

    # TLS

    def _start_tls(self) -> None:
        """Begin TLS with what comes from now on: whatever was sent behind STARTTLS is thrown away."""
        self._follow(Event.HANDSHAKE_BEGUN)
        self._buffer.clear()
        self._set_deadline(self._options.tls_timeout.total_seconds())
        self._set_paused(True)
        self._handshake = self._loop.create_task(self._shake_hands())

    async def _shake_hands(self) -> None:
        assert self._shared.certificates is not None
        try:
            transport: Any = await self._loop.start_tls(
                self._transport, self, self._shared.certificates.context(), server_side=True
            )
        except (OSError, asyncio.TimeoutError) as error:  # `ssl.SSLError` is an OSError
            logger.info("%s: no TLS with %s: %s", self.session.id, self.session.client_address, error)
            self.abort()
            return
        if transport is None or self._state is CLOSING:
            self.abort()
            return
        self._transport = transport
        self._shared.count(METRIC + "tls_connections_total")
        self._become_secure(transport.get_extra_info("ssl_object").version())
        self._pump()

    def _become_secure(self, version: str) -> None:
        """Forget all that was said in clear (RFC 3207 section 4.2). The buffer has only what came in TLS."""
        self._follow(Event.TLS_ESTABLISHED)
        self._end_transaction("STARTTLS")
        self._is_paused = False
        self.session.tls = version
        self.session.helo = self.session.principal = None
        self._wait_for_command()

    readers: ClassVar[dict[State, Callable[[Any], bool]]] = {
        State.PROXY: _read_proxy,
        State.COMMAND: _read_line,
        State.LONG_LINE: _read_line,
        State.AUTH: _read_line,
        State.DATA: _read_message,
        State.BDAT: _read_message,
        State.STORING: BufferedConnection._read_nothing,
        State.HANDSHAKE: BufferedConnection._read_nothing,
        State.CLOSING: BufferedConnection._read_nothing,
    }
    _COMMANDS: ClassVar[dict[str, Callable[[SmtpProtocol, str], None]]] = {
        "EHLO": _ehlo,
        "HELO": _helo,
        "STARTTLS": _starttls,
        "AUTH PLAIN": lambda self, argument: self._auth("PLAIN", argument),
        "AUTH LOGIN": lambda self, argument: self._auth("LOGIN", argument),
        "AUTH CRAM-MD5": lambda self, argument: self._auth("CRAM-MD5", argument),
        "AUTH": _auth_unknown,
        "MAIL FROM": _mail,
        "RCPT TO": _rcpt,
        "DATA": _data,
        "BDAT": _bdat,
        "RSET": _rset,
        "NOOP": _noop,
        "QUIT": _quit,
        "": _unknown,
    }
