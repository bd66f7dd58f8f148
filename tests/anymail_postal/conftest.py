from collections.abc import Iterator

import hypothesis
import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import override_settings

from anymail_postal.conf import STORE_APP

# A busy machine is no failure: what must be fast says so itself.
hypothesis.settings.register_profile("calm", deadline=None)
hypothesis.settings.load_profile("calm")


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
