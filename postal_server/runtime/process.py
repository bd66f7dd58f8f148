"""A running process: in which order its parts start and stop, its signals, and how it says that it is ready.

`assembly` says what a process consists of; listeners come as factories, made once the process has its core.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from django.db import connections

from postal_server.conf import Config
from postal_server.engine import directory as directories
from postal_server.engine.depth import Depth
from postal_server.engine.worker import MakeTransports, Worker
from postal_server.services.shared.delivery_policy import policy_of
from postal_server.web.probes import ready_text

from .acceptance import AcceptanceCore
from .batch_services import MessageServices, WebhookServices
from .health import HealthServer
from .role import Role

try:
    import uvloop
except ImportError:  # no wheel for this platform: slower, and nothing else
    uvloop = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

# Seconds that a thread keeps the interpreter while others wait: with Python's 5 ms, one busy thread slows a
# commit of many statements a hundredfold.
SWITCH_INTERVAL = 0.0005
# Each connection is an open file; many systems let a process have 1,024 unless it asks for more.
OPEN_FILES = 65_536

Addresses = Sequence[tuple[str, int]]


class Listener(Protocol):
    """Something that listens. Both methods run in the process's event loop."""

    name: str

    async def start(self) -> Addresses:
        """Listen; the result is where. Raises `OSError` or `ConfigurationError`."""

    async def stop(self) -> None:
        """Turn away what comes, end what is under way within three seconds."""


MakeListener = Callable[[AcceptanceCore], Listener]


@dataclass(frozen=True)
class ProcessSpec:
    """What a process consists of.

    `listeners` start in this order and stop together. `health` is host, port and the key that names
    the port of the health server; None for none. `ready_file` is written once all listen: JSON with `pid` and
    `addresses` (name -> [host, port]s).
    """

    roles: frozenset[Role]
    listeners: Sequence[MakeListener] = ()
    make_transports: MakeTransports | None = None
    health: tuple[str, int, str] | None = None
    ready_file: Path | None = None

    @property
    def name(self) -> str:
        return "run" if len(self.roles) > 1 else next(iter(self.roles)).value


def ask_for_open_files() -> None:
    """Raise this process's limit of open files as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tell_systemd(state: str) -> None:
    """Tell systemd of a new state, if it asked for that (`Type=notify`; sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            sock.sendall(state.encode("ascii"))
    except OSError as error:  # the server can do without systemd
        logger.warning("NOTIFY_SOCKET: %s cannot be told %s: %s", address, state, error)


@dataclass
class Process:
    """Runs what a specification names until a signal stops it."""

    config: Config
    spec: ProcessSpec
    started_at: float = field(default_factory=time.monotonic)
    _is_ready: bool = False

    def run(self) -> None:
        """Start, say that it is ready, and serve until SIGTERM or SIGINT. Raises what a start raises."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        ask_for_open_files()
        core = AcceptanceCore(self.config)
        directories.keeper.start()
        connections.close_all()  # the loop's thread does without a database from here on
        with event_loop() as loop:
            loop.run_until_complete(self._serve(core))
        directories.keeper.stop()

    async def _serve(self, core: AcceptanceCore) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stopped.set)
        worker = self._worker(core)
        health = self._health(core, worker)
        listeners = [make(core) for make in self.spec.listeners]
        started: list[Listener] = []
        try:
            addresses = {}
            for listener in listeners:
                addresses[listener.name] = await listener.start()
                started.append(listener)
            # After the listeners: a worker delivers to some of them, and puts off what finds them closed.
            if worker:
                worker.start()
            core.journal.start()
            if health:
                await health.start()
            self._is_ready = True
            self._announce(addresses)
            tell_systemd("READY=1")
            await stopped.wait()
            tell_systemd("STOPPING=1")
            logger.info("Stopping")
        finally:
            self._is_ready = False
            await self._stop(core, worker, started)
            if health:
                await health.stop()

    def _worker(self, core: AcceptanceCore) -> Worker | None:
        if Role.WORKER not in self.spec.roles:
            return None
        assert self.spec.make_transports is not None, "a worker needs transports"
        return Worker(
            self.config,
            core.directory,
            core.journal,
            core.acceptance,
            self.spec.make_transports,
            messages=MessageServices(self.config, core.directory, directories.latest),
            webhooks=WebhookServices(self.config, core.directory, directories.latest),
        )

    async def _stop(self, core: AcceptanceCore, worker: Worker | None, listeners: Sequence[Listener]) -> None:
        """Worker and listeners at once: each has three seconds. Then the journal writes what is left.

        The worker is the first to know, so that it does not put off what it delivers to a listener.
        """
        stopping = [*([worker.stop()] if worker else []), *(listener.stop() for listener in listeners)]
        for result in await asyncio.gather(*stopping, return_exceptions=True):
            if isinstance(result, BaseException):
                logger.error("A part did not stop cleanly", exc_info=result)
        await asyncio.get_running_loop().run_in_executor(None, core.journal.stop)

    def _health(self, core: AcceptanceCore, worker: Worker | None) -> HealthServer | None:
        if self.spec.health is None or not self.spec.health[1]:
            return None
        host, port, key = self.spec.health

        def problem() -> str:
            if not self._is_ready:
                return "starting or stopping"
            if worker and not worker.may_send():
                return "the worker may not send"
            # A worker keeps its lease only while the journal and the database work.
            return core.problem() if self.spec.listeners else ""

        depth = Depth(timedelta(hours=self.config.delivery.max_lifetime_hours))
        measure = depth.measure if worker else _nothing
        ready = ready_text(policy_of(self.config))
        return HealthServer(self.spec.name, host, port, problem, measure, key=key, ready=ready)

    def _announce(self, addresses: dict[str, Addresses]) -> None:
        places = ", ".join(
            f"{name} {_place(host, port)}"
            for name, listening in addresses.items()
            for host, port in listening
        )
        seconds, policy = time.monotonic() - self.started_at, policy_of(self.config)
        line = f"{self.spec.name} is ready after {seconds:.1f} s: {places or 'working'}; {policy}"
        if self.config.logging.stream == "stdout":  # what reads logs there gets nothing else
            logger.info("%s", line)
        else:
            print(f"postal-server {line}", flush=True)
            logger.info("Ready: %s", policy)
        if self.spec.ready_file:
            content = {"pid": os.getpid(), "addresses": addresses}
            draft = self.spec.ready_file.with_suffix(".draft")
            draft.write_text(json.dumps(content), "utf-8")
            draft.replace(self.spec.ready_file)  # a reader never sees half of it


def _nothing() -> None:
    """Only workers measure the queues."""


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The loop of a process: uvloop's where it is installed."""
    loop = uvloop.new_event_loop() if uvloop else asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()
