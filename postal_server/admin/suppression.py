"""Who is not written to, and what is in doubt about that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from postal_server import conf, models
from postal_server.mail.address import suppression_key
from postal_server.rules.suppression import BY_PERSON, Reason, State, valid_scope
from postal_server.services.operations import held, incidents, suppression_changes
from postal_server.services.operations.context import OperationContext
from postal_server.services.operations.suppression_formats import address_in
from postal_server.services.results import suppression_entries as entries

from .base import (
    BoundedPaginator,
    ModelForm,
    ReadOnlyAdmin,
    ServerFilter,
    ServerScopedAdmin,
    change_link,
    one_of,
    operation_context,
    within,
)

BY_ADMINISTRATION = "administration"
GIVEN = ("on", "address", "reason", "scope", "text", "keep_until")
EVIDENCE = (
    "source",
    "answer",
    "code",
    "rule",
    "times",
    "state",
    "incident",
    "created_at",
    "ended_at",
    "ended_by",
)
UNFINISHED = " That took long enough: do it again for the rest, or use `postal-server incidents`."


class SuppressionForm(ModelForm):
    """The server by its name, the address in the spelling that is compared.

    An entry that stops nothing any more is taken over by a new one for the same reason.
    """

    on = forms.ModelChoiceField(models.Server.objects.filter(deleted_at=None), label="Server")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["on"] = self.instance.server_id

    def clean_address(self) -> str:
        try:
            address = address_in(self.cleaned_data["address"])
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from error
        self.instance.key = suppression_key(address)
        return address

    def clean_scope(self) -> str:
        try:
            return valid_scope(self.cleaned_data["scope"])
        except ValueError as error:
            raise forms.ValidationError(f"{error}.") from error

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        server = given.get("on")
        if server is None or not {"address", "reason", "scope"}.issubset(given):
            return given
        self.instance.server_id = server.pk
        same = models.Suppression.objects.exclude(pk=self.instance.pk).filter(
            server_id=server.pk, key=self.instance.key, scope=given["scope"], reason=given["reason"]
        )
        if there := same.first():
            if self.instance.pk or (
                there.state == State.ACTIVE.value and entries.is_standing(there, timezone.now())
            ):
                self.add_error("address", "This address is on the server's list already for this reason.")
            else:
                self.instance.pk, self.instance._state.adding = there.pk, False
        return given

    def save(self, commit: bool = True) -> Any:
        self.instance.created_at = self.instance.created_at or timezone.now()
        return super().save(commit)


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "stops mail"), ("proposed", "proposed"), ("ended", "ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        past = entries.past(timezone.now())
        conditions = {
            "active": ~past & Q(state=State.ACTIVE.value),
            "proposed": ~past & Q(state=State.PROPOSED.value),
            "ended": past,
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))


class EndFilter(admin.SimpleListFilter):
    title = "end"
    parameter_name = "ends"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("7", "within seven days"), ("30", "within thirty days"), ("never", "never")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "never":
            return queryset.filter(keep_until=None)
        if self.value() not in ("7", "30"):
            return queryset
        now = timezone.now()
        until = now + timedelta(days=int(self.value() or ""))
        return queryset.filter(keep_until__gt=now, keep_until__lte=until)


@admin.register(models.Suppression)
class SuppressionAdmin(ServerScopedAdmin):
    """Entries are ended rather than deleted: what was on the list stays to be seen for 90 days."""

    form = SuppressionForm
    list_display = ["address", "server", "reason", "about", "text", "created_at", "keep_until", "ended"]
    list_filter = [
        StateFilter,
        one_of("reason", [reason.value for reason in Reason]),
        EndFilter,
        ServerFilter,
    ]
    readonly_fields = EVIDENCE
    search_fields = ["=key"]
    search_help_text = "A whole address, or a scope such as stream:news"
    ordering = ["-id"]
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    actions = ["end_entries", "end_entries_and_release"]

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return [*GIVEN, *(EVIDENCE if obj else ())]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.replace("\0", "").strip()
        if not term:
            return queryset, False
        found = {"key": suppression_key(term)} if "@" in term else {"scope": term}
        return queryset.filter(**found), False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # it would leave no trace: end it instead

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        suppression_changes.saved(obj, operation_context(request))

    @admin.action(description="Take off the list", permissions=["change"])
    def end_entries(self, request: HttpRequest, queryset: QuerySet[models.Suppression]) -> None:
        rows = list(queryset)
        ended = suppression_changes.end(rows, operation_context(request), BY_ADMINISTRATION)
        waiting = len(_held_for(rows))
        more = f" {waiting} messages are held for them: the other action sends those." if waiting else ""
        messages.info(request, f"{ended} entries ended.{more}")

    @admin.action(
        description="Take off the list, and send the mail that was held for it", permissions=["change"]
    )
    def end_entries_and_release(self, request: HttpRequest, queryset: QuerySet[models.Suppression]) -> None:
        rows, context = list(queryset), operation_context(request)
        ended = suppression_changes.end(rows, context, BY_ADMINISTRATION)
        released, is_finished = within(held.release(_held_for(rows), context))
        more = "" if is_finished else " That took long enough: do it again for the rest."
        messages.info(request, f"{ended} entries ended, {released} held messages released.{more}")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        until = entries.default_keep_until(conf.config(), timezone.now())
        return {"text": BY_PERSON, "keep_until": until}

    @admin.display(description="Which mail", ordering="scope")
    def about(self, row: models.Suppression) -> str:
        return row.scope or "all"

    @admin.display(description="Ended")
    def ended(self, row: models.Suppression) -> str:
        if row.state == State.PROPOSED.value and row.ended_at is None:
            return "only proposed"
        return f"{row.ended_at:%Y-%m-%d %H:%M} by {row.ended_by}" if row.ended_at else ""

    @admin.display(description="Message")
    def source(self, row: models.Suppression) -> SafeString | str:
        return "" if row.source_message_id is None else change_link("message", row.source_message_id)

    @admin.display(description="Incident")
    def incident(self, row: models.Suppression) -> SafeString | str:
        return "" if row.incident_id is None else change_link("incident", row.incident_id)


def _held_for(rows: Collection[models.Suppression]) -> list[int]:
    """The messages that are held because the addresses of these entries were on the list."""
    of_servers: defaultdict[int, list[str]] = defaultdict(list)
    for row in rows:
        of_servers[row.server_id].append(row.key)
    return [pk for server_id, keys in of_servers.items() for pk in held.waiting_for(server_id, keys)]


@admin.register(models.Incident)
class IncidentAdmin(ReadOnlyAdmin):
    """Operators whose answers are or were in doubt. What they say of addresses is only proposed."""

    list_display = [
        "operator",
        "created_at",
        "count",
        "answers",
        "proposed",
        "ended_at",
        "outcome",
        "decided",
    ]
    list_filter = [one_of("outcome", [incidents.CONFIRMED, incidents.DROPPED])]
    search_fields = ["=operator"]
    ordering = ["-id"]
    actions = ["confirm", "drop"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("postal_server.change_incident")

    @admin.display(description="Proposed entries")
    def proposed(self, row: models.Incident) -> SafeString:
        address = reverse("admin:postal_server_suppression_changelist")
        count = incidents.proposed([row.pk]).get(row.pk, 0)
        return format_html('<a href="{}?incident_id={}">{}</a>', address, row.pk, count)

    @admin.action(description="Believe the answers: the entries stop mail", permissions=["decide"])
    def confirm(self, request: HttpRequest, queryset: QuerySet[models.Incident]) -> None:
        self._decide(request, queryset, incidents.confirm, "entries stop mail now")

    @admin.action(description="Do not believe them: drop the entries", permissions=["decide"])
    def drop(self, request: HttpRequest, queryset: QuerySet[models.Incident]) -> None:
        self._decide(request, queryset, _drop, "entries dropped")

    def _decide(
        self,
        request: HttpRequest,
        queryset: QuerySet[models.Incident],
        decide: Callable[[models.Incident, OperationContext], Iterator[int]],
        words: str,
    ) -> None:
        context = operation_context(request)
        open_ones = queryset.filter(ended_at=None)
        done, is_finished = within(count for row in open_ones for count in decide(row, context))
        messages.info(request, f"{done} {words}." + ("" if is_finished else UNFINISHED))


def _drop(row: models.Incident, context: OperationContext) -> Iterator[int]:
    return incidents.drop(row, context.now, context.write_transaction)
