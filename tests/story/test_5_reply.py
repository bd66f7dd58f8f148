"""Chapter 5: Bob answers, in his mail program."""

from __future__ import annotations

import pytest

from .conftest import Caught
from .stranger import Stranger, wait_for
from .talk import notes


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
    wait_for(lambda: ("bob", "Thank you!") in notes(project), "the reply without the quotation")


def test_a_forged_address_brings_nothing(project: Stranger, answer: str) -> None:
    project.run("python", "-c", answer.replace("reply+", "reply+a").replace("Thank you!", "It is me."))
    project.run("python", "-c", answer.replace("Thank you!", "The end."))
    wait_for(lambda: ("bob", "The end.") in notes(project), "the reply behind it")
    assert not [text for _, text in notes(project) if "It is me." in text]
