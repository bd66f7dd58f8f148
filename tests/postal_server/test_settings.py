"""The server's own settings, in a process of their own: Django's pages behind the WSGI application."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, logging, sys
import django
django.setup()
from django.conf import settings
from postal_server import conf
from postal_server.runtime import web
from tests.postal_server.recorded_installation import FakeJournal, call
app = web.create(
    conf.config(), journal=FakeJournal(), directory=lambda: None, resolver=None, problem=lambda: ""
)
answers = {}
for path in json.load(sys.stdin):
    reply = call(app, path, method="GET", headers={"Host": "postal.example.test"})
    headers = {name.lower(): value for name, value in reply.headers}
    answers[path] = [reply.status, headers, reply.body.decode()]
answers["session"] = [settings.SESSION_COOKIE_AGE, settings.SESSION_COOKIE_HTTPONLY]
answers["log"] = [type(handler.formatter).__name__ for handler in logging.getLogger().handlers]
print(json.dumps(answers))
"""
PATHS = ["/", "/admin/login/", "/static/admin/css/base.css", "/static/../settings.py", "/nothing", "/admin/"]


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[str, list]:
    return ask(tmp_path_factory.mktemp("server"), "https")


def ask(root: Path, protocol: str) -> dict[str, list]:
    """What is answered for `PATHS`, by path: status, headers, text."""
    (root / "secret.key").write_text("s" * 50)
    (root / "postal.yml").write_text(
        f"version: 2\npostal: {{web_hostname: postal.example.test, web_protocol: {protocol}}}\n"
    )
    environment = {
        **os.environ,
        "POSTAL_CONFIG_FILE_PATH": str(root / "postal.yml"),
        "DJANGO_SETTINGS_MODULE": "postal_server.settings",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    ran = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", SCRIPT],
        input=json.dumps(PATHS),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/admin/login/", 200),
        ("/static/admin/css/base.css", 200),
        ("/static/../settings.py", 404),
        ("/nothing", 404),
        ("/admin/", 302),
    ],
)
def test_page_has_its_status(answers, path, status) -> None:
    assert answers[path][0] == status


@pytest.mark.parametrize("path", ["/", "/admin/login/", "/nothing"])
def test_page_has_postals_security_headers(answers, path) -> None:
    headers = answers[path][1]
    assert headers["x-frame-options"].lower() == "sameorigin"
    assert headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in headers["content-security-policy"]


def test_login_cookie_is_kept_to_https_and_this_site(answers) -> None:
    cookie = answers["/admin/login/"][1]["set-cookie"]
    assert "Secure" in cookie
    assert "SameSite=Lax" in cookie


def test_pages_over_https_are_to_be_asked_for_over_https_from_then_on(answers, tmp_path) -> None:
    for path in ("/", "/admin/login/", "/nothing"):
        assert answers[path][1]["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in ask(tmp_path, "http")["/"][1]


def test_login_of_an_administrator_lasts_twelve_hours(answers) -> None:
    assert answers["session"] == [12 * 3600, True]


def test_start_page_says_where_things_are(answers) -> None:
    assert "/.well-known/jwks.json" in answers["/"][2]
    assert "/admin/" in answers["/"][2]


def test_log_lines_leave_out_the_values_of_rows(answers):
    assert answers["log"] == ["TextFormatter"]
