"""Sessions kept for the next mail of the same destination, within limits."""

from __future__ import annotations

import asyncio
import random
import string
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import timedelta

from postal_server.engine.ports import SmtpDelivery, SmtpResult, Source, Stage, Target

from .connect import Connector, Tried, Unreachable
from .session import Session, SmtpError

LOG_ID_ALPHABET = string.ascii_uppercase + string.digits
LOOK_EVERY = 1.0  # seconds between looks at idle sessions
STOPPING = "this server is shutting down"


@dataclass(frozen=True)
class Limits:
    """Sessions at a time, and how long one is kept: without a mail, and at all.

    A session has the TLS that the domain demanded when it was opened, so it is not used for long.
    """

    per_destination: int = 20
    per_host: int = 50
    total: int = 600
    idle: timedelta = timedelta(seconds=30)
    age: timedelta = timedelta(minutes=5)
    mails_per_session: int = 1000


Place = tuple[str | int | None, ...]
Key = tuple[tuple[Place, ...], Source | None]


@dataclass
class Lane:
    """One place, from one source address."""

    slots: asyncio.Semaphore
    idle: list[Session] = field(default_factory=list)
    users: int = 0


@dataclass(frozen=True)
class _Talk:
    """What every result of one send carries."""

    log_id: str
    mail: SmtpDelivery
    tried: Tried = field(default_factory=Tried)


class SmtpPool:
    """Implements `SmtpSender`. One event loop."""

    def __init__(self, connector: Connector, limits: Limits | None = None) -> None:
        self._connector = connector
        self._limits = limits or Limits()
        self._slots = asyncio.Semaphore(self._limits.total)  # mails being sent
        self._lanes: dict[Key, Lane] = {}
        self._idle: dict[Session, Lane] = {}  # oldest first
        self._active: set[Session] = set()
        self._opening = 0  # sessions that hold a slot before they carry a mail
        self._hosts: Counter[str] = Counter()  # sessions by host
        self._waiting: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False

    @property
    def open_sessions(self) -> int:
        return len(self._active) + len(self._idle)

    async def send(self, mail: SmtpDelivery) -> SmtpResult:
        """Deliver over a kept session, or a new one."""
        key = (_place(mail.target), mail.source)
        lane = self._lanes.get(key)
        if lane is None:
            # Through a relay goes mail to many domains: only what a host may be given bounds it.
            most = self._limits.per_host if mail.target.host else self._limits.per_destination
            lane = self._lanes[key] = Lane(asyncio.Semaphore(most))
        lane.users += 1
        try:
            async with lane.slots:
                return await self._send(lane, mail)
        finally:
            lane.users -= 1
            self._forget(key, lane)

    async def close(self, grace: timedelta = timedelta(seconds=3)) -> None:
        """Take no more mail, break off what is before its final dot, wait `grace` for the others' answers."""
        self._is_closing = True
        for session in list(self._idle):
            self._drop_idle(session)
        for session in list(self._active):
            session.connection.stop(STOPPING, spare=Stage.DOT)
        ends_at = asyncio.get_running_loop().time() + grace.total_seconds()
        while self._active and asyncio.get_running_loop().time() < ends_at:
            await asyncio.sleep(0.02)
        for session in list(self._active):
            session.connection.abort()
        if self._timer is not None:
            self._timer.cancel()

    async def _send(self, lane: Lane, mail: SmtpDelivery) -> SmtpResult:
        talk = _Talk("".join(random.choices(LOG_ID_ALPHABET, k=8)), mail)  # noqa: S311 - a label in logs
        if lane.idle:
            await self._slots.acquire()
            session = self._take(lane)
            if session is None:
                self._slots.release()
            else:
                result = await self._deliver(lane, session, talk)
                if not _found_dead(result):
                    return result
        if self._is_closing:
            return SmtpResult(talk.log_id, Stage.CONNECT, error=STOPPING)
        try:
            session, tried = await self._connector.connect(mail.target, mail.source, self)
        except Unreachable as error:
            attempts = error.tried.attempts
            return SmtpResult(
                talk.log_id,
                error.stage,
                error=", ".join(attempt.error for attempt in attempts) or error.lookup.value,
                lookup=error.lookup,
                tried=tuple(attempts),
                tls_sessions=tuple(error.tried.tls_sessions),
            )
        self._opening -= 1
        return await self._deliver(lane, session, _Talk(talk.log_id, mail, tried))

    async def _deliver(self, lane: Lane, session: Session, talk: _Talk) -> SmtpResult:
        """Send over a session, and give back the slot that the caller took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._active.add(session)
        stage, reply, error = Stage.DOT, None, ""
        try:
            conclusion = await session.deliver(talk.mail)
            stage, reply = conclusion.stage, conclusion.reply
        except SmtpError as broken:
            stage, error = broken.stage, str(broken)
        finally:
            self._active.discard(session)
            self._slots.release()
            self._keep(lane, session)
        return SmtpResult(
            talk.log_id,
            stage,
            reply,
            error,
            host=session.host,
            address=session.address,
            port=session.port,
            source=session.source,
            tls=session.tls,
            seconds=loop.time() - began,
            tried=tuple(talk.tried.attempts),
            tls_sessions=tuple(talk.tried.tls_sessions),
        )

    # Sessions by host: this is `connect.HostSlots`.

    async def acquire(self, host: str) -> None:
        """Wait for room for one more session with `host`, then among all; idle ones make room at once.

        In this order: mails that wait for a busy host must not hold up those for others.
        """
        await self._enter(host)
        try:
            await self._slots.acquire()
        except asyncio.CancelledError:
            self._leave(host)
            raise
        self._opening += 1
        while self._idle and self.open_sessions + self._opening > self._limits.total:
            self._drop_idle(next(iter(self._idle)))

    def release(self, host: str) -> None:
        self._opening -= 1
        self._slots.release()
        self._leave(host)

    async def _enter(self, host: str) -> None:
        if self._hosts[host] >= self._limits.per_host:
            idle = next((session for session in self._idle if session.host == host), None)
            if idle is None:
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting[host].append(turn)
                try:
                    await turn  # `_leave` leaves its place to us
                except asyncio.CancelledError:
                    if turn.done() and not turn.cancelled():
                        self._leave(host)
                    raise
                return
            self._drop_idle(idle)
        self._hosts[host] += 1

    def _leave(self, host: str) -> None:
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

    def _take(self, lane: Lane) -> Session | None:
        while lane.idle:
            session = lane.idle.pop()
            del self._idle[session]
            if session.is_usable:
                return session
            self._end(session)
        return None

    def _keep(self, lane: Lane, session: Session) -> None:
        """Keep for the next mail, unless somebody waits for its place."""
        now = asyncio.get_running_loop().time()
        is_worn = session.delivered >= self._limits.mails_per_session
        is_worn = is_worn or now - session.began >= self._limits.age.total_seconds()
        if not session.is_usable or self._is_closing or is_worn or self._waiting.get(session.host):
            self._end(session)
            return
        session.idle_since = now
        lane.idle.append(session)
        self._idle[session] = lane
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def _end(self, session: Session) -> None:
        session.connection.quit()
        self._leave(session.host)

    def _drop_idle(self, session: Session) -> None:
        lane = self._idle.pop(session)
        lane.idle.remove(session)
        self._end(session)

    def _look(self) -> None:
        """Let go of sessions that were idle for too long, or ended by the host."""
        self._timer = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._limits.idle.total_seconds()
        for session in [s for s in self._idle if s.idle_since < oldest or not s.is_usable]:
            self._drop_idle(session)
        for key, lane in list(self._lanes.items()):
            self._forget(key, lane)
        if self._idle:
            self._timer = loop.call_later(LOOK_EVERY, self._look)

    def _forget(self, key: Key, lane: Lane) -> None:
        if not lane.users and not lane.idle:
            self._lanes.pop(key, None)


def _place(target: Target) -> tuple[Place, ...]:
    """Where mail for a target goes, which for a relay does not depend on the domain."""
    if target.host is None:
        return ((target.domain, target.ssl_mode, target.tls_optional),)
    hosts = (target, *target.alternatives)
    return tuple([(t.host, t.port, t.ssl_mode, t.username, t.password) for t in hosts])


def _found_dead(result: SmtpResult) -> bool:
    """Was a kept session over before anything was said about this mail? Then it deserves a new one."""
    if result.stage is Stage.RSET:
        return True  # refused or not: the answer is about the mail before
    return result.stage is Stage.MAIL and (result.reply is None or result.reply.code == 421)
