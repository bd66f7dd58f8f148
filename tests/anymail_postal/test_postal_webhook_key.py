import pytest
import requests
import responses
from django.core.management import CommandError, call_command

from tests.each import each

from .test_signatures import OTHER, PRIVATE, bare, id_of, jwk

URL = "https://postal.example.com/.well-known/jwks.json"


def run(capsys, *arguments):
    call_command("postal_webhook_key", *arguments)
    return capsys.readouterr().out


@responses.activate
def test_key_is_printed_for_the_settings(capsys, settings):
    settings.ANYMAIL = {"POSTAL_API_URL": "https://postal.example.com/"}
    responses.get(URL, json={"keys": [jwk(PRIVATE), jwk(OTHER)]})
    printed = run(capsys)
    for key in (PRIVATE, OTHER):
        assert f'POSTAL_WEBHOOK_KEY = "{bare(key)}"\n' in printed
        assert id_of(key) in printed


@responses.activate
def test_other_server_and_other_url(capsys, settings):
    settings.ANYMAIL = {"POSTAL_SERVERS": {"second": {"webhook_jwks_url": "https://second.example/keys"}}}
    for url in ("https://second.example/keys", "https://third.example/keys"):
        responses.get(url, json={"keys": [jwk(PRIVATE)]})
    assert "from https://second.example/keys" in run(capsys, "--server", "second")
    assert "from https://third.example/keys" in run(capsys, "--url", "https://third.example/keys")


PROBLEMS = {
    "no URL": ({}, [], "POSTAL_API_URL"),
    "unknown server": ({}, ["--server", "no-such"], "no-such"),
    "http": ({}, ["--url", "http://postal.example.com/keys"], "https"),
    "bad setting": ({"POSTAL_WEBHOOK_JWKS_URL": 5}, [], "POSTAL_WEBHOOK_JWKS_URL"),
}


@each("anymail, arguments, why", PROBLEMS.values(), ids=PROBLEMS)
def test_problem_in_the_settings(settings, anymail, arguments, why):
    settings.ANYMAIL = anymail
    with pytest.raises(CommandError, match=why):
        call_command("postal_webhook_key", *arguments)


ANSWERS = {
    "down": ({"body": requests.ConnectionError("refused")}, "No keys at .*refused"),
    "not found": ({"status": 404}, "HTTP status 404"),
    "no JSON": ({"body": b"<html>"}, "No keys at"),
    "no key set": ({"json": {"keys": []}}, "What is at .* is a JWK set without an RSA key"),
}


@responses.activate
@pytest.mark.parametrize(("answer", "why"), ANSWERS.values(), ids=ANSWERS)
def test_answer_without_keys(answer, why):
    responses.get(URL, **answer)
    with pytest.raises(CommandError, match=why):
        call_command("postal_webhook_key", "--url", URL)
