"""rspamd, SpamAssassin and ClamAV: the real ones, and recordings of them where they are not installed."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from datetime import datetime, timezone
from pathlib import Path

import pytest

from postal_server import conf
from postal_server.models import Message
from postal_server.services.preparation import inspection
from postal_server.services.shared.work import Inspection

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
        f"{name}-{kind}" for name in SCANNERS for kind in ("clean", "bad")
    }
