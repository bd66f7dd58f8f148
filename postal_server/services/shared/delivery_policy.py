"""Which mail may leave the machine, as the configuration says."""

from __future__ import annotations

import functools

from postal_server.conf import Config
from postal_server.errors import ConfigurationError
from postal_server.rules.delivery_policy import Allowlist, DeliveryMode, DeliveryPolicy


def policy_of(config: Config) -> DeliveryPolicy:
    """The policy of `delivery.mode`. Raises `ConfigurationError` for an entry of the list that is wrong."""
    return _policy(config.delivery.mode, config.delivery.allowlist)


@functools.lru_cache(maxsize=8)
def _policy(mode: str, entries: tuple[str, ...]) -> DeliveryPolicy:
    try:
        return DeliveryPolicy(DeliveryMode(mode), Allowlist.parse(entries))
    except ValueError as error:
        raise ConfigurationError(f"delivery.allowlist: {error}.") from error
