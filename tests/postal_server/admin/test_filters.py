"""What the administration's lists are narrowed by: values and names of parameters never become SQL."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.template.response import TemplateResponse
from django.urls import reverse

from postal_server.models import Message

pytestmark = [pytest.mark.django_db, pytest.mark.urls("postal_server.urls")]

REGISTERED = {
    model: found for model, found in admin.site._registry.items() if model.__module__.startswith("postal")
}
# They break, or are true or false, in any query that they become part of.
TRUE = """0') OR ("1"="1") OR '1'='1' -- `%s"""
FALSE = """0') AND ("1"="2") AND '1'='2' -- `%s"""


def names(model_admin) -> list[str]:
    """Parameters that the list knows, and some that it should not."""
    found = ["q", "o", "p", "e", "id__in", "server__organization__name__regex", TRUE, f"{TRUE}__exact"]
    for each in model_admin.list_filter:
        given = each if isinstance(each, str) else getattr(each, "parameter_name", "")
        found += [given, f"{given}__exact", f"{given}__id__exact", f"{given}__in"]
    return found


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model.__name__)
def test_filter_is_never_sql(page, message, model, monkeypatch):
    """Only the first of two answers is rendered, which takes longer than all the rest."""
    url = reverse(f"admin:postal_server_{model._meta.model_name}_changelist")
    for name in names(REGISTERED[model]):
        answers = [page.get(f"{url}?{urlencode({name: TRUE})}")]
        with monkeypatch.context() as patch:
            patch.setattr(TemplateResponse, "rendered_content", "")
            answers.append(page.get(f"{url}?{urlencode({name: FALSE})}"))
        assert {answer.status_code for answer in answers} <= {200, 302, 400}, name
        true, false = ([row.pk for row in shown(answer)] for answer in answers)
        assert true == false, name


def shown(answer) -> list:
    context = getattr(answer, "context_data", None) or {}
    return list(context["cl"].result_list) if "cl" in context else []


@pytest.mark.parametrize("search", [TRUE, "1 OR 1=1", "' OR ''='", '" OR ""="', "%", "_"])
def test_condition_that_is_always_true_shows_nothing(page, message, search):
    url = reverse("admin:postal_server_message_changelist")
    answer = page.get(f"{url}?{urlencode({'q': search})}")
    assert shown(answer) == []
    assert shown(page.get(url)) == [message]
    assert Message.objects.count() == 1
