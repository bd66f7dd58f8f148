"""The login of the administration: who guesses passwords waits, and is written down."""

from __future__ import annotations

import logging

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from postal_server import conf
from postal_server.web import login
from postal_server.web.application import CLIENT

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.postal_server.web.site_urls")]

HERE, THERE = "192.0.2.1", "198.51.100.1"


@pytest.fixture(autouse=True)
def ann(monkeypatch, tmp_path, settings):
    """Three wrong passwords are too many. A hash that is quick."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    config = conf.parse({"login": {"max_failures": 3, "max_failures_per_client": 6}}, {}, tmp_path)
    monkeypatch.setattr(conf, "config", lambda: config)
    login.throttle.cache_clear()
    yield User.objects.create_superuser("ann", password="right password")
    login.throttle.cache_clear()


def log_in(name: str, password: str, client: str = HERE):
    return Client().post(reverse("admin:login"), {"username": name, "password": password}, **{CLIENT: client})


def test_too_many_wrong_passwords_are_429_with_the_time_to_wait():
    assert [log_in("ann", f"guess {n}").status_code for n in range(3)] == [200] * 3
    answer = log_in("ann", "right password")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 600
    assert login.TOO_MANY in answer.content.decode()
    assert "_auth_user_id" not in answer.client.session


def test_nothing_tells_an_account_from_none():
    def shown(name: str) -> list:
        answers = [log_in(name, "guess", f"203.0.113.{len(name)}") for _ in range(4)]
        return [
            (a.status_code, a.headers.get("Retry-After"), a.context["form"].non_field_errors())
            for a in answers
        ]

    assert shown("ann") == shown("nobody")


def test_person_logs_in_from_elsewhere_while_somebody_guesses():
    for number in range(5):
        log_in("ann", f"guess {number}")
    assert log_in("ann", "right password", THERE).status_code == 302


def test_right_password_ends_the_count():
    for _ in range(4):
        log_in("ann", "guess")
        assert log_in("ann", "right password").status_code == 302


def test_client_that_tries_many_names_waits():
    assert [log_in(f"user{n}", "guess").status_code for n in range(7)] == [200] * 6 + [429]
    assert log_in("ann", "right password").status_code == 429


def test_throttled_guess_is_not_hashed(monkeypatch):
    for _ in range(3):
        log_in("ann", "guess")
    monkeypatch.setattr(
        "django.contrib.auth.forms.authenticate", lambda *a, **k: pytest.fail("the password was checked")
    )
    assert log_in("ann", "guess").status_code == 429


@pytest.mark.parametrize(("name", "password"), [("ann", ""), ("", "guess")])
def test_form_that_is_not_filled_in_is_no_guess(name, password):
    assert [log_in(name, password).status_code for _ in range(7)] == [200] * 7
    assert log_in("ann", "right password").status_code == 302


def test_wrong_password_is_logged_without_it(caplog):
    caplog.set_level(logging.INFO)
    log_in("ann\r\nfalse line", "my secret guess")
    log_in("ann", "my secret guess")
    assert [record.getMessage() for record in caplog.records if record.name == login.logger.name] == [
        f"Login of 'ann\\r\\nfalse line' failed ({HERE})",
        f"Login of 'ann' failed ({HERE})",
    ]
    assert "secret" not in caplog.text


def test_log_line_has_an_end(caplog):
    log_in("x" * 100_000, "guess")
    [line] = [record.getMessage() for record in caplog.records if record.name == login.logger.name]
    assert len(line) < 200


def test_right_password_of_who_may_not_in_is_no_guess(caplog):
    User.objects.create_user("bob", password="right password")
    assert [log_in("bob", "right password").status_code for _ in range(7)] == [200] * 7


def test_client_without_our_application_is_the_peer():
    for _ in range(3):
        Client(REMOTE_ADDR=HERE).post(reverse("admin:login"), {"username": "ann", "password": "guess"})
    assert log_in("ann", "right password", HERE).status_code == 429
