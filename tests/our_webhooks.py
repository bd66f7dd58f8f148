"""What our server posts to webhooks, case by case: `python -m tests.our_webhooks` records it anew.

The recording is for the library's tests, which share no code with the server. Each case is a recipient; its
bodies are in the order in which they came.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from postal_server.testing import MailServer, RunningServer

CORPUS = Path(__file__).parent / "corpus"
FILE = CORPUS / "wire" / "our_webhooks.json"
CHALLENGE = CORPUS / "autoreply" / "challenge-boxtrapper.eml"

GMAIL = (  # longer than the 250 characters of `output`
    "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the"
    " recipient's email address for typos or unnecessary spaces. For more information, go to"
    " https://support.google.com/mail/?p=NoSuchUser d9443c01a7336-24033ff5ca2si3812345678.123 - gsmtp"
)
# Case -> the reply, and the stage of `MailServer.simulate`.
REPLIES = {
    "unknown": ("550 5.1.1 No such user here", "rcpt"),
    "long": (GMAIL, "rcpt"),
    "full": ("552 5.2.2 Mailbox full", "rcpt"),
    "blocked": (
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        "rcpt",
    ),
    "ptr": ("550 5.7.25 The IP address sending this message does not have a PTR record setup", "rcpt"),
    "dmarc": ("550 5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy", "data"),
    "spam": ("554 5.7.1 Message rejected because of unacceptable content", "data"),
    "large": ("552 5.3.4 Message size exceeds fixed maximum message size", "data"),
    "policy": ("550 5.7.1 Delivery not authorized, message refused", "rcpt"),
    "strange": ("554 as asked", "data"),
    "later": ("451 4.7.1 Try again later", "rcpt"),
    "slow": ("421 4.7.28 Our system has detected an unusual rate of unsolicited mail", "rcpt"),
    "reported": ("550 5.1.1 No such user here", "bounce"),
    "reported-full": ("552 5.2.2 Mailbox full", "bounce"),
}


class Posts(list[dict[str, Any]]):
    """The webhooks that came, and the URL that takes them."""

    url = ""


@contextmanager
def taking() -> Iterator[Posts]:
    """An HTTP server that keeps what is posted to it."""
    found = Posts()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(postal: MailServer, *names: str, **parameters: Any) -> dict[str, Any]:
    """Send a mail to the recipients of these cases; id and token by address."""
    answer = requests.post(
        f"{postal.url}/api/v1/send/message",
        json={
            "to": [f"{name}@dest.example" for name in names],
            "from": f"app@{postal.domain}",
            "subject": "Hello",
            "plain_body": "Hello",
            **parameters,
        },
        headers={"X-Server-API-Key": postal.api_key},
        timeout=30,
    ).json()
    messages: dict[str, Any] = answer["data"]["messages"]
    postal.wait_until_quiet(30)
    return messages


def command(running: RunningServer, *words: str) -> None:
    """Run a command of `postal-server` on this installation."""
    subprocess.run(running._command(*words), env=running._environment(), check=True, capture_output=True)


def run(running: RunningServer) -> list[dict[str, Any]]:
    """Everything that the server posts while the cases happen."""
    postal = running.add("shop.example", name="shop")
    with taking() as posts:
        postal.post_events_to(posts.url)
        for name, (reply, stage) in REPLIES.items():
            postal.simulate(f"{name}@dest.example", reply, stage=stage)
        send(postal, *REPLIES)
        send(postal, "fine", tag="news", stream="news")
        send(postal, "unknown", subject="Again")  # on the suppression list by now
        away = send(postal, "away")["away@dest.example"]
        path = f"bounces+{postal.token}-{away['token']}@rp.localhost"
        vacation = {"Auto-Submitted": "auto-replied"}
        postal.deliver(path, from_="", subject="Out of office: Hello", text="I am away.", headers=vacation)
        postal.deliver(path, CHALLENGE.read_bytes(), from_="")
        postal.wait_until_quiet(30)
        command(running, "held", "cancel", "--all", "--yes")
        command(running, "suppressions", "remove", "--server", "tests/shop", "unknown@dest.example")
        postal.wait_until_quiet(30)
    return list(posts)


def by_case(posts: list[dict[str, Any]]) -> Mapping[str, list[dict[str, Any]]]:
    """The webhooks of each recipient."""
    found: dict[str, list[dict[str, Any]]] = {}
    for post in posts:
        payload = post["payload"]
        about = payload.get("message") or payload.get("original_message")
        address = about["to"] if about else payload["suppression"]["address"]
        found.setdefault(address.partition("@")[0], []).append(post)
    return dict(sorted(found.items()))


def main() -> None:
    with RunningServer() as running:
        FILE.write_text(json.dumps(by_case(run(running)), indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
