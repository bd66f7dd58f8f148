"""A running mail server for tests: start it, give each test a mail server of its own, look at its mail.

`RunningServer` starts `postal-server run` as a process of its own on free loopback ports; `MailServer` is one
mail server of it, seen through the control interface. The fixtures of `pytest_plugin.py` are a thin layer
over these; other test runners use them directly.
"""

from __future__ import annotations

import base64
import contextlib
import email
import email.policy
import hashlib
import json
import os
import secrets
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import django.core.mail
from django.conf import settings as project
from django.core.exceptions import ImproperlyConfigured

from postal_server import conf, files
from postal_server.conf_environment import with_files
from postal_server.mail import dkim

START_SECONDS = 60.0
STOP_SECONDS = 10.0
LOOPBACK = "127.0.0.1"
AUTHENTICATION_REQUIRED = 530  # Postal's reply to an address that is not one of its own
NO_MESSAGE = "  none: does the project use `postal.settings`?"
DKIM_KEY_FILE = "test-dkim.key"
CONFIGURATION = """\
version: 2
postal:
  web_hostname: {host}
  web_protocol: http
  smtp_hostname: localhost
  allowed_request_destinations: [127.0.0.0/8, "::1/128"]
web_server: {{default_port: {web}, default_bind_address: {host}, max_threads: 16}}
worker: {{default_health_server_port: 0}}
smtp_server:
  default_port: {smtp}
  default_bind_address: {host}
  default_health_server_port: 0
  tls_enabled: true
  plaintext_auth: true
dns:
  return_path_domain: rp.localhost
  route_domain: routes.localhost
  track_domain: track.localhost
  spf_include: spf.localhost
  mx_records: [localhost]
delivery: {{mode: catch, catch_port: {catch}, catch_host: {host}, allowed_destinations: ["::1", 127.0.0.0/8]}}
"""


class ServerError(RuntimeError):
    """The server did not start, or rejected a request of a test."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind((LOOPBACK, 0))
        return [item.getsockname()[1] for item in sockets]


class RunningServer:
    """`postal-server run` in a folder of its own.

    `folder` keeps its database between `stop` and `start`; without one a temporary folder is used, and
    removed at the end. `variables` are environment variables of its configuration. Those of the tests' own
    environment are left out: a DELIVERY_MODE there would let the mail of tests leave the machine. Raises
    `ServerError` with the server's log if it does not start.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        use_cache: bool = True,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="postal-server-"))
        self.control_token = secrets.token_urlsafe(24)
        self.web_port, self.smtp_port, self.catch_port = free_ports(3)
        self.url = f"http://{LOOPBACK}:{self.web_port}"
        self._use_cache = use_cache
        self._variables = dict(variables or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.log_path = self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The id of its process. Raises `ServerError` while it is not running."""
        if self._process is None:
            raise ServerError("The server is not running.")
        return self._process.pid

    def start(self) -> RunningServer:
        """Start the process and return once it responds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_configuration()
        if not (self.folder / "postal.sqlite3").exists():
            self._initialize()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command("run"), stdout=log, stderr=log, env=self._environment(), cwd=self.folder
            )
        self._wait_until_ready()
        return self

    def stop(self) -> None:
        """Stop cleanly (SIGTERM) and remove the folder if it was temporary."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL, like a power failure. A later `start` continues with the same database."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> RunningServer:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def log(self) -> str:
        """The last 10,000 characters of the server's log."""
        return self.log_path.read_text("utf-8", "replace")[-10_000:] if self.log_path.exists() else ""

    def control(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float = 30.0
    ) -> dict[str, Any]:
        """Make one request to the control interface. Raises `ServerError` with its message."""
        request = urllib.request.Request(  # noqa: S310 - an address of our own
            f"{self.url}/_control/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.control_token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
                result: dict[str, Any] = json.load(response)
                return result
        except urllib.error.HTTPError as error:
            raise ServerError(f"{method} {path}: {error.code} {error.read(2000)!r}") from error

    def add(self, domain: str | None = None, **options: Any) -> MailServer:
        """A new mail server with API and SMTP keys and a verified domain."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        options_sent = {
            "name": name,
            "domain": domain or f"{name}.test",
            "dkim_key": self._dkim_key(),
            **options,
        }
        made = self.control("POST", "servers", options_sent)
        return MailServer(self, made, self.control("GET", "ping")["webhook_key"])

    def _dkim_key(self) -> str:
        """One key for all domains of tests: generating one takes longer than most tests."""
        return (self.folder / DKIM_KEY_FILE).read_text("ascii")

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "postal_server", "--config", str(self.folder / "postal.yml"), *words]

    def _environment(self) -> dict[str, str]:
        others = {"DJANGO_SETTINGS_MODULE", "PORT", *with_files(conf.variables())}
        kept = {k: v for k, v in os.environ.items() if k not in others}
        ours = {"CONTROL_TOKEN": self.control_token, "PYTHONUNBUFFERED": "1"}
        return {**kept, **ours, **self._variables}

    def _write_configuration(self) -> None:
        configuration = self.folder / "postal.yml"
        configuration.unlink(missing_ok=True)  # left by an earlier start, with other ports
        text = CONFIGURATION.format(
            host=LOOPBACK, web=self.web_port, smtp=self.smtp_port, catch=self.catch_port
        )
        files.write_private(configuration, text.encode())

    def _initialize(self) -> None:
        """Take the initialized database from the cache, or make it and leave it there."""
        cached = _cache_folder()
        if self._use_cache and (cached / "complete").exists():
            for file in cached.iterdir():
                shutil.copy2(file, self.folder)
            return
        done = subprocess.run(  # noqa: S603 - our own command
            self._command("initialize", "--no-server"),
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise ServerError(f"`postal-server initialize` failed:\n{done.stderr.decode('utf-8', 'replace')}")
        files.write_private(self.folder / DKIM_KEY_FILE, dkim.generate_rsa().encode())
        if self._use_cache:
            self._fill_cache(cached)

    def _fill_cache(self, cached: Path) -> None:
        """Copy to a folder of our own first, as several test runs may do this at once."""
        making = Path(tempfile.mkdtemp(prefix="postal-", dir=_made(cached.parent)))
        for file in self.folder.iterdir():
            if file.name not in ("postal.yml", "server.log"):
                shutil.copy2(file, making)
        (making / "complete").touch()
        try:
            making.rename(cached)
        except OSError:  # another run was faster
            shutil.rmtree(making, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._process is not None and self._process.poll() is not None:
                raise ServerError(f"postal-server ended with {self._process.returncode}:\n{self.log()}")
            try:
                self.control("GET", "ping", timeout=2.0)
                with socket.create_connection((LOOPBACK, self.smtp_port), timeout=2.0):
                    return
            except (OSError, ServerError):
                time.sleep(0.02)
        raise ServerError(f"postal-server was not ready after {START_SECONDS:.0f} s:\n{self.log()}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _cache_folder() -> Path:
    """The path depends on all that shapes an initialized installation, so a new version makes a new one."""
    package = Path(__file__).parent
    shape = hashlib.sha256(CONFIGURATION.encode())
    for file in sorted([*package.glob("migrations/*.py"), package / "files.py"]):
        shape.update(file.read_bytes())
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "postal-server" / shape.hexdigest()[:20]


def mail_backend(path: str) -> dict[str, Any]:
    """The settings that make `path` the project's mail backend."""
    if hasattr(django.core.mail, "mailers"):
        return {"MAILERS": {**(_written("MAILERS") or {}), "default": {"BACKEND": path}}}
    return {"EMAIL_BACKEND": path}


def _written(name: str) -> Any:
    """A setting of the project; None where it has none, or there is no project."""
    try:
        return getattr(project, name, None)
    except ImproperlyConfigured:
        return None


def _anymail(name: str) -> Any:
    """One of the project's settings for Anymail: in ANYMAIL, or with this prefix."""
    return (_written("ANYMAIL") or {}).get(name) or _written(f"ANYMAIL_{name}")


def _named(attribute: str) -> str:
    return f"POSTAL_{attribute.upper()}"


def _with_secret(url: str) -> str:
    """The URL with the user and password that the project's webhooks require, unless it has its own."""
    parts = urllib.parse.urlsplit(url)
    wanted = _anymail("POSTAL_WEBHOOK_SECRET") or _anymail("WEBHOOK_SECRET") or ()
    first = wanted if isinstance(wanted, str) else next(iter(wanted), "")
    if not first or parts.username is not None:
        return url
    quoted = (urllib.parse.quote(text, safe="") for text in first.split(":", 1))
    return parts._replace(netloc=f"{':'.join(quoted)}@{parts.netloc}").geturl()


@dataclass(frozen=True)
class Mail:
    """A mail that left the server: its envelope, its exact bytes, and the message read from them."""

    id: int
    mail_from: str | None
    rcpt_to: str
    subject: str
    tls: bool
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail as the standard library's `EmailMessage`."""
        message = email.message_from_bytes(self.raw, policy=email.policy.default)
        if not isinstance(message, EmailMessage):
            raise TypeError("the default policy makes an EmailMessage")
        return message

    @property
    def text(self) -> str:
        """The plain text, or an empty string."""
        return self._body("plain")

    @property
    def html(self) -> str:
        """The HTML, or an empty string."""
        return self._body("html")

    @property
    def reply_to(self) -> str | None:
        """The bare address of Reply-To."""
        header = self.message["Reply-To"]
        return header.addresses[0].addr_spec if header is not None and header.addresses else None

    def _body(self, kind: str) -> str:
        """The decoded text, with line ends as in Python."""
        part = self.message.get_body((kind,))
        return part.get_content().replace("\r\n", "\n") if part is not None else ""


@dataclass
class Outbox:
    """The mail that a mail server sent."""

    _server: MailServer
    _after: int = field(default=0)

    def wait_for(self, to: str | None = None, subject: str | None = None, timeout: float = 10.0) -> Mail:
        """The first mail to `to` whose subject contains `subject`, waiting up to `timeout` seconds.

        Raises `AssertionError` that shows what arrived instead, and the state of each message.
        """
        mails = self._read(to=to, subject=subject, timeout=timeout)
        if mails:
            return mails[0]
        wanted = " ".join(f"{k}={v!r}" for k, v in (("to", to), ("subject", subject)) if v is not None)
        raise AssertionError(f"No mail with {wanted or 'anything'} within {timeout:g} s.\n{self.describe()}")

    def all(self) -> list[Mail]:
        """All mail so far, in order of arrival."""
        return self._read(to=None, subject=None, timeout=0.0)

    def clear(self) -> None:
        """Delete the mail caught so far."""
        self._server.control("DELETE", "mail")

    def describe(self) -> str:
        """The mail that arrived, and the state of each message."""
        arrived = [f"  {mail.rcpt_to}: {mail.subject}" for mail in self.all()]
        messages = [
            f"  {row['scope']} {row['rcpt_to']}: {row['status']} {row['details'] or ''}".rstrip()
            for row in self._server.control("GET", "messages")["messages"]
        ]
        return "\n".join(
            ["Arrived:", *(arrived or ["  nothing"]), "Messages of the server:", *(messages or [NO_MESSAGE])]
        )

    def __len__(self) -> int:
        return len(self.all())

    def __iter__(self) -> Iterator[Mail]:
        return iter(self.all())

    def _read(self, *, to: str | None, subject: str | None, timeout: float) -> list[Mail]:
        query = {"to": to, "subject": subject, "timeout": timeout, "after": self._after}
        text = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})
        rows = self._server.control("GET", f"mail?{text}", timeout=timeout + 30.0)["mail"]
        return [
            Mail(
                row["id"],
                row["mail_from"],
                row["rcpt_to"],
                row["subject"],
                row["tls"],
                base64.b64decode(row["raw"]),
            )
            for row in rows
        ]


class MailServer:
    """One mail server of a running installation, with keys, domain, outbox and set-up of its own."""

    def __init__(self, running: RunningServer, made: Mapping[str, Any], webhook_key: str) -> None:
        self.running = running
        self.id: int = made["id"]
        self.token: str = made["token"]
        self.api_key: str = made["api_key"]
        self.smtp_key: str = made["smtp_key"]
        self.domain: str = made["domain"]
        self.dkim_name: str = made["dkim_name"]
        self.dkim_record: str = made["dkim_record"]
        self.webhook_key = webhook_key
        self.url = running.url
        self.smtp_address = (LOOPBACK, running.smtp_port)
        self.outbox = Outbox(self)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the Django project under test needs, by name (MAILERS from Django 6.1 on).

        The project's other settings in ANYMAIL stay. Its further servers are replaced too, so that nothing
        reaches the real ones.
        """
        here: dict[str, Any] = {
            "api_url": self.url,
            "api_key": self.api_key,
            "webhook_key": self.webhook_key,
            "reply_domain": self.domain,
        }
        elsewhere = [name for name in ("webhook_jwks_url", "server_registry") if _anymail(_named(name))]
        anymail = {
            **(_written("ANYMAIL") or {}),
            **{_named(name): value for name, value in here.items()},
            **{_named(name): None for name in elsewhere},
        }
        if servers := _anymail("POSTAL_SERVERS"):
            here["webhook_jwks_url"] = None
            anymail["POSTAL_SERVERS"] = {name: {**values, **here} for name, values in servers.items()}
        return {
            **mail_backend("anymail_postal.backend.EmailBackend"),
            "DEFAULT_FROM_EMAIL": f"app@{self.domain}",
            "ANYMAIL": anymail,
        }

    def post_events_to(self, url: str, *, beyond_postal: bool = True) -> None:
        """Send all events to `url`, such as `live_server.url + "/anymail/postal/tracking/"`.

        Without `beyond_postal` only those that Postal has too. With the project's WEBHOOK_SECRET, unless the
        URL has a user and password of its own.
        """
        self.control("POST", "webhooks", {"url": _with_secret(url), "beyond_postal": beyond_postal})

    def post_mail_to(self, url: str, name: str | None = None, format: str = "RawMessage") -> str:
        """Send mail for `name` at the domain to `url`, and return that address.

        `name` is the project's POSTAL_REPLY_LOCAL_PART by default, else "reply"; the secret is as with
        `post_events_to`.
        """
        name = name or _anymail("POSTAL_REPLY_LOCAL_PART") or "reply"
        made = self.control("POST", "routes", {"name": name, "url": _with_secret(url), "format": format})
        address: str = made["address"]
        return address

    def deliver(
        self,
        to: str | Sequence[str],
        mail: EmailMessage | bytes | None = None,
        *,
        from_: str = "someone@example.org",
        subject: str = "",
        text: str = "",
        headers: Mapping[str, str] | None = None,
        wait: bool = False,
        timeout: float = 10.0,
    ) -> None:
        """Send a mail to the server over SMTP: `mail` itself, or one made of `subject`, `text` and `headers`.

        `from_` is the envelope sender (empty for the null one) and the From header of a made mail. Raises
        `AssertionError` if no route takes mail for one of the addresses, and smtplib's exceptions if the
        server refuses it for another reason.

        With `wait` it returns once the application has responded to the request with the mail, and to the
        webhooks that it caused. Raises `AssertionError` with the response if the application rejected one of
        them, or sent none for `timeout` seconds.
        """
        before = self.control("GET", "answers") if wait else {}
        recipients = [to] if isinstance(to, str) else list(to)
        if mail is None:
            mail = EmailMessage()
            mail["From"] = from_ or "MAILER-DAEMON@example.org"
            mail["To"] = ", ".join(recipients)
            mail["Subject"] = subject
            mail["Message-ID"] = f"<{uuid.uuid4()}@example.org>"
            for name, value in (headers or {}).items():
                mail[name] = value
            mail.set_content(text)
        raw = mail if isinstance(mail, bytes) else mail.as_bytes(policy=email.policy.SMTP)
        with smtplib.SMTP(*self.smtp_address, local_hostname="client.example.org", timeout=30) as client:
            try:
                client.sendmail(from_, recipients, raw)
            except smtplib.SMTPRecipientsRefused as error:
                if any(code == AUTHENTICATION_REQUIRED for code, _ in error.recipients.values()):
                    why = f"There is no route for {', '.join(error.recipients)}: call post_mail_to() first."
                    raise AssertionError(why) from error
                raise
        if wait:
            self.wait_until_quiet(timeout)
            since = f"message={before['message']}&attempt={before['attempt']}"
            if refused := self.control("GET", f"answers?{since}")["refused"]:
                raise AssertionError("\n".join(["The application did not take it:", *refused]))

    def wait_until_quiet(self, timeout: float = 10.0) -> None:
        """Return once every mail has left and every HTTP request has its response, whatever that is.

        Raises `AssertionError` that names what is still under way after `timeout` seconds.
        """
        answer = self.control("GET", f"quiet?timeout={timeout}", timeout=timeout + 30.0)
        if lines := answer["under_way"]:
            shown = "\n".join(f"  {line}" for line in lines)
            raise AssertionError(f"Still under way after {timeout:g} s:\n{shown}\n{self.outbox.describe()}")

    def simulate(
        self,
        recipient: str,
        reply: str = "550 5.1.1 No such user",
        *,
        stage: str = "rcpt",
        times: int | None = None,
        delay: float = 0.0,
    ) -> None:
        """Set how the receiving side responds for `recipient` (or `*@domain`).

        `stage` is `rcpt` or `data` (refused or, with a 4xx reply, delayed there) or `bounce` (accepted,
        and reported undeliverable afterwards); a 2xx reply accepts it after `delay` seconds. `times` limits
        how often.
        """
        values = {"recipient": recipient, "reply": reply, "stage": stage, "times": times, "delay": delay}
        self.control("POST", "simulations", values)

    def advance(self, seconds: float) -> int:
        """Let `seconds` pass for retries and the suppression list; return how many retries wait."""
        waiting: int = self.control("POST", "clock", {"seconds": seconds})["waiting"]
        return waiting

    def messages(self) -> list[dict[str, Any]]:
        """The last 100 messages, newest first: id, scope, rcpt_to, subject, status, details."""
        rows: list[dict[str, Any]] = self.control("GET", "messages")["messages"]
        return rows

    def control(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float = 30.0
    ) -> dict[str, Any]:
        """Call the control interface for this mail server."""
        return self.running.control(method, f"servers/{self.id}/{path}", body, timeout)
