"""What migrations do to rows that are there."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from importlib import import_module

import pytest
from django.apps import apps

from postal_server.models import FailureEvidence, Suppression

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@pytest.mark.django_db
def test_suppressed_addresses_get_their_one_spelling_and_the_longer_of_doubles_stays():
    def suppress(server_id: int, address: str, days: int) -> None:
        Suppression.objects.create(
            server_id=server_id,
            address=address,
            reason=f"{days} days",
            created_at=NOW,
            keep_until=NOW + timedelta(days=days),
        )

    suppress(1, "a@bücher.example", 30)
    suppress(1, "a@xn--bcher-kva.example", 10)
    suppress(1, '"b"@c.example.', 5)
    suppress(1, "b@c.example", 20)
    suppress(2, "a@bücher.example", 1)
    suppress(2, "not an address", 1)
    FailureEvidence.objects.create(server_id=1, address="a@bücher.example", message_id=1, created_at=NOW)
    migration = import_module("postal_server.migrations.0010_one_spelling_of_addresses")
    migration.respell(apps, None)
    assert set(Suppression.objects.values_list("server_id", "address", "reason")) == {
        (1, "a@xn--bcher-kva.example", "30 days"),
        (1, "b@c.example", "20 days"),
        (2, "a@xn--bcher-kva.example", "1 days"),
        (2, "not an address", "1 days"),
    }
    assert FailureEvidence.objects.get().address == "a@xn--bcher-kva.example"
