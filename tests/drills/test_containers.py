"""The page on containers, command by command, on a machine with Podman: from nothing to delivered mail.

The tests are the chapters of one story, in their order. `tests/test_compose.py` says what compose reads.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..certificates import write_certificate
from ..installed import pip
from ..readme import ROOT, blocks, command_lines
from .container_machine import DEBIAN, ContainerMachine, machine

pytestmark = [pytest.mark.drill]

PAGE = ROOT / "docs/containers.md"
LINES = command_lines(PAGE)
SETTINGS, HOOK = (block.text for block in blocks(PAGE, "sh"))
HOOK_PATH = "/etc/letsencrypt/renewal-hooks/deploy/postal"
LINEAGE = "/etc/letsencrypt/live/postal.example.com"
IMAGE, WEB = "localhost/anymail-postal", "http://127.0.0.1:5000"
ROLES = ["postal_web_1", "postal_smtp_1", "postal_worker_1", "postal_worker_2"]
# Left beside the project's files before the image is made: none of it belongs into a layer.
SECRET = "a-secret-that-lies-beside-the-containerfile"
LEFT_BESIDE = ["secrets/decoy", "postal/secret.key", "postal.yml", "signing.key", ".netrc", "postal.sqlite3"]
MOST_MIB = 180  # that the image adds to Debian; 153 when this was written
# The official image, which no registry provides here: the same variables, folders and port.
POSTGRES = f"""\
FROM {DEBIAN}
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-15 \\
    && install --directory --owner postgres /run/postgresql
ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data
RUN printf '%s\\n' '#!/bin/sh' 'set -e' \\
    'as() {{ setpriv --reuid postgres --regid postgres --clear-groups "$@"; }}' \\
    'install --directory --owner postgres --mode 0700 "$PGDATA"' \\
    'if [ ! -s "$PGDATA/PG_VERSION" ]; then' \\
    '  install --owner postgres --mode 0400 "$POSTGRES_PASSWORD_FILE" /tmp/password' \\
    '  as initdb -U "$POSTGRES_USER" -A scram-sha-256 --pwfile /tmp/password -E UTF8 --locale C' \\
    '  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"' \\
    '  echo "CREATE DATABASE $POSTGRES_DB" | as postgres --single postgres' \\
    'fi' \\
    'exec setpriv --reuid postgres --regid postgres --clear-groups postgres -c listen_addresses="*"' \\
    > /start && chmod +x /start
EXPOSE 5432
CMD ["/start"]
"""
SEND_BY_SMTP = """
import smtplib, ssl, sys
from email.message import EmailMessage
host, port, user, password, subject = sys.argv[1:]
mail = EmailMessage()
mail["From"], mail["To"], mail["Subject"] = "shop@example.com", "ann@example.net", subject
mail.set_content("Hello, Ann!")
context = ssl._create_unverified_context()
with smtplib.SMTP(host, int(port)) as client:
    client.starttls(context=context)
    client.login(user, password)
    client.send_message(mail)
"""
CERTIFICATE = """
import smtplib, ssl, sys
port, kind = int(sys.argv[1]), sys.argv[2]
context = ssl._create_unverified_context()
if kind == "smtps":
    client = smtplib.SMTP_SSL("127.0.0.1", port, context=context)
else:
    client = smtplib.SMTP("127.0.0.1", port)
    client.starttls(context=context)
print(ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(True)))
"""


class Story:
    """The machine, what `initialize` has printed there, and which commands of the page were run."""

    def __init__(self, given: ContainerMachine) -> None:
        self.machine = given
        self.done: set[str] = set()
        self.keys: dict[str, str] = {}
        self.host = "localhost"  # of requests: the server answers for its own name alone

    def line(self, *start: str) -> str:
        """The page's only command that begins with this."""
        [found] = {line for line in LINES if line.startswith(" ".join(start))}
        self.done.add(found)
        return found

    def run(self, *start: str, **environment: str) -> str:
        return self.machine.run(self.line(*start), **environment)

    def initialize(self, *start: str) -> None:
        said = self.run(*start)
        found = re.search(r"API key +(\S+)", said), re.search(r"SMTP key +(\S+)", said)
        assert all(found), said
        self.keys = {"api": found[0][1], "smtp": found[1][1]}  # type: ignore[index]

    def ask(self, call: str, **parameters: Any) -> Any:
        """What the API answers."""
        headers = f"--header 'X-Server-API-Key: {self.keys['api']}' --header 'Host: {self.host}'"
        body = f"--json '{json.dumps(parameters)}'"
        answer = json.loads(self.machine.run(f"curl --fail --silent {headers} {body} {WEB}/api/v1/{call}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def send_first_mail(self) -> int:
        """The number of the message that the page's command sends."""
        answer = json.loads(self.run("curl", API_KEY=self.keys["api"]))
        assert answer["status"] == "success", answer
        return int(answer["data"]["messages"]["ann@example.net"]["id"])

    def send(self, recipient: str) -> int:
        """The number of another message."""
        mail = {
            "from": "shop@example.com",
            "to": [recipient],
            "subject": "Hello again",
            "plain_body": "Hello!",
        }
        return int(self.ask("send/message", **mail)["messages"][recipient]["id"])

    def send_by_smtp(self, subject: str, port: int = 2525) -> None:
        given = ("127.0.0.1", str(port), "example/main", self.keys["smtp"], subject)
        self.machine.python(SEND_BY_SMTP, *given)

    def is_sent(self, message: int) -> bool:
        return [each["status"] for each in self.ask("messages/deliveries", id=message)] == ["Sent"]

    def subjects(self, container: str) -> list[str]:
        """Of caught mail, in the order of its arrival."""
        code = (
            "import json; from postal_server.models import CaughtMail; "
            "print(json.dumps(list(CaughtMail.objects.order_by('pk').values_list('subject', flat=True))))"
        )
        said = self.machine.run(f'podman exec {container} postal-server console --command "{code}"')
        found: list[str] = json.loads(said.splitlines()[-1])
        return found

    def is_healthy(self, container: str) -> bool:
        return self.machine.attempt(f"podman healthcheck run {container}").returncode == 0

    def logs(self, *containers: str) -> list[dict[str, Any]]:
        """What the containers have logged on standard output: JSON, a line each."""
        lines = [
            line
            for container in containers
            for line in self.machine.run(f"podman logs {container} 2>/dev/null").splitlines()
        ]
        return [json.loads(line) for line in lines]


def wait_until(true: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with machine() as made:
        for name in LEFT_BESIDE:
            path = made.project / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(SECRET)
        yield Story(made)


def test_the_image_is_made_and_small(story: Story, record_property: Callable[[str, object], None]) -> None:
    started_at = time.monotonic()
    story.machine.run(story.line("docker compose build"), has_internet=True)
    record_property("seconds", round(time.monotonic() - started_at))
    sizes = [
        int(story.machine.run(f"podman image inspect -f '{{{{.Size}}}}' {name}")) for name in (IMAGE, DEBIAN)
    ]
    mib = (sizes[0] - sizes[1]) / 2**20
    record_property("mib", round(mib))
    print(f"{sizes[0] / 2**20:.0f} MiB, {mib:.0f} more than Debian, in {time.monotonic() - started_at:.0f} s")
    assert mib < MOST_MIB


def test_the_image_says_how_it_is_run(story: Story) -> None:
    [image] = json.loads(story.machine.run(f"podman image inspect {IMAGE}"))
    given = image["Config"]
    assert given["User"] == "10001:10001"
    assert given["Entrypoint"] == ["postal-server"]
    assert given["Cmd"] == ["run"]
    assert given["StopSignal"] == "SIGTERM"
    assert list(given["Volumes"]) == ["/data"]
    assert given["Labels"]["org.opencontainers.image.title"] == "anymail-postal"
    assert image["Healthcheck"]["Test"] == ["CMD", "postal-server", "health"]


def test_its_packages_are_there_for_arm64_too(tmp_path: Path) -> None:
    glibc = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)]  # Debian 12 has 2.36
    platforms = [word for name in (*glibc, "manylinux2014_aarch64") for word in ("--platform", name)]
    wanted = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", ROOT / "constraints.txt"]
    pip("download", *wanted, *platforms, "--python-version", "3.11", "--dest", tmp_path)
    names = [path.name for path in tmp_path.iterdir()]
    assert all(name.endswith(("-any.whl", "_aarch64.whl")) for name in names)
    assert len([name for name in names if name.endswith("_aarch64.whl")]) > 5


def test_no_layer_has_a_secret_or_a_tool_for_making_the_image(story: Story) -> None:
    archive, layers = story.machine.folder / "image.tar", story.machine.folder / "layers"
    story.machine.run(f"podman save --format docker-archive --output {archive} {IMAGE}")
    names, number = set(), 0
    with tarfile.open(archive) as whole:
        whole.extractall(layers)
    for layer in layers.glob("*.tar"):
        assert SECRET.encode() not in layer.read_bytes()
        number += 1
        with tarfile.open(layer) as content:
            names |= set(content.getnames())
    assert number > 1
    programs = {Path(name).name for name in names if "/bin/" in f"/{name}"}
    assert "postal-server" in programs
    assert not programs & {"pip", "pip3", "gcc", "cc", "make", "curl"}
    assert not {
        name for name in names if Path(name).name in ("secret.key", "signing.key", "postal.yml", ".env")
    }
    assert not {name for name in names if name.startswith(("root/.cache", "build/"))}
    shutil.rmtree(layers)
    archive.unlink()


def test_one_container_starts_and_delivers_the_first_mail(story: Story) -> None:
    for name in LEFT_BESIDE:
        (story.machine.project / name).unlink()
    (story.machine.project / "secrets").rmdir()
    story.initialize("docker compose run --rm postal initialize --domain")
    story.run("docker compose up --detach")
    wait_until(lambda: story.is_healthy("postal_postal_1"))
    assert story.run("docker compose exec postal postal-server health").strip() == "run is ready"
    message = story.send_first_mail()
    wait_until(lambda: story.is_sent(message))
    story.send_by_smtp("By SMTP")
    wait_until(lambda: len(story.subjects("postal_postal_1")) == 2)
    assert story.subjects("postal_postal_1") == ["Hello", "By SMTP"]


def test_what_is_logged_is_json_on_standard_output(story: Story) -> None:
    logged = story.logs("postal_postal_1")
    assert all({"time", "level", "logger", "message"} <= set(entry) for entry in logged)
    assert any("is ready after" in entry["message"] for entry in logged)
    assert "is ready after" in story.run("docker compose logs postal")


def test_it_has_no_rights_and_can_write_to_its_volume_alone(story: Story) -> None:
    inside = "podman exec postal_postal_1"
    status = story.machine.run(f"{inside} cat /proc/1/status")
    assert re.search(r"^Uid:\t10001\t", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    for folder in ("/", "/opt/postal", "/etc", "/certificates"):
        assert "Read-only" in story.machine.attempt(f"{inside} touch {folder}/file").stderr, folder
    for folder in ("/data", "/tmp"):
        story.machine.run(f"{inside} touch {folder}/file")
    modes = story.machine.run(f"{inside} stat --format '%a %U' /data /data/postal.sqlite3 /data/secret.key")
    assert modes.splitlines() == ["700 postal", "600 postal", "600 postal"]


def test_commands_run_in_a_container_of_their_own_and_in_the_one_that_runs(story: Story) -> None:
    answers = {
        "address": "root@example.com",
        "Password:": "correct horse battery",
        "again": "correct horse battery",
    }
    assert "Made root@example.com" in story.machine.run_at_a_terminal(
        story.line("docker compose run --rm postal make-user"), answers
    )
    story.run("docker compose exec postal postal-server queue list")
    assert "postal_postal_1" in story.run("docker compose ps")


def test_settings_and_certificates_for_production_are_taken(story: Story) -> None:
    settings = story.machine.project / ".env"
    settings.write_text(SETTINGS)
    story.machine.run(f"mkdir --parents {LINEAGE} {Path(HOOK_PATH).parent}")
    new_certificate(story)
    (story.machine.folder / "hook").write_text(HOOK)
    story.machine.run(f"cp {story.machine.folder}/hook {HOOK_PATH}")
    assert HOOK.splitlines()[1] == f"# {HOOK_PATH}"
    story.run("chmod +x")
    story.run("RENEWED_LINEAGE=")
    production = story.line("docker compose run --rm postal initialize --production")
    said = story.machine.run_at_a_terminal(production, {"Database (": "", "Go on?": "y"})
    assert "delivery.mode: mx instead of catch" in said
    assert "postal._domainkey.rp.postal.example.com." in said
    # There are no other mail hosts in this machine's network.
    settings.write_text(f"{SETTINGS}DELIVERY_MODE=catch\n")
    story.run("docker compose up --detach")
    story.host = "postal.example.com"
    wait_until(lambda: story.is_healthy("postal_postal_1"))
    for port, kind in ((25, "smtp"), (587, "smtp"), (465, "smtps")):
        assert story.machine.python(CERTIFICATE, str(port), kind).strip() == certificate(story)
    story.send_by_smtp("Submitted", port=587)
    wait_until(lambda: "Submitted" in story.subjects("postal_postal_1"))


def test_a_renewed_certificate_is_used_from_the_next_connection_on(story: Story) -> None:
    old = certificate(story)
    new_certificate(story)
    assert certificate(story) != old
    story.run("RENEWED_LINEAGE=")
    time.sleep(1.1)
    for port, kind in ((25, "smtp"), (587, "smtp"), (465, "smtps")):
        assert story.machine.python(CERTIFICATE, str(port), kind).strip() == certificate(story)


def new_certificate(story: Story) -> None:
    """What certbot leaves: files that only root can read."""
    made = story.machine.folder / "lineage"
    made.mkdir(exist_ok=True)
    chain, key = write_certificate(made, "mx.postal.example.com")
    story.machine.run(f"install --mode 0600 {chain} {LINEAGE}/fullchain.pem")
    story.machine.run(f"install --mode 0600 {key} {LINEAGE}/privkey.pem")


def certificate(story: Story) -> str:
    return story.machine.run(f"cat {LINEAGE}/fullchain.pem").strip()


def test_an_upgrade_keeps_mail_and_what_waits(story: Story) -> None:
    kept = story.subjects("postal_postal_1")
    story.machine.run(
        "podman exec postal_postal_1 postal-server queue suspend --destination example.org --reason x"
    )
    waiting = story.send("bob@example.org")
    story.machine.run(story.line("docker compose build"), has_internet=True)
    story.run("docker compose stop")
    story.run("docker compose run --rm postal upgrade")
    story.run("docker compose up --detach")
    wait_until(lambda: story.is_healthy("postal_postal_1"))
    assert story.subjects("postal_postal_1") == kept
    story.machine.run("podman exec postal_postal_1 postal-server queue resume --destination example.org")
    wait_until(lambda: story.is_sent(waiting))


def test_a_killed_server_starts_again_with_its_mail(story: Story) -> None:
    message = story.send("ann@example.net")
    pid = story.machine.run("podman inspect --format '{{.State.Pid}}' postal_postal_1").strip()
    story.machine.run(f"kill -KILL {pid}")
    wait_until(lambda: story.is_healthy("postal_postal_1"))
    assert story.machine.run("podman inspect --format '{{.State.Pid}}' postal_postal_1").strip() != pid
    wait_until(lambda: story.is_sent(message))


def test_postgresql_with_a_container_for_each_role(story: Story) -> None:
    story.run("docker compose down")
    # From here on as on another machine: all is caught, in a new installation.
    story.machine.run("docker compose down --volumes")
    (story.machine.project / ".env").unlink(missing_ok=True)
    story.host = "localhost"
    story.machine.make_image("docker.io/library/postgres:17-bookworm", POSTGRES)
    for line in (
        "install --directory",
        *(f"openssl rand -hex 32 > secrets/{n}" for n in ("postgres_password", "secret_key")),
    ):
        story.run(line)
    for line in ("echo", "chown", "chmod 0400"):
        story.run(line)
    story.run("docker compose --profile postgres up --detach postgres")
    wait_until(lambda: story.is_healthy("postal_postgres_1"))
    story.initialize("docker compose --profile postgres run --rm web initialize")
    story.run("docker compose --profile postgres up --detach web smtp worker")
    running = story.machine.run("podman ps --format '{{.Names}}'").split()
    assert sorted(running) == sorted([*ROLES, "postal_postgres_1"])
    for name in ROLES:
        wait_until(lambda name=name: story.is_healthy(name))  # type: ignore[misc]
    message = story.send_first_mail()
    story.send_by_smtp("By SMTP")
    wait_until(lambda: story.is_sent(message))
    wait_until(lambda: len(story.subjects("postal_smtp_1")) == 2)
    assert all(story.logs(*ROLES))


def test_secrets_are_in_no_environment_and_process_list(story: Story) -> None:
    project = story.machine.project
    secrets = [path.read_text().strip() for path in (project / "secrets").iterdir()]
    assert len(secrets) == 3
    seen = story.machine.run("podman inspect " + " ".join(ROLES))
    seen += "".join(
        story.machine.run(f"podman exec {name} cat /proc/1/environ /proc/1/cmdline") for name in ROLES
    )
    seen += story.machine.run("ps -e -o args")
    assert "/run/secrets/storage_url" in seen
    assert not [secret for secret in secrets if secret in seen]


def test_one_worker_is_enough_while_the_other_is_away(story: Story) -> None:
    story.machine.run("podman stop postal_worker_1")
    message = story.send_first_mail()
    wait_until(lambda: story.is_sent(message))


def test_more_workers(story: Story) -> None:
    story.run("docker compose --profile postgres up --detach --scale worker=4")
    for number in range(1, 5):
        wait_until(lambda number=number: story.is_healthy(f"postal_worker_{number}"))  # type: ignore[misc]


def test_all_commands_of_the_page_were_run(story: Story) -> None:
    assert set(LINES) == story.done
