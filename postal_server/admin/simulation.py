"""Answers that the catch gives to certain recipients."""

from __future__ import annotations

from django.contrib import admin

from postal_server import models

from .base import ServerFilter, ServerScopedAdmin


@admin.register(models.Simulation)
class SimulationAdmin(ServerScopedAdmin):
    list_display = ["recipient", "server", "stage", "reply", "times", "delay_seconds"]
    list_filter = [ServerFilter]
