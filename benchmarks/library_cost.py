"""Processor time of the library's three jobs, in microseconds, as JSON: what `benchmarks.compare` runs.

    PYTHONPATH=TREE python benchmarks/library_cost.py

Run it by its path, so that `anymail_postal` comes from TREE and the benchmark from this checkout.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager

import anymail_receiving as receiving  # configures Django
import anymail_sending as sending
from anymail.signals import inbound, tracking

from anymail_postal import testing
from anymail_postal import webhooks as views

MAILS = 200
SECONDS = 1.0  # of processor time for each view


@contextmanager
def bare_server() -> Iterator[str]:
    """The URL of a server in a separate process that responds as Postal does."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.Process(target=sending.serve, args=(sender,), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{receiver.recv()}"
    finally:
        server.terminate()
        server.join()


def cost_of_sending(url: str) -> float:
    make = sending.backends(url)["ours, auto"]
    mails = [sending.mail(number, sending.text(5_120)) for number in range(MAILS)]
    sending.send_all(make, mails[:20])
    started = time.process_time()
    sending.send_all(make, mails)
    return (time.process_time() - started) / MAILS * 1e6


def main() -> None:
    key = testing.make_key()
    tracking.connect(receiving.read_event)
    inbound.connect(receiving.read_mail)
    with bare_server() as url:
        found = {"sending": cost_of_sending(url)}
    with testing.trusting(key):
        events = [testing.webhook_request("MessageSent", key=key) for _ in range(100)]
        mails = [testing.inbound_request(receiving.mime(number), key=key) for number in range(100)]
        for name, view, posts in (
            ("tracking view", views.PostalTrackingWebhookView, events),
            ("inbound view", views.PostalInboundWebhookView, mails),
        ):
            found[name] = 1e6 / receiving.rate(view.as_view(), receiving.requests(posts), SECONDS)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
