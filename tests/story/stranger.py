"""What a stranger has: the pages of the documentation, a shell, an editor, and a browser. Nothing of ours."""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
import sqlite3
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import lxml.html
import requests

from ..installed import environment, run, started
from ..readme import ROOT, blocks, commands

T = TypeVar("T")
WAIT_SECONDS = 30.0


class Stranger:
    """Works in `folder`, with the commands in `scripts`.

    The documentation's ports may be taken on this machine: `ports` are those used in their place, by the
    documented number.
    """

    def __init__(self, folder: Path, scripts: Path, ports: dict[int, int]) -> None:
        self.folder = folder
        self.scripts = scripts
        self.ports = ports
        self.env = environment(
            WEB_SERVER_DEFAULT_PORT=str(ports[5000]),
            SMTP_SERVER_DEFAULT_PORT=str(ports[2525]),
            DELIVERY_CATCH_PORT=str(ports[2526]),
            WORKER_DEFAULT_HEALTH_SERVER_PORT="0",
            PYTHONUNBUFFERED="1",
            PATH=f"{scripts}:/usr/bin:/bin",
        )
        self._running = contextlib.ExitStack()

    def here(self, text: str) -> str:
        """A text of the documentation with the ports of this machine."""
        return re.sub(r"\b(5000|2525|2526|8000)\b", lambda found: str(self.ports[int(found[0])]), text)

    @staticmethod
    def for_bob(words: list[str]) -> list[str]:
        """A command of the documentation, about Bob instead of Ann."""
        return [word.replace("ann@example.com", "bob@example.com") for word in words]

    # The pages

    def command(self, page: str, *start: str) -> list[str]:
        """The only command of a page that begins with these words."""
        [found] = [words for words in commands(ROOT / page) if words[: len(start)] == list(start)]
        return [self.here(word) for word in found]

    def code(self, page: str, part: str) -> str:
        """The only Python code of a page that contains `part`."""
        [found] = [block.text for block in blocks(ROOT / page, "python") if part in block.text]
        return self.here(found)

    # The shell

    def run(self, *words: str, given: str | None = None) -> str:
        """What a command prints."""
        return run(*self._found(words), cwd=self.folder, env=self.env, given=given)

    def manage(self, *words: str) -> str:
        return self.run("python", "manage.py", *words)

    def shell(self, code: str) -> str:
        """What code prints in the project."""
        return self.manage("shell", "--no-imports", "-c", code).strip()

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """What the project's database has. To ask Django's shell takes longer than what is waited for."""
        database = sqlite3.connect(f"file:{self.folder / 'db.sqlite3'}?mode=ro", uri=True)
        with contextlib.closing(database):
            return database.execute(query, values).fetchall()

    def start(self, *words: str, ready: str, ends: int = 0) -> None:
        """Start a command that goes on, and wait until the URL `ready` answers."""
        running = started(self._found(words), self.folder, self.env, self.here(ready), ends=ends)
        self._running.enter_context(running)

    def log(self, command: str) -> str:
        """What a command that goes on has printed so far."""
        return self.read(f"{command}.log")

    def stop(self) -> None:
        self._running.close()

    def _found(self, words: tuple[str, ...]) -> list[str]:
        return [str(self.scripts / words[0]), *words[1:]]

    # The editor

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")

    def append(self, name: str, text: str) -> None:
        self.write(name, f"{self.read(name)}\n{text}")


class Browser:
    """A browser at one site: pages, links and forms, as a person has them."""

    def __init__(self, site: str) -> None:
        self.site = site
        self._session = requests.Session()

    def get(self, path: str) -> requests.Response:
        answer = self._session.get(f"{self.site}{path}", timeout=30)
        answer.raise_for_status()
        return answer

    def links(self, path: str, pattern: str) -> list[str]:
        """The links of a page that match, each once."""
        return list(dict.fromkeys(re.findall(rf'href="({pattern})"', self.get(path).text)))

    def fill(self, path: str, **fields: str | bool) -> requests.Response:
        """Fill in the form of a page and send it; of a list, the choice with this label is taken.

        Fails with what the page says is wrong.
        """
        page = lxml.html.fromstring(self.get(path).text)
        [form] = [
            form for form in page.forms if form.method == "POST" and "logout" not in (form.action or "")
        ]
        for name, value in fields.items():
            choice = form.inputs[name]
            if isinstance(value, bool):
                choice.checked = value
            elif isinstance(choice, lxml.html.SelectElement):
                labels = {option.text: option.get("value") for option in choice.iter("option")}
                assert value in labels, f"{path}: {name} has {list(labels)}, not {value!r}"
                choice.value = labels[value]
            else:
                choice.value = value
        answer = self._session.post(
            f"{self.site}{path}",
            dict(form.form_values()),
            headers={"Referer": f"{self.site}{path}"},
            timeout=30,
        )
        answer.raise_for_status()
        wrong = lxml.html.fromstring(answer.text).xpath(
            "//*[contains(@class, 'errornote') or contains(@class, 'errorlist')]"
        )
        assert not wrong, [each.text_content() for each in wrong]
        return answer

    def close(self) -> None:
        self._session.close()


def wait_for(look: Callable[[], T], what: str) -> T:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + WAIT_SECONDS
    while not (found := look()):
        assert time.monotonic() < end, f"{what}: not within {WAIT_SECONDS:.0f} s"
        time.sleep(0.2)
    return found


def read(raw: bytes) -> EmailMessage:
    """A mail, as a mail program reads it."""
    message: Any = email.message_from_bytes(raw, policy=email.policy.default)
    return message
