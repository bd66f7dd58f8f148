"""The Django app of the mail server."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin


class PostalServerConfig(AppConfig):
    default = True
    name = "postal_server"
    verbose_name = "Postal server"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from .engine import directory  # noqa: PLC0415 - models are not loaded before

        directory.connect_signals()


class Administration(admin.SimpleAdminConfig):
    """Django's admin with a site of our own. `urls.py` loads its pages: only the web process needs them."""

    default = False
    default_site = "postal_server.web.administration.Site"
