"""Chapter 9: production, in a folder of its own: a mail by a relay, its reply and late bounce, and a restore.

The commands are those of the page, without what only root has: another user, ports below 1024, systemd. The
drill of `tests/drills/test_production.py` has all of that.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from aiosmtpd.controller import Controller

from postal_server import conf
from postal_server.installation.service import Service
from postal_server.testing import free_ports

from ..installed import environment, run, started
from ..our_webhooks import Posts, taking
from ..readme import ROOT, commands
from . import talk
from .stranger import Stranger, read, wait_for

PAGE = ROOT / "docs/production.md"
AS_POSTAL = ["runuser", "-u", "postal", "--"]
BOB = "bob@example.net"
MAIL = {"to": [BOB], "from": "hello@example.com", "subject": "New message", "plain_body": "Hello"}
REPLY = "From: bob@example.net\nTo: reply+token@example.com\nSubject: Re: New message\n\nThank you!\n"


@dataclass(frozen=True)
class Taken:
    """A mail that a relay took."""

    sender: str
    content: bytes


@dataclass(frozen=True)
class Sent(Taken):
    """A mail that has left, with the id that the API gave it."""

    id: int


class Relay:
    """Takes everything. aiosmtpd's hooks."""

    def __init__(self) -> None:
        [self.port] = free_ports(1)
        self.taken: list[Taken] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append(Taken(envelope.mail_from, envelope.content))
        return "250 2.0.0 OK"


@dataclass
class Installation:
    """An installation for production in `folder`, with the programs in `scripts`."""

    folder: Path
    scripts: Path
    web: int
    smtp: int
    said: str = ""

    @property
    def env(self) -> dict[str, str]:
        return environment(
            POSTAL_CONFIG_FILE_PATH=str(self.folder / "postal.yml"),
            SMTP_SERVER_SUBMISSION_PORT="0",
            SMTP_SERVER_IMPLICIT_TLS_PORT="0",
            WORKER_DEFAULT_HEALTH_SERVER_PORT="0",
            PATH=f"{self.scripts}:/usr/bin:/bin",
        )

    def run(self, *words: str, given: str | None = None) -> str:
        return run(str(self.scripts / words[0]), *words[1:], cwd=self.folder, env=self.env, given=given)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """While the command goes on that its unit has."""
        path = self.folder / "postal.yml"
        unit = Service(self.scripts / "postal-server", conf.load(path, {})).units()
        [text] = [text for name, text in unit.items() if name.name == "postal-server.service"]
        [command] = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
        with started(shlex.split(command), self.folder, self.env, f"{self.url}/health"):
            yield

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web}"

    def call(self, path: str, **parameters: Any) -> Any:
        [key] = re.findall(r"API key +(\S+)", self.said)
        headers = {"X-Server-API-Key": key, "Host": "postal.example.com"}
        answer = requests.post(
            f"{self.url}/api/v1/{path}", json=parameters, headers=headers, timeout=10
        ).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def post(self, sender: str, recipient: str, mail: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp) as client:
            client.sendmail(sender, [recipient], mail.replace("\n", "\r\n").encode())


def command(*start: str) -> list[str]:
    """The page's command of the user `postal` that begins so."""
    [found] = [words for words in commands(PAGE) if words[: 4 + len(start)] == [*AS_POSTAL, *start]]
    return found[4:]


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    found = Relay()
    controller = Controller(found, hostname="127.0.0.1", port=found.port)
    controller.start()
    yield found
    controller.stop()


@pytest.fixture(scope="module")
def posts() -> Iterator[Posts]:
    """What the project is told."""
    with taking() as found:
        yield found


@pytest.fixture(scope="module")
def first(
    installed: Stranger, relay: Relay, posts: Posts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The installation, made and running."""
    web, smtp = free_ports(2)
    made = Installation(tmp_path_factory.mktemp("postal"), installed.scripts, web, smtp)
    here = ["--web-port", str(web), "--smtp-port", str(smtp), "--relay", f"smtp://127.0.0.1:{relay.port}"]
    words = command("postal-server", "initialize", "--production")
    made.said = made.run(*words, *here, given=f"{posts.url}tracking\n{posts.url}inbound\n")
    with made.running():
        yield made


@pytest.fixture(scope="module")
def sent(first: Installation, relay: Relay) -> Sent:
    """A mail that has left."""
    message = first.call("send/message", **MAIL)["messages"][BOB]
    taken = wait_for(lambda: relay.taken, "the mail")[0]
    return Sent(taken.sender, taken.content, message["id"])


@pytest.fixture(scope="module")
def bounced(first: Installation, sent: Sent, posts: Posts) -> None:
    """The mail has come back, and the project knows of it."""
    assert sent.sender.endswith("@rp.postal.example.com")
    first.post("", sent.sender, talk.report(read(sent.content), sent.sender, BOB))
    wait_for(lambda: "MessageBounced" in events(posts), "the bounce")


def test_it_names_the_records_and_what_comes_next(first: Installation) -> None:
    assert "rp.postal.example.com." in first.said
    assert "It may send from addresses at example.com only" in first.said
    assert "postal_check" in first.said


def test_mail_leaves_signed_and_the_project_hears_of_it(sent: Sent, posts: Posts) -> None:
    assert "d=example.com" in read(sent.content)["DKIM-Signature"].replace(" ", "")
    wait_for(lambda: "MessageSent" in events(posts), "the event")


def test_a_reply_reaches_the_project(first: Installation, posts: Posts) -> None:
    first.post(BOB, "reply+token@example.com", REPLY)
    wait_for(lambda: any(post.get("rcpt_to") == "reply+token@example.com" for post in posts), "the reply")


def test_a_late_bounce_reaches_the_project(first: Installation, bounced: None) -> None:
    assert BOB in first.run(*command("postal-server", "suppressions", "list"))


def test_what_was_sent_is_there_when_it_is_restored_elsewhere(
    first: Installation, sent: Sent, bounced: None, tmp_path: Path
) -> None:
    first.run("postal-server", "backup", str(tmp_path / "postal.tar"))
    elsewhere = Installation(tmp_path / "elsewhere", first.scripts, *free_ports(2), said=first.said)
    elsewhere.folder.mkdir()
    elsewhere.run("postal-server", "restore", str(tmp_path / "postal.tar"))
    ports = ["--web-port", str(elsewhere.web), "--smtp-port", str(elsewhere.smtp)]
    elsewhere.run("postal-server", "initialize", *ports)
    with elsewhere.running():
        message = elsewhere.call("messages/message", id=sent.id, _expansions=["details"])
        assert message["details"]["rcpt_to"] == BOB
        assert BOB in elsewhere.run(*command("postal-server", "suppressions", "list"))


def events(posts: Posts) -> list[str]:
    return [post["event"] for post in posts if "event" in post]
