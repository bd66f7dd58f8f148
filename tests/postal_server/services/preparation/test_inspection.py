import json
import socket
import threading
import time

import pytest

from postal_server import conf
from postal_server.models import Message
from postal_server.services.preparation import inspection
from postal_server.services.shared.work import Inspection
from tests.postal_server.services.conftest import NOW

RAW = b"Subject: Hi\r\n\r\nHello\r\n"
MESSAGE = Message(
    id=7,
    server_id=1,
    scope="incoming",
    mail_from="a@b.example",
    rcpt_to="c@d.example",
    size_bytes=1,
    created_at=NOW,
)


class Scanner:
    """Takes one connection, remembers what was said until `end` or its close, and answers."""

    def __init__(self, answer, end=b"\0\0\0\0"):
        self.heard = b""
        self._answer, self._end = answer, end
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection:
            while not self.heard.endswith(self._end) and (data := connection.recv(65536)):
                self.heard += data
            if self._answer is None:
                connection.recv(1)  # say nothing until the client gives up
            else:
                connection.sendall(self._answer)

    def close(self):
        self._thread.join(5)
        self._listener.close()


@pytest.fixture
def scan(tmp_path):
    """Inspect RAW with one scanner that answers; the value is the inspection and what the scanner heard."""
    opened = []

    def call(kind, answer, end=b"\0\0\0\0"):
        scanner = Scanner(answer, end)
        opened.append(scanner)
        group = {"enabled": True, "port": scanner.port, "password": "secret"}
        found = inspection.inspect(RAW, MESSAGE, conf.parse({kind: group}, {}, tmp_path))
        scanner.close()
        return found, scanner.heard

    yield call
    for scanner in opened:
        scanner.close()


def http_answer(body, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_without_a_scanner_the_score_is_0(tmp_path):
    assert inspection.inspect(RAW, MESSAGE, conf.parse({}, {}, tmp_path)) == Inspection(0, False, False, None)


def test_rspamd(scan):
    body = json.dumps({"symbols": {"A": {"score": 2.5, "description": "x"}}}).encode()
    found, heard = scan("rspamd", http_answer(body), RAW)
    assert found == Inspection(2.5)
    assert heard.startswith(b"POST /checkv2 HTTP/1.1\r\n")
    assert b"\r\nPassword: secret\r\n" in heard
    assert b"\r\nUser-Agent: Postal\r\n" in heard
    assert heard.endswith(b"\r\n\r\n" + RAW)


def test_spamd(scan):
    found, heard = scan("spamd", b"SPAMD/1.1 0 EX_OK\r\n\r\n 1.2 MISSING_HEADERS  x\n")
    assert found == Inspection(1.2)
    assert heard == b"REPORT SPAMC/1.2\r\nContent-length: %d\r\n\r\n" % len(RAW) + RAW


def test_clamd(scan):
    found, heard = scan("clamav", b"stream: Eicar-Test-Signature FOUND\0")
    assert found == Inspection(0, is_threat=True, threat_details="Eicar-Test-Signature")
    assert heard == b"zINSTREAM\0" + len(RAW).to_bytes(4, "big") + RAW + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("kind", "answer", "end"),
    [
        ("rspamd", http_answer(b"no", "500 X"), RAW),
        ("rspamd", b"garbage\r\n", RAW),
        ("spamd", b"", b"\0\0\0\0"),
    ],
)
def test_a_scanner_that_fails_counts_as_0(scan, caplog, kind, answer, end):
    assert scan(kind, answer, end)[0] == Inspection(0)
    assert "No spam score" in caplog.text


def test_a_scanner_that_is_not_there_counts_as_0(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    groups = {"clamav": {"enabled": True, "port": port}, "rspamd": {"enabled": True, "port": port}}
    found = inspection.inspect(RAW, MESSAGE, conf.parse(groups, {}, tmp_path))
    assert found == Inspection(0, threat_details="Error when scanning for threats")


def test_a_slow_virus_scanner_is_not_waited_for(scan, monkeypatch):
    monkeypatch.setattr(inspection, "CLAMD_SECONDS", 0.1)
    assert scan("clamav", None)[0] == Inspection(0, threat_details="Timed out scanning for threats")


@pytest.fixture
def hanging(tmp_path, monkeypatch):
    """A virus scanner that answers nobody, and how often it was asked: inspect, and the count."""
    asked = []

    def hang(raw, scanner):
        asked.append(raw)
        raise TimeoutError("timed out")

    monkeypatch.setattr(inspection, "_ask_clamd", hang)
    config = conf.parse({"clamav": {"enabled": True, "port": 54321}}, {}, tmp_path)

    def inspect():
        return inspection.inspect(RAW, MESSAGE, config).threat_details

    yield inspect, asked
    inspection._timeouts.clear()


def test_a_scanner_that_hangs_is_left_alone_for_a_while(hanging, monkeypatch):
    inspect, asked = hanging
    told = {inspect() for _ in range(50)}
    assert told == {"Timed out scanning for threats"}
    assert len(asked) == inspection.TIMEOUTS_UNTIL_SKIPPED
    later = time.monotonic() + inspection.SKIPPED_FOR
    monkeypatch.setattr(time, "monotonic", lambda: later)
    inspect()
    inspect()
    assert len(asked) == inspection.TIMEOUTS_UNTIL_SKIPPED + 1


def test_one_mail_that_takes_too_long_costs_no_other_its_scan(hanging, monkeypatch):
    inspect, _ = hanging
    for _ in range(inspection.TIMEOUTS_UNTIL_SKIPPED):
        inspect()
        with monkeypatch.context() as patch:
            patch.setattr(inspection, "_ask_clamd", lambda raw, scanner: b"stream: OK\0")
            assert inspect() == "No threats found"
