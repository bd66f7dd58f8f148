"""The store in Django's admin: read-only, except for suppressions and scheduled mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from .models import InboundMail, PostalEvent, PostalMessage, ScheduledMail, Suppression

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin  # Subscriptable only with django-stubs' monkey patch.


class ReadOnlyAdmin(ModelAdmin):
    """The base for records, which cannot be added or changed."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(PostalMessage)
class PostalMessageAdmin(ReadOnlyAdmin):
    list_display = [
        "sent_at", "recipient", "subject", "event_type", "reject_reason", "failure_class", "tag", "server",
    ]  # fmt: skip
    list_filter = ["event_type", "failure_class", "server", "tag", "sent_at"]
    search_fields = ["recipient", "subject", "rfc_message_id", "token", "=postal_id"]
    fieldsets = [
        (None, {"fields": ["recipient", "subject", "tag", "metadata"]}),
        ("State", {"fields": ["event_type", "reject_reason", "failure_class"]}),
        ("Postal", {"fields": ["server", "postal_id", "token", "rfc_message_id"]}),
        ("Timeline", {"fields": ["timeline"]}),
    ]
    readonly_fields = ["timeline"]

    @admin.display(description="")
    def timeline(self, message: PostalMessage) -> SafeString:
        """The acceptance of the message and its events, in order."""
        rows = [(message.sent_at, "accepted", "", "", "")]
        rows += [
            (event.happened_at, event.event_type, event.failure_class, event.details, event.output)
            for event in message.events()
        ]
        return format_html(
            "<table><tbody>{}</tbody></table>",
            format_html_join(
                "",
                "<tr><td>{}</td><td><strong>{}</strong></td><td>{}</td><td>{}<br>{}</td></tr>",
                ((localize(localtime(at)), *texts) for at, *texts in rows),
            ),
        )


@admin.register(PostalEvent)
class PostalEventAdmin(ReadOnlyAdmin):
    list_display = [
        "happened_at", "name", "event_type", "reject_reason", "failure_class", "recipient", "postal_id",
        "server",
    ]  # fmt: skip
    list_filter = ["event_type", "failure_class", "name", "server", "happened_at"]
    search_fields = ["recipient", "=postal_id"]


@admin.register(InboundMail)
class InboundMailAdmin(ReadOnlyAdmin):
    list_display = ["received_at", "sender", "recipient", "subject", "handled_at", "server"]
    list_filter = ["server", "received_at"]
    search_fields = ["sender", "recipient", "subject", "=postal_id"]


@admin.register(ScheduledMail)
class ScheduledMailAdmin(ReadOnlyAdmin):
    list_display = ["send_at", "subject", "tag", "state", "server"]
    list_filter = ["state", "server"]
    search_fields = ["subject"]
    actions = ["send_again"]

    @admin.action(description="Send again, although Postal may have the mail already", permissions=["delete"])
    def send_again(self, request: HttpRequest, mails: QuerySet[ScheduledMail]) -> None:
        """Have the next `postal_send_due` send the selected mail, in whichever state it is."""
        count = mails.exclude(state=ScheduledMail.State.WAITING).update(
            state=ScheduledMail.State.WAITING, error=""
        )
        self.message_user(request, f"{count} will be sent by the next postal_send_due.")


@admin.register(Suppression)
class SuppressionAdmin(ModelAdmin):
    list_display = ["address", "reason", "created_at", "server"]
    list_filter = ["reason", "server"]
    search_fields = ["address"]
