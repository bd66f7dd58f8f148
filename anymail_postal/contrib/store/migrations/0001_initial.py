import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="InboundMail",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server", models.CharField(max_length=100)),
                ("key", models.CharField(max_length=64)),
                ("postal_id", models.BigIntegerField(blank=True, null=True, verbose_name="Postal's id")),
                ("recipient", models.CharField(blank=True, max_length=320)),
                ("received_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("handled_at", models.DateTimeField(blank=True, null=True)),
                ("body", models.BinaryField(default=bytes)),
                ("content_type", models.CharField(blank=True, editable=False, max_length=255)),
                ("sender", models.CharField(blank=True, max_length=320, verbose_name="envelope sender")),
                ("subject", models.CharField(blank=True, max_length=255)),
            ],
            options={
                "verbose_name": "incoming mail",
                "verbose_name_plural": "incoming mail",
                "ordering": ["-received_at", "-pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("server", "key"), name="anymail_postal_inbound_key")
                ],
            },
        ),
        migrations.CreateModel(
            name="PostalEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server", models.CharField(max_length=100)),
                ("key", models.CharField(max_length=64)),
                ("postal_id", models.BigIntegerField(blank=True, null=True, verbose_name="Postal's id")),
                ("recipient", models.CharField(blank=True, max_length=320)),
                ("received_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("handled_at", models.DateTimeField(blank=True, null=True)),
                ("body", models.BinaryField(default=bytes)),
                ("content_type", models.CharField(blank=True, editable=False, max_length=255)),
                ("name", models.CharField(max_length=100, verbose_name="Postal's name")),
                ("event_type", models.CharField(max_length=20, verbose_name="type")),
                ("reject_reason", models.CharField(blank=True, max_length=20)),
                (
                    "occurred_at",
                    models.DateTimeField(blank=True, help_text="As Postal says, where it does.", null=True),
                ),
                ("happened_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="time")),
                ("details", models.TextField(blank=True)),
                ("output", models.TextField(blank=True, verbose_name="answer of the receiving server")),
            ],
            options={
                "verbose_name": "event",
                "ordering": ["-happened_at", "-pk"],
                "indexes": [
                    models.Index(fields=["server", "postal_id"], name="anymail_postal_event_message")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("server", "key"), name="anymail_postal_event_key"),
                    models.UniqueConstraint(
                        fields=("server", "name", "postal_id", "occurred_at"),
                        name="anymail_postal_event_when",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PostalMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server", models.CharField(max_length=100)),
                ("postal_id", models.BigIntegerField(verbose_name="Postal's id")),
                ("token", models.CharField(blank=True, max_length=64)),
                ("recipient", models.CharField(db_index=True, max_length=320)),
                (
                    "rfc_message_id",
                    models.CharField(blank=True, db_index=True, max_length=255, verbose_name="Message-ID"),
                ),
                ("subject", models.CharField(blank=True, max_length=255)),
                ("tag", models.CharField(blank=True, max_length=255)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("sent_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("event_type", models.CharField(default="queued", max_length=20, verbose_name="state")),
                ("reject_reason", models.CharField(blank=True, max_length=20)),
                ("event_at", models.DateTimeField(blank=True, null=True, verbose_name="since")),
            ],
            options={
                "verbose_name": "message",
                "ordering": ["-sent_at", "-pk"],
                "indexes": [
                    models.Index(fields=["event_type", "sent_at"], name="anymail_postal_message_state")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("server", "postal_id"), name="anymail_postal_message_id")
                ],
            },
        ),
        migrations.CreateModel(
            name="ScheduledMail",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("server", models.CharField(max_length=100)),
                ("send_at", models.DateTimeField()),
                ("endpoint", models.CharField(max_length=20)),
                ("params", models.JSONField(editable=False)),
                ("subject", models.CharField(blank=True, max_length=255)),
                ("tag", models.CharField(blank=True, max_length=255)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("sending", "Sending"), ("failed", "Failed")],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("error", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "scheduled mail",
                "verbose_name_plural": "scheduled mail",
                "ordering": ["send_at", "pk"],
                "indexes": [models.Index(fields=["state", "send_at"], name="anymail_postal_due")],
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
                ("server", models.CharField(max_length=100)),
                ("address", models.CharField(max_length=320)),
                ("reason", models.CharField(blank=True, max_length=20)),
                ("postal_id", models.BigIntegerField(blank=True, null=True, verbose_name="Postal's id")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "ordering": ["-created_at", "-pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("server", "address"), name="anymail_postal_suppressed")
                ],
            },
        ),
    ]
