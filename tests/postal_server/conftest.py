"""The recorded installation, built once."""

from __future__ import annotations

import json

import pytest
from django.db import transaction

from postal_server import conf
from postal_server.mail import dkim
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.loader import load
from postal_server.wire.signing import SigningKey

from .recorded_installation import VECTORS, FakeJournal, application, configuration


@pytest.fixture(scope="session")
def recorded_key() -> str:
    return dkim.generate_rsa(1024)


@pytest.fixture(scope="session")
def recorded_config(tmp_path_factory, recorded_key) -> conf.Config:
    root = tmp_path_factory.mktemp("recorded")
    (root / "signing.key").write_text(recorded_key)
    return configuration(root)


@pytest.fixture(scope="session")
def build_installation(recorded_config, recorded_key):
    """Make the rows of the recorded installation, with one small key for all domains."""

    def build() -> None:
        from tests.vectors.installation import Installation

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(conf, "config", lambda: recorded_config)
            patch.setattr(dkim, "generate_rsa", lambda bits=1024: recorded_key)
            described = json.loads((VECTORS / "postal.json").read_text("utf-8"))
            Installation(described, 8090).build()

    return build


@pytest.fixture(scope="session")
def recorded_directory(django_db_setup, django_db_blocker, build_installation) -> Directory:
    """The directory of the recorded installation; no row of it is left behind."""
    with django_db_blocker.unblock(), transaction.atomic():
        build_installation()
        directory = load()
        transaction.set_rollback(True)
    return directory


@pytest.fixture
def journal() -> FakeJournal:
    return FakeJournal()


@pytest.fixture
def app(db, recorded_config, recorded_directory, journal, recorded_key):
    """The web process of the recorded installation, without Django's pages."""
    return application(recorded_config, recorded_directory, journal, SigningKey.load(recorded_key))
