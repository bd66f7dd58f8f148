"""The only reader of settings.

`ServerConfig` is the table of settings: every attribute states its type, its default, its system check and
one sentence about it. The code, the system checks and the documentation all read this table.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload
from urllib.parse import urlsplit

import django.core.mail
from anymail.exceptions import AnymailConfigurationError, AnymailInvalidMailer
from anymail.utils import get_anymail_setting
from django.apps import apps
from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.encoding import force_bytes
from django.utils.module_loading import import_string

from .errors import UnknownServer

if TYPE_CHECKING:
    from .ports import Store

ESP_NAME = "Postal"
DEFAULT_SERVER = "default"
SERVER_NAME = re.compile(r"[a-z0-9-]+")
BACKEND = "anymail_postal.backend.EmailBackend"
STORE_APP = "anymail_postal.contrib.store"

# Anymail's own options, which a MAILERS entry of ours may hold beside those of this package.
ANYMAIL_OPTIONS = frozenset(
    {
        "debug_api_requests",
        "fail_silently",
        "idna_encoder",
        "ignore_recipient_status",
        "ignore_unsupported_features",
        "requests_timeout",
        "send_defaults",
        "timeout",
    }
)

# Anymail's own settings that we read, or that it reads for the ESP "Postal".
ANYMAIL_SETTINGS = ("WEBHOOK_SECRET", "REQUESTS_TIMEOUT", "POSTAL_SEND_DEFAULTS")
LOOKS_LIKE = 0.9  # ratio of `difflib` from which a name is taken for a misspelt one of these

T = TypeVar("T")
Layer = tuple[str, Mapping[str, Any]]  # where the values are written, and the values by lower-case name


class BadValueError(ValueError):
    """A setting's value is not one of those allowed; the text says what is."""


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One setting, and the attribute of `ServerConfig` that reads it.

    `read` turns the written value into the one the code uses, or raises `BadValueError`. `check` is the id
    of the system check that reports a bad value. `values` and `says` are for people.
    """

    name: str
    read: Callable[[Any], T]
    default: Any
    check: str
    values: str
    says: str
    scope: Literal["server", "global"] = "server"
    bare: bool = False  # may it also stand in the settings without the prefix ANYMAIL_?
    in_views: bool = False  # may it be an argument of the webhook views' `as_view()`?
    inherits: str = ""  # the setting of Anymail that is its default

    @property
    def attribute(self) -> str:
        """Lower case, without the prefix: its name in MAILERS, POSTAL_SERVERS and `ServerConfig`."""
        return self.name.removeprefix("POSTAL_").lower()

    @overload
    def __get__(self, config: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, config: ServerConfig, owner: type) -> T: ...
    def __get__(self, config: ServerConfig | None, owner: type) -> Setting[T] | T:
        if config is None:
            return self
        where, value = find(self, config.layers)
        try:
            read = self.read(value)
        except BadValueError as error:
            raise AnymailConfigurationError(f"{where} {error}") from error
        vars(config)[self.attribute] = read  # found before this descriptor from now on
        return read


_NOWHERE: Any = object()  # the value of a setting that is not written


def find(setting: Setting[Any], layers: Iterable[Layer] = ()) -> tuple[str, Any]:
    """Where a setting is written, for people, and its raw value: the first of `layers`, flat, default."""
    for where, values in layers:
        if setting.attribute in values:
            return f"{where}[{setting.attribute!r}]", values[setting.attribute]
    value = get_anymail_setting(
        setting.attribute, default=_NOWHERE, esp_name=ESP_NAME, allow_bare=setting.bare
    )
    if value is _NOWHERE and setting.inherits:
        value = get_anymail_setting(setting.inherits, default=_NOWHERE)
        if value is not _NOWHERE:
            return setting.inherits.upper(), value
    return setting.name, setting.default if value is _NOWHERE else value


# --- what values may be ---


def text(value: Any) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise BadValueError("must be text, not empty.")
    return value


def header_text(value: Any) -> str:
    """Text that fits into an HTTP header: printable ASCII without blanks at its ends."""
    value = text(value)
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise BadValueError("must be printable ASCII text without blanks around it.")
    return str(value)


def short_text(value: Any) -> str:
    """1 to 3 characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= 3 or not value.isprintable():
        raise BadValueError("must be a text of 1 to 3 characters.")
    return value


def url(value: Any) -> str:
    """A base URL, http or https, without its final slashes."""
    if not isinstance(value, str) or not is_web_url(value):
        raise BadValueError("must be a URL such as 'https://postal.example.com'.")
    base = value.rstrip("/")
    if base.endswith("/api/v1"):
        raise BadValueError("must not include '/api/v1'.")
    return base


def jwks_url(value: Any) -> str | Literal[True]:
    """True, or the URL of a key set: https, or http to a loopback host."""
    if value is True:
        return True
    if isinstance(value, str) and is_web_url(value):
        parts = urlsplit(value)
        if parts.scheme == "https" or is_loopback(parts.hostname or ""):
            return value
    raise BadValueError("must be True or an https URL (http only to a loopback host).")


# Characters that no URL has (RFC 3986, section 2). Of a backslash, one parser makes a slash, and another a
# part of the user's name: they do not agree on the host.
_NOT_IN_URLS = re.compile(r'[\x00-\x20\x7f"<>\\^`{|}]')


def is_web_url(value: str) -> bool:
    """Does this look like a complete http or https URL?"""
    if _NOT_IN_URLS.search(value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Is this host name or address the machine itself?"""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def domain(value: Any) -> str:
    """An ASCII domain name, in lower case."""
    labels = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
    if not isinstance(value, str) or not re.fullmatch(rf"(?=.{{1,253}}$){labels}(\.{labels})*", value):
        raise BadValueError("must be a domain name in ASCII (write 'xn--...' for an international one).")
    return value.lower()


def reply_local_part(value: Any) -> str:
    """The name of a Postal route."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9.-]{1,16}", value):
        raise BadValueError("must be at most 16 of the characters a-z, 0-9, '-' and '.'.")
    return value


def boolean(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise BadValueError("must be True or False.")
    return value


def whole(minimum: int, maximum: int | None = None) -> Callable[[Any], int]:
    """A whole number in these limits."""

    def read(value: Any) -> int:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= minimum
        if not fits or (maximum is not None and value > maximum):
            limits = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise BadValueError(f"must be a whole number {limits}.")
        return int(value)

    return read


def duration(value: Any) -> timedelta:
    """A length of time, not negative; numbers are seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            value = timedelta(seconds=value)
        except (OverflowError, ValueError):
            value = None
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise BadValueError("must be a timedelta or a number of seconds, not negative.")
    return value


def one_of(*choices: T) -> Callable[[Any], T]:
    """One of these values."""

    def read(value: Any) -> T:
        for choice in choices:
            if value == choice and type(value) is type(choice):
                return choice
        raise BadValueError(f"must be one of {', '.join(map(repr, choices))}.")

    return read


def optional(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """None, or what `read` takes."""

    def read_optional(value: Any) -> T | None:
        return None if value is None else read(value)

    return read_optional


def text_list(value: Any) -> tuple[str, ...]:
    """One text, or a list of them; None is an empty list."""
    texts = (value,) if isinstance(value, str) else (() if value is None else value)
    if not isinstance(texts, (list, tuple)) or not all(isinstance(each, str) and each for each in texts):
        raise BadValueError("must be a text or a list of texts.")
    return tuple(texts)


def webhook_secrets(value: Any) -> tuple[str, ...]:
    """One `user:password` or a list, as basic authentication has them."""
    found = text_list(value)
    if not all(":" in each for each in found):
        raise BadValueError("must be 'user:password', or a list of such texts: no request can carry another.")
    return found


def secrets(value: Any) -> tuple[str, ...]:
    """One secret or a list, newest first."""
    found = text_list(value)
    if not found or min(map(len, found)) < 32:
        raise BadValueError("must be a secret of at least 32 characters, or a list of such secrets.")
    return found


def languages(value: Any) -> tuple[str, ...]:
    """Language codes."""
    found = text_list(value)
    if not found or not all(re.fullmatch(r"[a-z]{2}", code) for code in found):
        raise BadValueError("must be a list of language codes such as ['en', 'de'].")
    return found


def public_keys(value: Any) -> str | Mapping[str, Any] | Collection[str | Mapping[str, Any]]:
    """A public key in any form that `anymail_postal.signatures` reads, or a list of such keys."""
    keys = value if isinstance(value, (list, tuple)) else (value,)
    if not keys or not all(isinstance(key, (str, Mapping)) and key for key in keys):
        raise BadValueError("must be a public key (text or JWK), or a list of public keys.")
    return value  # type: ignore[no-any-return]


def dispatch(value: Any) -> str:
    """ "sync", "task", or the dotted path of something callable."""
    if value in ("sync", "task"):
        return str(value)
    dotted_callable(value)
    return str(value)


def dotted_callable(value: Any) -> Callable[..., Any]:
    """The callable at a dotted path."""
    try:
        found = import_string(value)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise BadValueError("must be the dotted path of something callable.") from error
    if not callable(found):
        raise BadValueError("must be the dotted path of something callable.")
    return found  # type: ignore[no-any-return]


def servers(value: Any) -> Mapping[str, Mapping[str, Any]]:
    """Settings by server name."""
    if not isinstance(value, Mapping):
        raise BadValueError("must be a dict of dicts.")
    for name, values in value.items():
        if not isinstance(name, str) or not SERVER_NAME.fullmatch(name):
            raise BadValueError(f"has the name {name!r}; names consist of a-z, 0-9 and '-'.")
        if not isinstance(values, Mapping):
            raise BadValueError(f"must hold a dict for {name!r}.")
    return value


# --- the table ---


class ServerConfig:
    """All settings of one Postal server; each is read when it is first asked for, and then kept.

    Raises `AnymailConfigurationError` when an attribute with a bad value is asked for.
    """

    name: str
    layers: tuple[Layer, ...]

    api_key = Setting[str | None](
        "POSTAL_API_KEY", optional(header_text), None, "E001", "text",
        "Key of one of the mail server's API credentials. Required to send.", bare=True,
    )  # fmt: skip
    api_url = Setting[str | None](
        "POSTAL_API_URL", optional(url), None, "E002", "URL",
        "Address of Postal's web interface, without `/api/v1`. Required to send.",
        in_views=True,
    )  # fmt: skip
    api = Setting[Literal["auto", "message", "raw"]](
        "POSTAL_API", one_of("auto", "message", "raw"), "auto", "E003", '"auto", "message" or "raw"',
        "Which of Postal's calls sends mail: `send/message`, `send/raw`, or the first unless mail needs the "
        "second.",
    )  # fmt: skip
    retries = Setting[int](
        "POSTAL_RETRIES", whole(0, 10), 2, "E012", "0 to 10",
        "How often a call that Postal cannot have accepted is tried again.",
    )  # fmt: skip
    strict_envelope_sender = Setting[bool](
        "POSTAL_STRICT_ENVELOPE_SENDER", boolean, False, "E012", "bool",
        "Report `envelope_sender` as unsupported, because Postal always chooses the real one.",
    )  # fmt: skip
    inline_merge = Setting[bool](
        "POSTAL_INLINE_MERGE", boolean, False, "E012", "bool",
        "Treat subject and bodies as Django templates for the merge data. Never with text from users.",
    )  # fmt: skip
    message_id_domain = Setting[str | None](
        "POSTAL_MESSAGE_ID_DOMAIN", optional(domain), None, "E012", "domain",
        "Right side of the Message-IDs made here. By default the domain of the From address.",
    )  # fmt: skip
    metadata = Setting[Literal["auto", "message_id", "store"]](
        "POSTAL_METADATA", one_of("auto", "message_id", "store"), "auto", "E012",
        '"auto", "message_id" or "store"',
        "Where metadata travels: sealed in the Message-ID, in the store, or in the first that can hold it.",
    )  # fmt: skip
    secret_key = Setting[tuple[str, ...] | None](
        "POSTAL_SECRET_KEY", optional(secrets), None, "E014", "text or list",
        "Secret for sealed metadata and reply addresses; the first seals, all open. By default Django's "
        "`SECRET_KEY` and `SECRET_KEY_FALLBACKS`.",
        in_views=True,
    )  # fmt: skip
    tag_separator = Setting[str | None](
        "POSTAL_TAG_SEPARATOR", optional(short_text), None, "E012", "1 to 3 characters",
        "Joins several tags to the single one that Postal keeps, and splits it again in events.",
        in_views=True,
    )  # fmt: skip
    click_tracking = Setting[Literal["on", "off"] | None](
        "POSTAL_CLICK_TRACKING", one_of(None, "on", "off"), None, "E012", 'None, "on" or "off"',
        "Whether this mail server rewrites links, which decides what `track_clicks` may ask for.",
    )  # fmt: skip
    open_tracking = Setting[Literal["on", "off"] | None](
        "POSTAL_OPEN_TRACKING", one_of(None, "on", "off"), None, "E012", 'None, "on" or "off"',
        "Whether this mail server adds an open pixel, which decides what `track_opens` may ask for.",
    )  # fmt: skip
    send_at = Setting[Literal["store"] | None](
        "POSTAL_SEND_AT", one_of(None, "store"), None, "E012", 'None or "store"',
        "Keep mail with a `send_at` in the store until `postal_send_due` sends it.",
    )  # fmt: skip
    suppression = Setting[Literal["off", "store"]](
        "POSTAL_SUPPRESSION", one_of("off", "store"), "off", "E012", '"off" or "store"',
        "Leave out recipients whose mail bounced or was rejected, and report them as rejected.",
    )  # fmt: skip
    webhook_key = Setting[str | Mapping[str, Any] | Collection[str | Mapping[str, Any]] | None](
        "POSTAL_WEBHOOK_KEY", optional(public_keys), None, "E006", "text, dict or list",
        "Public key of the Postal installation, or several: bare base64, PEM, the DKIM record or a JWK.",
        bare=True, in_views=True,
    )  # fmt: skip
    webhook_jwks_url = Setting[str | Literal[True] | None](
        "POSTAL_WEBHOOK_JWKS_URL", optional(jwks_url), None, "E008", "URL or True",
        "Where to fetch the public keys; True means `/.well-known/jwks.json` below `POSTAL_API_URL`.",
        in_views=True,
    )  # fmt: skip
    webhook_allow_sha1 = Setting[bool](
        "POSTAL_WEBHOOK_ALLOW_SHA1", boolean, True, "E012", "bool",
        "Accept the SHA-1 signature of a request that has no SHA-256 one (Postal before 3.2.0).",
        in_views=True,
    )  # fmt: skip
    webhook_secret = Setting[tuple[str, ...]](
        "POSTAL_WEBHOOK_SECRET", webhook_secrets, (), "E012", "text or list",
        "`user:password` that Postal's requests must carry; of several any one. By default Anymail's "
        "`WEBHOOK_SECRET`.", inherits="webhook_secret", in_views=True,
    )  # fmt: skip
    webhook_max_age = Setting[timedelta | None](
        "POSTAL_WEBHOOK_MAX_AGE", optional(duration), None, "E009", "duration or None",
        "Refuse tracking events that are older.",
        in_views=True,
    )  # fmt: skip
    webhook_dedupe = Setting[Literal["auto", "store", "cache", "off"]](
        "POSTAL_WEBHOOK_DEDUPE", one_of("auto", "store", "cache", "off"), "auto", "E009",
        '"auto", "store", "cache" or "off"',
        "Where requests already handled are remembered; auto is the store if installed, else Django's cache.",
        in_views=True,
    )  # fmt: skip
    webhook_dedupe_ttl = Setting[timedelta](
        # Longer than the three days over which a server may repeat a webhook.
        "POSTAL_WEBHOOK_DEDUPE_TTL", duration, timedelta(hours=96), "E009", "duration",
        "How long they are remembered.",
        in_views=True,
    )  # fmt: skip
    webhook_dispatch = Setting[str](
        "POSTAL_WEBHOOK_DISPATCH", dispatch, "sync", "E009", '"sync", "task" or a dotted path',
        "Call receivers within the request, in a Django task, or through a callable given a delivery id.",
        in_views=True,
    )  # fmt: skip
    held_suppressed_as_rejected = Setting[bool](
        "POSTAL_HELD_SUPPRESSED_AS_REJECTED", boolean, False, "E012", "bool",
        "Report mail that Postal holds for a suppressed recipient as rejected instead of queued.",
        in_views=True,
    )  # fmt: skip
    hardfail_as_bounced = Setting[bool](
        "POSTAL_HARDFAIL_AS_BOUNCED", boolean, True, "E012", "bool",
        "Report a permanent refusal by the receiving server as bounced instead of failed.",
        in_views=True,
    )  # fmt: skip
    server_events_on_tracking = Setting[bool](
        "POSTAL_SERVER_EVENTS_ON_TRACKING", boolean, True, "E012", "bool",
        "Send events about the server itself to the `tracking` signal too, as type unknown.",
        in_views=True,
    )  # fmt: skip
    inbound_max_bytes = Setting[int](
        "POSTAL_INBOUND_MAX_BYTES", whole(1), 52_428_800, "E012", "int",
        "Largest request that the inbound view reads, in bytes.",
        in_views=True,
    )  # fmt: skip
    inbound_refusal_status = Setting[Literal[400, 503]](
        "POSTAL_INBOUND_REFUSAL_STATUS", one_of(400, 503), 400, "E012", "400 or 503",
        "Answer to inbound mail with a bad signature: 400 bounces it to its sender, 503 keeps it 31 hours.",
        in_views=True,
    )  # fmt: skip
    strip_replies = Setting[bool](
        "POSTAL_STRIP_REPLIES", boolean, False, "E012", "bool",
        "Fill in `stripped_text` and `stripped_html` of inbound mail.",
        in_views=True,
    )  # fmt: skip
    reply_domain = Setting[str | None](
        "POSTAL_REPLY_DOMAIN", optional(domain), None, "E013", "domain",
        "Domain of reply addresses. Required to make one.",
    )  # fmt: skip
    reply_local_part = Setting[str](
        "POSTAL_REPLY_LOCAL_PART", reply_local_part, "reply", "E013", "route name",
        "Name of the Postal route that receives replies.",
    )  # fmt: skip
    reply_max_age = Setting[timedelta | None](
        "POSTAL_REPLY_MAX_AGE", optional(duration), None, "E013", "duration or None",
        "How long new reply addresses work; None means for ever.",
    )  # fmt: skip
    reply_sender_check = Setting[Literal["flag", "require", "off"]](
        "POSTAL_REPLY_SENDER_CHECK", one_of("flag", "require", "off"), "flag", "E013",
        '"flag", "require" or "off"',
        "Compare the From address of a reply with its user's: note the result, insist on it, or do not.",
    )  # fmt: skip
    reply_languages = Setting[tuple[str, ...] | None](
        "POSTAL_REPLY_LANGUAGES", optional(languages), None, "E013", "list of codes",
        "Languages whose quotation lines are recognised; None means all.",
        in_views=True,
    )  # fmt: skip

    def __init__(self, name: str, layers: Iterable[Layer] = ()) -> None:
        vars(self).update(name=name, layers=tuple(layers))

    def __setattr__(self, attribute: str, value: object) -> None:
        raise AttributeError("A ServerConfig cannot be changed; ask for one with other values.")

    def __repr__(self) -> str:
        return f"<ServerConfig {self.name!r}>"

    def required(self, setting: Literal["api_key", "api_url"], alias: str | None = None) -> str:
        """The value of a setting without which nothing can be sent.

        `alias` is the MAILERS entry whose options were to hold it. Raises `AnymailConfigurationError`.
        """
        value: str | None = getattr(self, setting)
        if value is not None:
            return value
        if alias is not None:
            raise AnymailInvalidMailer(f"OPTIONS must define {setting!r}.", alias=alias)
        entry = next(each for each in SERVER_SETTINGS if each.attribute == setting)
        bare = f" or {entry.name}" if entry.bare else ""
        named = "" if self.name == DEFAULT_SERVER else f" (or {setting!r} of {self.name!r} in POSTAL_SERVERS)"
        raise AnymailConfigurationError(
            f"You must set ANYMAIL = {{'{entry.name}': ...}} or ANYMAIL_{entry.name}{bare}"
            f" in your Django settings{named}."
        )


SERVERS = Setting[Mapping[str, Mapping[str, Any]]](
    "POSTAL_SERVERS", servers, {}, "E004", "dict of dicts",
    "Settings of further Postal servers by name; keys are lower case, without `POSTAL_`.", scope="global",
)  # fmt: skip
SERVER_REGISTRY = Setting[Callable[[str], Mapping[str, Any] | None] | None](
    "POSTAL_SERVER_REGISTRY", optional(dotted_callable), None, "E005", "dotted path",
    "Callable that returns the settings of the server with a given name, or None.", scope="global",
)  # fmt: skip

SERVER_SETTINGS: tuple[Setting[Any], ...] = tuple(
    each for each in vars(ServerConfig).values() if isinstance(each, Setting)
)
SETTINGS: tuple[Setting[Any], ...] = (
    *SERVER_SETTINGS[:3], SERVERS, SERVER_REGISTRY, *SERVER_SETTINGS[3:],
)  # fmt: skip
SERVER_ATTRIBUTES = frozenset(each.attribute for each in SERVER_SETTINGS)
VIEW_OPTIONS = tuple(each.attribute for each in SERVER_SETTINGS if each.in_views)


# --- finding the values ---


def anymail_settings() -> Mapping[str, Any]:
    """The dict ANYMAIL of the settings, empty if there is none."""
    return getattr(settings, "ANYMAIL", None) or {}


def requests_timeout() -> Any:
    """Anymail's REQUESTS_TIMEOUT as `requests` takes it: seconds, or a pair of them. 30 by default."""
    return get_anymail_setting("requests_timeout", default=30)


def server(name: str = DEFAULT_SERVER, **overrides: Any) -> ServerConfig:
    """The settings of a server. `overrides`, by lower-case name, go before all others.

    Order: overrides, the MAILERS entry, POSTAL_SERVERS, POSTAL_SERVER_REGISTRY, the flat settings, defaults.
    Raises `UnknownServer`, and `AnymailConfigurationError` for POSTAL_SERVERS of a wrong shape.
    """
    layers = [("options", overrides)] if overrides else []
    named = named_layers(name)
    if not named and name != DEFAULT_SERVER:
        raise UnknownServer(f"There is no Postal server {name!r} in POSTAL_SERVERS, its registry or MAILERS.")
    return ServerConfig(name, [*layers, *named])


def mailer(alias: str, options: Mapping[str, Any]) -> ServerConfig:
    """The settings of the server of a MAILERS entry, which Django hands `options` of while it makes it."""
    return ServerConfig(alias, [(f"MAILERS[{alias!r}]['OPTIONS']", options), *named_layers(alias)])


def named_layers(name: str) -> list[Layer]:
    """What the settings and the registry know under this server name."""
    layers = written_layers(name)
    registry = global_value(SERVER_REGISTRY)
    # Names come from URLs too: a registry, which may ask a database, gets no others than it can have.
    values = registry(name) if registry is not None and SERVER_NAME.fullmatch(name) else None
    if values is not None:
        layers.append((f"POSTAL_SERVER_REGISTRY({name!r})", values))
    return layers


def written_layers(name: str) -> list[Layer]:
    """Where the settings themselves write something under this server name."""
    layers: list[Layer] = []
    options = mailers().get(name)
    if options is not None:
        layers.append((f"MAILERS[{name!r}]['OPTIONS']", options))
    values = global_value(SERVERS).get(name)
    if values is not None:
        layers.append((f"POSTAL_SERVERS[{name!r}]", values))
    return layers


def global_value(setting: Setting[T]) -> T:
    """The value of a setting that is not one server's."""
    where, value = find(setting)
    try:
        return setting.read(value)
    except BadValueError as error:
        raise AnymailConfigurationError(f"{where} {error}") from error


def server_names() -> list[str]:
    """The servers that the settings name, "default" first; those of a registry cannot be listed."""
    return list(dict.fromkeys((DEFAULT_SERVER, *mailers(), *global_value(SERVERS))))


def mailers() -> dict[str, Mapping[str, Any]]:
    """The options of the MAILERS entries (Django 6.1) that use our backend, by alias."""
    if not uses_mailers():
        return {}
    return {
        alias: entry.get("OPTIONS") or {}
        for alias, entry in getattr(settings, "MAILERS", {}).items()
        if is_our_backend(entry.get("BACKEND"))
    }


def uses_mailers() -> bool:
    """Does this project configure mail by MAILERS? Then `settings.EMAIL_BACKEND` must not be read."""
    return hasattr(django.core.mail, "mailers") and hasattr(settings, "MAILERS")


def backends() -> list[str]:
    """The dotted paths of the e-mail backends that Django sends with."""
    if uses_mailers():
        return [entry.get("BACKEND") or "" for entry in getattr(settings, "MAILERS", {}).values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Django 6.1 deprecates the setting, as the project knows by now.
        return [settings.EMAIL_BACKEND]


def is_our_backend(path: str | None) -> bool:
    """Is this dotted path our backend, or a subclass?"""
    if path == BACKEND:
        return True
    try:
        found = import_string(path) if path else None
    except ImportError:
        return False
    # By its path, because the backend itself imports this module.
    return isinstance(found, type) and issubclass(found, import_string(BACKEND))


def secret_keys(config: ServerConfig) -> list[bytes]:
    """The secrets of this server, newest first: the first seals and signs, all of them open."""
    if config.secret_key is not None:
        return [force_bytes(key) for key in config.secret_key]
    return [force_bytes(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def store() -> Store | None:
    """The optional app's store, or None where the project does not list that app."""
    return _load_store() if apps.is_installed(STORE_APP) else None


def require_store(wanted_by: str) -> Store:
    """The store. Raises `AnymailConfigurationError` naming the setting that wants it."""
    found = store()
    if found is None:
        raise AnymailConfigurationError(f"{wanted_by} needs {STORE_APP!r} in INSTALLED_APPS.")
    return found


@cache
def _load_store() -> Store:
    found: Store = import_string(f"{STORE_APP}.store.Store")()
    return found


# --- the settings kept between requests ---


class ServerCache:
    """The settings of each server while they do not change: reading them takes longer than an event."""

    def __init__(self) -> None:
        self.relevant = copy.deepcopy(_relevant())
        self.has_registry = global_value(SERVER_REGISTRY) is not None
        self.configs: dict[str, ServerConfig] = {}

    def is_current(self) -> bool:
        """Is ANYMAIL unchanged? `setting_changed` reports changes of all settings, but is for tests only."""
        return self.relevant == _relevant()


def _relevant() -> dict[str, Any]:
    """The entries of ANYMAIL that a `ServerConfig` can depend on."""
    return {
        name: value for name, value in anymail_settings().items() if name.startswith(("POSTAL_", "WEBHOOK_"))
    }


_cache: ServerCache | None = None


def cached_server(name: str, options: Mapping[str, Any]) -> ServerConfig:
    """`server(name, **options)`, cached if there are neither options nor a registry, which may change."""
    global _cache  # noqa: PLW0603
    current = _cache
    if current is None or not current.is_current():
        current = _cache = ServerCache()
    if current.has_registry or options:
        return server(name, **options)
    if name not in current.configs:
        current.configs[name] = server(name)
    return current.configs[name]


@receiver(setting_changed)
def clear_cache(**_: Any) -> None:
    """Read all settings again."""
    global _cache  # noqa: PLW0603
    _cache = None


# --- for the system checks ---


@dataclass(frozen=True)
class Problem:
    """A setting with a bad value: the id of its check (without prefix), where it is written, what to do."""

    check: str
    setting: str
    message: str
    hint: str


def problems() -> list[Problem]:
    """Every bad value in the settings, each once however many servers use it.

    A registry is not asked: it may need the database, which checks run without.
    """
    found = list(_bad_values(SERVERS, ()))
    found += _bad_values(SERVER_REGISTRY, ())
    if found:
        return found  # the servers cannot be listed
    for name in server_names():
        layers = written_layers(name)
        for where, values in layers:
            found += _unknown_keys(where, values)
        for setting in SERVER_SETTINGS:
            found += _bad_values(setting, layers)
    return list(dict.fromkeys(found))


def unknown_names() -> Iterator[tuple[str, str]]:
    """Names among the settings that look like ours and are none, and the name that was perhaps meant."""
    known = [*(each.name for each in SETTINGS), *ANYMAIL_SETTINGS]
    for name in anymail_settings():
        is_ours = str(name).upper().startswith("POSTAL_")
        meant = _nearest(str(name).upper(), known, 0.75 if is_ours else LOOKS_LIKE)
        if name not in known and (is_ours or meant):
            yield f"ANYMAIL[{name!r}]", f"ANYMAIL[{meant!r}]" if meant else ""
    prefixed = [f"ANYMAIL_{name}" for name in known]
    bare = [each.name for each in SETTINGS if each.bare]
    for name in dir(settings):
        if name.startswith("ANYMAIL_POSTAL_") and name not in prefixed:
            yield name, _nearest(name, prefixed, 0.75)
        elif name.startswith("POSTAL_") and name not in known and (meant := _nearest(name, bare, LOOKS_LIKE)):
            yield name, meant


def unread_names() -> list[str]:
    """Names of settings that stand at the root, where they are not read, and nowhere else.

    Settings that `ANYMAIL` or a server's options have too may come from there, as from an environment.
    """
    flat = {f"POSTAL_{name.upper()}" for names in _all_layers() for name in names}
    flat |= set(anymail_settings())
    return [
        each.name
        for each in SETTINGS
        if not each.bare
        and hasattr(settings, each.name)
        and each.name not in flat
        and not hasattr(settings, f"ANYMAIL_{each.name}")
    ]


def _all_layers() -> Iterator[Mapping[str, Any]]:
    """What the settings write under the names of servers; nothing where they are in no shape to name any."""
    with contextlib.suppress(AnymailConfigurationError):
        for name in server_names():
            yield from (values for _, values in written_layers(name))


def _nearest(name: str, known: Sequence[str], ratio: float) -> str:
    return next(iter(difflib.get_close_matches(name, known, 1, ratio)), "")


def _bad_values(setting: Setting[Any], layers: Iterable[Layer]) -> Iterator[Problem]:
    where, value = find(setting, layers)
    try:
        setting.read(value)
    except BadValueError as error:
        yield Problem(setting.check, where, f"{where} {error}", f"{setting.says} Values: {setting.values}.")


def _unknown_keys(where: str, values: Mapping[str, Any]) -> Iterator[Problem]:
    known = SERVER_ATTRIBUTES | (ANYMAIL_OPTIONS | {"server"} if where.startswith("MAILERS") else set())
    for key in values:
        if key not in known:
            yield Problem(
                "E004",
                where,
                f"{where} has the unknown key {key!r}.",
                "Keys are names of settings in lower case, without POSTAL_.",
            )
