"""The models and their migrations say the same, and the migrations stand in one line."""

from __future__ import annotations

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_no_migration_is_missing_or_beside_another() -> None:
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
