"""Source addresses: pools, their addresses with warm-up plans, and rules."""

from __future__ import annotations

from django.contrib import admin
from django.utils import timezone

from postal_server import models
from postal_server.services.shared import ip_pool
from postal_server.services.shared.loader import load

from .base import ModelAdmin, TabularInline


class IPAddressInline(TabularInline):
    model = models.IPAddress
    extra = 0
    fields = ["ipv4", "ipv6", "hostname", "priority", "warm_up_from", "warm_up_first_day", "warm_up_days"]


@admin.register(models.IPPool)
class IPPoolAdmin(ModelAdmin):
    """Pools are used with `postal.use_ip_pools` only."""

    list_display = ["name", "default", "addresses", "left_today"]
    inlines = [IPAddressInline]

    @admin.display(description="Addresses")
    def addresses(self, pool: models.IPPool) -> int:
        return pool.addresses.count()

    @admin.display(description="New addresses may still send today")
    def left_today(self, pool: models.IPPool) -> str:
        sources = load().pool(pool.pk)
        left = ip_pool.left_today(sources, timezone.now())
        return ", ".join(f"{each.source.ipv4}: {left[each.id]}" for each in sources if each.id in left)


@admin.register(models.IPPoolRule)
class IPPoolRuleAdmin(ModelAdmin):
    list_display = ["ip_pool", "server", "organization", "from_text", "to_text"]
    list_filter = ["ip_pool", "server", "organization"]
    fields = ["server", "organization", "ip_pool", "from_text", "to_text"]
