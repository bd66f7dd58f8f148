"""`manage.py start_conversation TOPIC EMAIL EMAIL ...`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

from example_project.discussion.models import Conversation


class Command(BaseCommand):
    help = "Start a conversation between people, creating the users if necessary. Prints its path."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("topic")
        parser.add_argument("people", nargs="+", metavar="EMAIL")
        parser.add_argument("--password", help="the password of users that are created")

    def handle(self, *args: Any, **options: Any) -> None:
        conversation = Conversation.objects.create(topic=options["topic"])
        for email in options["people"]:
            person, is_created = User.objects.get_or_create(
                username=email, defaults={"email": email, "first_name": email.partition("@")[0].title()}
            )
            if is_created and options["password"]:
                person.set_password(options["password"])
                person.save()
            conversation.people.add(person)
        self.stdout.write(conversation.get_absolute_url())
