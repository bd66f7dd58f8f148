"""A request that is being received or answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus

from .application import RoutedRequest
from .body import MAX_BUFFERED_BYTES, RequestBody
from .gateway import BodyLimit, Environ, RequestHead

MAX_HEADER_BYTES = 64 * 1024
MAX_FIELDS = 200
DEFAULT_BODY_LIMIT = BodyLimit(MAX_BUFFERED_BYTES)  # of a body, unless its handler says more


@dataclass(eq=False)
class Exchange:
    """A request, as far as it was received, and what is known of its response."""

    body: RequestBody
    head: RequestHead = field(default_factory=RequestHead)
    has_head: bool = False
    received_bytes: int = 0  # bytes of the body
    keeps_alive: bool = False  # of the connection: whether another request may follow
    is_answered: bool = False
    body_limit: BodyLimit = DEFAULT_BODY_LIMIT
    environ: Environ = field(default_factory=dict)  # since it is routed
    routed: RoutedRequest | None = None
    is_asked: bool = False  # for a higher limit
    refusal: HTTPStatus | None = None  # it is not HTTP, or too slow: the response has this status

    @property
    def is_too_large(self) -> bool:
        return self.head.size > MAX_HEADER_BYTES or len(self.head.fields) > MAX_FIELDS

    @property
    def exceeds_body_limit(self) -> bool:
        return max(self.head.content_length, self.body.buffered_bytes) > self.body_limit.max_bytes

    def is_ready(self) -> bool:
        """Was enough of it received to answer it?"""
        if self.refusal is not None:
            return True
        return self.body.is_complete or (self.has_head and (self.is_too_large or self.exceeds_body_limit))
