"""A client of Postal's API, for code that does more than send Django's mail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

import requests

from . import __version__, conf, wire
from .api import api_headers, create_session, post, read_data
from .errors import PostalMessageNotFound

T = TypeVar("T")

USER_AGENT = f"anymail-postal/{__version__}"


class PostalClient:
    """A client for one mail server of the settings. Every call may raise `PostalAPIError`.

    A `session` that is passed in is not closed; the client's own is closed by `close()` and at the end of
    `with`. Raises `UnknownServer`, and `AnymailConfigurationError` without an API key and URL.
    """

    def __init__(self, server: str = conf.DEFAULT_SERVER, *, session: requests.Session | None = None) -> None:
        self.config = conf.server(server)
        self.headers = api_headers(self.config.required("api_key"))
        self.base_url = f"{self.config.required('api_url')}/api/v1/"
        self.timeout = conf.requests_timeout()
        self.owns_session = session is None
        self.session = session if session is not None else create_session(USER_AGENT, self.config.retries)

    def send(self, params: Mapping[str, Any]) -> wire.SendResult:
        """Queue a mail. `params` are those of `send/message` (contract 1.7)."""
        return self._call("send/message", params, wire.read_send)

    def send_raw(
        self, mail_from: str, rcpt_to: Iterable[str], data: bytes, *, bounce: bool = False
    ) -> wire.SendResult:
        """Queue a complete mail (RFC 5322), such as one signed or encrypted by the caller.

        `rcpt_to` are bare addresses. `mail_from` is only recorded: Postal sets the envelope sender itself,
        with `bounce` to the null reverse-path.
        """
        params = wire.raw_params(mail_from, rcpt_to, data)
        return self._call("send/raw", {**params, "bounce": True} if bounce else params, wire.read_send)

    def message(self, id: int, expansions: Iterable[str] | Literal[True] = ()) -> wire.PostalMessage:
        """A message by Postal's id, with the named expansions (contract 1.11), or all of them for True.

        Raises `PostalMessageNotFound`, and TypeError for an id that is not an int, which is a server error to
        Postal.
        """
        wanted = expansions if expansions is True else list(expansions)
        return self._call("messages/message", {"id": _checked(id), "_expansions": wanted}, wire.read_message)

    def deliveries(self, id: int) -> list[wire.Delivery]:
        """The deliveries of a message, the oldest first. Raises as `message` does."""
        return self._call("messages/deliveries", {"id": _checked(id)}, wire.read_deliveries)

    def ping(self) -> None:
        """Check the API key. Raises `PostalAuthError` if Postal does not know it."""
        try:
            self.message(0)
        except PostalMessageNotFound:
            return  # no message has the id 0, and Postal checks the key first

    def close(self) -> None:
        """Close the session unless it was passed in."""
        if self.owns_session:
            self.session.close()

    def __enter__(self) -> PostalClient:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _call(self, endpoint: str, params: Mapping[str, Any], read: Callable[[Any, str], T]) -> T:
        url, data = self.base_url + endpoint, json.dumps(params)
        request = {"method": "POST", "url": url, "data": data, "headers": self.headers}
        response = post(self.session, self.timeout, request)
        return read_data(response, read, self.config.name)


def _checked(postal_id: object) -> int:
    if not isinstance(postal_id, int) or isinstance(postal_id, bool):
        raise TypeError(f"A message id of Postal is an int, not {postal_id!r}.")
    return int(postal_id)
