"""The administration as the running server has it."""

from __future__ import annotations

from django.urls import path

from postal_server.web.administration import Site

urlpatterns = [path("admin/", Site().urls)]
