"""What the columns of a suppression list mean: of our own lists, and of those that other services export.

A format is recognized by the names of its columns, or of the keys of its JSON. Sources: the documentation of
the Suppressions API of Postmark, of `ListSuppressedDestinations` and the import of suppression lists of
Amazon SES, of the suppression APIs of SendGrid and Mailgun, and of SparkPost's suppression list; the columns
of Postal's table `suppressions`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from postal_server.errors import HostileInput
from postal_server.mail.address_list import recipients_in
from postal_server.rules.suppression import REASON_OF_TEXT, Reason, State, valid_scope

NEVER = "never"  # in the column keep_until: an entry without end
MOST_TIMES = 1000
SHOWN_CHARACTERS = 80  # of a value at fault

# Of our own lists.
COLUMNS = (
    "server",
    "address",
    "reason",
    "text",
    "scope",
    "created_at",
    "keep_until",
    "times",
    "state",
    "ended_at",
    "code",
    "rule",
    "answer",
)

Cells = Mapping[str, str]  # by `plain_name`; what is missing is empty


class BadValue(ValueError):
    """A value that cannot be taken: its column, and what is wrong with it."""

    def __init__(self, column: str, why: str) -> None:
        super().__init__(f"{column}: {why}")
        self.column = column
        self.why = why


class Given(NamedTuple):  # made in a fourth of the time that a dataclass takes
    """An entry as a list gives it. None and empty: as by default, or as the import says.

    `is_over`: it stopped no mail when the list was written.
    """

    address: str
    reason: Reason
    text: str = ""
    scope: str = ""
    created_at: datetime | None = None
    keep_until: datetime | None = None
    is_without_end: bool = False
    is_over: bool = False
    times: int = 1
    code: str = ""
    rule: str = ""
    answer: str = ""


@dataclass(frozen=True)
class Format:
    """How lists of one kind are read.

    `columns` are those by which it is recognized; if `is_exact` it has no others. `needs_reason`: its lists
    do not say why the addresses are on them.
    """

    name: str
    columns: frozenset[str]
    read: Callable[[Cells], Given]
    needs_reason: bool = False
    is_exact: bool = False

    def has(self, names: Collection[str]) -> bool:
        return self.columns == set(names) if self.is_exact else self.columns.issubset(names)


@functools.lru_cache(maxsize=256)
def plain_name(column: str) -> str:
    """`EmailAddress`, `email_address` and `Email Address` are one column."""
    return column.strip().lower().replace("_", "").replace(" ", "").replace("-", "")


def format_of(names: Collection[str]) -> Format | None:
    """The format of lists with these columns, by `plain_name`."""
    return next((found for found in FORMATS if found.has(names)), None)


# Values


def address_in(text: str) -> str:
    """The address in `Name <address>`. Raises ValueError unless there is exactly one."""
    try:
        [found] = recipients_in(text)
    except ValueError as error:
        raise ValueError(f"{text[:SHOWN_CHARACTERS]!r} is not an address") from error
    return found.address


def moment_in(text: str) -> datetime:
    """A time, as ISO 8601 with its offset from UTC, as in e-mail, or in seconds since 1970, in UTC.

    Raises ValueError.
    """
    shown = text[:SHOWN_CHARACTERS]
    try:
        if text[:1].isalpha():
            at = parsedate_to_datetime(text)
        elif text.replace(".", "", 1).isdecimal():
            at = datetime.fromtimestamp(float(text), timezone.utc)
        else:
            at = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith(("Z", "z")) else text)
        if at.tzinfo is not None:
            return at.astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError, TypeError) as error:
        raise ValueError(f"{shown!r} is not a time such as 2030-01-31T12:00:00+00:00") from error
    raise ValueError(f"{shown!r}: a time needs its offset from UTC")


def _address(cells: Cells, column: str) -> str:
    try:
        return address_in(cells.get(plain_name(column), ""))
    except ValueError as error:
        raise BadValue(column, str(error)) from error


def _moment(cells: Cells, column: str) -> datetime | None:
    text = cells.get(plain_name(column), "")
    try:
        return moment_in(text) if text else None
    except ValueError as error:
        raise BadValue(column, str(error)) from error


def _until(cells: Cells) -> tuple[datetime | None, bool]:
    """Until when an entry is kept, and whether it has no end."""
    is_without_end = cells.get("keepuntil") == NEVER
    return (None if is_without_end else _moment(cells, "keep_until")), is_without_end


def _foreign_moment(cells: Cells, column: str) -> datetime | None:
    """When another service put an address on its list, in UTC where it does not say; None if unreadable.

    Nothing depends on it, and each has its own spelling.
    """
    text = cells.get(plain_name(column), "")
    for spelled in (text, f"{text}+00:00"):
        try:
            return moment_in(spelled)
        except ValueError:
            continue
    return None


def _reason(cells: Cells, column: str, known: Mapping[str, Reason]) -> Reason:
    word = cells.get(plain_name(column), "")
    if found := known.get(word):
        return found
    found = next((known[name] for name in known if plain_name(name) == plain_name(word)), None)
    if found is None:
        raise BadValue(column, f"{word[:SHOWN_CHARACTERS]!r} is none of {', '.join(known)}")
    return found


# Formats


def _read_ours(cells: Cells) -> Given:
    until, is_without_end = _until(cells)
    times = cells.get("times", "") or "1"
    if not (times.isascii() and times.isdigit() and 1 <= int(times[:9]) <= MOST_TIMES):
        raise BadValue("times", f"{times[:SHOWN_CHARACTERS]!r} is not a number from 1 to {MOST_TIMES}")
    try:
        scope = valid_scope(cells.get("scope", ""))
    except ValueError as error:
        raise BadValue("scope", str(error)) from error
    return Given(
        _address(cells, "address"),
        _reason(cells, "reason", OUR_REASONS),
        cells.get("text", ""),
        scope,
        _moment(cells, "created_at"),
        until,
        is_without_end,
        is_over=bool(cells.get("endedat")) or cells.get("state") == State.PROPOSED.value,
        times=int(times),
        code=cells.get("code", ""),
        rule=cells.get("rule", ""),
        answer=cells.get("answer", ""),
    )


def _read_plain(cells: Cells) -> Given:
    """A list of addresses, or one that this server has exported before entries had reasons."""
    until, is_without_end = _until(cells)
    return Given(
        _address(cells, "address" if cells.get("address") else "email"),
        Reason.MANUAL,
        cells.get("reason", ""),
        created_at=_moment(cells, "created_at"),
        keep_until=until,
        is_without_end=is_without_end,
    )


def _read_postal(cells: Cells) -> Given:
    text = cells.get("reason", "")
    return Given(
        _address(cells, "address"),
        REASON_OF_TEXT.get(text, Reason.MANUAL),
        text,
        created_at=_moment(cells, "timestamp"),
        keep_until=_moment(cells, "keep_until"),
    )


def _read_postmark(cells: Cells) -> Given:
    reason = _reason(cells, "SuppressionReason", POSTMARK_REASONS)
    if reason is Reason.MANUAL and cells.get("origin", "").lower() == "recipient":
        reason = Reason.UNSUBSCRIBE
    return Given(
        _address(cells, "EmailAddress"),
        reason,
        f"{cells.get('suppressionreason')} at Postmark",
        created_at=_foreign_moment(cells, "CreatedAt"),
    )


def _read_ses(cells: Cells) -> Given:
    return Given(
        _address(cells, "EmailAddress"),
        _reason(cells, "Reason", SES_REASONS),
        f"{cells.get('reason', '').lower()} at Amazon SES",
        created_at=_foreign_moment(cells, "LastUpdateTime"),
    )


def _read_sendgrid(cells: Cells) -> Given:
    return Given(
        _address(cells, "email"),
        Reason.COMPLAINT if "ip" in cells else Reason.IMPORTED,
        "spam report at SendGrid" if "ip" in cells else "on a list of SendGrid",
        created_at=_foreign_moment(cells, "created"),
        code=cells.get("status", ""),
        answer=cells.get("reason", ""),
    )


def _read_mailgun(cells: Cells) -> Given:
    is_bounce = "code" in cells
    return Given(
        _address(cells, "address"),
        Reason.IMPORTED if is_bounce else Reason.UNSUBSCRIBE,
        "bounce at Mailgun" if is_bounce else "unsubscribed at Mailgun",
        created_at=_foreign_moment(cells, "created_at"),
        code=cells.get("code", ""),
        answer=cells.get("error", ""),
    )


def _read_sparkpost(cells: Cells) -> Given:
    """Its source says why; files for its own import have only the description, and the kind of mail."""
    source, text = cells.get("source", ""), cells.get("description", "")
    reason = SPARKPOST_SOURCES.get(plain_name(source)) or SPARKPOST_SOURCES.get(plain_name(text))
    if reason is None:
        is_for_all = plain_name(cells.get("type", "")) == "transactional"
        reason = Reason.IMPORTED if is_for_all else Reason.UNSUBSCRIBE
    return Given(
        _address(cells, "recipient"),
        reason,
        f"{source or text or cells.get('type')} at SparkPost",
        created_at=_foreign_moment(cells, "created"),
        answer=text if reason is Reason.IMPORTED else "",
    )


OUR_REASONS = {reason.value: reason for reason in Reason}
# What another service calls a hard bounce may be anything that failed: nobody here has seen the answer.
POSTMARK_REASONS = {
    "HardBounce": Reason.IMPORTED,
    "SpamComplaint": Reason.COMPLAINT,
    "ManualSuppression": Reason.MANUAL,
}
SES_REASONS = {"BOUNCE": Reason.IMPORTED, "COMPLAINT": Reason.COMPLAINT}
SPARKPOST_SOURCES = {
    "spamcomplaint": Reason.COMPLAINT,
    "listunsubscribe": Reason.UNSUBSCRIBE,
    "unsubscribelink": Reason.UNSUBSCRIBE,
    "unsubscribed": Reason.UNSUBSCRIBE,
    "bouncerule": Reason.IMPORTED,
    "manuallyadded": Reason.MANUAL,
    "compliance": Reason.IMPORTED,
}

# The first that a list has counts.
FORMATS = (
    Format("ours", frozenset(("address", "reason", "text")), _read_ours),
    Format("Postal", frozenset(("type", "address", "reason", "timestamp")), _read_postal),
    Format("Postmark", frozenset(("emailaddress", "suppressionreason")), _read_postmark),
    Format("SES", frozenset(("emailaddress", "reason")), _read_ses),
    Format("SparkPost", frozenset(("recipient", "type")), _read_sparkpost),
    Format("SendGrid, bounces", frozenset(("email", "reason", "created")), _read_sendgrid),
    Format("SendGrid, spam reports", frozenset(("email", "ip", "created")), _read_sendgrid),
    Format("SendGrid", frozenset(("email", "created")), _read_sendgrid, needs_reason=True),
    Format("Mailgun, bounces", frozenset(("address", "code", "error")), _read_mailgun),
    Format("Mailgun, unsubscribes", frozenset(("address", "tags")), _read_mailgun),
    Format(
        "Mailgun",
        frozenset(("address", "createdat")),
        _read_mailgun,
        needs_reason=True,
        is_exact=True,
    ),
    Format("addresses", frozenset(("address",)), _read_plain),
    Format("addresses", frozenset(("email",)), _read_plain),
)
WITHOUT_HEADER = Format("addresses", frozenset(), _read_plain)
SES_WITHOUT_HEADER = Format("SES", frozenset(), _read_ses)


def required_format(names: Collection[str], reason: Reason | None) -> Format:
    """The format of these columns. `reason` is one that is given for the whole list.

    Raises `HostileInput` if there is no such format, or if it needs a reason.
    """
    found = format_of(names)
    shown = ",".join(names)[:SHOWN_CHARACTERS]
    if found is None:
        raise HostileInput(f"the columns {shown!r} are those of no known list: one has to be `address`")
    if found.needs_reason and reason is None:
        raise HostileInput(
            f"the columns {shown!r} do not say why the addresses are on the list: "
            "give --as complaint, unsubscribe or imported"
        )
    return found
