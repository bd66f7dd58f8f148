"""Record our server with the same cases as a real Postal was, compare, and verify every signature.

Starts a DNS server, recording sinks and `postal-server`, set up as the recorded installation, all on free
loopback ports. Prints the score; exit status 0 when everything is as wanted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "scripts"
HOST = "127.0.0.1"
TLS_SINK_HOST = "127.0.0.3"
SETTLE_SECONDS = 6
START_SECONDS = 30.0
CONFIGURATION = """\
version: 2
postal:
  web_hostname: postal.example.test
  web_protocol: http
  smtp_hostname: mx.postal.example.test
  allowed_request_destinations: [127.0.0.0/8]
web_server: {{default_port: {web}, default_bind_address: 127.0.0.1}}
worker: {{default_health_server_port: 0}}
smtp_server:
  default_port: {smtp}
  default_bind_address: 127.0.0.1
  default_health_server_port: 0
  tls_enabled: true
  plaintext_auth: true
smtp_client: {{port: {sink}}}
dns:
  mx_records: [mx1.postal.example.test, mx2.postal.example.test]
  spf_include: spf.postal.example.test
  return_path_domain: rp.postal.example.test
  route_domain: routes.postal.example.test
  track_domain: track.postal.example.test
  resolvers: ["127.0.0.1:{dns}"]
delivery: {{mode: mx, allowed_destinations: [127.0.0.0/8]}}
suppression: {{bad_address: 2 for 30d within=24h apart=0h}}  # Postal's rule
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make vectors", description=__doc__)
    parser.add_argument("--vectors", type=Path, default=HERE, help="a folder with cases.json and recorded/")
    parser.add_argument("--out", type=Path, help="keep the recording and its target.json here")
    options = parser.parse_args()
    vectors: Path = options.vectors.resolve()
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postal-vectors-")))
        out = (options.out or work / "out").resolve()
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        target = record(stack, vectors, work, out)
        compared = script(
            "compare.py", "--deviations", vectors / "deviations.json", vectors / "recorded",
            vectors / "postal.json", out, target,
        )  # fmt: skip
        verified = script("verify.py", out, target)
    return compared or verified


def record(stack: contextlib.ExitStack, vectors: Path, work: Path, out: Path) -> Path:
    """Run all cases against a fresh server; the recording and `target.json` are in `out` afterwards."""
    ports = dict(zip(("web", "smtp", "sink", "http", "dns"), free_ports(), strict=True))
    (work / "postal.yml").write_text(CONFIGURATION.format(**ports), "utf-8")
    environment = {**os.environ, "POSTAL_CONFIG_FILE_PATH": str(work / "postal.yml")}
    run = [sys.executable, "-m", "postal_server"]
    subprocess.run(
        [*run, "initialize", "--no-server"], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    zone = vectors / "zone.json" if (vectors / "zone.json").exists() else HERE / "zone.json"
    names = out / "names.json"
    install = [
        sys.executable,
        "-m",
        "tests.vectors.installation",
        vectors / "postal.json",
        names,
        ports["http"],
    ]
    subprocess.run([str(word) for word in install], env=environment, check=True)
    log = work / "sinks.log"
    certificate = (work / "smtp.cert", work / "smtp.key")
    stack.enter_context(process(work / "dns.txt", SCRIPTS / "zone_server.py", zone, ports["dns"]))
    stack.enter_context(
        process(work / "sinks.txt", SCRIPTS / "sinks.py", log, ports["sink"], ports["http"], *certificate)
    )
    stack.enter_context(process(out / "server.log", "-m", "postal_server", "run", environment=environment))
    for port in (ports["web"], ports["smtp"], ports["sink"], ports["http"]):
        wait_for(port)
    target = out / "target.json"
    described: dict[str, Any] = json.loads(names.read_text("utf-8"))
    names.unlink()
    target.write_text(
        json.dumps(
            {
                "web": [HOST, ports["web"]],
                "smtp": [HOST, ports["smtp"]],
                "log": str(log),
                "settle": SETTLE_SECONDS,
                **described,
            },
            indent=1,
        ),
        "utf-8",
    )
    status = script("record.py", vectors / "cases.json", target, out)
    shutil.copy(log, out / "sinks.log")
    if status:
        sys.exit(status)
    return target


def free_ports() -> list[int]:
    """Ports for web, SMTP, SMTP sink (free on both of its addresses), HTTP sink and DNS (UDP)."""
    with contextlib.ExitStack() as stack:

        def bind(host: str, port: int = 0, kind: int = socket.SOCK_STREAM) -> int:
            item = stack.enter_context(socket.socket(socket.AF_INET, kind))
            item.bind((host, port))
            number: int = item.getsockname()[1]
            return number

        web, smtp, sink, http = (bind(HOST) for _ in range(4))
        bind(TLS_SINK_HOST, sink)
        return [web, smtp, sink, http, bind(HOST, kind=socket.SOCK_DGRAM)]


@contextlib.contextmanager
def process(log: Path, *words: object, environment: dict[str, str] | None = None) -> Iterator[None]:
    """A Python process for the time of the block; what it says goes to `log`."""
    with log.open("ab") as file:
        running = subprocess.Popen(
            [sys.executable, *(str(word) for word in words)], stdout=file, stderr=file, env=environment
        )
    try:
        yield
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()


def wait_for(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            with socket.create_connection((HOST, port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"Nothing listens on port {port}.")


def script(name: str, *words: object) -> int:
    command = [sys.executable, str(SCRIPTS / name), *(str(word) for word in words)]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
