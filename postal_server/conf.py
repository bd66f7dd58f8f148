"""The configuration: Postal's `postal.yml` and environment, and our own keys beside Postal's.

This is the only module that reads them. Keys are spelt as in the file: `config().dns.route_domain`.
Every key also has an environment variable, `<GROUP>_<KEY>` in upper case, which wins; lists are separated
by commas there. `<GROUP>_<KEY>_FILE` names a file with the value instead. Source: contract 11.5.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from .conf_environment import mistyped, read
from .conf_v1 import translate
from .errors import ConfigurationError

DEFAULT_PATH = Path("postal.yml")
PATH_VARIABLE = "POSTAL_CONFIG_FILE_PATH"
WITHOUT_EFFECT = "Understood, without effect"


def key(default: Any, about: str, *, least: int = 0) -> Any:
    """A configuration key: its default and one sentence for the documentation.

    `least` is for whole numbers; those called `port` are ports.
    """
    return field(default=default, metadata={"about": about, "least": least})


def secret(about: str, default: Any = "") -> Any:
    """A key whose value is a password or may contain one: it is left out of the `repr`."""
    return field(default=default, metadata={"about": about, "least": 0}, repr=False)


@dataclass(frozen=True)
class Postal:
    """The installation: its hosts, limits and defaults."""

    web_hostname: str = key("postal.example.com", "Host name of the web interface and the API.")
    web_protocol: str = key("https", "`https` or `http`, as users reach the web host.")
    smtp_hostname: str = key("postal.example.com", "Host name in SMTP banners and Received headers.")
    use_ip_pools: bool = key(False, "Send from the addresses of IP pools.")
    default_maximum_delivery_attempts: int = key(18, "Attempts before a message fails for good.", least=1)
    default_maximum_hold_expiry_days: int = key(7, "Days until a hold expires without action.")
    default_suppression_list_automatic_removal_days: int = key(30, "Days an address stays suppressed.")
    default_spam_threshold: float = key(5.0, "Score above which incoming mail of a new server is spam.")
    default_spam_failure_threshold: float = key(
        20.0, "Score from which incoming mail of a new server is refused."
    )
    use_local_ns_for_domain_verification: bool = key(
        False, "Understood, without effect: the resolver is always used."
    )
    use_resent_sender_header: bool = key(True, "Add a Resent-Sender header to outgoing mail.")
    signing_key_path: str = key("$config-file-root/signing.key", "PEM file of the installation's key.")
    smtp_relays: tuple[str, ...] = secret(
        "Ordered relays, `smtp://user:password@host:port?ssl_mode=Auto`; all mail goes there.", ()
    )
    trusted_proxies: tuple[str, ...] = key((), "Networks of proxies whose X-Forwarded-For is trusted.")
    queued_message_lock_stale_days: int = key(1, "Understood, without effect: workers have leases instead.")
    batch_queued_messages: bool = key(True, "Understood, without effect: connections are reused.")
    allowed_request_destinations: tuple[str, ...] = key(
        (), "Private networks or hosts that webhooks and endpoints may reach."
    )


@dataclass(frozen=True)
class WebServer:
    """The web process."""

    default_port: int = key(5000, "Port of the web process; `PORT` wins.")
    default_bind_address: str = key("127.0.0.1", "Address of the web process; `BIND_ADDRESS` wins.")
    max_threads: int = key(
        64, "Requests that may wait for the database at a time, and as many again with a large body.", least=1
    )
    max_connections: int = key(1000, "Connections at a time.", least=1)
    max_connections_per_client: int = key(
        100,
        "Connections at a time from one address (IPv6: a /64), except trusted proxies.",
        least=1,
    )


@dataclass(frozen=True)
class Worker:
    """The worker process."""

    threads: int = key(2, "Threads that prepare and sign.", least=1)
    max_connections: int = key(600, "Outgoing connections of one worker process.", least=1)
    connections_per_destination: int = key(20, "Outgoing connections to one destination.", least=1)
    default_health_server_port: int = key(9090, "Port of the worker's health server; 0 for none.")
    default_health_server_bind_address: str = key("127.0.0.1", "Address of the worker's health server.")


@dataclass(frozen=True)
class Database:
    """Postal's own databases: read by `import` only."""

    host: str = key("localhost", "Host.")
    port: int = key(3306, "Port.")
    username: str = key("postal", "User.")
    password: str = secret("Password.")
    encoding: str = key("utf8mb4", "Encoding.")
    database: str = key("postal", "Name of the main database.")
    database_name_prefix: str = key("postal", "Prefix of the message databases.")
    pool_size: int = key(5, "Understood, without effect.")


@dataclass(frozen=True)
class SmtpServer:
    """The SMTP process: TLS, limits, and what it logs."""

    default_port: int = key(25, "Port for mail in and for submission; `PORT` wins.")
    default_bind_address: str = key("::", "Address to listen on; `BIND_ADDRESS` wins.")
    default_health_server_port: int = key(9091, "Port of the SMTP process's health server; 0 for none.")
    default_health_server_bind_address: str = key("127.0.0.1", "Address of that health server.")
    tls_enabled: bool = key(False, "Offer STARTTLS.")
    tls_certificate_path: str = key("$config-file-root/smtp.cert", "PEM file with the certificate chain.")
    tls_private_key_path: str = key("$config-file-root/smtp.key", "PEM file with its private key.")
    tls_ciphers: str = key("", "OpenSSL cipher list.")
    ssl_version: str = key("SSLv23", "Understood, without effect: TLS 1.2 and newer.")
    submission_port: int = key(0, "Another port with STARTTLS, for mail programs (587); 0 for none.")
    implicit_tls_port: int = key(0, "Port for implicit TLS (465); 0 for none.")
    plaintext_auth: bool | None = key(None, "Offer AUTH without TLS; by default only when TLS is off.")
    proxy_protocol: bool = key(False, "Expect a PROXY line before the banner.")
    log_connections: bool = key(False, "Log every connection.")
    max_message_size: int = key(14, "Largest message in MiB.", least=1)
    max_header_size: int = key(256, "Largest header of a message in KiB, over the API as well.", least=1)
    max_header_fields: int = key(
        1000, "Fields in the header of a message, over the API as well; never more than 9000.", least=1
    )
    max_memory: int = key(
        256, "MiB of memory for messages that are still being received; above it, they are deferred.", least=1
    )
    max_memory_before_auth: int = key(128, "The same for clients that have not logged in.", least=1)
    max_connections: int = key(1000, "Connections at a time.", least=1)
    max_connections_per_client: int = key(
        100, "Connections at a time from one address (IPv6: one /64).", least=1
    )
    max_recipients_per_client: int = key(
        6000,
        "Recipients in a minute from one address (IPv6: one /64) that does not log in; 0 for any number.",
        least=0,
    )
    max_recipients: int = key(1000, "Recipients of one transaction.", least=1)
    log_ip_address_exclusion_matcher: str = key("", "Clients (regular expression) that are not logged.")


@dataclass(frozen=True)
class Dns:
    """Names that domains refer to in DNS, and the resolvers."""

    mx_records: tuple[str, ...] = key(
        ("mx1.postal.example.com", "mx2.postal.example.com"), "Hosts that domains name in MX records."
    )
    spf_include: str = key("spf.postal.example.com", "Name that domains include in SPF records.")
    return_path_domain: str = key("rp.postal.example.com", "Domain of the default return path.")
    route_domain: str = key("routes.postal.example.com", "Domain of the routes' own addresses.")
    track_domain: str = key("track.postal.example.com", "Name that tracking domains point to.")
    helo_hostname: str = key("", "Name in EHLO; the SMTP host name by default.")
    dkim_identifier: str = key("postal", "DKIM selector, or its first part.")
    domain_verify_prefix: str = key("postal-verification", "First word of ownership records.")
    custom_return_path_prefix: str = key("psrp", "Host of a domain's own return path.")
    timeout: int = key(5, "Seconds to wait for a resolver.", least=1)
    resolv_conf_path: str = key("/etc/resolv.conf", "File that names the resolvers.")
    resolvers: tuple[str, ...] = key((), "Resolvers as `address` or `address:port`, instead of that file.")


@dataclass(frozen=True)
class Smtp:
    """The host that takes the installation's own mail."""

    host: str = key("127.0.0.1", "Host.")
    port: int = key(25, "Port.")
    username: str = key("", "User.")
    password: str = secret("Password.")
    authentication_type: str = key("login", "Understood, without effect: the best one offered is used.")
    enable_starttls: bool = key(False, "Require STARTTLS.")
    enable_starttls_auto: bool = key(True, "Use STARTTLS where it is offered.")
    openssl_verify_mode: str = key("peer", "`peer` or `none`.")
    from_name: str = key("Postal", "Display name of notices.")
    from_address: str = key(
        "postal@example.com",
        "Address of notices. `initialize` writes `postal@` and the first domain, which SPF and DKIM are for.",
    )


@dataclass(frozen=True)
class SmtpClient:
    """Deliveries over SMTP."""

    open_timeout: int = key(30, "Seconds to connect.", least=1)
    read_timeout: int = key(30, "Seconds to wait for a reply, except the one to the message itself.", least=1)
    port: int = key(25, "Port of the hosts that MX records name.", least=1)
    mta_sts: bool = key(True, "Honour the TLS policies of domains that have one (MTA-STS, RFC 8461).")
    dane: bool = key(
        True,
        "Honour TLSA records (DANE, RFC 7672) that the resolver has validated; the path to the resolver "
        "must be trusted.",
    )
    dsn: bool = key(True, "Ask hosts that have DSN (RFC 3461) for reports that name the message.")


@dataclass(frozen=True)
class Scanner:
    """What the three scanners have in common."""

    enabled: bool = key(False, "Use it.")
    host: str = key("127.0.0.1", "Host.")
    port: int = key(0, "Port.")
    ssl: bool = key(False, "Use TLS (rspamd).")
    password: str = secret("Password (rspamd).")
    flags: str = key("", "Flags header (rspamd).")


@dataclass(frozen=True)
class Rspamd(Scanner):
    """The spam scanner rspamd."""

    port: int = key(11334, "Port.")


@dataclass(frozen=True)
class Spamd(Scanner):
    """The spam scanner SpamAssassin."""

    port: int = key(783, "Port.")


@dataclass(frozen=True)
class Clamav(Scanner):
    """The virus scanner ClamAV."""

    port: int = key(2000, "Port.")


@dataclass(frozen=True)
class Logging:
    """What is logged, and how."""

    enabled: bool = key(True, "Write logs.")
    level: str = key("INFO", "Lowest level that is written.")
    format: str = key("text", "`text`, or `json` for one object a line.")
    stream: str = key("stderr", "Where logs go: `stderr`, or `stdout` as is usual for containers.")
    rails_log_enabled: bool = key(False, "Understood, without effect.")
    highlighting_enabled: bool = key(False, "Understood, without effect.")
    sentry_dsn: str = key("", "Understood, without effect.")


@dataclass(frozen=True)
class Rails:
    """The secret key; the name is Postal's."""

    environment: str = key("production", "Understood, without effect.")
    secret_key: str = secret("Secret of sessions and stored keys; by default the file `secret.key`.")


@dataclass(frozen=True)
class Storage:
    """The database."""

    url: str = secret(
        "`sqlite:///path` or `postgresql://user@host/name`.", "sqlite:///$config-file-root/postal.sqlite3"
    )
    min_free_mb: int = key(100, "Free disk space in MB below which nothing is accepted.")


@dataclass(frozen=True)
class Logins:
    """Logins of people; where a key says so, of SMTP clients as well."""

    max_failures: int = key(
        10, "Wrong passwords for one account from one address before it has to wait.", least=1
    )
    max_failures_per_client: int = key(
        30, "Wrong passwords or SMTP keys from one address (IPv6: one /64) before it has to wait.", least=1
    )
    max_failures_per_account: int = key(
        100,
        "Wrong passwords for one account from anywhere before new addresses have to wait for it.",
        least=1,
    )
    window_minutes: int = key(10, "Minutes for which a failure counts.", least=1)
    session_hours: int = key(12, "Hours until a person has to log in again.", least=1)


@dataclass(frozen=True)
class Deliveries:
    """Where mail may go, and for how long it is tried."""

    mode: str = key(
        "catch",
        "`catch` keeps all mail here, `allowlist` all but that for delivery.allowlist, `mx` sends to the "
        "internet, `relays` to postal.smtp_relays.",
    )
    allowlist: tuple[str, ...] = key(
        (),
        "Addresses and domains whose mail is sent with the mode `allowlist`: to postal.smtp_relays if they "
        "are set, else to the internet. `example.com` is all its addresses, but not its subdomains.",
    )
    catch_port: int = key(2526, "Port of the catch listener.")
    catch_host: str = key(
        "127.0.0.1",
        "Address of the catch listener, on loopback; where the `smtp` process and workers have networks of "
        "their own, as in containers, its name or address in their private network.",
    )
    allowed_destinations: tuple[str, ...] = key(
        (),
        "Private networks or hosts to which MX records and address literals may lead; relays and SMTP "
        "endpoints may have any address.",
    )
    max_notices_per_server: int = key(
        1000, "Failure notices that one mail server sends in an hour; 0 for none.", least=0
    )
    max_notices_per_recipient: int = key(
        10, "Failure notices to one address in an hour; 0 for none.", least=0
    )
    max_lifetime_hours: int = key(
        120, "Hours after which a message fails, however few its attempts.", least=1
    )


@dataclass(frozen=True)
class Shaping:
    """Fixed limits for destinations."""

    rules: tuple[str, ...] = key(
        (),
        "Limits for destinations, `gmail.com connections=5 rate=100/min` each: a recipient domain or that of "
        "its mail hosts' operator; rates are by `s`, `min`, `h` or `day`.",
    )


def suppression_rule(about: str, default: str) -> Any:
    """A key for one reason; empty is the default, which imported servers do not follow."""
    return key("", f"{about}; `{default}` unless set, `off` for never.")


@dataclass(frozen=True)
class SuppressionLists:
    """When failures put an address on the suppression list, for how long, and for which mail."""

    bad_address: str = suppression_rule(
        "There is no such mailbox. One sure answer, or three unsure ones on three days",
        "1 for 30d,90d,365d scope=server",
    )
    bad_domain: str = suppression_rule(
        "The domain does not exist or takes no mail", "1 for 3d,14d,60d scope=server"
    )
    inactive: str = suppression_rule(
        "The mailbox is not in use any more", "2 for 30d,90d,365d scope=server within=30d apart=24h"
    )
    mailbox_full: str = suppression_rule("The mailbox is full", "3 for 7d,14d,30d scope=server within=14d")
    expired: str = suppression_rule(
        "The mail could not be delivered in all its attempts", "3 for 3d,7d,30d scope=server within=14d"
    )
    unknown: str = suppression_rule(
        "The receiver does not say what is wrong", "3 for 3d,7d,30d scope=server within=14d"
    )
    complaint: str = suppression_rule("The recipient called the mail spam", "1 for ever scope=stream")
    unsubscribe: str = suppression_rule("The recipient unsubscribed", "1 for ever scope=stream")
    address_scope: str = key(
        "server", "`stream` keeps the first six for the mail of one stream instead of all mail of a server."
    )


@dataclass(frozen=True)
class Bounces:
    """What failures mean."""

    rules: tuple[str, ...] = key(
        (),
        'What answers mean, before the built-in rules: `reputation "is not welcome" operator=att.net` each: '
        "a class, a text that the answer contains, and where only one operator's mail hosts are meant, their "
        "registered domain.",
    )


@dataclass(frozen=True)
class HeldMail:
    """How long mail waits for a person."""

    expiry: tuple[tuple[str, int], ...] = key(
        (),
        "Days until a hold expires, by its reason: `{suppressed: 3, spam: 30}`, with the reasons suppressed, "
        "send_limit, development_mode, credential, suspended, spam, route, poison and admin. For the others "
        "postal.default_maximum_hold_expiry_days applies.",
        least=1,
    )
    release_send_limit: bool = key(
        False, "Release what a send limit holds, the oldest first, as soon as the hour has room."
    )


@dataclass(frozen=True)
class Tracking:
    """Tracked links."""

    link_days: int = key(
        365,
        "Days that a tracked link works; then the response is 410 until its mail is deleted. 0: for ever.",
    )


@dataclass(frozen=True)
class TlsReports:
    """Reports on TLS sessions (RFC 8460)."""

    enabled: bool = key(
        False, "Send TLS reports (RFC 8460) to domains that ask for them, from smtp.from_address."
    )


@dataclass(frozen=True)
class Control:
    """The control interface of the test fixture."""

    token: str = secret("Token that enables the control interface for tests, and is required there.")


GROUPS: Mapping[str, type] = {
    "postal": Postal,
    "web_server": WebServer,
    "worker": Worker,
    "main_db": Database,
    "message_db": Database,
    "smtp_server": SmtpServer,
    "dns": Dns,
    "smtp": Smtp,
    "smtp_client": SmtpClient,
    "rspamd": Rspamd,
    "spamd": Spamd,
    "clamav": Clamav,
    "logging": Logging,
    "rails": Rails,
    "storage": Storage,
    "login": Logins,
    "delivery": Deliveries,
    "shaping": Shaping,
    "bounces": Bounces,
    "suppression": SuppressionLists,
    "hold": HeldMail,
    "tracking": Tracking,
    "tls_reports": TlsReports,
    "control": Control,
}
MAX_PORT = 65535
NOT_IN_A_HOST = re.compile(r"[\s/@]")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMATS = ("text", "json")
LOG_STREAMS = ("stderr", "stdout")
ADDRESS_SCOPES = ("server", "stream")
HOLD_REASONS = (
    *("suppressed", "send_limit", "development_mode", "credential", "suspended"),
    *("spam", "route", "poison", "admin"),
)
MAX_HOLD_DAYS = 3650
NUMBERS = tuple[tuple[str, int], ...]  # the type of keys that have a whole number for each name
CATCH, ALLOWLIST = "catch", "allowlist"
DELIVERY_MODES = (CATCH, ALLOWLIST, "mx", "relays")
OUR_GROUPS = frozenset(
    {
        "storage",
        "login",
        "delivery",
        "shaping",
        "bounces",
        "suppression",
        "hold",
        "tracking",
        "tls_reports",
        "control",
    }
)
NOT_HONOURED: Mapping[str, str] = {
    "gelf": "Graylog logging is not supported; see `logging`.",
    "oidc": "Login by OpenID Connect is not supported.",
    "migration_waiter": "There is no migration waiter; run `postal-server upgrade` first.",
}


@dataclass(frozen=True)
class Config:
    """The whole configuration. `warnings` names settings without effect."""

    root: Path
    path: Path | None = None
    warnings: tuple[str, ...] = ()
    postal: Postal = field(default_factory=Postal)
    web_server: WebServer = field(default_factory=WebServer)
    worker: Worker = field(default_factory=Worker)
    main_db: Database = field(default_factory=Database)
    message_db: Database = field(default_factory=Database)
    smtp_server: SmtpServer = field(default_factory=SmtpServer)
    dns: Dns = field(default_factory=Dns)
    smtp: Smtp = field(default_factory=Smtp)
    smtp_client: SmtpClient = field(default_factory=SmtpClient)
    rspamd: Rspamd = field(default_factory=Rspamd)
    spamd: Spamd = field(default_factory=Spamd)
    clamav: Clamav = field(default_factory=Clamav)
    logging: Logging = field(default_factory=Logging)
    rails: Rails = field(default_factory=Rails)
    storage: Storage = field(default_factory=Storage)
    login: Logins = field(default_factory=Logins)
    delivery: Deliveries = field(default_factory=Deliveries)
    shaping: Shaping = field(default_factory=Shaping)
    bounces: Bounces = field(default_factory=Bounces)
    suppression: SuppressionLists = field(default_factory=SuppressionLists)
    hold: HeldMail = field(default_factory=HeldMail)
    tracking: Tracking = field(default_factory=Tracking)
    tls_reports: TlsReports = field(default_factory=TlsReports)
    control: Control = field(default_factory=Control)

    def file(self, name: str) -> Path:
        """The path of a file key, with `$config-file-root` filled in."""
        return Path(name.replace("$config-file-root", str(self.root)))

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite database; None for another database, or where no file is named."""
        scheme, is_sqlite, path = self.storage.url.partition("sqlite:///")
        return self.file(unquote(path)) if is_sqlite and not scheme and path else None

    @property
    def plaintext_auth(self) -> bool:
        """Is AUTH offered without TLS?"""
        is_allowed = self.smtp_server.plaintext_auth
        return not self.smtp_server.tls_enabled if is_allowed is None else is_allowed

    @property
    def catches_all_mail(self) -> bool:
        """Does all mail stay here?"""
        return self.delivery.mode == CATCH

    @property
    def max_message_bytes(self) -> int:
        """The largest message over SMTP, in bytes."""
        return self.smtp_server.max_message_size * 1024 * 1024

    @property
    def max_header_bytes(self) -> int:
        """The largest header of a message, in bytes."""
        return self.smtp_server.max_header_size * 1024


def _numbers(name: str, value: Any, least: int) -> tuple[tuple[str, int], ...]:
    """A mapping of names to whole numbers; in an environment variable `name=number`, separated by commas."""
    if isinstance(value, str):
        pairs = [item.partition("=")[::2] for item in value.split(",") if item.strip()]
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        raise ConfigurationError(f"{name}: {value!r} is not a number for each name.")
    return tuple(
        (str(each).strip(), _convert(f"{name}.{str(each).strip()}", number, int, least))
        for each, number in pairs
    )


def _convert(name: str, value: Any, hint: Any, least: int) -> Any:
    """`value` as the type of the key `name`; raises `ConfigurationError` that names the key."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None:
        if type(None) in kinds:
            return None
        raise ConfigurationError(f"{name}: a value is required.")
    kind = next(k for k in kinds if k is not type(None))
    if kind == NUMBERS:
        return _numbers(name, value, least)
    if typing.get_origin(kind) is tuple:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)):
            raise ConfigurationError(f"{name}: a list is expected.")
        return tuple(str(item).strip() for item in items if str(item).strip())
    if kind is bool:
        words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False}
        words |= {"off": False, "": False}
        truth = words.get(str(value).strip().lower())
        if truth is None:
            raise ConfigurationError(f"{name}: {value!r} is neither true nor false.")
        return truth
    try:
        converted = kind(value)
    except (TypeError, ValueError, OverflowError):
        what = "a whole number" if kind is int else "a number"
        raise ConfigurationError(f"{name}: {value!r} is not {what}.") from None
    if kind is int and converted < least:
        raise ConfigurationError(f"{name}: {value!r} is too small; the least is {least}.")
    if kind is int and name.lower().endswith("port") and converted > MAX_PORT:
        raise ConfigurationError(f"{name}: {value!r} is not a port.")
    return converted


def variable(key: str) -> str:
    """The environment variable of a key such as `postal.web_hostname`, over which it wins."""
    return key.replace(".", "_").upper()


def variables() -> tuple[str, ...]:
    """The environment variables of all keys."""
    return tuple(
        variable(f"{group}.{item.name}")
        for group, kind in GROUPS.items()
        for item in dataclasses.fields(kind)
    )


def _group(name: str, kind: type, settings: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    hints = typing.get_type_hints(kind)
    values = {}
    for item in dataclasses.fields(kind):
        hint, least = hints[item.name], item.metadata.get("least", 0)
        if found := read(variable(f"{name}.{item.name}"), environ):
            values[item.name] = _convert(*found, hint, least)
        elif item.name in settings and settings[item.name] is not None:
            values[item.name] = _convert(f"{name}.{item.name}", settings[item.name], hint, least)
    return kind(**values)


def parse(
    document: Mapping[str, Any],
    environ: Mapping[str, str],
    root: Path,
    path: Path | None = None,
    *,
    is_whole: bool = True,
) -> Config:
    """The configuration in a version 2 document. Raises `ConfigurationError`.

    Unless it `is_whole`, keys that it needs may be missing.
    """
    warnings = []
    for name, group in document.items():
        if name == "version":
            continue
        if name in NOT_HONOURED:
            warnings.append(f"{name}: {NOT_HONOURED[name]}")
        elif name not in GROUPS:
            warnings.append(f"{name}: unknown group, ignored.")
        elif not isinstance(group, Mapping) and group is not None:
            raise ConfigurationError(f"{name}: a group is expected: its keys, indented, in the lines below.")
        else:
            warnings += [f"{name}.{k}: {why}" for k, why in _ignored(GROUPS[name], group or {})]
    groups = {name: _group(name, kind, document.get(name) or {}, environ) for name, kind in GROUPS.items()}
    if path is not None and not OUR_GROUPS & set(document):
        groups, notes = _as_postal_does(groups)
        warnings += notes
    warnings += _useless_list(groups["delivery"])
    if groups["delivery"].mode not in (CATCH, ALLOWLIST) and not _is_set(
        "smtp", "from_address", document, environ
    ):
        warnings.append(
            f"smtp.from_address: not set, so notices come from {Smtp.from_address}, a foreign address."
        )
    warnings += mistyped(environ, variables(), [variable(f"{name}.") for name in GROUPS])
    config = Config(root=root, path=path, warnings=tuple(warnings), **groups)
    if is_whole:
        _check(config)
    return config


def _is_set(group: str, name: str, document: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """Does the document or the environment set this key?"""
    in_document = (document.get(group) or {}).get(name) is not None
    return in_document or read(variable(f"{group}.{name}"), environ) is not None


def _ignored(kind: type, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys of a group that have no effect: unknown ones, and those of Postal that change nothing here."""
    fields = {item.name: item for item in dataclasses.fields(kind)}
    ignored = []
    for name, value in settings.items():
        if name not in fields:
            meant = difflib.get_close_matches(name, fields, 1)
            ignored.append((name, f"unknown key, ignored.{f' Did you mean {meant[0]}?' if meant else ''}"))
        elif fields[name].metadata["about"].startswith(WITHOUT_EFFECT) and value != fields[name].default:
            ignored.append((name, "has no effect here."))
    return ignored


def _as_postal_does(groups: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A file with none of our groups is Postal's own: keep what its users rely on, and warn about it."""
    warnings = []
    if groups["delivery"].mode == CATCH:
        warnings.append("delivery.mode: not set, so all mail is kept here; `mx` sends it out.")
    smtp = groups["smtp_server"]
    if smtp.tls_enabled and smtp.plaintext_auth is None:
        groups = {**groups, "smtp_server": dataclasses.replace(smtp, plaintext_auth=True)}
        warnings.append("smtp_server.plaintext_auth: not set, so AUTH is offered without TLS, as by Postal.")
    return groups, warnings


def _useless_list(delivery: Deliveries) -> list[str]:
    """A warning where the mode and the list of who gets mail do not fit together."""
    if delivery.mode == ALLOWLIST and not delivery.allowlist:
        return ["delivery.allowlist: is empty, so all mail is caught."]
    if delivery.allowlist and delivery.mode != ALLOWLIST:
        return [f"delivery.allowlist: has no effect with delivery.mode {delivery.mode}."]
    return []


def _check(config: Config) -> None:
    """Check values against a choice or against other keys. Raises `ConfigurationError`."""
    for name, value, choices in (
        ("delivery.mode", config.delivery.mode, DELIVERY_MODES),
        ("logging.level", config.logging.level.upper(), LOG_LEVELS),
        ("logging.format", config.logging.format, LOG_FORMATS),
        ("logging.stream", config.logging.stream, LOG_STREAMS),
        ("suppression.address_scope", config.suppression.address_scope, ADDRESS_SCOPES),
    ):
        if value not in choices:
            raise ConfigurationError(f"{name}: {value!r} is none of {', '.join(choices)}.")
    for reason, days in config.hold.expiry:
        if reason not in HOLD_REASONS:
            raise ConfigurationError(f"hold.expiry: {reason!r} is none of {', '.join(HOLD_REASONS)}.")
        if days > MAX_HOLD_DAYS:
            raise ConfigurationError(
                f"hold.expiry.{reason}: {days} is too much; the most is {MAX_HOLD_DAYS}."
            )
    if config.delivery.mode == "relays" and not config.postal.smtp_relays:
        raise ConfigurationError("delivery.mode: relays needs postal.smtp_relays.")
    try:
        re.compile(config.smtp_server.log_ip_address_exclusion_matcher)
    except re.error as error:
        raise ConfigurationError(f"smtp_server.log_ip_address_exclusion_matcher: {error}.") from error
    if config.tls_reports.enabled and config.smtp.from_address == Smtp().from_address:
        raise ConfigurationError("tls_reports.enabled: needs smtp.from_address, an address of a mail server.")
    if config.postal.web_protocol not in ("http", "https"):
        raise ConfigurationError(f"postal.web_protocol: {config.postal.web_protocol!r} is not http or https.")
    for name, host in (
        ("postal.web_hostname", config.postal.web_hostname),
        ("postal.smtp_hostname", config.postal.smtp_hostname),
        ("dns.return_path_domain", config.dns.return_path_domain),
        ("dns.route_domain", config.dns.route_domain),
        ("dns.track_domain", config.dns.track_domain),
        ("dns.spf_include", config.dns.spf_include),
        *(("dns.mx_records", host) for host in config.dns.mx_records),
    ):
        if NOT_IN_A_HOST.search(host):
            raise ConfigurationError(f"{name}: {host!r} is not a host name such as mail.example.com.")


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read the file at `path`, else at `POSTAL_CONFIG_FILE_PATH`, else `postal.yml` here, if there is one.

    Raises `ConfigurationError` where a named file is missing or something in it is wrong.
    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ[PATH_VARIABLE]) if environ.get(PATH_VARIABLE) else None)
    file = (named or DEFAULT_PATH).absolute()
    try:
        text = file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if named:
            raise ConfigurationError(f"{named}: there is no such configuration file.") from None
        return parse({}, environ, file.parent)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be read: {why_unreadable(error)}.") from error
    return read_text(text, file, environ)


def why_unreadable(error: OSError | UnicodeDecodeError | yaml.YAMLError) -> str:
    """What is wrong with a file, in one line and without its text, which may be a password."""
    if isinstance(error, OSError):
        return str(error.strerror)
    if isinstance(error, UnicodeDecodeError):
        line = error.object[: error.start].count(b"\n") + 1
        return f"line {line} is not text in UTF-8"
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark):
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def read_text(text: str, file: Path, environ: Mapping[str, str], *, is_whole: bool = True) -> Config:
    """The configuration in the text of `file`, of either version. Raises `ConfigurationError`."""
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file}: cannot be read: {why_unreadable(error)}.") from error
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"{file}: groups of keys are expected.")
    if document and document.get("version", 1) == 1:
        document, ignored = translate(document)
        parsed = parse(document, environ, file.parent, file, is_whole=is_whole)
        return dataclasses.replace(parsed, warnings=(*ignored, *parsed.warnings))
    return parse(document, environ, file.parent, file, is_whole=is_whole)


_planned: list[Config] = []


@functools.lru_cache(maxsize=1)
def config() -> Config:
    """The configuration of this process, read once."""
    return _planned[-1] if _planned else load()


def use(planned: Config) -> None:
    """Let this be the configuration of this process, whatever the file says.

    For `initialize`, which writes the file last.
    """
    _planned.append(planned)
    config.cache_clear()


def secret_key(config: Config) -> str:
    """The installation's secret: `rails.secret_key`, else the file `secret.key` beside the configuration.

    Raises `ConfigurationError` if there is neither; `postal-server initialize` makes the file.
    """
    if config.rails.secret_key:
        return config.rails.secret_key
    path = config.root / "secret.key"
    try:
        secret = path.read_text("ascii").strip()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}). "
            "Run `postal-server initialize`, or set rails.secret_key."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not a secret: {error}.") from error
    if not secret:
        raise ConfigurationError(
            f"{path}: is empty. Put the file of a back-up there: stored SMTP keys cannot be read without it."
        )
    return secret
