"""How far the stranger has come: each fixture is where a chapter leads to."""

from __future__ import annotations

import re
import signal
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage

import pytest

from postal_server.testing import free_ports

from ..installed import commands_of_new_environment
from .stranger import Browser, Stranger, read, wait_for

WANTED = "anymail-postal[server]"
SERVER, APP_URL = "http://127.0.0.1:5000", "http://127.0.0.1:8000/anymail/postal/tracking/"
ADMINISTRATOR, PASSWORD = "root@example.test", "correct horse battery"
PEOPLE = """\
from django.contrib.auth.models import User
from talk.models import Contact, Conversation
User.objects.create_user("bob", "bob@example.com")
Contact.objects.create(email="bob@example.com")
Conversation.objects.create(topic="Hike")
"""
# What a mail server says of mail that it had taken: RFC 3464, as Postfix writes it.
REPORT = """\
From: Mail Delivery System <MAILER-DAEMON@mx.example.com>
To: {to}
Subject: Undelivered Mail Returned to Sender
Date: Tue, 3 Jan 2023 04:05:06 +0000
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; bob@example.com
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <bob@example.com>: user unknown

--b
Content-Type: text/rfc822-headers

{header}
--b--
"""
EVENTS = """\
from talk.models import Event
print(*Event.objects.filter(kind={kind!r}).values_list("recipient", "reject_reason", "failure_class"))
"""
NOTIFY = """\
from django.contrib.auth.models import User
from talk.models import Conversation
from talk.notifications import notify
notify(Conversation.objects.get(), User.objects.get(), "Shall we meet?")
"""
MODELS = """\
from django.conf import settings
from django.db import models


class Conversation(models.Model):
    topic = models.CharField(max_length=100)


class Message(models.Model):
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.TextField()


class Contact(models.Model):
    email = models.EmailField()
    bounced = models.BooleanField(default=False)


class Event(models.Model):
    kind = models.CharField(max_length=20)
    recipient = models.EmailField()
    metadata = models.JSONField(default=dict)
    reject_reason = models.CharField(max_length=20, null=True)
    failure_class = models.CharField(max_length=20, null=True)
"""
NOTE_EVENT = """

@receiver(tracking)
def note_event(event, **kwargs):
    Event.objects.create(
        kind=event.event_type,
        recipient=event.recipient,
        metadata=event.metadata or {},
        reject_reason=event.reject_reason,
        failure_class=event.postal.failure_class,
    )
"""
APP = """\
from django.apps import AppConfig


class TalkConfig(AppConfig):
    name = "talk"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from . import receivers
"""


@dataclass(frozen=True)
class Caught:
    """A mail that the server caught, and its envelope sender."""

    message: EmailMessage
    return_path: str


@pytest.fixture(scope="package")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """Chapter 1: the package is installed, by the README's words."""
    folder = tmp_path_factory.mktemp("story")
    ports = dict(zip((5000, 2525, 2526, 8000), free_ports(4), strict=True))
    stranger = Stranger(folder, commands_of_new_environment(tmp_path_factory), ports)
    yield stranger
    stranger.stop()


@pytest.fixture(scope="package")
def initialized(installed: Stranger) -> str:
    """Chapter 2: what `initialize` said."""
    return installed.run(*installed.command("README.md", "postal-server", "initialize"))


@pytest.fixture(scope="package")
def server(installed: Stranger, initialized: str) -> Iterator[Browser]:
    """Chapter 2: the mail server runs, and its administrator has logged in."""
    installed.start(*installed.command("README.md", "postal-server", "run"), ready=f"{SERVER}/health")
    make_user = installed.command("docs/server.md", "postal-server", "make-user")
    installed.run(*make_user, given=f"{ADMINISTRATOR}\n{PASSWORD}\n{PASSWORD}\n")
    browser = Browser(installed.here(SERVER))
    browser.fill("/admin/login/?next=/admin/", username=ADMINISTRATOR, password=PASSWORD)
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def project(installed: Stranger, initialized: str, server: Browser) -> Stranger:
    """Chapter 3: a Django project uses the server, takes what it posts, and runs."""
    stranger = installed
    stranger.run("python", "-m", "django", "startproject", "mysite", ".")
    settings, urls = stranger.code("README.md", "POSTAL_STRIP_REPLIES").split("# urls.py\n")
    settings = settings.replace("[..., ", '[*INSTALLED_APPS, "talk", ')
    settings += printed_settings(initialized).replace("ANYMAIL = ", "ANYMAIL |= ")
    if "MAILERS" in stranger.read("mysite/settings.py"):
        settings = re.sub(r"EMAIL_BACKEND = .*\n# From Django 6.1 on instead: (.*)", r"\1", settings)
    stranger.append("mysite/settings.py", settings)
    stranger.write("mysite/urls.py", f"from django.urls import include, path\n\n{urls}")
    stranger.write("talk/__init__.py", "")
    stranger.write("talk/apps.py", APP)
    stranger.write("talk/models.py", MODELS)
    stranger.write("talk/notifications.py", stranger.code("README.md", "def notify("))
    receivers = [
        "from .models import Contact, Conversation, Event\n",
        stranger.code("docs/replies.md", "@receiver(reply_received)"),
        stranger.code("docs/receiving.md", "def note_bounce("),
        stranger.code("docs/receiving.md", "def note_failure("),
        stranger.code("docs/receiving.md", "@receiver(inbound)"),
        NOTE_EVENT,
    ]
    stranger.write("talk/receivers.py", "\n".join(receivers))
    stranger.manage("makemigrations", "talk")
    stranger.manage("migrate")
    stranger.shell(PEOPLE)
    address = stranger.here("127.0.0.1:8000")
    stranger.start(
        "python", "manage.py", "runserver", "--noreload", address, ready=APP_URL, ends=-signal.SIGTERM
    )
    return stranger


@pytest.fixture(scope="package")
def notification(project: Stranger, server: Browser) -> Caught:
    """Chapter 4: a notification was sent to Bob, and caught."""
    project.shell(NOTIFY)
    return wait_for(lambda: caught(server, "bob@example.com"), "the notification")


@pytest.fixture(scope="package")
def bounced(project: Stranger, notification: Caught) -> str:
    """Chapter 6: what the project heard as the notification came back hours later."""
    header = "".join(
        f"{name}: {value}\n" for name, value in notification.message.items() if name != "DKIM-Signature"
    )
    post(project, "", notification.return_path, REPORT.format(to=notification.return_path, header=header))
    return wait_for(lambda: events(project, "bounced"), "the bounce")


def events(project: Stranger, kind: str) -> str:
    """Recipient, reject reason and class of the events of a kind that the project has had."""
    return project.shell(EVENTS.format(kind=kind))


def post(stranger: Stranger, sender: str, recipient: str, mail: str) -> None:
    """Hand a mail to the server, as another mail server does."""
    with smtplib.SMTP("127.0.0.1", stranger.ports[2525]) as client:
        client.sendmail(sender, [recipient], mail.replace("\n", "\r\n").encode())


def printed_settings(said: str) -> str:
    """The settings that `initialize` prints."""
    return said[said.index("EMAIL_BACKEND") : said.index("Next:")]


def caught(server: Browser, recipient: str) -> Caught | None:
    """The newest caught mail to somebody, as the administration has it."""
    pages = server.links(
        f"/admin/postal_server/caughtmail/?q={recipient}",
        r"/admin/postal_server/caughtmail/\d+/change/[^\"]*",
    )
    if not pages:
        return None
    page = pages[0]
    [download] = server.links(page, r"/admin/postal_server/caughtmail/\d+/raw/")
    [return_path] = dict.fromkeys(re.findall(r"[\w.+-]+@rp\.localhost", server.get(page).text))
    return Caught(read(server.get(download).content), return_path)
