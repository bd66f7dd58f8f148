"""`postal-server test-app-smtp`: the notices' way, tried."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from postal_server import conf
from postal_server.services.shared import operator_mail


@pytest.fixture
def configured(tmp_path, monkeypatch):
    def set(mode):
        groups = {
            "delivery": {"mode": mode, "catch_port": 2599, "allowlist": ["qa.example"]},
            "smtp": {"host": "notices.example", "port": 587},
        }
        config = conf.parse(groups, {}, tmp_path)
        monkeypatch.setattr(conf, "config", lambda: config)

    return set


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("catch", "127.0.0.1:2599 (the catch, as delivery.mode is catch) took it.\n"),
        ("allowlist", "127.0.0.1:2599 (the catch, as delivery.mode is allowlist) took it.\n"),
        ("mx", "notices.example:587 took it.\n"),
    ],
)
def test_it_takes_the_way_that_notices_take(configured, monkeypatch, mode, said):
    configured(mode)
    sent = []
    monkeypatch.setattr(operator_mail, "_hand_over", lambda letters, given: sent.append(given))
    out = io.StringIO()
    call_command("test_app_smtp", "ann@example.com", stdout=out)
    assert out.getvalue() == said
    assert [f"{each.host}:{each.port}" for each in sent] == [said.split()[0]]


@pytest.mark.parametrize(
    ("mode", "hint"), [("catch", "Is postal-server running?"), ("mx", "See the keys `smtp`.")]
)
def test_a_failure_says_where_to_look(configured, monkeypatch, mode, hint):
    configured(mode)

    def refuse(mails, given):
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(operator_mail, "send", refuse)
    with pytest.raises(CommandError, match="did not take it: refused") as error:
        call_command("test_app_smtp", "ann@example.com")
    assert hint in str(error.value)
