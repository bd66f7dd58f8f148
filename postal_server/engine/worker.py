"""A worker put together: its lease, two kinds of row, and its parts in the journal's ticks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from postal_server.conf import Config
from postal_server.errors import ConfigurationError
from postal_server.models import ScheduledTask
from postal_server.rules.lane import is_domain
from postal_server.rules.shaping import parse_rules
from postal_server.services.results.suppression_rules import rules_of
from postal_server.services.shared.delivery_policy import policy_of
from postal_server.services.shared.directory import Directory

from . import clock
from .acceptance import Acceptance
from .claimer import Claimer
from .heartbeat import Heartbeat
from .housekeeping import Housekeeping
from .journal import Journal
from .lanes import Lanes, Limits
from .lease import Lease
from .pipeline import Pipeline
from .ports import HttpPoster, Resolver, SmtpSender
from .queue import MESSAGES, WEBHOOKS, Kind, Queue
from .recorder import ResultRecorder
from .shaping import Shaping, operators_by_mx
from .sources import LocalSources
from .sync_dns import DomainQuestions
from .sync_http import Posts
from .work_stream import BatchServices, WorkStream


@dataclass(frozen=True)
class Transports:
    """How the worker talks."""

    sender: SmtpSender
    poster: HttpPoster
    resolver: Resolver


# Called in the event loop, with what is to be awaited before each final dot.
MakeTransports = Callable[[Callable[[], Awaitable[None]]], Transports]


class Worker:
    """Claims, delivers and posts for one process; `start` before the journal, in the event loop.

    `messages` and `webhooks` are what the services do with each kind.
    """

    def __init__(
        self,
        config: Config,
        directory: Callable[[], Directory],
        journal: Journal,
        acceptance: Acceptance,
        make_transports: MakeTransports,
        *,
        messages: BatchServices,
        webhooks: BatchServices,
    ) -> None:
        self._config = config
        rules_of(config, is_imported=False)  # a wrong one is said at the start, not at the first failure
        self.lease = Lease()
        talk = make_transports(self.before_dot)
        self.pipeline = Pipeline(talk.sender, talk.poster, self.may_send, config.worker.threads)
        self._questions = DomainQuestions(talk.resolver)
        self._posts = Posts(talk.poster)
        self._sources = LocalSources(directory, use_pools=config.postal.use_ip_pools)
        self._shaping = self._make_shaping(talk.resolver)
        self._housekeeping = Housekeeping(
            config, self.lease, acceptance.disk, ask=self._questions, post=self._posts
        )
        self._streams: list[WorkStream] = []
        self._recorders: list[ResultRecorder] = []
        self._claimers: list[Claimer] = []
        for kind, services in ((MESSAGES, messages), (WEBHOOKS, webhooks)):
            self._add(kind, services, journal)
        # What is accepted or recorded in a tick may be work for either kind, in the same tick.
        wants = [claimer.want for claimer in self._claimers]
        acceptance.on_collect += wants
        for recorder in self._recorders:
            recorder.on_collect += wants
        heartbeat = Heartbeat(self.lease, self._start_again)
        journal.parts = [heartbeat, *self._recorders, acceptance, *self._claimers]
        journal.at_end = self._sign_off

    def _add(self, kind: Kind, services: BatchServices, journal: Journal) -> None:
        given = self._config.worker
        limits = Limits(given.connections_per_destination, held=2 * given.max_connections)
        stream = WorkStream(Queue(kind), Lanes(limits), services)
        if kind is MESSAGES:
            stream.sources, stream.shaping = self._sources, self._shaping
            stream.lanes.shape = self._shaping.room if self._shaping else None
        recorder = ResultRecorder(stream, self.lease, journal.wake)
        self._streams.append(stream)
        self._recorders.append(recorder)
        self._claimers.append(Claimer(stream, self.lease, partial(self.pipeline.hand_over, recorder)))

    def _make_shaping(self, resolver: Resolver) -> Shaping | None:
        """None where all mail is caught: only patience of others is minded.

        Raises `ConfigurationError` for an invalid rule.
        """
        try:
            rules = parse_rules(self._config.shaping.rules)
        except ValueError as error:
            raise ConfigurationError(f"shaping.rules: {error}.") from error
        policy = policy_of(self._config)
        if policy.catches_all:
            return None
        connections = self._config.worker.connections_per_destination
        return Shaping(
            connections,
            operators_by_mx(resolver),
            rules,
            self._sources.address_of,
            is_shaped=lambda lane: is_domain(lane) and policy.may_reach(lane),
            catch=self._config.delivery.catch_host if policy.needs_catch else "",
        )

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.pipeline.bind(loop)
        self._questions.bind(loop)
        self._posts.bind(loop)
        self._housekeeping.start()

    async def stop(self) -> None:
        """Claim no more, finish what can be finished within seconds; the journal then writes the results.

        Nothing is put off any more because of what ends meanwhile, from the first step on.
        """
        for claimer in self._claimers:
            claimer.is_stopped = True
        self.pipeline.begin_to_stop()
        housekeeping = asyncio.get_running_loop().run_in_executor(None, self._housekeeping.stop)
        await asyncio.gather(self.pipeline.stop(), housekeeping)

    def may_send(self) -> bool:
        """May anything be sent? Not without the lease, nor while results wait too long to be recorded."""
        now = clock.seconds()
        return self.lease.is_held(now) and all(recorder.is_timely(now) for recorder in self._recorders)

    async def before_dot(self) -> None:
        await self.pipeline.before_dot()

    def _start_again(self) -> None:
        """The lease was lost, and with it all rows."""
        for stream in self._streams:
            stream.lanes.release_all()
        if self._shaping:
            self._shaping.forget_admitted()
        self.pipeline.abandon()

    def _sign_off(self) -> None:
        """Free what is left, in the journal's last transaction."""
        worker_id = self.lease.worker_id
        if worker_id is None:
            return
        for stream in self._streams:
            stream.queue.release(worker_id)
        ScheduledTask.objects.filter(claimed_by=worker_id).update(claimed_by=None)
        self.lease.end()
