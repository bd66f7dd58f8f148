"""An installation of `postal-server` in a temporary folder, with processes that start and stop separately."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests import postgresql

from .processes import free_port, running, temporary_folder
from .sink import SMTP_PORT, Sink

ROOT = Path(__file__).resolve().parent.parent
ZONE_SERVER = ROOT / "tests" / "vectors" / "scripts" / "zone_server.py"
POSTGRESQL = "-c listen_addresses='' -c shared_buffers=256MB -c max_connections=200"


@dataclass(frozen=True)
class Running:
    """A process that is ready. `ports` are by the names of its edges (`smtp`, `web`)."""

    process: subprocess.Popen[bytes]
    seconds: float  # until it was ready
    ports: dict[str, int]


@dataclass(frozen=True)
class Installation:
    """A migrated installation with one mail server and a domain that signs with RSA-2048."""

    folder: Path
    url: str
    api_key: str
    smtp_key: str
    tree: Path = ROOT  # whose code its processes run

    @contextlib.contextmanager
    def start(self, *roles: str) -> Iterator[dict[str, Running]]:
        """One process for each role (`smtp`, `web`, `worker`, `run`, with a number if there are several)."""
        with contextlib.ExitStack() as stack:
            yield {role: stack.enter_context(self._start(role)) for role in roles}

    @contextlib.contextmanager
    def _start(self, role: str) -> Iterator[Running]:
        ready = self.folder / f"ready-{time.monotonic_ns()}"
        command = [sys.executable, "-m", "postal_server", "--config", self.folder / "postal.yml"]
        command += [role.rstrip("0123456789"), "--ready-file", ready]
        started = time.monotonic()
        with running(command, self.folder, {"PYTHONPATH": str(self.tree)}) as process:
            while not ready.exists():
                if process.poll() is not None or time.monotonic() - started > 60:
                    raise RuntimeError("\n".join(p.read_text()[-2000:] for p in self.folder.glob("*.log")))
                time.sleep(0.005)
            seconds = time.monotonic() - started
            addresses = json.loads(ready.read_text())["addresses"]
            yield Running(process, seconds, {name: listed[0][1] for name, listed in addresses.items()})


@contextlib.contextmanager
def installation(
    sink: Sink | None = None,
    *,
    database: str = "sqlite",
    webhook: bool = False,
    connections: int = 600,
    tree: Path = ROOT,
) -> Iterator[Installation]:
    """An installation of `tree`'s code that delivers to `sink`; `connections` is the limit of one worker."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        url = "sqlite:///$config-file-root/postal.sqlite3"
        if database == "postgresql":
            url = stack.enter_context(postgresql.cluster(POSTGRESQL)).url
        dns_port = free_port()
        if sink is not None:
            (folder / "zone.json").write_text(json.dumps(zone(sink)))
            command = [sys.executable, ZONE_SERVER, folder / "zone.json", str(dns_port)]
            stack.enter_context(running(command, folder))
        settings = {
            "version": 2,
            "postal": {
                "web_hostname": "127.0.0.1",
                "web_protocol": "http",
                "smtp_hostname": "mx.bench.example",
                "allowed_request_destinations": ["127.0.0.0/8"],
            },
            "web_server": {"default_port": free_port()},
            "smtp_server": {
                "default_port": free_port(),
                "default_bind_address": "127.0.0.1",
                "default_health_server_port": 0,
                "max_message_size": 50,
                "max_connections_per_client": 1000,
            },
            "worker": {"default_health_server_port": 0, "max_connections": connections},
            "dns": {"resolvers": [f"127.0.0.1:{dns_port}"]},
            "smtp_client": {"port": SMTP_PORT},
            "delivery": {"mode": "mx", "allowed_destinations": ["127.0.0.0/8"]},
            "storage": {"url": url},
            "logging": {"level": "WARNING"},
        }
        (folder / "postal.yml").write_text(yaml.safe_dump(settings))
        words = ["initialize", "--domain", "sender.example"]
        if webhook:
            assert sink is not None
            words += ["--webhook", sink.url]
        output = subprocess.run(
            [sys.executable, "-m", "postal_server", "--config", folder / "postal.yml", *words],
            cwd=folder,  # that of this checkout would come before `tree`
            env={**os.environ, "PYTHONPATH": str(tree)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        keys = [re.search(rf"{kind} key +(\w+)", output) for kind in ("API", "SMTP")]
        api_key, smtp_key = [found[1] for found in keys if found]
        yield Installation(folder, url.replace("$config-file-root", str(folder)), api_key, smtp_key, tree)


def zone(sink: Sink) -> dict[str, dict[str, list[str]]]:
    """Where the destinations of the load are: distributed over the mail hosts of the sink."""
    hosts = {f"mx{n}.example": {"A": [address]} for n, address in enumerate(sink.addresses)}
    names = list(hosts)
    return {
        **hosts,
        **{f"d{n}.example": {"MX": [f"10 {names[n % len(names)]}."]} for n in range(max(200, len(names)))},
    }
