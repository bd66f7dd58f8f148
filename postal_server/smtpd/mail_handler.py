"""Answers the SMTP protocol by the services: who may send, who receives, and making mail durable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import Protocol

from postal_server.conf import Config
from postal_server.errors import MessageTooLarge
from postal_server.mail.message import received_line
from postal_server.services.acceptance import reception, submission
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import CredentialEntry
from postal_server.services.shared.token import new_message_id
from postal_server.services.shared.work import Accepted, Stored

from .handler import ClientSession, Envelope, Principal, Recipient


class Journal(Protocol):
    """What makes messages durable (`engine.journal`)."""

    def check_room(self, size_bytes: int) -> None:
        """Raise `Busy` if a message of this size cannot be accepted now."""

    def append_together(self, submissions: Sequence[Accepted]) -> asyncio.Future[list[Stored]]:
        """Done when all of these are durable; none is stored if one cannot be. Raises `Busy`."""


class MailHandler:
    """The `SmtpHandler` of the running server. Everything but the journal is looked up in memory."""

    def __init__(self, config: Config, directory: Callable[[], Directory], journal: Journal) -> None:
        self._config = config
        self._directory = directory
        self._journal = journal

    def authenticate(self, secret: str) -> Principal | None:
        directory = self._directory()
        credential = directory.smtp_credential(secret)
        return None if credential is None else _principal(credential, directory)

    def find_cram_keys(self, username: str) -> Iterable[tuple[Principal, str]] | None:
        directory = self._directory()
        server = directory.server_by_path(username)
        if server is None:
            return None
        return [(_principal(c, directory), c.secret) for c in directory.smtp_credentials(server.id)]

    def check_room(self, size_bytes: int) -> None:
        self._journal.check_room(size_bytes)

    def accept_recipient(self, session: ClientSession, address: str) -> Recipient:
        directory = self._directory()
        credential = session.principal.credential if session.principal else None
        accepted = reception.accept_recipient(
            address, credential, session.client_address, directory, self._config
        )
        if accepted.credential is not None and session.principal is None:
            session.principal = _principal(accepted.credential, directory)
        return Recipient(address, accepted.kind, accepted)

    def accept_message(self, session: ClientSession, envelope: Envelope) -> Awaitable[object]:
        raw = self._received(session) + envelope.data
        envelope.data = b""  # a large mail is held once
        if len(raw) > self._config.max_message_bytes:
            raise MessageTooLarge
        reception.check_loop(raw, self._config.postal.smtp_hostname)
        return self._journal.append_together(self._submissions(session, envelope, raw))

    def _submissions(self, session: ClientSession, envelope: Envelope, raw: bytes) -> list[Accepted]:
        """The submissions of a message: one for each mail server that has recipients. Raises `Refusal`."""
        recipients: list[reception.AcceptedRecipient] = [
            recipient.decision for recipient in envelope.recipients
        ]
        outgoing = [each for each in recipients if each.kind == reception.OUTGOING]
        incoming = [each for each in recipients if each.kind != reception.OUTGOING]
        with_ssl = session.tls is not None
        result: list[Accepted] = []
        if outgoing:
            result.append(self._outgoing(outgoing, envelope, raw, with_ssl))
        elif session.principal is not None:  # applies to incoming mail too
            submission.check_sender(raw, session.principal.credential, self._directory())
        if incoming:
            result += reception.accept_message(
                incoming, raw, envelope.reverse_path, received_with_ssl=with_ssl
            )
        return result

    def _outgoing(
        self,
        recipients: Sequence[reception.AcceptedRecipient],
        envelope: Envelope,
        raw: bytes,
        with_ssl: bool,
    ) -> Accepted:
        credential = recipients[0].credential
        assert credential is not None, "outgoing recipients have one"
        return submission.submit_smtp(
            raw,
            [each.rcpt_to for each in recipients],
            credential,
            self._directory(),
            reverse_path=envelope.reverse_path,
            received_with_ssl=with_ssl,
            new_id=partial(new_message_id, self._config),
            now=datetime.now(timezone.utc),
        )

    def _received(self, session: ClientSession) -> bytes:
        """Our Received line, without the client for a mail server in privacy mode."""
        private = False
        if session.principal is not None:
            server = self._directory().servers.get(session.principal.credential.server_id)
            private = server is not None and server.privacy_mode
        return received_line(
            session.helo or "",
            ip=session.client_address,
            rdns=session.client_name,
            by=self._config.postal.smtp_hostname,
            via="SMTP",
            at=datetime.now(timezone.utc),
            private=private,
        )


def _principal(credential: CredentialEntry, directory: Directory) -> Principal:
    server = directory.servers[credential.server_id]
    return Principal(f"{server.organization_permalink}/{server.permalink}", credential)
