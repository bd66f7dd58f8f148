"""`postal-server classify`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.errors import ConfigurationError
from postal_server.management.base import ServerCommand
from postal_server.rules.classification import Answer, classify
from postal_server.rules.classification.consequence import what_follows
from postal_server.rules.classification.reply_text import clean
from postal_server.rules.failure_class import Stage
from postal_server.services.results.suppression_rules import rules_of
from postal_server.services.shared.loader import load

STANDARD_INPUT = "-"


class Command(ServerCommand):
    help = "Say what a mail host's answer, or a report's diagnostic, is taken for, and what follows from it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("text", help="the answer, with its codes; `-` reads it from standard input")
        parser.add_argument("--code", type=int, help="the reply code, if the text does not begin with it")
        parser.add_argument("--enhanced", metavar="X.Y.Z", help="the enhanced code; of a report, its status")
        parser.add_argument(
            "--stage",
            choices=[stage.value for stage in Stage],
            default=Stage.RCPT.value,
            help="the step of the session that was answered, or `report`; `rcpt` by default",
        )
        parser.add_argument(
            "--operator", metavar="DOMAIN", default="", help="registered domain of the mail host: google.com"
        )
        parser.add_argument("--recipient", metavar="ADDRESS", default="", help="whom the mail was for")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        text = sys.stdin.read() if options["text"] == STANDARD_INPUT else options["text"]
        if not (text.strip() or options["code"] or options["enhanced"]):
            raise CommandError("There is no answer to classify: the text is empty.")
        answer = Answer(
            options["code"],
            options["enhanced"],
            text,
            Stage(options["stage"]),
            options["operator"].lower(),
            options["recipient"],
        )
        try:
            found = classify(answer, load().ours)
            rules = rules_of(conf.config(), is_imported=False)
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        reply = clean(
            text, code=answer.code, enhanced=answer.enhanced, stage=answer.stage, recipient=answer.recipient
        )
        lines = {
            "class": found.name.value,
            "about": found.name.about.value,
            "sure": found.is_sure,
            "rule": found.rule,
            "stage": reply.stage.value,
            "follows": what_follows(found, rules, is_transient=reply.is_transient),
        }
        if options["json"]:
            self.stdout.write(json.dumps(lines))
            return
        for name, value in lines.items():
            shown = ("no", "yes")[value] if isinstance(value, bool) else value or "none"
            self.stdout.write(f"{name + ':':<9} {shown}")
