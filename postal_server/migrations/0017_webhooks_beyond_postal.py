from django.db import migrations, models

HELP = "All events include those that Postal lacks. Off for applications that do not expect them."


class Migration(migrations.Migration):
    dependencies = [
        ("postal_server", "0016_failure_classes"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhook",
            name="beyond_postal",
            field=models.BooleanField("beyond Postal", default=False, help_text=HELP),
        ),
        # Those that are there already keep what their applications know.
        migrations.AlterField(
            model_name="webhook",
            name="beyond_postal",
            field=models.BooleanField("beyond Postal", default=True, help_text=HELP),
        ),
    ]
