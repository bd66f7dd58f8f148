"""The client's side of SMTP (RFC 5321) without I/O: replies in, bytes out."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field

from postal_server.engine.ports import SmtpDelivery, Stage
from postal_server.errors import HostileInput
from postal_server.mail.address import domain_to_ascii, is_plausible_recipient
from postal_server.mail.smtp_reply import Reply
from postal_server.mail.transport_encoding import dot_stuff, has_8bit_header
from postal_server.mail.xtext import typed_address

MAX_LINE_BYTES = 4096  # RFC 5321 section 4.5.3.1.5 allows 512; some hosts send more
MAX_LINES = 200
MAX_ORIGINAL_RECIPIENT = 500  # characters of ORCPT, RFC 3461 section 4.2
END_OF_DATA = b".\r\n"
# Syntax error, not implemented, not recognized (RFC 5321 section 4.2.3).
PARAMETERS_REFUSED = frozenset([501, 504, 555])

NOT_AN_ADDRESS = Reply(553, "The address cannot be used in SMTP", "5.1.3")
NEEDS_SMTPUTF8 = Reply(550, "The address needs SMTPUTF8, which the host does not offer", "5.6.7")
TOO_LARGE = Reply(552, "The message is larger than the host takes", "5.3.4")


class ReplyReader:
    """Splits what a host sends into replies."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []

    @property
    def has_partial_reply(self) -> bool:
        """Has part of a reply come, and not its end?"""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes. What is no reply becomes one with code 0.

        Raises `HostileInput` for a line or a reply that is too long.
        """
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        if len(rest) > MAX_LINE_BYTES:
            raise HostileInput("a reply line without end")
        found = []
        for line in lines:
            self._lines.append(bytes(line))
            if len(line) > MAX_LINE_BYTES or len(self._lines) > MAX_LINES:
                raise HostileInput("a reply without end")
            if line[3:4] != b"-" or not line[:3].isdigit():
                found.append(_parse(tuple(self._lines)))
                self._lines.clear()
        return found


@functools.lru_cache(maxsize=512)
def _parse(lines: tuple[bytes, ...]) -> Reply:
    """The reply in these lines. Cached: most replies are the same few."""
    return Reply.parse(lines)


@dataclass(frozen=True)
class Extensions:
    """The service extensions that an EHLO reply offers: keyword, upper-case, and its parameters."""

    keywords: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, reply: Reply) -> Extensions:
        """The extensions in a reply to EHLO. Never raises."""
        pairs = (line.strip().partition(" ") for line in reply.text.split("\n")[1:])
        return cls({name.upper(): value.strip() for name, _, value in pairs if name})

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    def without(self, keyword: str) -> Extensions:
        """The others."""
        return Extensions({name: value for name, value in self.keywords.items() if name != keyword})

    @property
    def max_bytes(self) -> int | None:
        """The size of the largest message that the host accepts (RFC 1870), None if it does not say."""
        size = self.keywords.get("SIZE", "")
        return (int(size) or None) if size.isascii() and size.isdigit() and len(size) < 20 else None

    @property
    def mechanisms(self) -> list[str]:
        """The AUTH mechanisms, those in the old form `AUTH=LOGIN` included."""
        old = [name[5:] for name in self.keywords if name.startswith("AUTH=")]
        return [*self.keywords.get("AUTH", "").upper().split(), *old]


@dataclass(frozen=True)
class Step:
    """Bytes to send, and the stage of each reply to wait for."""

    chunks: tuple[bytes, ...]
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Conclusion:
    """The reply that decides about a mail, and whether RSET must precede the next mail."""

    stage: Stage
    reply: Reply
    needs_reset: bool = False

    @property
    def is_last(self) -> bool:
        """Must the connection be closed, because the host closes it or its replies are out of step?"""
        if self.reply.is_positive:
            return self.stage is not Stage.DOT or self.reply.code >= 300
        return self.stage is Stage.RSET or self.reply.code == 421 or not self.reply.is_understood

    @property
    def refuses_parameters(self) -> bool:
        """May it be about the parameters of MAIL or RCPT, rather than the addresses?"""
        return self.stage in (Stage.MAIL, Stage.RCPT) and self.reply.code in PARAMETERS_REFUSED


class Interrupted(Exception):
    """The connection ended before the replies to the last step were complete."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.value)
        self.stage = stage


Dialogue = Generator[Step, list[Reply], Conclusion]


def transaction(mail: SmtpDelivery, extensions: Extensions, needs_reset: bool = False) -> Dialogue:
    """Deliver one mail to one recipient: yields what to send, is sent the replies.

    Fewer replies than stages mean that the connection ended; raises `Interrupted` if those do not decide.
    With PIPELINING (RFC 2920) the commands before DATA go out together. DATA waits for the recipient to be
    taken: some hosts answer 354 without one, and would have to be sent an empty message then.
    """
    refusal = find_refusal(mail, extensions)
    if refusal is not None:
        return Conclusion(Stage.MAIL, refusal, needs_reset)
    commands = [
        *([(b"RSET\r\n", Stage.RSET)] if needs_reset else []),
        (compose_mail(mail, extensions), Stage.MAIL),
        (compose_rcpt(mail, extensions), Stage.RCPT),
        (b"DATA\r\n", Stage.DATA),
    ]
    single = [[command] for command in commands]
    groups = [commands[:-1], commands[-1:]] if "PIPELINING" in extensions else single
    for group in groups:
        step = Step(tuple(command for command, _ in group), tuple(stage for _, stage in group))
        replies = yield step
        failed = _first_failure(step.stages, replies)
        if failed is not None:
            return failed
        if len(replies) < len(step.stages):
            raise Interrupted(step.stages[len(replies)])
    replies = yield Step((dot_stuff(mail.data), END_OF_DATA), (Stage.DOT,))
    if not replies:
        raise Interrupted(Stage.DOT)
    return Conclusion(Stage.DOT, replies[0])


def _first_failure(stages: Sequence[Stage], replies: Iterable[Reply]) -> Conclusion | None:
    for stage, reply in zip(stages, replies, strict=False):
        wanted = 3 if stage is Stage.DATA else 2
        if reply.code // 100 != wanted:
            return Conclusion(stage, reply, needs_reset=True)
    return None


def find_refusal(mail: SmtpDelivery, extensions: Extensions) -> Reply | None:
    """Our own reply for a mail that this host cannot accept, before anything is sent; None if it can."""
    if not is_plausible_recipient(mail.recipient):
        return NOT_AN_ADDRESS
    if mail.reverse_path is not None and not is_plausible_recipient(mail.reverse_path):
        return NOT_AN_ADDRESS
    if _needs_smtputf8(mail) and "SMTPUTF8" not in extensions:
        return NEEDS_SMTPUTF8
    if extensions.max_bytes is not None and len(mail.data) > extensions.max_bytes:
        return TOO_LARGE
    return None


def compose_mail(mail: SmtpDelivery, extensions: Extensions) -> bytes:
    """The MAIL command, with the parameters that the mail needs and the host supports."""
    words = [f"MAIL FROM:<{_ascii_domain(mail.reverse_path) if mail.reverse_path else ''}>"]
    if extensions.max_bytes is not None:
        words.append(f"SIZE={len(mail.data)}")
    is_8bit = not mail.data.isascii()
    if "8BITMIME" in extensions and is_8bit:
        words.append("BODY=8BITMIME")
    # An 8-bit header needs it too (RFC 6531), but most hosts that do not offer it accept one.
    has_8bit = is_8bit and "SMTPUTF8" in extensions and has_8bit_header(mail.data)
    if has_8bit or _needs_smtputf8(mail):
        words.append("SMTPUTF8")
    if mail.dsn and mail.dsn.envelope_id and "DSN" in extensions:
        # Reports are read for the tokens in the header, so they need not return the whole mail.
        words.append(f"RET=HDRS ENVID={mail.dsn.envelope_id}")
    return " ".join(words).encode() + b"\r\n"


def compose_rcpt(mail: SmtpDelivery, extensions: Extensions) -> bytes:
    """The RCPT command; for a host with DSN (RFC 3461) it says which events to report."""
    words = [f"RCPT TO:<{_ascii_domain(mail.recipient)}>"]
    if mail.dsn and "DSN" in extensions:
        words.append(f"NOTIFY={mail.dsn.notify}")
        address = mail.dsn.original_recipient
        if address and len(typed := typed_address(_ascii_domain(address))) <= MAX_ORIGINAL_RECIPIENT:
            words.append(f"ORCPT={typed}")
    return " ".join(words).encode() + b"\r\n"


def _needs_smtputf8(mail: SmtpDelivery) -> bool:
    """Is a local part not ASCII? A domain can be written in ASCII, a local part cannot."""
    return not all(path.rpartition("@")[0].isascii() for path in (mail.recipient, mail.reverse_path or ""))


def _ascii_domain(address: str) -> str:
    local, at, domain = address.rpartition("@")
    return address if domain.isascii() else f"{local}{at}{domain_to_ascii(domain)}"
