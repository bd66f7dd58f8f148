"""Sending mail through the backend, side by side with django-anymail's, against a bare HTTP server.

The server is a process of its own on loopback that answers as Postal does and looks at nothing, so that the
client is measured: reading the Django mail, writing the call, and `requests`. All backends alternate in one
run, on the same mails. Prints a Markdown table, and what bounds the rate.

    python -m benchmarks.anymail_sending [--messages 300] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import os
import platform
import pstats
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import anymail
import django
import requests
from django.core.mail import EmailMultiAlternatives
from django.test.utils import override_settings

TARGET = 1.2
ANSWER = json.dumps(
    {
        "status": "success",
        "time": 0.01,
        "flags": {},
        "data": {
            "message_id": "a@rp.example.test",
            "messages": {"to@example.com": {"id": 7, "token": "abc"}},
        },
    }
).encode()
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
)


class BareServer(asyncio.Protocol):
    """Answers every request, once its body is complete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, body = self.buffer.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(body) < length:
                return
            self.buffer = body[length:]
            self.transport.write(RESPONSE)


def serve(port: Connection) -> None:
    """Serve on a free loopback port, which is put into `port`, until the process is stopped."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(BareServer, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def mail(index: int, body: str) -> EmailMultiAlternatives:
    """A mail of text and HTML to one recipient."""
    message = EmailMultiAlternatives(
        f"News {index}", body, "The Sender <sender@example.test>", [f"Reader {index} <to@example.com>"]
    )
    message.attach_alternative(f"<p>{body}</p>", "text/html")
    return message


def text(size: int) -> str:
    """`size` bytes in lines of 80."""
    line = "All is well that ends well, as they say, but for what has no end and no beginning.\n"[-80:]
    return (line * (size // len(line) + 1))[:size]


def backends(url: str) -> dict[str, Callable[[], object]]:
    """What is compared, by its name in the table."""
    from anymail.backends.postal import EmailBackend as Anymail

    from anymail_postal.backend import EmailBackend

    options = {"api_key": "key", "api_url": url}
    return {
        "django-anymail": lambda: Anymail(**options),
        "ours, auto": lambda: EmailBackend(**options),
        "ours, message": lambda: EmailBackend(**options, api="message"),
        "ours, raw": lambda: EmailBackend(**options, api="raw"),
    }


def send_all(make: Callable[[], object], mails: list[EmailMultiAlternatives]) -> float:
    """Mails a second, all through one connection."""
    backend = make()
    began = time.perf_counter()
    sent = backend.send_messages(mails)  # type: ignore[attr-defined]
    assert sent == len(mails)
    return sent / (time.perf_counter() - began)


def bare_rate(url: str, mails: list[EmailMultiAlternatives]) -> float:
    """Posts a second with `requests` alone: no backend built on it can be faster."""
    data = json.dumps({"plain_body": mails[0].body, "html_body": mails[0].body})
    headers = {"X-Server-API-Key": "key", "Content-Type": "application/json", "Accept": "application/json"}
    with requests.Session() as session:
        began = time.perf_counter()
        for _ in mails:
            session.request(
                method="POST", url=f"{url}/api/v1/send/message", data=data, headers=headers, timeout=30
            ).json()
        return len(mails) / (time.perf_counter() - began)


def share_of_requests(make: Callable[[], object], mails: list[EmailMultiAlternatives]) -> float:
    """The share of the time that is spent inside `requests`."""
    profile = cProfile.Profile()
    profile.runcall(send_all, make, mails)
    stats = pstats.Stats(profile)
    inside = sum(
        entry[3]
        for (file, _, name), entry in stats.stats.items()  # type: ignore[attr-defined]
        if name == "request" and file.endswith("requests/sessions.py")
    )
    return inside / stats.total_tt  # type: ignore[attr-defined]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=300, help="mails in each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each backend, alternating")
    parser.add_argument("--bytes", type=int, default=10_240, help="size of text and HTML together")
    options = parser.parse_args()

    django.setup()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.Process(target=serve, args=(sender,), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{receiver.recv()}"
        mails = [mail(index, text(options.bytes // 2)) for index in range(options.messages)]
        rates: dict[str, list[float]] = {}
        apps = [app for app in django.conf.settings.INSTALLED_APPS if app != "anymail_postal.contrib.store"]
        with override_settings(INSTALLED_APPS=apps):
            for _ in range(options.rounds):
                rates.setdefault("requests alone", []).append(bare_rate(url, mails))
                for name, make in backends(url).items():
                    rates.setdefault(name, []).append(send_all(make, mails))
            share = share_of_requests(backends(url)["ours, auto"], mails)
    finally:
        server.terminate()
        server.join()

    base = statistics.median(rates["django-anymail"])
    print(
        f"{options.bytes} bytes of text and HTML, one recipient, {options.messages} mails over 1 connection, "
        f"median of {options.rounds}; {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"Django {django.__version__}, django-anymail {anymail.__version__}\n"
    )
    print("| backend | mails/s | times django-anymail |\n| --- | ---: | ---: |")
    for name, each in rates.items():
        print(f"| {name} | {statistics.median(each):,.0f} | {statistics.median(each) / base:.2f} |")
    bare = base / statistics.median(rates["requests alone"])
    print(
        f"\nTarget {TARGET}. It is bounded by requests, which every call goes through: as it comes, it takes "
        f"{bare:.0%} of django-anymail's time; with proxies and pool looked up once, {share:.0%} of ours."
    )


if __name__ == "__main__":
    main()
