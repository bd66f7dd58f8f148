"""The rows of the targets table, and the curves. Each starts the processes that it needs, and stops them.

The subjects of a row run alternately, with the same load and the same sink, so that other load on the machine
affects all of them; compare within one row only.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from . import load, peers
from .installation import Installation, Running, installation
from .load import Load
from .peers import Peer
from .plots import Chart
from .report import Row, Target, conditions
from .reports import FULL, UNKNOWN
from .reports import SIZE as REPORT_SIZE
from .reports import report as report_of
from .sink import Sink

SQLITE, POSTGRESQL = "SQLite WAL, synchronous=FULL", "PostgreSQL, durable"
SIGNING_PEERS = ("Postfix + OpenDKIM, tuned", "Haraka")
MIB = 1024 * 1024
WARM_UP = 1000  # messages that are not counted: the first ones of a process take longer
ENDED = (FileNotFoundError, ProcessLookupError)  # what /proc answers of a process that is there no longer


@dataclass(frozen=True)
class Scale:
    """How much is measured. `--quick` shows that a row works; its figures mean little."""

    quick: bool = False
    database: str = "sqlite"

    @property
    def runs(self) -> int:
        return 1 if self.quick else 3

    def count(self, number: int) -> int:
        return max(number // 10, 100) if self.quick else number

    @property
    def storage(self) -> str:
        return POSTGRESQL if self.database == "postgresql" else SQLITE


@contextlib.contextmanager
def peers_running(names: tuple[str, ...], *, deliver: bool) -> Iterator[dict[str, Peer]]:
    """Those of these peers that are installed."""
    with contextlib.ExitStack() as stack:
        found = peers.installed()
        yield {name: stack.enter_context(found[name](deliver=deliver)) for name in names if name in found}


# Acceptance


def smtp_accept(scale: Scale) -> Row:
    """Mail in over SMTP, acknowledged once it is on disk; nothing is delivered at the same time."""
    traffic = Load(0, scale.count(5_000))
    row = Row(
        "SMTP accept",
        conditions(traffic.messages, traffic.size, traffic.connections, scale.storage) + ", 1 process",
    )
    names = ("Postfix", "Postfix, tuned", "Haraka", "aiosmtpd")
    with (
        installation(database=scale.database) as ours,
        ours.start("smtp") as started,
        peers_running(names, deliver=False) as others,
    ):
        own = replace(traffic, port=started["smtp"].ports["smtp"], key=ours.smtp_key)
        loads = {"postal_server": own} | {
            name: replace(traffic, port=peer.port) for name, peer in others.items()
        }
        for each in loads.values():
            load.smtp(replace(each, messages=scale.count(WARM_UP)))
        with processor_time(row, processes_of(started, others), traffic.messages * scale.runs):
            for _ in range(scale.runs):
                for name, each in loads.items():
                    row.add(name, _rate(load.smtp, each))
    row.targets.append(Target("messages/s", row.median("postal_server"), 2000))
    if "Postfix" in row.runs:
        best = max(("Postfix", "Postfix, tuned"), key=row.median)
        row.targets.append(Target(f"times {best}", row.ratio("postal_server", best), 1.5))
    row.notes.append("Haraka (two processes) and aiosmtpd keep nothing on disk here; Postfix and we do.")
    return row


def api_accept(scale: Scale) -> Row:
    """`send/message` with JSON, acknowledged once it is on disk."""
    traffic = Load(0, scale.count(5_000), connections=32)
    row = Row(
        "API accept",
        conditions(traffic.messages, traffic.size, traffic.connections, scale.storage) + ", 1 process",
    )
    with (
        installation(database=scale.database) as ours,
        ours.start("web") as started,
        processor_time(row, processes_of(started), traffic.messages * scale.runs),
    ):
        for _ in range(scale.runs):
            port = started["web"].ports["web"]
            row.add("postal_server", _rate(load.api, replace(traffic, port=port, key=ours.api_key)))
    row.targets.append(Target("messages/s", row.median("postal_server"), 1000))
    return row


def _rate(send: Callable[[Load], float], traffic: Load) -> float:
    os.sync()  # what the one before has written is not this one's to wait for
    return traffic.messages / send(traffic)


@contextlib.contextmanager
def processor_time(row: Row, subjects: dict[str, tuple[int, ...]], messages: int) -> Iterator[None]:
    """Record the processor time per message of each subject, which depends less than rates on other load."""
    before = {name: processor_seconds(pids) for name, pids in subjects.items()}
    yield
    used = {
        name: (processor_seconds(pids) - before[name]) / messages * 1e6 for name, pids in subjects.items()
    }
    costs = ", ".join(f"{name} {microseconds:,.0f} us" for name, microseconds in used.items())
    row.notes.append(f"processor time a message: {costs}")


def processes_of(
    ours: dict[str, Running], others: dict[str, Peer] | None = None
) -> dict[str, tuple[int, ...]]:
    own = {f"our {role}": (running.process.pid,) for role, running in ours.items()}
    return own | {name: peer.pids for name, peer in (others or {}).items()}


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor seconds of processes and their children, those that have ended too."""
    ticks = 0
    for pid in (member for first in pids for member in family(first)):
        with contextlib.suppress(*ENDED):  # its parent has its seconds
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        with contextlib.suppress(*ENDED):
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
    return found


# In and out


def deliver(scale: Scale) -> Row:
    """In over SMTP, out to the sink, signed with RSA-2048, everything recorded."""
    traffic = Load(0, scale.count(3_000))
    row = Row(
        "In and out, RSA-2048 signed",
        conditions(traffic.messages, traffic.size, traffic.connections, scale.storage)
        + ", 1 smtp and 1 worker process",
    )
    with (
        Sink() as sink,
        installation(sink, database=scale.database) as ours,
        ours.start("smtp", "worker") as started,
        peers_running(SIGNING_PEERS, deliver=True) as others,
    ):
        own = replace(traffic, port=started["smtp"].ports["smtp"], key=ours.smtp_key)
        with processor_time(row, processes_of(started, others), traffic.messages * scale.runs):
            for _ in range(scale.runs):
                row.add("postal_server", in_and_out(own, sink))
                for name, peer in others.items():
                    row.add(name, in_and_out(replace(traffic, port=peer.port), sink))
    row.targets.append(Target("messages/s", row.median("postal_server"), 800))
    row.targets += [
        Target(f"times {name}", row.ratio("postal_server", name), 2.5)
        for name in SIGNING_PEERS
        if name in row.runs
    ]
    return row


def deliver_webhook(scale: Scale) -> Row:
    """The same, with a signed webhook for every message."""
    traffic = Load(0, scale.count(3_000))
    row = Row(
        "In and out, signed, with a signed webhook for every message",
        conditions(traffic.messages, traffic.size, traffic.connections, scale.storage)
        + ", 1 smtp and 1 worker process",
    )
    with (
        Sink() as sink,
        installation(sink, database=scale.database, webhook=True) as ours,
        ours.start("smtp", "worker") as started,
    ):
        own = replace(traffic, port=started["smtp"].ports["smtp"], key=ours.smtp_key)
        with processor_time(row, processes_of(started), traffic.messages * scale.runs):
            for _ in range(scale.runs):
                row.add("postal_server", in_and_out(own, sink, webhooks=1))
    row.targets.append(Target("messages/s", row.median("postal_server"), 500))
    return row


def returned(scale: Scale) -> Row:
    """Reports of 10 KB to return paths, until each has become an event that a webhook has got.

    A full mailbox is one event. An unknown user is two: the address comes on the suppression list as well.
    """
    number = scale.count(3_000)
    warm_up = number // 4
    cases = {"full mailbox": (FULL, 1), "unknown user": (UNKNOWN, 2)}
    row = Row(
        "Reports, from SMTP to their webhook",
        conditions(number, REPORT_SIZE, 20, scale.storage) + ", 1 smtp and 1 worker process",
        "reports/s",
    )
    with (
        Sink() as sink,
        installation(sink, database=scale.database, webhook=True) as ours,
    ):
        command = [sys.executable, "-m", "benchmarks.reports", str(ours.folder / "postal.yml")]
        command.append(str(warm_up + number * scale.runs * len(cases)))
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        paths = iter(enumerate(json.loads(output)))
        with ours.start("smtp", "worker") as started:
            port = started["smtp"].ports["smtp"]

            def rate(count: int, why: tuple[str, str], events: int) -> float:
                mails = [(path, report_of(n, why)) for n, path in itertools.islice(paths, count)]
                sink.reset()
                os.sync()  # as in `_rate`
                began = time.monotonic()
                load.reports(Load(port, count), mails)
                return count / (sink.wait(0, count * events) - began)

            rate(warm_up, *cases["full mailbox"])
            with processor_time(row, processes_of(started), number * scale.runs * len(cases)):
                for _ in range(scale.runs):
                    for name, case in cases.items():
                        row.add(name, rate(number, *case))
    row.targets += [Target(f"{name}, reports/s", row.median(name), 300) for name in cases]
    return row


def in_and_out(traffic: Load, sink: Sink, *, webhooks: int = 0) -> float:
    """Messages a second from the first command to the last arrival; all must have come signed."""
    sink.reset()
    os.sync()  # as in `_rate`
    started = time.monotonic()
    load.smtp(traffic)
    ended = sink.wait(traffic.messages, traffic.messages * webhooks)
    assert sink.counts.signed == sink.counts.mails == traffic.messages, "mail came unsigned, or twice"
    return traffic.messages / (ended - started)


# Slow receivers


def slow_receivers(scale: Scale) -> Row:
    """Receivers that reply to the final dot after a second: 200 destinations, 800 connections.

    500 deliveries a second keep 500 connections waiting, and more are just opened or closed: with 600 there
    would be room for it at best moments only.
    """
    connections = 800
    traffic = Load(0, scale.count(12_000), size=1024, destinations=200)
    row = Row(
        "Receivers that take 1 s a message",
        conditions(traffic.messages, traffic.size, connections, scale.storage)
        + ", 200 destinations, 1 worker process; the connections are a maximum",
    )
    with (
        Sink(hosts=200, delay=1.0) as sink,
        installation(sink, database=scale.database, connections=connections) as ours,
    ):
        for _ in range(scale.runs):
            row.add("postal_server", drain(ours, sink, traffic, "worker"))
            row.notes.append(f"connections open at a time: {sink.counts.most_connections}")
    row.targets.append(Target("deliveries/s", row.median("postal_server"), 500))
    return row


def workers(scale: Scale) -> tuple[Row, Chart]:
    """How slow receivers and workers of 100 connections scale, on PostgreSQL."""
    # No fewer: the first workers deliver while the others start.
    traffic = Load(0, 2_000, size=1024, destinations=200)
    row = Row(
        "Workers, with receivers that take 1 s",
        conditions(traffic.messages, traffic.size, 100, POSTGRESQL)
        + " for each worker process, 200 destinations",
        "deliveries/s",
    )
    with (
        Sink(hosts=200, delay=1.0) as sink,
        installation(sink, database="postgresql", connections=100) as ours,
    ):
        for _ in range(scale.runs):
            for count in (1, 2, 4):
                names = [f"worker{n}" for n in range(count)]
                row.add(f"{count} worker{'s' * (count > 1)}", drain(ours, sink, traffic, *names))
    row.targets.append(Target("2 workers, times 1", row.ratio("2 workers", "1 worker"), 1.8))
    points = [(int(name.split()[0]), row.median(name)) for name in row.runs]
    chart = Chart(
        "Workers of 100 connections, receivers of 1 s", "worker processes", "deliveries/s", {"": points}
    )
    return row, chart


def drain(ours: Installation, sink: Sink, traffic: Load, *roles: str) -> float:
    """Messages a second from a queue that was filled beforehand, once the workers are ready."""
    with ours.start("smtp") as started:
        load.smtp(replace(traffic, port=started["smtp"].ports["smtp"], key=ours.smtp_key))
    sink.reset()
    with ours.start(*roles):
        before, began = sink.counts.mails, time.monotonic()
        return (traffic.messages - before) / (sink.wait(traffic.messages) - began)


# Depth and history


def depth(scale: Scale) -> tuple[Row, Chart]:
    """Claims, deliveries and memory with 1,000 to 1,000,000 messages queued."""
    row = Row(
        "Cost of depth",
        f"1 KB messages for 50 destinations, {scale.storage}, 1 worker process",
        "ms a claim of 64" if scale.database == "postgresql" else "ms of processor time a claim of 64",
        each="quartiles",
    )
    rates: list[tuple[float, float]] = []
    memory: list[str] = []
    measured = scale.count(5_000)
    depths = (1_000, 10_000, 100_000) if scale.quick else (1_000, 10_000, 100_000, 1_000_000)
    for queued in depths:
        with Sink() as sink, installation(sink, database=scale.database) as ours:
            for milliseconds in fill(ours, queued, "queued"):
                row.add(f"{queued:,} queued", milliseconds)
            with ours.start("worker") as started:
                rate = _rate_of_first(sink, min(queued, measured))
                if queued > measured:  # a queue that runs empty tells something else
                    rates.append((queued, rate))
                memory.append(f"{queued:,} queued {pss(started['worker']):.0f} MB")
    for values in row.runs.values():
        values[:] = _three(values)
    names = list(row.runs)
    row.targets.append(
        Target(f"claim, {names[-1]}, times {names[0]}", row.ratio(names[-1], names[0]), 1.5, at_most=True)
    )
    row.notes.append(
        "deliveries/s by depth: " + ", ".join(f"{queued:,}: {rate:.0f}" for queued, rate in rates)
    )
    row.notes.append("memory of the worker (PSS): " + ", ".join(memory))
    return row, Chart("Deliveries by queue depth", "messages queued", "deliveries/s", {"": rates})


def _three(values: list[float]) -> list[float]:
    """Lower quartile, median and upper quartile."""
    return statistics.quantiles(values, n=4)


def _rate_of_first(sink: Sink, messages: int) -> float:
    """Deliveries a second over the first `messages` of a longer queue, the first tenth left out."""
    sink.wait(messages // 10)
    before, began = sink.counts.mails, time.monotonic()
    sink.wait(messages)
    return (sink.counts.mails - before) / max(time.monotonic() - began, 0.001)


def history(scale: Scale) -> tuple[Row, Chart]:
    """Acceptance and delivery with up to 1,000,000 stored messages."""
    traffic = Load(0, scale.count(5_000), size=1024)
    row = Row(
        "Cost of history", conditions(traffic.messages, traffic.size, traffic.connections, scale.storage)
    )
    stored = (1, 10_000) if scale.quick else (1, 100_000, 1_000_000)
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink())
        places = {}
        for number in stored:
            ours = stack.enter_context(installation(sink, database=scale.database))
            fill(ours, number, "sent")
            places[number] = ours
        for _ in range(scale.runs):
            for number, ours in places.items():
                sink.reset()
                with ours.start("smtp") as started:
                    own = replace(traffic, port=started["smtp"].ports["smtp"], key=ours.smtp_key)
                    row.add(f"accept, {number:,} stored", _rate(load.smtp, own))
                with ours.start("worker"):
                    row.add(f"deliver, {number:,} stored", _rate_of_first(sink, traffic.messages))
    empty, full = stored[0], stored[-1]
    for what in ("accept", "deliver"):
        ratio = row.ratio(f"{what}, {full:,} stored", f"{what}, {empty:,} stored")
        row.targets.append(Target(f"{what}, {full:,} stored, times an empty database", ratio, 0.8))
    series = {w: [(n, row.median(f"{w}, {n:,} stored")) for n in stored] for w in ("accept", "deliver")}
    return row, Chart("Rate by stored messages (1 KB)", "messages stored", "messages/s", series)


def fill(ours: Installation, number: int, state: str) -> list[float]:
    """Add messages; the result is the milliseconds of claims, if they are queued."""
    command = [sys.executable, "-m", "benchmarks.fill", str(ours.folder / "postal.yml"), str(number), state]
    command += ["--claims"] if state == "queued" else []
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(milliseconds) for milliseconds in json.loads(output)]


def suppressions(scale: Scale) -> Row:
    """Look-ups in a suppression list of 10,000,000 entries."""
    number = scale.count(10_000_000)
    row = Row(
        "Suppression look-up", f"{number:,} entries, batches of 64 recipients, {scale.storage}", "ms a batch"
    )
    with installation(database=scale.database) as ours:
        command = [
            *(sys.executable, "-m", "benchmarks.suppressions", str(ours.folder / "postal.yml")),
            str(number),
        ]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    times = sorted(json.loads(output))
    for name, share in (("median", 0.5), ("99 % within", 0.99)):
        row.add(name, times[int(share * len(times))])
    row.targets.append(Target("ms, 99 % within", row.median("99 % within"), 3, at_most=True))
    return row


# PostgreSQL


def postgresql(scale: Scale) -> Row:
    """Each stage on PostgreSQL and SQLite, one process of each kind."""
    accepted, delivered = Load(0, scale.count(5_000)), Load(0, scale.count(3_000))
    row = Row(
        "PostgreSQL beside SQLite",
        f"{accepted.messages:,} messages of {accepted.size:,} bytes accepted a run, "
        f"{delivered.messages:,} delivered, 20 connections (API: 32), 1 process of each kind",
    )
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink())
        both = {
            database: stack.enter_context(installation(sink, database=database))
            for database in ("sqlite", "postgresql")
        }
        for _ in range(scale.runs):
            for database, ours in both.items():
                row.add(f"SMTP accept, {database}", _accept(ours, "smtp", accepted))
            for database, ours in both.items():
                row.add(f"API accept, {database}", _accept(ours, "web", accepted))
            for database, ours in both.items():
                before = Costs.of(ours) if database == "postgresql" else None
                row.add(f"in and out, {database}", _in_and_out(ours, sink, delivered))
        if before:
            row.notes.append(Costs.of(both["postgresql"]).since(before, delivered.messages))
    for stage in ("SMTP accept", "API accept", "in and out"):
        ratio = row.ratio(f"{stage}, postgresql", f"{stage}, sqlite")
        row.targets.append(Target(f"{stage}, PostgreSQL times SQLite", ratio, 0.7))
    return row


@dataclass(frozen=True)
class Costs:
    """The processor time that PostgreSQL has used, and the bytes of its write-ahead log."""

    seconds: float
    log_bytes: int
    stored_bytes: int

    @classmethod
    def of(cls, ours: Installation) -> Costs:
        with psycopg.connect(ours.url) as connection:
            found = connection.execute(
                "SELECT pg_current_wal_lsn() - '0/0', pg_database_size(current_database())"
            ).fetchone()
        assert found is not None
        [folder] = parse_qs(urlsplit(ours.url).query)["host"]
        pid = int((Path(folder) / "data" / "postmaster.pid").read_text().split()[0])
        return cls(processor_seconds([pid]), int(found[0]), int(found[1]))

    def since(self, before: Costs, messages: int) -> str:
        return (
            "PostgreSQL, a message in and out: "
            f"{(self.seconds - before.seconds) / messages * 1e6:.0f} us of processor time, "
            f"{(self.log_bytes - before.log_bytes) / messages / 1000:.1f} KB of write-ahead log, "
            f"{(self.stored_bytes - before.stored_bytes) / messages / 1000:.1f} KB stored"
        )


def _accept(ours: Installation, role: str, traffic: Load) -> float:
    """Accept without a worker, then delete the queue, so that the next stage does not deliver it."""
    with ours.start(role) as started:
        port = started[role].ports[role]
        if role == "web":
            rate = _rate(load.api, replace(traffic, port=port, key=ours.api_key, connections=32))
        else:
            rate = _rate(load.smtp, replace(traffic, port=port, key=ours.smtp_key))
    forget_queue(ours)
    return rate


def _in_and_out(ours: Installation, sink: Sink, traffic: Load) -> float:
    with ours.start("smtp", "worker") as started:
        return in_and_out(replace(traffic, port=started["smtp"].ports["smtp"], key=ours.smtp_key), sink)


def forget_queue(ours: Installation) -> None:
    code = "from postal_server.models import QueuedMessage; QueuedMessage.objects.all().delete()"
    command = [sys.executable, "-m", "postal_server", "--config", ours.folder / "postal.yml"]
    subprocess.run([*command, "console", "-c", code], check=True, capture_output=True)


# Latency, memory


def latency(scale: Scale) -> Row:
    """From the receiver's 250 to the webhook's arrival, one message at a time, on an idle server."""
    samples = scale.count(500) // 5
    row = Row("Event to webhook", f"{samples} messages one by one, {scale.storage}", "ms", each="quartiles")
    with Sink() as sink:
        for name, roles in (("one process (run)", ("run",)), ("smtp and worker", ("smtp", "worker"))):
            with (
                installation(sink, database=scale.database, webhook=True) as ours,
                ours.start(*roles) as started,
            ):
                traffic = Load(started[roles[0]].ports["smtp"], 1, ours.smtp_key, connections=1)
                found = []
                for _ in range(samples):
                    sink.reset()
                    load.smtp(traffic)
                    sink.wait(1, 1)
                    found.append((sink.counts.post_at - sink.counts.mail_at) * 1000)
                row.runs[name] = _three(found)
                slowest = statistics.quantiles(found, n=100)[98]
                what = f"ms, median (99 % within {slowest:.0f}), {name}"
                row.targets.append(Target(what, row.median(name), 100, at_most=True))
    return row


def memory(scale: Scale) -> Row:
    """The one-process mode: ready time, and memory after 10,000 messages."""
    traffic = Load(0, scale.count(10_000))
    row = Row(
        "One-process mode",
        conditions(traffic.messages, traffic.size, traffic.connections, scale.storage),
        "s until ready",
    )
    with Sink() as sink, installation(sink, database=scale.database) as ours:
        for _ in range(scale.runs):
            with ours.start("run") as started:
                row.add("run", started["run"].seconds)
        with ours.start("run") as started:
            at_start = pss(started["run"])
            in_and_out(replace(traffic, port=started["run"].ports["smtp"], key=ours.smtp_key), sink)
            after = pss(started["run"])
    row.targets.append(Target("s until ready", row.median("run"), 1, at_most=True))
    row.targets.append(
        Target(f"MB (PSS) after {traffic.messages:,} messages in and out", after, 150, at_most=True)
    )
    row.notes.append(f"MB (PSS) at the start: {at_start:.0f}")
    return row


def pss(running: Running) -> float:
    """The memory of a process and its children in MB, with shared memory counted once."""
    kilobytes = 0
    for pid in family(running.process.pid):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes * 1024 / 1e6


# Curves


def size(scale: Scale) -> tuple[Row, Chart]:
    """In and out, by the size of a message."""
    row = Row("Message size", f"in and out, RSA-2048 signed, 20 connections (10 MB: 4), {scale.storage}")
    with (
        Sink() as sink,
        installation(sink, database=scale.database) as ours,
        ours.start("smtp", "worker") as started,
    ):
        traffic = Load(started["smtp"].ports["smtp"], 0, ours.smtp_key)
        for _ in range(scale.runs):
            for kilobytes, count in ((1, 2_000), (10, 2_000), (100, 1_000), (1_000, 200), (10_000, 20)):
                messages = max(count // 10, 20) if scale.quick else count
                # At most 64 MB may wait to be stored: above that, mail is deferred.
                at_a_time = 4 if kilobytes == 10_000 else 20
                one = replace(traffic, messages=messages, size=kilobytes * 1024, connections=at_a_time)
                row.add(f"{kilobytes} KB", in_and_out(one, sink))
    points = [(int(name.split()[0]), row.median(name)) for name in row.runs]
    return row, Chart("In and out by message size, signed", "KB a message", "messages/s", {"": points})


def connections(scale: Scale) -> tuple[Row, Chart]:
    """Acceptance, by the number of connections."""
    row = Row("Connections", f"accept of 10,240 bytes a message, {scale.storage}, 1 process of each kind")
    counts = (1, 4, 16, 64, 256)
    with installation(database=scale.database) as ours, ours.start("smtp", "web") as started:
        for _ in range(scale.runs):
            for count in counts:
                traffic = Load(0, scale.count(3_000), connections=count)
                smtp = replace(traffic, port=started["smtp"].ports["smtp"], key=ours.smtp_key)
                row.add(f"SMTP, {count}", _rate(load.smtp, smtp))
                api = replace(traffic, port=started["web"].ports["web"], key=ours.api_key)
                row.add(f"API, {count}", _rate(load.api, api))
    series = {kind: [(n, row.median(f"{kind}, {n}")) for n in counts] for kind in ("SMTP", "API")}
    return row, Chart("Acceptance by connections", "connections", "messages/s", series)


# The library


def library(scale: Scale) -> str:
    """The library compared with django-anymail, in separate processes, as they configure Django."""
    less = {"anymail_receiving": ["--rounds", "1", "--seconds", "0.2"], "anymail_sending": ["--rounds", "1"]}
    parts = []
    for name, words in less.items():
        command = [sys.executable, "-m", f"benchmarks.{name}", *(words if scale.quick else [])]
        output = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        ).stdout
        parts.append(output)
    return "## The library beside django-anymail\n\n" + "\n".join(parts)


def hostile(scale: Scale) -> str:
    """The cost of hostile input, in a separate process: it needs the settings of both packages."""
    command = [sys.executable, "-m", "benchmarks.hostile", *(["--quick"] if scale.quick else [])]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


ROWS: dict[str, Callable[[Scale], Row | tuple[Row, Chart] | str]] = {
    "smtp-accept": smtp_accept,
    "api-accept": api_accept,
    "deliver": deliver,
    "deliver-webhook": deliver_webhook,
    "reports": returned,
    "slow-receivers": slow_receivers,
    "depth": depth,
    "history": history,
    "suppressions": suppressions,
    "postgresql": postgresql,
    "latency": latency,
    "memory": memory,
    "library": library,
    "hostile": hostile,
    "size": size,
    "connections": connections,
    "workers": workers,
}
# What `make bench` measures by default: each stage and a peer, in a few minutes.
DEFAULT = ("smtp-accept", "api-accept", "deliver")
