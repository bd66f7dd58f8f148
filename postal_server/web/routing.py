"""Routes: which path and methods, which handler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .handlers import RequestHandler

GET = frozenset({"GET", "HEAD"})
ANY_METHOD: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Route:
    """A row of the table.

    `path` is the path of a URL, or with `is_prefix` how it begins. `handler` says whether the view runs in
    the event loop or in a thread. `is_for_any_host`: even if the Host of the request is not ours.
    """

    path: str
    handler: RequestHandler
    methods: frozenset[str] = GET
    is_prefix: bool = False
    is_for_any_host: bool = False

    def allows(self, method: str) -> bool:
        return self.methods is ANY_METHOD or method in self.methods


@dataclass(frozen=True)
class Routes:
    """A table of routes: exact paths before prefixes, and of each the first row that allows the method."""

    rows: Sequence[Route]
    _exact: dict[str, list[Route]] = field(init=False, default_factory=dict)
    _prefixes: list[Route] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        for row in self.rows:
            rows = self._prefixes if row.is_prefix else self._exact.setdefault(row.path, [])
            rows.append(row)

    def find(self, path: str, method: str) -> Route | None:
        """The route of a request, or None."""
        return next((row for row in self._of(path) if row.allows(method)), None)

    def allowed_methods(self, path: str) -> list[str]:
        """The methods of a path (RFC 9110 section 10.2.1); none for a path that has no route."""
        return sorted({method for row in self._of(path) for method in row.methods})

    def _of(self, path: str) -> Iterator[Route]:
        yield from self._exact.get(path, ())
        for row in self._prefixes:
            if path.startswith(row.path):
                yield row
