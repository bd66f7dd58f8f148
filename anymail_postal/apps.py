"""The Django app: system checks, commands, and the signals for replies. It has no models."""

from django.apps import AppConfig


class PostalConfig(AppConfig):
    """`anymail_postal`. The backend and the views work without it; checks, commands and replies need it."""

    name = "anymail_postal"
    verbose_name = "Postal"

    def ready(self) -> None:
        """Register the checks, and look for replies in incoming mail."""
        from . import checks, replies  # noqa: PLC0415  (they use the app registry)

        checks.register()
        replies.connect()
