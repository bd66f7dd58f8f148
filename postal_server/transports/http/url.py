"""The URL of a request, split into its parts."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from postal_server.mail.address import domain_to_ascii

SAFE_IN_TARGET = "/?:@!$&'()*+,;=%~-._"


@dataclass(frozen=True)
class Url:
    """The parts of a URL. `target` is the request target (RFC 9112 section 3.2.1).

    `credentials` are those of Basic authentication (RFC 7617), empty where the URL has no user.
    """

    is_secure: bool
    host: str
    port: int
    target: str
    credentials: str

    @classmethod
    def parse(cls, text: str) -> Url:
        """The parts of a URL. Raises ValueError for what is no http or https URL."""
        parts = urlsplit(text.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("Not an http or https URL")
        is_secure = parts.scheme == "https"
        host = parts.hostname if ":" in parts.hostname else domain_to_ascii(parts.hostname)
        target = quote(parts.path or "/", safe=SAFE_IN_TARGET)
        target += f"?{quote(parts.query, safe=SAFE_IN_TARGET)}" if parts.query else ""
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        token = b64encode(user.encode()).decode() if "@" in parts.netloc else ""
        return cls(is_secure, host, parts.port or (443 if is_secure else 80), target, token)

    @property
    def host_header(self) -> str:
        """The value of the Host field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"
