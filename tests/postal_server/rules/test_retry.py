from datetime import datetime, timedelta, timezone

import pytest

from postal_server.rules import retry
from tests.each import each

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@each("failures, seconds", [(1, 300), (2, 390), (3, 507), (5, 857), (7, 1448), (10, 3181), (18, 25951)])
def test_messages_wait_as_long_as_in_postal(failures, seconds):
    due = retry.next_attempt(failures, NOW, jitter=0)
    assert round((due - NOW).total_seconds()) == seconds


def test_jitter_adds_up_to_a_tenth():
    assert retry.next_attempt(1, NOW, jitter=1) - NOW == timedelta(seconds=330)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (timedelta(seconds=40), timedelta(minutes=5)),
        (timedelta(minutes=20), timedelta(minutes=20)),
        (timedelta(days=365), timedelta(days=1)),
    ],
)
def test_a_named_wait_is_a_minimum_and_bounded(named, expected):
    assert retry.next_attempt(1, NOW, jitter=0, retry_after=named) - NOW == expected


def test_webhooks_begin_with_postals_waits():
    waits = [retry.next_webhook_attempt(n, NOW, jitter=0) - NOW for n in range(1, 6)]
    assert waits == [timedelta(minutes=m) for m in (2, 3, 6, 10, 15)]


def test_webhooks_are_given_up_after_three_days():
    waits = []
    while due := retry.next_webhook_attempt(len(waits) + 1, NOW, jitter=0):
        waits.append(due - NOW)
    total = sum(waits, timedelta())
    assert timedelta(days=3) <= total < retry.WEBHOOK_LIFETIME
    assert waits[:10] == sorted(waits[:10])


def test_webhooks_honour_retry_after():
    due = retry.next_webhook_attempt(1, NOW, jitter=0.5, retry_after=timedelta(hours=1))
    assert due == NOW + timedelta(hours=1)
