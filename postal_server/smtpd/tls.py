"""The server's certificate, reloaded when its files change."""

from __future__ import annotations

import logging
import ssl
import time
from pathlib import Path

logger = logging.getLogger(__name__)
CHECK_INTERVAL = 1.0  # seconds; a renewed certificate is used from the next connection on


class Certificates:
    """A certificate chain and its key, from PEM files. Raises `OSError` or `ssl.SSLError` if unusable."""

    def __init__(self, certificate: Path, key: Path, ciphers: str = "") -> None:
        self.certificate = certificate
        self.key = key
        self.ciphers = ciphers
        self._seen = self._times()
        self._context = self._load()
        self._problem = ""  # the last one that was logged
        self._look_at = time.monotonic() + CHECK_INTERVAL

    def context(self) -> ssl.SSLContext:
        """The context for the next connection.

        While the files are unusable, in the middle of a renewal, the old certificate stays in use.
        """
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + CHECK_INTERVAL
            self._reload()
        return self._context

    def lasting_context(self) -> ssl.SSLContext:
        """A context for a listener: each handshake uses the certificate that is current then."""

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
                self._problem = ""
                logger.info("Loaded the certificate %s again", self.certificate)
        except OSError as error:  # ssl.SSLError is one
            if str(error) != self._problem:
                self._problem = str(error)
                logger.warning(
                    "Cannot load the certificate %s, keeping the old one: %s", self.certificate, error
                )

    def _times(self) -> tuple[int, int]:
        return self.certificate.stat().st_mtime_ns, self.key.stat().st_mtime_ns

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        context.load_cert_chain(self.certificate, self.key)
        return context
