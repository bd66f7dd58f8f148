"""What a person wants of an installation, from options and questions."""

from __future__ import annotations

from dataclasses import dataclass, field

from postal_server.conf import ALLOWLIST, CATCH
from postal_server.errors import ConfigurationError

from . import values
from .modes import Mode


class WrongOptions(ConfigurationError):
    """Options are missing, or do not fit each other: wrong use."""


@dataclass(frozen=True)
class Answers:
    """Empty values were not given. `mode` is None where no option names one."""

    mode: Mode | None = None
    hostname: str = ""
    smtp_hostname: str = ""
    web_port: int = 0
    smtp_port: int = 0
    database: str = field(default="", repr=False)
    relays: tuple[str, ...] = field(default=(), repr=False)
    mx: bool = False
    certificate: str = ""
    key: str = ""
    allow: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    webhook: str = field(default="", repr=False)
    inbound: str = field(default="", repr=False)
    no_server: bool = False

    @property
    def is_public(self) -> bool:
        """Is it for others than developers?"""
        return self.mode in (Mode.STAGING, Mode.PRODUCTION)

    def require_public_hosts(self) -> None:
        """Raise `WrongOptions` for a host of staging or production that others cannot look up."""
        if self.is_public:
            for option, host in (("--hostname", self.hostname), ("--smtp-hostname", self.smtp_hostname)):
                try:
                    values.public_host(host or "example.com")
                except ValueError as error:
                    raise WrongOptions(f"{option}: {error}.") from error

    def require_sense(self, delivery_mode: str) -> None:
        """Raise `WrongOptions` where options do not fit each other, or the `delivery.mode` of the file."""
        self.require_public_hosts()
        if self.no_server and (self.domains or self.webhook or self.inbound):
            raise WrongOptions("--no-server makes nothing that has a domain, webhook or route.")
        if bool(self.certificate) != bool(self.key):
            given, missing = ("--certificate", "--key") if self.certificate else ("--key", "--certificate")
            raise WrongOptions(f"{given} needs {missing} as well.")
        if self.mx and self.relays:
            raise WrongOptions("--mx and --relay exclude each other.")
        is_staging = self.mode is Mode.STAGING or (self.mode is None and delivery_mode == ALLOWLIST)
        if self.allow and not is_staging:
            raise WrongOptions("--allow needs --staging: only there some mail is sent and the rest caught.")
        if (self.mx or self.relays) and not self.is_public and delivery_mode == CATCH:
            option = "--mx" if self.mx else "--relay"
            raise WrongOptions(
                f"{option} needs --production or --staging: all mail is caught (delivery.mode: catch)."
            )
