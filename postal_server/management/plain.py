"""What commands that need no database are made of; `base.py` has the others."""

from __future__ import annotations

from django.core.management.base import BaseCommand


class PlainCommand(BaseCommand):
    """A command of `postal-server`. Django's general options are accepted, but left out of the help."""

    suppressed_base_arguments = {
        "--version",
        "--settings",
        "--pythonpath",
        "--traceback",
        "--no-color",
        "--force-color",
        "--skip-checks",
        "--verbosity",
    }
    requires_system_checks: list[str] = []
