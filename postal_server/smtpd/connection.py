"""The transport's side of an SMTP connection: its state, input buffered and taken in turns, replies sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from postal_server.mail.smtp_reply import Reply
from postal_server.net.listening import Connection
from postal_server.net.state_table import next_state

from . import replies
from .connection_state import TRANSITIONS, Event, State
from .shared import METRIC, Shared

MAX_WAITING_BYTES = 65_536  # input accepted while the last message is being stored
TURN = 0.002  # seconds of work for one peer; if it has sent more than that, others are served in between
CLOSE_TIMEOUT = 10.0  # seconds for the peer to read the last reply

# Looked up once: before Python 3.12 a member of an Enum costs as much as a function call.
STORING, HANDSHAKE, CLOSING = State.STORING, State.HANDSHAKE, State.CLOSING


class BufferedConnection(Connection):
    """Collects input in one buffer and lets the reader of the current state consume it.

    A subclass has `readers`: for each state what consumes input, and says whether there may be more to do.
    """

    readers: ClassVar[dict[State, Callable[[Any], bool]]]

    def __init__(self, shared: Shared, state: State) -> None:
        super().__init__()
        self._shared = shared
        self._options = shared.options
        self._state = state
        self._buffer = bytearray()
        self._out: list[bytes] = []  # replies not yet handed to the transport
        self._errors = 0
        self._is_full = False  # the peer does not read its replies
        self._waits_for_turn = False  # there is more to read, once others were served

    @property
    def is_closing(self) -> bool:
        return self._state is CLOSING

    def data_received(self, data: bytes) -> None:
        if self._state is not CLOSING:
            self._buffer += data
            self._pump()

    def pause_writing(self) -> None:
        """The peer does not read its replies: it gets no more of them until it does."""
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._pump()

    def abort(self) -> None:
        """Drop the connection without another word."""
        if self._transport is not None:
            self._transport.abort()

    def _follow(self, event: Event) -> None:
        """Go to the state that follows from `event`."""
        self._state = next_state(TRANSITIONS, self._state, event)

    def _pump(self) -> None:
        """Read what can be read, send the replies, and stop the peer from sending if it is far ahead."""
        end = self._loop.time() + TURN
        while not (self._is_full or self._waits_for_turn) and self.readers[self._state](self):
            if self._buffer and self._loop.time() > end:
                self._waits_for_turn = True
                self._shared.turns.add(self._take_turn)
        self._flush()
        state = self._state
        if state is not HANDSHAKE and state is not CLOSING:
            waits = state is STORING or self._is_full or self._waits_for_turn
            self._set_paused(waits and len(self._buffer) > MAX_WAITING_BYTES)

    def _take_turn(self) -> None:
        self._waits_for_turn = False
        if self._state is not CLOSING:
            self._pump()

    def _read_nothing(self) -> bool:
        return False

    def _reply(self, reply: Reply) -> None:
        self._out.append(replies.encode(reply))

    def _answer(self, answer: replies.Answer) -> None:
        """Reply, and count an error of the client; too many are the end."""
        self._reply(answer.reply)
        if not answer.label:
            return
        self._shared.count(METRIC + "client_errors", error=answer.label)
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
        """Send a last reply and close once the peer has read it."""
        self._reply(reply)
        self._flush()
        self._follow(Event.CLOSED)
        self._set_deadline(CLOSE_TIMEOUT)
        if self._transport is not None:
            self._transport.close()
