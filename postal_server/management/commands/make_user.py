"""`postal-server make-user`."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.core.validators import validate_email

from postal_server.management.base import ServerCommand


class Command(ServerCommand):
    help = "Make an administrator for the web interface. Asks for what is not given on the command line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", help="the address to log in with")
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()
        try:
            email = options["email"] or input("E-mail address: ")
            self._require_address(email)
            if users.objects.filter(username=email).exists():
                raise CommandError(f"There is a user {email} already.")
            password = self._password(options["password_stdin"])
            validate_password(password)
        except EOFError as error:
            raise CommandError("There is no terminal: give --email and --password-stdin.") from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        users.objects.create_superuser(username=email, email=email, password=password)
        self.stdout.write(f"Made {email}. Log in at /admin/.")

    def _require_address(self, email: str) -> None:
        try:
            validate_email(email)
        except ValidationError as error:
            raise CommandError(f"{email!r} is not an e-mail address.") from error

    def _password(self, from_input: bool) -> str:
        if from_input:
            return sys.stdin.readline().rstrip("\r\n")
        password = getpass.getpass("Password: ")
        if getpass.getpass("Password (again): ") != password:
            raise CommandError("The two passwords are not the same.")
        return password
