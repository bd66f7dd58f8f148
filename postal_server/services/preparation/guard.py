"""The one place where a bug in preparing one message is caught: its neighbours go on, it is tried again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import Error as DatabaseFailure

from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.work import Claimed, Decision

logger = logging.getLogger(__name__)
T = TypeVar("T")
DETAILS = "An internal error occurred while sending this message. This message will be retried automatically."


def guarded(claimed: Claimed, step: Callable[[], T]) -> T | Decision:
    """What `step` answers; an `Error` decision where it fails. What the database does is for the pipeline."""
    try:
        return step()
    except DatabaseFailure:
        raise
    except Exception as error:
        logger.exception("Message %d cannot be prepared", claimed.id)
        return Decision(claimed, DeliveryStatus.ERROR, DETAILS, output=f"{type(error).__name__}: {error}")
