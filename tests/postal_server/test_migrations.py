"""What migrations do to rows that are there."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def migrate(name: str | None = None):
    """The models after the migration of this name, or the last; they are what the database has."""
    executor = MigrationExecutor(connection)
    [target] = [("postal_server", name)] if name else executor.loader.graph.leaf_nodes("postal_server")
    return executor.migrate([target]).apps


@pytest.mark.django_db(transaction=True)
def test_suppressions_get_keys_and_reasons_and_the_longer_of_doubles_stays():
    before = migrate("0009_unknown_dns_states").get_model("postal_server", "Suppression")

    def suppress(server_id: int, address: str, days: int, reason: str) -> None:
        before.objects.create(
            server_id=server_id,
            address=address,
            reason=reason,
            created_at=NOW,
            keep_until=NOW + timedelta(days=days),
        )

    suppress(1, "a@b\u00fccher.example", 30, "too many hard fails")
    suppress(1, "a@xn--bcher-kva.example", 10, "too many soft fails")
    suppress(1, '"b"@c.example.', 5, "too many hard fails")
    suppress(1, "b@c.example", 20, "too many soft fails")
    suppress(2, "a@b\u00fccher.example", 1, "hard bounce")
    suppress(2, "not an address", 1, "asked by phone")
    after = migrate().get_model("postal_server", "Suppression")
    assert set(after.objects.values_list("server_id", "scope", "key", "reason", "text", "state")) == {
        (1, "", "a@xn--bcher-kva.example", "bad_address", "too many hard fails", "active"),
        (1, "", "b@c.example", "expired", "too many soft fails", "active"),
        (2, "", "a@xn--bcher-kva.example", "bad_address", "hard bounce", "active"),
        (2, "", "not an address", "manual", "asked by phone", "active"),
    }
