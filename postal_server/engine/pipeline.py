"""The pipeline: claim, prepare, talk, record; one event loop for mails and posts alike.

The journal hands over what it claimed. A few threads prepare it (signing releases the GIL), the loop talks
through the ports, and results go back to the journal. No transaction is open while anybody talks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from django.db import connection

from postal_server.rules.http_code import NO_CONNECTION
from postal_server.services.shared.work import Claimed, Decision, Prepared, Result, SmtpDelivery

from . import metrics, outcome
from .database import DATABASE_AWAY
from .ports import HttpPoster, SmtpResult, SmtpSender, Stage
from .queue import MESSAGES
from .recorder import ResultRecorder
from .row_decisions import (
    Delayed,
    Done,
    Returned,
    SuspectCleared,
    SuspectMarked,
    expired_decision,
    poison_decision,
)
from .work_stream import BatchServices, Claims

logger = logging.getLogger(__name__)

PREPARED_TOGETHER = 50  # rows that a thread prepares at a time, at most
GATE_INTERVAL = 0.05  # seconds between looks at a gate that is shut
END_OF_THREADS = 0.5  # seconds that threads have to finish what they prepare when the worker stops
SHUTTING_DOWN = 421  # RFC 5321 section 3.8
AFTER_DATABASE_FAILURE = 1.0  # seconds before rows that could not be prepared are given back


class Abandoned(Exception):
    """This worker may not send what it holds: its lease was lost, or it is stopping."""


class Pipeline:
    """Runs in one event loop. `may_send` is asked, from that loop, before each mail or post and before each
    final dot; while it says no, they wait.
    """

    def __init__(
        self, sender: SmtpSender, poster: HttpPoster, may_send: Callable[[], bool], threads: int
    ) -> None:
        self._sender = sender
        self._poster = poster
        self._may_send = may_send
        self._thread_count = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
        self._suspects = asyncio.Lock()  # one suspect at a time
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None  # of the gate, while it is shut
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_stopping = False

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run in this loop."""
        self._loop = loop

    # For the journal's thread

    def hand_over(self, recorder: ResultRecorder, claims: Claims) -> None:
        """Process what was just claimed."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._begin, recorder, claims)

    def abandon(self) -> None:
        """The lease was lost: break off everything, as no result could be recorded any more."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._cancel_all)

    # In the loop

    async def before_dot(self) -> None:
        """Wait until a mail may be finished: for the transports. Raises `Abandoned`."""
        await self._gate()

    def begin_to_stop(self) -> None:
        """From now on give back what cannot be sent, as `stop` does with the rest."""
        self._is_stopping = True

    async def stop(self) -> None:
        """Break off mails before their final dot, let the others finish, accept no more; within seconds."""
        self.begin_to_stop()
        await asyncio.gather(self._sender.close(), self._poster.close())
        self._cancel_all()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._opening:
            self._opening.cancel()
        await self._end_threads()

    async def _end_threads(self) -> None:
        """Close each thread's database connection; a thread that is stuck is left behind."""
        barrier = threading.Barrier(self._thread_count)
        ended = [
            asyncio.get_running_loop().run_in_executor(self._threads, _end_thread, barrier)
            for _ in range(self._thread_count)
        ]
        await asyncio.gather(*ended)
        self._threads.shutdown(wait=False)

    def _begin(self, recorder: ResultRecorder, claims: Claims) -> None:
        if self._is_stopping:
            return  # the worker signs off in a moment, and frees what it holds
        now = datetime.now(timezone.utc)
        if recorder.stream.kind is MESSAGES:
            for claimed in claims.fresh:
                metrics.LATENCY_OF_QUEUE.observe((now - claimed.created_at).total_seconds())
        decisions = [poison_decision(row, recorder.stream.kind) for row in claims.poison] + [
            expired_decision(row, recorder.stream.kind) for row in claims.expired
        ]
        if decisions:
            recorder.add(decisions)
        fresh = claims.fresh
        together = min(PREPARED_TOGETHER, -(-len(fresh) // self._thread_count))  # all threads get some
        for start in range(0, len(fresh), together or 1):
            self._spawn(self._process(recorder, fresh[start : start + together]))
        if claims.suspects:
            self._spawn(self._process_suspects(recorder, claims.suspects))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cancel_all(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    async def _process_suspects(self, recorder: ResultRecorder, suspects: Sequence[Claimed]) -> None:
        """Workers died with these. Each is marked, and then prepared, alone: none that only waits for its
        turn, or was sent, can be taken for the culprit.
        """
        for number, suspect in enumerate(suspects):
            try:
                async with self._suspects:
                    if not await self._mark(recorder, suspect):
                        continue
                    prepared = await self._prepare(recorder, [suspect])
                    recorder.add([SuspectCleared(suspect)])
            except asyncio.CancelledError:
                recorder.add([Returned(row) for row in suspects[number:]])
                return
            self._talk_about(recorder, prepared)

    async def _mark(self, recorder: ResultRecorder, suspect: Claimed) -> bool:
        """Return once the database knows that this one is tried; false if it is not ours to try any more."""
        loop = asyncio.get_running_loop()
        may_be: asyncio.Future[bool] = loop.create_future()

        def tell(answer: bool) -> None:
            if not may_be.done():
                may_be.set_result(answer)

        recorder.add([SuspectMarked(suspect, lambda answer: loop.call_soon_threadsafe(tell, answer))])
        return await may_be

    async def _process(self, recorder: ResultRecorder, claimed: Sequence[Claimed]) -> None:
        try:
            claimed = await self._admitted(recorder, claimed)
            prepared = await self._prepare(recorder, claimed) if claimed else []
        except asyncio.CancelledError:
            recorder.add([Returned(row) for row in claimed])
            return
        except Exception as error:
            recorder.add([_bug(recorder, row, error) for row in claimed])
            return
        self._talk_about(recorder, prepared)

    async def _admitted(self, recorder: ResultRecorder, claimed: Sequence[Claimed]) -> Sequence[Claimed]:
        """What its destination lets us send now. The rest is put off before it is signed, and counted."""
        if recorder.stream.shaping is None:
            return claimed
        going, waiting = await recorder.stream.shaping.admit(claimed, datetime.now(timezone.utc))
        if waiting:
            metrics.DELAYED.inc(len(waiting))
            recorder.add([Delayed(row, due_at) for row, due_at in waiting])
        return going

    def _talk_about(
        self, recorder: ResultRecorder, prepared: Sequence[Prepared | Decision | Result | Returned]
    ) -> None:
        done = [item for item in prepared if not isinstance(item, Prepared)]
        if done:
            recorder.add(done)
        for item in prepared:
            if isinstance(item, Prepared):
                self._spawn(self._talk(recorder, item))

    async def _prepare(
        self, recorder: ResultRecorder, claimed: Sequence[Claimed]
    ) -> list[Prepared | Decision | Result | Returned]:
        """Prepare in a thread. A bug costs the message that has it an attempt, and no other."""
        loop, services = asyncio.get_running_loop(), recorder.stream.services
        try:
            prepared = await loop.run_in_executor(self._threads, _in_thread, services, claimed)
        except DATABASE_AWAY as error:
            logger.warning("The database cannot serve (%s)", error)
            await asyncio.sleep(AFTER_DATABASE_FAILURE)
            return [Returned(row) for row in claimed]
        except Exception as error:
            if len(claimed) > 1:
                return [item for row in claimed for item in await self._prepare(recorder, [row])]
            return [_bug(recorder, claimed[0], error)]
        missing = {row.id: row for row in claimed}
        for item in prepared:
            missing.pop(item.claimed.id, None)
        lost = [_bug(recorder, row, LookupError("it was not prepared")) for row in missing.values()]
        return [*prepared, *lost]

    async def _talk(self, recorder: ResultRecorder, item: Prepared) -> None:
        recorder.add([await self._talk_and_judge(recorder, item)])

    async def _talk_and_judge(self, recorder: ResultRecorder, item: Prepared) -> Done | Returned:
        try:
            await self._gate()
            delivery = item.delivery
            if isinstance(delivery, SmtpDelivery):
                sent = await self._sender.send(delivery)
                if self._is_stopping and _was_broken_off(sent):
                    return Returned(item.claimed)
                result = outcome.of_mail(delivery, sent)
                if recorder.stream.shaping:
                    result = recorder.stream.shaping.explain(result)
                return Result(item.claimed, result, item.changes, sent.tls_sessions)
            answer = await self._poster.post(delivery)
            if self._is_stopping and answer.status == NO_CONNECTION:
                return Returned(item.claimed)  # it was not begun
            result = outcome.of_post(delivery, answer)
        except (asyncio.CancelledError, Abandoned):
            return Returned(item.claimed)
        except Exception as error:
            return _bug(recorder, item.claimed, error)
        return Result(item.claimed, result, item.changes)

    async def _gate(self) -> None:
        while not self._may_send():
            if self._opening is None or self._opening.done():
                self._opening = asyncio.ensure_future(self._watch_gate())
            await asyncio.shield(self._opening)
        if self._is_stopping:
            raise Abandoned

    async def _watch_gate(self) -> None:
        """Return once the gate is open: one looks for all that wait."""
        while not self._may_send():
            await asyncio.sleep(GATE_INTERVAL)


def _in_thread(services: BatchServices, claimed: Sequence[Claimed]) -> Sequence[Prepared | Decision]:
    try:
        return services.prepare(claimed, datetime.now(timezone.utc))
    except DATABASE_AWAY:
        connection.close()  # this thread's: the next batch opens a new one
        raise


def _end_thread(barrier: threading.Barrier) -> None:
    """Run in every thread of the pool once: none takes two of these, because each waits for the others."""
    with contextlib.suppress(threading.BrokenBarrierError):
        barrier.wait(END_OF_THREADS)
    connection.close()


def _was_broken_off(sent: SmtpResult) -> bool:
    """Did the session end before the final dot: by us, or by a host that stops at the same time?

    That may be our own SMTP server, for mail to a domain whose MX record names this machine.
    """
    return sent.stage is not Stage.DOT and (sent.reply is None or sent.reply.code == SHUTTING_DOWN)


def _bug(recorder: ResultRecorder, claimed: Claimed, error: Exception) -> Result:
    logger.error("Processing %s %d failed", recorder.stream.name, claimed.id, exc_info=error)
    metrics.WORKER_ERRORS.labels(type(error).__name__).inc()
    return Result(claimed, outcome.of_bug(error))
