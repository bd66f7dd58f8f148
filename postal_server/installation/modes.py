"""What an installation is for, and what its configuration file says then."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")


class Mode(str, enum.Enum):
    """`initialize` makes an installation for one of these."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"

    @property
    def flag(self) -> str:
        return f"--{self.value}"


# Everything is on loopback, nothing leaves the machine. A key of an installation for another purpose that
# still has such a value was not set by a person.
DEVELOPMENT: Mapping[str, Any] = {
    "postal.web_hostname": "localhost",
    "postal.web_protocol": "http",
    "postal.smtp_hostname": "localhost",
    "postal.allowed_request_destinations": LOOPBACK_NETWORKS,
    "web_server.default_port": 5000,
    "web_server.default_bind_address": "127.0.0.1",
    "smtp_server.default_port": 2525,
    "smtp_server.default_bind_address": "127.0.0.1",
    "smtp_server.tls_enabled": True,
    "smtp_server.plaintext_auth": True,
    "dns.return_path_domain": "rp.localhost",
    "dns.route_domain": "routes.localhost",
    "dns.track_domain": "track.localhost",
    "dns.spf_include": "spf.localhost",
    "dns.mx_records": ("localhost",),
    "delivery.mode": "catch",
    "delivery.catch_port": 2526,
    "storage.url": "sqlite:///$config-file-root/postal.sqlite3",
}


def public(hostname: str, smtp_hostname: str, domain: str = "") -> dict[str, Any]:
    """The keys of an installation that others reach: the web process behind a proxy, SMTP on its own.

    Notices come from `domain`, if there is one: its DKIM key and SPF are for them too.
    """
    of_domain = {"smtp.from_address": f"postal@{domain}"} if domain else {}
    return {
        "postal.web_hostname": hostname,
        "postal.web_protocol": "https",
        "postal.smtp_hostname": smtp_hostname,
        "postal.allowed_request_destinations": (),
        "web_server.default_port": 5000,
        "web_server.default_bind_address": "127.0.0.1",
        "smtp_server.default_port": 25,
        "smtp_server.default_bind_address": "::",
        "smtp_server.submission_port": 587,
        "smtp_server.implicit_tls_port": 465,
        "smtp_server.tls_enabled": True,
        "smtp_server.plaintext_auth": False,
        "dns.return_path_domain": f"rp.{hostname}",
        "dns.route_domain": f"routes.{hostname}",
        "dns.track_domain": f"track.{hostname}",
        "dns.spf_include": f"spf.{hostname}",
        "dns.mx_records": (smtp_hostname,),
        "storage.url": DEVELOPMENT["storage.url"],
        **of_domain,
    }
