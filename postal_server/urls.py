"""Django's part of the web process. The wire is answered before it (`web/application.py`)."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from postal_server import conf
from postal_server.web import start

admin.autodiscover()
urlpatterns: list[URLPattern | URLResolver] = [
    path("", start.page, name="start"),
    path("admin/", admin.site.urls),
]
if conf.config().control.token:
    urlpatterns.append(path("_control/", include("postal_server.control.urls")))

handler400 = handler403 = handler404 = "postal_server.web.start.error"
handler500 = "postal_server.web.start.server_error"
