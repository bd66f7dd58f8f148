"""`postal-server` as processes of their own that need not import anew what they all do.

One process imports what no configuration changes, and forks for each command: its standard streams, folder,
environment, limits, signals and exit status are those of a process, at a third of the processor time.
`python -m postal_server` is started as it is where a test is about that.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 60
MAX_REQUEST_BYTES = 1 << 18
# What they import needs no settings: `tests/test_imports.py` says so.
PURE = ("mail", "rules", "wire", "net", "transports")
OTHERS = (
    *("aiosmtpd.smtp", "cryptography.fernet", "cryptography.x509", "prometheus_client", "psycopg", "uvloop"),
    *("django.contrib.admin", "django.contrib.auth.hashers", "django.contrib.staticfiles.finders"),
    *("django.core.management.base", "django.db.backends.sqlite3.base", "django.db.migrations.executor"),
    *("postal_server.cli", "postal_server.conf", "postal_server.conf_v1", "whitenoise.middleware"),
)


class Command:
    """A command that runs. `pid` is its process; use it in a `with` statement, which kills what is left."""

    def __init__(
        self,
        *words: str,
        folder: Path,
        environ: Mapping[str, str],
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        max_file_bytes: int | None = None,
    ) -> None:
        self._answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = {
            "words": words,
            "folder": str(folder),
            "environ": dict(environ),
            "max_file_bytes": max_file_bytes,
        }
        with theirs, open(os.devnull, "r+b", buffering=0) as nothing:
            streams = [nothing.fileno() if each is None else each for each in (stdin, stdout, stderr)]
            socket.send_fds(_parent(), [json.dumps(request).encode()], [*streams, theirs.fileno()])
        self._answers.settimeout(SECONDS)
        self.pid = int(self._answers.recv(100))
        self._status: int | None = None

    def __enter__(self) -> Command:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.send_signal(signal.SIGKILL)
        self.wait()
        self._answers.close()

    def wait(self, seconds: float = SECONDS) -> int:
        """Its exit status once it has ended, negative if that was by a signal. Raises `TimeoutError`."""
        if self._status is None:
            self._answers.settimeout(seconds)
            self._status = int(self._answers.recv(100))
        return self._status

    def poll(self) -> int | None:
        """Its exit status, null while it runs."""
        try:
            return self.wait(0)
        except BlockingIOError:
            return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def run(*words: str, given: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end: `given` is what it reads, `options` are those of `Command`."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3)]
        files[0].write(given)
        files[0].seek(0)
        stdin, stdout, stderr = (file.fileno() for file in files)
        with Command(*words, stdin=stdin, stdout=stdout, stderr=stderr, **options) as command:
            status = command.wait()
        for file in files:
            file.seek(0)
        _, said, errors = (file.read() for file in files)
    return subprocess.CompletedProcess(words, status, said, errors)


@functools.cache
def _parent() -> socket.socket:
    """The socket of the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "POSTAL_"))}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.commands", str(theirs.fileno())],
            cwd=ROOT,
            env=kept,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait(SECONDS)

    atexit.register(end)
    return ours


# --- in the process that forks ---


def serve(requests: socket.socket) -> bool:
    """Fork for each request. Is this a process that shall become a command, and is set up for it?"""
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        request, fds, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, 4)
        if not request:
            return False
        if os.fork() == 0:
            requests.close()
            _attend(json.loads(request), fds)
            return True
        for fd in fds:
            os.close(fd)


def _attend(request: dict[str, Any], fds: list[int]) -> None:
    """Tell the process and the exit status of a command. Returns in the process that shall become it."""
    *streams, answers = fds
    with socket.socket(fileno=answers) as told:
        os.setsid()
        if pid := os.fork():
            for fd in streams:
                os.close(fd)
            told.send(str(pid).encode())
            _, status = os.waitpid(pid, 0)
            told.send(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    _become(**request)


def _become(words: list[str], folder: str, environ: dict[str, str], max_file_bytes: int | None) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["postal-server", *words]
    sys.path[0] = folder
    if max_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))


def _import() -> None:
    for name in PURE:
        package = importlib.import_module(f"postal_server.{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    for name in OTHERS:
        importlib.import_module(name)


if __name__ == "__main__":
    gc.disable()
    _import()
    gc.freeze()  # a collection would write to, and so copy, all that the processes share
    gc.enable()
    if serve(socket.socket(fileno=int(sys.argv[1]))):
        from postal_server.cli import main

        sys.exit(main())
