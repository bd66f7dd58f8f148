"""Send the signals for missed webhooks, from the deliveries and activity in Postal's API.

Postal gives up a webhook after 36 minutes, and has none for the end of a hold, which our server has. A missed
event is handled as the webhook that would have reported it, with a uuid made from its contents, so that it is
sent once however often this runs.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from anymail_postal import wire
from anymail_postal.client import PostalClient
from anymail_postal.errors import PostalMessageNotFound
from anymail_postal.events import EVENT_BY_STATUS
from anymail_postal.ports import Claim
from anymail_postal.webhooks import PostalTrackingWebhookView

from .models import FINAL, PostalMessage
from .store import Store, update_message

NAMESPACE = uuid.UUID("6c8a5a5e-1d0c-5b0e-9c1f-0f6a3b1f6f0a")  # of the uuids made here
# For so long Postal repeats a webhook.
WEBHOOK_RETRIES = timedelta(minutes=40)
# The time of a delivery may differ from its webhook's in the last digit; deliveries are minutes apart.
SAME_MOMENT = timedelta(seconds=1)
# A hold lasts a week, attempts three days. After that the status of a message does not change.
CHANGES_FOR = timedelta(days=14)

NAMES = {**EVENT_BY_STATUS, "HoldCancelled": "MessageHoldCancelled", "Bounced": "MessageBounced"}
BOUNCE_ID = re.compile(r"<msg:(\d{1,18})>", re.ASCII)
EXPANSIONS = ("details", "activity_entries")

Webhook = dict[str, Any]


def unfinished(now: datetime) -> QuerySet[PostalMessage]:
    """Messages without a final status that are old enough to have missed a webhook."""
    return PostalMessage.objects.exclude(event_type__in=FINAL).filter(
        sent_at__gt=now - CHANGES_FOR, sent_at__lt=now - WEBHOOK_RETRIES
    )


def catch_up(row: PostalMessage, client: PostalClient, now: datetime) -> int:
    """Send the signals for the missed events of a message, and return their number.

    Raises `PostalAPIError`, and what receivers raise, in which case the event remains missed.
    """
    for event in row.events():
        update_message(event)  # it may have arrived while the row was written
    try:
        message = client.message(row.postal_id, EXPANSIONS)
        deliveries = client.deliveries(row.postal_id)
    except PostalMessageNotFound:
        return 0  # Postal has deleted it
    missed = [
        *_missed_deliveries(row, message, deliveries, client, now),
        *_missed_activity(row, message, now),
    ]
    return sum(_emit(row.server, at, webhook) for at, webhook in sorted(missed, key=lambda each: each[0]))


def _missed_deliveries(
    row: PostalMessage,
    message: wire.PostalMessage,
    deliveries: Iterable[wire.Delivery],
    client: PostalClient,
    now: datetime,
) -> Iterator[tuple[datetime, Webhook]]:
    """The webhooks of deliveries that the store has no event for, with their times."""
    known = [(event.name, event.happened_at) for event in row.events().exclude(occurred_at=None)]
    for delivery in deliveries:
        name = NAMES.get(delivery.status)
        if name is None or now - delivery.at < WEBHOOK_RETRIES:
            continue
        at, payload = delivery.at, _delivery_payload(message, delivery)
        if name == "MessageBounced":
            bounce = _bounce(delivery, client)
            at = bounce.created_at if bounce and bounce.created_at else at
            payload = {
                "original_message": _message_hash(message),
                "bounce": _message_hash(bounce) if bounce else {},
                "classification": delivery.classification,
            }
        if not any(name == other and abs(at - seen) < SAME_MOMENT for other, seen in known):
            yield at, _webhook(row.server, name, at, payload, str(delivery.id))


def _missed_activity(
    row: PostalMessage, message: wire.PostalMessage, now: datetime
) -> Iterator[tuple[datetime, Webhook]]:
    """The webhooks of opens and clicks that the store has no event for, with their times.

    These webhooks do not have the exact time, so each is matched with the first event that follows soon
    enough.
    """
    for name, entries in (("MessageLoaded", message.opens), ("MessageLinkClicked", message.clicks)):
        came = list(row.events().filter(name=name, occurred_at=None).values_list("happened_at", flat=True))
        for entry in sorted(entries, key=lambda each: each.at):
            match = next((at for at in came if -SAME_MOMENT < at - entry.at < WEBHOOK_RETRIES), None)
            if match is not None:
                came.remove(match)
            elif now - entry.at >= WEBHOOK_RETRIES:
                payload = {
                    "message": _message_hash(message),
                    "ip_address": entry.ip_address,
                    "user_agent": entry.user_agent,
                    **({"url": entry.url} if name == "MessageLinkClicked" else {}),
                }
                identity = f"{entry.at.isoformat()} {entry.ip_address} {entry.url}"
                yield entry.at, _webhook(row.server, name, entry.at, payload, identity)


def _bounce(delivery: wire.Delivery, client: PostalClient) -> wire.PostalMessage | None:
    """The bounce that the details of a delivery name, if Postal still has it."""
    found = BOUNCE_ID.search(delivery.details)
    if found is None:
        return None
    try:
        return client.message(int(found[1]), ("details",))
    except PostalMessageNotFound:
        return None


def _emit(server: str, at: datetime, webhook: Webhook) -> bool:
    """Send the signals for a webhook, unless it has been handled; whether it was sent."""
    view = PostalTrackingWebhookView(server=server, may_retry=False)
    view.config = view.find_config(server)
    view.body = json.dumps(webhook).encode()
    [event] = view.read_events(view.parse_fields(view.body, "application/json"))
    with Store().receive(replace(view.event_receipt(event), occurred_at=at)) as claim:
        if claim is Claim.NEW:
            view.send_signals(event)
    return claim is Claim.NEW


# --- webhooks as Postal sends them (contract 3.3) ---


def _webhook(server: str, name: str, at: datetime, payload: dict[str, Any], identity: str) -> Webhook:
    postal_id = (payload.get("message") or payload["original_message"])["id"]
    return {
        "event": name,
        "timestamp": at.timestamp(),
        "payload": payload,
        "uuid": str(uuid.uuid5(NAMESPACE, f"{server} {postal_id} {name} {identity}")),
    }


def _delivery_payload(message: wire.PostalMessage, delivery: wire.Delivery) -> dict[str, Any]:
    return {
        "message": _message_hash(message),
        "status": delivery.status,
        "details": delivery.details,
        "output": delivery.output or "",
        "sent_with_ssl": delivery.sent_with_ssl,
        "timestamp": delivery.at.timestamp(),
        "time": delivery.duration_seconds,
        "classification": delivery.classification,
    }


def _message_hash(message: wire.PostalMessage) -> dict[str, Any]:
    return {
        "id": int(message.id),
        "token": message.id.token,
        "direction": message.direction or "outgoing",
        "message_id": message.id.rfc_message_id or None,
        "to": message.recipient,
        "from": message.mail_from,
        "subject": message.subject,
        "timestamp": message.created_at.timestamp() if message.created_at else None,
        "spam_status": "NotChecked",
        "tag": message.tag,
        "stream": message.stream,
    }
