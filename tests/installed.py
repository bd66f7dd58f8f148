"""The project as others get it: its wheel in an environment of its own, and commands that are run there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from .readme import ROOT, command_lines

SECONDS = 120
INSTALL = "pip install "


def run(*words: str, cwd: Path, env: dict[str, str] | None = None, given: str | None = None) -> str:
    """What a command prints; `given` is its standard input, without a terminal that it could ask.

    Fails with all its words if it ends with another status than 0.
    """
    done = subprocess.run(
        words,
        cwd=cwd,
        env=env,
        input=given or "",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        start_new_session=given is not None,
    )
    assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def environment(**more: str) -> dict[str, str]:
    """The tests' own environment, without what would choose settings or ports for a process.

    Without what a `make` around the tests says to another one, either: that, too, passes on what stood on
    its command line (`make test ARGS=-q`).
    """
    left_out = {"DJANGO_SETTINGS_MODULE", "PORT", "POSTAL_CONFIG_FILE_PATH", "PYTHONPATH"}
    left_out |= {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "ARGS", "KEEP"}
    return {name: value for name, value in os.environ.items() if name not in left_out} | more


@contextlib.contextmanager
def started(
    words: Sequence[str], folder: Path, env: dict[str, str], ready: str, *, ends: int = 0
) -> Iterator[None]:
    """A command that goes on until SIGTERM, once `ready` answers, whatever it answers.

    Fails if it ends with another status than `ends`.
    """
    log = folder / f"{Path(words[0]).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(words, cwd=folder, env=env, stdout=output, stderr=output)
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                assert process.poll() is None, log.read_text()
                with contextlib.suppress(OSError):
                    with contextlib.suppress(urllib.error.HTTPError):
                        urllib.request.urlopen(ready).close()
                    break
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            assert process.wait(60) == ends, log.read_text()


def commands_of_new_environment(factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment into which the README's words have installed the wheel.

    The first that asks makes it, for all processes of a run of tests.
    """
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all processes
    made = folder / "installed"
    with (folder / "installed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            making = factory.mktemp("installing")
            (making / "dist").mkdir()
            (making / "environment").mkdir()
            build_wheel(making / "dist")
            made.symlink_to(new_environment(making / "environment", making))
    return made.resolve()


def build_wheel(folder: Path) -> Path:
    """The wheel of the project as it is now, built from a copy beside the folder."""
    left_out = shutil.ignore_patterns(
        ".*", "*.egg-info", "__pycache__", "build", "dist", "benchmarks", "tests"
    )
    source = folder.with_name("source")
    shutil.copytree(ROOT, source, ignore=left_out)
    pip("wheel", "--no-deps", "--wheel-dir", folder, source)
    [found] = folder.glob("*.whl")
    return found


def new_environment(folder: Path, clone: Path) -> Path:
    """A new virtual environment with what the README's words install in a clone; its commands' folder.

    Of the clone there is `dist`. What the wheel requires is found among the packages of the tests'
    environment, and the rest in the index.
    """
    run(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=folder)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    lent = folder / "lent"
    lent.mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not path.name.lower().startswith(("anymail_postal", "__editable__", "pip", "__pycache__")):
            (lent / path.name).symlink_to(path)
    (Path(paths["purelib"]) / "lent.pth").write_text(str(lent), "utf-8")
    scripts = Path(paths["scripts"])
    for line in command_lines(ROOT / "README.md"):
        if line.startswith(INSTALL):
            words = run("sh", "-c", f"printf '%s\\n' {line.removeprefix(INSTALL)}", cwd=clone)
            pip("--python", scripts / "python", "install", *(clone / word for word in words.splitlines()))
    return scripts


def pip(*words: str | Path) -> None:
    """Run pip of the tests' environment; skip the test where there is none, or no index to reach.

    Fails with what pip says if that is anything else: a package that cannot be built, say.
    """
    if find_spec("pip") is None:
        skip_but_on_ci("pip is not installed here")
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--quiet", "--disable-pip-version-check"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = f"pip {' '.join(map(str, words))}:\n{done.stderr}"
        assert "No matching distribution found" in done.stderr, said
        skip_but_on_ci(f"no package index: {said[-300:]}")


def skip_but_on_ci(why: str) -> None:
    """Skip for want of something that a machine that tests changes has."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
