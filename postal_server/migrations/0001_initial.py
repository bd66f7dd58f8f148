"""All tables, the installation's counters, and what only PostgreSQL can be told about storage."""

import uuid

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import postal_server.models.fields

COUNTERS = ("message_id", "directory")

# The text of a mail is compressed badly and read whole: stored as it is, it is written and read faster.
# Queue rows are updated and deleted all the time: room in each page keeps updates in place (HOT), and an
# eager autovacuum keeps the index of ready rows short.
POSTGRESQL = (
    "CREATE SEQUENCE postal_message_id AS bigint",
    "ALTER TABLE postal_server_body ALTER COLUMN raw SET STORAGE EXTERNAL",
    *(
        f"ALTER TABLE {table} SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, "
        "autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0)"
        for table in ("postal_server_queuedmessage", "postal_server_webhookrequest")
    ),
)


def set_up(apps, schema_editor):
    counter = apps.get_model("postal_server", "Counter")
    counter.objects.using(schema_editor.connection.alias).bulk_create(
        [counter(name=name) for name in COUNTERS], ignore_conflicts=True
    )
    if schema_editor.connection.vendor == "postgresql":
        for statement in POSTGRESQL:
            schema_editor.execute(statement)


def take_down(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP SEQUENCE postal_message_id")


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Counter",
            fields=[
                ("name", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("value", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message_id", models.BigIntegerField(db_index=True)),
                ("status", models.CharField(max_length=16)),
                ("code", models.IntegerField(null=True)),
                ("details", models.CharField(max_length=250)),
                ("output", models.TextField(null=True)),
                ("sent_with_ssl", models.BooleanField(null=True)),
                ("tls", models.CharField(blank=True, default="", max_length=64)),
                ("log_id", models.CharField(max_length=16, null=True)),
                ("seconds", models.FloatField(null=True)),
                ("created_at", models.DateTimeField()),
                ("failure_class", models.CharField(blank=True, default="", max_length=16)),
                ("rule", models.CharField(blank=True, default="", max_length=128)),
                ("stage", models.CharField(blank=True, default="", max_length=8)),
                ("operator", models.CharField(blank=True, default="", max_length=255)),
                ("is_sure", models.BooleanField(default=False)),
                ("diagnostic", models.TextField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="ImportedToken",
            fields=[
                ("token", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("server_id", models.BigIntegerField()),
                ("message_id", models.BigIntegerField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="IPPool",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=255)),
                ("default", models.BooleanField(default=False, help_text="New organizations may use it.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name": "IP pool",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Link",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server_id", models.BigIntegerField()),
                ("message_id", models.BigIntegerField(db_index=True)),
                ("imported_token", models.CharField(max_length=32, null=True, unique=True)),
                ("url", models.TextField()),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ScheduledTask",
            fields=[
                ("name", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("due_at", models.DateTimeField()),
                ("claimed_by", models.BigIntegerField(null=True)),
                ("last_run_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="StsPolicy",
            fields=[
                ("domain", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("record_id", models.CharField(max_length=32)),
                ("text", models.TextField()),
                ("fetched_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("host", models.CharField(max_length=255)),
                ("pid", models.IntegerField()),
                ("beat", models.BigIntegerField(default=0)),
                ("seen", models.JSONField(default=dict)),
                ("started_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Body",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("server_id", models.BigIntegerField()),
                ("created_at", models.DateTimeField()),
                ("raw", models.BinaryField()),
            ],
            options={
                "indexes": [models.Index(fields=["server_id", "created_at"], name="body_retention")],
            },
        ),
        migrations.CreateModel(
            name="CaughtMail",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server_id", models.BigIntegerField()),
                ("mail_from", models.TextField(null=True)),
                ("rcpt_to", models.TextField()),
                ("subject", models.TextField(blank=True)),
                ("raw", models.BinaryField()),
                ("tls", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["server_id", "id"], name="caught_of_server")],
            },
        ),
        migrations.CreateModel(
            name="DestinationPace",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source", models.CharField(blank=True, max_length=64)),
                ("operator", models.CharField(max_length=255)),
                ("paused_until", models.DateTimeField(null=True)),
                ("reason", models.CharField(blank=True, max_length=250)),
                ("rate", models.FloatField()),
                ("concurrency", models.IntegerField()),
                ("pauses", models.SmallIntegerField()),
                ("changed_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("source", "operator"), name="one_pace_per_source")
                ],
            },
        ),
        migrations.CreateModel(
            name="DestinationPause",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("destination", models.CharField(max_length=255)),
                ("paused_until", models.DateTimeField()),
                ("reason", models.CharField(blank=True, max_length=250)),
                ("changed_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("destination",), name="one_pause_per_destination")
                ],
            },
        ),
        migrations.CreateModel(
            name="FailureEvidence",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server_id", models.BigIntegerField()),
                ("scope", models.CharField(blank=True, default="", max_length=262)),
                ("key", models.CharField(max_length=320)),
                ("failure_class", models.CharField(max_length=16)),
                ("is_sure", models.BooleanField()),
                ("operator", models.CharField(blank=True, default="", max_length=255)),
                ("message_id", models.BigIntegerField()),
                ("created_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "indexes": [models.Index(fields=["server_id", "key"], name="failure_of_key")],
            },
        ),
        migrations.CreateModel(
            name="Incident",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("operator", models.CharField(db_index=True, max_length=255)),
                ("count", models.PositiveIntegerField()),
                ("answers", models.PositiveIntegerField()),
                ("sample", models.CharField(blank=True, default="", max_length=500)),
                ("created_at", models.DateTimeField()),
                ("normal_since", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, db_index=True, null=True)),
                ("outcome", models.CharField(blank=True, default="", max_length=16)),
                ("decided", models.PositiveIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("operator",),
                        name="one_open_incident",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="IPAddress",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("ipv4", models.GenericIPAddressField(protocol="IPv4", unique=True)),
                ("ipv6", models.GenericIPAddressField(blank=True, null=True, protocol="IPv6", unique=True)),
                ("hostname", models.CharField(max_length=255)),
                (
                    "priority",
                    models.PositiveSmallIntegerField(
                        default=100,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "warm_up_from",
                    models.DateField(blank=True, help_text="First day of its use; none: no plan.", null=True),
                ),
                (
                    "warm_up_first_day",
                    models.PositiveIntegerField(
                        default=50,
                        help_text="Messages on that day; it doubles each day.",
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "warm_up_days",
                    models.PositiveSmallIntegerField(
                        default=14,
                        help_text="Days until it may send without limit.",
                        validators=[django.core.validators.MaxValueValidator(60)],
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "ip_pool",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="addresses",
                        to="postal_server.ippool",
                    ),
                ),
            ],
            options={
                "verbose_name": "IP address",
                "verbose_name_plural": "IP addresses",
                "ordering": ["ipv4"],
            },
        ),
        migrations.CreateModel(
            name="Load",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message_id", models.BigIntegerField()),
                ("ip_address", models.CharField(max_length=64)),
                ("user_agent", models.TextField(null=True)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["message_id", "created_at"], name="load_of_message")],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("server_id", models.BigIntegerField()),
                ("body_id", models.BigIntegerField(null=True)),
                (
                    "scope",
                    models.CharField(
                        choices=[("outgoing", "outgoing"), ("incoming", "incoming")], max_length=8
                    ),
                ),
                ("rcpt_to", models.TextField(null=True)),
                ("mail_from", models.TextField(null=True)),
                ("subject", models.TextField(null=True)),
                ("message_id", models.TextField(null=True)),
                ("message_id_day", models.IntegerField(null=True)),
                ("message_id_hash", models.BigIntegerField(null=True)),
                ("tag", models.TextField(null=True)),
                ("stream", models.CharField(blank=True, default="", max_length=64)),
                ("ignored_stream", models.CharField(blank=True, default="", max_length=80)),
                ("status", models.CharField(default="Pending", max_length=16)),
                ("size_bytes", models.BigIntegerField()),
                ("prefix", models.BinaryField(default=b"")),
                ("is_bounce", models.BooleanField(default=False)),
                ("bounce_for_id", models.BigIntegerField(null=True)),
                ("kind", models.CharField(blank=True, default="", max_length=16)),
                ("received_with_ssl", models.BooleanField(null=True)),
                ("domain_id", models.BigIntegerField(null=True)),
                ("credential_id", models.BigIntegerField(null=True)),
                ("route_id", models.BigIntegerField(null=True)),
                ("endpoint_type", models.CharField(blank=True, default="", max_length=16)),
                ("endpoint_id", models.BigIntegerField(null=True)),
                ("is_inspected", models.BooleanField(default=False)),
                ("is_spam", models.BooleanField(default=False)),
                ("spam_score", models.FloatField(default=0.0)),
                ("is_threat", models.BooleanField(default=False)),
                ("threat_details", models.TextField(null=True)),
                ("is_rewritten", models.BooleanField(default=False)),
                ("hold_expires_at", models.DateTimeField(null=True)),
                ("hold_reason", models.CharField(blank=True, default="", max_length=16)),
                ("last_attempt_at", models.DateTimeField(null=True)),
                ("loaded_at", models.DateTimeField(null=True)),
                ("clicked_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["server_id", "id"], name="message_of_server"),
                    models.Index(fields=["message_id_day", "message_id_hash"], name="message_by_message_id"),
                    models.Index(
                        condition=models.Q(("hold_expires_at__isnull", False)),
                        fields=["hold_expires_at"],
                        name="message_held",
                    ),
                    models.Index(
                        condition=models.Q(("kind", ""), _negated=True),
                        fields=["server_id", "kind", "id"],
                        name="message_report",
                    ),
                    models.Index(
                        condition=models.Q(("hold_expires_at__isnull", False)),
                        fields=["hold_reason", "server_id", "id"],
                        name="message_held_by_reason",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReportMail",
            fields=[],
            options={
                "verbose_name": "report",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("postal_server.message",),
        ),
        migrations.CreateModel(
            name="OperatorAnswers",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("operator", models.CharField(max_length=255)),
                ("since", models.DateTimeField(db_index=True)),
                ("answers", models.PositiveIntegerField()),
                ("blamed", models.PositiveIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("operator", "since"), name="one_count_per_operator")
                ],
            },
        ),
        migrations.CreateModel(
            name="Organization",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=255)),
                (
                    "permalink",
                    models.CharField(
                        max_length=100,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9-]+\\Z", "Lower-case letters, digits and hyphens only."
                            )
                        ],
                    ),
                ),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("suspension_reason", models.CharField(blank=True, max_length=255)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "ip_pools",
                    models.ManyToManyField(
                        blank=True, related_name="organizations", to="postal_server.ippool"
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="QueuedMessage",
            fields=[
                ("due_at", models.DateTimeField(null=True)),
                ("claimed_by", models.BigIntegerField(null=True)),
                ("claims", models.SmallIntegerField(default=0)),
                ("attempts", models.SmallIntegerField(default=0)),
                ("expires_at", models.DateTimeField()),
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("server_id", models.BigIntegerField()),
                ("source_id", models.BigIntegerField(default=0)),
                ("destination", models.CharField(max_length=255)),
                ("priority", models.SmallIntegerField(default=0)),
                ("size_bytes", models.BigIntegerField()),
                ("is_manual", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("claimed_by__isnull", True), ("due_at__isnull", True)),
                        fields=["source_id", "server_id", "priority", "destination", "id"],
                        name="queue_ready",
                    ),
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="queue_due"
                    ),
                    models.Index(
                        condition=models.Q(("claimed_by__isnull", False)),
                        fields=["claimed_by"],
                        name="queue_claimed",
                    ),
                    models.Index(fields=["expires_at"], name="queue_expiry"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Report",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server_id", models.BigIntegerField()),
                ("message_id", models.BigIntegerField(db_index=True)),
                ("original_id", models.BigIntegerField(null=True)),
                ("kind", models.CharField(max_length=16)),
                ("found_by", models.CharField(blank=True, default="", max_length=16)),
                ("is_strong", models.BooleanField(default=False)),
                ("is_repeated", models.BooleanField(default=False)),
                ("is_forwarded", models.BooleanField(default=False)),
                ("address", models.CharField(blank=True, default="", max_length=320)),
                ("recognizer", models.CharField(blank=True, default="", max_length=64)),
                ("action", models.CharField(blank=True, default="", max_length=32)),
                ("status", models.CharField(blank=True, default="", max_length=16)),
                ("final_recipient", models.TextField(null=True)),
                ("original_recipient", models.TextField(null=True)),
                ("reporting_mta", models.TextField(null=True)),
                ("remote_mta", models.TextField(null=True)),
                ("diagnostic", models.TextField(null=True)),
                ("failure_class", models.CharField(blank=True, default="", max_length=16)),
                ("rule", models.CharField(blank=True, default="", max_length=128)),
                ("surplus", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("original_id__isnull", False)),
                        fields=["original_id", "created_at"],
                        name="report_of_message",
                    ),
                    models.Index(fields=["address"], name="report_by_address"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Server",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=255)),
                (
                    "permalink",
                    models.CharField(
                        max_length=100,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9-]+\\Z", "Lower-case letters, digits and hyphens only."
                            )
                        ],
                    ),
                ),
                (
                    "token",
                    models.CharField(
                        default=postal_server.models.fields.random_letters_token,
                        editable=False,
                        max_length=16,
                        unique=True,
                    ),
                ),
                (
                    "mode",
                    models.CharField(
                        choices=[("Live", "Live"), ("Development", "Development")],
                        default="Live",
                        max_length=16,
                    ),
                ),
                ("postmaster_address", models.EmailField(blank=True, max_length=254)),
                ("spam_threshold", models.FloatField(default=5.0)),
                ("spam_failure_threshold", models.FloatField(default=20.0)),
                ("outbound_spam_threshold", models.FloatField(blank=True, null=True)),
                (
                    "send_limit",
                    models.PositiveIntegerField(
                        blank=True, help_text="Outgoing attempts an hour.", null=True
                    ),
                ),
                (
                    "allow_sender",
                    models.BooleanField(default=False, help_text="A Sender header may authorize a mail."),
                ),
                (
                    "privacy_mode",
                    models.BooleanField(default=False, help_text="Leave clients out of Received headers."),
                ),
                ("log_smtp_data", models.BooleanField(default=False)),
                ("message_retention_days", models.PositiveIntegerField(default=60)),
                ("raw_message_retention_days", models.PositiveIntegerField(default=30)),
                ("raw_message_retention_size", models.PositiveIntegerField(default=2048, help_text="In MB.")),
                ("raw_message_excess_bytes", models.BigIntegerField(default=0, editable=False)),
                (
                    "suppressed_as",
                    models.CharField(
                        choices=[("held", "held"), ("failed", "failed")],
                        default="held",
                        help_text="What becomes of mail to a suppressed address.",
                        max_length=8,
                    ),
                ),
                (
                    "stream_from",
                    models.CharField(
                        choices=[
                            ("none", "none"),
                            ("tag", "tag"),
                            ("domain", "domain"),
                            ("credential", "credential"),
                        ],
                        default="none",
                        help_text="What names the stream of mail that does not name one.",
                        max_length=16,
                    ),
                ),
                ("is_imported", models.BooleanField(default=False, editable=False)),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("suspension_reason", models.CharField(blank=True, max_length=255)),
                ("send_limit_approaching_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "send_limit_approaching_notified_at",
                    models.DateTimeField(blank=True, editable=False, null=True),
                ),
                ("send_limit_exceeded_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "send_limit_exceeded_notified_at",
                    models.DateTimeField(blank=True, editable=False, null=True),
                ),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "ip_pool",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="servers",
                        to="postal_server.ippool",
                        verbose_name="IP pool",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="servers",
                        to="postal_server.organization",
                    ),
                ),
            ],
            options={
                "ordering": ["organization", "name"],
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "permalink"), name="server_permalink")
                ],
            },
        ),
        migrations.CreateModel(
            name="QueueSuspension",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "destination",
                    models.CharField(
                        blank=True,
                        help_text="A recipient domain, or `http:ID`, `smtp:ID`, `address:ID`.",
                        max_length=255,
                    ),
                ),
                ("tag", models.CharField(blank=True, max_length=255)),
                ("reason", models.CharField(blank=True, max_length=250)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "server",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="postal_server.server",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("server", "destination", "tag"), name="one_suspension_per_part_of_a_server"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("server__isnull", True)),
                        fields=("destination", "tag"),
                        name="one_suspension_per_part",
                        violation_error_message="This part of the queue is suspended already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("server__isnull", False),
                            models.Q(("destination", ""), ("tag", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="suspension_of_something",
                        violation_error_message="Name a server, a destination or a tag.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IPPoolRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "from_text",
                    models.TextField(
                        blank=True, help_text="Addresses or domains, one a line.", verbose_name="From"
                    ),
                ),
                (
                    "to_text",
                    models.TextField(
                        blank=True, help_text="Addresses or domains, one a line.", verbose_name="To"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "ip_pool",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rules",
                        to="postal_server.ippool",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ip_pool_rules",
                        to="postal_server.organization",
                    ),
                ),
                (
                    "server",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ip_pool_rules",
                        to="postal_server.server",
                    ),
                ),
            ],
            options={
                "verbose_name": "IP pool rule",
                "ordering": ["-id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("organization__isnull", False), ("server__isnull", True)),
                            models.Q(("organization__isnull", True), ("server__isnull", False)),
                            _connector="OR",
                        ),
                        name="ip_pool_rule_of_one_owner",
                        violation_error_message="A rule belongs to a server or to an organization.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="HTTPEndpoint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=255)),
                ("url", models.CharField(max_length=2000)),
                (
                    "encoding",
                    models.CharField(
                        choices=[("BodyAsJSON", "JSON"), ("FormData", "Form")],
                        default="BodyAsJSON",
                        max_length=16,
                    ),
                ),
                (
                    "format",
                    models.CharField(
                        choices=[("Hash", "Fields"), ("RawMessage", "Raw message")],
                        default="Hash",
                        max_length=16,
                    ),
                ),
                ("strip_replies", models.BooleanField(default=False)),
                ("include_attachments", models.BooleanField(default=True)),
                (
                    "timeout",
                    models.PositiveIntegerField(
                        default=5,
                        validators=[
                            django.core.validators.MinValueValidator(5),
                            django.core.validators.MaxValueValidator(60),
                        ],
                    ),
                ),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="http_endpoints",
                        to="postal_server.server",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Domain",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "name",
                    models.CharField(
                        db_index=True,
                        max_length=253,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9.-]+\\Z", "Lower-case letters, digits, hyphens and dots only."
                            )
                        ],
                    ),
                ),
                (
                    "verification_token",
                    models.CharField(
                        default=postal_server.models.fields.random_verification_token,
                        editable=False,
                        max_length=64,
                    ),
                ),
                ("verified_at", models.DateTimeField(blank=True, null=True)),
                (
                    "use_for_any",
                    models.BooleanField(default=False, help_text="May send for any sender address."),
                ),
                (
                    "only_where_caught",
                    models.BooleanField(
                        default=False, help_text="Use for any only while all mail is caught (delivery.mode)."
                    ),
                ),
                (
                    "dkim_suffix",
                    models.CharField(default=postal_server.models.fields.random_dkim_suffix, max_length=32),
                ),
                ("dkim_private_key", models.TextField(blank=True, editable=False)),
                ("dkim_ed25519_private_key", models.TextField(blank=True, editable=False)),
                ("signs_unchecked", models.BooleanField(default=False, editable=False)),
                ("dns_checked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("dns_problems", models.JSONField(default=dict, editable=False)),
                ("spf_status", models.CharField(blank=True, max_length=16)),
                ("spf_error", models.CharField(blank=True, max_length=500)),
                ("dkim_status", models.CharField(blank=True, max_length=16)),
                ("dkim_error", models.CharField(blank=True, max_length=500)),
                ("mx_status", models.CharField(blank=True, max_length=16)),
                ("mx_error", models.CharField(blank=True, max_length=500)),
                ("return_path_status", models.CharField(blank=True, max_length=16)),
                ("return_path_error", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="domains",
                        to="postal_server.organization",
                    ),
                ),
                (
                    "server",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="domains",
                        to="postal_server.server",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(fields=("server", "name"), name="domain_of_server"),
                    models.UniqueConstraint(fields=("organization", "name"), name="domain_of_organization"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("organization__isnull", False), ("server", None)),
                            models.Q(("organization", None), ("server__isnull", False)),
                            _connector="OR",
                        ),
                        name="domain_has_one_owner",
                        violation_error_message="Choose a server or an organization, one of the two.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Credential",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "type",
                    models.CharField(
                        choices=[("API", "API"), ("SMTP", "SMTP"), ("SMTP-IP", "SMTP-IP")],
                        default="API",
                        max_length=16,
                    ),
                ),
                ("name", models.CharField(max_length=255)),
                ("key_digest", models.CharField(editable=False, max_length=64, null=True, unique=True)),
                ("key_encrypted", models.TextField(blank=True, editable=False)),
                (
                    "network",
                    models.CharField(
                        blank=True,
                        help_text="Address or CIDR network (SMTP-IP).",
                        max_length=64,
                        null=True,
                        unique=True,
                    ),
                ),
                (
                    "hold",
                    models.BooleanField(
                        default=False, help_text="Hold every message that this credential sends."
                    ),
                ),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="credentials",
                        to="postal_server.server",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AddressEndpoint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("address", models.EmailField(max_length=320)),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="address_endpoints",
                        to="postal_server.server",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("server", "address"), name="address_endpoint_of_server")
                ],
            },
        ),
        migrations.CreateModel(
            name="Simulation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server_id", models.BigIntegerField()),
                ("recipient", models.CharField(max_length=320)),
                ("stage", models.CharField(max_length=8)),
                ("reply", models.CharField(max_length=250)),
                ("times", models.IntegerField(null=True)),
                ("delay_seconds", models.FloatField(default=0.0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("server_id", "recipient"), name="one_simulation_per_recipient"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SMTPEndpoint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=255)),
                (
                    "hostname",
                    models.CharField(
                        max_length=253,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9.-]+\\Z", "Lower-case letters, digits, hyphens and dots only."
                            )
                        ],
                    ),
                ),
                ("port", models.PositiveIntegerField(blank=True, help_text="25 when empty.", null=True)),
                (
                    "ssl_mode",
                    models.CharField(
                        choices=[
                            ("None", "None"),
                            ("Auto", "Auto"),
                            ("STARTTLS", "STARTTLS"),
                            ("TLS", "TLS"),
                        ],
                        default="Auto",
                        max_length=16,
                    ),
                ),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="smtp_endpoints",
                        to="postal_server.server",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Route",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "name",
                    models.CharField(
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^(?:[a-z0-9.-]+|\\*|__returnpath__)\\Z",
                                "Lower-case letters, digits, `-` and `.`; or `*`.",
                            )
                        ],
                    ),
                ),
                (
                    "token",
                    models.CharField(
                        default=postal_server.models.fields.random_route_token,
                        editable=False,
                        max_length=16,
                        unique=True,
                    ),
                ),
                (
                    "mode",
                    models.CharField(
                        choices=[
                            ("Endpoint", "Endpoint"),
                            ("Accept", "Accept"),
                            ("Hold", "Hold"),
                            ("Bounce", "Bounce"),
                            ("Reject", "Reject"),
                        ],
                        default="Endpoint",
                        max_length=16,
                    ),
                ),
                (
                    "spam_mode",
                    models.CharField(
                        choices=[("Mark", "Mark"), ("Quarantine", "Quarantine"), ("Fail", "Fail")],
                        default="Mark",
                        max_length=16,
                    ),
                ),
                (
                    "address_endpoint",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="postal_server.addressendpoint",
                    ),
                ),
                (
                    "domain",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="routes",
                        to="postal_server.domain",
                    ),
                ),
                (
                    "http_endpoint",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="postal_server.httpendpoint",
                    ),
                ),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="routes",
                        to="postal_server.server",
                    ),
                ),
                (
                    "smtp_endpoint",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="postal_server.smtpendpoint",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("name", "domain"), name="route_of_domain")],
            },
        ),
        migrations.CreateModel(
            name="AdditionalRouteEndpoint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "address_endpoint",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="postal_server.addressendpoint",
                    ),
                ),
                (
                    "http_endpoint",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="postal_server.httpendpoint",
                    ),
                ),
                (
                    "route",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="additional_endpoints",
                        to="postal_server.route",
                    ),
                ),
                (
                    "smtp_endpoint",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to="postal_server.smtpendpoint",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Stream",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9._-]+\\Z", "1 to 64 of the characters a-z, 0-9, `.`, `_` and `-`."
                            )
                        ],
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("transactional", "transactional"), ("bulk", "bulk")],
                        default="transactional",
                        help_text="Transactional mail also goes to people who have unsubscribed from other mail.",
                        max_length=16,
                    ),
                ),
                (
                    "must_arrive",
                    models.BooleanField(
                        default=False,
                        help_text="Complaints do not stop this mail either: password resets, say.",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="streams",
                        to="postal_server.server",
                    ),
                ),
            ],
            options={
                "ordering": ["server", "name"],
                "constraints": [
                    models.UniqueConstraint(fields=("server", "name"), name="stream_name_of_server")
                ],
            },
        ),
        migrations.CreateModel(
            name="Suppression",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server_id", models.BigIntegerField()),
                ("scope", models.CharField(blank=True, default="", max_length=262)),
                ("key", models.CharField(max_length=320)),
                ("address", models.CharField(max_length=320)),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("bad_address", "bad_address"),
                            ("bad_domain", "bad_domain"),
                            ("inactive", "inactive"),
                            ("mailbox_full", "mailbox_full"),
                            ("expired", "expired"),
                            ("unknown", "unknown"),
                            ("complaint", "complaint"),
                            ("unsubscribe", "unsubscribe"),
                            ("manual", "manual"),
                            ("imported", "imported"),
                        ],
                        default="manual",
                        max_length=16,
                    ),
                ),
                ("text", models.CharField(blank=True, default="", max_length=250)),
                ("source_message_id", models.BigIntegerField(blank=True, null=True)),
                ("answer", models.CharField(blank=True, default="", max_length=500)),
                ("rule", models.CharField(blank=True, default="", max_length=128)),
                ("code", models.CharField(blank=True, default="", max_length=16)),
                ("times", models.PositiveSmallIntegerField(default=1)),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "active"), ("proposed", "proposed")],
                        default="active",
                        max_length=8,
                    ),
                ),
                ("incident_id", models.BigIntegerField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                ("keep_until", models.DateTimeField(blank=True, db_index=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", models.CharField(blank=True, default="", max_length=64)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at__isnull", False)),
                        fields=["ended_at"],
                        name="suppression_ended",
                    ),
                    models.Index(
                        condition=models.Q(("incident_id__isnull", False)),
                        fields=["incident_id"],
                        name="suppression_of_incident",
                    ),
                    models.Index(
                        condition=models.Q(("ended_at__isnull", True), ("reason", "bad_domain")),
                        fields=["reason"],
                        name="suppression_of_domain",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("server_id", "key", "scope", "reason"), name="one_suppression_per_reason"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TlsResult",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("domain", models.CharField(max_length=255)),
                ("policy_type", models.CharField(max_length=16)),
                ("policy", models.TextField(blank=True)),
                ("hosts", models.TextField(blank=True)),
                ("failure", models.CharField(blank=True, max_length=32)),
                ("host", models.CharField(blank=True, max_length=255)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("source", models.CharField(blank=True, max_length=45)),
                ("reason", models.CharField(blank=True, max_length=250)),
                ("count", models.BigIntegerField(default=1)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("day", "domain", "policy_type", "failure", "host", "address", "source"),
                        name="one_tls_result",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TrackDomain",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(default="click", max_length=63)),
                ("ssl_enabled", models.BooleanField(default=True)),
                ("track_clicks", models.BooleanField(default=True)),
                ("track_loads", models.BooleanField(default=True)),
                ("excluded_click_domains", models.TextField(blank=True, help_text="One host a line.")),
                ("dns_checked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("dns_status", models.CharField(blank=True, max_length=16)),
                ("dns_error", models.CharField(blank=True, max_length=500)),
                (
                    "domain",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="track_domains",
                        to="postal_server.domain",
                    ),
                ),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="track_domains",
                        to="postal_server.server",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("server", "domain"), name="one_track_domain_of_a_domain")
                ],
            },
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=255)),
                (
                    "url",
                    models.CharField(
                        max_length=2000,
                        validators=[
                            django.core.validators.RegexValidator(
                                "(?i)^https?://[a-z0-9\\-._?=&/+:%@]+\\Z",
                                "http:// or https://, letters, digits and - . _ ? = & / + : % @.",
                            )
                        ],
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
                ("disabled_reason", models.CharField(blank=True, editable=False, max_length=250)),
                ("all_events", models.BooleanField(default=True)),
                ("events", models.JSONField(blank=True, default=list)),
                (
                    "beyond_postal",
                    models.BooleanField(
                        default=True,
                        help_text="All events include those that Postal lacks. Off for applications that do not expect them.",
                        verbose_name="beyond Postal",
                    ),
                ),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhooks",
                        to="postal_server.server",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="WebhookAttempt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server_id", models.BigIntegerField()),
                ("webhook_id", models.BigIntegerField()),
                ("uuid", models.UUIDField()),
                ("event", models.CharField(max_length=64)),
                ("url", models.CharField(max_length=2000)),
                ("attempt", models.SmallIntegerField()),
                ("status_code", models.IntegerField()),
                ("answer", models.TextField(blank=True)),
                ("payload", models.TextField()),
                ("will_retry", models.BooleanField()),
                ("seconds", models.FloatField(null=True)),
                ("created_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "indexes": [models.Index(fields=["server_id", "id"], name="webhook_attempt_of_server")],
            },
        ),
        migrations.CreateModel(
            name="WebhookRequest",
            fields=[
                ("due_at", models.DateTimeField(null=True)),
                ("claimed_by", models.BigIntegerField(null=True)),
                ("claims", models.SmallIntegerField(default=0)),
                ("attempts", models.SmallIntegerField(default=0)),
                ("expires_at", models.DateTimeField()),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("webhook_id", models.BigIntegerField()),
                ("server_id", models.BigIntegerField()),
                ("message_id", models.BigIntegerField(null=True)),
                ("uuid", models.UUIDField()),
                ("event", models.CharField(max_length=64)),
                ("body", models.BinaryField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("claimed_by__isnull", True), ("due_at__isnull", True)),
                        fields=["server_id", "webhook_id", "id"],
                        name="webhook_ready",
                    ),
                    models.Index(fields=["message_id", "webhook_id", "id"], name="webhook_of_message"),
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="webhook_due"
                    ),
                    models.Index(
                        condition=models.Q(("claimed_by__isnull", False)),
                        fields=["claimed_by"],
                        name="webhook_claimed",
                    ),
                    models.Index(fields=["expires_at"], name="webhook_expiry"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Click",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("message_id", models.BigIntegerField()),
                ("ip_address", models.CharField(max_length=64)),
                ("user_agent", models.TextField(null=True)),
                ("created_at", models.DateTimeField()),
                (
                    "link",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="clicks",
                        to="postal_server.link",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["message_id", "created_at"], name="click_of_message")],
            },
        ),
        migrations.RunPython(set_up, take_down),
    ]
