from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("anymail_postal_store", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name=name, name="failure_class", field=models.CharField(blank=True, max_length=64)
        )
        for name in ("postalevent", "postalmessage")
    ]
