"""Which imported domains mail could not be sent to, because their mail hosts have no public address."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from postal_server.engine.ports import Resolver
from postal_server.rules.request_destination import AllowedDestinations
from postal_server.transports.smtp.connect import find_refused_hosts

MAX_LOOKUPS = 20  # at a time


async def mail_host_problems(
    domains: Collection[str], resolver: Resolver, allowed: AllowedDestinations
) -> list[str]:
    """A sentence for each mail host of `domains` that mail would not be sent to."""
    free = asyncio.Semaphore(MAX_LOOKUPS)

    async def look_up(domain: str) -> list[str]:
        async with free:
            return await find_refused_hosts(resolver, domain, allowed.permits)

    refused = await asyncio.gather(*map(look_up, domains))
    return [
        f"mail to {domain}: its host {host} has no public address and would be passed over; "
        "list it in delivery.allowed_destinations if that is wanted."
        for domain, hosts in zip(domains, refused, strict=True)
        for host in hosts
    ]
