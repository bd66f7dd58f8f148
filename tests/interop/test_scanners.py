"""rspamd, SpamAssassin and ClamAV: the real ones, and recordings of them where they are not installed."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import socket
import string
import subprocess
import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from postal_server import conf
from postal_server.models import Message
from postal_server.services.preparation import inspection
from postal_server.services.shared import token
from postal_server.services.shared.work import Inspection

from . import daemons
from .daemons import shared_folder
from .record_scanners import CORPUS
from .scanners import BAD, CLEAN, SCANNERS

THRESHOLD = 5.0
HOST_LINE = re.compile(rb"Host: [^\r]*\r\n")


def inspect(name: str, port: int, raw: bytes) -> Inspection:
    message = Message(
        id=7,
        server_id=1,
        scope="incoming",
        mail_from="ann@example.org",
        rcpt_to="bob@example.com",
        size_bytes=len(raw),
        created_at=datetime(2026, 11, 3, tzinfo=timezone.utc),
    )
    given = {name: {"enabled": True, "host": "127.0.0.1", "port": port}}
    return inspection.inspect(raw, message, conf.parse(given, {}, Path()))


def letter(postal) -> bytes:
    """A mail as the next host gets it from a mail server."""
    given = {
        "to": ["Bob <bob@example.org>"],
        "from": f"Shop <app@{postal.domain}>",
        "subject": "Your order 4711 is on its way",
        "plain_body": "Hello Bob,\n\nyour order has left our store today.\n",
        "html_body": "<html><body><p>Hello Bob,</p><p>your order has left our store today.</p></body></html>",
        "tag": "orders",
        "headers": {"List-Unsubscribe": f"<mailto:leave@{postal.domain}>"},
    }
    headers = {"X-Server-API-Key": postal.api_key}
    answer = requests.post(f"{postal.url}/api/v1/send/message", json=given, headers=headers, timeout=10)
    assert answer.json()["status"] == "success", answer.text
    return postal.outbox.wait_for(to="bob@example.org").raw


@pytest.fixture(scope="module", params=list(SCANNERS))
def scanner(request):
    """The scanner's name and port."""
    with shared_folder() as folder, SCANNERS[request.param].running(folder) as port:
        yield request.param, port


class TestReal:
    def test_clean_mail_passes(self, scanner):
        name, port = scanner
        found = inspect(name, port, CLEAN)
        assert found.score < THRESHOLD
        assert (found.is_threat, found.threat_details) == (
            False,
            "No threats found" if name == "clamav" else None,
        )

    def test_mail_that_we_send_passes_with_all_that_we_add(self, scanner, postal):
        """As the next host gets it: signed, with our fields."""
        name, port = scanner
        raw = letter(postal)
        assert b"X-Postal-MsgID: " in raw
        assert b"DKIM-Signature: " in raw
        assert inspect(name, port, raw).score < THRESHOLD

    def test_bad_mail_is_recognized(self, scanner):
        name, port = scanner
        found = inspect(name, port, BAD[name])
        if name == "clamav":
            assert found.is_threat
            assert found.threat_details.startswith("Eicar-Test-Signature")
        else:
            assert found.score >= {"rspamd": 8.5, "spamd": 900}[name]

    def test_large_mail_is_inspected(self, scanner):
        name, port = scanner
        found = inspect(name, port, CLEAN + b"All work and no play.\r\n" * 20_000)
        assert found.score < THRESHOLD
        assert not found.is_threat


# Nothing but the one rule: with all of Debian's, a thousand mails take minutes.
ONE_RULE = """\
{rule}
score HK_RANDOM_ENVFROM 1
use_bayes 0
util_rb_tld example test
add_header all Rules _TESTS_
"""
MAIL = """\
From x Tue Nov  3 10:00:00 2026
Return-Path: <{path}>
From: Ann <ann@example.org>
Date: Tue, 03 Nov 2026 10:00:00 +0000

Hello

"""


def has_random_sender(paths: Sequence[str], folder: Path) -> list[bool]:
    """Does SpamAssassin take the envelope senders of mails for random names (HK_RANDOM_ENVFROM)?"""
    command = daemons.program("spamassassin")
    rules = next(Path("/usr/share/spamassassin").glob("72_active.cf"), None)
    rule = re.search(r"(?m)^header\s+HK_RANDOM_ENVFROM\b.*", rules.read_text() if rules else "")
    if rule is None:
        daemons.missing("SpamAssassin has no rule HK_RANDOM_ENVFROM")
    for name in ("rules", "site"):
        (folder / name).mkdir()
    (folder / "rules/one.cf").write_text(ONE_RULE.format(rule=rule[0]))
    (folder / "rules/one.pre").write_text("loadplugin Mail::SpamAssassin::Plugin::Check\n")
    done = subprocess.run(
        [command, "-x", "-L", "-C", "rules", "--siteconfigpath=site", "--mbox"],
        input="".join(MAIL.format(path=path) for path in paths),
        cwd=folder, env={**os.environ, "HOME": str(folder)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.findall(r"(?m)^Return-Path: <(.*)>\n(?:X-.*\n)*?X-Spam-Rules: (.*)$", done.stdout)
    hits = {path: "HK_RANDOM_ENVFROM" in names for path, names in found}
    return [hits[path] for path in paths]


@pytest.mark.slow
def test_return_paths_do_not_look_random(tmp_path):
    source = random.Random(0)
    config = conf.parse({"dns": {"return_path_domain": "rp.postal.example"}}, {}, Path())
    own = SimpleNamespace(name="customer.test", return_path_status="OK")
    paths = []
    for number in range(1000):
        server = SimpleNamespace(token="".join(source.choices(string.ascii_lowercase, k=6)))
        message_id = source.randrange(2**32)
        paths.append(token.return_path(server, own if number % 2 else None, message_id, config))
    of_postal = "bcdfgh@psrp.customer.test"  # shows that the rule is evaluated
    assert has_random_sender([*paths, of_postal], tmp_path) == [*[False] * 1000, True]


class Player:
    """Plays a scanner's part: answers once all was said, as the real one did."""

    def __init__(self, dialogue: dict[str, str]) -> None:
        self.heard = b""
        self._length = len(HOST_LINE.sub(b"", base64.b64decode(dialogue["said"])))
        self._answer = base64.b64decode(dialogue["answered"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            while len(HOST_LINE.sub(b"", self.heard)) < self._length and (data := connection.recv(65536)):
                self.heard += data
            connection.sendall(self._answer)

    def close(self) -> None:
        self._thread.join(5)
        self._listener.close()


RECORDED = sorted(CORPUS.glob("*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_dialogue_is_repeated(path):
    dialogue = json.loads(path.read_text("utf-8"))
    player = Player(dialogue)
    found = inspect(path.stem.partition("-")[0], player.port, base64.b64decode(dialogue["mail"]))
    player.close()
    assert [found.score, found.is_threat, found.threat_details] == dialogue["found"]
    said = base64.b64decode(dialogue["said"])
    assert HOST_LINE.sub(b"", player.heard) == HOST_LINE.sub(b"", said)


def test_every_scanner_was_recorded():
    assert {path.stem for path in RECORDED} == {
        f"{name}-{kind}" for name in SCANNERS for kind in ("clean", "bad", "sent")
    }
