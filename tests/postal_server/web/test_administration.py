from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User

from postal_server.web.administration import Site


@pytest.mark.django_db
@pytest.mark.urls("postal_server.urls")
def test_lists_are_in_sections_and_none_is_missing(rf):
    site = Site()
    site._registry = admin.site._registry
    request = rf.get("/admin/")
    request.user = User(is_superuser=True, is_active=True, is_staff=True)
    apps = site.get_app_list(request)
    titles = [app["name"] for app in apps]
    assert titles[:4] == ["Mail", "Mail servers", "Webhooks", "Delivery"]
    names = {app["name"]: [model["name"] for model in app["models"]] for app in apps}
    assert names["Mail"][:2] == ["Messages", "Queued messages"]
    assert {"HTTP endpoints", "SMTP endpoints"} <= set(names["Mail servers"])
    assert sum(map(len, names.values())) == len(admin.site._registry)
