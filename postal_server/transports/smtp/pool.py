"""A pool of SMTP sessions: each is kept for the next mail to the same hosts, within limits."""

from __future__ import annotations

import asyncio
import random
import string
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import timedelta

from postal_server.engine.ports import SmtpDelivery, SmtpResult, Source, Stage, Target

from .connect import ConnectLog, Connector, Unreachable
from .session import SmtpError, SmtpSession

LOG_ID_ALPHABET = string.ascii_uppercase + string.digits
IDLE_CHECK_INTERVAL = 1.0  # seconds
STOPPING = "this server is shutting down"


@dataclass(frozen=True)
class PoolLimits:
    """How many sessions there may be at a time; how long one may last: `idle` without mail, `age` in all.

    A session has the TLS that the domain required when it was opened, so it is not used for long.
    """

    per_destination: int = 20
    per_host: int = 50
    total: int = 600
    idle: timedelta = timedelta(seconds=30)
    age: timedelta = timedelta(minutes=5)
    mails_per_session: int = 1000


HostKey = tuple[str | int | None, ...]
GroupKey = tuple[tuple[HostKey, ...], Source | None]


@dataclass
class SessionGroup:
    """The sessions with the hosts of one target, from one source address."""

    slots: asyncio.Semaphore
    idle: list[SmtpSession] = field(default_factory=list)
    users: int = 0


@dataclass(frozen=True)
class _SendContext:
    """What goes into every result of one `send`."""

    log_id: str
    mail: SmtpDelivery
    log: ConnectLog = field(default_factory=ConnectLog)


class SmtpPool:
    """Implements `engine.ports.SmtpSender`, for one event loop."""

    def __init__(self, connector: Connector, limits: PoolLimits | None = None) -> None:
        self._connector = connector
        self._limits = limits or PoolLimits()
        self._slots = asyncio.Semaphore(self._limits.total)  # mails being sent
        self._groups: dict[GroupKey, SessionGroup] = {}
        self._idle: dict[SmtpSession, SessionGroup] = {}  # oldest first
        self._active: set[SmtpSession] = set()
        self._opening = 0  # sessions that have a slot, but no mail yet
        self._hosts: Counter[str] = Counter()  # sessions by host
        self._waiting: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False

    @property
    def open_sessions(self) -> int:
        """How many sessions are open, idle ones included."""
        return len(self._active) + len(self._idle)

    async def send(self, mail: SmtpDelivery) -> SmtpResult:
        """Deliver over an idle session, or else a new one. Does not raise for what a host does."""
        key = (_host_keys(mail.target), mail.source)
        group = self._groups.get(key)
        if group is None:
            # Mail to many domains goes through a relay: only the limit for a host applies to it.
            most = self._limits.per_host if mail.target.host else self._limits.per_destination
            group = self._groups[key] = SessionGroup(asyncio.Semaphore(most))
        group.users += 1
        try:
            async with group.slots:
                return await self._send(group, mail)
        finally:
            group.users -= 1
            self._forget_unused(key, group)

    async def close(self, grace: timedelta = timedelta(seconds=3)) -> None:
        """Accept no more mail, abort what has not sent its final dot, and wait `grace` for other replies."""
        self._is_closing = True
        for session in list(self._idle):
            self._drop_idle(session)
        for session in list(self._active):
            session.connection.stop(STOPPING, unless=Stage.DOT)
        ends_at = asyncio.get_running_loop().time() + grace.total_seconds()
        while self._active and asyncio.get_running_loop().time() < ends_at:
            await asyncio.sleep(0.02)
        for session in list(self._active):
            session.connection.abort()
        if self._timer is not None:
            self._timer.cancel()

    async def _send(self, group: SessionGroup, mail: SmtpDelivery) -> SmtpResult:
        context = _SendContext("".join(random.choices(LOG_ID_ALPHABET, k=8)), mail)  # noqa: S311 - a label in logs
        if group.idle:
            await self._slots.acquire()
            session = self._take_idle(group)
            if session is None:
                self._slots.release()
            else:
                result = await self._deliver(group, session, context)
                if not _is_stale(result):
                    return result
        if self._is_closing:
            return SmtpResult(context.log_id, Stage.CONNECT, error=STOPPING)
        try:
            session, log = await self._connector.connect(mail.target, mail.source, self)
        except Unreachable as error:
            attempts = error.log.attempts
            return SmtpResult(
                context.log_id,
                error.stage,
                error=", ".join(attempt.error for attempt in attempts) or error.lookup.value,
                lookup=error.lookup,
                tried=tuple(attempts),
                tls_sessions=tuple(error.log.tls_sessions),
            )
        self._opening -= 1
        return await self._deliver(group, session, _SendContext(context.log_id, mail, log))

    async def _deliver(self, group: SessionGroup, session: SmtpSession, context: _SendContext) -> SmtpResult:
        """Send over a session, and give back the slot that the caller acquired."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._active.add(session)
        stage, reply, error = Stage.DOT, None, ""
        try:
            conclusion = await session.deliver(context.mail)
            stage, reply = conclusion.stage, conclusion.reply
        except SmtpError as broken:
            stage, error = broken.stage, str(broken)
        finally:
            self._active.discard(session)
            self._slots.release()
            self._keep(group, session)
        return SmtpResult(
            context.log_id,
            stage,
            reply,
            error,
            host=session.host,
            address=session.address,
            port=session.port,
            source=session.source,
            tls=session.tls,
            seconds=loop.time() - began,
            tried=tuple(context.log.attempts),
            tls_sessions=tuple(context.log.tls_sessions),
        )

    # Sessions by host: this is `connect.HostSlots`.

    async def acquire(self, host: str) -> None:
        """Wait until there may be one more session with `host`, then one more in all. Idle ones are closed.

        In this order: mails that wait for a busy host must not hold up those for others.
        """
        await self._acquire_host(host)
        try:
            await self._slots.acquire()
        except asyncio.CancelledError:
            self._release_host(host)
            raise
        self._opening += 1
        while self._idle and self.open_sessions + self._opening > self._limits.total:
            self._drop_idle(next(iter(self._idle)))

    def release(self, host: str) -> None:
        """Give back what `acquire` took, where no session came of it."""
        self._opening -= 1
        self._slots.release()
        self._release_host(host)

    async def _acquire_host(self, host: str) -> None:
        if self._hosts[host] >= self._limits.per_host:
            idle = next((session for session in self._idle if session.host == host), None)
            if idle is None:
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting[host].append(turn)
                try:
                    await turn  # `_release_host` passes its place on
                except asyncio.CancelledError:
                    if turn.done() and not turn.cancelled():
                        self._release_host(host)
                    raise
                return
            self._drop_idle(idle)
        self._hosts[host] += 1

    def _release_host(self, host: str) -> None:
        while queue := self._waiting.get(host):
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._waiting.pop(host, None)
        self._hosts[host] -= 1
        if self._hosts[host] <= 0:
            del self._hosts[host]

    # Idle sessions

    def _take_idle(self, group: SessionGroup) -> SmtpSession | None:
        while group.idle:
            session = group.idle.pop()
            del self._idle[session]
            if session.is_usable:
                return session
            self._end_session(session)
        return None

    def _keep(self, group: SessionGroup, session: SmtpSession) -> None:
        """Keep the session for the next mail, unless another with the host is waiting for its place."""
        now = asyncio.get_running_loop().time()
        is_worn = session.delivered >= self._limits.mails_per_session
        is_worn = is_worn or now - session.began >= self._limits.age.total_seconds()
        if not session.is_usable or self._is_closing or is_worn or self._waiting.get(session.host):
            self._end_session(session)
            return
        session.idle_since = now
        group.idle.append(session)
        self._idle[session] = group
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_CHECK_INTERVAL, self._close_idle)

    def _end_session(self, session: SmtpSession) -> None:
        session.connection.quit()
        self._release_host(session.host)

    def _drop_idle(self, session: SmtpSession) -> None:
        group = self._idle.pop(session)
        group.idle.remove(session)
        self._end_session(session)

    def _close_idle(self) -> None:
        """Close sessions that have been idle for too long or that the host has closed."""
        self._timer = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._limits.idle.total_seconds()
        for session in [s for s in self._idle if s.idle_since < oldest or not s.is_usable]:
            self._drop_idle(session)
        for key, group in list(self._groups.items()):
            self._forget_unused(key, group)
        if self._idle:
            self._timer = loop.call_later(IDLE_CHECK_INTERVAL, self._close_idle)

    def _forget_unused(self, key: GroupKey, group: SessionGroup) -> None:
        if not group.users and not group.idle:
            self._groups.pop(key, None)


def _host_keys(target: Target) -> tuple[HostKey, ...]:
    """What tells the hosts of one target from those of another: for a relay, not the domain."""
    if target.host is None:
        return ((target.domain, target.ssl_mode, target.tls_optional),)
    hosts = (target, *target.alternatives)
    return tuple([(t.host, t.port, t.ssl_mode, t.username, t.password) for t in hosts])


def _is_stale(result: SmtpResult) -> bool:
    """Did an idle session turn out to be over before the host answered about this mail?"""
    if result.stage is Stage.RSET:
        return True  # refused or not: the reply is about the previous mail
    return result.stage is Stage.MAIL and (result.reply is None or result.reply.code == 421)
