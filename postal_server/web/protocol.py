"""One HTTP/1.1 connection: reads requests, has them answered one after the other, and is kept alive.

The handler of a request says whether it is answered in the event loop or in a thread. A body that the handler
accepts is buffered first, so that no thread waits for a slow client; any other is discarded. How much is held
in memory is bounded, whatever a client sends or does not read.
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
from postal_server.net.state_table import next_state

from .application import RoutedRequest
from .body import MAX_BUFFERED_BYTES, RequestBody
from .connection_state import ENDED, TRANSITIONS, Event, State
from .exchange import MAX_HEADER_BYTES, Exchange
from .gateway import RawResponse, field_size, make_environ
from .response import encode_response, error_page, has_body
from .shared import LimitedConnection, Shared
from .streaming import FramedStream, UntilClose, keep_alive

logger = logging.getLogger(__name__)

CHUNK_OVERHEAD_BYTES = 16  # allowed around a chunk of any size: its size, line ends and a short extension
PARSE_BYTES = 2048  # parsed at a time: there may be a hundred requests in them, but not thousands
IDLE_SECONDS = 60.0  # seconds between requests, and for the head of one
MIN_DATA_RATE = 1000  # bytes a second of a body; a slower client has `IDLE_SECONDS`
# A client that gets an early response goes on sending, and would not read it if the connection were reset. So
# the rest of its body is discarded, up to the size of the largest body that is accepted.
MAX_DISCARDED_BYTES = 80 * 1024 * 1024
DISCARD_SECONDS = 20.0
LINGER_SECONDS = 5.0  # for the client to read the last response
MAX_IGNORED_BYTES = 1024 * 1024  # that it may send meanwhile
IMMEDIATE_BYTES = 16 * 1024  # of a body that is processed at once; a request with a larger one waits its turn
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpProtocol(LimitedConnection):
    """The protocol of a connection; what may happen to it when is in `connection_state`."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self._shared = shared
        self._parser: Any = httptools.HttpRequestParser(self)
        self._peer = self._here = ("", 0)
        self._unread = memoryview(b"")  # received, not parsed yet
        self._reading: Exchange | None = None  # the request that is being received
        self._waiting: deque[Exchange] = deque()  # requests that are complete and not begun
        self._answering: Exchange | None = None
        self._state = State.IDLE
        self._is_input_open = True  # more requests are read
        self._has_left = False  # the client has closed its side
        self._stream: asyncio.Task[bytes] | None = None  # sends the body of a streaming response
        self._is_stream_cancelled = False
        self._resumed: asyncio.Future[None] | None = None  # once the stream may go on
        self._head_bytes = 0  # received since the request began, or since the last piece of its body
        self._is_full = False  # the client does not read its responses
        self._unsent = 0  # bytes that were unsent at the last look
        self._ignored = 0  # bytes received after the end of the input

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._peer = _address(transport.get_extra_info("peername"))
        self._here = _address(transport.get_extra_info("sockname"))
        self._set_deadline(IDLE_SECONDS)
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
        """Enter the next state. A closed connection makes room for another.

        It is not closed before its request is answered, even if the client is gone: otherwise any number of
        requests could wait for a thread.
        """
        before, self._state = self._state, next_state(TRANSITIONS, self._state, event)
        if self._state is State.CLOSED:
            self._shared.leave(self)
        elif before is State.STREAMING and self._state is State.ABANDONED:
            self._cancel_stream()

    @property
    def is_closing(self) -> bool:
        return self._state in ENDED

    def data_received(self, data: bytes) -> None:
        if self.is_closing or not self._is_input_open:
            self._ignored += len(data)
            if self._ignored > MAX_IGNORED_BYTES:
                self.abort()
            return
        self._unread = memoryview(bytes(self._unread) + data)
        self._advance()

    def _parse(self) -> None:
        """Parse what was received, up to a request that must wait: unparsed it costs less memory."""
        while self._unread and not self._waiting and not self._is_full and not self.is_closing:
            piece, self._unread = self._unread[:PARSE_BYTES], self._unread[PARSE_BYTES:]
            self._head_bytes += len(piece)
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserUpgrade:
                self._end_input()  # what follows is in a protocol that we do not speak
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
        """The client has closed its side. It still gets the responses to what it has asked for.

        A stream is cut off: whether the client still reads would not be known before the next piece.
        """
        self._has_left = True
        self._end_input()
        if self._state is State.STREAMING:
            self.abort()
        self._advance()
        return not self.is_closing

    def pause_writing(self) -> None:
        self._is_full = True
        self._unsent = self.unsent_bytes
        self._set_deadline(IDLE_SECONDS)
        self._shared.unsent.add(self, self._loop.time())

    def resume_writing(self) -> None:
        self._is_full = False
        self._shared.unsent.remove(self)
        if self._state is State.STREAMING:
            self.deadline = NEVER
        else:  # nothing is begun while it is full
            self._set_deadline(LINGER_SECONDS if self.is_closing else IDLE_SECONDS)
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)
        self._advance()

    @property
    def unsent_bytes(self) -> int:
        """How much of its responses the client has not read."""
        size: int = self._transport.get_write_buffer_size()
        return size

    def give_up(self) -> None:
        """Drop the response: others that are read faster need the memory."""
        metrics.WEB_ANSWERS_CUT_OFF.inc()
        self.abort()

    @property
    def is_idle(self) -> bool:
        """Does it only wait for its client: for another request, or to close its side?"""
        return self._state in (State.IDLE, State.CLOSING) and not self._is_full

    @property
    def is_answering(self) -> bool:
        """Does the application work on a request, even if its client is gone?"""
        return self._state in (State.ANSWERING, State.STREAMING, State.ABANDONED)

    def expire(self) -> None:
        """The deadline has passed: the client is too slow, or has nothing more to ask."""
        if self._is_full and self._is_reading():
            self._set_deadline(IDLE_SECONDS)
        elif self._is_full or self._state in (State.DISCARDING, State.CLOSING):
            self.abort()
        else:
            if self._state is State.IDLE:
                self._end_input()
            else:
                self._refuse_input(408)
            self._advance()

    def _is_reading(self) -> bool:
        before, self._unsent = self._unsent, self.unsent_bytes
        return before - self._unsent >= IDLE_SECONDS * MIN_DATA_RATE

    def shut_down(self) -> None:
        """Close now, or once the request under way is answered; a stream is cancelled: it may be endless."""
        if self._state is State.IDLE and not self._is_full:
            self._close()
        else:
            self._cancel_stream()

    def _cancel_stream(self) -> None:
        """Cancel the stream, if there is one; only once, as a second time would break off its `finally`."""
        if self._stream is not None and not self._is_stream_cancelled:
            self._is_stream_cancelled = True
            self._stream.cancel()

    def abort(self) -> None:
        self._change(Event.LOST)
        self.deadline = NEVER
        self._transport.abort()

    # What the parser finds

    def on_message_begin(self) -> None:
        self._reading = Exchange(RequestBody(self._resume_reading))
        self._head_bytes = 0
        if self._answering is None:
            self._set_deadline(IDLE_SECONDS)

    def on_url(self, url: bytes) -> None:
        self._current.head.add_target(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange = self._current
        if exchange.has_head:  # a trailer: no proxy has checked it
            exchange.head.size += field_size(name, value)
        elif not exchange.is_too_large:
            exchange.head.add_field(name, value)

    def on_headers_complete(self) -> None:
        exchange = self._current
        exchange.has_head = True
        self._head_bytes = 0
        exchange.head.complete(self._parser.get_method(), self._parser.get_http_version())
        exchange.keeps_alive = self._parser.should_keep_alive()
        is_next = self._state in (State.IDLE, State.RECEIVING) and not self._waiting
        if exchange.head.expects_continue and is_next:
            self._transport.write(CONTINUE)

    def on_body(self, data: bytes) -> None:
        exchange = self._current
        self._head_bytes = max(self._head_bytes - 2 * len(data) - CHUNK_OVERHEAD_BYTES, 0)
        exchange.received_bytes += len(data)
        if not exchange.is_answered:
            exchange.body.feed(data)
            if self._answering in (None, exchange):  # a fast start buys no more than `IDLE_SECONDS`
                earned = self.deadline + len(data) / MIN_DATA_RATE
                self.deadline = min(self._loop.time() + IDLE_SECONDS, earned)
        elif exchange.received_bytes > MAX_DISCARDED_BYTES:
            self.abort()

    def on_message_complete(self) -> None:
        exchange = self._current
        self._reading = None
        exchange.body.complete()
        if exchange is self._answering:
            self.deadline = NEVER
        elif not exchange.is_answered:
            self._waiting.append(exchange)
        elif self._state is State.DISCARDING:
            self._change(Event.BODY_DISCARDED)
            if exchange.keeps_alive:
                self._set_deadline(IDLE_SECONDS)
            else:
                self._close()

    @property
    def _current(self) -> Exchange:
        assert self._reading is not None, "the parser reports when a message begins"
        return self._reading

    def _end_input(self) -> None:
        """Read no more requests: the connection is closed once those received are answered."""
        self._is_input_open = False
        self._unread = memoryview(b"")
        if self._reading is not None:
            self._reading.body.truncate_input()
            self._reading = None

    def _refuse_input(self, status: int) -> None:
        """End the input with `status` as the last response, unless the current request gets its own."""
        reading = self._reading
        has_response = reading is not None and (reading is self._answering or reading.is_answered)
        if self._is_input_open and not has_response:
            self._waiting.append(Exchange(RequestBody(self._resume_reading), refusal=HTTPStatus(status)))
        self._end_input()

    # What is done about it

    def _advance(self) -> None:
        """Begin what can be begun, and stop reading from a client that has sent enough for now."""
        self._parse()
        if self.is_closing:
            return
        if not self.is_answering and not self._is_full:
            exchange = self._waiting.popleft() if self._waiting else self._reading
            if exchange is None:
                if not self._is_input_open:
                    self._close()
            elif self._state is not State.DISCARDING:
                self._receive(exchange)
        self._set_paused(self._is_full or bool(self._waiting or self._unread) or self._has_enough_body())

    def _receive(self, exchange: Exchange) -> None:
        """This request is the next: begin to answer it if enough of it was received."""
        if self._state is State.IDLE:
            self._change(Event.REQUEST_BEGUN)
        self._buffer_body(exchange)
        if self._state is State.RECEIVING and exchange.is_ready():
            self._begin_answer(exchange)

    def _has_enough_body(self) -> bool:
        reading = self._reading
        return reading is not None and reading.body.buffered_bytes > max(
            reading.body_limit.max_bytes, MAX_BUFFERED_BYTES
        )

    def _buffer_body(self, exchange: Exchange) -> None:
        """Ask how much of a large body the handler accepts, and count what was received of it."""
        if exchange.body.is_complete or not exchange.has_head or exchange.is_too_large:
            return
        if exchange.exceeds_body_limit and not exchange.is_asked:
            exchange.is_asked = True
            with suppress(HostileInput):  # which `_begin_answer` refuses
                exchange.body_limit = self._route(exchange).body_limit() or exchange.body_limit
        size = exchange.body.buffered_bytes
        if size > FREE_BYTES and not exchange.exceeds_body_limit and not self._shared.room.hold(self, size):
            self.give_way()

    @property
    def is_known(self) -> bool:
        return self._reading is not None and self._reading.body_limit.is_known

    @property
    def may_give_way(self) -> bool:
        """Only a request that is still being received may be refused for want of memory."""
        return self._state is State.RECEIVING and self._reading is not None and not self._waiting

    def give_way(self) -> None:
        """Refuse the current request: others need the memory for bodies."""
        metrics.WEB_BODIES_WITHOUT_ROOM.inc()
        self._change(Event.REQUEST_READY)
        self._refuse(self._current, HTTPStatus.SERVICE_UNAVAILABLE)

    def _resume_reading(self) -> None:
        """Go on with a body whose reader, in a thread, has caught up."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._advance)

    def _begin_answer(self, exchange: Exchange) -> None:
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
        except Exception as error:
            self._fail(exchange, error)
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
        self._begin_work(exchange, routed, is_complete and exchange.received_bytes <= MAX_BUFFERED_BYTES)

    def _begin_work(self, exchange: Exchange, routed: RoutedRequest, has_small_body: bool) -> None:
        """Have the response made in the event loop, perhaps once others had their turn, or in a thread."""
        try:
            work = routed.begin(has_small_body=has_small_body)
        except Exception as error:
            self._fail(exchange, error)
            return
        if not asyncio.iscoroutine(work):
            future = self._loop.run_in_executor(self._threads(routed, has_small_body), work)
            future.add_done_callback(partial(self._work_done, exchange))
        elif exchange.received_bytes > IMMEDIATE_BYTES:
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
        self._loop.create_task(work).add_done_callback(partial(self._work_done, exchange))

    def _fail(self, exchange: Exchange, error: Exception) -> None:
        """A bug: the application could not begin. That is answered as if it had failed later."""
        future = self._loop.create_future()
        future.set_exception(error)
        future.add_done_callback(partial(self._work_done, exchange))

    def _refuse(self, exchange: Exchange, status: HTTPStatus) -> None:
        exchange.keeps_alive = False
        self._send_response(exchange, error_page(status))

    def _work_done(self, exchange: Exchange, future: asyncio.Future[RawResponse]) -> None:
        response = error_page(HTTPStatus.INTERNAL_SERVER_ERROR)
        if not future.cancelled():
            if error := future.exception():
                logger.error("A request could not be answered", exc_info=error)
            else:
                response = future.result()
        try:
            if self._state is State.ABANDONED:
                self._change(Event.APPLICATION_DONE)
            else:
                self._respond(exchange, response)
        except Exception:
            self._break_off(exchange)

    def _respond(self, exchange: Exchange, response: RawResponse) -> None:
        """Send a response, or begin to send it."""
        body = response.body
        if isinstance(body, bytes) or not has_body(response, exchange.head):
            self._send_response(exchange, response)
        elif self._shared.is_stopping:  # nothing would end it
            self._refuse(exchange, HTTPStatus.SERVICE_UNAVAILABLE)
        elif self._shared.streams >= self._shared.max_streams:
            metrics.WEB_STREAMS_REFUSED.inc()
            self._refuse(exchange, HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._begin_stream(exchange, response, body)

    def _break_off(self, exchange: Exchange) -> None:
        """A bug has kept a response from being sent: cut off the connection, and free its place."""
        logger.exception("A response could not be sent")
        self.abort()
        is_done = self._answering is exchange and self._stream is None
        if is_done and self._state is State.ABANDONED:
            self._change(Event.APPLICATION_DONE)

    def _begin_stream(self, exchange: Exchange, response: RawResponse, body: FramedStream) -> None:
        """Send the head of a response, and begin to send its body."""
        exchange.keeps_alive &= not isinstance(body.framing, UntilClose)
        self._send_head(exchange, response)
        self._change(Event.STREAM_BEGUN)
        self.deadline = NEVER
        with suppress(OSError):  # the client is gone: `connection_lost` follows
            keep_alive(self._transport.get_extra_info("socket"))
        self._is_stream_cancelled = False
        self._stream = self._loop.create_task(self._send(body))
        self._shared.streams += 1
        self._stream.add_done_callback(partial(self._stream_done, exchange))
        if self._has_left:
            self.abort()

    async def _send(self, body: FramedStream) -> bytes:
        """Send the pieces of a body as the client reads them; returns what ends the body."""
        try:
            async for piece in body.pieces:
                if self._state is not State.STREAMING:
                    break  # the generator has ignored its cancellation
                if piece:
                    self._transport.write(body.framing.encode(piece))
                await self._writable()
        finally:
            await body.pieces.aclose()
        return body.framing.end()

    async def _writable(self) -> None:
        """Wait until the client has read enough. Other connections have their turn in any case."""
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
        try:
            if is_whole and self._state is State.STREAMING:
                self._transport.write(stream.result())
                exchange.keeps_alive &= self._may_keep(exchange)
                self._end_response(exchange)
                return
            if self._state is State.STREAMING:
                self._reset()
            self._change(Event.APPLICATION_DONE)
        except Exception:
            self._break_off(exchange)

    def _reset(self) -> None:
        """Reset the connection, so that a client does not take a part of a body for the whole."""
        linger = struct.pack("ii", 1, 0)
        with suppress(OSError):  # it is closed
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()

    def _send_response(self, exchange: Exchange, response: RawResponse) -> None:
        self._send_head(exchange, response)
        self._end_response(exchange)

    def _send_head(self, exchange: Exchange, response: RawResponse) -> None:
        """Send the head of a response, and its body if it does not come in pieces."""
        self._shared.room.release(self)
        exchange.is_answered = True
        exchange.body.discard()
        exchange.keeps_alive &= self._may_keep(exchange)
        self._transport.write(encode_response(response, exchange.head, exchange.keeps_alive))

    def _end_response(self, exchange: Exchange) -> None:
        """A response is sent: read the next request, or what is left of this one."""
        self._answering = None
        if self._reading is exchange:
            self._change(Event.EARLY_RESPONSE_SENT)
            self._set_deadline(DISCARD_SECONDS)
            self._advance()
            return
        self._change(Event.RESPONSE_SENT)
        if exchange.keeps_alive:
            self._set_deadline(IDLE_SECONDS)
        else:
            self._close()
        self._advance()

    def _may_keep(self, exchange: Exchange) -> bool:
        """May another request come over this connection?"""
        is_last = not self._is_input_open and not self._waiting
        left = exchange.head.content_length - exchange.received_bytes
        return not (
            self._shared.is_stopping or is_last or exchange.body.is_truncated or left > MAX_DISCARDED_BYTES
        )

    def _close(self) -> None:
        """Close our side, and give the client some time to read the last response."""
        self._change(Event.END_SENT)
        self._set_deadline(IDLE_SECONDS if self._is_full else LINGER_SECONDS)
        self._waiting.clear()
        if self._is_paused:
            self._transport.resume_reading()  # or that the client closes its side would not be noticed
        if self._has_left:
            self._transport.close()  # once all is sent: the client has sent all it will
        elif self._transport.can_write_eof():
            with suppress(OSError):  # the client is gone: `connection_lost` follows
                self._transport.write_eof()


def _address(name: Any) -> tuple[str, int]:
    """Address and port of a socket's name."""
    return (canonical_address(str(name[0])), int(name[1])) if name else ("", 0)
