"""The layout of `postal.yml` before version 2 (Postal 2 and older, 2019), read as if it were version 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# (old group, old key) -> (new group, new key). Keys that keep both are not listed.
RENAMED: Mapping[tuple[str, str], tuple[str, str]] = {
    ("web", "host"): ("postal", "web_hostname"),
    ("web", "protocol"): ("postal", "web_protocol"),
    ("general", "use_ip_pools"): ("postal", "use_ip_pools"),
    ("general", "maximum_delivery_attempts"): ("postal", "default_maximum_delivery_attempts"),
    ("general", "maximum_hold_expiry_days"): ("postal", "default_maximum_hold_expiry_days"),
    ("general", "suppression_list_removal_delay"): (
        "postal",
        "default_suppression_list_automatic_removal_days",
    ),
    ("general", "use_local_ns_for_domains"): ("postal", "use_local_ns_for_domain_verification"),
    ("general", "default_spam_threshold"): ("postal", "default_spam_threshold"),
    ("general", "default_spam_failure_threshold"): ("postal", "default_spam_failure_threshold"),
    ("general", "use_resent_sender_header"): ("postal", "use_resent_sender_header"),
    ("web_server", "bind_address"): ("web_server", "default_bind_address"),
    ("web_server", "port"): ("web_server", "default_port"),
    ("workers", "threads"): ("worker", "threads"),
    ("message_db", "prefix"): ("message_db", "database_name_prefix"),
    ("smtp_server", "port"): ("smtp_server", "default_port"),
    ("smtp_server", "bind_address"): ("smtp_server", "default_bind_address"),
    ("smtp_server", "log_connect"): ("smtp_server", "log_connections"),
    ("smtp_server", "log_exclude_ips"): ("smtp_server", "log_ip_address_exclusion_matcher"),
    ("dns", "smtp_server_hostname"): ("postal", "smtp_hostname"),
    ("dns", "return_path"): ("dns", "return_path_domain"),
    ("logging", "rails_log"): ("logging", "rails_log_enabled"),
}
RENAMED_GROUPS = frozenset(group for group, _ in RENAMED) - {
    "web_server",
    "message_db",
    "smtp_server",
    "dns",
    "logging",
}
GONE: Mapping[str, str] = {
    "fast_server": "the fast server is part of the web process now.",
    "rabbitmq": "there is no message broker; the queue is in the database.",
    "anonymous_signup": "accounts are made with `postal-server make-user`.",
}


def translate(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The same settings in the layout of version 2, and a warning for each that could not be kept."""
    result: dict[str, Any] = {}
    warnings: list[str] = []
    for group, settings in document.items():
        if group in GONE:
            warnings.append(f"{group}: {GONE[group]}")
        elif group == "smtp_relays":
            result.setdefault("postal", {})["smtp_relays"] = [_relay(item) for item in settings or ()]
        elif not isinstance(settings, Mapping):
            result[group] = settings
        else:
            for key, value in settings.items():
                _move(group, key, value, result, warnings)
    return result, warnings


def _move(group: str, key: str, value: Any, result: dict[str, Any], warnings: list[str]) -> None:
    if (group, key) in RENAMED:
        new_group, new_key = RENAMED[group, key]
        result.setdefault(new_group, {})[new_key] = value
    elif group in RENAMED_GROUPS:
        warnings.append(f"{group}.{key}: has no effect any more.")
    else:
        result.setdefault(group, {})[key] = value


def _relay(relay: Any) -> str:
    """`{hostname, port, ssl_mode}` as the URL of version 2."""
    if not isinstance(relay, Mapping):
        return str(relay)
    mode = f"?ssl_mode={relay['ssl_mode']}" if relay.get("ssl_mode") else ""
    return f"smtp://{relay.get('hostname', '')}:{relay.get('port', 25)}{mode}"
