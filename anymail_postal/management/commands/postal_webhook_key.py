"""Print Postal's public key for the settings."""

from __future__ import annotations

import base64
from argparse import ArgumentParser
from typing import Any

import requests
from anymail.exceptions import AnymailConfigurationError
from cryptography.hazmat.primitives import serialization
from django.core.management.base import BaseCommand, CommandError

from ... import conf, keys, setting_values
from ...signatures import BadPublicKey, PublicKey, parse_jwks


class Command(BaseCommand):
    help = (
        "Fetch the public key that a Postal signs its webhooks with, and print it as POSTAL_WEBHOOK_KEY. "
        "Run it over a network you trust: the answer is not verified."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--server", default=conf.DEFAULT_SERVER, help="name of the server in the settings"
        )
        parser.add_argument("--url", help="address of the key set, instead of the settings'")

    def handle(self, *args: Any, server: str, url: str | None, **options: Any) -> None:
        try:
            address = setting_values.jwks_url(url) if url else keys.jwks_url(conf.server(server))
            found = parse_jwks(keys.fetch_json(str(address)))
        except AnymailConfigurationError as error:
            raise CommandError(str(error)) from error
        except setting_values.BadValueError as error:
            raise CommandError(f"--url {error}") from error
        except BadPublicKey as error:
            raise CommandError(f"What is at {address} {error}") from error
        except (requests.RequestException, ValueError, RecursionError) as error:
            raise CommandError(f"No keys at {address}: {error}") from error
        for key in found:
            self.stdout.write(f"# key id {key.id}, {key.rsa.key_size} bits, from {address}")
            self.stdout.write(f'POSTAL_WEBHOOK_KEY = "{bare(key)}"')


def bare(key: PublicKey) -> str:
    """The key as bare base64, without line breaks."""
    der = key.rsa.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()
