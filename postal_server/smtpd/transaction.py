"""The mail transaction of one connection: MAIL, RCPT and the message (RFC 5321 section 3.3). No I/O."""

from __future__ import annotations

from postal_server.errors import Busy, HostileInput, MessageTooLarge, PostalServerError, Refusal

from . import replies
from .commands import is_recipient, parse_chunk, parse_path
from .connection_state import MESSAGE_ENDED, PHASES, RECIPIENT_REFUSED, Phase
from .data import ChunkReader, DataReader, MessageReader
from .handler import ClientSession, Envelope
from .replies import Answer, answer_to
from .shared import Shared

ACCEPTED = Answer(replies.OK)
BAD_PARAMETER = Answer(replies.BAD_PARAMETER, "invalid-command")
LEAVES_PHASE = (501, 530)  # refusals of RCPT after which Postal is where it was (contract 5.4)
MAX_SIZE_DIGITS = 19  # of the SIZE parameter
RECIPIENT_BYTES = 500  # of memory that a recipient needs, beside its address


class Transaction:
    """The transaction under way, or the lack of one. One object serves all transactions of a connection.

    `phase` says which commands are in order, by the table `PHASES`; the caller consults it before it calls
    `mail`, `rcpt` or `begin_data`. `reader` reads the message once DATA or BDAT came. `refusal`: the message
    cannot be accepted, whatever still comes of it; it is the answer once all of it came.
    `recipient_bytes` is the memory that the recipients occupy.
    """

    def __init__(self, shared: Shared, session: ClientSession) -> None:
        self.phase = Phase.START
        self.envelope: Envelope | None = None
        self.reader: MessageReader | None = None
        self.refusal: Answer | None = None
        self.recipient_bytes = 0
        self._shared = shared
        self._options = shared.options
        self._session = session

    def follow(self, event: str) -> None:
        """Go to the phase that `PHASES` has for `event`: a command that was carried out, for example."""
        phase = PHASES[self.phase][event]
        assert isinstance(phase, Phase), f"{event} is out of order"
        self.phase = phase

    def end(self, event: str = MESSAGE_ENDED) -> None:
        """Forget the transaction, which `event` ended."""
        self.follow(event)
        self.envelope = self.reader = self.refusal = None
        self.recipient_bytes = 0

    def mail(self, argument: str) -> Answer:
        """Begin an envelope with what follows `MAIL FROM`."""
        path = parse_path(argument)
        size, body = path.parameters.get("SIZE", "0"), path.parameters.get("BODY", "").upper()
        is_size = size.isascii() and size.isdigit() and len(size) <= MAX_SIZE_DIGITS
        if not (is_size and body in ("", "7BIT", "8BITMIME")):
            return BAD_PARAMETER
        if int(size) > self._options.max_message_bytes:
            return replies.too_large(self._options.max_message_bytes)
        try:
            self._shared.handler.check_room(int(size))
        except Busy as error:
            return answer_to(error)
        smtputf8 = "SMTPUTF8" in path.parameters
        self.envelope = Envelope(path.address or None, body=body or None, smtputf8=smtputf8)
        self.follow("MAIL FROM")
        return ACCEPTED

    def rcpt(self, argument: str, now: float) -> Answer:
        """Add the recipient that follows `RCPT TO`. `now` is in seconds of a monotonic clock."""
        assert self.envelope is not None
        path = parse_path(argument)
        address = path.address
        if not address:
            return Answer(replies.EMPTY_RECIPIENT, "empty-rcpt-to")
        if not (path.is_alone and is_recipient(address)):
            return Answer(replies.INVALID_RECIPIENT, "invalid-rcpt-to")
        if len(self.envelope.recipients) >= self._options.max_recipients:
            return Answer(replies.TOO_MANY_RECIPIENTS)
        refusal = self._add_recipient(self.envelope, address, now)
        if refusal is None:
            self.follow("RCPT TO")
            return ACCEPTED
        if refusal.reply.code not in LEAVES_PHASE:
            self.follow(RECIPIENT_REFUSED)
        return refusal

    def begin_data(self) -> None:
        """Expect message text, after DATA."""
        self.reader = DataReader(self._options)
        self.follow("DATA")

    def begin_chunk(self, argument: str, buffer: bytearray) -> Answer | None:
        """Expect the chunk that follows a BDAT command; the answer where the command announces none.

        The bytes of a chunk that is out of order or too large come all the same, and are discarded.
        """
        try:
            size_bytes, is_last = parse_chunk(argument)
        except HostileInput:
            return BAD_PARAMETER
        reader = self.reader
        if not isinstance(reader, ChunkReader):
            reader = self.reader = ChunkReader(self._options)
        following = PHASES[self.phase]["BDAT"]
        if isinstance(following, Phase):
            self.phase = following
        if self.refusal is not None:
            self.refuse(self.refusal, buffer)
        elif isinstance(following, Answer):
            self.refuse(following, buffer)
        try:
            reader.begin(size_bytes, is_last)
        except MessageTooLarge:
            self.refuse(replies.too_large(self._options.max_message_bytes), buffer)
        return None

    def read(self, buffer: bytearray) -> bool:
        """Read what has come of the message into `buffer`; is the message, or this chunk of it, complete?"""
        assert self.reader is not None
        try:
            return self.reader.read(buffer)
        except MessageTooLarge:
            self.refuse(replies.too_large(self._options.max_message_bytes), buffer)
        except Refusal as error:
            self.refuse(answer_to(error), buffer)
        return self.reader.read(buffer)

    def refuse(self, answer: Answer, buffer: bytearray) -> None:
        """Discard the message under way; `answer` is given when all of it came."""
        self.refusal = answer
        if self.reader is not None:
            self.reader.discard(buffer)

    def give_way(self, buffer: bytearray) -> None:
        """Release the memory of the message under way, and refuse the message for now."""
        self.refuse(Answer(replies.BUSY), buffer)
        if self.envelope is not None:
            self.envelope.recipients.clear()

    def _add_recipient(self, envelope: Envelope, address: str, now: float) -> Answer | None:
        """Ask the handler; why the recipient is refused, or None."""
        session, refusal = self._session, None
        is_too_fast = session.principal is None and not self._shared.clients.may_name_recipient(
            session.client_address, now
        )
        try:
            recipient = self._shared.handler.accept_recipient(session, address)
        except PostalServerError as error:
            refusal = answer_to(error)
        if is_too_fast and session.principal is None:  # the handler knows some clients by their address
            refusal = Answer(replies.TOO_FAST, "too-many-recipients")
        if refusal is None:
            envelope.recipients.append(recipient)
            self.recipient_bytes += RECIPIENT_BYTES + len(address)
        return refusal
