"""One SMTP connection: RFC 5321 with SIZE, 8BITMIME, PIPELINING, SMTPUTF8, CHUNKING, AUTH and STARTTLS.

Replies and states are Postal's (contract 5). Input is kept in one buffer; message data is searched for its
final dot there instead of being read line by line, which is what makes a message cheap. Only CR LF . CR LF
ends a message: a line of one dot with a bare LF on either side is content (CVE-2024-27938).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from postal_server.errors import Busy, HeaderTooLarge, HostileInput, PostalServerError, Refusal
from postal_server.mail.header import is_header_too_large
from postal_server.mail.reply import Reply
from postal_server.net.listening import NEVER, Connection, Turns, canonical_address
from postal_server.net.memory_budget import FREE_BYTES, Room
from postal_server.services.shared.throttle import Throttle

from . import auth, replies
from .clients import Clients
from .commands import is_http, is_recipient, parse_chunk, parse_command, parse_path, parse_proxy
from .handler import Count, Envelope, Handler, Principal, Session, count_nothing
from .options import MAX_AUTH_LINE_BYTES, MAX_HELO_LENGTH, MAX_LINE_BYTES, Options
from .tls import Certificates

logger = logging.getLogger(__name__)

END_OF_DATA = b"\r\n.\r\n"
MAX_PROXY_LINE_BYTES = 107  # PROXY protocol, version 1
MAX_WAITING_BYTES = 65_536  # input taken in while the last message is being stored
TURN = 0.002  # seconds for what a peer sent; where that takes longer, others are served before it goes on
MAX_EMPTY_LINE = 2  # bytes of the line that ends a header
PLAIN_MECHANISMS = "PLAIN LOGIN"
LEAVES_STATE = (501, 530)  # refusals of RCPT after which Postal is where it was (contract 5.4)
NAME_TIMEOUT = 2.0  # seconds for the client's name, which is only wanted for the Received header
RECIPIENT_BYTES = 500  # that a recipient takes in memory, beside its address
CLOSE_TIMEOUT = 10.0  # seconds for the peer to take the last reply
METRIC = "postal_smtp_server_"
TRACE_ALPHABET = string.ascii_uppercase + string.digits


@dataclass
class Shared:
    """What all connections of a server share. `names` looks up the PTR name of an address."""

    handler: Handler
    options: Options
    clients: Clients
    throttle: Throttle
    room: Room  # for messages that are under way
    certificates: Certificates | None = None
    names: Callable[[str], Awaitable[str | None]] | None = None
    count: Count = count_nothing
    turns: Turns = field(default_factory=Turns)


@dataclass(slots=True)
class Transaction:
    """What came since the last EHLO, RSET or message."""

    envelope: Envelope | None = None
    tried: bool = False  # a recipient was taken, or refused in a way that moves the state forward
    received: int = 0  # bytes of data taken out of the buffer
    scanned: int = 0  # where in the buffer the end of data may begin
    came: int = 0  # bytes of data, taken or not, when the deadline was last moved
    in_bdat: bool = False
    chunks: bytearray = field(default_factory=bytearray)
    chunk_left: int = 0  # bytes of this chunk still to come
    is_last_chunk: bool = False
    envelope_bytes: int = 0  # of memory
    is_held: bool = False  # counted in the room for messages
    has_checked_header: bool = False
    refusal: tuple[Reply, str] | None = None  # what comes is read over, and answered so at its end


class SmtpProtocol(Connection):
    """Reads commands and data, asks the handler, replies."""

    def __init__(self, shared: Shared, connections: set[SmtpProtocol]) -> None:
        super().__init__()
        trace = "".join(secrets.choice(TRACE_ALPHABET) for _ in range(8))
        self.session = Session(id=trace, client_address="")
        self._shared = shared
        self._handler = shared.handler
        self._options = shared.options
        self._connections = connections
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._read: Callable[[], bool] = self._read_command
        self._exchange: auth.Exchange | None = None  # waits for the next line
        self._naming: asyncio.Future[None] | None = None
        self._handshake: asyncio.Future[None] | None = None
        self._entered = False  # counted among the clients
        self._busy = False  # a message is being stored, or TLS begins: input waits
        self._is_full = False  # the peer does not read its replies
        self._waits_for_turn = False  # there is more to do, once others were served
        self._is_stopping = False
        self._skipping = False  # the rest of a line that is too long
        self._commands = self._errors = 0
        self._is_open = False  # EHLO, HELO or RSET came
        self._mail = Transaction()

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connections.add(self)
        self._wait(self._options.command_timeout.total_seconds())
        if self._options.proxy_protocol:
            self._read = self._read_proxy
            return
        peer = transport.get_extra_info("peername")
        self._welcome(peer[0] if peer else "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._connections.discard(self)
        self._leave()
        for task in (self._naming, self._handshake):
            if task is not None:
                task.cancel()
        self._buffer.clear()
        self._mail.chunks.clear()
        self._shared.room.release(self)
        self._read = self._read_nothing

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        self._buffer += data
        self._pump()

    def pause_writing(self) -> None:
        """The peer does not read its replies: it gets no more of them until it does."""
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._pump()

    def expire(self) -> None:
        """The peer took too long: say so if it can be said, and do not wait for it to read that."""
        if self._is_closing or self._is_full or self._handshake is not None:
            self.abort()
            return
        logger.info("%s: timed out (%s)", self.session.id, self.session.client_address)
        self._close(replies.TIMED_OUT)

    def shut_down(self) -> None:
        """Close now, or once the message under way is answered."""
        self._is_stopping = True
        if not self._busy and self._read not in (self._read_data, self._read_chunk):
            self._close(replies.SHUTTING_DOWN)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _welcome(self, address: str) -> None:
        """Count the client and greet it."""
        session = self.session
        session.client_address = canonical_address(address)
        self._shared.count(METRIC + "connections_total")
        if self._options.logs_client(session.client_address):
            logger.info("%s: connection from %s", session.id, session.client_address)
        self._entered = self._shared.clients.enter(session.client_address, self._make_room)
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

    def _make_room(self) -> bool:
        """Let the stranger go who has said nothing for the longest; false if all have something to do.

        A transaction without data keeps nobody here: anybody can begin one and then be silent.
        """
        idle = (each for each in self._connections if each.is_idle)
        found = min(idle, key=lambda each: each.deadline, default=None)  # each command moves the deadline
        if found is None:
            return False
        found.make_place()
        return True

    @property
    def is_idle(self) -> bool:
        """Is this a stranger of whom only a command is awaited?"""
        is_working = self._busy or self._waits_for_turn or self._mail.in_bdat
        return (
            self._entered
            and self.session.principal is None
            and not (is_working or self._is_closing)
            and self._read == self._read_command
        )

    def make_place(self) -> None:
        """Say 421, if the peer reads at all, and leave at once: the place is another's."""
        self._leave()
        logger.info("%s: gave way to another (%s)", self.session.id, self.session.client_address)
        self._close(replies.GIVING_WAY)
        if self._is_full:
            self.abort()

    async def _look_up_name(self, names: Callable[[str], Awaitable[str | None]]) -> None:
        with suppress(asyncio.TimeoutError):
            name = names(self.session.client_address)
            self.session.client_name = await asyncio.wait_for(name, NAME_TIMEOUT)

    # Input

    def _pump(self) -> None:
        """Take from the buffer what can be taken, send the replies, hold the peer back if need be."""
        end = self._loop.time() + TURN
        while not (self._busy or self._is_full or self._waits_for_turn) and self._read():
            if self._loop.time() > end:
                self._waits_for_turn = True
                self._shared.turns.add(self._take_turn)
        self._flush()
        if self._handshake is None:
            waits = self._busy or self._is_full or self._waits_for_turn
            self._pause(waits and len(self._buffer) > MAX_WAITING_BYTES)

    def _take_turn(self) -> None:
        self._waits_for_turn = False
        if not self._is_closing:
            self._pump()

    def _read_nothing(self) -> bool:
        return False

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
        self._read = self._read_command
        self._welcome(address)
        return not self._is_closing

    def _read_command(self) -> bool:
        buffer = self._buffer
        is_auth = self._exchange is not None or buffer[:4].upper() == b"AUTH"
        limit = MAX_AUTH_LINE_BYTES if is_auth else MAX_LINE_BYTES
        end = buffer.find(b"\n")
        if end < 0:
            if len(buffer) > limit:
                if is_http(bytes(buffer[:limit])):
                    self._refuse_http()
                buffer.clear()
                self._skipping = True
            return False
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        if not self._mail.in_bdat:  # there only data earns time, which is kept in memory meanwhile
            self._wait(self._options.command_timeout.total_seconds())
        self._commands += 1
        if self._commands > self._options.max_commands:
            self._close(replies.TOO_MANY_COMMANDS)
        elif self._skipping or end > limit:
            self._skipping = False
            self._exchange = None
            self._refuse_line(line[:limit], replies.LINE_TOO_LONG)
        else:
            self._obey(line.removesuffix(b"\r"))
        return not self._is_closing

    def _obey(self, line: bytes) -> None:
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            if line.strip() == b"*":  # the client gives up (RFC 4954 section 4): it guessed no key
                self._reply(replies.AUTH_CANCELLED)
            else:
                self._advance(exchange, line)
            return
        try:
            command = parse_command(line)
        except HostileInput:
            self._refuse_line(line, replies.BAD_CHARACTERS)
            return
        self._COMMANDS[command.verb](self, command.argument)

    def _refuse_line(self, line: bytes, reply: Reply) -> None:
        """Refuse what is no command. HTTP is the end: a page may have sent it, with commands behind."""
        if is_http(line):
            self._refuse_http()
        else:
            self._refuse(reply, "invalid-command")

    def _refuse_http(self) -> None:
        self._shared.count(METRIC + "client_errors", error="http")
        self._close(replies.NOT_HTTP)

    def _read_data(self) -> bool:
        buffer, mail = self._buffer, self._mail
        if not mail.scanned and not mail.received and buffer.startswith(b".\r\n"):  # no content at all
            del buffer[:3]
            if mail.refusal is not None:
                self._finish_refused(*mail.refusal)
            else:
                self._finish()
            return not self._is_closing
        end = buffer.find(END_OF_DATA, mail.scanned)
        if end < 0:
            self._look_at_data()
            return False
        size = mail.received + end + 2
        if size > self._options.max_message_bytes:
            self._refuse_too_large()
        data = b"" if mail.refusal else bytes(memoryview(buffer)[: end + 2])
        del buffer[: end + 5]
        self._check_header(data)
        if mail.refusal is not None:
            self._finish_refused(*mail.refusal)
            return not self._is_closing
        assert mail.envelope is not None
        mail.envelope.data = unstuff(data)
        del data  # a large mail is held once while it is stored
        self._finish()
        return not self._is_closing

    def _look_at_data(self) -> None:
        """See how much has come of a message whose end has not."""
        buffer, mail = self._buffer, self._mail
        mail.scanned = max(len(buffer) - len(END_OF_DATA) + 1, 0)
        self._expect_progress(mail.received + len(buffer))
        if mail.received + len(buffer) > self._options.max_message_bytes + len(END_OF_DATA):
            self._refuse_too_large()
        if len(buffer) > self._options.max_header_bytes + MAX_EMPTY_LINE:
            self._check_header(buffer)
        self._hold()
        if mail.refusal is not None:
            self._drain()

    def _drain(self) -> None:
        """Drop what has come of a refused message, but what may be half of its end, where it is answered."""
        mail = self._mail
        mail.received += mail.scanned
        del self._buffer[: mail.scanned]
        mail.scanned = 0

    def _refuse_too_large(self) -> None:
        if self._mail.refusal is None:
            reply = replies.too_large(self._options.max_message_bytes)
            self._mail.refusal = reply, "message-too-large"

    def _check_header(self, data: bytes | bytearray) -> None:
        """Refuse a message, of which this has come, for its header: once, when all of it must be there."""
        mail, options = self._mail, self._options
        if mail.has_checked_header or mail.refusal is not None:
            return
        mail.has_checked_header = True
        if is_header_too_large(data, options.max_header_bytes, options.max_header_fields):
            mail.refusal = replies.refusal_reply(HeaderTooLarge())

    def _read_chunk(self) -> bool:
        """The bytes of a BDAT command, which need no final dot and no unstuffing (RFC 3030)."""
        mail = self._mail
        taken = min(len(self._buffer), mail.chunk_left)
        if not taken and mail.chunk_left:
            return False
        if mail.refusal is None:
            mail.chunks += memoryview(self._buffer)[:taken]
        mail.chunk_left -= taken
        mail.received += taken
        del self._buffer[:taken]
        self._expect_progress(mail.received)
        is_complete = mail.is_last_chunk and not mail.chunk_left
        if is_complete or len(mail.chunks) > self._options.max_header_bytes + MAX_EMPTY_LINE:
            self._check_header(mail.chunks)
        if not is_complete:
            self._hold()
        if mail.refusal is not None:
            mail.chunks.clear()
        if mail.chunk_left:
            return False
        self._read = self._read_command
        if mail.refusal is not None:
            self._finish_refused(*mail.refusal)
        elif mail.is_last_chunk:
            assert mail.envelope is not None
            mail.envelope.data = bytes(mail.chunks)
            mail.chunks = bytearray()
            self._finish()
        else:
            self._reply(replies.OK)
        return not self._is_closing

    def _expect_progress(self, came: int) -> None:
        """The peer may pause for `data_timeout`, but not stay below the least rate for longer than that.

        What came quickly before buys no more time than that.
        """
        patience = self._options.data_timeout.total_seconds()
        earned = (came - self._mail.came) / self._options.min_data_rate
        self._mail.came = came
        self.deadline = min(self._loop.time() + patience, self.deadline + earned)

    # Memory

    @property
    def is_known(self) -> bool:
        return self.session.principal is not None

    @property
    def may_give_way(self) -> bool:
        """Not a message that is complete: it is about to be stored."""
        return not self._busy

    def _hold(self) -> None:
        """Count the memory of the message under way, if it is a large one; there may be no room."""
        mail = self._mail
        size = mail.envelope_bytes + len(mail.chunks) + len(self._buffer)
        if size <= FREE_BYTES or mail.refusal is not None:
            return
        mail.is_held = self._shared.room.hold(self, size)
        if not mail.is_held:
            self.give_way()

    def give_way(self) -> None:
        """Refuse the message under way for now."""
        mail, known = self._mail, "yes" if self.is_known else "no"
        self._shared.count(METRIC + "messages_without_room_total", authenticated=known)
        mail.refusal = replies.BUSY, ""
        mail.is_held = False
        self._drain()
        mail.chunks.clear()
        if mail.envelope is not None:
            mail.envelope.recipients.clear()

    def _forget_mail(self) -> None:
        """The transaction is over."""
        if self._mail.is_held:
            self._shared.room.release(self)
        self._mail = Transaction()

    def _begin_data(self, read: Callable[[], bool]) -> None:
        self._read = read
        self._mail.received = self._mail.scanned = self._mail.came = 0
        if not self._mail.in_bdat:
            self._wait(self._options.data_timeout.total_seconds())

    # Output

    def _reply(self, reply: Reply) -> None:
        self._out.append(replies.encode(reply))

    def _refuse(self, reply: Reply, label: str) -> None:
        """Reply, and count it among the client's errors: `label` in the metric."""
        self._reply(reply)
        if not label:
            return
        self._shared.count(METRIC + "client_errors", error=label)
        self._errors += 1
        if self._errors > self._options.max_errors:
            self._close(replies.TOO_MANY_ERRORS)

    def _flush(self) -> None:
        if self._out:
            data = b"".join(self._out)
            self._out.clear()
            if self._transport is not None and not self._transport.is_closing():
                self._transport.write(data)

    def _close(self, reply: Reply) -> None:
        self._reply(reply)
        self._flush()
        self._is_closing = True
        self._read = self._read_nothing
        self._wait(CLOSE_TIMEOUT)
        if self._transport is not None:
            self._transport.close()

    # Transaction

    def _finish(self) -> None:
        """The message is complete: hand it over, and let input wait until it is stored."""
        self._read = self._read_command
        self._busy = True
        self.deadline = NEVER
        if self._naming is not None and not self._naming.done():
            self._naming.add_done_callback(self._hand_over)
        else:
            self._hand_over()

    def _hand_over(self, _naming: object = None) -> None:
        assert self._mail.envelope is not None
        if self._is_closing:
            return
        try:
            future: asyncio.Future[Any] = asyncio.ensure_future(
                self._handler.accept(self.session, self._mail.envelope)
            )
        except Exception as error:
            future = self._loop.create_future()
            future.set_exception(error)
        if self._mail.is_held:  # from here on the journal counts it
            self._shared.room.release(self)
        future.add_done_callback(self._accepted)

    def _accepted(self, future: asyncio.Future[Any]) -> None:
        """`accept` is done: answer the final dot. It is not cancelled with the connection."""
        envelope = self._mail.envelope
        self._busy = False
        self._mail = Transaction()
        if future.cancelled():
            self._reply(replies.LOCAL_ERROR)
        elif (error := future.exception()) is None:
            assert envelope is not None
            self._commands = self._errors = 0
            self._count_messages(envelope)
            self._reply(replies.OK)
        elif isinstance(error, (Refusal, Busy)):
            self._refuse(*replies.refusal_reply(error))
        else:
            self._shared.count(METRIC + "exceptions_total", type="data", error=type(error).__name__)
            logger.error("%s: a message could not be stored", self.session.id, exc_info=error)
            self._reply(replies.LOCAL_ERROR)
        if self._is_closing:
            return
        self._wait(self._options.command_timeout.total_seconds())
        if self._is_stopping:
            self._close(replies.SHUTTING_DOWN)
        else:
            self._pump()

    def _count_messages(self, envelope: Envelope) -> None:
        tls = "yes" if self.session.tls else "no"
        for recipient in envelope.recipients:
            self._shared.count(METRIC + "messages_total", type=recipient.kind, tls=tls)

    def _finish_refused(self, reply: Reply, label: str) -> None:
        self._read = self._read_command
        self._forget_mail()
        self._wait(self._options.command_timeout.total_seconds())
        self._refuse(reply, label)
        if self._is_stopping and not self._is_closing:
            self._close(replies.SHUTTING_DOWN)

    # Commands

    def _ehlo(self, argument: str) -> None:
        self._hello("EHLO", argument)
        offers = [
            f"{self._options.hostname} My capabilities are",
            f"SIZE {self._options.max_message_bytes}",
            "8BITMIME",
            "PIPELINING",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
        ]
        if self._shared.certificates is not None and not self.session.tls:
            offers.append("STARTTLS")
        offers.append("AUTH CRAM-MD5 " + PLAIN_MECHANISMS if self._may_use_plain() else "AUTH CRAM-MD5")
        self._out.append("".join(f"250-{offer}\r\n" for offer in offers[:-1]).encode())
        self._out.append(f"250 {offers[-1]}\r\n".encode())

    def _helo(self, argument: str) -> None:
        self._hello("HELO", argument)
        self._reply(Reply(250, self._options.hostname))

    def _hello(self, verb: str, argument: str) -> None:
        self._shared.count(METRIC + "commands_total", command=verb)
        self._forget_mail()
        self._is_open = True
        self.session.helo = argument.strip()[:MAX_HELO_LENGTH] or None

    def _mail_from(self, argument: str) -> None:
        if not self._is_open or self._mail.tried:
            self._refuse(replies.EHLO_FIRST, "mail-from-out-of-order")
            return
        path = parse_path(argument)
        size, body = path.parameters.get("SIZE", "0"), path.parameters.get("BODY", "").upper()
        if not (size.isascii() and size.isdigit() and len(size) < 20 and body in ("", "7BIT", "8BITMIME")):
            self._refuse(replies.BAD_PARAMETER, "invalid-command")
            return
        if int(size) > self._options.max_message_bytes:
            self._refuse(replies.too_large(self._options.max_message_bytes), "message-too-large")
            return
        try:
            self._handler.check_room(int(size))
        except Busy as error:
            self._refuse(*replies.refusal_reply(error))
            return
        smtputf8 = "SMTPUTF8" in path.parameters
        self._mail.envelope = Envelope(path.address or None, body=body or None, smtputf8=smtputf8)
        self._reply(replies.OK)

    def _rcpt(self, argument: str) -> None:
        if self._mail.envelope is None or self._mail.in_bdat:
            self._refuse(replies.MAIL_FIRST, "rcpt-to-out-of-order")
            return
        path = parse_path(argument)
        address = path.address
        if not address:
            self._refuse(replies.EMPTY_RECIPIENT, "empty-rcpt-to")
        elif not (path.is_alone and is_recipient(address)):
            self._refuse(replies.INVALID_RECIPIENT, "invalid-rcpt-to")
        elif len(self._mail.envelope.recipients) >= self._options.max_recipients:
            self._reply(replies.TOO_MANY_RECIPIENTS)
        else:
            self._take_recipient(self._mail.envelope, address)

    def _take_recipient(self, envelope: Envelope, address: str) -> None:
        session, refusal = self.session, None
        is_too_fast = session.principal is None and not self._shared.clients.may_name_recipient(
            session.client_address, self._loop.time()
        )
        try:
            recipient = self._handler.recipient(session, address)
        except PostalServerError as error:
            refusal = replies.refusal_reply(error)
        if is_too_fast and session.principal is None:  # the handler knows some clients by their address
            refusal = replies.TOO_FAST, "too-many-recipients"
        if refusal is not None:
            reply, label = refusal
            self._mail.tried = self._mail.tried or reply.code not in LEAVES_STATE
            self._refuse(reply, label)
            return
        envelope.recipients.append(recipient)
        self._mail.tried = True
        self._mail.envelope_bytes += RECIPIENT_BYTES + len(address)
        if self._mail.envelope_bytes > FREE_BYTES:
            self._hold()
        self._reply(replies.OK if self._mail.refusal is None else replies.BUSY)

    def _data(self, _argument: str) -> None:
        if self._mail.in_bdat:
            self._refuse(replies.BDAT_UNDER_WAY, "data-out-of-order")
        elif self._mail.refusal is not None:
            self._finish_refused(*self._mail.refusal)
        elif (why := self._why_no_data()) is not None:
            self._refuse(*why)
        else:
            self._begin_data(self._read_data)
            self._reply(replies.GO_AHEAD)

    def _bdat(self, argument: str) -> None:
        try:
            size, self._mail.is_last_chunk = parse_chunk(argument)
        except HostileInput:
            self._refuse(replies.BAD_PARAMETER, "invalid-command")
            return
        self._mail.refusal = self._mail.refusal or self._why_no_data()
        if len(self._mail.chunks) + size > self._options.max_message_bytes:
            self._refuse_too_large()
        self._begin_data(self._read_chunk)
        self._mail.in_bdat = True
        self._mail.chunk_left = size

    def _why_no_data(self) -> tuple[Reply, str] | None:
        if self._mail.envelope is not None and self._mail.envelope.recipients:
            return None
        # Postal takes and drops a message all of whose recipients it refused.
        return (replies.NO_VALID_RECIPIENTS if self._mail.tried else replies.RCPT_FIRST), "data-out-of-order"

    def _rset(self, _argument: str) -> None:
        self._shared.count(METRIC + "commands_total", command="RSET")
        self._forget_mail()
        self._is_open = True
        self._reply(replies.OK)

    def _noop(self, _argument: str) -> None:
        self._reply(replies.OK)

    def _quit(self, _argument: str) -> None:
        self._close(replies.CLOSING)

    def _unknown(self, line: str) -> None:
        self._refuse_line(line.encode(), replies.INVALID_COMMAND)

    # TLS

    def _starttls(self, _argument: str) -> None:
        self._shared.count(METRIC + "commands_total", command="STARTLS")  # spelt as Postal's metric
        if self.session.tls:
            self._refuse(replies.ALREADY_TLS, "tls-unavailable")
        elif self._shared.certificates is None:
            self._refuse(replies.NO_TLS, "tls-unavailable")
        else:
            self._reply(replies.READY_FOR_TLS)
            self._flush()
            self._start_tls()

    def _start_tls(self) -> None:
        """Begin TLS with what comes from now on: whatever was sent behind STARTTLS is thrown away."""
        self._busy = True
        self._buffer.clear()
        self._wait(self._options.tls_timeout.total_seconds())
        self._pause(True)
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
        if transport is None or self._is_closing:
            self.abort()
            return
        self._transport = transport
        self._shared.count(METRIC + "tls_connections_total")
        self._become_secure(transport.get_extra_info("ssl_object").version())
        self._pump()

    def _become_secure(self, version: str) -> None:
        """Forget all that was said in clear (RFC 3207 section 4.2). The buffer has only what came in TLS."""
        self._forget_mail()
        self._handshake = None
        self._busy = self._is_open = self._is_paused = False
        self.session.tls = version
        self.session.helo = self.session.principal = None
        self._wait(self._options.command_timeout.total_seconds())

    # Authentication

    def _may_use_plain(self) -> bool:
        return bool(self.session.tls) or self._shared.certificates is None or self._options.plaintext_auth

    def _may_authenticate(self, mechanism: str) -> bool:
        """Count the command; false, and answered, if this client may not go on with it."""
        self._shared.count(METRIC + "commands_total", command="AUTH " + mechanism)
        if mechanism != "CRAM-MD5" and not self._may_use_plain():
            self._refuse(replies.TLS_REQUIRED, "authentication-required")
            return False
        if self._shared.throttle.wait("", self.session.client_address, self._loop.time()):
            self._refuse(replies.TOO_MANY_AUTH_FAILURES, "too-many-auth-failures")
            return False
        return True

    def _auth(self, mechanism: str, argument: str) -> None:
        if self._may_authenticate(mechanism):
            initial = argument.strip().encode()
            exchange = auth.MECHANISMS[mechanism](initial, self._handler, self._options.hostname)
            self._advance(exchange, None)

    def _advance(self, exchange: auth.Exchange, line: bytes | None) -> None:
        """Give the exchange the client's line; send what it asks next, or how it ended."""
        try:
            challenge = next(exchange) if line is None else exchange.send(line)
        except StopIteration as done:
            principal: Principal = done.value
            self.session.principal = principal
            self._reply(replies.granted(principal.path))
        except auth.AuthFailed as error:
            self.session.principal = None
            if error.is_wrong_key:
                self._shared.throttle.failed("", self.session.client_address, self._loop.time())
                logger.info("%s: AUTH failed (%s)", self.session.id, self.session.client_address)
            self._refuse(error.reply, error.label)
        else:
            self._exchange = exchange
            self._out.append(b"334 " + b64encode(challenge.encode()) + b"\r\n")

    def _auth_unknown(self, _argument: str) -> None:
        self._refuse(replies.UNKNOWN_MECHANISM, "invalid-command")

    _COMMANDS: ClassVar[dict[str, Callable[[SmtpProtocol, str], None]]] = {
        "EHLO": _ehlo,
        "HELO": _helo,
        "STARTTLS": _starttls,
        "AUTH PLAIN": lambda self, argument: self._auth("PLAIN", argument),
        "AUTH LOGIN": lambda self, argument: self._auth("LOGIN", argument),
        "AUTH CRAM-MD5": lambda self, argument: self._auth("CRAM-MD5", argument),
        "AUTH": _auth_unknown,
        "MAIL FROM": _mail_from,
        "RCPT TO": _rcpt,
        "DATA": _data,
        "BDAT": _bdat,
        "RSET": _rset,
        "NOOP": _noop,
        "QUIT": _quit,
        "": _unknown,
    }


def unstuff(data: bytes) -> bytes:
    """The content of DATA without transparency dots. As Postal, leaves a single dot before text alone.

    Behind a bare LF they are undone as well, since senders double them there, smtplib for one.
    """
    if data.startswith(b".."):
        data = data[1:]
    return data.replace(b"\n..", b"\n.")
