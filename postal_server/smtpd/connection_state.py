"""The states of an SMTP connection, and of the mail transaction on it, as tables.

All that depends on a state is decided here: `protocol` and `transaction` look up what follows and do it.
"""

from __future__ import annotations

from collections.abc import Mapping

from postal_server.net.state_table import TableKey

from . import replies
from .commands import VERBS
from .replies import Answer


class State(TableKey):
    """What a connection does with the input that comes next."""

    PROXY = "expects the line of the PROXY protocol"
    COMMAND = "expects a command"
    LONG_LINE = "discards the rest of a line that is too long"
    AUTH = "expects the response to an AUTH challenge"
    DATA = "reads message text up to the final dot"
    BDAT = "reads the bytes of a chunk"
    STORING = "leaves input in the buffer until the message is stored"
    HANDSHAKE = "leaves input to the TLS handshake"
    CLOSING = "ignores input: the last reply has been sent, or the peer has gone"


class Event(TableKey):
    """What moves a connection from one state to another."""

    CLIENT_KNOWN = "the PROXY line names the client"
    LINE_TOO_LONG = "more than a line may have came without a line end"
    LINE_READ = "the line ended"
    CHALLENGE_SENT = "AUTH needs a response from the client"
    DATA_BEGUN = "DATA was accepted"
    CHUNK_BEGUN = "BDAT announced a chunk"
    CHUNK_READ = "the chunk is complete, and not the last"
    MESSAGE_READ = "the message is complete"
    MESSAGE_REFUSED = "the message, or its chunk, is complete and refused"
    MESSAGE_ANSWERED = "the message was stored, or could not be"
    HANDSHAKE_BEGUN = "STARTTLS was accepted"
    TLS_ESTABLISHED = "the TLS handshake succeeded"
    CLOSED = "the last reply was sent, or the connection was lost"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.PROXY, Event.CLIENT_KNOWN): State.COMMAND,
    (State.PROXY, Event.CLOSED): State.CLOSING,
    (State.COMMAND, Event.LINE_TOO_LONG): State.LONG_LINE,
    (State.COMMAND, Event.CHALLENGE_SENT): State.AUTH,
    (State.COMMAND, Event.DATA_BEGUN): State.DATA,
    (State.COMMAND, Event.CHUNK_BEGUN): State.BDAT,
    (State.COMMAND, Event.HANDSHAKE_BEGUN): State.HANDSHAKE,
    (State.COMMAND, Event.CLOSED): State.CLOSING,
    (State.LONG_LINE, Event.LINE_TOO_LONG): State.LONG_LINE,
    (State.LONG_LINE, Event.LINE_READ): State.COMMAND,
    (State.LONG_LINE, Event.CLOSED): State.CLOSING,
    (State.AUTH, Event.LINE_TOO_LONG): State.LONG_LINE,
    (State.AUTH, Event.LINE_READ): State.COMMAND,
    (State.AUTH, Event.CLOSED): State.CLOSING,
    (State.DATA, Event.MESSAGE_READ): State.STORING,
    (State.DATA, Event.MESSAGE_REFUSED): State.COMMAND,
    (State.DATA, Event.CLOSED): State.CLOSING,
    (State.BDAT, Event.CHUNK_READ): State.COMMAND,
    (State.BDAT, Event.MESSAGE_READ): State.STORING,
    (State.BDAT, Event.MESSAGE_REFUSED): State.COMMAND,
    (State.BDAT, Event.CLOSED): State.CLOSING,
    (State.STORING, Event.MESSAGE_ANSWERED): State.COMMAND,
    (State.STORING, Event.CLOSED): State.CLOSING,
    (State.HANDSHAKE, Event.TLS_ESTABLISHED): State.COMMAND,
    (State.HANDSHAKE, Event.CLOSED): State.CLOSING,
    (State.CLOSING, Event.MESSAGE_ANSWERED): State.CLOSING,  # the peer went while its message was stored
    (State.CLOSING, Event.CLOSED): State.CLOSING,
}
# What cannot happen while the rest of a line is awaited.
NOT_WITHIN_A_LINE = frozenset(
    {
        Event.CLIENT_KNOWN,
        Event.CHALLENGE_SENT,
        Event.DATA_BEGUN,
        Event.CHUNK_BEGUN,
        Event.CHUNK_READ,
        Event.MESSAGE_READ,
        Event.MESSAGE_REFUSED,
        Event.MESSAGE_ANSWERED,
        Event.HANDSHAKE_BEGUN,
        Event.TLS_ESTABLISHED,
    }
)
# All other pairs: were one of them to happen, `SmtpProtocol` would have a bug.
IMPOSSIBLE: Mapping[State, frozenset[Event]] = {
    State.PROXY: frozenset(Event) - {Event.CLIENT_KNOWN, Event.CLOSED},
    State.COMMAND: frozenset(
        {
            Event.CLIENT_KNOWN,
            Event.LINE_READ,
            Event.CHUNK_READ,
            Event.MESSAGE_READ,
            Event.MESSAGE_REFUSED,
            Event.MESSAGE_ANSWERED,
            Event.TLS_ESTABLISHED,
        }
    ),
    State.LONG_LINE: NOT_WITHIN_A_LINE,
    State.AUTH: NOT_WITHIN_A_LINE,
    State.DATA: frozenset(
        {
            Event.CLIENT_KNOWN,
            Event.LINE_TOO_LONG,
            Event.LINE_READ,
            Event.CHALLENGE_SENT,
            Event.DATA_BEGUN,
            Event.CHUNK_BEGUN,
            Event.CHUNK_READ,
            Event.MESSAGE_ANSWERED,
            Event.HANDSHAKE_BEGUN,
            Event.TLS_ESTABLISHED,
        }
    ),
    State.BDAT: frozenset(
        {
            Event.CLIENT_KNOWN,
            Event.LINE_TOO_LONG,
            Event.LINE_READ,
            Event.CHALLENGE_SENT,
            Event.DATA_BEGUN,
            Event.CHUNK_BEGUN,
            Event.MESSAGE_ANSWERED,
            Event.HANDSHAKE_BEGUN,
            Event.TLS_ESTABLISHED,
        }
    ),
    State.STORING: frozenset(Event) - {Event.MESSAGE_ANSWERED, Event.CLOSED},
    State.HANDSHAKE: frozenset(Event) - {Event.TLS_ESTABLISHED, Event.CLOSED},
    State.CLOSING: frozenset(Event) - {Event.MESSAGE_ANSWERED, Event.CLOSED},
}


class Phase(TableKey):
    """How far the mail transaction is (RFC 5321 section 3.3)."""

    START = "neither EHLO, HELO nor RSET came, or TLS began since"
    READY = "no transaction"
    MAIL = "MAIL was accepted, and no recipient yet"
    NO_RECIPIENT = "every recipient was refused"
    RCPT = "a recipient was accepted"
    CHUNKS = "a chunk was accepted, and the last is still to come"


# What moves a transaction from one phase to another without being an accepted command.
RECIPIENT_REFUSED = "recipient refused"
MESSAGE_ENDED = "message ended"  # stored or refused

ANY_TIME = ("AUTH PLAIN", "AUTH LOGIN", "AUTH CRAM-MD5", "AUTH", "NOOP", "QUIT", "")
EHLO_FIRST = Answer(replies.EHLO_FIRST, "mail-from-out-of-order")
MAIL_FIRST = Answer(replies.MAIL_FIRST, "rcpt-to-out-of-order")
RCPT_FIRST = Answer(replies.RCPT_FIRST, "data-out-of-order")
NO_VALID_RECIPIENTS = Answer(replies.NO_VALID_RECIPIENTS, "data-out-of-order")
BDAT_UNDER_WAY = Answer(replies.BDAT_UNDER_WAY, "data-out-of-order")


def _row(phase: Phase, specific: Mapping[str, Phase | Answer]) -> Mapping[str, Phase | Answer]:
    return {
        **dict.fromkeys(ANY_TIME, phase),
        "EHLO": Phase.READY,
        "HELO": Phase.READY,
        "RSET": Phase.READY,  # as Postal, which asks for no EHLO after it
        "STARTTLS": Phase.START,  # once the handshake has succeeded (RFC 3207 section 4.2)
        RECIPIENT_REFUSED: phase,
        MESSAGE_ENDED: Phase.READY,
        **specific,
    }


# By phase and verb: the phase once the command is carried out, or the answer if it is out of order (contract
# 5.4).
PHASES: Mapping[Phase, Mapping[str, Phase | Answer]] = {
    Phase.START: _row(
        Phase.START,
        {
            "MAIL FROM": EHLO_FIRST,
            "RCPT TO": MAIL_FIRST,
            "DATA": RCPT_FIRST,
            "BDAT": RCPT_FIRST,
            MESSAGE_ENDED: Phase.START,
        },
    ),
    Phase.READY: _row(
        Phase.READY,
        {"MAIL FROM": Phase.MAIL, "RCPT TO": MAIL_FIRST, "DATA": RCPT_FIRST, "BDAT": RCPT_FIRST},
    ),
    Phase.MAIL: _row(
        Phase.MAIL,
        {
            "MAIL FROM": Phase.MAIL,
            "RCPT TO": Phase.RCPT,
            "DATA": RCPT_FIRST,
            "BDAT": RCPT_FIRST,
            RECIPIENT_REFUSED: Phase.NO_RECIPIENT,
        },
    ),
    Phase.NO_RECIPIENT: _row(
        Phase.NO_RECIPIENT,
        {
            "MAIL FROM": EHLO_FIRST,
            "RCPT TO": Phase.RCPT,
            "DATA": NO_VALID_RECIPIENTS,  # Postal accepts and drops such a message
            "BDAT": NO_VALID_RECIPIENTS,
        },
    ),
    Phase.RCPT: _row(
        Phase.RCPT,
        {"MAIL FROM": EHLO_FIRST, "RCPT TO": Phase.RCPT, "DATA": Phase.RCPT, "BDAT": Phase.CHUNKS},
    ),
    Phase.CHUNKS: _row(
        Phase.CHUNKS,
        {"MAIL FROM": EHLO_FIRST, "RCPT TO": MAIL_FIRST, "DATA": BDAT_UNDER_WAY, "BDAT": Phase.CHUNKS},
    ),
}
PHASE_EVENTS = (*VERBS, "", RECIPIENT_REFUSED, MESSAGE_ENDED)  # the columns of `PHASES`
