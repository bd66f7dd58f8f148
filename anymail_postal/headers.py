"""The headers of a mail as text with attributes, like those of Python's `email` package.

The interface is that of its default policy (`message["To"].addresses`); `header_values` parses them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address, Group
from email.policy import EmailPolicy
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from . import header_values, mime
from .errors import PostalHeaderError

MAX_DATE = 200  # characters

_LINE_END = re.compile(r"\r\n?|\n")


class Header(str):
    """The decoded value of a header; `raw` is the value in the mail."""

    __slots__ = ("name", "raw")
    name: str
    raw: str
    defects: tuple[()] = ()
    max_count: int | None = None

    @classmethod
    def read(cls, name: str, raw: str) -> Header:
        """A header from its name and its value in the mail, which may be folded."""
        header = cls(cls.text_of(header_values.unfold(raw)))
        header.name, header.raw = name, raw
        return header

    @classmethod
    def text_of(cls, raw: str) -> str:
        """The decoded text of an unfolded value."""
        return header_values.decode_words(raw)

    def fold(self, *, policy: EmailPolicy) -> str:
        """The lines of the header, in ASCII if possible."""
        try:
            lines = self._lines()
        except PostalHeaderError:  # a word that is longer than the limit of a line
            lines = f"{self.name}: {self}"
        return policy.linesep.join(_LINE_END.split(lines)) + policy.linesep

    def _lines(self) -> str:
        return mime.header(self.name, self)


class AddressHeader(Header):
    """A header of addresses."""

    __slots__ = ()

    @classmethod
    def text_of(cls, raw: str) -> str:
        """The addresses, with names quoted where necessary: a decoded name may have commas."""
        if "=?" not in raw:
            return header_values.plain(raw)
        return ", ".join(str(_address(mailbox)) for mailbox in header_values.parse_addresses(raw))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All addresses, including those in groups."""
        return tuple(map(_address, header_values.parse_addresses(self.raw)))

    @property
    def groups(self) -> tuple[Group, ...]:
        """Each address as a group without a name."""
        return tuple(Group(None, [address]) for address in self.addresses)

    def _lines(self) -> str:
        boxes = [mime.Mailbox(each.display_name, each.addr_spec) for each in self.addresses]
        return mime.mailboxes(self.name, boxes) if boxes else super()._lines()


def _address(mailbox: header_values.Mailbox) -> Address:
    return Address(mailbox.name, mailbox.local_part, mailbox.domain)


class SingleAddressHeader(AddressHeader):
    """A header of one address."""

    __slots__ = ()

    @property
    def address(self) -> Address:
        """The address. Raises ValueError if there is not exactly one."""
        (found,) = self.addresses
        return found


class DateHeader(Header):
    """A header with a date and time."""

    __slots__ = ()

    @property
    def datetime(self) -> datetime | None:
        """The time, None if it is not valid."""
        return read_date(self)


def read_date(value: str) -> datetime | None:
    """The time in the value of a Date header, None if it is not valid."""
    try:
        return parsedate_to_datetime(value) if len(value) <= MAX_DATE else None
    except (ValueError, TypeError, IndexError, OverflowError):  # as in Python's releases
        return None


class ParameterizedHeader(Header):
    """A word and parameters: Content-Type, Content-Disposition."""

    __slots__ = ()

    @classmethod
    def text_of(cls, raw: str) -> str:
        """The word and the parameters, with their values in quotes."""
        found = header_values.parse_parameterized(raw)
        return "; ".join([found.word, *map(_quoted_parameter, found.parameters.items())])

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters by name, in lower case."""
        return MappingProxyType(header_values.parse_parameterized(self.raw).parameters)

    def _lines(self) -> str:
        found = header_values.parse_parameterized(self.raw)
        written = [
            _quoted_parameter(each) if each[1].isascii() else f"{each[0]}*=utf-8''{quote(each[1], safe='')}"
            for each in found.parameters.items()
        ]
        return mime.header(self.name, "; ".join([found.word, *written]))


def _quoted_parameter(parameter: tuple[str, str]) -> str:
    name, value = parameter
    if not value:
        return name
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


class ContentTypeHeader(ParameterizedHeader):
    """Content-Type."""

    __slots__ = ()

    @property
    def content_type(self) -> str:
        """The type in lower case, text/plain if there is none."""
        return header_values.content_type(header_values.parse_parameterized(self.raw).word)

    @property
    def maintype(self) -> str:
        """The part before the slash."""
        return self.content_type.partition("/")[0]

    @property
    def subtype(self) -> str:
        """The part after the slash."""
        return self.content_type.partition("/")[2]


class ContentDispositionHeader(ParameterizedHeader):
    """Content-Disposition."""

    __slots__ = ()

    @property
    def content_disposition(self) -> str:
        """ "attachment", "inline" or another word."""
        return header_values.parse_parameterized(self.raw).word


class TransferEncodingHeader(Header):
    """Content-Transfer-Encoding, without anything around the encoding."""

    __slots__ = ()

    @classmethod
    def text_of(cls, raw: str) -> str:
        """The encoding in lower case."""
        return header_values.parse_transfer_encoding(raw)

    @property
    def cte(self) -> str:
        """The encoding in lower case."""
        return str(self)


_KINDS: dict[str, type[Header]] = {
    **dict.fromkeys(("from", "to", "cc", "bcc", "reply-to"), AddressHeader),
    **dict.fromkeys(("resent-from", "resent-to", "resent-cc", "resent-bcc"), AddressHeader),
    **dict.fromkeys(("sender", "resent-sender"), SingleAddressHeader),
    **dict.fromkeys(("date", "resent-date", "orig-date"), DateHeader),
    "content-type": ContentTypeHeader,
    "content-disposition": ContentDispositionHeader,
    "content-transfer-encoding": TransferEncodingHeader,
}


class LenientPolicy(EmailPolicy):
    """Python's default policy, but no header makes it raise or slow, and lines of the mail are kept."""

    def header_fetch_parse(self, name: str, value: Any) -> Any:
        """The header as text with attributes."""
        return value if isinstance(value, Header) else _KINDS.get(name.lower(), Header).read(name, str(value))

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        """The header to store for a value, whose line breaks become spaces."""
        raw = value.raw if isinstance(value, Header) else str(value)
        return name, _KINDS.get(name.lower(), Header).read(name, header_values.plain(raw))

    def fold(self, name: str, value: Any) -> str:
        """The unchanged lines of a header as text; bytes that are not ASCII are UTF-8 or windows-1252."""
        if isinstance(value, Header):
            return value.fold(policy=self)
        lines = map(header_values.plain, _LINE_END.split(str(value)))
        return f"{name}: {self.linesep.join(lines)}{self.linesep}"

    def fold_binary(self, name: str, value: Any) -> bytes:
        """The unchanged lines of a header as bytes."""
        if isinstance(value, Header):
            return value.fold(policy=self).encode("utf-8", "surrogateescape")
        lines = self.linesep.join(_LINE_END.split(str(value)))
        return f"{name}: {lines}{self.linesep}".encode("utf-8", "surrogateescape")


POLICY = LenientPolicy()
