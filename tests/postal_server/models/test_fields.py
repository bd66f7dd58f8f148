"""Columns for text of peers, which the tests on PostgreSQL try there as well."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from postal_server.models.fields import PeerCharField, PeerTextField
from tests.each import each

HOSTILE = "a\0b\ud83dc\ud83d\ude00\udc00ü"
STORED = "ab\ufffdc😀\ufffdü"
OF_MESSAGES = {"ignored_stream", "mail_from", "message_id", "rcpt_to", "subject", "tag", "threat_details"}
OF_PEERS = {
    "AuditEntry": {"object_name"},
    "CaughtMail": {"mail_from", "rcpt_to", "subject"},
    "Click": {"user_agent"},
    "Delivery": {"details", "diagnostic", "operator", "output", "rule", "tls"},
    "FailureEvidence": {"key"},
    "Incident": {"sample"},
    "Link": {"url"},
    "Load": {"user_agent"},
    "Message": OF_MESSAGES,
    "Report": {
        "action",
        "address",
        "diagnostic",
        "final_recipient",
        "original_recipient",
        "recognizer",
        "remote_mta",
        "reporting_mta",
        "rule",
        "status",
    },
    "ReportMail": OF_MESSAGES,
    "StsPolicy": {"text"},
    "Suppression": {"address", "answer", "code", "ended_by", "key", "text"},
    "TlsResult": {"host", "hosts", "policy", "reason"},
    "WebhookAttempt": {"answer"},
}


def peer_fields():
    for model in apps.get_app_config("postal_server").get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, (PeerTextField, PeerCharField)):
                yield model, field


def test_these_are_the_columns_that_strangers_write():
    found = {}
    for model, field in peer_fields():
        found.setdefault(model.__name__, set()).add(field.name)
    assert found == OF_PEERS


@each("model, field", [pytest.param(m, f, id=str(f)) for m, f in peer_fields()])
def test_the_database_takes_whatever_stands_there(db, model, field):
    with connection.cursor() as cursor:
        cursor.execute("SELECT CAST(%s AS TEXT)", [field.get_db_prep_save(HOSTILE, connection)])
        assert cursor.fetchone() == (STORED,)
    assert not model.objects.filter(**{field.name: HOSTILE}).exists()
    assert field.get_prep_value(None) is None


def test_migrations_do_not_see_them(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
