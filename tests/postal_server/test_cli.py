"""The command line: what it understands, and what it says to wrong use."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from postal_server import cli, conf
from postal_server.errors import ConfigurationError
from tests import commands
from tests.interop.daemons import may_mount

NOBODY = 65534


def postal_server(*words, folder, environ=None, given=""):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "POSTAL_"))}
    return commands.run(*words, folder=folder, environ=kept | (environ or {}), given=given)


SEVERAL = """
import contextlib, io, json, sys
from postal_server import cli
ends = []
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            status = cli.main(words)
        except SystemExit as end:
            status = end.code
    ends.append([status, said.getvalue()])
print(json.dumps(ends))
"""


def several(*commands, folder):
    """The status of each command and what it said as an error, all run by one process."""
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(commands)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def new_installation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new") / "installation"
    done = postal_server(
        "--config", "installation/postal.yml", "initialize", "--no-server", folder=folder.parent
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def installation(new_installation, tmp_path):
    """A folder of `initialize --no-server`, copied: to make one takes seconds."""
    return shutil.copytree(new_installation, tmp_path / "installation")


def test_without_a_command_it_lists_them_all(capsys):
    assert cli.main([]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in cli.COMMANDS)


def test_version_needs_no_installation(capsys, monkeypatch):
    monkeypatch.setenv("POSTAL_CONFIG_FILE_PATH", "/nothing/here.yml")
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{version('anymail-postal')}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fly"], "'fly' is not a command"),
        (["--config"], "--config needs the path"),
        (
            ["--confug", "x"],
            "'--confug' is not an option that may come before the command. Did you mean --config?",
        ),
        (["--verbose"], "'--verbose' is not an option"),
        (["initialise"], "'initialise' is not a command. Did you mean initialize?"),
        (["suppression"], "Did you mean suppressions?"),
        (["web-sever"], "Did you mean web-server?"),
    ],
)
def test_wrong_use_is_named_and_ends_with_2(words, said, capsys):
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err


def test_wrong_options_of_a_command_end_with_its_usage(tmp_path):
    (tmp_path / "postal.yml").write_text("version: 2\nrails: {secret_key: " + "s" * 40 + "}\n")
    done = postal_server("queue", "purge", "--nope", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: postal-server queue")
    assert "Traceback" not in done.stderr


def test_missing_configuration_is_one_line_without_a_traceback(tmp_path):
    """As the module is started, which all other tests here save."""
    done = subprocess.run(
        [sys.executable, "-m", "postal_server", "--config", "nothing.yml", "worker"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == cli.WRONG_CONFIGURATION == os.EX_CONFIG
    assert done.stderr == "postal-server: nothing.yml: there is no such configuration file.\n"


def test_wrong_configuration_is_one_line_that_names_the_key(tmp_path):
    (tmp_path / "postal.yml").write_text("version: 2\ndelivery: {mode: everywhere}\n")
    done = postal_server("version", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("postal-server: delivery.mode: 'everywhere'")
    assert "Traceback" not in done.stderr


HELP_OF_ALL = """
from postal_server import cli
for name in (*cli.COMMANDS, *cli.ALIASES):
    try:
        cli.main([name, "--help"])
    except SystemExit as end:
        print("ended", name, end.code)
"""


def test_help_of_every_command_needs_no_installation(tmp_path):
    (tmp_path / "postal.yml").write_text("version: 2\ndelivery: {mode: everywhere}\n")
    broken = {
        "DELIVERY_MODE": "nowhere",
        "RAILS_SECRET_KEY_FILE": "nothing",
        "SMTP_PORT": "tcp://10.0.0.7:25",
    }
    environ = {**os.environ, **broken, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", HELP_OF_ALL], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.stderr == ""
    for name in (*cli.COMMANDS, *cli.ALIASES):
        assert f"usage: postal-server {name}" in done.stdout
        assert f"ended {name} 0" in done.stdout
    assert os.listdir(tmp_path) == ["postal.yml"]


def test_initialize_says_which_file_it_cannot_make(tmp_path):
    (tmp_path / "file").touch()
    done = postal_server("--config", "file/postal.yml", "initialize", folder=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"postal-server: /.*: cannot be made \(.*\)\.\n", done.stderr)


@pytest.mark.parametrize("name", ["upgrade", "initialize", "worker"])
def test_a_database_that_cannot_be_used_is_named(name, tmp_path):
    (tmp_path / "postal.sqlite3").write_text("something else")
    (tmp_path / "postal.yml").write_text("version: 2\nrails: {secret_key: " + "s" * 40 + "}\n")
    done = postal_server(name, folder=tmp_path)
    assert done.returncode == 1
    why = f"file is not a database ({tmp_path / 'postal.sqlite3'})"
    assert f"storage.url: the database cannot be used: {why}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_server_that_does_not_answer_is_one_line(tmp_path):
    pytest.importorskip("psycopg")
    (tmp_path / "secret").write_text("postgresql://postal:hidden@127.0.0.1:1/postal\n")
    environ = {"STORAGE_URL_FILE": "secret", "RAILS_SECRET_KEY": "s" * 40}
    done = postal_server("worker", folder=tmp_path, environ=environ)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("postal-server: storage.url: the database cannot be used: connection failed: ")
    assert "hidden" not in line


def test_a_signing_key_that_is_none_is_named(installation):
    (installation / "signing.key").write_text("something else")
    commands = [["default-dkim-record"], ["run"], ["web"], ["worker"]]
    for words, (status, said) in zip(commands, several(*commands, folder=installation), strict=True):
        assert status == (cli.WRONG_CONFIGURATION if words[0] in cli.PROCESSES else 1), words
        assert "signing.key: not a signing key" in said, words
        assert "Traceback" not in said, words


def test_what_may_change_without_the_configuration_is_worth_another_start(installation):
    """A supervisor starts a process again that ends with 1."""
    environ = {"SMTP_SERVER_DEFAULT_PORT": "0", "SMTP_SERVER_SUBMISSION_PORT": "0"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ["DELIVERY_CATCH_PORT"] = str(taken.getsockname()[1])
        done = postal_server("smtp", folder=installation, environ=environ)
    assert done.returncode == 1
    assert "delivery.catch_port: " in done.stderr
    done = postal_server(
        "smtp", folder=installation, environ={**environ, "DELIVERY_CATCH_HOST": "nowhere.invalid"}
    )
    assert done.returncode == 1
    assert "delivery.catch_host: nowhere.invalid: " in done.stderr


def test_sigterm_ends_the_first_process_of_a_container_before_it_serves(tmp_path):
    may_mount()
    configuration = tmp_path / "postal.yml"
    os.mkfifo(configuration)
    words = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "postal_server", "run"]
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd(), conf.PATH_VARIABLE: str(configuration)},
    )
    try:
        with configuration.open("w"):  # returns once it reads, and does not let it come to an end
            [first] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(first), signal.SIGTERM)
            assert process.wait(20) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()


def test_make_user_without_anybody_to_ask(installation):
    done = postal_server("make-user", folder=installation)
    assert done.returncode == 1
    assert "give --email and --password-stdin" in done.stderr
    assert "Traceback" not in done.stderr


WRONG_VALUES = {
    ("make-user", "--email", "root"): "postal-server: 'root' is not an e-mail address.",
    ("test-app-smtp", "root"): "argument address: 'root' is not an address such as ann@example.com",
    ("queue", "suspend", "--destination", "a b"): "--destination: 'a b' is not a destination such as",
    ("queue", "flush", "--destination", "me@a.test"): "--destination: 'me@a.test' is not a destination",
}


def test_a_value_that_is_none_is_named(installation):
    ends = several(*WRONG_VALUES, folder=installation)
    for (words, wanted), (status, said) in zip(WRONG_VALUES.items(), ends, strict=True):
        assert status in (1, 2), words
        assert wanted in said, words


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as somebody else")
def test_an_installation_of_another_user_is_named_as_such(installation):
    try:
        os.seteuid(NOBODY)
        with pytest.raises(ConfigurationError, match=r"postal\.yml: cannot be read: Permission denied"):
            conf.load(installation / "postal.yml", {})
    finally:
        os.seteuid(0)


def test_a_command_does_not_load_the_administration(installation):
    """To load it takes as long as everything else of most commands."""
    code = "import sys\nfrom postal_server import cli\ncli.main(['webhooks', 'list'])\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=installation,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "postal_server.models" in done.stdout.split(), done.stderr
    assert "postal_server.admin" not in done.stdout.split()


def test_missing_extra_is_named():
    code = (
        "import sys; sys.modules['yaml'] = None\n"
        "from postal_server.cli import main; sys.exit(main(['version']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'anymail-postal[server]'" in done.stderr


def test_initialize_makes_an_installation_and_can_be_run_again(tmp_path):
    first = postal_server("initialize", "--domain", "example.test", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "API key" in first.stdout
    assert {"postal.yml", "signing.key", "secret.key", "postal.sqlite3"} <= set(os.listdir(tmp_path))
    again = postal_server("initialize", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "API key" not in again.stdout


def test_database_that_is_not_there_says_what_to_do(tmp_path):
    (tmp_path / "postal.yml").write_text("version: 2\nrails: {secret_key: " + "s" * 40 + "}\n")
    done = postal_server("make-user", "--email", "a@example.test", folder=tmp_path)
    assert done.returncode == 1
    assert "Run `postal-server initialize` first" in done.stderr


def test_make_user_makes_an_administrator_once(installation):
    words = ["make-user", "--email", "a@example.test", "--password-stdin"]
    runs = [postal_server(*words, folder=installation, given="correct horse battery\n") for _ in range(2)]
    assert runs[0].returncode == 0, runs[0].stderr
    assert runs[1].returncode == 1
    assert "There is a user a@example.test already" in runs[1].stderr


def test_default_dkim_record_is_the_public_half_of_the_signing_key(installation):
    done = postal_server("default-dkim-record", folder=installation)
    assert done.stdout.startswith('postal._domainkey.rp.localhost. IN TXT "v=DKIM1; t=s; h=sha256; p=MII')


def modes(folder):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}


def test_file_modes_of_a_new_installation_are_the_owners_alone(new_installation):
    found = modes(new_installation)
    assert found.pop("installation") == 0o700
    assert "postal.sqlite3" in found
    assert set(found.values()) == {0o600}, found


@pytest.mark.parametrize("name", ["initialize", "upgrade"])
def test_file_modes_of_an_existing_installation_are_mended(name, installation):
    for path in (installation, *installation.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    done = postal_server(name, folder=installation)
    assert f"only for its owner from now on: {installation / 'postal.sqlite3'}" in done.stdout
    found = modes(installation)
    assert (found["installation"], found["postal.sqlite3"], found["postal.yml"]) == (0o700, 0o600, 0o600)


def test_file_modes_start_up_warns_of_what_others_can_open(installation):
    (installation / "postal.sqlite3").chmod(0o644)
    (installation / "signing.key").write_text("something else, so that it does not start")
    done = postal_server("worker", folder=installation)
    database = installation / "postal.sqlite3"
    assert f"{database}: other users of this machine can open it (mode 0644)" in done.stderr
    assert "postal.yml" not in done.stderr


def test_a_service_needs_systemd(installation, tmp_path):
    done = postal_server(
        "--config",
        "installation/postal.yml",
        "service",
        "install",
        folder=tmp_path,
        environ={"PATH": str(tmp_path)},
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("postal-server: There is no systemd on this machine: ")
