"""What is counted, in Prometheus's terms. Names with Postal's meaning are Postal's (contract 11.3)."""

from __future__ import annotations

import contextlib

from prometheus_client import Counter, Gauge, Histogram

from postal_server.rules import label
from postal_server.services.shared.work import Decision, Result

ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
LATENCY = (0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 86400)

ACCEPTED = Counter("postal_messages_accepted", "Messages stored.")
COMMIT_SECONDS = Histogram("postal_commit_seconds", "Duration of the journal's ticks.", buckets=SECONDS)
COMMIT_ROWS = Histogram("postal_commit_rows", "Items of a part in one tick.", ["part"], buckets=ROWS)
DATABASE_FAILURES = Counter("postal_database_failures", "Ticks that the database could not serve.")
IN_FLIGHT = Gauge("postal_in_flight", "Rows that this worker holds.", ["kind"])
OUTCOMES = Counter("postal_outcomes", "Results recorded.", ["kind", "status", "reason", "destination"])
PAUSED = Gauge("postal_paused_destinations", "Destinations that are left alone for now.")
BACK_OFF = Gauge(
    "postal_destination_backoff",
    "Messages at a time to a destination that asked us to slow down; 0 while it is left alone.",
    ["source", "destination"],
)
THROTTLED = Counter("postal_destination_throttled", "Answers by which a destination slowed us down.")
DELAYED = Counter("postal_messages_delayed", "Messages put off because their destination is sent to slowly.")
WORKERS_REAPED = Counter("postal_lease_expiries", "Dead workers whose rows were freed.")
POISON = Counter("postal_poison", "Rows held because workers died with them.", ["kind"])

# Of the database, measured by workers for who scrapes them (`depth.py`): the same from each.
QUEUED = Gauge("postal_queued", "Rows that wait or are being tried.", ["kind", "state"])
QUEUED_OLDER = Gauge("postal_queued_older", "Rows older than so many seconds.", ["kind", "seconds"])
OLDEST = Gauge("postal_queue_oldest_seconds", "Age of the oldest row.", ["kind"])
WEBHOOK_LANES = Gauge("postal_webhook_lanes", "Webhooks that events wait for, or that are paused.", ["state"])

NOTICES_WITHHELD = Counter("postal_notices_withheld", "Notices of undeliverable mail that a limit withheld.")
LOGINS = Counter("postal_logins", "Logins of people: right, wrong or throttled.", ["result"])
LATENCY_OF_QUEUE = Histogram(
    "postal_message_queue_latency", "Age of messages when they are claimed, in seconds.", buckets=LATENCY
)
WEB_CONNECTIONS_REFUSED = Counter(
    "postal_web_connections_refused", "Connections beyond the limit of a client, or of all.", ["limit"]
)
WEB_BODIES_WITHOUT_ROOM = Counter(
    "postal_web_bodies_without_room",
    "Requests refused because no memory was left for bodies.",
)
WEB_ANSWERS_CUT_OFF = Counter(
    "postal_web_answers_cut_off",
    "Connections closed for reading slowest where no memory was left for answers.",
)
WEB_STREAMS_REFUSED = Counter(
    "postal_web_streams_refused", "Streaming responses refused because streams have half of the connections."
)
WORKER_ERRORS = Counter("postal_worker_errors", "Bugs caught in the worker.", ["error"])
TASK_RUNTIME = Histogram("postal_worker_task_runtime", "Duration of scheduled tasks in seconds.", ["task"])
TASKS_RUN = Counter("postal_worker_job_executions", "Scheduled tasks run.", ["thread", "job"])


def count(kind: str, result: Result | Decision) -> None:
    """Count a result that is durable."""
    if isinstance(result, Result):
        status, reason, host = result.outcome.status, label.reason(result.outcome), result.outcome.host
    else:
        status, reason, host = result.status, "decision", ""
    OUTCOMES.labels(kind, status.value, reason, label.destination(result.claimed.lane, host)).inc()


def forget_back_off(source: str, destination: str) -> None:
    """This destination is in order again: its label goes, or there would be one for each there ever was."""
    with contextlib.suppress(KeyError):
        BACK_OFF.remove(source, destination)
