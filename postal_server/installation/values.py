"""What a person types, checked for its form. Each function returns the value or raises ValueError."""

from __future__ import annotations

import ipaddress
import os
import pwd

from postal_server.conf import MAX_PORT
from postal_server.errors import ConfigurationError
from postal_server.mail.address import domain_to_ascii
from postal_server.rules.delivery_policy import Allowlist
from postal_server.rules.request_destination import is_public, is_request_url
from postal_server.services.preparation.target import read_relay


def domain(text: str) -> str:
    """A domain, in the form used in DNS."""
    try:
        name = domain_to_ascii(text)
    except ValueError:
        name = ""
    if not name or name.rpartition(".")[2].isdigit():
        raise ValueError(f"{text!r} is not a domain such as example.com")
    return name


def public_host(text: str) -> str:
    """A host name that can stand in public DNS."""
    name = domain(text)
    if "." not in name or name.endswith(".localhost"):
        raise ValueError(f"{text!r} is not a host name that others can look up, such as postal.example.com")
    return name


def url(text: str) -> str:
    """A URL that is allowed for webhooks and endpoints. Its password is in no error message."""
    if not is_request_url(text):
        raise ValueError(
            f"{without_user(text)!r} is not a URL such as "
            "https://user:password@www.example.com/anymail/postal/tracking/"
        )
    return text


def relay(text: str) -> str:
    """A relay, `smtp://user:password@host:port?ssl_mode=STARTTLS`."""
    if "//" in text and not text.lower().startswith("smtp://"):
        raise ValueError(
            f"{without_user(text)!r} is not a relay such as smtp://user:password@host:587?ssl_mode=STARTTLS"
        )
    try:
        read_relay(text)
    except ConfigurationError as error:
        raise ValueError(str(error).partition(": ")[2].rstrip(".")) from error
    return text


def database(text: str) -> str:
    """The URL of a database; what is behind it, `database.problem` finds."""
    if not text.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise ValueError(
            f"{without_user(text)!r} is neither postgresql://user:password@host/name nor sqlite:///path"
        )
    if text.startswith("sqlite:") and not text.startswith(("sqlite:////", "sqlite:///$config-file-root/")):
        raise ValueError(f"{text!r} needs a path that begins with / or $config-file-root/")
    return text


def file(text: str) -> str:
    """The absolute path of a file."""
    if not text:
        raise ValueError("the name of a file is missing")
    return os.path.abspath(text)


def port(text: str) -> int:
    """A port to listen on."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MAX_PORT):
        raise ValueError(f"{text!r} is not a port from 1 to {MAX_PORT}")
    return int(text)


def address_or_domain(text: str) -> str:
    """An entry of `delivery.allowlist`."""
    Allowlist.parse([text])
    return text


def without_user(url: str) -> str:
    """The URL as it may be shown: without user, password and parameters, which may be secret too."""
    scheme, slashes, rest = url.partition("//")
    if not slashes:
        scheme, rest = "", url
    return f"{scheme}{slashes}{rest.rpartition('@')[2].partition('?')[0]}"


def user_name(uid: int) -> str:
    """The name of a user of this machine; the number where a container has no name for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def is_private_host(host: str) -> bool:
    """Is this host of a URL surely no public one: a private address, or a name without a domain?"""
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        return "." not in host or host.endswith(".localhost")
