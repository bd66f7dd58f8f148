"""The server's certificate, loaded again when its files change."""

from __future__ import annotations

import logging
import ssl
import time
from pathlib import Path

logger = logging.getLogger(__name__)
LOOK_EVERY = 1.0  # seconds; a renewed certificate is used from the next connection on


class Certificates:
    """A certificate chain and its key, both PEM files. Raises `OSError` or `ssl.SSLError` if unusable."""

    def __init__(self, certificate: Path, key: Path, ciphers: str = "") -> None:
        self.certificate = certificate
        self.key = key
        self.ciphers = ciphers
        self._seen = self._times()
        self._context = self._load()
        self._look_at = time.monotonic() + LOOK_EVERY

    def context(self) -> ssl.SSLContext:
        """The context for the next connection.

        Files that cannot be used (half of a renewal) leave the old certificate in use and are tried again.
        """
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._reload()
        return self._context

    def lasting_context(self) -> ssl.SSLContext:
        """A context for a listener: each handshake in it is done with the certificate of its time."""

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
            connection.context = self.context()

        lasting = self._load()
        lasting.sni_callback = choose  # called without a server name, too
        return lasting

    def _reload(self) -> None:
        try:
            times = self._times()
            if times != self._seen:
                self._context = self._load()
                self._seen = times
                logger.info("Loaded the certificate %s again", self.certificate)
        except (OSError, ssl.SSLError) as error:
            logger.warning("Cannot load the certificate %s, keeping the old one: %s", self.certificate, error)

    def _times(self) -> tuple[int, int]:
        return self.certificate.stat().st_mtime_ns, self.key.stat().st_mtime_ns

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        context.load_cert_chain(self.certificate, self.key)
        return context
