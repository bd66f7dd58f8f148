from datetime import timedelta

import pytest

from postal_server.errors import ConfigurationError
from postal_server.rules.status import CredentialType
from postal_server.services.shared import credential
from tests.postal_server.services.conftest import NOW


def test_an_api_key_is_kept_as_a_digest_only(world):
    made, key = credential.create(world.server, CredentialType.API, "app")
    assert len(key) == 24
    assert key.isalnum()
    assert made.key_digest == credential.digest(key)
    assert key not in (made.key_digest, made.key_encrypted)
    assert made.key_encrypted == ""


def test_an_smtp_key_can_be_had_in_clear(world):
    made, key = credential.create(world.server, CredentialType.SMTP, "app", "K70gy3gHQZaFB9vMhiHcbnpN")
    assert key == "K70gy3gHQZaFB9vMhiHcbnpN"
    assert key not in made.key_encrypted
    assert credential.decrypt(made.key_encrypted) == key


def test_a_network_takes_the_place_of_a_key(world):
    made, network = credential.create(world.server, CredentialType.SMTP_IP, "lan", network="192.0.2.9/24")
    assert made.network == network == "192.0.2.0/24"
    assert made.key_digest is None


def test_a_network_must_be_one(world):
    with pytest.raises(ValueError, match="does not appear"):
        credential.create(world.server, CredentialType.SMTP_IP, "lan", network="nonsense")


def test_a_key_of_another_secret_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="secret key has changed"):
        credential.decrypt("gAAAAABnothing")


def test_use_is_noted_once_a_minute(world, django_assert_num_queries):
    made, _ = credential.create(world.server, CredentialType.API, "app")
    credential._marked.clear()  # ids return with the database of the next test
    for seconds, queries in [(0, 1), (1, 0), (59, 0), (60, 1)]:
        with django_assert_num_queries(queries):
            credential.mark_used([made.pk], NOW + timedelta(seconds=seconds))
    made.refresh_from_db()
    assert made.last_used_at == NOW + timedelta(seconds=60)
