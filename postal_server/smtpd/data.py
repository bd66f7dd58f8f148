"""Readers of message text from a connection's input: after DATA, or in the chunks of BDAT. No I/O.

A reader is given the buffer that input is collected in. It raises a `Refusal` as soon as the message cannot
be accepted; the caller then calls `discard` and lets it go on, since the rest of the message still comes.
"""

from __future__ import annotations

from postal_server.errors import HeaderTooLarge, MessageTooLarge
from postal_server.mail.header import is_header_too_large

from .options import Options

END_OF_DATA = b"\r\n.\r\n"
LINE_END_BYTES = 2
NO_CONTENT = b".\r\n"  # the end of data directly after DATA
MAX_EMPTY_LINE_BYTES = 2  # of the line that ends a header


class MessageReader:
    """What both readers share.

    `is_complete`: the whole message was read. `received_bytes`: of this message, kept or not.
    `kept_bytes`: content that the reader holds itself, outside of the buffer.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.is_complete = False
        self.received_bytes = 0
        self._is_discarding = False
        self._has_checked_header = False

    @property
    def kept_bytes(self) -> int:
        return 0

    def read(self, buffer: bytearray) -> bool:
        """Consume what can be consumed; is the message, or this chunk of it, complete?

        Raises `MessageTooLarge` or `HeaderTooLarge`.
        """
        raise NotImplementedError

    def take_content(self) -> bytes:
        """The content of the complete message. The reader keeps nothing: a large mail is held once."""
        raise NotImplementedError

    def discard(self, buffer: bytearray) -> None:
        """Drop what has come, and from now on whatever comes up to the end of the message or chunk."""
        raise NotImplementedError

    def _check_header(self, content: bytes | bytearray) -> None:
        """Check the header once, when all of it must be in `content`. Raises `HeaderTooLarge`."""
        options = self._options
        if self._has_checked_header:
            return
        self._has_checked_header = True
        if is_header_too_large(content, options.max_header_bytes, options.max_header_fields):
            raise HeaderTooLarge


class DataReader(MessageReader):
    """Reads what follows DATA, up to CR LF . CR LF, and undoes dot-stuffing (RFC 5321 section 4.5.2).

    The text stays in the buffer until its end is found there, which is what makes a message cheap. A dot
    alone on a line with a bare LF on either side is content and ends nothing (CVE-2024-27938).
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._content = b""
        self._search_from = 0  # where in the buffer the end of data may begin
        self._discarded_bytes = 0

    def read(self, buffer: bytearray) -> bool:
        if not self._search_from and not self._discarded_bytes and buffer.startswith(NO_CONTENT):
            del buffer[: len(NO_CONTENT)]
            self.is_complete = True
            return True
        end = buffer.find(END_OF_DATA, self._search_from)
        if end < 0:
            self._look_ahead(buffer)
            return False
        if not self._is_discarding:
            self._content = self._unstuffed(buffer, end + LINE_END_BYTES)
        del buffer[: end + len(END_OF_DATA)]
        self.is_complete = True
        return True

    def take_content(self) -> bytes:
        content, self._content = self._content, b""
        return content

    def discard(self, buffer: bytearray) -> None:
        self._is_discarding = True
        self._drain(buffer)

    def _drain(self, buffer: bytearray) -> None:
        """Drop what has come, except for what may be the first half of the end of data."""
        del buffer[: self._search_from]
        self._discarded_bytes += self._search_from
        self._search_from = 0

    def _look_ahead(self, buffer: bytearray) -> None:
        """Check what has come of a message whose end has not."""
        self._search_from = max(len(buffer) - len(END_OF_DATA) + 1, 0)
        self.received_bytes = self._discarded_bytes + len(buffer)
        if self._is_discarding:
            self._drain(buffer)
            return
        if len(buffer) > self._options.max_message_bytes + len(END_OF_DATA):
            raise MessageTooLarge
        if len(buffer) > self._options.max_header_bytes + MAX_EMPTY_LINE_BYTES:
            self._check_header(buffer)

    def _unstuffed(self, buffer: bytearray, size: int) -> bytes:
        if size > self._options.max_message_bytes:
            raise MessageTooLarge
        content = bytes(memoryview(buffer)[:size])
        self._check_header(content)
        return unstuff(content)


class ChunkReader(MessageReader):
    """Reads the chunks of a message that comes by BDAT (RFC 3030): bytes as they are, without an end mark.

    One reader reads all chunks of a message: `begin` announces each.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._content = bytearray()
        self._missing_bytes = 0  # of this chunk
        self._is_last = False

    @property
    def kept_bytes(self) -> int:
        return len(self._content)

    def begin(self, size_bytes: int, is_last: bool) -> None:
        """Expect a chunk of this size. Raises `MessageTooLarge`; the chunk comes nevertheless."""
        self._missing_bytes, self._is_last = size_bytes, is_last
        if not self._is_discarding and len(self._content) + size_bytes > self._options.max_message_bytes:
            raise MessageTooLarge

    def read(self, buffer: bytearray) -> bool:
        size = min(len(buffer), self._missing_bytes)
        if not self._is_discarding:
            self._content += memoryview(buffer)[:size]
        del buffer[:size]
        self._missing_bytes -= size
        self.received_bytes += size
        is_read = not self._missing_bytes
        self.is_complete = self._is_last and is_read
        if not self._is_discarding and (
            self.is_complete or len(self._content) > self._options.max_header_bytes + MAX_EMPTY_LINE_BYTES
        ):
            self._check_header(self._content)
        return is_read

    def take_content(self) -> bytes:
        content = bytes(self._content)
        self._content = bytearray()
        return content

    def discard(self, buffer: bytearray) -> None:
        self._is_discarding = True
        self._content = bytearray()


def unstuff(data: bytes) -> bytes:
    """The content of DATA without the dots that were added for transparency (RFC 5321 section 4.5.2).

    Two dots at the start of a line become one; a single dot before text stays, as with Postal. This goes for
    lines after a bare LF too, since senders add dots there, smtplib for one.
    """
    if data.startswith(b".."):
        data = data[1:]
    return data.replace(b"\n..", b"\n.")
