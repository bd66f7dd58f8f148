"""Environment variables of the configuration: their values, also from files, and names that are mistyped."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from .errors import ConfigurationError

FILE = "_FILE"  # ends the name of a variable that names a file with the value
CLOSE = 0.92  # ratio of `difflib`: POSTAL_SMTP_HOST and POSTAL_SMTP_HOSTNAME are 0.89, and may both be meant


def read(variable: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """What sets a key, `variable` or the one that names its file, and the value; None if neither does.

    Raises `ConfigurationError` if both do, or the file cannot be read.
    """
    named = environ.get(f"{variable}{FILE}")
    if not named:
        return (variable, environ[variable]) if variable in environ else None
    if environ.get(variable):
        raise ConfigurationError(f"{variable}, {variable}{FILE}: both are set; keep one.")
    try:
        content = Path(named).read_text("utf-8")
    except UnicodeDecodeError:  # its text would show a part of what may be a password
        raise ConfigurationError(f"{variable}{FILE}: {named} is not text in UTF-8.") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{variable}{FILE}: {named} cannot be read: {why}.") from None
    return f"{variable}{FILE}", content.rstrip("\r\n")


def with_files(variables: Iterable[str]) -> set[str]:
    """These variables and those that name their files."""
    return {name for variable in variables for name in (variable, f"{variable}{FILE}")}


def mistyped(environ: Iterable[str], known: Collection[str], prefixes: Collection[str]) -> list[str]:
    """A warning for each variable that is not `known`, but so near to one that it can only be a mistake.

    Only those with one of the `prefixes` are looked at: the environment has variables of others too.
    """
    ours = with_files(known)
    unknown = [name for name in environ if name.startswith(tuple(prefixes)) and name not in ours]
    return [
        f"{name}: has no effect. Did you mean {meant}?" for name in unknown if (meant := _nearest(name, ours))
    ]


def _nearest(name: str, known: Collection[str]) -> str:
    """The known name that was meant; empty if none is near."""
    near = [meant for meant in known if _is_one_slip(name, meant)]
    return min(near or difflib.get_close_matches(name, known, 1, CLOSE), default="")


def _is_one_slip(name: str, meant: str) -> bool:
    """Is one letter missing, added, replaced, or swapped with the next?"""
    differing = (at for at, (one, other) in enumerate(zip(name, meant, strict=False)) if one != other)
    start = next(differing, min(len(name), len(meant)))
    was, is_ = meant[start:], name[start:]
    return is_ == was[1:] or is_[1:] == was or is_[1:] == was[1:] or is_ == f"{was[1:2]}{was[:1]}{was[2:]}"
