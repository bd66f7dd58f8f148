"""Chapter 5: Bob answers, in his mail program."""

from __future__ import annotations

import pytest

from .conftest import Caught
from .stranger import Stranger, wait_for

NOTES = "from talk.models import Message\nprint(*Message.objects.values_list('author__username', 'text'))"


@pytest.fixture(scope="module")
def answer(project: Stranger, notification: Caught) -> str:
    """The documentation's code that plays Bob, with the address that he answers to."""
    [address] = notification.message["Reply-To"].addresses
    code = project.code("docs/server.md", "smtplib")
    assert "reply+..." in code
    return code.replace("reply+...", address.addr_spec)


def test_his_words_arrive_in_the_conversation_without_what_he_quotes(project: Stranger, answer: str) -> None:
    quoted = '"Thank you!\\n\\nOn Tue, 3 Jan 2023 at 04:05, hello@example.test wrote:\\n> Shall we meet?\\n"'
    assert '"Thank you!"' in answer
    project.run("python", "-c", answer.replace('"Thank you!"', quoted))
    assert wait_for(lambda: project.shell(NOTES), "the reply") == "('bob', 'Thank you!')"


def test_a_forged_address_brings_nothing(project: Stranger, answer: str) -> None:
    project.run("python", "-c", answer.replace("reply+", "reply+a").replace("Thank you!", "It is me."))
    project.run("python", "-c", answer.replace("Thank you!", "The end."))
    wait_for(lambda: "The end." in project.shell(NOTES), "the reply behind it")
    assert "It is me." not in project.shell(NOTES)
