"""The backend in a Django project: EMAIL_BACKEND with ANYMAIL, and MAILERS of Django 6.1."""

from __future__ import annotations

import io
import warnings
from datetime import timedelta
from typing import Any

import django.core.mail
import pytest
from anymail.exceptions import AnymailConfigurationError
from anymail.message import AnymailMessage
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from anymail_postal import conf
from anymail_postal.backend import EmailBackend

from .answers import KEY, URL, FakePostal

BACKEND = "anymail_postal.backend.EmailBackend"
has_mailers = hasattr(django.core.mail, "mailers")
needs_mailers = pytest.mark.skipif(not has_mailers, reason="MAILERS came with Django 6.1")


@pytest.fixture
def postal(monkeypatch: pytest.MonkeyPatch) -> FakePostal:
    monkeypatch.setattr(conf, "store", lambda: None)
    return FakePostal().install(monkeypatch)


@pytest.fixture
def classic(settings: Any) -> None:
    """A project that changed nothing but the path in EMAIL_BACKEND."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Django 6.1 advises to use MAILERS
        settings.EMAIL_BACKEND = BACKEND
    settings.ANYMAIL = {"POSTAL_API_KEY": KEY, "POSTAL_API_URL": URL}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
class TestEmailBackend:
    def test_send_mail(self, postal: FakePostal, classic: None) -> None:
        assert mail.send_mail("Subject", "Body", "from@b.test", ["to@b.test"], html_message="<p>Body") == 1
        assert postal.calls[0]["headers"]["X-Server-API-Key"] == KEY
        assert postal.body["html_body"] == "<p>Body"

    def test_send_mass_mail_shares_a_connection(self, postal: FakePostal, classic: None) -> None:
        one = ("Subject", "Body", "from@b.test", ["to@b.test"])
        assert mail.send_mass_mail([one, one]) == 2
        assert len(postal.calls) == 2

    def test_options_of_a_connection(self, postal: FakePostal, classic: None) -> None:
        connection = mail.get_connection(BACKEND, api_key="another", api="raw")
        mail.EmailMessage("Subject", "Body", "from@b.test", ["to@b.test"], connection=connection).send()
        assert postal.calls[0]["headers"]["X-Server-API-Key"] == "another"
        assert postal.endpoints == ["send/raw"]

    def test_fail_silently(self, postal: FakePostal, classic: None) -> None:
        from .answers import error

        postal.answers = [error("NoContent")]
        message = mail.EmailMessage("Subject", "Body", "from@b.test", ["to@b.test"])
        assert message.send(fail_silently=True) == 0

    def test_a_missing_key_is_not_silent(self, postal: FakePostal, classic: None, settings: Any) -> None:
        settings.ANYMAIL = {}
        message = mail.EmailMessage("Subject", "Body", "from@b.test", ["to@b.test"])
        with pytest.raises(AnymailConfigurationError, match="POSTAL_API_KEY"):
            message.send(fail_silently=True)


@needs_mailers
class TestMailers:
    @pytest.fixture(autouse=True)
    def mailers(self, settings: Any) -> None:
        settings.MAILERS = {
            "default": {"BACKEND": BACKEND, "OPTIONS": {"api_key": KEY, "api_url": URL}},
            "news": {
                "BACKEND": BACKEND,
                "OPTIONS": {"api_key": "news-key", "api_url": URL, "api": "raw", "webhook_key": "MIGf"},
            },
        }

    def test_the_default(self, postal: FakePostal) -> None:
        message = mail.EmailMessage("Subject", "Body", "from@b.test", ["to@b.test"])
        assert message.send() == 1
        assert postal.calls[0]["headers"]["X-Server-API-Key"] == KEY
        assert message.anymail_status.message_id.server == "default"  # type: ignore[attr-defined]

    def test_another(self, postal: FakePostal) -> None:
        message = mail.EmailMessage("Subject", "Body", "from@b.test", ["to@b.test"])
        assert message.send(using="news") == 1  # type: ignore[call-arg]
        assert postal.calls[0]["headers"]["X-Server-API-Key"] == "news-key"
        assert postal.endpoints == ["send/raw"]
        assert message.anymail_status.message_id.server == "news"  # type: ignore[attr-defined]

    def test_views_and_clients_know_the_options(self) -> None:
        assert conf.server("news").webhook_key == "MIGf"


@pytest.mark.django_db
def test_the_store_remembers_what_was_sent(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.ANYMAIL = {"POSTAL_API_KEY": KEY, "POSTAL_API_URL": URL}
    postal = FakePostal(next_id=41).install(monkeypatch)
    message = AnymailMessage("Subject", "Body", "from@b.test", ["to@b.test"], metadata={"note": "x" * 300})
    assert EmailBackend().send_messages([message]) == 1
    assert postal.endpoints == ["send/message"]
    store = conf.store()
    assert store is not None
    assert store.metadata("default", 41) == {"note": "x" * 300}


@pytest.mark.django_db
def test_the_store_keeps_what_is_due_later(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.ANYMAIL = {"POSTAL_API_KEY": KEY, "POSTAL_API_URL": URL, "POSTAL_SEND_AT": "store"}
    postal = FakePostal().install(monkeypatch)
    later = timezone.now() - timedelta(seconds=1)
    for extra in ({}, {"api": "raw", "bounce": True}):
        message = AnymailMessage(
            "Subject", "Body", "from@b.test", ["to@b.test"], send_at=later, esp_extra=extra, tags=["t"]
        )
        assert EmailBackend().send_messages([message]) == 1
    assert postal.calls == []
    call_command("postal_send_due", stdout=io.StringIO())
    assert postal.endpoints == ["send/message", "send/raw"]
    assert postal.bodies[0]["tag"] == "t"
    assert postal.bodies[1]["bounce"] is True
