"""Who is not written to."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from postal_server import conf, models
from postal_server.mail.address import suppression_key
from postal_server.rules.suppression import BY_PERSON
from postal_server.services.operations import suppression_changes
from postal_server.services.operations.suppression_formats import address_in
from postal_server.services.results import suppression_entries as entries

from .base import BoundedPaginator, ModelForm, ServerFilter, ServerScopedAdmin, operation_context

BY_ADMINISTRATION = "administration"


class SuppressionForm(ModelForm):
    """The server by its name, the address in the spelling that is compared."""

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

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if server := given.get("on"):
            self.instance.server_id = server.pk
        others = models.Suppression.objects.exclude(pk=self.instance.pk)
        same = others.filter(
            server_id=self.instance.server_id, key=self.instance.key, scope="", reason=self.instance.reason
        )
        if server and same.exists():
            self.add_error("address", "This address is on the server's list already.")
        return given

    def save(self, commit: bool = True) -> Any:
        self.instance.created_at = self.instance.created_at or timezone.now()
        return super().save(commit)


@admin.register(models.Suppression)
class SuppressionAdmin(ServerScopedAdmin):
    form = SuppressionForm
    list_display = ["address", "server", "reason", "text", "created_at", "keep_until"]
    list_filter = [ServerFilter]
    fields = ["on", "address", "text", "keep_until"]
    search_fields = ["=key", "=address"]
    paginator = BoundedPaginator
    show_full_result_count = False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        suppression_changes.saved(obj, operation_context())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        suppression_changes.delete([obj], operation_context(), BY_ADMINISTRATION)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        suppression_changes.delete(list(queryset), operation_context(), BY_ADMINISTRATION)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        until = entries.default_keep_until(conf.config(), timezone.now())
        return {"text": BY_PERSON, "keep_until": until}
