"""How fast are the webhook views, side by side with django-anymail's, in one run?

    python -m benchmarks.anymail_receiving [--rounds 5] [--seconds 1.0]

Each view is called as Django calls it, on a request built beforehand, with a receiver that reads what a
project reads. Rates are calls per second of this process's CPU time, and rounds alternate between the two,
so that other work on the machine disturbs neither; medians are compared. The request that django-anymail gets
has only the SHA-1 signature that it checks; ours gets all three headers, and remembers each post in a cache.
"""

# ruff: noqa: E402  (Django is configured before its models and views are imported)

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from itertools import cycle
from typing import Any

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    INSTALLED_APPS=["anymail", "anymail_postal"],
    ROOT_URLCONF=__name__,
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 10_000},
        }
    },
)
django.setup()

import anymail
from anymail.signals import inbound, tracking
from anymail.webhooks import postal as anymails
from django.test import RequestFactory
from django.urls import include, path

from anymail_postal import testing
from anymail_postal import webhooks as ours

urlpatterns = [path("", include("anymail_postal.urls"))]
VARIANTS = 400  # different requests, so that nothing is only read once and then remembered


def mime(number: int) -> bytes:
    """A mail of about 10 KB: text, HTML and an attachment."""
    rnd = random.Random(number)
    words = [f"word{rnd.randrange(1000)}" for _ in range(400)]
    message = EmailMessage()
    message["Received"] = "from remote.example (remote.example [192.0.2.1]) by mx.example.com with SMTP"
    message["From"] = f"Ann Example {number} <ann{number}@remote.example>"
    message["To"] = f"Team <in+{number}@example.com>"
    message["Subject"] = f"Mail {number} about {words[0]}"
    message["Message-ID"] = f"<{number}@remote.example>"
    message["Date"] = "Tue, 03 Jan 2023 04:05:06 +0100"
    message.set_content("\n".join(" ".join(words[start : start + 10]) for start in range(0, 400, 10)))
    message.add_alternative("".join(f"<p>{word}</p>\n" for word in words[:200]), subtype="html")
    message.add_attachment(
        rnd.randbytes(2000), maintype="application", subtype="pdf", filename=f"file {number}.pdf"
    )
    return testing.mime_bytes(message)


def read_event(event: Any, **_: Any) -> None:
    """What a project reads of a tracking event."""
    _ = (event.event_type, event.message_id, event.recipient, event.timestamp, event.tags)


def read_mail(event: Any, **_: Any) -> None:
    """What a project reads of an incoming mail."""
    message = event.message
    _ = (message.subject, message.text, message.html, [each.get_filename() for each in message.attachments])


def requests(posts: list[testing.PostalRequest], *dropped: str) -> Iterator[Any]:
    """Fresh request objects for ever; every round of posts is another event to de-duplication."""
    factory = RequestFactory()
    for post in cycle(posts):
        headers = {name: value for name, value in post.headers.items() if name not in dropped}
        yield factory.post("/", data=post.body, content_type=post.content_type, headers=headers)


def rate(view: Callable[[Any], Any], source: Iterator[Any], seconds: float) -> float:
    """Calls per second of CPU time, the building of requests not counted."""
    spent, calls = 0.0, 0
    while spent < seconds:
        batch = [next(source) for _ in range(50)]
        started = time.process_time()
        for request in batch:
            assert view(request).status_code == 200
        spent += time.process_time() - started
        calls += len(batch)
        ours.dedupe.cache.clear()
    return calls / spent


def compare(
    name: str, theirs: Any, mine: Any, posts: list[testing.PostalRequest], args: argparse.Namespace
) -> None:
    """Print one row of the table."""
    new_headers = ("X-Postal-Signature-Kid", "X-Postal-Signature-256")
    sources = requests(posts, *new_headers), requests(posts)
    views, rates = (theirs.as_view(), mine.as_view()), ([], [])
    for _ in range(args.rounds):
        for view, source, found in zip(views, sources, rates, strict=True):
            found.append(rate(view, source, args.seconds))
    theirs_rate, my_rate = (statistics.median(found) for found in rates)
    size = statistics.mean(len(post.body) for post in posts) / 1000
    ratio = my_rate / theirs_rate
    print(f"| {name} | {size:.1f} KB | {theirs_rate:,.0f}/s | {my_rate:,.0f}/s | {ratio:.2f}x |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each view and round")
    args = parser.parse_args()
    key = testing.make_key()
    tracking.connect(read_event)
    inbound.connect(read_mail)
    with testing.trusting(key):
        events = [testing.webhook_request("MessageSent", key=key) for _ in range(VARIANTS)]
        mails = [testing.inbound_request(mime(number), key=key) for number in range(VARIANTS)]
        print(f"django-anymail {'.'.join(map(str, anymail.VERSION))}, Django {django.__version__}, ", end="")
        print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f};")
        print(f"RSA-{key.key_size} keys, SHA-1 for django-anymail, SHA-256 and key id for anymail-postal;")
        print(f"mail of {len(mime(1)) / 1000:.1f} KB; de-duplication in a LocMemCache; {VARIANTS} different")
        print(f"requests, {args.rounds} rounds of {args.seconds} s each, medians of CPU time.\n")
        print("| view | body | django-anymail | anymail-postal | ratio |")
        print("| --- | --- | --- | --- | --- |")
        compare("tracking", anymails.PostalTrackingWebhookView, ours.PostalTrackingWebhookView, events, args)
        compare(
            "inbound, RawMessage",
            anymails.PostalInboundWebhookView,
            ours.PostalInboundWebhookView,
            mails,
            args,
        )


if __name__ == "__main__":
    main()
