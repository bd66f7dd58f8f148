"""The recorded installation for tests: its directory, its names, and an API whose journal is made up."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.util import setup_testing_defaults

from postal_server import conf
from postal_server.api.client_name import ClientNames
from postal_server.api.views import API
from postal_server.errors import Busy
from postal_server.rules.delivery_policy import DeliveryMode, DeliveryPolicy
from postal_server.runtime.routes import make_routes, make_tracking_routes
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.work import Accepted, Stored
from postal_server.web.application import Application
from postal_server.web.pages import Pages
from postal_server.web.probes import Probes, ready_text
from postal_server.web.tracking import MARK, Tracking
from postal_server.wire.signing import SigningKey

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
NAMES: dict[str, str] = json.loads((VECTORS / "postal.json").read_text("utf-8"))["vars"]


def load_script(name: str) -> ModuleType:
    """A script of the vectors as a module."""
    spec = importlib.util.spec_from_file_location(name, VECTORS / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(name: str) -> Any:
    return json.loads((VECTORS / "recorded" / f"{name}.json").read_text("utf-8"))


def configuration(root: Path) -> conf.Config:
    """The configuration of the recorded installation."""
    return conf.parse(
        {
            "postal": {
                "web_hostname": "postal.example.test",
                "web_protocol": "http",
                "smtp_hostname": "mx.postal.example.test",
            },
            "dns": {
                "mx_records": ["mx1.postal.example.test", "mx2.postal.example.test"],
                "spf_include": "spf.postal.example.test",
                "return_path_domain": "rp.postal.example.test",
                "route_domain": "routes.postal.example.test",
                "track_domain": "track.postal.example.test",
            },
        },
        {},
        root,
    )


@dataclass
class FakeJournal:
    """Remembers what it was given; ids count up. `busy` is raised instead, where set."""

    accepted: list[Accepted] = field(default_factory=list)
    busy: Busy | None = None
    last_id: int = 0

    def check_room(self, size_bytes: int) -> None:
        if self.busy:
            raise self.busy

    def store(self, accepted: Accepted) -> list[Stored]:
        self.accepted.append(accepted)
        return list(self._stored(accepted))

    def append_async(self, accepted: Accepted) -> asyncio.Future[list[Stored]]:
        promise = asyncio.get_running_loop().create_future()
        promise.set_result(self.store(accepted))
        return promise

    def _stored(self, accepted: Accepted) -> Iterator[Stored]:
        for message in accepted.messages:
            self.last_id += 1
            yield Stored(self.last_id, f"token{self.last_id:011}", message.rcpt_to)


def no_django(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise AssertionError(f"{environ['PATH_INFO']} is answered without Django")


def application(
    config: conf.Config, directory: Directory, journal: FakeJournal, key: SigningKey
) -> Application:
    """The web process without Django's pages."""
    api = API(config, lambda: directory, journal, ClientNames(lambda address: None))
    pages, probes = Pages(lambda: key), Probes(lambda: "", ready_text(DeliveryPolicy(DeliveryMode.ALLOWLIST)))
    return Application(
        config=config,
        routes=make_routes(api, pages, probes),
        tracking_routes=make_tracking_routes(Tracking(config, lambda: directory)),
        tracking_mark=MARK,
        make_django=lambda: no_django,
    )


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)

    def as_recorded(self) -> dict[str, Any]:
        """In the form of the recordings."""
        return {
            "status": self.status,
            "headers": [list(header) for header in self.headers],
            "body": self.body.decode(),
        }


def call(
    app: Any,
    path: str,
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    body: bytes | None = b"",
    peer: str = "127.0.0.1",
    stream: Any = None,
) -> Reply:
    """One request. `body` None leaves out its length; `stream` is read in place of it."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REMOTE_ADDR": peer,
        "HTTP_HOST": "postal.example.test",
        "wsgi.input": stream or io.BytesIO(body or b""),
    }
    setup_testing_defaults(environ)
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    if body is not None:
        environ.setdefault("CONTENT_LENGTH", str(len(body)))
    work = app.route(environ).begin(has_small_body=False)
    answered = asyncio.run(work) if asyncio.iscoroutine(work) else work()
    return Reply(int(answered.status.split(maxsplit=1)[0]), list(answered.headers), answered.body)
