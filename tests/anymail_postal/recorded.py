"""The posts in tests/vectors/recorded/wire.json: what a real Postal sent to webhooks and HTTP endpoints."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

VECTORS = Path(__file__).parent.parent / "vectors"
VARS = json.loads((VECTORS / "postal.json").read_text())["vars"]
DKIM_RECORD = VARS["default_dkim"]  # of the installation's key, which also signs posts
KEY_ID = "fdd00281ae940ee7622fd19d77e354817ec6d43af8dab73001c89f45d1bf14ec"


@dataclass(frozen=True)
class Post:
    path: str  # /webhook/<name> or /inbound/<name>
    headers: dict[str, str]
    body: bytes

    @property
    def endpoint(self) -> str:
        return self.path.rsplit("/", 1)[1]

    @property
    def content_type(self) -> str:
        return self.headers["Content-Type"]

    def signature_headers(self, *names: str) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name in names}

    @property
    def meta(self) -> dict[str, str]:
        """The signature headers as WSGI has them."""
        return {
            "HTTP_" + name.upper().replace("-", "_"): value
            for name, value in self.headers.items()
            if name.startswith("X-Postal")
        }


def posts(prefix: str) -> list[Post]:
    found = []
    for entry in json.loads((VECTORS / "recorded" / "wire.json").read_text()):
        path = entry["request"].split()[1] if entry["kind"] == "http" else ""
        if path.startswith(prefix):
            found.append(Post(path, dict(entry["headers"]), base64.b64decode(entry["body"])))
    return found


WEBHOOKS = posts("/webhook/")
MAILS = posts("/inbound/")
