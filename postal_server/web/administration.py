"""Django's admin site with its many lists in an order: by what an administrator wants to do."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse

APP = "postal_server"
# The lists of each section, by their models; those that are not named come last.
SECTIONS = {
    "Mail": ("Message", "QueuedMessage", "QueueSuspension", "Suppression", "CaughtMail", "Link"),
    "Mail servers": (
        "Organization",
        "Server",
        "Credential",
        "Domain",
        "Route",
        "HTTPEndpoint",
        "SMTPEndpoint",
        "AddressEndpoint",
    ),
    "Webhooks": ("Webhook", "WebhookRequest", "WebhookAttempt"),
}
REST = "Delivery"
NAMES = {
    "AddressEndpoint": "Address endpoints",
    "CaughtMail": "Caught mail",
    "DestinationPace": "Slowed-down destinations",
    "DestinationPause": "Paused destinations",
    "HTTPEndpoint": "HTTP endpoints",
    "SMTPEndpoint": "SMTP endpoints",
    "Suppression": "Suppressed addresses",
    "WebhookAttempt": "Webhook log",
}


class Site(AdminSite):
    site_header = site_title = "Postal server"
    index_title = "Mail"

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from .login import LoginForm, add_retry_after  # noqa: PLC0415 - models are not loaded before

        self.login_form = LoginForm
        return add_retry_after(super().login(request, extra_context))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The apps and their models; this one in sections, before the others."""
        apps = super().get_app_list(request, app_label)
        own = [app for app in apps if app["app_label"] == APP]
        return [*(section for app in own for section in _sections(app)), *(a for a in apps if a not in own)]


def _sections(app: dict[str, Any]) -> list[dict[str, Any]]:
    left = {model["object_name"]: model for model in app["models"]}
    sections = {
        title: [left.pop(name) for name in names if name in left] for title, names in SECTIONS.items()
    }
    sections[REST] = list(left.values())
    for name, model in ((model["object_name"], model) for models in sections.values() for model in models):
        model["name"] = NAMES.get(name, model["name"])
    return [{**app, "name": title, "models": models} for title, models in sections.items() if models]
