from collections.abc import Iterator
from typing import Any

import pytest
from anymail.signals import inbound, tracking
from django.conf import settings
from django.core.cache import cache
from django.test import override_settings

from anymail_postal.conf import STORE_APP

from .receivers import listening


@pytest.fixture
def without_store() -> Iterator[None]:
    """A project that does not list the optional app: nothing may touch a database."""
    apps = [app for app in settings.INSTALLED_APPS if app != STORE_APP]
    with override_settings(INSTALLED_APPS=apps):
        yield


@pytest.fixture
def empty_cache() -> Iterator[None]:
    """Nothing is remembered from other tests, nor kept for them."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def tracked() -> Iterator[list[dict[str, Any]]]:
    """What receivers of `tracking` are sent during the test."""
    with listening(tracking) as calls:
        yield calls


@pytest.fixture
def received() -> Iterator[list[dict[str, Any]]]:
    """What receivers of `inbound` are sent during the test."""
    with listening(inbound) as calls:
        yield calls
