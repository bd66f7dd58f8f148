"""The steps of the demo, in order. Each does one thing, and shows the evidence."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dkim
import requests
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from postal_server.testing import Mail, MailServer, RunningServer

from .app import App, Person

QUESTION = "Shall we meet on Thursday?"
ANSWER = "Thursday is fine, I will bring the maps."


class StepFailed(AssertionError):
    """A step did not have the expected result; the text describes the actual one."""


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StepFailed(otherwise)


class Story:
    """Runs the steps. State that later steps need is kept on the instance."""

    def __init__(self, console: Console, running: RunningServer, app: App) -> None:
        self._console = console
        self._running = running
        self._app = app
        self._number = 0
        self.postal: MailServer
        self.ann: Person
        self.conversation = ""
        self.mail: Mail

    def tell(self) -> None:
        started = time.monotonic()
        steps = (
            self.start_server,
            self.start_app,
            self.write_message,
            self.deliver,
            self.track,
            self.reply,
            self.refuse_recipient,
            self.forge_webhook,
            self.forge_reply,
        )
        with self._progress() as progress:
            task = progress.add_task("", total=len(steps))
            for step in steps:
                progress.update(task, description=(step.__doc__ or "").rstrip("."))
                step()
                progress.advance(task)
        seconds = time.monotonic() - started
        self._console.print(f"\n[bold green]All {len(steps)} steps done[/] in {seconds:.1f} s.")

    def start_server(self) -> None:
        """Start the mail server."""
        with self._step("A mail server starts: web, SMTP, worker and catch in one process") as show:
            before = time.monotonic()
            self._running.start()
            show("files", str(self._running.folder))
            show("listens", f"{self._running.url}, SMTP on port {self._running.smtp_port}")
            show("ready", f"after {time.monotonic() - before:.1f} s, with keys and database created")
            self.postal = self._running.add("discussion.test")

    def start_app(self) -> None:
        """Start the example app."""
        with self._step("A Django app starts, with anymail_postal as its EMAIL_BACKEND") as show:
            self._app.start(self.postal)
            self.postal.post_events_to(f"{self._app.url}/anymail/postal/tracking/")
            address = self.postal.post_mail_to(f"{self._app.url}/anymail/postal/inbound/")
            show("app", self._app.url)
            show("route", f"mail for {address} is posted to its inbound view")

    def write_message(self) -> None:
        """Write a message."""
        with self._step("Ann and Bob have a conversation; Ann writes, Bob is notified by mail") as show:
            self.conversation = self._app.manage(
                "start_conversation", "Hike", "ann@example.org", "bob@example.org",
                "--password", self._app.password,
            )  # fmt: skip
            self.ann = self._app.log_in("ann@example.org")
            self.ann.write(self.conversation, QUESTION)
            message = self._message_to("bob@example.org")
            show("accepted", f"id {message['id']}, token {message['token']}, durable before the response")

    def deliver(self) -> None:
        """Deliver it."""
        with self._step("The server signs the mail and delivers it over SMTP") as show:
            self.mail = self.postal.outbox.wait_for(to="bob@example.org")
            mail = self.mail
            kinds = [part.get_content_type() for part in mail.message.walk()]
            check({"text/plain", "text/html", "image/png"} <= set(kinds), f"The mail has only {kinds}.")
            show("envelope", f"from <{mail.mail_from}> to <{mail.rcpt_to}>{', with TLS' if mail.tls else ''}")
            show("subject", f"{mail.subject}; tag {mail.message['X-Postal-Tag']}; {', '.join(kinds)}")
            show("reply to", str(mail.reply_to))
            signature = mail.message["DKIM-Signature"]
            check(signature is not None, "The mail has no DKIM signature.")
            check(dkim.DKIM(mail.raw).verify(dnsfunc=self._txt), "dkimpy does not verify the signature.")
            show("DKIM", f"dkimpy verifies {self.postal.dkim_name} ({len(mail.raw):,} bytes)")

    def track(self) -> None:
        """Track it."""
        with self._step("The signed MessageSent webhook marks the notification delivered") as show:
            self._wait_until(
                self.conversation, lambda page: "bob@example.org delivered" in page, "the delivery"
            )
            show("webhook", "verified with the DKIM public key; its metadata named the notification")
            show("page", "bob@example.org: delivered")

    def reply(self) -> None:
        """Reply by mail."""
        with self._step("Bob replies to the mail; his text appears in the conversation") as show:
            quoted = "".join(f"> {line}\n" for line in self.mail.text.splitlines())
            text = f"{ANSWER}\n\nOn Tue, 3 Jan 2023 at 04:05, Discussion wrote:\n{quoted}"
            address = str(self.mail.reply_to)
            self.postal.deliver(
                address,
                from_="bob@example.org",
                subject=f"Re: {self.mail.subject}",
                text=text,
                headers={"In-Reply-To": self.mail.message["Message-ID"]},
            )
            show("SMTP in", f"{len(text.splitlines())} lines for {address}")
            page = self._wait_until(self.conversation, lambda page: ANSWER in page, "Bob's reply")
            check("wrote:" not in page.split(ANSWER)[1], "The quoted text was not removed.")
            check("Bob by e-mail," in page, "The reply is not Bob's.")
            show("page", f"Bob, by e-mail: {ANSWER}")

    def refuse_recipient(self) -> None:
        """Have a recipient refused."""
        with self._step("A mailbox that does not exist: the 550 comes back as a failure") as show:
            carol = "carol@example.org"
            self.postal.simulate(carol, "550 5.1.1 No such user here")
            conversation = self._app.manage("start_conversation", "Gone", "ann@example.org", carol)
            self.ann.write(conversation, "Are you there?")
            page = self._wait_until(conversation, lambda page: f"{carol} bounced" in page, "a bounce")
            check("550 5.1.1" in page, "The page does not show the reply of the receiving server.")
            show("page", "carol@example.org: bounced, 550 5.1.1 No such user here")

    def forge_webhook(self) -> None:
        """Forge a webhook."""
        with self._step("A forged webhook is refused") as show:
            body = json.dumps({"event": "MessageBounced", "payload": {}, "timestamp": 0, "uuid": "x"})
            signature = base64.b64encode(bytes(256)).decode()
            response = requests.post(
                f"{self._app.url}/anymail/postal/tracking/",
                body,
                headers={"Content-Type": "application/json", "X-Postal-Signature-256": signature},
                timeout=10,
            )
            check(response.status_code == 400, f"The response was {response.status_code}.")
            show("response", "400, and no receiver was called")

    def forge_reply(self) -> None:
        """Forge a reply address."""
        with self._step("A forged reply address is refused") as show:
            local, _, domain = str(self.mail.reply_to).partition("@")
            forged = f"{local[:-1]}{'a' if local[-1] != 'a' else 'b'}@{domain}"
            self.postal.deliver(forged, from_="mallory@example.org", subject="Hi", text="It is me, Bob.")
            page = self._wait_until("/", lambda page: "mallory@example.org" in page, "the refusal")
            check("It is me, Bob." not in self.ann.read(self.conversation), "The forged reply was accepted.")
            show("page", page.split("Rejected replies")[-1].strip().rsplit(" 0 ", 1)[0])

    def _wait_until(self, page: str, holds: Callable[[str], bool], wish: str) -> str:
        return self.ann.wait_until(page, holds, wish, nudge=lambda: self.postal.advance(300))

    def _message_to(self, recipient: str) -> dict[str, object]:
        """The server's message to `recipient`, with its token, as the API returns it."""
        row = next((row for row in self.postal.messages() if row["rcpt_to"] == recipient), None)
        if row is None:
            raise StepFailed(f"The server accepted no message.\n{self.postal.outbox.describe()}")
        answer = requests.post(
            f"{self.postal.url}/api/v1/messages/message",
            json={"id": row["id"]},
            headers={"X-Server-API-Key": self.postal.api_key},
            timeout=10,
        ).json()
        check(answer["status"] == "success", f"The API responded {answer}.")
        data: dict[str, object] = answer["data"]
        return data

    def _txt(self, name: bytes, timeout: int = 5) -> bytes | None:
        """The response of a resolver for the domain's DKIM record."""
        return self.postal.dkim_record.encode() if name.decode() == f"{self.postal.dkim_name}." else None

    @contextmanager
    def _step(self, title: str) -> Iterator[_Show]:
        self._number += 1
        self._console.print(f"\n[bold]{self._number}. {escape(title)}[/]")
        yield _Show(self._console)

    def _progress(self) -> Progress:
        """A progress bar on a terminal, and none if the output goes to a file."""
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )


class _Show:
    """Prints one line of evidence."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, label: str, evidence: str) -> None:
        self._console.print(f"   [green]✓[/] {label:<9} {escape(evidence)}", soft_wrap=True)
