"""The metrics of the SMTP server, under Postal's names (contract 11.3)."""

from __future__ import annotations

import functools

from prometheus_client import Counter, Gauge

PREFIX = "postal_smtp_server_"
COUNTERS = {
    counter._name: counter
    for counter in (
        Counter(PREFIX + "connections", "Connections."),
        Counter(PREFIX + "tls_connections", "Connections with TLS."),
        Counter(PREFIX + "exceptions", "Connections that ended with a bug.", ["type", "error"]),
        Counter(PREFIX + "commands", "Commands.", ["command"]),
        Counter(PREFIX + "client_errors", "Commands that were refused.", ["error"]),
        Counter(PREFIX + "messages", "Recipients of messages taken.", ["type", "tls"]),
        Counter(
            PREFIX + "messages_without_room",
            "Messages put off because no memory was left for messages being received.",
            ["authenticated"],
        ),
    )
}
UNFINISHED = Gauge(PREFIX + "unfinished_bytes", "Memory of the large messages that are being received.")


def count(metric: str, /, **labels: str) -> None:
    """The `Count` of a running server. The library adds `_total` to every counter by itself."""
    _child(metric, *labels.items()).inc()


@functools.lru_cache(maxsize=256)  # in the library a look-up takes ten times as long as counting
def _child(metric: str, /, *labels: tuple[str, str]) -> Counter:
    counter = COUNTERS[metric.removesuffix("_total")]
    return counter.labels(**dict(labels)) if labels else counter
