"""`python -m tests.interop.record_scanners`: record what is said between us and the real scanners.

The dialogues go to tests/corpus/scanners, where `test_scanners.py` plays the scanners' part in them.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import django

from postal_server.testing import RunningServer

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "scanners"


class Listener:
    """Takes one connection and passes it on to `port`; `said` and `answered` are what went through."""

    def __init__(self, port: int) -> None:
        self.said = self.answered = b""
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        here, _ = self._listener.accept()
        with here, socket.create_connection(("127.0.0.1", self._to)) as there:
            back = threading.Thread(target=self._answers, args=(there, here))
            back.start()
            while data := here.recv(65536):
                self.said += data
                there.sendall(data)
            with contextlib.suppress(OSError):
                there.shutdown(socket.SHUT_WR)
            back.join()

    def _answers(self, there: socket.socket, here: socket.socket) -> None:
        while data := there.recv(65536):
            self.answered += data
            here.sendall(data)
        with contextlib.suppress(OSError):
            here.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._thread.join(10)
        self._listener.close()


def dialogues() -> Iterator[tuple[str, dict[str, object]]]:
    from .daemons import shared_folder
    from .scanners import BAD, CLEAN, SCANNERS
    from .test_scanners import inspect, letter

    with RunningServer() as ours:
        sent = letter(ours.add())
    for name, scanner in SCANNERS.items():
        with shared_folder() as folder, scanner.running(folder) as port:
            for kind, mail in (("clean", CLEAN), ("bad", BAD[name]), ("sent", sent)):
                listener = Listener(port)
                found = inspect(name, listener.port, mail)
                listener.close()
                yield (
                    f"{name}-{kind}",
                    {
                        "mail": base64.b64encode(mail).decode(),
                        "said": base64.b64encode(listener.said).decode(),
                        "answered": base64.b64encode(listener.answered).decode(),
                        "found": [found.score, found.is_threat, found.threat_details],
                    },
                )


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    CORPUS.mkdir(exist_ok=True)
    for name, dialogue in dialogues():
        (CORPUS / f"{name}.json").write_text(json.dumps(dialogue, indent=1) + "\n", "utf-8")
        print(name, dialogue["found"])


if __name__ == "__main__":
    main()
