"""Every system check: when it speaks, when it is silent, and that it says what to do."""

import subprocess
import sys
from types import ModuleType

import django
import django.core.mail
import pytest
import requests
import responses
from anymail.urls import urlpatterns as anymail_urlpatterns
from django.core.checks import Error, Info, Warning, run_checks
from django.db import OperationalError
from django.test import modify_settings, override_settings
from django.urls import include, path
from django.views import View

from anymail_postal import checks, conf
from anymail_postal.webhooks import PostalTrackingWebhookView
from tests.anymail_postal.recorded import DKIM_RECORD as PUBLIC_KEY
from tests.each import each

OURS = path("anymail/", include("anymail_postal.urls"))
OURS_NAMED = path("anymail/", include("anymail_postal.urls", namespace="anymail_postal"))
ANYMAIL = path("anymail/", include("anymail.urls"))
HAS_MAILERS = hasattr(django.core.mail, "mailers")


def registry_without_its_table(name):
    raise OperationalError("no such table: tenants")


@pytest.fixture
def project(settings, request):
    """Configure a project: ANYMAIL's Postal settings in lower case, and its URL patterns."""

    def configure(*urlpatterns, store=True, **values):
        settings.ANYMAIL = {f"POSTAL_{name.upper()}": value for name, value in values.items()}
        urls = ModuleType("urls_of_the_project")
        urls.urlpatterns = list(urlpatterns)
        settings.ROOT_URLCONF = urls
        if not store:
            without = modify_settings(INSTALLED_APPS={"remove": "anymail_postal.contrib.store"})
            without.enable()
            request.addfinalizer(without.disable)

    return configure


def found(deploy=False):
    """The ids of the messages, without their prefix."""
    function = checks.check_deployment if deploy else checks.check_settings
    messages = function()
    for message in messages:
        assert message.hint
        assert message.id.startswith("anymail_postal.")
        kind = {"E": Error, "W": Warning, "I": Info}[message.id.removeprefix("anymail_postal.")[0]]
        assert type(message) is kind
    return [message.id.removeprefix("anymail_postal.") for message in messages]


def test_the_checks_are_registered(settings):
    settings.ANYMAIL = {"POSTAL_API": "both"}
    assert "anymail_postal.E003" in [message.id for message in run_checks(tags=["anymail_postal"])]


def test_a_project_that_configures_nothing_hears_nothing(project):
    project()
    assert found() == []
    assert found(deploy=True) == []


def test_a_good_project_hears_nothing(project):
    project(
        OURS,
        api_key="key",
        api_url="https://postal.example.com",
        webhook_key=PUBLIC_KEY,
        webhook_secret="user:password",
        webhook_allow_sha1=False,
        webhook_max_age=7200,
        strip_replies=True,
    )
    assert found() == []
    assert found(deploy=True) == []


BAD_VALUES = {
    "E001": {"api_key": "line\nbreak"},
    "E002": {"api_url": "postal.example.com"},
    "E003": {"api": "both"},
    "E004": {"servers": {"Upper Case": {}}},
    "E004 unknown key": {"servers": {"eu": {"colour": "blue"}}},
    "E005": {"server_registry": "no.such.module"},
    "E006": {"webhook_key": 5},
    "E006 no key": {"webhook_key": "not a key"},
    "E006 http": {"webhook_key": "http://postal.example.com/keys"},
    "E008": {"webhook_jwks_url": "http://postal.example.com/.well-known/jwks.json"},
    "E008 no URL below which it is": {"webhook_jwks_url": True},
    "E002 below which a key set is": {"api_url": "postal.example.com", "webhook_jwks_url": True},
    "E009": {"webhook_max_age": -1},
    "E009 dedupe": {"webhook_dedupe": "yes"},
    "E009 ttl": {"webhook_dedupe_ttl": None},
    "E009 dispatch": {"webhook_dispatch": "no.such.callable"},
    "E012": {"retries": 11},
    "E012 tag separator": {"tag_separator": ""},
    "E012 secret without a user": {"webhook_secret": "justpassword"},
    "E013": {"reply_domain": "@"},
    "E013 local part": {"reply_local_part": "Reply"},
    "E014": {"secret_key": "short"},
    "E015": {"webhok_key": PUBLIC_KEY},
    "W001": {"api_url": "http://postal.example.com"},
    "W003": {"webhook_max_age": 2399},
    "W006": {"inbound_max_bytes": 20971519},
}


@each("case", BAD_VALUES)
def test_a_bad_value_is_reported(project, case):
    project(**BAD_VALUES[case])
    assert found() == [case.split()[0]]


@each(
    "values",
    [
        {"api_url": "http://localhost:5000"},
        {"api_url": "http://127.0.0.1:5000"},
        {"webhook_max_age": 2400},
        {"webhook_max_age": None},
        {"inbound_max_bytes": 20971520},
        {"webhook_jwks_url": True, "api_url": "https://postal.example.com"},
        {"webhook_jwks_url": "http://localhost:5000/keys"},
        {"webhook_key": [PUBLIC_KEY, "https://postal.example.com/keys"]},
    ],
    ids=str,
)
def test_a_good_value_is_not(project, values):
    project(**values)
    assert found() == []


def test_a_bad_value_of_a_server_names_it(project):
    project(servers={"eu": {"api_url": "http://postal.example.com"}})
    [message] = checks.check_settings()
    assert message.id == "anymail_postal.W001"
    assert "POSTAL_SERVERS['eu']['api_url']" in message.msg


def test_one_bad_value_used_by_several_servers_is_reported_once(project):
    project(inbound_max_bytes="x", servers={"eu": {"api_key": "a"}, "us": {"api_key": "b"}})
    assert found() == ["E012"]


@pytest.mark.parametrize("value", ["justpassword", ["user:password", "justpassword"]])
def test_a_secret_that_no_request_can_carry_is_reported_where_it_is_written(project, settings, value):
    project()
    settings.ANYMAIL = {"WEBHOOK_SECRET": value}
    [message] = checks.check_settings()
    assert message.id == "anymail_postal.E012"
    assert message.msg.startswith("WEBHOOK_SECRET must be 'user:password'")


@pytest.mark.parametrize(
    ("where", "name", "said", "meant"),
    [
        ("ANYMAIL", "POSTAL_WEBHOK_KEY", "ANYMAIL['POSTAL_WEBHOK_KEY']", "ANYMAIL['POSTAL_WEBHOOK_KEY']"),
        ("ANYMAIL", "POSTAL_STRIP_REPLY", "ANYMAIL['POSTAL_STRIP_REPLY']", "ANYMAIL['POSTAL_STRIP_REPLIES']"),
        ("ANYMAIL", "postal_api_key", "ANYMAIL['postal_api_key']", "ANYMAIL['POSTAL_API_KEY']"),
        ("ANYMAIL", "WEBHOK_SECRET", "ANYMAIL['WEBHOK_SECRET']", "ANYMAIL['WEBHOOK_SECRET']"),
        ("ANYMAIL", "POSTAL_COLOUR_OF_X", "ANYMAIL['POSTAL_COLOUR_OF_X']", "The documentation lists"),
        ("settings", "ANYMAIL_POSTAL_API_URI", "ANYMAIL_POSTAL_API_URI", "ANYMAIL_POSTAL_API_URL"),
        ("settings", "POSTAL_WEBHOK_KEY", "POSTAL_WEBHOK_KEY", "POSTAL_WEBHOOK_KEY"),
    ],
)
def test_a_name_that_nothing_reads_is_reported_with_the_one_that_was_meant(
    project, settings, where, name, said, meant
):
    project()
    if where == "ANYMAIL":
        settings.ANYMAIL = {name: "x"}
    else:
        setattr(settings, name, "x")
    [message] = checks.check_settings()
    assert message.id == "anymail_postal.E015"
    assert message.msg.startswith(f"{said} is not a setting")
    assert meant in message.hint


def test_names_of_others_are_not_reported(project, settings):
    project()
    settings.ANYMAIL = {
        "MAILGUN_API_KEY": "x",
        "SEND_DEFAULTS": {},
        "POSTAL_SEND_DEFAULTS": {"tags": ["a"]},
        "POSTMARK_SERVER_TOKEN": "x",
        "WEBHOOK_SECRET": "user:password",
    }
    settings.POSTAL_CODE_PATTERN = "x"
    assert found() == []


def test_a_setting_at_the_root_that_is_read_nowhere_is_reported(project, settings):
    project()
    settings.POSTAL_REPLY_SENDER_CHECK = "require"
    [message] = checks.check_settings()
    assert message.id == "anymail_postal.W008"
    assert message.msg.startswith("POSTAL_REPLY_SENDER_CHECK is not read at the root")
    assert "ANYMAIL['POSTAL_REPLY_SENDER_CHECK']" in message.hint


@each(
    "read",
    [
        {"ANYMAIL": {"POSTAL_API_URL": "https://postal.example.com"}},
        {"ANYMAIL_POSTAL_API_URL": "https://postal.example.com"},
        {"ANYMAIL": {"POSTAL_SERVERS": {"eu": {"api_url": "https://postal.example.com"}}}},
        {"ANYMAIL": {"POSTAL_SERVER_REGISTRY": "tests.anymail_postal.test_checks.no_server"}},
    ],
    ids=str,
)
def test_a_setting_at_the_root_that_may_come_from_there_is_not(project, settings, read):
    project()
    settings.POSTAL_API_URL = "https://postal.example.com"  # from the environment, say
    for name, value in read.items():
        setattr(settings, name, value)
    assert "W008" not in found()


@pytest.mark.filterwarnings("ignore:The EMAIL_BACKEND setting is deprecated")
class TestSending:
    @each(
        "values, ids",
        [
            ({}, ["E001", "E002"]),
            ({"api_key": "key"}, ["E002"]),
            ({"api_url": "https://postal.example.com"}, ["E001"]),
            ({"api_key": "key", "api_url": "https://postal.example.com"}, []),
            ({"api_key": 5, "api_url": "https://postal.example.com"}, ["E001"]),
        ],
    )
    def test_key_and_url_are_missed_where_mail_is_sent(self, project, values, ids):
        project(**values)
        with override_settings(EMAIL_BACKEND="anymail_postal.backend.EmailBackend"):
            assert found() == ids

    @pytest.mark.parametrize("deploy", [False, True])
    def test_a_registry_which_may_know_them_is_not_asked(self, project, deploy):
        # Checks run before `migrate`: a registry of tenants has no table yet.
        project(OURS, server_registry=f"{__name__}.registry_without_its_table", store=False)
        with override_settings(EMAIL_BACKEND="anymail_postal.backend.EmailBackend"):
            assert found(deploy) == []

    def test_not_where_another_backend_sends(self, project):
        project()
        with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
            assert found() == []

    @pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
    def test_mailers_are_looked_at_one_by_one(self, project):
        project(api_url="https://postal.example.com")
        ours = "anymail_postal.backend.EmailBackend"
        with override_settings(
            MAILERS={
                "default": {"BACKEND": ours, "OPTIONS": {"api_key": "key"}},
                "bulk": {"BACKEND": ours},
                "other": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"},
            }
        ):
            [message] = checks.check_settings()
        assert message.id == "anymail_postal.E001"
        assert "the server 'bulk'" in message.msg

    @pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
    def test_unknown_options_of_mailers_are_reported(self, project):
        project(api_key="key", api_url="https://postal.example.com")
        backend = "anymail_postal.backend.EmailBackend"
        with override_settings(MAILERS={"default": {"BACKEND": backend, "OPTIONS": {"colour": "blue"}}}):
            assert found() == ["E004"]


class TestParts:
    NEED_STORE = [
        {"metadata": "store"},
        {"send_at": "store"},
        {"suppression": "store"},
        {"webhook_dedupe": "store"},
        {"webhook_dispatch": "tests.anymail_postal.test_checks.found"},
    ]

    @each("values", NEED_STORE, ids=str)
    def test_what_needs_the_store_says_so(self, project, values):
        project(store=False, **values)
        assert found() == ["E010"]

    @each("values", NEED_STORE, ids=str)
    def test_with_the_store_all_is_well(self, project, values):
        project(**values)
        assert found() == []

    @pytest.mark.parametrize(("version", "ids"), [((5, 2), ["E010"]), ((6, 0), [])], ids=str)
    def test_tasks_need_django_6(self, project, monkeypatch, version, ids):
        project(webhook_dispatch="task")
        monkeypatch.setattr(django, "VERSION", version)
        assert found() == ids

    def test_cryptography_is_missed_before_all_else(self, project, monkeypatch):
        project(OURS, api="both")
        monkeypatch.setattr(checks, "find_spec", lambda name: None)
        assert found() == ["E003", "E011"]


class TestKeySources:
    @each(
        "values",
        [
            {"webhook_key": PUBLIC_KEY},
            {"webhook_jwks_url": "https://postal.example.com/keys"},
            {"servers": {"eu": {"webhook_key": PUBLIC_KEY}}},
            {"server_registry": "tests.anymail_postal.test_checks.found"},
        ],
        ids=["key", "JWKS", "named server", "registry"],
    )
    def test_a_key_for_any_server_is_enough(self, project, values):
        if "server_registry" in values:
            values = {"server_registry": "tests.anymail_postal.test_checks.no_server"}
        project(OURS, **values)
        assert found() == []

    def test_webhooks_without_any_key_are_an_error(self, project):
        project(OURS)
        assert found() == ["E007"]

    def test_a_subclass_counts_too(self, project):
        class OwnView(PostalTrackingWebhookView):
            pass

        project(path("hook/", OwnView.as_view()))
        assert found() == ["E007"]

    def test_a_key_in_the_urls_counts(self, project):
        project(path("hook/", PostalTrackingWebhookView.as_view(webhook_key=PUBLIC_KEY)))
        assert found() == []

    def test_without_webhooks_no_key_is_missed(self, project):
        project(path("", View.as_view()), path("anymail/", include(([], "anymail"))))
        assert found() == []

    def test_without_urls_no_key_is_missed(self, settings):
        settings.ANYMAIL = {}
        settings.ROOT_URLCONF = None
        assert found() == []


def no_server(name):
    return None


@each(
    "urlpatterns, ids",
    [
        ([OURS], []),
        ([ANYMAIL], []),
        ([OURS_NAMED, ANYMAIL], []),
        ([ANYMAIL, OURS_NAMED], ["W007"]),
        ([OURS, ANYMAIL], ["W007"]),
        ([path("mail/", include([OURS_NAMED])), path("other/", include([ANYMAIL]))], []),
    ],
    ids=["ours", "theirs", "ours first, named", "theirs first", "one namespace", "nested"],
)
def test_the_order_of_includes_is_checked(project, urlpatterns, ids):
    project(*urlpatterns, webhook_key=PUBLIC_KEY)
    assert found() == ids


def test_views_of_other_services_do_not_matter(project):
    others = [each for each in anymail_urlpatterns if "postal" not in str(each.pattern)]
    project(path("anymail/", include((others, "anymail"))), OURS, webhook_key=PUBLIC_KEY)
    assert found() == []


class TestDeployment:
    GOOD = {
        "webhook_key": PUBLIC_KEY,
        "webhook_secret": "user:password",
        "webhook_allow_sha1": False,
        "webhook_max_age": 7200,
    }

    @each(
        "values, ids",
        [
            ({}, []),
            ({"webhook_secret": None}, ["W005"]),
            ({"webhook_secret": []}, ["W005"]),
            ({"webhook_allow_sha1": True}, ["I001"]),
            ({"webhook_max_age": None}, ["I002"]),
            ({"webhook_dedupe": "cache"}, ["W004"]),
            ({"webhook_dedupe": "off"}, []),
        ],
    )
    def test_what_strangers_could_use_is_reported(self, project, values, ids):
        project(OURS, **{**self.GOOD, **values})
        assert found(deploy=True) == ids
        assert found() == []

    def test_the_defaults_are_reported(self, project):
        project(OURS, webhook_key=PUBLIC_KEY)
        assert found(deploy=True) == ["W005", "I001", "I002"]

    @pytest.mark.parametrize(
        ("backend", "ids"),
        [
            ("django.core.cache.backends.locmem.LocMemCache", ["W004"]),
            ("django.core.cache.backends.dummy.DummyCache", ["W004"]),
            ("django.core.cache.backends.db.DatabaseCache", []),
        ],
    )
    def test_without_the_store_the_cache_must_be_shared(self, project, settings, backend, ids):
        project(OURS, store=False, **self.GOOD)
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "x"}}
        assert found(deploy=True) == ids

    def test_anymails_secret_is_one_too(self, project, settings):
        project(OURS, webhook_key=PUBLIC_KEY, webhook_allow_sha1=False, webhook_max_age=7200)
        settings.ANYMAIL = {**settings.ANYMAIL, "WEBHOOK_SECRET": "user:password"}
        assert found(deploy=True) == []

    def test_a_secret_in_the_urls_is_one_too(self, project):
        view = PostalTrackingWebhookView.as_view(webhook_secret="user:password")
        project(path("hook/", view), **{**self.GOOD, "webhook_secret": None})
        assert found(deploy=True) == []

    def test_only_servers_that_receive_are_looked_at(self, project):
        project(OURS, servers={"eu": self.GOOD, "bulk": {"api_key": "key"}})
        assert found(deploy=True) == []

    def test_each_server_is_named(self, project):
        project(OURS, servers={"eu": {**self.GOOD, "webhook_secret": ()}})
        [message] = checks.check_deployment()
        assert "POSTAL_SERVERS['eu']['webhook_secret']" in message.msg

    def test_what_servers_share_is_reported_once(self, project):
        eu = {"webhook_key": PUBLIC_KEY, "api_key": "key"}
        project(OURS, **{**self.GOOD, "webhook_max_age": None, "servers": {"eu": eu}})
        assert found(deploy=True) == ["I002"]

    def test_without_webhooks_nothing_is_exposed(self, project):
        project(webhook_key=PUBLIC_KEY)
        assert found(deploy=True) == []

    def test_unreadable_servers_do_not_raise(self, project):
        project(OURS, servers=5)
        assert found() == ["E004"]
        assert found(deploy=True) == []

    def test_bad_values_do_not_raise(self, project):
        project(OURS, webhook_key=PUBLIC_KEY, webhook_dedupe="x", webhook_secret=5, webhook_max_age="x")
        assert set(found()) == {"E009", "E012"}
        assert found(deploy=True) == ["I001", "I002"]


class TestDelivery:
    """With `check --deploy`, the servers are asked if they deliver mail."""

    URL = "https://postal.example.com"

    @pytest.fixture(autouse=True)
    def sending(self, project, settings):
        project(api_url=self.URL, api_key="key")
        use_backend(settings, conf.BACKEND)

    @responses.activate
    @pytest.mark.parametrize(
        ("mode", "says"),
        [
            ("catch", "catches all mail: none reaches its recipients (delivery.mode: catch)"),
            ("allowlist", "and catches all other mail (delivery.mode: allowlist)"),
        ],
    )
    def test_a_server_that_catches_mail_is_reported(self, mode, says):
        responses.get(f"{self.URL}/ready", body=f"OK\ndelivery.mode: {mode}")
        [message] = checks.check_delivery()
        assert (message.id, type(message)) == ("anymail_postal.W009", Warning)
        assert message.msg.startswith("POSTAL_API_URL names a server that ")
        assert says in message.msg
        assert "delivery.mode to mx or relays" in message.hint

    @responses.activate
    @pytest.mark.parametrize(
        "answer",
        [
            {"body": "OK\ndelivery.mode: mx"},
            {"body": "OK\ndelivery.mode: relays\n"},
            {"body": "OK\ndelivery.mode: something_new"},
            {"body": "OK"},
            {"body": "<html>\ndelivery.mode: catch"},
            {"body": "delivery.mode: catch", "status": 503},
            {"status": 302, "headers": {"Location": "https://postal.example.com/login"}},
            {"body": "<html>Not found", "status": 404},
            {"body": requests.ConnectionError("refused")},
            {"body": requests.Timeout("too slow")},
            {"body": b"\xff" * 100_000},
        ],
        ids=lambda answer: str(answer)[:40],
    )
    def test_others_and_those_that_do_not_say_are_not(self, answer):
        responses.get(f"{self.URL}/ready", **answer)
        assert checks.check_delivery() == []
        assert len(responses.calls) == 1

    @responses.activate
    def test_a_project_in_development_does_not_ask(self, settings):
        settings.DEBUG = True
        assert checks.check_delivery() == []
        assert len(responses.calls) == 0

    @responses.activate
    def test_nor_does_one_that_sends_by_another_backend(self, settings):
        use_backend(settings, "django.core.mail.backends.dummy.EmailBackend")
        assert checks.check_delivery() == []
        assert len(responses.calls) == 0

    @responses.activate
    def test_each_server_is_asked_once(self, project):
        responses.get(f"{self.URL}/ready", body="OK\ndelivery.mode: mx")
        responses.get("https://staging.example.com/ready", body="OK\ndelivery.mode: allowlist")
        named = {"eu": {"api_url": "https://staging.example.com"}, "us": {"api_url": self.URL}}
        project(api_url=self.URL, api_key="key", servers=named)
        [message] = checks.check_delivery()
        assert message.msg.startswith("POSTAL_SERVERS['eu']['api_url'] names")
        assert len(responses.calls) == 2

    @responses.activate
    def test_bad_urls_do_not_raise(self, project):
        project(api_url="no url", api_key="key")
        assert checks.check_delivery() == []

    @pytest.mark.django_db  # Django's checks of models ask the database what it can do
    @responses.activate
    def test_an_ordinary_check_does_not_use_the_network(self):
        run_checks()
        assert len(responses.calls) == 0
        run_checks(include_deployment_checks=True)
        assert len(responses.calls) == 1


def use_backend(settings, path):
    if HAS_MAILERS:
        settings.MAILERS = {"default": {"BACKEND": path}}
    else:
        settings.EMAIL_BACKEND = path


def test_without_the_app_nothing_is_checked_and_all_else_works():
    code = """
import django
from django.conf import settings
settings.configure(ANYMAIL={"POSTAL_API": "both"}, SECRET_KEY="s" * 40)
django.setup()
from django.core.checks import run_checks
assert not [each for each in run_checks() if "anymail_postal" in each.id]
import sys
import anymail_postal.backend, anymail_postal.urls
assert not [name for name in sys.modules if name.startswith("anymail_postal.contrib")]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
