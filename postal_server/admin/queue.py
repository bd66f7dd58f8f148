"""The queue, and those who work on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timesince import timeuntil

from postal_server import models
from postal_server.engine.database import write_transaction
from postal_server.models.queue_state import QueueState
from postal_server.rules.selection import Selection, destination_name
from postal_server.services.operations import queue

from .base import (
    ModelAdmin,
    ModelForm,
    ReadOnlyAdmin,
    ServerFilter,
    ServerScopedAdmin,
    change_link,
    operation_context,
    within,
)

UNFINISHED = " That took long enough: do it again for the rest, or use `postal-server queue`."
BY_WORKER = " A worker does the rest."


class PartForm(forms.Form):
    """A part of the queue."""

    server = forms.ModelChoiceField(
        models.Server.objects.filter(deleted_at=None), required=False, empty_label="any"
    )
    destination = forms.CharField(max_length=255, required=False)
    tag = forms.CharField(max_length=255, required=False)

    def selection(self) -> Selection:
        if not self.is_valid():
            return Selection()
        given = self.cleaned_data
        server = given["server"]
        return Selection(server.pk if server else None, destination_name(given["destination"]), given["tag"])


STATE_NAMES = {
    QueueState.READY: "ready",
    QueueState.DEFERRED: "waiting",
    QueueState.SUSPENDED: "suspended",
    QueueState.CLAIMED: "being tried",
}


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in STATE_NAMES.values()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = [state for state, name in STATE_NAMES.items() if name == self.value()]
        return queryset.filter(chosen[0].rows) if chosen else queryset


@admin.register(models.QueuedMessage)
class QueuedMessageAdmin(ServerScopedAdmin, ReadOnlyAdmin):
    """Messages that wait, one by one; and a page of what waits for each destination."""

    list_display = ["message", "server", "destination", "state", "attempts", "bulk", "created_at"]
    list_display_links = None
    list_filter = [StateFilter, ServerFilter]
    search_fields = ["=id", "=destination"]
    search_help_text = "The number of a message, or a destination"
    ordering = ["id"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # its message would wait for ever: remove it instead

    def may_change(self, request: HttpRequest) -> bool:
        return request.user.has_perm("postal_server.change_queuedmessage")

    @admin.display(description="Message", ordering="id")
    def message(self, row: models.QueuedMessage) -> SafeString:
        return change_link("message", row.pk)

    @admin.display(description="State")
    def state(self, row: models.QueuedMessage) -> str:
        if row.due_at and row.state is QueueState.DEFERRED:
            return f"tried in {timeuntil(row.due_at)}"
        return STATE_NAMES[QueueState.CLAIMED if row.state.is_claimed else row.state]

    @admin.display(description="Bulk", boolean=True)
    def bulk(self, row: models.QueuedMessage) -> bool:
        return bool(row.priority)

    # By destination

    def get_urls(self) -> list[URLPattern]:
        view: Any = self.admin_site.admin_view(self.overview)
        return [
            path("overview/", view, name="postal_server_queuedmessage_overview"),
            *super().get_urls(),
        ]

    def overview(self, request: HttpRequest) -> HttpResponse:
        """What waits for each destination, and what can be done with the part of it that is shown."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._act(request)
        now = timezone.now()
        form = PartForm(request.GET)
        selection = form.selection()
        rows = queue.overview(selection, now)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "The queue by destination",
            "form": form,
            "rows": rows,
            "is_part": selection != Selection(),
            "shown": queue.SHOWN,
            "messages_in_part": sum(row.messages for row in rows),
            "may_change": self.may_change(request),
            "suspensions": models.QueueSuspension.objects.select_related("server__organization"),
            "now": now,
        }
        return TemplateResponse(request, "admin/postal_server/queuedmessage/overview.html", context)

    def _act(self, request: HttpRequest) -> HttpResponse:
        if not self.may_change(request):
            raise PermissionDenied
        form = PartForm(request.POST)
        selection, action = form.selection(), request.POST.get("action", "")
        if not form.is_valid() or (selection == Selection() and action != "flush"):
            messages.error(request, "Choose a server, a destination or a tag first.")
        elif action == "suspend":
            queue.suspend(selection, request.POST.get("reason", "")[:250])
            _, is_finished = within(queue.put_aside(write_transaction))
            # A message that waits for its next attempt is put aside when that is due.
            waiting = queue.waiting(selection).count()
            self._say(request, waiting, "messages wait until they are resumed", is_finished, BY_WORKER)
            queue.request_suspensions(timezone.now())
        elif action == "resume":
            queue.resume(selection)
            self._tell(request, queue.make_ready(write_transaction), "messages are ready", BY_WORKER)
            queue.request_suspensions(timezone.now())
        elif action == "flush":
            self._tell(request, queue.flush(selection, write_transaction), "messages are tried now")
        elif action == "purge" and request.POST.get("sure"):
            steps = queue.purge(selection, operation_context(request))
            self._tell(request, steps, "messages were removed from the queue")
        else:
            messages.error(request, "Nothing was done: tick the box to remove mail.")
        return HttpResponseRedirect(request.get_full_path())

    def _tell(self, request: HttpRequest, steps: Iterator[int], words: str, rest: str = UNFINISHED) -> None:
        done, is_finished = within(steps)
        self._say(request, done, words, is_finished, rest)

    def _say(self, request: HttpRequest, done: int, words: str, is_finished: bool, rest: str) -> None:
        messages.info(request, f"{done:,} {words}." + ("" if is_finished else rest))


class SuspensionForm(ModelForm):
    def clean_destination(self) -> str:
        """As it is compared: here, so that it is this spelling that must not be there yet."""
        return destination_name(self.cleaned_data["destination"])


@admin.register(models.QueueSuspension)
class QueueSuspensionAdmin(ModelAdmin):
    """Parts of the queue that wait. A worker applies what changes here within seconds."""

    form = SuspensionForm
    list_display = ["__str__", "reason", "created_at"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # another part is another suspension

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        queue.request_suspensions(timezone.now())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        queue.request_suspensions(timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset)
        queue.request_suspensions(timezone.now())


@admin.register(models.Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Once the row of a dead worker is gone, what it held stays claimed."""

    list_display = ["id", "host", "pid", "beat", "started_at"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(models.DestinationPause)
class DestinationPauseAdmin(ReadOnlyAdmin):
    """Deleting a row ends the pause."""

    list_display = ["destination", "paused_until", "reason"]
    search_fields = ["=destination"]


@admin.register(models.DestinationPace)
class DestinationPaceAdmin(ReadOnlyAdmin):
    """Deleting a row forgets that the operator wants us to go slower."""

    list_display = ["operator", "source", "paused_until", "reason", "rate", "concurrency"]
    search_fields = ["=operator"]


@admin.register(models.ScheduledTask)
class ScheduledTaskAdmin(ReadOnlyAdmin):
    """A task without its row is not run again before a worker starts."""

    list_display = ["name", "due_at", "last_run_at", "claimed_by"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
