"""Make the mail server of an installation, and print its keys as JSON.

    python -m tests.faults.provision DOMAIN RECEIVER-URL

Run with `POSTAL_CONFIG_FILE_PATH` set. All events are posted to RECEIVER-URL/events, mail for in@DOMAIN to
RECEIVER-URL/incoming.
"""

from __future__ import annotations

import json
import os
import sys

import django


def main(domain_name: str, url: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "postal_server.settings"
    django.setup()
    from django.utils import timezone

    from postal_server.services.operations import provisioning

    new = provisioning.add_server(provisioning.organization("Faults"), "Faults")
    domain = provisioning.add_domain(new.server, domain_name, timezone.now())
    provisioning.add_webhook(new.server, f"{url}/events")
    provisioning.add_http_route(new.server, domain, "in", f"{url}/incoming", format="RawMessage")
    print(json.dumps({"api_key": new.api_key, "smtp_key": new.smtp_key}))


if __name__ == "__main__":
    main(*sys.argv[1:])
