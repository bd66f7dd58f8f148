"""What earlier attempts of messages were answered."""

from __future__ import annotations

from collections.abc import Sequence

from postal_server.models import Delivery
from postal_server.rules.status import DeliveryStatus


def last_answers(message_ids: Sequence[int]) -> dict[int, tuple[int | None, str]]:
    """The reply code and the text of each message's last deferral. One query, none for no message."""
    if not message_ids:
        return {}
    rows = Delivery.objects.filter(message_id__in=message_ids, status=DeliveryStatus.DEFERRED.value)
    return {
        message_id: (code, output or "")
        for message_id, code, output in rows.order_by("id").values_list("message_id", "code", "output")
    }
