"""What a submission says of itself beside its text; the recorded answers are in `api/test_recorded.py`."""

from __future__ import annotations

import pytest

from postal_server.models import QueuedMessage
from postal_server.rules.priority import Priority
from postal_server.rules.status import CredentialType
from postal_server.services import acceptance, credential, submission
from postal_server.wire.api import SendMessage, SendRaw

from .conftest import NOW

FROM = "sender@example.test"
TO = "a@dest.example"


def raw(*fields: str) -> bytes:
    return "\r\n".join([f"From: {FROM}", f"To: {TO}", *fields, "", "Hello\r\n"]).encode()


@pytest.fixture
def api_key(world):
    made, _ = credential.create(world.server, CredentialType.API, "app")
    directory = world.directory()
    return directory.credentials[made.pk], directory


def by_message(api_key, config, *fields: str):
    headers = [tuple(field.split(": ", 1)) for field in fields]
    return submission.submit_message(
        SendMessage(to=[TO], from_=FROM, subject="Hi", plain_body="Hello", headers=headers),
        *api_key,
        client=submission.Client("192.0.2.1"),
        message_uuid="u",
        boundaries=("b1", "b2"),
        config=config,
        now=NOW,
    ).accepted


def by_raw(api_key, config, *fields: str):
    return submission.submit_raw(SendRaw([TO], FROM, raw(*fields)), *api_key).accepted


def by_smtp(api_key, config, *fields: str):
    return submission.submit_smtp(raw(*fields), [TO], *api_key, reverse_path=FROM, received_with_ssl=True)


@pytest.mark.parametrize("submit", [by_message, by_raw, by_smtp])
@pytest.mark.parametrize(
    ("fields", "priority"),
    [
        ((), Priority.TRANSACTIONAL),
        (("Precedence: bulk",), Priority.BULK),
        (("List-Unsubscribe: <https://example.test/u>",), Priority.BULK),
    ],
    ids=["nothing said", "Precedence", "List-Unsubscribe"],
)
def test_bulk_mail_is_queued_as_bulk_however_it_comes(api_key, config, submit, fields, priority):
    acceptance.store([submit(api_key, config, *fields)], NOW)
    assert QueuedMessage.objects.get().priority == priority
