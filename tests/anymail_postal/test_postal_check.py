"""The doctor, against a Postal that answers as the contract says."""

import base64
import json
from contextlib import nullcontext

import django.core.mail
import pytest
import requests
import responses
from anymail.signals import tracking
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from anymail_postal import conf, signals
from anymail_postal.ports import EventReceipt
from anymail_postal.signatures import parse_keys
from tests.anymail_postal.receivers import listening
from tests.anymail_postal.recorded import DKIM_RECORD, KEY_ID

URL = "https://postal.example.com"
JWKS_URL = f"{URL}/.well-known/jwks.json"


@pytest.fixture(autouse=True)
def project(settings):
    settings.ROOT_URLCONF = "tests.anymail_postal.urls"
    settings.DEFAULT_FROM_EMAIL = "App <app@example.com>"
    settings.ANYMAIL = {
        "POSTAL_API_URL": URL,
        "POSTAL_API_KEY": "good-key",
        "POSTAL_RETRIES": 0,
        "POSTAL_WEBHOOK_KEY": DKIM_RECORD,
        "POSTAL_WEBHOOK_SECRET": "user:password",
        "POSTAL_WEBHOOK_ALLOW_SHA1": False,
        "POSTAL_WEBHOOK_MAX_AGE": 7200,
    }
    use_backend(settings, conf.BACKEND)
    return settings


def use_backend(settings, path):
    """Have Django send through this backend; a test runner has replaced the project's."""
    if hasattr(django.core.mail, "mailers"):
        settings.MAILERS = {"default": {"BACKEND": path}}
    else:
        settings.EMAIL_BACKEND = path


def change(settings, **values):
    settings.ANYMAIL = {**settings.ANYMAIL, **{f"POSTAL_{name}": value for name, value in values.items()}}


def key_set(record=DKIM_RECORD):
    """The key of a DKIM record as Postal publishes it."""
    [key] = parse_keys(record)
    numbers = key.rsa.public_numbers()
    modulus = numbers.n.to_bytes((key.rsa.key_size + 7) // 8, "big")
    n = base64.urlsafe_b64encode(modulus).decode().rstrip("=")
    return {"keys": [{"kty": "RSA", "n": n, "e": "AQAB", "use": "sig", "alg": "RS256", "kid": key.id}]}


def error(code):
    return 200, {}, json.dumps({"status": "error", "time": 0, "flags": {}, "data": {"code": code}})


def look_up(request):
    known = request.headers["X-Server-API-Key"] in ("good-key", "eu-key")
    assert json.loads(request.body)["id"] == 0
    return error("MessageNotFound" if known else "InvalidServerAPIKey")


def send_raw(request):
    asked = json.loads(request.body)
    assert asked["rcpt_to"] == []
    if not asked["mail_from"].endswith("@example.com"):
        return error("UnauthenticatedFromAddress")
    return 200, {}, json.dumps({"status": "success", "data": {"message_id": None, "messages": {}}})


@pytest.fixture
def postal():
    with responses.mock as mock:
        mock.add_callback("POST", f"{URL}/api/v1/messages/message", callback=look_up)
        mock.add_callback("POST", f"{URL}/api/v1/send/raw", callback=send_raw)
        mock.add("GET", JWKS_URL, json=key_set())
        yield mock


@pytest.fixture
def doctor(capsys):
    """Run it, and return whether all is well, and what it said."""

    def run(**options):
        try:
            call_command("postal_check", no_color=True, **options)
            well = True
        except CommandError:
            well = False
        return well, capsys.readouterr().out

    return run


def test_a_good_set_up(postal, doctor):
    well, said = doctor()
    assert well
    assert said.splitlines() == [
        "  ok    settings: the system checks find nothing",
        "Server 'default':",
        f"  ok    public keys: {KEY_ID[:12]}... is pinned, 1024 bits",
        f"  ok    public keys: {KEY_ID[:12]}... is published at {JWKS_URL}",
        "  ok    API: https://postal.example.com knows the key",
        "  ok    API: mail may be sent from app@example.com",
        "  ok    webhooks: the path for Postal's Webhooks is /anymail/postal/tracking/",
        "  ok    webhooks: the path for Postal's HTTP endpoints is /anymail/postal/inbound/",
        "  ok    webhooks: requests with incoming mail may have 52428800 bytes",
    ]


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("catch", "note  delivery: the server catches all mail: none reaches its recipients"),
        ("allowlist", "note  delivery: the server sends mail only to the recipients of its allowlist"),
        ("mx", "ok    delivery: the server sends mail (delivery.mode: mx)"),
    ],
)
def test_whether_the_server_delivers_mail_is_said(postal, doctor, mode, line):
    postal.add("GET", f"{URL}/ready", body=f"OK\ndelivery.mode: {mode}")
    well, said = doctor()
    assert well
    assert line in said
    assert f"(delivery.mode: {mode})" in said
    assert said.count("delivery.mode") == 1
    assert ("may accept senders that it will refuse later" in said) == (mode == "catch")


COMPLAINED = EventReceipt("default", "k1", "MessageComplained", "complained")
SENT = EventReceipt("default", "k2", "MessageSent", "delivered")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("receipts", "signal", "is_noted"),
    [
        ([SENT], tracking, True),
        ([SENT], signals.suppression_changed, True),
        ([SENT, COMPLAINED], tracking, False),
        ([SENT], None, False),
        ([], tracking, False),
    ],
)
def test_events_that_never_came_are_noted_if_somebody_waits_for_them(
    postal, doctor, receipts, signal, is_noted
):
    for receipt in receipts:
        with conf.store().receive(receipt):
            pass
    with listening(signal) if signal else nullcontext():
        well, said = doctor()
    assert well
    assert ("note  webhooks: no complaint, automatic reply" in said) == is_noted


@pytest.mark.parametrize(("signal", "is_noted"), [(signals.suppression_changed, True), (tracking, False)])
def test_without_the_store_only_certain_receivers_are_noted(postal, doctor, settings, signal, is_noted):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != conf.STORE_APP]
    with listening(signal):
        well, said = doctor()
    assert well
    assert ("note  webhooks: suppression_changed has receivers, only postal_server" in said) == is_noted


@pytest.mark.django_db
def test_store_that_cannot_be_read_fails(postal, doctor, monkeypatch):
    def fail(*arguments):
        raise DatabaseError("no such table")

    monkeypatch.setattr(type(conf.store()), "event_names", fail)
    with listening(tracking):
        well, said = doctor()
    assert not well
    assert "FAIL  webhooks: the store cannot be read, run migrate: no such table" in said


def test_bad_settings_fail_and_notes_do_not(postal, doctor, settings):
    change(settings, WEBHOOK_MAX_AGE=None)
    well, said = doctor()
    assert well
    assert "  note  settings: POSTAL_WEBHOOK_MAX_AGE is not set" in said
    assert "(anymail_postal.I002)" in said
    change(settings, RETRIES=99)
    well, said = doctor()
    assert not well
    assert "(anymail_postal.E012)" in said


@pytest.mark.parametrize(
    ("path", "well", "said"),
    [
        ("django.core.mail.backends.console.EmailBackend", True, "note  settings: Django's mail does not go"),
        ("anymail_postal.EmailBackend", False, "FAIL  settings: there is no e-mail backend"),
        ("anymail_postal.backend.EmailBakend", False, "FAIL  settings: there is no e-mail backend"),
    ],
)
def test_it_tells_whether_django_sends_through_us(postal, doctor, settings, path, well, said):
    use_backend(settings, path)
    found, printed = doctor()
    assert found is well
    assert said in printed


def verdict(**options):
    with pytest.raises(CommandError) as error:
        call_command("postal_check", no_color=True, **options)
    return str(error.value)


class TestCount:
    """What is wrong is counted by its causes, not by all that fails for it."""

    def test_one_thing(self, postal, settings):
        change(settings, API_KEY="bad-key")
        assert verdict() == "1 thing is wrong."

    def test_two_things(self, postal):
        assert verdict(senders=["a@b.example", "c@d.example"]) == "2 things are wrong."

    def test_a_bad_setting_is_one_thing_wherever_it_is_missed(self, postal, settings, capsys):
        change(settings, API_URL="postal.example.com", WEBHOOK_KEY=None, WEBHOOK_JWKS_URL=True)
        assert verdict() == "1 thing is wrong."
        assert "FAIL  API: POSTAL_API_URL must be a URL" in capsys.readouterr().out

    def test_a_server_that_cannot_be_reached_is_one_thing(self, settings, capsys):
        change(settings, WEBHOOK_KEY=None, WEBHOOK_JWKS_URL=True)
        with responses.mock as nothing:
            nothing.add("GET", JWKS_URL, body=requests.ConnectionError("refused"))
            nothing.add("POST", f"{URL}/api/v1/messages/message", body=requests.ConnectionError("refused"))
            assert verdict() == "1 thing is wrong."
        assert f"FAIL  public keys: {JWKS_URL} cannot be read" in capsys.readouterr().out

    def test_a_url_that_is_not_postals_is_one_thing(self, settings):
        change(settings, WEBHOOK_KEY=None, WEBHOOK_JWKS_URL=True)
        with responses.mock as other:
            other.add("GET", JWKS_URL, status=404)
            other.add("POST", f"{URL}/api/v1/messages/message", status=404, body="<html>")
            assert verdict() == "1 thing is wrong."

    def test_keys_alone_that_cannot_be_reached_are_one_thing(self, postal, settings):
        change(settings, WEBHOOK_KEY=None, WEBHOOK_JWKS_URL=True)
        postal.replace("GET", JWKS_URL, body=requests.ConnectionError("refused"))
        assert verdict() == "1 thing is wrong."


class TestKeys:
    def test_another_key_than_the_pinned_one_fails(self, postal, doctor, settings):
        change(settings, WEBHOOK_KEY=other_key())
        well, said = doctor()
        assert not well
        assert f"FAIL  public keys: {JWKS_URL} has the key {KEY_ID[:12]}..., which is not pinned" in said

    def test_a_key_set_is_fetched(self, postal, doctor, settings):
        change(settings, WEBHOOK_KEY=None, WEBHOOK_JWKS_URL=True)
        well, said = doctor()
        assert well
        assert f"ok    public keys: {KEY_ID[:12]}... is published at {JWKS_URL}" in said

    @pytest.mark.parametrize(("status", "body"), [(500, "no"), (200, "<html>"), (200, '{"keys": 5}')])
    def test_a_key_set_that_cannot_be_had_fails(self, postal, doctor, settings, status, body):
        postal.replace("GET", JWKS_URL, status=status, body=body)
        change(settings, WEBHOOK_KEY=None, WEBHOOK_JWKS_URL=True)
        well, said = doctor()
        assert not well
        assert f"FAIL  public keys: {JWKS_URL} cannot be read" in said

    def test_it_is_not_needed_with_a_pinned_key(self, postal, doctor):
        postal.replace("GET", JWKS_URL, status=404)
        well, said = doctor()
        assert well
        assert f"note  public keys: {JWKS_URL} cannot be read" in said

    def test_a_key_that_is_none_fails(self, postal, doctor, settings):
        change(settings, WEBHOOK_KEY="nonsense")
        well, said = doctor()
        assert not well
        assert "FAIL  public keys: POSTAL_WEBHOOK_KEY" in said

    def test_a_project_that_only_sends_needs_none(self, postal, doctor, settings):
        settings.ROOT_URLCONF = None
        change(settings, WEBHOOK_KEY=None)
        well, said = doctor()
        assert well
        assert "note  public keys: none are set" in said
        assert "note  webhooks: there is no URL for tracking requests" in said

    def test_a_project_that_only_receives_needs_no_api(self, postal, doctor, settings):
        change(settings, API_URL=None, API_KEY=None)
        use_backend(settings, "django.core.mail.backends.smtp.EmailBackend")
        well, said = doctor()
        assert well
        assert "note  API: neither key nor URL is set" in said


class TestAPI:
    def test_an_unknown_key_fails(self, postal, doctor, settings):
        change(settings, API_KEY="bad-key")
        well, said = doctor()
        assert not well
        assert "FAIL  API: Postal does not know the key" in said
        assert "bad-key" not in said

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            ({"body": requests.ConnectionError("refused")}, "refused"),
            ({"body": "<html>", "status": 502}, "502"),
            ({"json": {"status": "error", "data": {"code": "ServerSuspended"}}}, "ServerSuspended"),
        ],
        ids=["unreachable", "proxy", "suspended"],
    )
    def test_a_postal_in_trouble_fails(self, postal, doctor, answer, text):
        postal.remove("POST", f"{URL}/api/v1/messages/message")
        postal.add("POST", f"{URL}/api/v1/messages/message", **answer)
        well, said = doctor()
        assert not well
        assert "FAIL  API: " in said
        assert text in said

    def test_a_missing_url_fails(self, postal, doctor, settings):
        change(settings, API_URL=None)
        well, said = doctor()
        assert not well
        assert "FAIL  API: " in said
        assert "POSTAL_API_URL" in said

    def test_senders_are_asked_about_one_by_one(self, postal, doctor):
        well, said = doctor(senders=["Ann <ann@example.com>", "eve@elsewhere.example"])
        assert not well
        assert "ok    API: mail may be sent from ann@example.com" in said
        assert "FAIL  API: mail from eve@elsewhere.example is refused" in said
        assert "the domain elsewhere.example in Postal" in said

    def test_a_sender_that_is_not_one_address_fails(self, postal, doctor):
        well, said = doctor(senders=["Doe, Jane <jane@example.com>"])
        assert not well
        assert "FAIL  API: mail from 'Doe, Jane <jane@example.com>' cannot be sent: " in said

    def test_a_quoted_name_is_no_address(self, postal, doctor):
        well, said = doctor(senders=['"Doe, eve@elsewhere.example" <jane@example.com>'])
        assert well
        assert "ok    API: mail may be sent from jane@example.com" in said

    def test_the_sender_of_error_reports_is_asked_about_where_they_are_sent(self, postal, doctor, settings):
        settings.SERVER_EMAIL = "root@localhost"
        assert doctor()[0]
        settings.ADMINS = ["ann@example.com"]
        well, said = doctor()
        assert not well
        assert "ok    API: mail may be sent from app@example.com" in said
        assert "FAIL  API: mail from root@localhost is refused" in said

    def test_an_unclear_answer_about_a_sender_fails(self, postal, doctor):
        postal.remove("POST", f"{URL}/api/v1/send/raw")
        postal.add("POST", f"{URL}/api/v1/send/raw", status=500)
        well, said = doctor()
        assert not well
        assert "FAIL  API: cannot find out whether mail may be sent from app@example.com" in said


class TestServers:
    @pytest.fixture(autouse=True)
    def two(self, settings):
        change(settings, SERVERS={"eu": {"api_key": "eu-key"}})

    def test_all_are_looked_at(self, postal, doctor):
        well, said = doctor()
        assert well
        assert said.count("knows the key") == 2
        assert "/anymail/postal/eu/tracking/" in said

    def test_one_can_be_chosen(self, postal, doctor):
        well, said = doctor(server="eu")
        assert well
        assert "Server 'default'" not in said
        keys = [call.request.headers.get("X-Server-API-Key") for call in postal.calls]
        assert set(keys) == {None, "eu-key"}

    def test_an_unknown_one_is_an_error(self):
        with pytest.raises(CommandError, match="no Postal server 'us'"):
            call_command("postal_check", server="us")


@pytest.mark.parametrize(
    ("urls", "path"),
    [("both_urls", "/postal/postal/tracking/"), ("anymail_urls", None)],
    ids=["ours beside Anymail's", "only Anymail's"],
)
def test_only_our_own_views_count(postal, doctor, settings, urls, path):
    settings.ROOT_URLCONF = f"tests.anymail_postal.{urls}"
    _, said = doctor()
    if path:
        assert f"the path for Postal's Webhooks is {path}" in said
    else:
        assert "note  webhooks: there is no URL for tracking requests" in said


def test_it_explains_itself(capsys):
    with pytest.raises(SystemExit):
        call_command("postal_check", "--help")
    assert "--from ADDRESS" in capsys.readouterr().out


def other_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()
