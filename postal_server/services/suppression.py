"""The suppression list: who is on it and why, who comes on it, who leaves it. Source: contract 7.3."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from postal_server.conf import Config
from postal_server.models import FailureEvidence, Suppression
from postal_server.rules.suppression import EVIDENCE_LASTS, HARD_FAILS

Recipient = tuple[int, str]  # server id, address
ADDRESS_CHARACTERS = 320


def _key(recipient: Recipient) -> Recipient:
    server_id, address = recipient
    return server_id, address.lower()[:ADDRESS_CHARACTERS]


def reasons(recipients: Iterable[Recipient], now: datetime) -> dict[Recipient, str]:
    """Why each suppressed recipient is; keys in lower case. One query, expired entries do not count."""
    wanted = {_key(recipient) for recipient in recipients}
    if not wanted:
        return {}
    rows = Suppression.objects.filter(
        address__in={address for _, address in wanted},
        server_id__in={server_id for server_id, _ in wanted},
        keep_until__gt=now,
    )
    found = {(server, address): reason for server, address, reason in rows.values_list(*FIELDS)}
    return {key: reason for key, reason in found.items() if key in wanted}


FIELDS = ("server_id", "address", "reason")


def reason_for(recipient: Recipient, found: Mapping[Recipient, str]) -> str | None:
    """Why `recipient` is suppressed, out of what `reasons` found."""
    return found.get(_key(recipient))


def add(suppressed: Mapping[Recipient, str], config: Config, now: datetime) -> None:
    """Suppress recipients for their reasons; one query. The time starts anew for those on the list."""
    days = config.postal.default_suppression_list_automatic_removal_days
    rows = {
        (server_id, address): Suppression(
            server_id=server_id,
            address=address,
            reason=reason,
            created_at=now,
            keep_until=now + timedelta(days=days),
        )
        for (server_id, address), reason in ((_key(key), reason) for key, reason in suppressed.items())
    }
    if rows:
        Suppression.objects.bulk_create(
            rows.values(),
            update_conflicts=True,
            update_fields=["reason", "keep_until"],
            unique_fields=["server_id", "address"],
        )


def clear(recipients: Iterable[Recipient]) -> set[Recipient]:
    """Take recipients off the list that mail has reached; the keys of those that were on it."""
    wanted = {_key(recipient) for recipient in recipients}
    found: set[Recipient] = set()
    if not wanted:
        return found
    rows = Suppression.objects.filter(
        address__in={address for _, address in wanted}, server_id__in={server_id for server_id, _ in wanted}
    )
    ids = []
    for pk, server_id, address in rows.values_list("pk", "server_id", "address"):
        if (server_id, address) in wanted:
            ids.append(pk)
            found.add((server_id, address))
    if ids:
        Suppression.objects.filter(pk__in=ids).delete()
    return found


def was_cleared(recipient: Recipient, cleared: Collection[Recipient]) -> bool:
    return _key(recipient) in cleared


def note_failures(failed: Mapping[int, Recipient], config: Config, now: datetime) -> set[int]:
    """Remember hard failures by message id; suppress and name those that are the second within a day.

    Two queries, three where someone is suppressed.
    """
    if not failed:
        return set()
    keys = {message_id: _key(recipient) for message_id, recipient in failed.items()}
    rows = FailureEvidence.objects.filter(
        address__in={address for _, address in keys.values()},
        server_id__in={server_id for server_id, _ in keys.values()},
        created_at__gt=now - EVIDENCE_LASTS,
    )
    known = set(rows.exclude(message_id__in=keys).values_list("server_id", "address"))
    again = set()
    for message_id, key in keys.items():
        if key in known:
            again.add(message_id)
        known.add(key)  # the next one of this batch is the second
    FailureEvidence.objects.bulk_create(
        FailureEvidence(server_id=server_id, address=address, message_id=message_id, created_at=now)
        for message_id, (server_id, address) in keys.items()
    )
    add({keys[message_id]: HARD_FAILS for message_id in again}, config, now)
    return again


def expire(now: datetime) -> int:
    """Delete what is past its time; how many suppressions ended."""
    FailureEvidence.objects.filter(created_at__lte=now - EVIDENCE_LASTS).delete()
    return Suppression.objects.filter(keep_until__lte=now).delete()[0]
