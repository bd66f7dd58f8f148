from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management.base import CommandError

from postal_server.management.base import ServerCommand, moment, server_named, span
from tests.each import each

from .conftest import NOW


@each(
    "length, text",
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59.9), "59 s"),
        (timedelta(minutes=5), "5 min 0 s"),
        (timedelta(hours=3, minutes=4, seconds=5), "3 h 4 min"),
        (timedelta(days=2, minutes=5), "2 d 0 h"),
    ],
)
def test_span(length, text):
    assert span(length) == text


@each("seconds, text", [(None, ""), (0, "now"), (-1, "now"), (90, "in 1 min 30 s")])
def test_moment(seconds, text):
    assert moment(None if seconds is None else NOW + timedelta(seconds=seconds), NOW) == text


def test_servers_are_named_by_path_token_or_number(server):
    for name in ("acme/shop", "shopt0", str(server.pk)):
        assert server_named(name) == server


@pytest.mark.parametrize("name", ["acme/nope", "nope", "", "/", "9" * 30, "٣"])
def test_an_unknown_server_is_an_error_that_lists_those_that_there_are(server, name):
    with pytest.raises(CommandError, match="There are: acme/shop"):
        server_named(name)


def test_a_deleted_server_is_unknown(server):
    server.deleted_at = NOW
    server.save()
    with pytest.raises(CommandError, match="There are: none"):
        server_named("acme/shop")


def test_a_table_does_not_command_the_terminal(capsys):
    ServerCommand().print_table(["reply"], [["550 \x1b[2J\x9b1mno\udce9 bücher"]])
    assert (
        capsys.readouterr().out.replace("\N{REPLACEMENT CHARACTER}", "?") == "reply\n550 ?[2J?1mno? bücher\n"
    )
