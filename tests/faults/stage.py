"""What a fault test is played on: receivers, an installation of separate processes, and a load."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psycopg
import yaml

from postal_server.testing import free_ports
from tests.faults import load
from tests.faults.lines import read

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
DOMAIN = "faults.test"
DESTINATIONS = tuple(f"d{number}.example" for number in range(20))
CONNECTIONS = 40  # of a worker, over all destinations


def wait_until(holds: Callable[[], bool], seconds: float, wish: str, every: float = 0.1) -> float:
    """Wait until `holds()`; how long that took. Raises `AssertionError` that tells the `wish`."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, f"not within {seconds:g} s: {wish}"
        time.sleep(every)
    return time.monotonic() - started


class Command:
    """A process of the test. Its output goes to a file, which is told if it ends by itself."""

    def __init__(self, words: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> None:
        self.log = log
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "TEST_DATABASE"))}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=log.parent,
                env={**inherited, "PYTHONPATH": str(ROOT), **(environ or {})},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def freeze(self) -> None:
        """Stop all of its threads where they are; return once they have."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self, seconds: float = 20.0) -> int:
        """Ask it to end; its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.returncode

    def wait_for(self, holds: Callable[[], bool], wish: str) -> None:
        def is_so() -> bool:
            assert self._process.poll() is None, f"it ended: {self.log.read_text('utf-8', 'replace')[-3000:]}"
            return holds()

        wait_until(is_so, START_SECONDS, wish, every=0.02)

    def memory_bytes(self) -> int:
        """The memory that is this process's: what it shares is shared out (PSS)."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text("ascii")
        return next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Stage:
    """One test's processes, in folders below `folder`. Use as a context: all are ended with it.

    `database` is a PostgreSQL URL, null for SQLite in `data` (`folder` by default). `options` are keys of the
    configuration, group by group. `scripts` are those of `receivers.py`. `quick` shortens the leases, and
    `final_dot` how many seconds hosts have for its answer.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database: str | None = None,
        data: Path | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        scripts: Mapping[str, Mapping[str, str]] | None = None,
        address: str = "127.0.0.1",
        quick: bool = False,
        final_dot: float | None = None,
    ) -> None:
        self.folder = folder
        self.database = database
        self.path = (data or folder) / "postal.sqlite3"
        self.configuration = folder / "postal.yml"
        self.processes: dict[str, Command] = {}
        self.in_flight: Counter[str] = Counter()  # recipient -> kills of a worker that held the message
        self._options = options or {}
        self._scripts = scripts or {}
        self._address = address
        self._final_dot = final_dot
        self._module = "tests.faults.quick" if quick else "postal_server"
        self._load: Command | None = None
        self._receivers: Command | None = None

    def __enter__(self) -> Stage:
        try:
            self._start_receivers()
            self._install()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        for process in (*self.processes.values(), self._load, self._receivers):
            if process:
                process.kill()

    # Processes

    def start(self, *names: str) -> None:
        """Start processes, `web`, `smtp` or `worker-<n>`, and return once all are ready."""
        for name in names:
            self.begin(name)
        for name in names:
            self.processes[name].wait_for(self._ready_file(name).exists, f"{name} is ready")

    def begin(self, name: str) -> None:
        """Start a process without waiting for it."""
        self._ready_file(name).unlink(missing_ok=True)
        role = name.partition("-")[0]
        words = [self._module, role, "--ready-file", str(self._ready_file(name))]
        environ = {**self._environ, "HEALTH_SERVER_PORT": "0"}
        if self._final_dot:
            environ["FINAL_DOT_SECONDS"] = str(self._final_dot)
        self.processes[name] = Command(words, self.folder / f"{name}.log", environ)

    def kill(self, name: str) -> None:
        """SIGKILL a process, and remember which messages a worker held."""
        process = self.processes[name]
        if name.startswith("worker"):
            process.freeze()  # once it is dead another worker may free them before we have looked
            self.in_flight.update(self.held_by(process.pid))
        process.kill()

    def held_by(self, pid: int, *, least_claims: int = 0) -> list[str]:
        """The recipients of the messages that the worker with this process id has claimed."""
        rows = self.query(
            "SELECT m.rcpt_to FROM postal_server_queuedmessage q JOIN postal_server_message m ON m.id = q.id "
            f"WHERE q.claimed_by IN (SELECT id FROM postal_server_worker WHERE pid = {int(pid)}) "
            f"AND q.claims >= {least_claims}"
        )
        return [recipient for (recipient,) in rows]

    def is_worker(self, pid: int) -> bool:
        """Does the installation believe that this process still works? If not, what it held is free."""
        return bool(self.query(f"SELECT id FROM postal_server_worker WHERE pid = {int(pid)}"))

    # The load

    def submit(self, **values: Any) -> None:
        """Start the load; `values` are those of `load.Order`."""
        (self.folder / "load.json").write_text(json.dumps(asdict(replace(self.order, **values))), "utf-8")
        self._load = Command(["tests.faults.load", str(self.folder)], self.folder / "load.log")

    def end_load(self) -> None:
        """Submit nothing more, and wait for the answers to what is under way."""
        assert self._load
        code = self._load.stop(seconds=load.ANSWER_SECONDS + 10)
        assert code == 0, f"the load failed: {self._load.log.read_text('utf-8', 'replace')[-3000:]}"

    def acknowledged(self) -> dict[str, str]:
        """Recipient -> kind of what the server took."""
        return {recipient: kind for _, (kind, recipient, _) in read(self.folder / "acknowledged")}

    def refusals(self) -> list[tuple[str, str]]:
        """(kind, the server's words) of what it did not."""
        return [(kind, text[0] if text else "") for _, (kind, *text) in read(self.folder / "refused")]

    # The receivers

    @property
    def outside(self) -> Path:
        """The receivers' folder."""
        return self.folder / "receivers"

    def flag(self, name: str, is_set: bool) -> None:
        """Set or remove a file that the receivers look at: `pause` or `silent`."""
        if is_set:
            (self.outside / name).touch()
        else:
            (self.outside / name).unlink()

    def arrivals(self) -> dict[str, list[float]]:
        """Recipient -> when its message arrived, by SMTP or as a post of incoming mail."""
        found: dict[str, list[float]] = {}
        for at, (recipient, _) in read(self.outside / "mail"):
            found.setdefault(recipient, []).append(at)
        for at, (path, _, _, recipient) in read(self.outside / "posts"):
            if path == "/incoming":
                found.setdefault(recipient, []).append(at)
        return found

    def final_dots(self) -> Counter[str]:
        """Recipient -> how often a host with a script was given its message to the end."""
        return Counter(recipient for _, (recipient,) in read(self.outside / "dots"))

    def message_ids(self) -> dict[str, set[str]]:
        """Recipient -> the Message-IDs that arrived."""
        found: dict[str, set[str]] = {}
        for _, (recipient, message_id) in read(self.outside / "mail"):
            found.setdefault(recipient, set()).add(message_id)
        return found

    def events(self) -> dict[str, Counter[str]]:
        """Recipient -> how often each `MessageSent` arrived, by uuid."""
        found: dict[str, Counter[str]] = {}
        for _, (path, uuid, event, recipient) in read(self.outside / "posts"):
            if path == "/events" and event == "MessageSent":
                found.setdefault(recipient, Counter())[uuid] += 1
        return found

    def missing(self) -> set[str]:
        """Recipients whose acknowledged message has not arrived."""
        return set(self.acknowledged()) - set(self.arrivals())

    def unheard(self) -> set[str]:
        """Recipients of acknowledged outgoing messages that no `MessageSent` told of."""
        outgoing = {who for who, kind in self.acknowledged().items() if kind != load.INCOMING}
        return outgoing - set(self.events())

    def twice(self) -> dict[str, int]:
        """Recipient -> copies above one."""
        return {who: len(times) - 1 for who, times in self.arrivals().items() if len(times) > 1}

    # The database

    def query(self, sql: str) -> list[Any]:
        """The rows of a statement that only reads, or of one that changes the queue by hand."""
        if self.database:
            with psycopg.connect(self.database) as connection:
                cursor = connection.execute(sql)
                return cursor.fetchall() if cursor.description else []
        with contextlib.closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
            return connection.execute(sql).fetchall()

    def queued(self) -> int:
        """Rows of both kinds that wait."""
        [(count,)] = self.query(
            "SELECT (SELECT COUNT(*) FROM postal_server_queuedmessage) "
            "+ (SELECT COUNT(*) FROM postal_server_webhookrequest)"
        )
        return int(count)

    # Setting up

    def _ready_file(self, name: str) -> Path:
        return self.folder / f"{name}.ready"

    @property
    def _environ(self) -> dict[str, str]:
        return {"POSTAL_CONFIG_FILE_PATH": str(self.configuration), "PYTHONUNBUFFERED": "1"}

    def _start_receivers(self) -> None:
        self.outside.mkdir()
        self._receivers = Command(
            ["tests.faults.receivers", str(self.outside), self._address, json.dumps(self._scripts)],
            self.folder / "receivers.log",
        )
        ready = self.outside / "ready.json"
        self._receivers.wait_for(ready.exists, "the receivers are ready")
        self.ports = json.loads(ready.read_text("utf-8"))

    def _install(self) -> None:
        web, smtp = free_ports(2)
        document: dict[str, dict[str, Any]] = {
            "postal": {
                "web_protocol": "http",
                "web_hostname": "localhost",
                "smtp_hostname": "mx.faults.test",
                "allowed_request_destinations": [f"{self._address}/32"],
            },
            "web_server": {"default_port": web, "default_bind_address": self._address},
            "smtp_server": {"default_port": smtp, "default_bind_address": self._address},
            "smtp_client": {"port": self.ports["smtp"]},
            "worker": {"max_connections": CONNECTIONS, "connections_per_destination": 4},
            "dns": {"resolvers": [f"{self._address}:{self.ports['dns']}"], "timeout": 2},
            "delivery": {"mode": "mx", "allowed_destinations": ["127.0.0.0/8", f"{self._address}/32"]},
            "storage": {"url": self.database or f"sqlite:///{self.path}", "min_free_mb": 10},
        }
        for group, values in self._options.items():
            document.setdefault(group, {}).update(values)
        self.configuration.write_text(yaml.safe_dump({"version": 2, **document}), "utf-8")
        self.run("postal_server", "initialize", "--no-server")
        url = f"http://{self._address}:{self.ports['http']}"
        keys = json.loads(self.run("tests.faults.provision", DOMAIN, url))
        self.order = load.Order(
            web=(self._address, web),
            smtp=(self._address, smtp),
            domain=DOMAIN,
            destinations=DESTINATIONS,
            **keys,
        )

    def move(self, folder: Path, database: str | None) -> None:
        """Go on with another installation, in `folder` and on a PostgreSQL database or SQLite."""
        self.configuration = folder / "postal.yml"
        self.path = folder / "postal.sqlite3"
        self.database = database

    def run(self, *words: str, seconds: float = START_SECONDS) -> str:
        """What a command for the installation prints; the first word is the module."""
        done = subprocess.run(
            [sys.executable, "-m", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT), **self._environ},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextlib.contextmanager
def silenced(pid: int) -> Iterator[None]:
    """SIGSTOP a process and its children for the time of the block: they live, and do nothing."""
    os.kill(pid, signal.SIGSTOP)  # first, so that no more children come
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    try:
        for child in children:
            os.kill(child, signal.SIGSTOP)
        yield
    finally:
        for process in (*children, pid):
            os.kill(process, signal.SIGCONT)
