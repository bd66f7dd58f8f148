"""Every command of the README does what it says, and its code runs (`make test` is what runs this)."""

from __future__ import annotations

import ast
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from postal_server.testing import RunningServer

from .installed import SECONDS, commands_of_new_environment, environment, run
from .readme import ROOT, blocks, commands

README = ROOT / "README.md"
COMMANDS = commands(README)
CODE = [block.text for block in blocks(README, "python")]
SETTINGS, NOTIFY, IMPORTS, TEST = CODE


def command(*start: str) -> list[str]:
    """The README's only command that begins with these words."""
    [found] = [words for words in COMMANDS if words[: len(start)] == list(start)]
    return found


# --- make ---

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
def test_make_alone_lists_every_command() -> None:
    listed = re.findall(r"^  make (\S+)", run("make", cwd=ROOT), re.MULTILINE)
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert listed == targets
    assert {"demo", "test", "docs"} <= set(listed)


@needs_make
@pytest.mark.parametrize(
    ("words", "recipe"),
    [
        pytest.param(["demo"], r"bin/python -m demo ?$", id="demo"),
        pytest.param(["demo", "KEEP=1"], r"bin/python -m demo --keep$", id="demo KEEP=1"),
        pytest.param(["test"], r"bin/python -m tests ?$", id="test"),
        pytest.param(["dist"], r"bin/uv build --quiet --out-dir dist$", id="dist"),
        pytest.param(["docs"], r"bin/python -m sphinx -W .* docs docs/_build/html$", id="docs"),
    ],
)
def test_make_runs_what_is_tested(words: list[str], recipe: str) -> None:
    said = run("make", "--dry-run", *words, cwd=ROOT, env=environment()).rstrip("\n").splitlines()
    assert re.search(recipe, said[-1])


def test_the_make_commands_shown_are_those_tested() -> None:
    shown = {" ".join(words) for words in COMMANDS if words[0] == "make"}
    named = set(re.findall(r"`(make(?: [\w=]+)*)`", README.read_text("utf-8")))
    assert shown | named == {"make", "make demo", "make demo KEEP=1", "make dist", "make test", "make docs"}


def test_demo_shows_all_steps_and_leaves_everything_running_when_asked() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", "--keep"],
        cwd=ROOT,
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            said += line
            if line.startswith("Ctrl-C"):
                break
        assert "All 9 steps done" in said
        [steps] = [block.text for block in blocks(README, "text")]
        assert steps in "".join(re.findall(r"^\d\. .*\n", said, re.MULTILINE))
        for name in ("the app", "the mail server"):
            url = re.search(rf"{name} +(\S+)", said)
            assert url, said
            assert requests.get(url[1], timeout=10).ok
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=SECONDS)
        watchdog.cancel()
    assert process.returncode == 130, said + rest


@pytest.mark.drill  # the test above runs the same steps; `make demo` in `.ci/run` has to end with status 0
def test_demo_ends_with_status_0() -> None:
    said = run(sys.executable, "-m", "demo", cwd=ROOT, env=environment())
    assert [line[0] for line in said.splitlines() if re.match(r"\d\. ", line)] == list("123456789")


# --- pip install, and what it installs; the server itself is begun and used in `tests/story` ---


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel, installed by the README's words; its folder of commands."""
    return commands_of_new_environment(tmp_path_factory)


def test_pip_install_brings_both_packages_complete(installed: Path) -> None:
    where = "import anymail_postal, postal_server as s; print(anymail_postal.__path__[0], s.__path__[0])"
    for folder in map(Path, run(str(installed / "python"), "-c", where, cwd=installed).split()):
        assert installed.parent in folder.parents
        assert files(folder) == files(ROOT / folder.name)


def files(package: Path) -> set[Path]:
    """All that a package consists of."""
    found = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    return {path for path in found if "__pycache__" not in path.parts}


def test_initialize_mends_what_was_left_out_before(installed: Path, tmp_path: Path) -> None:
    """Who began with a shorter command gets a webhook and a route from the README's."""
    env = environment(SMTP_SERVER_DEFAULT_PORT="0", WEB_SERVER_DEFAULT_PORT="0")
    whole = command("postal-server", "initialize")
    program = str(installed / whole[0])
    begun = whole[: whole.index("--webhook")]
    run(program, *begun[1:], cwd=tmp_path, env=env)
    assert "webhook" not in run(program, "webhooks", "list", cwd=tmp_path, env=env)
    said = run(program, *whole[1:], cwd=tmp_path, env=env)
    for each in ("webhook", "route reply@example.test"):
        assert each in said
    assert "127.0.0.1" in run(program, "webhooks", "list", cwd=tmp_path, env=env)


def test_settings_fit_the_command_that_initializes_the_server() -> None:
    """Else webhooks are refused, and replies find no route."""
    words = command("postal-server", "initialize")
    options = dict(itertools.pairwise(words))
    settings = project_settings()
    for option in ("--webhook", "--inbound"):
        url = urlsplit(options[option])
        assert settings["WEBHOOK_SECRET"] == f"{url.username}:{url.password}"
    assert settings["POSTAL_REPLY_DOMAIN"] == options["--domain"]


def project_settings() -> dict[str, object]:
    """`ANYMAIL` in the README's settings."""
    tree = ast.parse(SETTINGS.replace("[..., ", "["))
    values = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    found: dict[str, object] = ast.literal_eval(values["ANYMAIL"])
    return found


# --- the code, in a project of its own ---

FRAME = """\
SECRET_KEY = "a-secret-key-for-tests-only-0123456789-abcdef"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
USE_TZ = True
STATIC_URL = "static/"
DEBUG = False
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "project.sqlite3"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "cache"}}
"""
CONFTEST = """\
import pytest
from django.contrib.auth import get_user_model


@pytest.fixture
def bob(transactional_db):
    return get_user_model().objects.create(username="bob", email="bob@example.com")


@pytest.fixture
def conversation(bob):
    return bob  # any object with an id
"""


BROKEN = """\
import pytest
from test_readme import *

CHANGES = {"stripped": {"POSTAL_STRIP_REPLIES": False}, "large": {"POSTAL_INBOUND_MAX_BYTES": 10}}


@pytest.fixture(autouse=True, params=CHANGES)
def broken(request, settings):
    settings.ANYMAIL = {**settings.ANYMAIL, **CHANGES[request.param]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Django project with the README's settings, URLs and code."""
    folder = tmp_path_factory.mktemp("project")
    settings, urls = SETTINGS.split("# urls.py\n")
    apps = '"django.contrib.auth", "django.contrib.contenttypes"'
    assert "[..., " in settings
    (folder / "settings.py").write_text(FRAME + settings.replace("[..., ", f"[{apps}, "), "utf-8")
    (folder / "urls.py").write_text(f"from django.urls import include, path\n\n{urls}", "utf-8")
    (folder / "manage.py").write_text(
        textwrap.dedent(
            """\
            import sys
            from django.core.management import execute_from_command_line

            execute_from_command_line(sys.argv)
            """
        ),
        "utf-8",
    )
    (folder / "conftest.py").write_text(CONFTEST, "utf-8")
    (folder / "test_readme.py").write_text(f"{IMPORTS}{NOTIFY}\n\n{TEST}", "utf-8")
    return folder


def test_settings_pass_the_checks(project: Path) -> None:
    env = environment(DJANGO_SETTINGS_MODULE="settings", PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "ERROR"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # Notes that leave a choice, and no warnings.
    assert set(re.findall(r"anymail_postal\.(\w+)\)", done.stderr)) == {"I001", "I002"}


def test_code_and_postal_check_hold_against_a_server(project: Path, postal_server: RunningServer) -> None:
    postal = postal_server.add()
    (project / "with_server.py").write_text(
        f"from settings import *\n\nANYMAIL |= {{'POSTAL_API_URL': {postal.url!r}, "
        f"'POSTAL_API_KEY': {postal.api_key!r}}}\nDEFAULT_FROM_EMAIL = 'me@{postal.domain}'\n",
        "utf-8",
    )
    env = environment(DJANGO_SETTINGS_MODULE="with_server", PYTHONPATH=str(ROOT))
    said = run(sys.executable, "manage.py", "postal_check", cwd=project, env=env)
    assert f"mail may be sent from me@{postal.domain}" in said
    assert "is published at" in said
    assert "note  delivery: the server catches all mail" in said


@pytest.fixture(scope="module")
def tested(project: Path) -> str:
    """What pytest says of the README's test: as it is, and where the reply comes to nothing."""
    (project / "test_broken.py").write_text(BROKEN, "utf-8")
    env = environment(PYTHONPATH=f"{project}{os.pathsep}{ROOT}")
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--ds", "settings", "--rootdir", str(project)]
    done = subprocess.run(
        [sys.executable, *words, "test_readme.py", "test_broken.py"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_test_with_the_fixture_passes(tested: str) -> None:
    assert "2 failed, 1 passed" in tested, tested


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param("stripped", "None", id="no text without what is quoted"),
        pytest.param("large", "The application did not take it", id="refused"),
    ],
)
def test_test_with_the_fixture_proves_the_reply(tested: str, change: str, said: str) -> None:
    """It fails where the reply comes to nothing, and says why."""
    [report] = re.findall(rf"(?ms)^_+ [^\n]*\[{change}\] _+$.*?(?=^_+ [^\n]* _+$|^=)", tested)
    assert said in report
