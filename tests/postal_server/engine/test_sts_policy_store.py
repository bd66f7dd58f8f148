from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest
from django.db import OperationalError

from postal_server.engine import sts_policy_store
from postal_server.engine.ports import KeptPolicy
from postal_server.engine.sts_policy_store import StoredPolicies


@pytest.fixture
def policy() -> KeptPolicy:
    now = datetime.now(timezone.utc)
    return KeptPolicy("dest.example", "1", "version: STSv1\n", now, now + timedelta(days=7))


def test_what_one_process_keeps_another_finds(database, policy):
    async def main() -> list[KeptPolicy] | None:
        await StoredPolicies().save(policy)
        return await StoredPolicies().load()

    assert asyncio.run(main()) == [policy]


def test_while_the_database_is_away_nothing_is_known_and_nothing_fails(database, policy, monkeypatch):
    def away(*_: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(sts_policy_store.sts_policy, "load", away)
    monkeypatch.setattr(sts_policy_store.sts_policy, "save", away)

    async def main() -> list[KeptPolicy] | None:
        await StoredPolicies().save(policy)
        return await StoredPolicies().load()

    assert asyncio.run(main()) is None
