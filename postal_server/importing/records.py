"""What an import has made so far, and what it reports."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.db.models import Model

from .source import Row


@dataclass
class Report:
    """What an import did, or would do: counts by kind, and what it could not take over.

    `mail_domains` are those that the installation is known to send to: its own, and those of address
    endpoints. (In order, each once.)
    """

    made: Tally[str] = field(default_factory=Tally)
    updated: Tally[str] = field(default_factory=Tally)
    problems: list[str] = field(default_factory=list)
    mail_domains: dict[str, None] = field(default_factory=dict)


class Records:
    """Postal's rows by table, and ours that they became, by kind and Postal's id.

    `is_allowed_host` tells whether posts may go to a host: endpoints at private addresses are reported.
    """

    def __init__(self, is_allowed_host: Callable[[str], bool]) -> None:
        self.tables: dict[str, list[Row]] = {}
        self.report = Report()
        self._is_allowed_host = is_allowed_host
        self._imported: dict[str, dict[int, Any]] = {}

    def add_problem(self, text: str) -> None:
        """Report something that could not be imported, in a sentence."""
        self.report.problems.append(text)

    def count(self, kind: str, *, made: int = 0, updated: int = 0) -> None:
        """Count rows that were made, and rows that were here already."""
        self.report.made[kind] += made
        self.report.updated[kind] += updated

    def imported(self, kind: str, postal_id: int) -> Any:
        """The row that Postal's row of this id became; None if it is not in the import."""
        return self._imported.get(kind, {}).get(postal_id)

    def owner(self, kind: str, row: Row, column: str, what: str) -> Any:
        """The imported row that `column` refers to; a missing one is a problem of `what`."""
        owner = self.imported(kind, row[column] or 0)
        if owner is None:
            self.add_problem(f"{what}: its {kind} {row[column]} is not in the import; left out.")
        return owner

    def keep(self, kind: str, row: Row, model: type[Model], values: dict[str, Any], **lookup: Any) -> None:
        """Make or update the row that `lookup` finds (by default its uuid), and remember it.

        A row that clashes with one that is here already (same key, name or token) is a problem, left out.
        """
        try:
            with transaction.atomic():
                kept, is_new = model._default_manager.update_or_create(
                    **(lookup or {"uuid": row["uuid"]}), defaults=values
                )
        except IntegrityError:
            name = row.get("name") or row.get("address") or row["id"]
            self.add_problem(f"{kind} {name}: there is another one like it here; left out.")
            return
        self.count(kind, made=is_new, updated=not is_new)
        self._imported.setdefault(kind, {})[int(row["id"])] = kept

    def check_host(self, what: str, url: str | None) -> None:
        """Report a URL whose host posts would be refused to."""
        host = urlsplit(url or "").hostname or ""
        if not self._is_allowed_host(host):
            self.add_problem(
                f"{what}: {host or url} would be refused; "
                "list it in postal.allowed_request_destinations if that is wanted."
            )
