"""Set up the recorded installation: servers, keys, domains, routes and webhooks of the vectors' README.

    python -m tests.vectors.installation POSTAL.json NAMES.json HTTP_PORT

Names and keys are those of POSTAL.json; what has to be made anew (DKIM keys) is written to NAMES.json with
everything else that a target's description needs. Run with `POSTAL_CONFIG_FILE_PATH` set.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import django

DKIM_LABELS = ("domain", "tracked", "rpok", "private", "organisation")
CODES = ("503", "404", "301", "429")
MODES = ("Reject", "Bounce", "Hold", "Accept")


class Installation:
    """Builds the rows. `names` are the `vars` of POSTAL.json, updated with what is made here."""

    def __init__(self, described: dict[str, Any], http_port: int) -> None:
        from django.utils import timezone

        from postal_server.services.operations import provisioning

        self.described = described
        self.names: dict[str, str] = described["vars"]
        self.sink = f"http://127.0.0.1:{http_port}"
        self.now = timezone.now()
        self.owner = provisioning.organization("Example")

    def build(self) -> None:
        from postal_server import conf
        from postal_server.mail import dkim

        live = self.server("Live", token=self.names["server_token"], log_smtp_data=True)
        self.credentials(live, api="api_key", smtp="smtp_key")
        self.credentials(live, api="hold_key", smtp="smtp_hold_key", hold=True)
        domain = self.domain("domain", server=live)
        wild = self.domain("wild", server=live)
        tracked = self.domain("tracked", server=live)
        self.domain("rpok", server=live, return_path_status="OK")
        self.domain("unverified", server=live, verified_at=None)
        self.domain("organisation", organization=self.owner)
        self.live_routes(live, domain, wild)
        self.track(live, tracked)
        for path in ("all", "unsigned"):
            self.webhook(live, f"{self.sink}/webhook/{path}")
        dev = self.server("Dev", mode="Development")
        self.credentials(dev, api="dev_key")
        self.domain("dev", server=dev)
        private = self.server("Private", privacy_mode=True, allow_sender=True)
        self.credentials(private, api="private_key", smtp="private_smtp_key")
        self.domain("private", server=private)
        anyone = self.server("Any")
        self.credentials(anyone, api="any_key")
        self.domain("any", server=anyone, use_for_any=True)
        suspended = self.server("Suspended", suspended_at=self.now)
        self.credentials(suspended, api="suspended_key")
        self.route(suspended, self.domain("suspended", server=suspended), "in", mode="Accept")
        config = conf.config()
        key = dkim.SigningKey.load(config.file(config.postal.signing_key_path).read_bytes())
        self.names["default_dkim"] = dkim.public_record(key)

    def server(self, name: str, **values: Any) -> Any:
        from postal_server.models import Server

        return Server.objects.create(organization=self.owner, name=name, permalink=name.lower(), **values)

    def credentials(self, server: Any, *, api: str, smtp: str = "", hold: bool = False) -> None:
        from postal_server.rules.status import CredentialType
        from postal_server.services.shared import credential

        credential.create(server, CredentialType.API, api, key=self.names[api], hold=hold)
        if smtp:
            credential.create(server, CredentialType.SMTP, smtp, key=self.names[smtp], hold=hold)

    def domain(self, label: str, **values: Any) -> Any:
        from postal_server.mail import dkim
        from postal_server.models import Domain

        name = (
            self.names["domain"] if label == "domain" else self.names.get(f"{label}_domain", f"{label}.test")
        )
        values = {"verified_at": self.now, "dkim_status": "OK", **values}
        row = Domain.objects.create(name=name, dkim_private_key=dkim.generate_rsa(), **values)
        if label in DKIM_LABELS:
            signing = dkim.SigningKey.load(row.dkim_private_key)
            self.names[f"{label}_dkim"] = dkim.public_record(signing)
            self.names[f"{label}_dkim_name"] = f"postal-{row.dkim_suffix}._domainkey"
        return row

    def route(self, server: Any, domain: Any, name: str, **values: Any) -> Any:
        from postal_server.models import Route

        return Route.objects.create(server=server, domain=domain, name=name, **values)

    def http_route(self, server: Any, domain: Any, label: str, path: str = "", **options: Any) -> Any:
        from postal_server.models import HTTPEndpoint

        endpoint = HTTPEndpoint.objects.create(
            server=server, name=label, url=f"{self.sink}/inbound/{path or label}", **options
        )
        return self.route(server, domain, label, http_endpoint=endpoint)

    def live_routes(self, live: Any, domain: Any, wild: Any) -> None:
        from postal_server.models import AddressEndpoint, SMTPEndpoint

        inbound = self.http_route(live, domain, "in")
        inbound.token = self.names["route_token"]
        inbound.save()
        self.http_route(live, domain, "hash-form", encoding="FormData")
        self.http_route(live, domain, "raw-json", format="RawMessage")
        self.http_route(live, domain, "raw-form", format="RawMessage", encoding="FormData")
        self.http_route(live, domain, "hash-json-strip", strip_replies=True)
        self.http_route(live, domain, "hash-json-noattach", include_attachments=False)
        self.http_route(live, domain, "form-strip", encoding="FormData", strip_replies=True)
        for code in CODES:
            self.http_route(live, domain, f"code-{code}", code)
        for mode in MODES:
            self.route(live, domain, mode.lower(), mode=mode)
        forward = AddressEndpoint.objects.create(server=live, address="forwarded@elsewhere.example")
        self.route(live, domain, "fwd", address_endpoint=forward)
        for name, host in (("smtpep", "127.0.0.1"), ("smtpname", "mx.dest.example")):
            endpoint = SMTPEndpoint.objects.create(server=live, name=name, hostname=host, ssl_mode="None")
            self.route(live, domain, name, smtp_endpoint=endpoint)
        self.route(live, wild, "*", http_endpoint=inbound.http_endpoint)

    def track(self, live: Any, domain: Any) -> None:
        from postal_server.models import TrackDomain

        TrackDomain.objects.create(
            server=live, domain=domain, name="click", ssl_enabled=False, dns_status="OK"
        )

    def webhook(self, server: Any, url: str) -> None:
        from postal_server.services.operations import provisioning

        provisioning.add_webhook(server, url, beyond_postal=False)


def main(described_path: str, names_path: str, http_port: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "postal_server.settings"
    django.setup()
    installation = Installation(json.loads(Path(described_path).read_text("utf-8")), int(http_port))
    installation.build()
    Path(names_path).write_text(json.dumps(installation.described, indent=1), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
