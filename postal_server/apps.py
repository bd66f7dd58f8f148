"""The Django app of the mail server."""

from __future__ import annotations

from django.apps import AppConfig


class PostalServerConfig(AppConfig):
    name = "postal_server"
    verbose_name = "Postal server"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from .engine import directory  # noqa: PLC0415 - models are not loaded before

        directory.connect_signals()
