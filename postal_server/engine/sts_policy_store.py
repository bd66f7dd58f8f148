"""MTA-STS policies in the database, for the event loop: threads read and write them."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timezone

from postal_server.services.shared import sts_policy

from .database import DATABASE_AWAY, checked_connection, write_transaction
from .ports import KeptPolicy

logger = logging.getLogger(__name__)


class StoredPolicies:
    """Implements `PolicyStore`."""

    async def load(self) -> list[KeptPolicy] | None:
        return await asyncio.get_running_loop().run_in_executor(None, _load)

    async def save(self, policy: KeptPolicy) -> None:
        await asyncio.get_running_loop().run_in_executor(None, _save, policy)


def _load() -> list[KeptPolicy] | None:
    try:
        with checked_connection():
            return sts_policy.load(datetime.now(timezone.utc))
    except DATABASE_AWAY as error:
        logger.warning("MTA-STS policies cannot be read (%s)", error)
        return None


def _save(policy: KeptPolicy) -> None:
    try:
        with checked_connection(), write_transaction():
            sts_policy.save(policy, datetime.now(timezone.utc))
    except (*DATABASE_AWAY, OSError) as error:
        logger.warning("The MTA-STS policy of %s is not kept (%s)", policy.domain, error)
