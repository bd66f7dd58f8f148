"""The installation's counters, and what only PostgreSQL can be told about storage."""

from django.db import migrations

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
    dependencies = [("postal_server", "0001_initial")]

    operations = [migrations.RunPython(set_up, take_down)]
