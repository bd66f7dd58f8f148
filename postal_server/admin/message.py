"""Stored messages: look at them, hold, release, send again, remove."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from postal_server import models
from postal_server.mail.address import as_stored
from postal_server.mail.message_view import MessageParts
from postal_server.models.message import message_id_key
from postal_server.rules.hold import HoldEnd, HoldReason
from postal_server.rules.status import DeliveryStatus
from postal_server.services.operations import held, reports, stored_message, suppression_list
from postal_server.services.shared.token import ids_by_token

from .base import (
    BoundedPaginator,
    ServerFilter,
    ServerScopedAdmin,
    link_messages,
    one_of,
    operation_context,
    within,
)
from .mail_view import MailViewAdmin

MAX_STREAMS = 200  # of a list's filter
UNFINISHED = " That took long enough: do it again for the rest, or use `postal-server held` or `queue`."


class HeldFilter(admin.SimpleListFilter):
    """What waits for a person; it has an index, unlike the status."""

    title = "waiting"
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        by_reason = [(reason.value, f"held: {reason.value.replace('_', ' ')}") for reason in HoldReason]
        return [("held", "held"), *by_reason]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen not in dict(self.lookup_choices):
            return queryset
        held = queryset.filter(hold_expires_at__isnull=False)
        return held if chosen == "held" else held.filter(hold_reason=chosen)


class HeldSinceFilter(admin.SimpleListFilter):
    """Held mail by how long it has been held; only that, as no index has the time of each last attempt."""

    title = "held for more than"
    parameter_name = "held_for"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "an hour"), ("24", "a day"), ("72", "three days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in dict(self.lookup_choices):
            return queryset
        before = timezone.now() - timedelta(hours=int(self.value() or 0))
        return queryset.filter(hold_expires_at__isnull=False, last_attempt_at__lte=before)


class HeldStreamFilter(admin.SimpleListFilter):
    """Held mail by its stream; only that, as no index has the streams."""

    title = "stream of held mail"
    parameter_name = "held_stream"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = models.Stream.objects.order_by("name").values_list("name", flat=True).distinct()
        return [(name, name) for name in names[:MAX_STREAMS]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(hold_expires_at__isnull=False, stream=self.value())


@admin.register(models.Message)
class MessageAdmin(ServerScopedAdmin, MailViewAdmin):
    """Messages and what was done with them. Their texts are never changed here."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_display = [
        *("id", "created_at", "status", "hold_reason", "mail_from", "rcpt_to", "subject", "tag", "stream"),
        *("server", "scope"),
    ]
    list_display_links = ["id", "subject"]
    list_filter = [
        HeldFilter,
        HeldSinceFilter,
        HeldStreamFilter,
        one_of("status", [status.value for status in DeliveryStatus]),
        "scope",
        ServerFilter,
    ]
    search_fields = ["id"]
    search_help_text = "An id, a token, a Message-ID, or a recipient's whole address"
    ordering = ["-id"]
    actions = ["hold_messages", "release", "cancel", "retry", "remove"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # a worker may be busy with it; retention deletes

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Message]:
        return super().get_queryset(request).defer("prefix")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By what a person has in hand, each with an index but the recipient."""
        term = search_term.strip().strip("<>")
        if not term:
            return queryset, False
        if term.isascii() and term.isdigit() and len(term) < 19:
            return queryset.filter(pk=int(term)), False
        if "@" not in term:
            return queryset.filter(pk__in=ids_by_token([term]).values()), False
        hashed = message_id_key(term, timezone.now())[1]
        by_message_id = queryset.filter(message_id_hash=hashed, message_id=term)
        return by_message_id | queryset.filter(rcpt_to=as_stored(term)), False

    # What can be done

    @admin.action(description="Hold", permissions=["change"])
    def hold_messages(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> None:
        self._do(request, queryset, held.keep_back, "held")

    @admin.action(description="Release held messages", permissions=["change"])
    def release(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> None:
        self._do(request, queryset, held.release, "released")

    @admin.action(description="Cancel the hold", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> HttpResponse | None:
        if not request.POST.get("sure"):
            return self._ask(request, queryset, "cancel", "Cancel the hold: they are never sent")
        self._do(request, queryset, partial(held.cancel, by=HoldEnd.ADMIN), "cancelled")
        return None

    @admin.action(description="Try again now", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> None:
        self._do(request, queryset, held.requeue, "queued again")

    @admin.action(description="Remove from the queue", permissions=["change"])
    def remove(self, request: HttpRequest, queryset: QuerySet[models.Message]) -> HttpResponse | None:
        if not request.POST.get("sure"):
            return self._ask(
                request, queryset, "remove", "Remove from the queue: they fail, and webhooks report it"
            )
        self._do(request, queryset, held.remove, "removed from the queue")
        return None

    def _ask(
        self, request: HttpRequest, queryset: QuerySet[models.Message], action: str, what: str
    ) -> HttpResponse:
        """Is that meant? What was posted comes again, with a word more."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Are you sure?",
            "action": action,
            "what": what,
            "count": queryset.count(),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
        }
        return TemplateResponse(request, "admin/postal_server/message/confirm.html", context)

    def _do(
        self,
        request: HttpRequest,
        queryset: QuerySet[models.Message],
        action: held.Operation,
        word: str,
    ) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        done, is_finished = within(action(ids, operation_context(request)))
        messages.info(request, f"{done} of {len(ids)} messages {word}." + ("" if is_finished else UNFINISHED))

    # One message

    mail_template = "admin/postal_server/message/view.html"

    def get_urls(self) -> list[URLPattern]:
        view: Any = self.admin_site.admin_view(self.do)
        return [path("<int:pk>/do/", view, name=self._name("do")), *super().get_urls()]

    def mail(self, request: HttpRequest, pk: int) -> tuple[bytes | None, MessageParts]:
        found = self._stored(pk)
        return found.raw, found.parts

    def describe(self, request: HttpRequest, pk: int) -> dict[str, Any]:
        found = self._stored(pk)
        return {
            "message": found.row,
            "token": found.token,
            "deliveries": [(item, link_messages(item.details)) for item in stored_message.deliveries(pk)],
            "activity": stored_message.show(found, ["activity_entries"])["activity_entries"],
            "reports": reports.said_by([pk])[pk] if found.row.kind else reports.about(pk),
            "suppressions": suppression_list.made_by(found.row),
            "queued": models.QueuedMessage.objects.filter(pk=pk).first(),
            "buttons": self._buttons(found.row) if self.has_change_permission(request) else [],
        }

    def _stored(self, pk: int) -> stored_message.StoredMessage:
        row = models.Message.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        return stored_message.StoredMessage(row)

    def _buttons(self, row: models.Message) -> list[tuple[str, str]]:
        if row.status == DeliveryStatus.HELD.value and row.hold_expires_at:
            return [("release", "Release"), ("cancel", "Cancel the hold")]
        buttons = [("retry", "Try again now")]
        if models.QueuedMessage.objects.filter(pk=row.pk).exists():
            buttons += [("hold_messages", "Hold"), ("remove", "Remove from the queue")]
        return buttons

    def do(self, request: HttpRequest, pk: int) -> HttpResponse:
        """One of the actions, for one message."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        action = request.POST.get("action", "")
        if request.method != "POST" or action not in self.actions:
            raise Http404
        asked: HttpResponse | None = getattr(self, action)(request, models.Message.objects.filter(pk=pk))
        return asked or HttpResponseRedirect(self.address("change", pk))
