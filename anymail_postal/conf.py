"""The settings of this package; no other module reads them.

`ServerConfig` is the table of settings: each attribute states its type, its default, its system check and
one sentence about it. The code, the system checks and the documentation all use this table.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

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
from .setting_values import (
    SERVER_NAME,
    BadValueError,
    boolean,
    dispatch,
    domain,
    dotted_callable,
    duration,
    header_text,
    jwks_url,
    languages,
    one_of,
    optional,
    public_keys,
    reply_local_part,
    secrets,
    servers,
    short_text,
    url,
    webhook_secrets,
    whole,
)

if TYPE_CHECKING:
    from .ports import Store

ESP_NAME = "Postal"
DEFAULT_SERVER = "default"
BACKEND = "anymail_postal.backend.EmailBackend"
STORE_APP = "anymail_postal.contrib.store"

# Anymail's own options, which a MAILERS entry with our backend may also have.
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

# Anymail's own settings that we read, or that Anymail reads for the ESP "Postal".
ANYMAIL_SETTINGS = ("WEBHOOK_SECRET", "REQUESTS_TIMEOUT", "POSTAL_SEND_DEFAULTS")
LOOKS_LIKE = 0.9  # ratio of `difflib` above which a name counts as a misspelling of one of these

T = TypeVar("T")
Layer = tuple[str, Mapping[str, Any]]  # where the values come from, and the values by lower-case name


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One setting, and the attribute of `ServerConfig` that reads it.

    `read` turns the value in the settings into the one that the code uses, or raises `BadValueError`. `check`
    is the id of the system check that reports a bad value. `values` and `says` are for the documentation.
    """

    name: str
    read: Callable[[Any], T]
    default: Any
    check: str
    values: str
    says: str
    scope: Literal["server", "global"] = "server"
    bare: bool = False  # is it also read without the prefix ANYMAIL_?
    in_views: bool = False  # is it an argument of the webhook views' `as_view()`?
    inherits: str = ""  # the setting of Anymail that is its default

    @property
    def attribute(self) -> str:
        """The name in MAILERS, POSTAL_SERVERS and `ServerConfig`: in lower case, without POSTAL_."""
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
        vars(config)[self.attribute] = read  # from now on found before this descriptor
        return read


_NOT_SET: Any = object()  # the value of a setting that is set nowhere


def find(setting: Setting[Any], layers: Iterable[Layer] = ()) -> tuple[str, Any]:
    """Where a setting is set, for messages, and its raw value.

    The order is: the first of `layers` that has it, the flat settings, the default.
    """
    for where, values in layers:
        if setting.attribute in values:
            return f"{where}[{setting.attribute!r}]", values[setting.attribute]
    value = get_anymail_setting(
        setting.attribute, default=_NOT_SET, esp_name=ESP_NAME, allow_bare=setting.bare
    )
    if value is _NOT_SET and setting.inherits:
        value = get_anymail_setting(setting.inherits, default=_NOT_SET)
        if value is not _NOT_SET:
            return setting.inherits.upper(), value
    return setting.name, setting.default if value is _NOT_SET else value


# --- the table ---


class ServerConfig:
    """All settings of one Postal server, which `name` names. Each is read at its first use, and then kept.

    Reading an attribute with a bad value raises `AnymailConfigurationError`.
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
        "How often a call that Postal cannot have accepted is repeated.",
    )  # fmt: skip
    strict_envelope_sender = Setting[bool](
        "POSTAL_STRICT_ENVELOPE_SENDER", boolean, False, "E012", "bool",
        "Report `envelope_sender` as unsupported, because Postal sets the envelope sender itself.",
    )  # fmt: skip
    inline_merge = Setting[bool](
        "POSTAL_INLINE_MERGE", boolean, False, "E012", "bool",
        "Render the subject and bodies as Django templates with the merge data. Not for text from users.",
    )  # fmt: skip
    message_id_domain = Setting[str | None](
        "POSTAL_MESSAGE_ID_DOMAIN", optional(domain), None, "E012", "domain",
        "Right-hand side of generated Message-IDs. By default the domain of the From address.",
    )  # fmt: skip
    metadata = Setting[Literal["auto", "message_id", "store"]](
        "POSTAL_METADATA", one_of("auto", "message_id", "store"), "auto", "E012",
        '"auto", "message_id" or "store"',
        "Where metadata is kept: sealed in the Message-ID, in the store, or in the first that can hold it.",
    )  # fmt: skip
    secret_key = Setting[tuple[str, ...] | None](
        "POSTAL_SECRET_KEY", optional(secrets), None, "E014", "text or list",
        "Secret for sealed metadata and reply addresses: the first seals, each of them opens. By default "
        "Django's `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.",
        in_views=True,
    )  # fmt: skip
    tag_separator = Setting[str | None](
        "POSTAL_TAG_SEPARATOR", optional(short_text), None, "E012", "1 to 3 characters",
        "Joins several tags into the single one that Postal keeps, and splits it in events.",
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
        "`user:password` that Postal's requests must carry, or a list of which they carry one. By default "
        "Anymail's `WEBHOOK_SECRET`.", inherits="webhook_secret", in_views=True,
    )  # fmt: skip
    webhook_max_age = Setting[timedelta | None](
        "POSTAL_WEBHOOK_MAX_AGE", optional(duration), None, "E009", "duration or None",
        "Refuse older tracking events.",
        in_views=True,
    )  # fmt: skip
    webhook_dedupe = Setting[Literal["auto", "store", "cache", "off"]](
        "POSTAL_WEBHOOK_DEDUPE", one_of("auto", "store", "cache", "off"), "auto", "E009",
        '"auto", "store", "cache" or "off"',
        "Where handled requests are remembered: auto is the store if it is installed, else Django's cache.",
        in_views=True,
    )  # fmt: skip
    webhook_dedupe_ttl = Setting[timedelta](
        # Longer than the three days over which a server may repeat a webhook.
        "POSTAL_WEBHOOK_DEDUPE_TTL", duration, timedelta(hours=96), "E009", "duration",
        "How long handled requests are remembered in the cache.",
        in_views=True,
    )  # fmt: skip
    webhook_dispatch = Setting[str](
        "POSTAL_WEBHOOK_DISPATCH", dispatch, "sync", "E009", '"sync", "task" or a dotted path',
        "Run receivers within the request, in a Django task, or through a callable that gets a delivery id.",
        in_views=True,
    )  # fmt: skip
    held_suppressed_as_rejected = Setting[Literal["auto"] | bool](
        "POSTAL_HELD_SUPPRESSED_AS_REJECTED", one_of("auto", True, False), "auto", "E012",
        '"auto", True or False',
        "Report mail that is held for a suppressed recipient as rejected instead of queued: auto does so"
        " where the server says why it holds mail, as `postal_server` does and Postal does not.",
        in_views=True,
    )  # fmt: skip
    hardfail_as_bounced = Setting[bool](
        "POSTAL_HARDFAIL_AS_BOUNCED", boolean, True, "E012", "bool",
        "Report a permanent failure at the receiving server as bounced instead of failed.",
        in_views=True,
    )  # fmt: skip
    blocked_as_failed = Setting[bool](
        "POSTAL_BLOCKED_AS_FAILED", boolean, False, "E012", "bool",
        "Report a refusal that is about us (reputation, pace, authentication, DNS) as failed instead of"
        " bounced: it says nothing of the recipient.",
        in_views=True,
    )  # fmt: skip
    server_events_on_tracking = Setting[bool](
        "POSTAL_SERVER_EVENTS_ON_TRACKING", boolean, True, "E012", "bool",
        "Send events about the server itself to the `tracking` signal too, with the type unknown.",
        in_views=True,
    )  # fmt: skip
    inbound_max_bytes = Setting[int](
        "POSTAL_INBOUND_MAX_BYTES", whole(1), 52_428_800, "E012", "int",
        "Largest request that the inbound view reads, in bytes.",
        in_views=True,
    )  # fmt: skip
    inbound_refusal_status = Setting[Literal[400, 503]](
        "POSTAL_INBOUND_REFUSAL_STATUS", one_of(400, 503), 400, "E012", "400 or 503",
        "Response to inbound mail with a bad signature: 400 bounces it, 503 lets Postal retry for 31 hours.",
        in_views=True,
    )  # fmt: skip
    strip_replies = Setting[bool](
        "POSTAL_STRIP_REPLIES", boolean, False, "E012", "bool",
        "Set `stripped_text` and `stripped_html` of inbound mail.",
        in_views=True,
    )  # fmt: skip
    reply_domain = Setting[str | None](
        "POSTAL_REPLY_DOMAIN", optional(domain), None, "E013", "domain",
        "Domain of reply addresses. Required to make them.",
    )  # fmt: skip
    reply_local_part = Setting[str](
        "POSTAL_REPLY_LOCAL_PART", reply_local_part, "reply", "E013", "route name",
        "Local part of the Postal route that receives replies.",
    )  # fmt: skip
    reply_max_age = Setting[timedelta | None](
        "POSTAL_REPLY_MAX_AGE", optional(duration), None, "E013", "duration or None",
        "How long new reply addresses are valid; None means for ever.",
    )  # fmt: skip
    reply_sender_check = Setting[Literal["flag", "require", "off"]](
        "POSTAL_REPLY_SENDER_CHECK", one_of("flag", "require", "off"), "flag", "E013",
        '"flag", "require" or "off"',
        "Compare the From address of a reply with the user's: flag the result, require a match, or neither.",
    )  # fmt: skip
    reply_languages = Setting[tuple[str, ...] | None](
        "POSTAL_REPLY_LANGUAGES", optional(languages), None, "E013", "list of codes",
        "Languages in which the lines above quotations are recognized; None means all.",
        in_views=True,
    )  # fmt: skip

    def __init__(self, name: str, layers: Iterable[Layer] = ()) -> None:
        vars(self).update(name=name, layers=tuple(layers))

    def __setattr__(self, attribute: str, value: object) -> None:
        raise AttributeError("A ServerConfig cannot be changed; make one with other values.")

    def __repr__(self) -> str:
        return f"<ServerConfig {self.name!r}>"

    def required(self, setting: Literal["api_key", "api_url"], alias: str | None = None) -> str:
        """The value of a setting that sending requires.

        `alias` is the MAILERS entry whose options should have it. Raises `AnymailConfigurationError` if it is
        not set.
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
    """The settings of a server. `overrides`, by lower-case name, take precedence over all others.

    Order: overrides, the MAILERS entry, POSTAL_SERVERS, POSTAL_SERVER_REGISTRY, the flat settings, defaults.
    Raises `UnknownServer`, and `AnymailConfigurationError` for POSTAL_SERVERS of a wrong shape.
    """
    layers = [("options", overrides)] if overrides else []
    named = named_layers(name)
    if not named and name != DEFAULT_SERVER:
        raise UnknownServer(f"There is no Postal server {name!r} in POSTAL_SERVERS, its registry or MAILERS.")
    return ServerConfig(name, [*layers, *named])


def mailer(alias: str, options: Mapping[str, Any]) -> ServerConfig:
    """The settings of the server of a MAILERS entry. `options` are what Django passes to the backend."""
    return ServerConfig(alias, [(f"MAILERS[{alias!r}]['OPTIONS']", options), *named_layers(alias)])


def named_layers(name: str) -> list[Layer]:
    """The values that the settings and the registry have for a server name."""
    layers = written_layers(name)
    registry = global_value(SERVER_REGISTRY)
    # Names may come from URLs: do not pass impossible ones to a registry, which may query a database.
    values = registry(name) if registry is not None and SERVER_NAME.fullmatch(name) else None
    if values is not None:
        layers.append((f"POSTAL_SERVER_REGISTRY({name!r})", values))
    return layers


def written_layers(name: str) -> list[Layer]:
    """The values that the settings have for a server name."""
    layers: list[Layer] = []
    options = mailers().get(name)
    if options is not None:
        layers.append((f"MAILERS[{name!r}]['OPTIONS']", options))
    values = global_value(SERVERS).get(name)
    if values is not None:
        layers.append((f"POSTAL_SERVERS[{name!r}]", values))
    return layers


def global_value(setting: Setting[T]) -> T:
    """The value of a setting that is not for one server."""
    where, value = find(setting)
    try:
        return setting.read(value)
    except BadValueError as error:
        raise AnymailConfigurationError(f"{where} {error}") from error


def server_names() -> list[str]:
    """The names of the servers in the settings, "default" first. Those of a registry cannot be listed."""
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
    """Does the project use MAILERS? Then `settings.EMAIL_BACKEND` must not be read."""
    return hasattr(django.core.mail, "mailers") and hasattr(settings, "MAILERS")


def backends() -> list[str]:
    """The dotted paths of the e-mail backends in the settings."""
    if uses_mailers():
        return [entry.get("BACKEND") or "" for entry in getattr(settings, "MAILERS", {}).values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Django 6.1 deprecates the setting, and has warned already
        return [settings.EMAIL_BACKEND]


def is_our_backend(path: str | None) -> bool:
    """Is this dotted path our backend, or a subclass?"""
    if path == BACKEND:
        return True
    try:
        backend = import_string(path) if path else None
    except ImportError:
        return False
    # Ours by its path too, because the backend imports this module.
    return isinstance(backend, type) and issubclass(backend, import_string(BACKEND))


def secret_keys(config: ServerConfig) -> list[bytes]:
    """The secrets of a server, newest first: the first seals and signs, each of them opens."""
    if config.secret_key is not None:
        return [force_bytes(key) for key in config.secret_key]
    return [force_bytes(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def store() -> Store | None:
    """The store of the optional app, None if that app is not installed."""
    return _load_store() if apps.is_installed(STORE_APP) else None


def require_store(needed_by: str) -> Store:
    """The store. Raises `AnymailConfigurationError`, which names what needs it, if it is not installed."""
    installed = store()
    if installed is None:
        raise AnymailConfigurationError(f"{needed_by} needs {STORE_APP!r} in INSTALLED_APPS.")
    return installed


@cache
def _load_store() -> Store:
    loaded: Store = import_string(f"{STORE_APP}.store.Store")()
    return loaded


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
    """A setting with a bad value: the id of its check without prefix, where it is set, and what to do."""

    check: str
    setting: str
    message: str
    hint: str


def problems() -> list[Problem]:
    """The bad values in the settings, each once even if several servers use it.

    A registry is not called, because it may need the database, which checks must not use.
    """
    bad_values = list(_bad_values(SERVERS, ()))
    bad_values += _bad_values(SERVER_REGISTRY, ())
    if bad_values:
        return bad_values  # the servers cannot be listed
    for name in server_names():
        layers = written_layers(name)
        for where, values in layers:
            bad_values += _unknown_keys(where, values)
        for setting in SERVER_SETTINGS:
            bad_values += _bad_values(setting, layers)
    return list(dict.fromkeys(bad_values))


def unknown_names() -> Iterator[tuple[str, str]]:
    """Names of settings that look like ours but do not exist, each with the likely intended name or ""."""
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
    """Names of settings that are set at the root of the settings only, where they are not read.

    Not those that `ANYMAIL` or a server has as well, whose values may be variables at the root.
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
    """The values in the settings by server; none if the settings are too broken to list the servers."""
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
