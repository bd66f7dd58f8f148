"""The states of an HTTP connection, and what leads from one to another.

Requests are answered in the order in which they came, and a state is about the first one that is not
answered: those behind it are read meanwhile, and have their events when it is their turn. Whether a client
reads what it is sent is no state: it may stop at any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from postal_server.net.state_table import TableKey


class State(TableKey):
    """What a connection waits for."""

    IDLE = "idle"  # a request
    RECEIVING = "receiving"  # the rest of a request, or as much of it as an answer takes
    ANSWERING = "answering"  # the application's response
    STREAMING = "streaming"  # the next piece of a response's body, or the client to read the last one
    DISCARDING = "discarding"  # the rest of a body whose request has its response already
    CLOSING = "closing"  # the client, to close its side: ours is closed
    ABANDONED = "abandoned"  # the application: the client is gone, its request still takes a place
    CLOSED = "closed"  # nothing


class Event(TableKey):
    """What happens to a connection."""

    REQUEST_BEGUN = "request begun"  # its first bytes are there, and all before it is answered
    REQUEST_READY = "request ready"  # enough of it has come for an answer
    STREAM_BEGUN = "stream begun"  # the head of a response is sent, its body comes in pieces
    RESPONSE_SENT = "response sent"  # of a request that has come completely
    EARLY_RESPONSE_SENT = "early response sent"  # while the body of the request still comes
    BODY_DISCARDED = "body discarded"  # its rest has come
    END_SENT = "end sent"  # no response will follow: our side is closed
    LOST = "lost"  # cut off, by the client or by us
    APPLICATION_DONE = "application done"  # with a request whose client is gone


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.IDLE, Event.REQUEST_BEGUN): State.RECEIVING,
    (State.IDLE, Event.END_SENT): State.CLOSING,
    (State.IDLE, Event.LOST): State.CLOSED,
    (State.RECEIVING, Event.REQUEST_READY): State.ANSWERING,
    (State.RECEIVING, Event.END_SENT): State.CLOSING,
    (State.RECEIVING, Event.LOST): State.CLOSED,
    (State.ANSWERING, Event.RESPONSE_SENT): State.IDLE,
    (State.ANSWERING, Event.EARLY_RESPONSE_SENT): State.DISCARDING,
    (State.ANSWERING, Event.LOST): State.ABANDONED,
    (State.ANSWERING, Event.STREAM_BEGUN): State.STREAMING,
    (State.STREAMING, Event.RESPONSE_SENT): State.IDLE,
    (State.STREAMING, Event.EARLY_RESPONSE_SENT): State.DISCARDING,
    (State.STREAMING, Event.LOST): State.ABANDONED,
    (State.DISCARDING, Event.BODY_DISCARDED): State.IDLE,
    (State.DISCARDING, Event.END_SENT): State.CLOSING,
    (State.DISCARDING, Event.LOST): State.CLOSED,
    (State.CLOSING, Event.LOST): State.CLOSED,
    (State.ABANDONED, Event.APPLICATION_DONE): State.CLOSED,
    # Who cuts a connection off hears of its end as well.
    (State.ABANDONED, Event.LOST): State.ABANDONED,
    (State.CLOSED, Event.LOST): State.CLOSED,
}
# All other pairs: were one of them to happen, `HttpProtocol` would have a bug.
IMPOSSIBLE: Mapping[State, frozenset[Event]] = {
    State.IDLE: frozenset(
        {
            Event.REQUEST_READY,
            Event.STREAM_BEGUN,
            Event.RESPONSE_SENT,
            Event.EARLY_RESPONSE_SENT,
            Event.BODY_DISCARDED,
            Event.APPLICATION_DONE,
        }
    ),
    State.RECEIVING: frozenset(
        {
            Event.REQUEST_BEGUN,  # the next one has to wait
            Event.STREAM_BEGUN,
            Event.RESPONSE_SENT,
            Event.EARLY_RESPONSE_SENT,
            Event.BODY_DISCARDED,
            Event.APPLICATION_DONE,
        }
    ),
    State.ANSWERING: frozenset(
        {
            Event.REQUEST_BEGUN,
            Event.REQUEST_READY,
            Event.BODY_DISCARDED,
            Event.END_SENT,  # every request gets a response first
            Event.APPLICATION_DONE,  # that is a response
        }
    ),
    State.STREAMING: frozenset(
        {
            Event.REQUEST_BEGUN,
            Event.REQUEST_READY,
            Event.STREAM_BEGUN,
            Event.BODY_DISCARDED,
            Event.END_SENT,
            Event.APPLICATION_DONE,
        }
    ),
    State.DISCARDING: frozenset(
        {
            Event.REQUEST_BEGUN,
            Event.REQUEST_READY,
            Event.STREAM_BEGUN,
            Event.RESPONSE_SENT,  # one was
            Event.EARLY_RESPONSE_SENT,
            Event.APPLICATION_DONE,
        }
    ),
    State.CLOSING: frozenset(Event) - {Event.LOST},
    State.ABANDONED: frozenset(Event) - {Event.LOST, Event.APPLICATION_DONE},
    State.CLOSED: frozenset(Event) - {Event.LOST},
}
# Nothing more is read or sent.
ENDED = frozenset({State.CLOSING, State.ABANDONED, State.CLOSED})
