"""The queue: one row for each waiting message. Source: `docs/engine.md`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from postal_server.rules.lane import ANY_SOURCE

from .queue_state import HAS_DUE_TIME, QueueState, state_of
from .server import Server


class QueueRow(models.Model):
    """The columns that queued messages and webhook requests have in common.

    `due_at` and `claimed_by` determine its state, together with `claims`, the number of claims since the
    last recorded attempt (`queue_state`). `attempts` counts the attempts made. A row older than `expires_at`
    fails, however few its attempts.
    """

    due_at = models.DateTimeField(null=True)
    claimed_by = models.BigIntegerField(null=True)
    claims = models.SmallIntegerField(default=0)
    attempts = models.SmallIntegerField(default=0)
    expires_at = models.DateTimeField()

    class Meta:
        abstract = True

    @property
    def state(self) -> QueueState:
        return state_of(self.due_at, self.claimed_by, self.claims)


class QueuedMessage(QueueRow):
    """A message that waits for its first or next attempt; `id` is the message's.

    `destination` is the lane within the server: a recipient domain for outgoing mail, `http:<endpoint id>`,
    `smtp:<endpoint id>`, `address:<endpoint id>` or `local` for incoming.
    """

    id = models.BigIntegerField(primary_key=True)
    server_id = models.BigIntegerField()
    source_id = models.BigIntegerField(default=ANY_SOURCE)  # of the IPAddress it leaves from
    destination = models.CharField(max_length=255)
    priority = models.SmallIntegerField(default=0)  # a `rules.priority.Priority`
    size_bytes = models.BigIntegerField()
    is_manual = models.BooleanField(default=False)  # released or redelivered by a person
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["source_id", "server_id", "priority", "destination", "id"],
                name="queue_ready",
                condition=QueueState.READY.rows,
            ),
            models.Index(fields=["due_at"], name="queue_due", condition=HAS_DUE_TIME),
            models.Index(fields=["claimed_by"], name="queue_claimed", condition=QueueState.CLAIMED.rows),
            models.Index(fields=["expires_at"], name="queue_expiry"),
        ]

    def __str__(self) -> str:
        return f"queued message {self.id}"


class QueueSuspension(models.Model):
    """A part of the queue that waits until it is resumed: its messages match every field that is set.

    Not to be confused with the suspension of a server, whose mail is not accepted and is held.
    """

    server = models.ForeignKey(Server, models.CASCADE, null=True, blank=True, related_name="+")
    destination = models.CharField(
        max_length=255, blank=True, help_text="A recipient domain, or `http:ID`, `smtp:ID`, `address:ID`."
    )
    tag = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=250, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["server", "destination", "tag"], name="one_suspension_per_part_of_a_server"
            ),
            models.UniqueConstraint(
                fields=["destination", "tag"],
                name="one_suspension_per_part",
                condition=models.Q(server__isnull=True),
                violation_error_message="This part of the queue is suspended already.",
            ),
            models.CheckConstraint(
                name="suspension_of_something",
                condition=models.Q(server__isnull=False) | ~models.Q(destination="", tag=""),
                violation_error_message="Name a server, a destination or a tag.",
            ),
        ]

    def __str__(self) -> str:
        named = {"server": self.server, "destination": self.destination, "tag": self.tag}
        return ", ".join(f"{name} {value}" for name, value in named.items() if value)


class Worker(models.Model):
    """A process that claims. Its rows are free again once its beat has stood still for long enough."""

    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    beat = models.BigIntegerField(default=0)
    # How long the others' beats have stood still: {id: [beat, seconds]}, for observers that start later.
    seen = models.JSONField(default=dict)
    started_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"worker {self.id} ({self.host}:{self.pid})"


class DestinationPause(models.Model):
    """A destination that cannot be reached, or asked for a wait: left alone until `paused_until`.

    `destination` is a lane's, without the mail server: one pause holds for all customers and all source
    addresses. It is then tried with one message. The row is deleted when the destination is reached again.
    """

    destination = models.CharField(max_length=255)
    paused_until = models.DateTimeField()
    reason = models.CharField(max_length=250, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["destination"], name="one_pause_per_destination")
        ]

    def __str__(self) -> str:
        return self.destination


class DestinationPace(models.Model):
    """How an operator of mail hosts that replied "too fast" is sent to (`rules.shaping.Pace`).

    It holds for mail from the address `source` alone; empty: mail that is bound to no address. The row is
    deleted when the operator is in order again.
    """

    source = models.CharField(max_length=64, blank=True)
    operator = models.CharField(max_length=255)  # the registered domain of its mail hosts
    paused_until = models.DateTimeField(null=True)
    reason = models.CharField(max_length=250, blank=True)
    rate = models.FloatField()  # messages a minute
    concurrency = models.IntegerField()
    pauses = models.SmallIntegerField()  # since it was last in order
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "operator"], name="one_pace_per_source")
        ]

    def __str__(self) -> str:
        return f"{self.operator} from {self.source}" if self.source else self.operator


class ScheduledTask(models.Model):
    """A task that any worker may run when it is due; claimed like a message.

    `name` is one of `engine.housekeeping`'s.
    """

    name = models.CharField(max_length=64, primary_key=True)
    due_at = models.DateTimeField()
    claimed_by = models.BigIntegerField(null=True)
    last_run_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class Counter(models.Model):
    """A named number: `message_id`, the installation's one sequence on SQLite; `directory`, its version."""

    name = models.CharField(max_length=32, primary_key=True)
    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"
