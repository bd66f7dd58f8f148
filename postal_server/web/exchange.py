"""A request on its way in, and how far its response is."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus

from .body import MAX_BUFFERED_BYTES, RequestBody
from .gateway import BodyLimit, Environ, RequestHead
from .shared import RoutedRequest

MAX_HEADER_BYTES = 64 * 1024
MAX_FIELDS = 200
DEFAULT_BODY_LIMIT = BodyLimit(MAX_BUFFERED_BYTES)  # of a body; for more of it the application is asked


@dataclass(eq=False)
class Exchange:
    """A request, as far as it has come, and what is known of its answer."""

    body: RequestBody
    head: RequestHead = field(default_factory=RequestHead)
    has_head: bool = False
    received: int = 0  # bytes of the body
    keeps: bool = False  # the connection, for another request
    is_answered: bool = False
    body_limit: BodyLimit = DEFAULT_BODY_LIMIT
    environ: Environ = field(default_factory=dict)  # as soon as it is routed
    routed: RoutedRequest | None = None
    is_asked: bool = False  # the application, whether that is more
    refusal: HTTPStatus | None = None  # it is no request: answered with this

    @property
    def is_too_large(self) -> bool:
        return self.head.size > MAX_HEADER_BYTES or len(self.head.fields) > MAX_FIELDS

    @property
    def exceeds_body_limit(self) -> bool:
        return max(self.head.content_length, self.body.buffered_bytes) > self.body_limit.max_bytes

    def may_begin(self) -> bool:
        """Is there enough of it for an answer?"""
        if self.refusal is not None:
            return True
        return self.body.is_complete or (self.has_head and (self.is_too_large or self.exceeds_body_limit))
