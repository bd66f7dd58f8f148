"""The catch: an independent SMTP server on loopback that keeps what would have left for the internet.

It is aiosmtpd's, not ours, so that whatever leaves our sender has to satisfy another implementation. It
offers STARTTLS where a certificate is given, and acts out the simulations that tests ask for.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import close_old_connections, connections

from postal_server.services import mailbox

MAX_BYTES = 100 * 1024 * 1024
HOST_NAME = "catch.localhost"
T = TypeVar("T")


class CatchHandler:
    """aiosmtpd's hooks. Database work runs in one thread, so that mail is kept in order of arrival."""

    def __init__(self, smtp_address: tuple[str, int]) -> None:
        self._smtp_address = smtp_address  # of our own SMTP server, for reports of failure
        self._database = ThreadPoolExecutor(1, "catch")

    async def handle_RCPT(  # noqa: N802 - aiosmtpd names its hooks so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        act = await self._run(mailbox.simulation_for, envelope.mail_from or None, address)
        if act is not None:
            await asyncio.sleep(act.delay_seconds)
            if act.stage == "rcpt" and not act.reply.startswith("2"):
                return act.reply
            acts: dict[str, mailbox.Act] = envelope.__dict__.setdefault("acts", {})
            acts[address] = act
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd names its hooks so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        acts: dict[str, mailbox.Act] = envelope.__dict__.get("acts", {})
        refused = next((act for act in acts.values() if act.stage == "data"), None)
        if refused is not None:
            return refused.reply
        raw = envelope.original_content or b""
        for address in envelope.rcpt_tos:
            await self._run(
                mailbox.keep,
                raw,
                mail_from=envelope.mail_from or None,
                rcpt_to=address,
                tls=session.ssl is not None,
                now=datetime.now(timezone.utc),
            )
            if address in acts and envelope.mail_from:
                await self._bounce(raw, envelope.mail_from, address, acts[address].reply)
        return "250 2.0.0 OK: kept"

    def close(self) -> None:
        self._database.submit(connections.close_all)
        self._database.shutdown(wait=True)

    async def _bounce(self, raw: bytes, return_path: str, address: str, reply: str) -> None:
        report = mailbox.report_of_failure(
            raw,
            return_path=return_path,
            rcpt_to=address,
            reply=reply,
            reporter=HOST_NAME,
            now=datetime.now(timezone.utc),
        )
        await asyncio.get_running_loop().run_in_executor(None, self._send_report, return_path, report)

    def _send_report(self, return_path: str, report: bytes) -> None:
        with smtplib.SMTP(*self._smtp_address, local_hostname=HOST_NAME, timeout=30) as client:
            client.sendmail("", [return_path], report)

    async def _run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        def work() -> T:
            close_old_connections()
            return function(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._database, work)


async def listen(
    host: str, port: int, smtp_address: tuple[str, int], tls: ssl.SSLContext | None = None
) -> tuple[asyncio.Server, CatchHandler]:
    """Start the catch on `host`:`port` in the running loop. The caller closes both results."""
    handler = CatchHandler(smtp_address)
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            handler,
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            hostname=HOST_NAME,
            ident="catch",
            tls_context=tls,
            loop=loop,
        )

    return await loop.create_server(protocol, host, port), handler
