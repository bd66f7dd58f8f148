"""PostgreSQL goes away while mail moves: nothing acknowledged is lost, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections

from postal_server import conf
from postal_server.engine import database as databases
from postal_server.engine.ports import SmtpDelivery, SmtpResult
from postal_server.errors import Busy
from postal_server.mail import dkim
from postal_server.models import Delivery, Domain, Organization, QueuedMessage, Server
from postal_server.services.shared.loader import load
from tests import postgresql
from tests.fakes import FakeHttp, FakeSmtp

from .conftest import restore, use
from .test_worker import submission, working

pytestmark = pytest.mark.postgresql
SECONDS_AWAY = 2.0


@pytest.fixture
def cluster(django_db_blocker) -> Iterator[postgresql.Cluster]:
    """A PostgreSQL of this test's own, in use by all threads."""
    if postgresql.binaries() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    with postgresql.cluster() as server, django_db_blocker.unblock():
        former = use(databases.settings(conf.parse({"storage": {"url": server.url}}, {}, Path())))
        call_command("migrate", verbosity=0)
        yield server
        restore(former)


class SteadySmtp(FakeSmtp):
    """Takes a moment for each mail, so that some are always under way."""

    async def send(self, mail: SmtpDelivery) -> SmtpResult:
        await asyncio.sleep(0.05)
        return await super().send(mail)


def test_a_database_that_goes_away_and_comes_back(cluster, tmp_path):
    config = conf.parse({"worker": {"connections_per_destination": 5}}, {}, tmp_path)
    (tmp_path / "signing.key").write_text(dkim.generate_rsa(1024))
    (tmp_path / "secret.key").write_text("x" * 40)
    server = Server.objects.create(
        organization=Organization.objects.create(name="x", permalink="x"), name="y", permalink="y"
    )
    Domain.objects.create(server=server, name="sender.example", verified_at=datetime.now(timezone.utc))
    directory = load()
    sender, acknowledged, refused = SteadySmtp(), [], []

    async def submit(journal, number: int) -> None:
        recipient = f"r{number}@d{number % 5}.example"
        try:
            await journal.append_async(submission(directory, recipient))
            acknowledged.append(recipient)
        except Busy:
            refused.append(recipient)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with working(config, directory, sender, FakeHttp()) as (journal, _):
            submissions = []
            for number in range(300):
                submissions.append(asyncio.ensure_future(submit(journal, number)))
                await asyncio.sleep(0.01)
                if number == 100:
                    await loop.run_in_executor(None, cluster.stop)
                    loop.call_later(SECONDS_AWAY, lambda: loop.run_in_executor(None, cluster.start))
            await asyncio.gather(*submissions)
            ends_at = time.monotonic() + 60
            while await loop.run_in_executor(None, queued):
                assert time.monotonic() < ends_at, "it was not delivered"
                await asyncio.sleep(0.1)

    def queued() -> bool:
        try:
            return QueuedMessage.objects.exists()
        except databases.DATABASE_AWAY:
            return True
        finally:
            connections["default"].close()

    asyncio.run(main())
    connections["default"].close()
    sent = Counter(mail.recipient for mail in sender.sent)
    assert set(acknowledged) <= set(sent)
    assert max(sent.values()) == 1
    assert len(acknowledged) > 150
    assert len(acknowledged) + len(refused) == 300
    assert Delivery.objects.filter(status="Sent").count() == len(sent)
