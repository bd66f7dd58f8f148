"""Ask the spam and virus scanners about a mail. Without a scanner every mail has the score 0.

A scanner that fails counts as score 0, so that mail goes on (contract 6.3); the log has the reason. The
calls are synchronous: they are made in the threads that prepare.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from postal_server.conf import Config, Rspamd, Scanner
from postal_server.errors import HostileInput
from postal_server.models import Message
from postal_server.rules.status import Scope
from postal_server.services.shared.token import message_token
from postal_server.services.shared.work import Inspection
from postal_server.wire import scanner as wire

logger = logging.getLogger(__name__)

_timeouts: dict[tuple[str, int], tuple[int, float]] = {}  # scanner -> in a row, when the last one was

RSPAMD_SECONDS = 10.0
SPAMD_SECONDS = 15.0
CLAMD_SECONDS = 10.0
# A scanner that hangs must not hold up all mail: after so many timeouts in a row it is not asked for a while.
TIMEOUTS_UNTIL_SKIPPED = 3
SKIPPED_FOR = 30.0  # seconds
FAILURES = (OSError, HostileInput, http.client.HTTPException)


def inspect(raw: bytes, message: Message, config: Config) -> Inspection:
    """Score and threat of a mail; whether that makes it spam is for the caller's threshold to say."""
    about = wire.About(
        message_token(message.id), message.mail_from or "", message.rcpt_to or "", Scope(message.scope)
    )
    score = _score(raw, about, config)
    if not config.clamav.enabled:
        return Inspection(score)
    is_threat, details = _threat(raw, about, config.clamav)
    return Inspection(score, is_threat=is_threat, threat_details=details)


def _score(raw: bytes, about: wire.About, config: Config) -> float:
    try:
        if config.rspamd.enabled:
            with _patience(config.rspamd):
                return wire.rspamd_score(_ask_rspamd(raw, about, config.rspamd))
        if config.spamd.enabled:
            with _patience(config.spamd):
                return wire.spamd_score(_ask_spamd(raw, config.spamd), about.scope)
    except FAILURES as error:
        logger.warning("No spam score for message %s: %s", about.token, error)
    return 0


def _threat(raw: bytes, about: wire.About, scanner: Scanner) -> tuple[bool, str]:
    try:
        with _patience(scanner):
            return wire.clamd_threat(_ask_clamd(raw, scanner))
    except TimeoutError as error:
        logger.warning("Message %s is not scanned: %s", about.token, error)
        return False, wire.TIMED_OUT
    except FAILURES as error:
        logger.warning("Message %s is not scanned: %s", about.token, error)
        return False, wire.BROKEN


@contextmanager
def _patience(scanner: Scanner | Rspamd) -> Iterator[None]:
    """Ask a scanner in the block. Raises `TimeoutError` at once while it is not asked."""
    name = scanner.host, scanner.port
    count, last = _timeouts.get(name, (0, 0.0))
    if count >= TIMEOUTS_UNTIL_SKIPPED and time.monotonic() < last + SKIPPED_FOR:
        raise TimeoutError("the scanner did not answer in time lately")
    try:
        yield
    except TimeoutError:
        _timeouts[name] = count + 1, time.monotonic()
        raise
    _timeouts.pop(name, None)


def _ask_rspamd(raw: bytes, about: wire.About, scanner: Rspamd) -> bytes:
    connection = (
        http.client.HTTPSConnection(
            scanner.host, scanner.port, timeout=RSPAMD_SECONDS, context=ssl.create_default_context()
        )
        if scanner.ssl
        else http.client.HTTPConnection(scanner.host, scanner.port, timeout=RSPAMD_SECONDS)
    )
    try:
        headers = wire.rspamd_headers(about, scanner.password, scanner.flags)
        connection.request("POST", "/checkv2", raw, headers)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise HostileInput(f"rspamd answered {answer.status}")
        return answer.read(wire.MAX_ANSWER)
    finally:
        connection.close()


def _ask_spamd(raw: bytes, scanner: Scanner) -> bytes:
    with _connected(scanner, SPAMD_SECONDS) as (sock, deadline):
        sock.sendall(wire.spamd_request(raw))
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        return _read_all(sock, deadline)


def _ask_clamd(raw: bytes, scanner: Scanner) -> bytes:
    with _connected(scanner, CLAMD_SECONDS) as (sock, deadline):
        before, after = wire.clamd_request(raw)
        sock.sendall(before)
        sock.sendall(raw)
        sock.sendall(after)
        return _read_all(sock, deadline)


@contextmanager
def _connected(scanner: Scanner, seconds: float) -> Iterator[tuple[socket.socket, float]]:
    """A connection, and when its time is over."""
    deadline = time.monotonic() + seconds
    with socket.create_connection((scanner.host, scanner.port), timeout=seconds) as sock:
        yield sock, deadline


def _read_all(sock: socket.socket, deadline: float) -> bytes:
    """What the scanner says until it closes, at most `MAX_ANSWER` bytes. Raises `TimeoutError`."""
    answer = b""
    while len(answer) < wire.MAX_ANSWER:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no complete answer in time")
        sock.settimeout(left)
        data = sock.recv(65536)
        if not data:
            break
        answer += data
    return answer
