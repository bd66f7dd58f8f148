"""The catch: a separate SMTP server on loopback that keeps the mail that would have left for the internet.

It is aiosmtpd and not ours, so that what our client sends has to satisfy another implementation. It offers
STARTTLS if it has a certificate, and simulates the deliveries that tests ask for.
"""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException
from django.db import close_old_connections, connections

from postal_server.net.listening import bind
from postal_server.services.operations import caught_mail

logger = logging.getLogger(__name__)

MAX_BYTES = 100 * 1024 * 1024
HOST_NAME = "catch.localhost"
SHUTTING_DOWN = b"421 4.3.2 Service shutting down, try again later\r\n"
T = TypeVar("T")


class CatchHandler:
    """aiosmtpd's hooks. Database work runs in one thread, so that mail is kept in order of arrival."""

    def __init__(self, smtp_address: tuple[str, int]) -> None:
        self._smtp_address = smtp_address  # of our own SMTP server, to which it sends failure reports
        self._database = ThreadPoolExecutor(1, "catch")
        # Weakly: of a session whose TLS handshake fails, aiosmtpd does not hear that it is over.
        self.sessions: weakref.WeakSet[CatchSession] = weakref.WeakSet()
        self._reports: set[asyncio.Task[None]] = set()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd names its hooks so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        act = await self._run(caught_mail.simulation_for, envelope.mail_from or None, address)
        if act is not None:
            await asyncio.sleep(act.delay_seconds)
            if act.stage == "rcpt" and not act.reply.startswith("2"):
                return act.reply
            if act.stage != "rcpt":
                acts: dict[str, caught_mail.Act] = envelope.__dict__.setdefault("acts", {})
                acts[address] = act
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd names its hooks so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        acts: dict[str, caught_mail.Act] = envelope.__dict__.get("acts", {})
        refused = next((act for act in acts.values() if act.stage == "data"), None)
        if refused is not None:
            return refused.reply
        raw = envelope.original_content or b""
        for address in envelope.rcpt_tos:
            await self._keep(raw, session, envelope, address)
        for address in set(envelope.rcpt_tos) & set(acts):
            self._report_later(raw, envelope.mail_from, address, acts[address].reply)
        return "250 2.0.0 OK: kept"

    async def handle_exception(self, error: Exception) -> str:
        """aiosmtpd would reply 500, and mail would fail for good because of a mistake of ours."""
        if isinstance(error, TLSSetupException):
            # Our own client first tries whether the certificate can be verified.
            logger.debug("A client of the catch broke the TLS handshake off")
        else:
            logger.error("The catch could not take a mail", exc_info=error)
        return "451 4.3.0 Local error, try again later"

    async def close(self, grace: timedelta = timedelta(seconds=3)) -> None:
        """End sessions, those with a mail under way once it is answered or after `grace`, then stop.

        Nothing may be refused because of the stop: workers would put the mail off for minutes.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + grace.total_seconds()
        while self._end_idle_sessions() and loop.time() < ends_at:
            await asyncio.sleep(0.02)
        for session in list(self.sessions):
            session.abort()
        for report in self._reports:
            report.cancel()
        await loop.run_in_executor(None, self._close_database)

    def _end_idle_sessions(self) -> bool:
        """End those without a mail under way; are there others?"""
        for session in [each for each in self.sessions if not each.has_mail]:
            session.shut_down()
        return any(session.has_mail for session in self.sessions)

    async def _keep(self, raw: bytes, session: Session, envelope: Envelope, address: str) -> None:
        await self._run(
            caught_mail.keep,
            raw,
            mail_from=envelope.mail_from or None,
            rcpt_to=address,
            tls=session.ssl is not None,
            now=datetime.now(timezone.utc),
        )

    def _close_database(self) -> None:
        self._database.submit(connections.close_all)
        self._database.shutdown(wait=True)

    def _report_later(self, raw: bytes, return_path: str | None, address: str, reply: str) -> None:
        """Send a report, like hosts that learn of a failure after they have accepted a mail."""
        if return_path:
            task = asyncio.ensure_future(self._report(raw, return_path, address, reply))
            for reports in (self._reports, caught_mail.reports_under_way):
                reports.add(task)
                task.add_done_callback(reports.discard)

    async def _report(self, raw: bytes, return_path: str, address: str, reply: str) -> None:
        report = caught_mail.report_of_failure(
            raw,
            return_path=return_path,
            rcpt_to=address,
            reply=reply,
            reporter=HOST_NAME,
            now=datetime.now(timezone.utc),
        )
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._send_report, return_path, report)
        except (OSError, smtplib.SMTPException) as error:
            logger.error("The catch could not send a report to %s: %s", return_path, error)

    def _send_report(self, return_path: str, report: bytes) -> None:
        with smtplib.SMTP(*self._smtp_address, local_hostname=HOST_NAME, timeout=30) as client:
            client.sendmail("", [return_path], report)

    async def _run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        def work() -> T:
            close_old_connections()
            return function(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._database, work)


class CatchSession(SMTP):
    """aiosmtpd's protocol, which the handler can end."""

    event_handler: CatchHandler

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.event_handler.sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.sessions.discard(self)
        super().connection_lost(error)

    @property
    def has_mail(self) -> bool:
        """Is a transaction open, from MAIL to the reply to the final dot?"""
        return self.envelope is not None and self.envelope.mail_from is not None

    def shut_down(self) -> None:
        """Say 421 and close."""
        if self.transport is not None:  # none during a TLS handshake
            self._writer.write(SHUTTING_DOWN)
            self._writer.close()

    def abort(self) -> None:
        """Drop the connection without another word."""
        if self.transport is not None:
            self._writer.transport.abort()


async def listen(
    host: str, port: int, smtp_address: tuple[str, int], tls: ssl.SSLContext | None = None
) -> tuple[asyncio.Server, CatchHandler]:
    """Start the catch on `host`:`port` in the running event loop. The caller closes both results.

    Raises `CannotListen`.
    """
    handler = CatchHandler(smtp_address)
    loop = asyncio.get_running_loop()

    def protocol() -> CatchSession:
        return CatchSession(
            handler,
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            hostname=HOST_NAME,
            ident="catch",
            tls_context=tls,
            loop=loop,
        )

    return await loop.create_server(protocol, sock=bind(host, port)), handler
