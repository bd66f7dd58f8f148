"""Every command and file of docs/backups.md does what it says, and what is restored starts."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from postal_server.testing import free_ports

from .installed import environment
from .interop.daemons import program
from .readme import ROOT, blocks

PAGE = ROOT / "docs" / "backups.md"
RECIPIENT = re.compile(r"age1\w{58}")
SECONDS = 120


class Machine:
    """A folder with an installation, in which the page's commands are run; its absolute paths are below."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "installation"
        self._below = folder
        self.port, *ports = map(str, free_ports(4))
        programs = folder / "opt/postal/bin"
        programs.mkdir(parents=True)
        script = programs / "postal-server"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m postal_server "$@"\n')
        script.chmod(0o755)
        self.env = environment(
            PATH=f"{programs}:{os.environ['PATH']}",
            PYTHONPATH=str(ROOT),
            GNUPGHOME=str(folder / "gnupg"),
            WEB_SERVER_DEFAULT_PORT=self.port,
            SMTP_SERVER_DEFAULT_PORT=ports[0],
            DELIVERY_CATCH_PORT=ports[1],
            WORKER_DEFAULT_HEALTH_SERVER_PORT=ports[2],
        )
        self.folder.mkdir()
        for place in ("var/lib", "var/backups"):
            (folder / place).mkdir(parents=True)
        (folder / "var/lib/postal").symlink_to(self.folder)
        self.run("postal-server initialize")

    def here(self, text: str) -> str:
        """A text of the page with the paths and the user of this machine."""
        text = re.sub(r"(?<![\w/])/(srv|opt|var/backups|var/lib)/postal", rf"{self._below}/\1/postal", text)
        return text.replace("--owner postal", f"--owner {getpass.getuser()}")

    def run(self, text: str, status: int = 0) -> str:
        """What a line prints in a shell."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", self.here(text)],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
        )
        assert done.returncode == status, f"{text}: {done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Iterator[Machine]:
    found = Machine(tmp_path_factory.mktemp("machine"))
    yield found
    subprocess.run(["gpgconf", "--kill", "all"], env=found.env, check=False)


def shown() -> list[str]:
    return [line[2:] for block in blocks(PAGE, "console") for line in block.text.splitlines()]


def line(*parts: str) -> str:
    """The only command of the page with all of these parts."""
    [found] = [each for each in shown() if all(part in each for part in parts)]
    return found


def test_each_command_is_tried_by_one_of_these_tests() -> None:
    """A new one on the page is missed here."""
    assert len(shown()) == 11
    assert {each.split()[0] for each in shown()} == {"postal-server", "gpg", "install"}


def test_what_it_says_to_back_up_is_verified_and_starts_elsewhere(machine):
    assert "postal.tar.gz" in machine.run("postal-server backup postal.tar.gz")
    assert "whole" in machine.run(line("--verify postal.tar.gz"))
    machine.run(line("--to /srv/postal"))
    run = line("postal-server", "/srv/postal/postal.yml run")
    with Server(machine, run):
        assert urllib.request.urlopen(f"http://127.0.0.1:{machine.port}/ready", timeout=10).read()
        said = machine.run(line("--to /srv/postal") + " --replace", status=1)
        assert "postal-server is running with it" in said
    assert "kept: " in machine.run(line("restore postal.tar.gz --replace"))


class Server:
    """The command `run`, for the time of the block, which begins once it answers."""

    def __init__(self, machine: Machine, text: str) -> None:
        self._machine, self._text = machine, text

    def __enter__(self) -> None:
        machine = self._machine
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {machine.here(self._text)}"],
            cwd=machine.folder,
            env=machine.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert "is ready" in self._process.stdout.readline()

    def __exit__(self, *exception: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=SECONDS)


def test_it_can_be_piped_to_gpg_and_back(machine):
    program("gpg")
    (machine.folder.parent / "gnupg").mkdir(mode=0o700, exist_ok=True)
    machine.run("gpg --batch --quiet --passphrase '' --quick-generate-key backups@example.com")
    machine.run(line("gpg --encrypt"))
    encrypted = machine.folder / "postal.tar.gz.gpg"
    assert not encrypted.read_bytes().startswith(b"\x1f\x8b")
    assert "Is it still encrypted?" in machine.run(
        "postal-server backup --verify postal.tar.gz.gpg", status=1
    )
    assert "whole" in machine.run(line("gpg --decrypt"))


def test_it_can_be_piped_to_age_and_back(machine):
    program("age-keygen")
    said = machine.run("age-keygen --output key.txt")
    key = RECIPIENT.search(said)
    assert key, said
    command, replaced = RECIPIENT.subn(key[0], line("age --recipient"))
    assert replaced == 1
    machine.run(command)
    assert "whole" in machine.run(
        "age --decrypt --identity key.txt postal.tar.gz.age | postal-server backup --verify -"
    )


def test_the_crontab_makes_one_and_deletes_only_old_ones(machine):
    machine.run(line("install --directory"))
    folder = machine.folder.parent / "var/backups/postal"
    assert folder.stat().st_mode & 0o777 == 0o700
    for name, days in (("postal-old.tar.gz", 16), ("postal-new.tar.gz", 13), ("other.tar.gz", 16)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - days * 86_400,) * 2)
    [crontab] = [block.text for block in blocks(PAGE, "text")]
    minute, hour, *_, user, command = crontab.split(" ", 6)
    assert (minute, hour, user) == ("15", "3", "postal")
    command = command.replace("\\%", "%")
    machine.run(command)
    assert {path.name for path in folder.iterdir()} == {
        "postal-new.tar.gz",
        "other.tar.gz",
        f"postal-{time.strftime('%Y-%m-%d')}.tar.gz",
    }
    (folder / "postal-old.tar.gz").touch()
    os.utime(folder / "postal-old.tar.gz", (0, 0))
    machine.run(command, status=1)  # that of today is there
    assert (folder / "postal-old.tar.gz").exists()


def test_the_units_are_what_systemd_understands(machine):
    analyze = program("systemd-analyze")
    folder = machine.folder.parent / "units"
    folder.mkdir()
    for block in blocks(PAGE, "ini"):
        name = block.text.splitlines()[0].rpartition("/")[2]
        (folder / name).write_text(
            machine.here(block.text).replace("User=postal", f"User={getpass.getuser()}")
        )
    assert {path.name for path in folder.iterdir()} == {"postal-backup.service", "postal-backup.timer"}
    done = subprocess.run(
        [analyze, "verify", "--man=no", *map(str, sorted(folder.iterdir()))], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "postal-backup" not in done.stderr
    [script] = re.findall(r"ExecStart=/bin/sh -c '(.*)'", (folder / "postal-backup.service").read_text())
    made = machine.folder.parent / "var/backups/postal"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    machine.run(
        f"cd /var/backups/postal && {script.replace('$$', '$').replace('%%', '%')}".replace(
            "exec ", f"POSTAL_CONFIG_FILE_PATH={machine.folder}/postal.yml exec "
        )
    )


def test_vacuum_says_how_large_the_file_is_and_makes_it_smaller(machine):
    said = machine.run(line("vacuum --dry-run"))
    assert re.search(r"postal\.sqlite3: [\d.]+ MB, of which [\d.]+ MB are unused", said)
    [command] = [each for each in shown() if each.endswith("vacuum")]
    assert re.search(r"[\d.]+ MB before, [\d.]+ MB now, in [\d.]+ s", machine.run(command))
