"""One SMTP session with a host: greeting, TLS, AUTH, then one mail after another."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from postal_server.engine.ports import SmtpDelivery, Stage, Tls
from postal_server.errors import HostileInput
from postal_server.mail.smtp_reply import Reply
from postal_server.mail.transport_encoding import to_7bit
from postal_server.net.dialling import describe

from .protocol import Conclusion, Extensions, Interrupted, ReplyReader, Step, transaction

BLOCK_BYTES = (
    262_144  # written at a time, so that a large message is not copied into the transport as a whole
)

# Most are from RFC 5321 section 4.5.3.2, which calls them the least that a client should wait.
STAGE_TIMEOUTS: Mapping[Stage, timedelta] = MappingProxyType(
    {
        Stage.CONNECT: timedelta(seconds=30),
        Stage.BANNER: timedelta(minutes=5),
        Stage.HELO: timedelta(minutes=5),
        Stage.STARTTLS: timedelta(minutes=2),
        Stage.AUTH: timedelta(minutes=2),
        Stage.RSET: timedelta(minutes=2),
        Stage.MAIL: timedelta(minutes=5),
        Stage.RCPT: timedelta(minutes=5),
        Stage.DATA: timedelta(minutes=2),
        Stage.BLOCK: timedelta(minutes=3),
        Stage.DOT: timedelta(minutes=10),
    }
)


@dataclass(frozen=True)
class Timeouts:
    """How long to wait at each stage."""

    stages: Mapping[Stage, timedelta] = field(default_factory=lambda: STAGE_TIMEOUTS)
    _seconds: dict[Stage, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._seconds.update({stage: timeout.total_seconds() for stage, timeout in self.stages.items()})

    @classmethod
    def limited(cls, connect: timedelta, read: timedelta) -> Timeouts:
        """The time-outs of the RFC, but no more than `read`, except for the message itself."""
        own = (Stage.BLOCK, Stage.DOT)
        stages = {s: t if s in own else min(t, read) for s, t in STAGE_TIMEOUTS.items()}
        return cls({**stages, Stage.CONNECT: connect})

    def seconds(self, stage: Stage) -> float:
        """The time-out of a stage, in seconds."""
        return self._seconds[stage]


class SmtpError(Exception):
    """The session cannot go on. `reply` is the host's; None where the connection broke or timed out."""

    def __init__(self, stage: Stage, text: str, reply: Reply | None = None) -> None:
        super().__init__(text)
        self.stage = stage
        self.reply = reply


class TlsError(SmtpError):
    """TLS failed. `is_certificate`: only because of the certificate.

    `failure` is its result type in TLS reports (RFC 8460 section 4.3).
    """

    def __init__(self, text: str, is_certificate: bool = False, failure: str = "validation-failure") -> None:
        super().__init__(Stage.STARTTLS, text)
        self.is_certificate = is_certificate
        self.failure = failure


NOT_OFFERED = "starttls-not-supported"
# The result type by OpenSSL's X509_V_ERR_ number; all others are `certificate-not-trusted`.
CERTIFICATE_FAILURES = {
    9: "certificate-expired",  # not valid yet
    10: "certificate-expired",
    62: "certificate-host-mismatch",
}


class SmtpConnection(asyncio.Protocol):
    """Sends the bytes of a step and collects the replies, with one timer for all stages."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.is_usable = True
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._reader = ReplyReader()
        self._replies: list[Reply] = []
        self._stages: tuple[Stage, ...] = (Stage.BANNER,)
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None  # set while the transport is full
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._error = "connection closed by the other side"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._error = describe(exc)
        self.is_usable = False
        self._wake()
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._replies += self._reader.feed(data)
        except HostileInput as error:
            self._break(str(error))
            return
        if len(self._replies) > len(self._stages):
            # The last one answers nothing: it must not be taken for the reply to another command.
            del self._replies[len(self._stages) :]
            self._break("reply without a command")
        elif len(self._replies) == len(self._stages):
            self._wake()
        elif self._replies:
            self._deadline = self._loop.time() + self._timeouts.seconds(self._stages[len(self._replies)])

    def pause_writing(self) -> None:
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    async def exchange(self, step: Step) -> list[Reply]:
        """Send a step and wait for a reply for each stage; with fewer, the connection is no longer usable.

        Raises `SmtpError` if no reply came.
        """
        self._stages = step.stages
        is_sent = self.is_usable
        if is_sent and sum(map(len, step.chunks)) <= BLOCK_BYTES:
            self._transport.write(b"".join(step.chunks))
        elif is_sent:
            is_sent = await self._write_blocks(step.chunks)
        if self.is_usable and len(self._replies) < len(self._stages):
            self._wait_for(step.stages[len(self._replies)])
            self._waiter = self._loop.create_future()
            await self._waiter
        replies, stage = self._replies[: len(step.stages)], step.stages[0]
        self._replies, self._stages, self._deadline = [], (), 0.0
        if stage is Stage.DOT and not (is_sent and self._is_flushed):
            stage = Stage.BLOCK
            if self.is_usable:
                self._break("answer before the end of the message")
            if replies and replies[0].is_positive:
                replies = []  # not to this mail, which the host has not seen
        if not replies:
            raise SmtpError(stage, self._error)
        return replies

    async def start_tls(self, context: ssl.SSLContext, host: str) -> str:
        """Begin TLS; returns its version. Raises `TlsError`."""
        if self._reader.has_partial_reply or not self.is_usable:
            raise TlsError("text in clear behind the answer to STARTTLS")
        try:
            self._transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_hostname=host,
                ssl_handshake_timeout=self._timeouts.seconds(Stage.STARTTLS),
            )
        except (OSError, asyncio.TimeoutError, ValueError) as error:  # ValueError: a name that is none in TLS
            self.abort()
            if isinstance(error, ssl.SSLCertVerificationError):
                failure = CERTIFICATE_FAILURES.get(error.verify_code, "certificate-not-trusted")
                raise TlsError(describe(error), True, failure) from error
            raise TlsError(describe(error)) from error
        return str(self._transport.get_extra_info("ssl_object").version())

    def certificates(self) -> list[bytes]:
        """The chain that the host has sent, as DER: its own certificate first."""
        return _chain(self._transport.get_extra_info("ssl_object"))

    def stop(self, why: str, unless: Stage) -> None:
        """Abort with this error, unless the reply to the stage `unless` is awaited."""
        if self._stages[:1] != (unless,):
            self._break(why)

    def quit(self) -> None:
        """Send QUIT and close, without waiting for the reply."""
        if self.is_usable and not self._is_flushed:
            self.abort()  # closing would wait for a host that does not read
            return
        if self.is_usable:
            self._stages = (Stage.RSET,)
            self._transport.write(b"QUIT\r\n")
        self.close()

    def close(self) -> None:
        """Close once what was written has been sent."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once. A caller that waits for a reply gets an error."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    @property
    def _is_flushed(self) -> bool:
        """Was everything handed to the operating system?"""
        return not self._transport.get_write_buffer_size()

    async def _write_blocks(self, chunks: tuple[bytes, ...]) -> bool:
        """Write large data in pieces, as fast as the host reads them; False if not all could be written."""
        for chunk in chunks:
            view = memoryview(chunk)
            for start in range(0, len(chunk), BLOCK_BYTES):
                if not self.is_usable:
                    return False
                self._transport.write(view[start : start + BLOCK_BYTES])
                if self._room is not None:
                    self._wait_for(Stage.BLOCK)
                    await self._room
                if self._replies:
                    return False
        return self.is_usable

    def _wait_for(self, stage: Stage) -> None:
        self._deadline = self._loop.time() + self._timeouts.seconds(stage)
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._check_deadline)
        elif self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        """The timer's callback: time out if the deadline is over, else set the timer again."""
        self._timer = None
        if not self._deadline:
            return
        if self._loop.time() >= self._deadline:
            self._break("timed out")
        else:
            self._timer = self._loop.call_at(self._deadline, self._check_deadline)

    def _break(self, why: str) -> None:
        self._error = why
        self.abort()

    def _wake(self) -> None:
        self.resume_writing()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _chain(connection: Any) -> list[bytes]:
    """The certificate chain, which before Python 3.13 only a private object has."""
    if hasattr(connection, "get_unverified_chain"):
        return list(connection.get_unverified_chain())
    return [each.public_bytes(ssl._ssl.ENCODING_DER) for each in connection._sslobj.get_unverified_chain()]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class TlsOptions:
    """How to use TLS on a connection; not at all if `context` is None.

    `problem` is recorded where the context does not verify the certificate. `verify_chain(chain)` verifies
    the certificates in its place, and returns what is wrong with them, empty for nothing. `policy` is the
    name of the policy that requires this. `name` is the host's name in TLS, where it differs from its MX
    record.
    """

    context: ssl.SSLContext | None = None
    is_implicit: bool = False
    is_required: bool = False
    problem: str = ""
    verify_chain: Callable[[Sequence[bytes]], str] | None = None
    policy: str = ""
    name: str = ""


@dataclass(frozen=True)
class Login:
    """The user of a relay. `may_use_clear`: the configuration allows to authenticate without TLS."""

    username: str
    password: str = field(repr=False)
    may_use_clear: bool = False


class SmtpSession:
    """An open session with a host, for one mail at a time."""

    def __init__(
        self,
        connection: SmtpConnection,
        host: str,
        address: str,
        port: int,
        *,
        before_dot: Callable[[], Awaitable[None]] | None = None,
        source: str | None = None,
    ) -> None:
        self.connection = connection
        self.host = host
        self.address = address
        self.port = port
        self.source = source
        self.extensions = Extensions()
        self.tls: Tls | None = None
        self.delivered = 0  # mails with a conclusion
        self.idle_since = 0.0
        self.began = asyncio.get_running_loop().time()
        self._before_dot = before_dot
        self._needs_reset = False

    @property
    def is_usable(self) -> bool:
        return self.connection.is_usable

    async def open(self, helo: str, tls_options: TlsOptions, login: Login | None = None) -> None:
        """Do everything that precedes the first MAIL. Raises `SmtpError`; the connection is then closed."""
        try:
            if tls_options.is_implicit:
                await self._start_tls(tls_options)
            await self._expect(Stage.BANNER, b"")
            await self._greet(helo)
            if tls_options.context is not None and self.tls is None:
                await self._start_tls_if_offered(helo, tls_options)
            if login is not None:
                await self._log_in(login)
        except BaseException:
            self.connection.abort()
            raise

    async def deliver(self, mail: SmtpDelivery) -> Conclusion:
        """Deliver one mail. Raises `SmtpError` if the connection breaks without a reply that decides.

        A host that offers DSN and then refuses its parameters gets the mail again at once without them.
        """
        if "8BITMIME" not in self.extensions and not mail.data.isascii():
            mail = replace(mail, data=await asyncio.to_thread(to_7bit, mail.data))
        conclusion = await self._converse(mail)
        if conclusion.refuses_parameters and mail.dsn and "DSN" in self.extensions and self.is_usable:
            self.extensions = self.extensions.without("DSN")
            conclusion = await self._converse(mail)
        self.delivered += 1
        if conclusion.is_last:
            self.connection.close()
        return conclusion

    async def _converse(self, mail: SmtpDelivery) -> Conclusion:
        dialogue = transaction(mail, self.extensions, self._needs_reset)
        try:
            step = next(dialogue)
            while True:
                step = dialogue.send(await self._replies_to(step))
        except StopIteration as done:
            conclusion: Conclusion = done.value
        except Interrupted as error:
            raise SmtpError(error.stage, "connection closed by the other side") from error
        except BaseException:
            self.connection.abort()  # cancelled in the middle of a mail
            raise
        self._needs_reset = conclusion.needs_reset
        return conclusion

    async def _replies_to(self, step: Step) -> list[Reply]:
        if self._before_dot is not None and step.stages == (Stage.DOT,):
            await self._before_dot()
        return await self.connection.exchange(step)

    async def _expect(self, stage: Stage, command: bytes, wanted: int = 2) -> Reply:
        """Send a command and return the reply. Raises `SmtpError` unless its first digit is `wanted`."""
        [reply] = await self.connection.exchange(Step((command,) if command else (), (stage,)))
        if reply.code // 100 != wanted:
            raise SmtpError(stage, str(reply), reply)
        return reply

    async def _greet(self, helo: str) -> None:
        try:
            self.extensions = Extensions.parse(await self._expect(Stage.HELO, f"EHLO {helo}\r\n".encode()))
        except SmtpError as error:
            if error.reply is None or not error.reply.is_permanent:
                raise
            await self._expect(Stage.HELO, f"HELO {helo}\r\n".encode())
            self.extensions = Extensions()

    async def _start_tls_if_offered(self, helo: str, tls_options: TlsOptions) -> None:
        if "STARTTLS" not in self.extensions:
            if tls_options.is_required:
                raise TlsError("STARTTLS is required, and not offered", failure=NOT_OFFERED)
            return
        try:
            await self._expect(Stage.STARTTLS, b"STARTTLS\r\n")
        except SmtpError as error:
            if tls_options.is_required:
                raise TlsError(f"STARTTLS is required, and refused: {error}", failure=NOT_OFFERED) from error
            if error.reply is None:
                raise
            return  # go on without TLS, as if it had not been offered
        await self._start_tls(tls_options)
        await self._greet(helo)

    async def _start_tls(self, tls_options: TlsOptions) -> None:
        assert tls_options.context is not None
        version = await self.connection.start_tls(tls_options.context, tls_options.name or self.host)
        if tls_options.verify_chain is not None and (
            wrong := tls_options.verify_chain(self.connection.certificates())
        ):
            raise TlsError(wrong, is_certificate=True)
        self.tls = Tls(version, tls_options.problem, tls_options.policy)

    async def _log_in(self, login: Login) -> None:
        if self.tls is None and not login.may_use_clear:
            raise SmtpError(Stage.AUTH, "no TLS, and the password is not sent in clear (ssl_mode=None would)")
        if "PLAIN" in self.extensions.mechanisms:
            token = b64encode(f"\0{login.username}\0{login.password}".encode())
            await self._expect(Stage.AUTH, b"AUTH PLAIN " + token + b"\r\n")
        elif "LOGIN" in self.extensions.mechanisms:
            await self._expect(Stage.AUTH, b"AUTH LOGIN\r\n", wanted=3)
            await self._expect(Stage.AUTH, b64encode(login.username.encode()) + b"\r\n", wanted=3)
            await self._expect(Stage.AUTH, b64encode(login.password.encode()) + b"\r\n")
        else:
            raise SmtpError(Stage.AUTH, "no AUTH mechanism of ours is offered")
