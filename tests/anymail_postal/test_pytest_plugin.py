import subprocess
import sys

import pytest
from anymail.signals import inbound as inbound_signal
from anymail.signals import tracking as tracking_signal
from django.core.mail import EmailMessage

from anymail_postal import conf, testing

from .receivers import listening

pytestmark = pytest.mark.usefixtures("without_store", "empty_cache", "project")


@pytest.fixture
def project(settings):
    settings.ROOT_URLCONF = "tests.anymail_postal.urls"
    settings.ANYMAIL = {}


def test_key_is_trusted(postal_key):
    assert conf.server().webhook_key == testing.public_key(postal_key)


def test_webhook_reaches_the_receivers(postal_webhook):
    with listening(tracking_signal) as calls:
        assert postal_webhook("MessageBounced", to="ann@example.com").status_code == 200
    assert [(call["event"].event_type, call["event"].recipient) for call in calls] == [
        ("bounced", "ann@example.com")
    ]


def test_mail_reaches_the_receivers(postal_inbound):
    with listening(inbound_signal) as calls:
        assert postal_inbound(testing.simple_mail(subject="Mime")).status_code == 200
        assert postal_inbound({"subject": "Fields"}, encoding="FormData").status_code == 200
    assert [call["event"].message.subject for call in calls] == ["Mime", "Fields"]


def test_unsupported_mail_fails(assert_no_unsupported):
    message = EmailMessage("Hi", "text", "a@example.com", ["b@example.com"])
    assert_no_unsupported([message])
    message.tags = ["x", "y"]
    with pytest.raises(AssertionError, match="tags"):
        assert_no_unsupported([message])


def test_plugin_imports_nothing_heavy():
    code = (
        "import sys, anymail_postal.pytest_plugin; "
        "print([name for name in ('django', 'cryptography', 'anymail', 'requests') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
