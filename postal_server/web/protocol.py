"""One HTTP/1.1 connection: requests are answered one after the other, and the connection is kept.

What memory and the journal can answer is answered in the event loop; all else by the WSGI application in a
thread. A body that the application wants is gathered first, so that no thread waits for a slow client; any
other is read over. No client decides how much of it is held in memory.
"""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import struct
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

import httptools

from postal_server.engine import metrics
from postal_server.errors import HostileInput
from postal_server.net.listening import NEVER, canonical_address
from postal_server.net.memory_budget import FREE_BYTES
from postal_server.wire.http import error_response

from .body import MAX_BUFFERED_BYTES, RequestBody
from .connection_state import ENDED, Event, State, next_state
from .exchange import MAX_HEADER_BYTES, Exchange
from .gateway import RawResponse, RequestHead, field_size, make_environ
from .shared import LimitedConnection, RoutedRequest, Shared
from .streaming import Framing, Stream, UntilClose, choose_framing, keep_alive

logger = logging.getLogger(__name__)

CHUNK_BYTES = 16  # that may stand around a chunk of any size, its end and an extension
PIECE = 2048  # bytes that are parsed at a time: there may be a hundred requests in them, and no thousands
SILENCE = 60.0  # seconds between requests, and for the head of one
MIN_DATA_RATE = 1000  # bytes a second of a body; who is slower may be so for `SILENCE`
# A client that is answered early goes on sending, and would not hear the answer if it were cut off. It is
# listened to for as long as the largest body that is accepted may take.
MAX_UNREAD_BYTES = 80 * 1024 * 1024
UNREAD_SECONDS = 20.0
CLOSE_SECONDS = 5.0  # for the client to take the last answer
MAX_IGNORED_BYTES = 1024 * 1024  # that it sends meanwhile
QUICK_BYTES = 16 * 1024  # of a body that is read in no time; who sends more at once waits for a turn
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
WITHOUT_BODY = ("1", "204", "304")  # how their statuses begin


class HttpProtocol(LimitedConnection):
    """Reads requests, asks the application, answers."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self._shared = shared
        self._parser: Any = httptools.HttpRequestParser(self)
        self._peer = self._here = ("", 0)
        self._unread = memoryview(b"")  # came, and is not parsed yet
        self._reading: Exchange | None = None  # under way to us
        self._waiting: deque[Exchange] = deque()  # complete, and not begun
        self._answering: Exchange | None = None
        self._state = State.IDLE
        self._is_input_open = True  # what comes is read as requests
        self._has_left = False  # the client sends nothing more
        self._stream: asyncio.Task[bytes] | None = None  # sends the body of the response under way
        self._resumed: asyncio.Future[None] | None = None  # for which that waits
        self._head_bytes = 0  # that came since the request under way began, or since the last of its body
        self._is_full = False  # the client does not read its answers
        self._unsent = 0  # bytes of them when it was last looked at
        self._ignored = 0  # bytes that came too late

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._peer = _address(transport.get_extra_info("peername"))
        self._here = _address(transport.get_extra_info("sockname"))
        self._wait(SILENCE)
        if not self._shared.enter(self, self._peer[0]):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._change(Event.LOST)
        self.deadline = NEVER
        for exchange in (self._reading, self._answering):
            if exchange is not None:
                exchange.body.truncate_input()
        self._shared.room.release(self)
        self._shared.unsent.remove(self)
        self._waiting.clear()
        self._parser = None  # it refers to this object, too

    def _change(self, event: Event) -> None:
        """Go to the next state; make room for another connection at the end.

        That is not before the request under way is answered, even if its client is gone: else any number of
        requests could wait for a thread.
        """
        before, self._state = self._state, next_state(self._state, event)
        self._is_closing = self._state in ENDED
        if self._state is State.CLOSED:
            self._shared.leave(self)
        elif before is State.STREAMING and self._state is State.ABANDONED and self._stream is not None:
            self._stream.cancel()  # once, as a second time would break off its `finally`

    def data_received(self, data: bytes) -> None:
        if self._is_closing or not self._is_input_open:
            self._ignored += len(data)
            if self._ignored > MAX_IGNORED_BYTES:
                self.abort()
            return
        self._unread = memoryview(bytes(self._unread) + data)
        self._go_on()

    def _parse(self) -> None:
        """Parse what has come, up to a request that must wait: unparsed it costs less memory."""
        while self._unread and not self._waiting and not self._is_full and not self._is_closing:
            piece, self._unread = self._unread[:PIECE], self._unread[PIECE:]
            self._head_bytes += len(piece)
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserUpgrade:
                self._end_input()  # what follows is of a protocol that we do not speak
            except httptools.HttpParserCallbackError as error:
                is_hostile = isinstance(error.__context__, HostileInput)
                if not is_hostile:
                    logger.exception("A request could not be read")
                self._refuse_input(400 if is_hostile else 500)
            except httptools.HttpParserError:
                self._refuse_input(400)
            reading = self._reading
            if reading is not None and (reading.is_too_large or self._head_bytes > MAX_HEADER_BYTES):
                self._refuse_input(431)

    def eof_received(self) -> bool:
        """The client sends nothing more; it may listen to what is still to be answered.

        Not to a stream: that the client is gone would not be noticed before the next piece.
        """
        self._has_left = True
        self._end_input()
        if self._state is State.STREAMING:
            self.abort()
        self._go_on()
        return not self._is_closing

    def pause_writing(self) -> None:
        self._is_full = True
        self._unsent = self.unsent_bytes
        self._wait(SILENCE)
        self._shared.unsent.add(self, self._loop.time())

    def resume_writing(self) -> None:
        self._is_full = False
        self._shared.unsent.remove(self)
        if self._state is State.STREAMING:
            self.deadline = NEVER
        else:  # nothing is begun while it is full
            self._wait(CLOSE_SECONDS if self._is_closing else SILENCE)
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)
        self._go_on()

    @property
    def unsent_bytes(self) -> int:
        """How much of its answer the client has not taken."""
        size: int = self._transport.get_write_buffer_size()
        return size

    def give_up(self) -> None:
        """Drop the answer: others that are read faster take the memory that there is for them."""
        metrics.WEB_ANSWERS_CUT_OFF.inc()
        self.abort()

    @property
    def is_idle(self) -> bool:
        """Does it only wait for another request?"""
        return self._state is State.IDLE and not self._is_full

    @property
    def is_answering(self) -> bool:
        """Does the application work on a request?"""
        return self._state in (State.ANSWERING, State.STREAMING, State.ABANDONED)

    def expire(self) -> None:
        """The client took too long."""
        if self._is_full and self._takes_its_answer():
            self._wait(SILENCE)
        elif self._is_full or self._state in (State.DISCARDING, State.CLOSING):
            self.abort()
        else:
            if self._state is State.IDLE:
                self._end_input()
            else:
                self._refuse_input(408)
            self._go_on()

    def _takes_its_answer(self) -> bool:
        before, self._unsent = self._unsent, self.unsent_bytes
        return before - self._unsent >= SILENCE * MIN_DATA_RATE

    def shut_down(self) -> None:
        """Close now, or once the request under way is answered; a stream has no end to wait for."""
        if self.is_idle:
            self._close()
        elif self._stream is not None:
            self._stream.cancel()

    def abort(self) -> None:
        self._change(Event.LOST)
        self.deadline = NEVER
        self._transport.abort()

    # What the parser finds

    def on_message_begin(self) -> None:
        self._reading = Exchange(RequestBody(self._ask_for_more))
        self._head_bytes = 0
        if self._answering is None:
            self._wait(SILENCE)

    def on_url(self, url: bytes) -> None:
        self._under_way.head.add_target(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange = self._under_way
        if exchange.has_head:  # a trailer: it must not pass for what a proxy has checked
            exchange.head.size += field_size(name, value)
        elif not exchange.is_too_large:
            exchange.head.add_field(name, value)

    def on_headers_complete(self) -> None:
        exchange = self._under_way
        exchange.has_head = True
        self._head_bytes = 0
        exchange.head.complete(self._parser.get_method(), self._parser.get_http_version())
        exchange.keeps = self._parser.should_keep_alive()
        is_next = self._state in (State.IDLE, State.RECEIVING) and not self._waiting
        if exchange.head.expects_continue and is_next:
            self._transport.write(CONTINUE)

    def on_body(self, data: bytes) -> None:
        exchange = self._under_way
        self._head_bytes = max(self._head_bytes - 2 * len(data) - CHUNK_BYTES, 0)
        exchange.received += len(data)
        if not exchange.is_answered:
            exchange.body.feed(data)
            if self._answering in (None, exchange):  # what came quickly buys no more than `SILENCE`
                earned = self.deadline + len(data) / MIN_DATA_RATE
                self.deadline = min(self._loop.time() + SILENCE, earned)
        elif exchange.received > MAX_UNREAD_BYTES:
            self.abort()

    def on_message_complete(self) -> None:
        exchange = self._under_way
        self._reading = None
        exchange.body.complete()
        if exchange is self._answering:
            self.deadline = NEVER
        elif not exchange.is_answered:
            self._waiting.append(exchange)
        elif self._state is State.DISCARDING:
            self._change(Event.BODY_DISCARDED)
            if exchange.keeps:
                self._wait(SILENCE)
            else:
                self._close()

    @property
    def _under_way(self) -> Exchange:
        assert self._reading is not None, "the parser says when a message begins"
        return self._reading

    def _end_input(self) -> None:
        """Read no more requests: the connection is closed once those that have come are answered."""
        self._is_input_open = False
        self._unread = memoryview(b"")
        if self._reading is not None:
            self._reading.body.truncate_input()
            self._reading = None

    def _refuse_input(self, status: int) -> None:
        """The same, and `status` is the last response; unless the request that comes has one, or will."""
        reading = self._reading
        has_response = reading is not None and (reading is self._answering or reading.is_answered)
        if self._is_input_open and not has_response:
            self._waiting.append(Exchange(RequestBody(self._ask_for_more), refusal=HTTPStatus(status)))
        self._end_input()

    # What is done about it

    def _go_on(self) -> None:
        """Begin what can be begun, and hold the client back where enough waits."""
        self._parse()
        if self._is_closing:
            return
        if not self.is_answering and not self._is_full:
            exchange = self._waiting.popleft() if self._waiting else self._reading
            if exchange is None:
                if not self._is_input_open:
                    self._close()
            elif self._state is not State.DISCARDING:
                self._receive(exchange)
        self._pause(self._is_full or bool(self._waiting or self._unread) or self._holds_enough())

    def _receive(self, exchange: Exchange) -> None:
        """It is the turn of this request: begin its answer if enough of it has come."""
        if self._state is State.IDLE:
            self._change(Event.REQUEST_BEGUN)
        self._gather(exchange)
        if self._state is State.RECEIVING and exchange.may_begin():
            self._begin(exchange)

    def _holds_enough(self) -> bool:
        reading = self._reading
        return reading is not None and reading.body.buffered_bytes > max(
            reading.body_limit.max_bytes, MAX_BUFFERED_BYTES
        )

    def _gather(self, exchange: Exchange) -> None:
        """Ask how much of a large body is wanted before it is answered, and count what has come of it."""
        if exchange.body.is_complete or not exchange.has_head or exchange.is_too_large:
            return
        if exchange.exceeds_body_limit and not exchange.is_asked:
            exchange.is_asked = True
            with suppress(HostileInput):  # which is refused as it begins
                exchange.body_limit = self._route(exchange).body_limit() or exchange.body_limit
        size = exchange.body.buffered_bytes
        if size > FREE_BYTES and not exchange.exceeds_body_limit and not self._shared.room.hold(self, size):
            self.give_way()

    @property
    def is_known(self) -> bool:
        return self._reading is not None and self._reading.body_limit.is_known

    @property
    def may_give_way(self) -> bool:
        """Not a request that has come completely."""
        return self._state is State.RECEIVING and self._reading is not None and not self._waiting

    def give_way(self) -> None:
        """Refuse the request under way to us: others take the memory that there is for bodies."""
        metrics.WEB_BODIES_WITHOUT_ROOM.inc()
        self._change(Event.REQUEST_READY)
        self._refuse(self._under_way, HTTPStatus.SERVICE_UNAVAILABLE)

    def _ask_for_more(self) -> None:
        """A thread has read what waited."""
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._go_on)

    def _begin(self, exchange: Exchange) -> None:
        self._change(Event.REQUEST_READY)
        self._answering = exchange
        if exchange.refusal is not None:
            self._refuse(exchange, exchange.refusal)
            return
        try:
            routed = self._route(exchange)
        except HostileInput:
            self._refuse(exchange, HTTPStatus.BAD_REQUEST)
            return
        if exchange.is_too_large:
            self._refuse(exchange, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        is_complete = exchange.body.is_complete
        if is_complete:
            self.deadline = NEVER
            exchange.environ["wsgi.input"] = io.BytesIO(exchange.body.take_all())
        elif routed.is_login:
            self._refuse(exchange, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)  # no password is that long
            return
        else:
            exchange.environ["wsgi.input"] = io.BufferedReader(exchange.body, MAX_BUFFERED_BYTES)
        has_small_body = is_complete and exchange.received <= MAX_BUFFERED_BYTES
        work = routed.begin(has_small_body=has_small_body)
        if not asyncio.iscoroutine(work):
            future = self._loop.run_in_executor(self._threads(routed, has_small_body), work)
            future.add_done_callback(partial(self._done, exchange))
        elif exchange.received > QUICK_BYTES:
            self._shared.turns.add(partial(self._start_task, exchange, work))
        else:
            self._start_task(exchange, work)

    def _route(self, exchange: Exchange) -> RoutedRequest:
        """Find what handles a request, once. Raises `HostileInput` for a target that is none."""
        if exchange.routed is None:
            exchange.environ = make_environ(exchange.head, self._peer, self._here)
            exchange.routed = self._shared.application.route(exchange.environ)
        return exchange.routed

    def _threads(self, routed: RoutedRequest, has_small_body: bool) -> Executor:
        if routed.is_login:
            return self._shared.logins
        return self._shared.threads if has_small_body else self._shared.readers

    def _start_task(self, exchange: Exchange, work: Coroutine[Any, Any, RawResponse]) -> None:
        self._loop.create_task(work).add_done_callback(partial(self._done, exchange))

    def _refuse(self, exchange: Exchange, status: HTTPStatus) -> None:
        exchange.keeps = False
        self._answer(exchange, _error(status))

    def _done(self, exchange: Exchange, future: asyncio.Future[RawResponse]) -> None:
        answered = _error(HTTPStatus.INTERNAL_SERVER_ERROR)
        if not future.cancelled():
            if error := future.exception():
                logger.error("A request could not be answered", exc_info=error)
            else:
                answered = future.result()
        if self._state is State.ABANDONED:
            self._change(Event.APPLICATION_DONE)
        elif isinstance(answered.body, bytes) or not _has_body(answered, exchange.head):
            self._answer(exchange, answered)
        elif self._shared.streams >= self._shared.max_streams:
            metrics.WEB_STREAMS_REFUSED.inc()
            self._refuse(exchange, HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._begin_stream(exchange, answered, answered.body)

    def _begin_stream(self, exchange: Exchange, answered: RawResponse, body: Stream) -> None:
        """Send the head of a response, and begin to send its body."""
        framing = choose_framing(answered.headers, exchange.head.version)
        exchange.keeps &= not isinstance(framing, UntilClose)
        self._send_head(exchange, answered)
        self._change(Event.STREAM_BEGUN)
        self.deadline = NEVER
        self._shared.streams += 1
        keep_alive(self._transport.get_extra_info("socket"))
        self._stream = self._loop.create_task(self._send(body, framing))
        self._stream.add_done_callback(partial(self._stream_done, exchange))
        if self._has_left:
            self.abort()

    async def _send(self, body: Stream, framing: Framing) -> bytes:
        """Send the pieces of a body as the client reads them; what is to follow the last one is returned."""
        try:
            async for piece in body:
                if self._state is not State.STREAMING:
                    break  # the generator would not be cancelled
                if piece:
                    self._transport.write(framing.encode(piece))
                await self._resume()
        finally:
            await body.aclose()
        return framing.end()

    async def _resume(self) -> None:
        """Wait until the client has read enough; let others have their turn in any case."""
        await asyncio.sleep(0)
        while self._is_full:
            self._resumed = self._loop.create_future()
            await self._resumed

    def _stream_done(self, exchange: Exchange, stream: asyncio.Task[bytes]) -> None:
        self._shared.streams -= 1
        self._stream = None
        is_whole = not stream.cancelled() and stream.exception() is None
        if not is_whole and not stream.cancelled():
            logger.error("A stream broke off", exc_info=stream.exception())
        if is_whole and self._state is State.STREAMING:
            self._transport.write(stream.result())
            exchange.keeps &= self._may_keep(exchange)
            self._end_response(exchange)
            return
        if self._state is State.STREAMING:
            self._reset()
        self._change(Event.APPLICATION_DONE)

    def _reset(self) -> None:
        """Cut the connection off so that what was sent does not pass for all, whatever its framing."""
        linger = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()

    def _answer(self, exchange: Exchange, answered: RawResponse) -> None:
        self._send_head(exchange, answered)
        self._end_response(exchange)

    def _send_head(self, exchange: Exchange, answered: RawResponse) -> None:
        """Send the head of a response, and its body if it does not come in pieces."""
        self._shared.room.release(self)
        exchange.is_answered = True
        exchange.body.discard()
        exchange.keeps &= self._may_keep(exchange)
        self._write(answered, exchange.head, exchange.keeps)

    def _end_response(self, exchange: Exchange) -> None:
        """A response is sent: read the next request, or what is left of this one."""
        self._answering = None
        if self._reading is exchange:
            self._change(Event.EARLY_RESPONSE_SENT)
            self._wait(UNREAD_SECONDS)
            self._go_on()
            return
        self._change(Event.RESPONSE_SENT)
        if exchange.keeps:
            self._wait(SILENCE)
        else:
            self._close()
        self._go_on()

    def _may_keep(self, exchange: Exchange) -> bool:
        """Will another request come over this connection, as far as we see?"""
        is_last = not self._is_input_open and not self._waiting
        left = exchange.head.content_length - exchange.received
        return not (
            self._shared.is_stopping or is_last or exchange.body.is_truncated or left > MAX_UNREAD_BYTES
        )

    def _write(self, answered: RawResponse, head: RequestHead, keeps: bool) -> None:
        lines = [f"HTTP/1.1 {answered.status}", *(f"{name}: {value}" for name, value in answered.headers)]
        has_length = any(name.lower() == "content-length" for name, _ in answered.headers)
        body = answered.body
        if not isinstance(body, bytes):
            if not (has_length or head.version != "1.1" or answered.status.startswith(WITHOUT_BODY)):
                lines.append("transfer-encoding: chunked")
            body = b""
        elif not _has_body(answered, head):
            body = b""
        elif not has_length:
            lines.append(f"content-length: {len(body)}")
        if not keeps:
            lines.append("Connection: close")
        elif head.version == "1.0":
            lines.append("Connection: keep-alive")
        self._transport.write("\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body)

    def _close(self) -> None:
        """Say that nothing more will come, and wait a little for the client to have heard all."""
        self._change(Event.END_SENT)
        self._wait(SILENCE if self._is_full else CLOSE_SECONDS)
        self._waiting.clear()
        if self._is_paused:
            self._transport.resume_reading()  # or its end would not be noticed
        if self._transport.can_write_eof():
            with suppress(OSError):  # the client is gone, and we are about to be told
                self._transport.write_eof()


def _has_body(answered: RawResponse, head: RequestHead) -> bool:
    """Does the response to this request have a body (RFC 9110 section 6.4.1)?"""
    return head.method != b"HEAD" and not answered.status.startswith(WITHOUT_BODY)


def _address(name: Any) -> tuple[str, int]:
    """Address and port of a socket's name."""
    return (canonical_address(str(name[0])), int(name[1])) if name else ("", 0)


def _error(status: HTTPStatus) -> RawResponse:
    answer = error_response(status)
    return RawResponse(answer.status_line, answer.headers, answer.body)
