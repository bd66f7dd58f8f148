"""The network as plain data: answers set beforehand, calls remembered. They implement `engine.ports`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from postal_server.engine.ports import (
    Answer,
    HttpDelivery,
    HttpResult,
    Lookup,
    Reply,
    SmtpDelivery,
    SmtpResult,
    Stage,
    Target,
)
from postal_server.services.shared.work import Claimed

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def claimed(id: int = 1, **values: Any) -> Claimed:
    defaults = {
        "server_id": 1,
        "lane": "dest.example",
        "attempts": 0,
        "is_manual": False,
        "size_bytes": 1000,
        "created_at": NOW,
    }
    return Claimed(id=id, **{**defaults, **values})


def mail(
    recipient: str = "ann@dest.example", data: bytes = b"Subject: x\r\n\r\nHello\r\n", **values: Any
) -> SmtpDelivery:
    """A mail to one recipient, to the MX of its domain unless `target` says otherwise."""
    values.setdefault("target", Target(recipient.rpartition("@")[2]))
    values.setdefault("reverse_path", "bounce@rp.example")
    return SmtpDelivery(recipient=recipient, data=data, **values)


def post(url: str, body: bytes = b"{}", **values: Any) -> HttpDelivery:
    values.setdefault("headers", [("Content-Type", "application/json")])
    values.setdefault("timeout", 5.0)
    return HttpDelivery(url=url, body=body, **values)


class FakeSmtp:
    """Takes every mail, unless `replies` has one for its recipient: a reply, or an error text.

    `sent` are the mails in order.
    """

    def __init__(self, replies: Mapping[str, Reply | str] | None = None) -> None:
        self.replies = dict(replies or {})
        self.sent: list[SmtpDelivery] = []
        self.is_closed = False

    async def send(self, mail: SmtpDelivery) -> SmtpResult:
        self.sent.append(mail)
        answer = self.replies.get(mail.recipient, Reply(250, "OK", "2.0.0"))
        told = {"host": "mx.dest.example", "address": "192.0.2.1", "port": 25, "seconds": 0.01}
        if isinstance(answer, str):
            return SmtpResult("FAKE0001", Stage.DOT, error=answer, **told)  # type: ignore[arg-type]
        return SmtpResult("FAKE0001", Stage.DOT, answer, **told)  # type: ignore[arg-type]

    async def close(self) -> None:
        self.is_closed = True


class FakeHttp:
    """Answers each post by its URL; 200 where nothing is set. `posts` are the posts in order."""

    def __init__(self, results: Mapping[str, HttpResult] | None = None) -> None:
        self.results = dict(results or {})
        self.posts: list[HttpDelivery] = []
        self.is_closed = False

    async def post(self, post: HttpDelivery) -> HttpResult:
        self.posts.append(post)
        return self.results.get(post.url, HttpResult(200, b"ok", seconds=0.01))

    async def close(self) -> None:
        self.is_closed = True


class FakeResolver:
    """Records by name: `{"dest.example": {"MX": ["mx.dest.example"], "A": ["192.0.2.1"]}}`.

    MX values are host names in order. A name may be a `Lookup` instead: every question about it ends so;
    or have a CNAME, which is followed.
    `asked` are the questions in order. Answers about the names in `secure` are validated.
    """

    def __init__(
        self,
        zone: Mapping[str, Mapping[str, list[str]] | Lookup] | None = None,
        secure: Collection[str] = (),
    ) -> None:
        self.zone = dict(zone or {})
        self.secure = secure
        self.asked: list[tuple[str, str]] = []

    async def records(self, name: str, kind: str) -> Answer:
        self.asked.append((name, kind))
        found = self.zone.get(name, Lookup.NO_DOMAIN)
        if isinstance(found, Lookup):
            return Answer(found)
        if alias := found.get("CNAME"):
            answer = await self.records(alias[0], kind)
            is_secure = answer.is_secure and name in self.secure
            return replace(answer, is_secure=is_secure, canonical_name=alias[0] if answer.values else "")
        values = found.get(kind, [])
        return Answer(Lookup.FOUND if values else Lookup.NO_DATA, tuple(values), name in self.secure)

    async def mail_hosts(self, domain: str) -> Answer:
        answer = await self.records(domain, "MX")
        if answer.lookup is not Lookup.NO_DATA:
            return answer
        return Answer(Lookup.FOUND, (domain,), answer.is_secure)

    async def addresses(self, host: str) -> Answer:
        if host.replace(".", "").isdigit() or ":" in host:
            return Answer(Lookup.FOUND, (host,))
        six, four = await self.records(host, "AAAA"), await self.records(host, "A")
        first = six if six.values else four
        return replace(first, values=six.values + four.values) if first.values else four

    async def name_of(self, address: str) -> str | None:
        answer = await self.records(address, "PTR")
        return answer.values[0] if answer.values else None
