"""The rules of suppression lists as configured, for each mail server."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from postal_server.conf import Config, SuppressionLists
from postal_server.errors import ConfigurationError
from postal_server.rules.suppression import ADDRESS_REASONS, RULES, Reason, Rule, ScopeKind, parse_rule


def rules_of(config: Config, *, is_imported: bool) -> Mapping[Reason, Rule]:
    """The rules for a server, without those that are off. Raises `ConfigurationError` for one that is none.

    The entries of an imported server last as long as Postal's where no key says otherwise.
    """
    days = config.postal.default_suppression_list_automatic_removal_days
    return _rules(config.suppression, days if is_imported else None)


@functools.lru_cache(maxsize=8)
def _rules(keys: SuppressionLists, postal_days: int | None) -> Mapping[Reason, Rule]:
    rules = {}
    for reason, text in _texts(keys).items():
        rule: Rule | None = RULES[reason]
        if text:
            rule = _parse(reason, text)
        elif postal_days is not None and reason in ADDRESS_REASONS:
            rule = replace(RULES[reason], durations=(timedelta(days=postal_days),))
        if rule is None:
            continue
        if keys.address_scope == ScopeKind.STREAM.value and reason in ADDRESS_REASONS:
            rule = replace(rule, scope=ScopeKind.STREAM)
        rules[reason] = rule
    return rules


def _parse(reason: Reason, text: str) -> Rule | None:
    try:
        return parse_rule(text, reason)
    except ValueError as error:
        raise ConfigurationError(f"suppression.{reason.value}: {error}.") from error


def _texts(keys: SuppressionLists) -> Mapping[Reason, str]:
    return {
        Reason.BAD_ADDRESS: keys.bad_address,
        Reason.BAD_DOMAIN: keys.bad_domain,
        Reason.INACTIVE: keys.inactive,
        Reason.MAILBOX_FULL: keys.mailbox_full,
        Reason.EXPIRED: keys.expired,
        Reason.UNKNOWN: keys.unknown,
        Reason.COMPLAINT: keys.complaint,
        Reason.UNSUBSCRIBE: keys.unsubscribe,
    }
