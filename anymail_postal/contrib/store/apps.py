"""The optional app."""

from django.apps import AppConfig


class StoreConfig(AppConfig):
    """`anymail_postal.contrib.store`. The label has a prefix, because "store" is a common one."""

    name = "anymail_postal.contrib.store"
    label = "anymail_postal_store"
    verbose_name = "Postal"
    default_auto_field = "django.db.models.BigAutoField"
