"""Postal's answers for tests of sending, as `requests` would return them, and a stand-in for its session."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

URL = "https://postal.example.test"
KEY = "the-api-key-of-the-tests"


def answer(body: Any, status: int = 200, reason: str = "OK") -> requests.Response:
    """A response; `body` is text, bytes, or anything else as JSON."""
    response = requests.Response()
    response.status_code = status
    response.reason = reason
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    response._content = text.encode() if isinstance(text, str) else text
    response.encoding = "utf-8"
    return response


def success(*recipients: str, message_id: str | None = "made@rp.example.test", first_id: int = 1) -> Any:
    """The body of a successful send."""
    messages = {
        recipient: {"id": first_id + index, "token": f"token{first_id + index}"}
        for index, recipient in enumerate(recipients)
    }
    return envelope("success", {"message_id": message_id, "messages": messages})


def error(code: str, **data: Any) -> Any:
    return envelope("error", {**data, "code": code})


def envelope(status: str, data: Any) -> Any:
    return {"status": status, "time": 0.01, "flags": {}, "data": data}


@dataclass
class FakePostal:
    """Stands in for `requests.Session.request`: keeps the calls, gives the answers in turn.

    Without answers left it accepts every recipient that the call names.
    """

    answers: list[Any] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    next_id: int = 1

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakePostal:
        monkeypatch.setattr(requests.Session, "request", self._as_method())
        return self

    def _as_method(self) -> Callable[..., requests.Response]:
        def request(session: requests.Session, **kwargs: Any) -> requests.Response:
            self.calls.append(kwargs)
            found = self.answers.pop(0) if self.answers else self.acceptance(json.loads(kwargs["data"]))
            if isinstance(found, Exception):
                raise found
            response = found if isinstance(found, requests.Response) else answer(found)
            response.request = requests.Request(
                kwargs["method"], kwargs["url"], headers=kwargs["headers"], data=kwargs["data"]
            ).prepare()
            return response

        return request

    def acceptance(self, params: dict[str, Any]) -> Any:
        named = params.get("rcpt_to") or [
            entry for name in ("to", "cc", "bcc") for entry in params.get(name, [])
        ]
        recipients = [entry.rpartition("<")[2].rstrip(">") for entry in named]
        accepted = success(*recipients, first_id=self.next_id)
        self.next_id += len(recipients)
        return accepted

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(call["data"]) for call in self.calls]

    @property
    def body(self) -> dict[str, Any]:
        assert len(self.calls) == 1
        return self.bodies[0]

    @property
    def endpoints(self) -> list[str]:
        return [call["url"].partition("/api/v1/")[2] for call in self.calls]
