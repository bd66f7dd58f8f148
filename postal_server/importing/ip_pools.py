"""Import IP pools: their addresses, the organizations that may use them, and their rules."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from postal_server.models import IPAddress, IPPool, IPPoolRule

from .records import Records
from .source import Row


def import_ip_pool(row: Row, records: Records) -> None:
    """A pool."""
    records.keep("IP pool", row, IPPool, {"name": row["name"] or "", "default": bool(row["default"])})


def import_ip_address(row: Row, records: Records) -> None:
    """An address of a pool. One that cannot be used, or that is here already, is a problem."""
    what = f"IP address {row['ipv4']}"
    pool = records.owner("IP pool", row, "ip_pool_id", what)
    if pool is None:
        return
    try:
        ipv4 = str(IPv4Address(row["ipv4"]))
        ipv6 = str(IPv6Address(row["ipv6"])) if row["ipv6"] else None
    except ValueError:
        records.add_problem(f"{what}: not an address; left out.")
        return
    if ipv6 and IPAddress.objects.filter(ipv6=ipv6).exclude(ipv4=ipv4).exists():
        records.add_problem(f"{what}: another has {ipv6} as well; left out.")
        return
    values = {
        "ip_pool": pool,
        "ipv6": ipv6,
        "hostname": row["hostname"] or "",
        "priority": 100 if row["priority"] is None else min(max(row["priority"], 0), 100),
    }
    records.keep("IP address", row, IPAddress, values, ipv4=ipv4)


def import_organization_ip_pool(row: Row, records: Records) -> None:
    """A pool that an organization may use."""
    what = "IP pool of an organization"
    pool = records.owner("IP pool", row, "ip_pool_id", what)
    organization = records.owner("organization", row, "organization_id", what)
    if pool is not None and organization is not None:
        organization.ip_pools.add(pool)


def import_ip_pool_rule(row: Row, records: Records) -> None:
    """A rule of a server or an organization."""
    kind = "server" if row["owner_type"] == "Server" else "organization"
    owner = records.owner(kind, row, "owner_id", "IP pool rule")
    pool = records.owner("IP pool", row, "ip_pool_id", "IP pool rule")
    if owner is None or pool is None:
        return
    records.keep("IP pool rule", row, IPPoolRule, {
        "server": owner if kind == "server" else None,
        "organization": owner if kind == "organization" else None,
        "ip_pool": pool,
        "from_text": row["from_text"] or "",
        "to_text": row["to_text"] or "",
    })  # fmt: skip
