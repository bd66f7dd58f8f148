from __future__ import annotations

import dataclasses
import json
import logging
import sys
from datetime import datetime, timezone
from pathlib import Path

from postal_server import conf
from postal_server.logs import JSONFormatter, TextFormatter
from postal_server.rules.status import CredentialType
from postal_server.services.shared.entries import CredentialEntry, DomainEntry
from postal_server.services.shared.work import Target
from tests.each import each


def formatted(**values) -> dict[str, object]:
    record = logging.makeLogRecord(
        {
            "name": "a.b",
            "levelname": "INFO",
            "msg": "%s: %d",
            "args": ("Grüße\n", 7),
            "created": 0.5,
            **values,
        }
    )
    line = JSONFormatter().format(record)
    assert "\n" not in line
    return json.loads(line)


def test_a_line_is_one_json_object():
    entry = formatted()
    assert entry == {
        "time": "1970-01-01T00:00:00.500+00:00",
        "level": "INFO",
        "logger": "a.b",
        "message": "Grüße\n: 7",
    }


def test_what_a_line_says_in_particular_stands_beside_whatever_its_type():
    entry = formatted(fields={"message_id": 5, "at": datetime(2026, 1, 2, tzinfo=timezone.utc)})
    assert entry["message_id"] == 5
    assert entry["at"] == "2026-01-02 00:00:00+00:00"


def test_an_exception_is_part_of_its_line():
    try:
        raise ValueError("what went wrong")
    except ValueError:
        assert "what went wrong" in str(formatted(exc_info=sys.exc_info())["exception"])


SECRET = "correct horse battery staple"


def test_no_secret_is_in_what_is_printed_of_a_value():
    """Whatever ends up in a message or a traceback, by `repr` or by mistake."""
    given = {
        "main_db": {"password": SECRET},
        "smtp": {"password": SECRET},
        "rspamd": {"password": SECRET},
        "rails": {"secret_key": SECRET},
        "control": {"token": SECRET},
        "storage": {"url": f"postgresql://me:{SECRET}@db/postal"},
        "postal": {"smtp_relays": [f"smtp://me:{SECRET}@relay.example"]},
    }
    credential = CredentialEntry(1, 1, CredentialType.SMTP, "", SECRET, None, False)
    values = {field.name: None for field in dataclasses.fields(DomainEntry)}
    domain = DomainEntry(**{**values, "dkim_private_key": SECRET, "dkim_ed25519_private_key": SECRET})
    for value in (conf.parse(given, {}, Path()), credential, domain, Target("a.example", password=SECRET)):
        assert SECRET not in repr(value)


PRIMARY = 'duplicate key value violates unique constraint "credential_key"'


@each(
    "more",
    [
        f"DETAIL:  Key (key)=({SECRET}) already exists.",
        f"DETAIL:  Failing row contains (1, first line\n\n{SECRET}\nlast line, null).",
        f'CONTEXT:  COPY body, line 1, column raw: "{SECRET}"',
        f"LINE 1: INSERT INTO credential VALUES ('{SECRET}')\n                    ^",
        f"HINT:  Try this.\nQUERY:  SELECT '{SECRET}'",
    ],
    ids=["key", "row", "copy", "statement", "query"],
)
@each("form", [TextFormatter(), JSONFormatter()], ids=["text", "json"])
def test_values_of_rows_are_in_no_line_about_an_error_of_the_database(form, more):
    try:
        try:
            raise ValueError(f"{PRIMARY}\n{more}")
        except ValueError as error:
            raise RuntimeError(f"{PRIMARY}\n{more}") from error
    except RuntimeError as error:
        values = {"msg": "It failed (%s)", "args": (error,), "levelname": "ERROR", "exc_info": sys.exc_info()}
        line = form.format(logging.makeLogRecord(values))
    assert SECRET not in line
    assert line.count("credential_key") == 3  # in the message, and twice in the traceback
    assert "direct cause" in line
