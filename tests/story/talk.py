"""The project that the stranger writes: people talk in it by mail. Its code is that of the pages."""

from __future__ import annotations

import re
from email.message import EmailMessage

from .stranger import Stranger

Event = tuple[str, str | None, str | None]  # recipient, reject reason, class of the failure
PEOPLE = """\
from django.contrib.auth.models import User
from talk.models import Contact, Conversation
User.objects.create_user("bob", "{bob}")
Contact.objects.create(email="{bob}")
Conversation.objects.create(topic="Hike")
"""
# What a mail server says of mail that it had taken: RFC 3464, as Postfix writes it.
REPORT = """\
From: Mail Delivery System <MAILER-DAEMON@mx.{domain}>
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

Reporting-MTA: dns; mx.{domain}

Final-Recipient: rfc822; {bob}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <{bob}>: user unknown

--b
Content-Type: text/rfc822-headers

{header}
--b--
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


def write(stranger: Stranger, said: str, bob: str = "bob@example.com") -> None:
    """Make the project, with the settings that `initialize` has `said`, and its database with Bob in it."""
    stranger.run("python", "-m", "django", "startproject", "mysite", ".")
    settings, urls = stranger.code("README.md", "POSTAL_STRIP_REPLIES").split("# urls.py\n")
    settings = settings.replace("[..., ", '[*INSTALLED_APPS, "talk", ')
    settings += printed_settings(said).replace("ANYMAIL = ", "ANYMAIL |= ")
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
    stranger.shell(PEOPLE.format(bob=bob))


def printed_settings(said: str) -> str:
    """The settings that `initialize` prints."""
    return said[said.index("EMAIL_BACKEND") : said.index("Next:")]


def events(project: Stranger, kind: str) -> list[Event]:
    """The events of a kind that the project has had."""
    query = "SELECT recipient, reject_reason, failure_class FROM talk_event WHERE kind = ? ORDER BY id"
    return project.rows(query, kind)


def notes(project: Stranger) -> list[tuple[str, str]]:
    """Author and text of what people have answered."""
    return project.rows("SELECT username, text FROM talk_message JOIN auth_user ON author_id = auth_user.id")


def report(message: EmailMessage, return_path: str, bob: str = "bob@example.com") -> str:
    """What Bob's mail host says hours later of a mail that it had taken."""
    header = "".join(f"{name}: {value}\n" for name, value in message.items() if name != "DKIM-Signature")
    return REPORT.format(to=return_path, header=header, bob=bob, domain=bob.rpartition("@")[2])
