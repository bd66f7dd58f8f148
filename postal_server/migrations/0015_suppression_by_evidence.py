"""Suppressions with a reason, a key, a scope and a history; failures as strikes; incidents."""

from django.db import migrations, models

from postal_server.mail.address import suppression_key

KEY_CHARACTERS = 320
REASONS = [
    "bad_address",
    "bad_domain",
    "inactive",
    "mailbox_full",
    "expired",
    "unknown",
    "complaint",
    "unsubscribe",
    "manual",
    "imported",
]
REASON_OF_TEXT = {
    "too many hard fails": "bad_address",
    "hard bounce": "bad_address",
    "too many soft fails": "expired",
}


def fill_in(apps, schema_editor):
    """Reasons by their texts, and keys anew: of doubles the entry that lasts longer stays."""
    suppressions = apps.get_model("postal_server", "Suppression").objects
    suppressions.update(key=models.F("address"))
    for text, reason in REASON_OF_TEXT.items():
        suppressions.filter(text=text).update(reason=reason)
    for row in suppressions.only("server_id", "key", "reason", "keep_until").iterator():
        key = suppression_key(row.key)[:KEY_CHARACTERS]
        if key == row.key:
            continue
        other = suppressions.filter(server_id=row.server_id, key=key, reason=row.reason).first()
        if other is None:
            suppressions.filter(pk=row.pk).update(key=key)
        else:
            shorter = other if other.keep_until < row.keep_until else row
            suppressions.filter(pk=shorter.pk).delete()
            suppressions.filter(pk__in=[row.pk, other.pk]).update(key=key)


class Migration(migrations.Migration):
    dependencies = [("postal_server", "0014_spelling")]

    operations = [
        migrations.AddField(
            "server",
            "suppressed_as",
            models.CharField(
                choices=[("held", "held"), ("failed", "failed")],
                default="held",
                help_text="What becomes of mail to a suppressed address.",
                max_length=8,
            ),
        ),
        migrations.AddField("server", "is_imported", models.BooleanField(default=False, editable=False)),
        migrations.RemoveConstraint("suppression", "one_suppression_per_address"),
        migrations.RenameField("suppression", "reason", "text"),
        migrations.AlterField(
            "suppression", "text", models.CharField(blank=True, default="", max_length=250)
        ),
        migrations.AddField(
            "suppression",
            "reason",
            models.CharField(choices=[(name, name) for name in REASONS], default="manual", max_length=16),
        ),
        migrations.AddField("suppression", "key", models.CharField(default="", max_length=KEY_CHARACTERS)),
        migrations.AddField("suppression", "scope", models.CharField(blank=True, default="", max_length=262)),
        migrations.AddField(
            "suppression", "source_message_id", models.BigIntegerField(blank=True, null=True)
        ),
        migrations.AddField(
            "suppression", "answer", models.CharField(blank=True, default="", max_length=500)
        ),
        migrations.AddField("suppression", "rule", models.CharField(blank=True, default="", max_length=128)),
        migrations.AddField("suppression", "code", models.CharField(blank=True, default="", max_length=16)),
        migrations.AddField("suppression", "times", models.PositiveSmallIntegerField(default=1)),
        migrations.AddField(
            "suppression",
            "state",
            models.CharField(
                choices=[("active", "active"), ("proposed", "proposed")], default="active", max_length=8
            ),
        ),
        migrations.AddField("suppression", "incident_id", models.BigIntegerField(blank=True, null=True)),
        migrations.AddField("suppression", "ended_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField(
            "suppression", "ended_by", models.CharField(blank=True, default="", max_length=64)
        ),
        migrations.RunPython(fill_in, migrations.RunPython.noop),
        migrations.AlterField("suppression", "key", models.CharField(max_length=KEY_CHARACTERS)),
        migrations.AlterField(
            "suppression", "keep_until", models.DateTimeField(blank=True, db_index=True, null=True)
        ),
        migrations.AddConstraint(
            "suppression",
            models.UniqueConstraint(
                fields=("server_id", "key", "scope", "reason"), name="one_suppression_per_reason"
            ),
        ),
        migrations.AddIndex(
            "suppression",
            models.Index(
                condition=models.Q(("ended_at__isnull", False)), fields=["ended_at"], name="suppression_ended"
            ),
        ),
        migrations.AddIndex(
            "suppression",
            models.Index(
                condition=models.Q(("incident_id__isnull", False)),
                fields=["incident_id"],
                name="suppression_of_incident",
            ),
        ),
        # What failed in the last day, without saying why: it is not known whether it was the address.
        migrations.DeleteModel("FailureEvidence"),
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
                ("key", models.CharField(max_length=KEY_CHARACTERS)),
                ("failure_class", models.CharField(max_length=16)),
                ("is_sure", models.BooleanField()),
                ("operator", models.CharField(blank=True, default="", max_length=255)),
                ("message_id", models.BigIntegerField()),
                ("created_at", models.DateTimeField(db_index=True)),
            ],
            options={"indexes": [models.Index(fields=["server_id", "key"], name="failure_of_key")]},
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
                ]
            },
        ),
    ]
