"""Public pages: the key set that verifies our signatures, and `/ip`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from postal_server.wire.http import Request, Response, json_response, to_json
from postal_server.wire.signing import SigningKey

JWKS_PATH = "/.well-known/jwks.json"
IP_PATH = "/ip"


@dataclass(frozen=True)
class Pages:
    """`signing_key` loads the installation's key; it is asked once."""

    signing_key: Callable[[], SigningKey]

    async def key_set(self, request: Request) -> Response:
        """The installation's public key as a JSON Web Key Set. Source: contract 2."""
        return json_response(to_json(self.signing_key().jwks()))

    async def ip(self, request: Request) -> Response:
        """The addresses of the peer and of the client behind it, for setting up proxies."""
        text = f"ip: {request.environ.get('REMOTE_ADDR', '')} remote ip: {request.client}"
        return Response(200, (("content-type", "text/plain; charset=utf-8"),), text.encode())
