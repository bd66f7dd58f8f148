"""The machines of a drill: the server with root at its terminal, and that of a Django project."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults import namespace
from tests.story.stranger import Stranger

from . import debian, internet
from .booted import Booted
from .debian import Debian
from .transcript import Transcript

NAMES = Path("/etc/resolv.conf")


def name_servers(system: Debian, *, is_outside: bool) -> None:
    """Have a system ask those of the drill's own machine, or that of its internet."""
    names = NAMES.read_text("utf-8") if is_outside else f"nameserver {internet.ELSEWHERE}\n"
    system.write(str(NAMES), names)


class Machine:
    """The server: a system that runs in a machine's network, and root at its terminal."""

    def __init__(self, system: Booted, host: namespace.Machine, transcript: Transcript) -> None:
        self.system = system
        self.host = host
        self.transcript = transcript

    def run(self, command: str, *, given: str = "", is_outside: bool = False) -> str:
        """What a command prints that root types after logging in. Fails if its status is not 0."""
        done = self.tried(command, given=given, is_outside=is_outside)
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def tried(
        self, command: str, *, given: str = "", is_outside: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """As `run`, whatever the status. What `is_outside` has the network of the drill's own machine."""
        line = command.replace("192.0.2.1", internet.SERVER)
        name_servers(self.system.debian, is_outside=is_outside)
        began = time.monotonic()
        done = self.system.done(f"cd; {line}", given, is_outside=is_outside)
        self.transcript.command(command, done.stdout, time.monotonic() - began, is_cut=is_outside)
        return done


class Project(Stranger):
    """Somebody at a Django project, on another machine. Its environment is in the same Debian."""

    place = "/srv/mysite"

    def __init__(self, system: Debian, host: namespace.Machine, transcript: Transcript) -> None:
        ports = {number: number for number in (5000, 2525, 2526, 8000)}
        super().__init__(system.path(self.place), Path(self.place) / ".venv/bin", ports)
        self.env = dict(debian.ENVIRONMENT)
        # `requests` has its own list of authorities, in which that of the drill is not.
        self.env |= {"REQUESTS_CA_BUNDLE": str(debian.AUTHORITIES), "PYTHONUNBUFFERED": "1"}
        self._system = system
        self._host = host
        self._transcript = transcript
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self, *words: str, given: str | None = None) -> str:
        with self._network():
            return super().run(*words, given=given)

    def typed(self, command: str, *, is_outside: bool) -> str:
        """What a command of the page prints, in a shell with the project's environment activated."""
        began = time.monotonic()
        with self._network(is_outside=is_outside):
            done = subprocess.run(
                self._entered(["bash", "-c", f". .venv/bin/activate; {command}"]),
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._transcript.command(command, done.stdout, time.monotonic() - began, is_cut=is_outside)
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    @contextlib.contextmanager
    def serving(self, *words: str) -> Iterator[None]:
        """While a command goes on that serves it."""
        with self._network(), (self.folder / "serving.log").open("wb") as log:
            process = subprocess.Popen(self._found(words), env=self.env, stdout=log, stderr=log)
        try:
            yield
        finally:
            assert process.poll() is None, self.read("serving.log")
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def _network(self, *, is_outside: bool = False) -> Iterator[None]:
        name_servers(self._system, is_outside=is_outside)
        with contextlib.nullcontext() if is_outside else self._host.entered():
            yield

    def _found(self, words: Sequence[str]) -> list[str]:
        return self._entered([os.fspath(self.scripts / words[0]), *words[1:]])

    def _entered(self, words: Sequence[str]) -> list[str]:
        return self._system.entered(["sh", "-c", f'cd {self.place} && exec "$@"', "sh", *words])
