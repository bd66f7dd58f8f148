"""How to test a project's mail with the fixtures: `postal` is a real mail server for each test."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from example_project.discussion.models import Conversation, Message, Notification, RejectedReply
from example_project.discussion.notifications import notify

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mail(postal, settings, live_server):
    """The mail server, connected to this project in both directions."""
    for name, value in postal.settings.items():
        setattr(settings, name, value)
    postal.post_events_to(f"{live_server.url}/anymail/postal/tracking/")
    postal.post_mail_to(f"{live_server.url}/anymail/postal/inbound/")
    return postal


@pytest.fixture
def conversation():
    conversation = Conversation.objects.create(topic="Hike")
    for name in ("ann", "bob"):
        person = User.objects.create_user(name, f"{name}@example.org", first_name=name.title())
        conversation.people.add(person)
    return conversation


def write(conversation, text="Shall we meet?"):
    ann = User.objects.get(username="ann")
    return notify(Message.objects.create(conversation=conversation, author=ann, text=text))[0]


def test_notification_is_sent_and_marked_delivered(mail, conversation):
    notification = write(conversation)
    caught = mail.outbox.wait_for(to="bob@example.org", subject="Hike")
    assert "Shall we meet?" in caught.text
    assert "cid:" in caught.html
    mail.wait_until_quiet()
    assert Notification.objects.get(pk=notification.pk).state == "delivered"


def test_refused_notification_says_why(mail, conversation):
    mail.simulate("bob@example.org", "550 5.1.1 No such user")
    notification = write(conversation)
    mail.wait_until_quiet()
    assert Notification.objects.get(pk=notification.pk).state == "bounced"
    assert "No such user" in Notification.objects.get(pk=notification.pk).detail


def test_reply_appears_without_its_quotation_and_is_sent_to_the_others(mail, conversation):
    write(conversation)
    caught = mail.outbox.wait_for(to="bob@example.org")
    mail.deliver(
        caught.reply_to,
        from_="bob@example.org",
        subject="Re: Hike",
        text="On Thursday.\n\nOn Tue, 3 Jan 2023 at 04:05, Discussion wrote:\n> Shall we meet?\n",
        wait=True,
    )
    reply = conversation.messages.get(by_email=True)
    assert (reply.author.username, reply.text) == ("bob", "On Thursday.")
    assert "On Thursday." in mail.outbox.wait_for(to="ann@example.org").text


def test_reply_to_a_forged_address_is_rejected_and_recorded(mail, conversation):
    write(conversation)
    address = mail.outbox.wait_for(to="bob@example.org").reply_to
    local, _, domain = address.partition("@")
    forged = f"{local[:-1]}{'b' if local.endswith('a') else 'a'}@{domain}"
    mail.deliver(forged, from_="mallory@example.org", text="It is me, Bob.", wait=True)
    assert RejectedReply.objects.exists()
    assert not conversation.messages.filter(by_email=True).exists()


def test_page_shows_the_state_of_each_notification(mail, conversation, client):
    write(conversation)
    mail.wait_until_quiet()
    client.force_login(User.objects.get(username="ann"))
    page = client.get(conversation.get_absolute_url()).content.decode()
    assert 'class="state delivered">delivered' in page


def test_late_deferral_does_not_overwrite_a_delivery(conversation):
    notification = Notification(state="delivered")
    assert not notification.is_news("deferred")
    assert notification.is_news("bounced")


def test_conversation_of_others_is_not_shown(conversation, client):
    client.force_login(User.objects.create_user("eve"))
    assert client.get(conversation.get_absolute_url()).status_code == 404
