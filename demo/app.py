"""Run the example project in a process, and use it as a person with a browser would."""

from __future__ import annotations

import html
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

from postal_server.testing import LOOPBACK, MailServer, free_ports

PROJECT = Path(__file__).resolve().parent.parent / "example_project"
START_SECONDS = 30.0
REQUEST_SECONDS = 15.0
WAIT_SECONDS = 30.0
NUDGE_SECONDS = 6.0  # above the five seconds that a webhook waits for its response


class App:
    """`manage.py runserver` with a database in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://{LOOPBACK}:{free_ports(1)[0]}"
        self.password = secrets.token_urlsafe(9)

    @property
    def log_path(self) -> Path:
        return self._folder / "app.log"

    def start(self, postal: MailServer) -> None:
        """Migrate, start, and wait until it is ready; it sends through the mail server `postal`."""
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "EXAMPLE_DATABASE": str(self._folder / "app.sqlite3"),
            "EXAMPLE_FROM_EMAIL": f"Discussion <discussion@{postal.domain}>",
            "POSTAL_API_URL": postal.url,
            "POSTAL_API_KEY": postal.api_key,
            "POSTAL_WEBHOOK_KEY": postal.webhook_key,
            "POSTAL_REPLY_DOMAIN": postal.domain,
        }
        self.manage("migrate", "--verbosity", "0")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command("runserver", "--noreload", self.url.removeprefix("http://")),
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def manage(self, *words: str) -> str:
        """Run `manage.py` and return its output. Raises `RuntimeError` with its error output if it fails."""
        done = subprocess.run(  # noqa: S603 - our own command
            self._command(*words), env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {words[0]} failed:\n{done.stderr}")
        return done.stdout.strip()

    def log_in(self, email: str) -> Person:
        return Person(self.url, email, self.password)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, str(PROJECT / "manage.py"), *words]

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                if requests.get(f"{self.url}/login/", timeout=REQUEST_SECONDS).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)
        raise RuntimeError(f"The app did not start:\n{self.log_path.read_text('utf-8', 'replace')[-5000:]}")


class Person:
    """A logged-in user with a browser session."""

    def __init__(self, url: str, email: str, password: str) -> None:
        self._url = url
        self._browser = requests.Session()
        self._post("/login/", {"username": email, "password": password})

    def write(self, conversation: str, text: str) -> None:
        self._post(conversation, {"text": text})

    def read(self, page: str) -> str:
        """The text of a page, without tags and with single spaces."""
        response = self._browser.get(self._url + page, timeout=REQUEST_SECONDS)
        response.raise_for_status()
        body = re.sub(r"(?s)<style>.*?</style>", " ", response.text)
        return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))

    def wait_until(
        self, page: str, holds: Callable[[str], bool], wish: str, nudge: Callable[[], object]
    ) -> str:
        """The text of the page once `holds(text)` is true; `wish` describes that in the `AssertionError`.

        `nudge` is called regularly: a webhook whose response was late is retried only after minutes.
        """
        started = nudged = time.monotonic()
        text = self.read(page)
        while not holds(text):
            now = time.monotonic()
            if now - started > WAIT_SECONDS:
                raise AssertionError(f"Within {WAIT_SECONDS:g} s the page did not show {wish}:\n{text}")
            if now - nudged > NUDGE_SECONDS:
                nudge()
                nudged = now
            time.sleep(0.05)
            text = self.read(page)
        return text

    def _post(self, page: str, fields: dict[str, str]) -> None:
        self._browser.get(self._url + page, timeout=REQUEST_SECONDS).raise_for_status()
        token = self._browser.cookies["csrftoken"]
        response = self._browser.post(
            self._url + page,
            {**fields, "csrfmiddlewaretoken": token},
            headers={"Referer": self._url},
            timeout=REQUEST_SECONDS,
        )
        response.raise_for_status()
