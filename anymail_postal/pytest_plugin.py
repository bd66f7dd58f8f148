"""Fixtures for signed requests. pytest loads this module in every project, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def postal_key() -> Iterator[Any]:
    """A private key that the project's views trust during the test."""
    from . import testing  # noqa: PLC0415

    key = testing.make_key()
    with testing.trusting(key):
        yield key


@pytest.fixture
def postal_webhook(postal_key: Any) -> Callable[..., Any]:
    """Send a webhook to the project: `postal_webhook("MessageBounced", to="ann@example.com")`."""
    from . import testing  # noqa: PLC0415

    def post(event: str = "MessageSent", **values: Any) -> Any:
        return testing.webhook_request(event, key=postal_key, **values).send()

    return post


@pytest.fixture
def postal_inbound(postal_key: Any) -> Callable[..., Any]:
    """Send an incoming mail to the project: `postal_inbound(mime)`, or a dict of Hash fields."""
    from . import testing  # noqa: PLC0415

    def post(mime: Any, **options: Any) -> Any:
        return testing.inbound_request(mime, key=postal_key, **options).send()

    return post


@pytest.fixture
def assert_no_unsupported() -> Callable[..., None]:
    """Fail if a mail has a feature that Postal does not support; by default the mails in `mail.outbox`."""
    from . import testing  # noqa: PLC0415

    return testing.assert_no_unsupported
