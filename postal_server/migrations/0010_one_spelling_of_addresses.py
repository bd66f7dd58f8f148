"""Suppressed addresses in the one spelling that is compared; of doubles the longer entry stays."""

from django.db import migrations

from postal_server.mail.address import suppression_key


def respell(apps, schema_editor):
    suppressions = apps.get_model("postal_server", "Suppression").objects
    for row in suppressions.iterator():
        key = suppression_key(row.address)[:320]
        if key == row.address:
            continue
        other = suppressions.filter(server_id=row.server_id, address=key).first()
        if other is None:
            suppressions.filter(pk=row.pk).update(address=key)
            continue
        if other.keep_until < row.keep_until:
            suppressions.filter(pk=other.pk).update(reason=row.reason, keep_until=row.keep_until)
        suppressions.filter(pk=row.pk).delete()
    failures = apps.get_model("postal_server", "FailureEvidence").objects
    for row in failures.iterator():
        key = suppression_key(row.address)[:320]
        if key != row.address:
            failures.filter(pk=row.pk).update(address=key)


class Migration(migrations.Migration):
    dependencies = [("postal_server", "0009_unknown_dns_states")]

    operations = [migrations.RunPython(respell, migrations.RunPython.noop)]
