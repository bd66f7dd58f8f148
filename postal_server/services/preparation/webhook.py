"""Prepare claimed webhook requests: signed, or dropped where nothing is to be sent any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from postal_server.conf import Config
from postal_server.models import WebhookRequest
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results.webhook import GONE_REASON
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.keys import request_key
from postal_server.services.shared.work import Claimed, Decision, HttpDelivery, Prepared
from postal_server.wire.signing import JSON

TIMEOUT = 5.0  # seconds for the whole exchange


def prepare(
    claimed: Sequence[Claimed], directory: Directory, config: Config, now: datetime
) -> list[Prepared | Decision]:
    """The signed posts for claimed requests, in order; one query. Requests without a webhook are dropped.

    A webhook that a person disabled still gets what was queued before; one whose receiver is gone does not.
    """
    key = request_key(config)
    requests = WebhookRequest.objects.filter(pk__in=[claim.id for claim in claimed])
    found = {
        pk: (webhook_id, body) for pk, webhook_id, body in requests.values_list("pk", "webhook_id", "body")
    }
    prepared: list[Prepared | Decision] = []
    for claim in claimed:
        webhook_id, stored = found.get(claim.id, (0, b""))
        webhook = directory.webhooks.get(webhook_id)
        if webhook is None:
            prepared.append(Decision(claim, DeliveryStatus.FAILED, "The webhook was deleted."))
            continue
        if webhook.is_gone:
            prepared.append(Decision(claim, DeliveryStatus.FAILED, GONE_REASON))
            continue
        body = bytes(stored)
        delivery = HttpDelivery(webhook.url, key.request_headers(body, JSON), body, TIMEOUT)
        prepared.append(Prepared(claim, delivery))
    return prepared
