import io
import json
import sys
from dataclasses import replace

import pytest
from django.core.management.base import CommandError

from postal_server import conf

NO_USER = "550 5.1.1 <a@d.example>: Recipient address rejected: User unknown"


def test_it_says_the_class_and_what_follows(run):
    follows = "The message fails. Its recipient comes on the suppression list at once, for 30 days the first "
    lines = dict(line.split(":", 1) for line in run("classify", NO_USER).splitlines())
    assert {name: value.strip() for name, value in lines.items()} == {
        "class": "bad_address",
        "about": "recipient",
        "sure": "yes",
        "rule": lines["rule"].strip(),
        "stage": "rcpt",
        "follows": f"{follows}time.",
    }
    assert "user unknown" in lines["rule"]


def test_the_answer_may_be_given_in_parts_and_told_as_json(run):
    found = json.loads(
        run("classify", "no", "--code", "450", "--enhanced", "4.2.2", "--stage", "dot", "--json")
    )
    assert found == {
        "class": "mailbox_full",
        "about": "recipient",
        "sure": False,
        "rule": "4.2.2",
        "stage": "dot",
        "follows": "The message is tried again.",
    }


def test_a_report_says_its_stage_itself(run):
    text = "smtp; host mx.d.example said: 554 no (in reply to end of DATA command)"
    assert json.loads(run("classify", "--stage", "report", "--json", text))["stage"] == "dot"


def test_standard_input_is_read(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("550-5.1.1 User\n550 5.1.1 unknown\n"))
    assert "bad_address" in run("classify", "-")


def test_an_empty_text_is_no_answer(run):
    with pytest.raises(CommandError, match="the text is empty"):
        run("classify", " ")
    assert "bad_address" in run("classify", "", "--enhanced", "5.1.1")


def test_own_rules_count_and_a_wrong_one_is_named(run, monkeypatch, recorded_config):
    def with_rules(*rules):
        config = replace(recorded_config, bounces=conf.Bounces(rules=rules))
        monkeypatch.setattr(conf, "config", lambda: config)

    with_rules('policy "User unknown" operator=d.example')
    assert "policy" in run("classify", NO_USER, "--operator", "d.example")
    with_rules("policy User unknown")
    with pytest.raises(CommandError, match=r"bounces\.rules: 'policy User unknown': a class and a text"):
        run("classify", NO_USER)
