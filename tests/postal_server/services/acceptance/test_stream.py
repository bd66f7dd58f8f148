"""The stream of a mail, by name or as its server is set, and the rows of streams."""

from __future__ import annotations

import pytest

from postal_server.errors import ParameterError
from postal_server.mail.header import header_values
from postal_server.models import Message, Server, Stream
from postal_server.rules import stream as rules
from postal_server.rules.priority import Priority
from postal_server.rules.status import CredentialType, Scope
from postal_server.services.acceptance import storage
from postal_server.services.acceptance.stream import StreamRegistry
from postal_server.services.shared import credential
from postal_server.services.shared.work import Accepted, NewMessage
from postal_server.wire.api import SendRaw, read_send_message, read_send_raw
from tests.each import each
from tests.postal_server.services.conftest import NOW

from .test_submission import FROM, TO, by_message, by_parameters, by_raw, by_smtp, new_id, raw, submission

HEADER = "X-Postal-Stream"


@pytest.fixture
def api_key(world):
    made, _ = credential.create(world.server, CredentialType.API, "The Shop")
    directory = world.directory()
    return directory.credentials[made.pk], directory


# Which stream a mail is of


@each("submit", [by_message, by_raw, by_smtp])
def test_the_header_names_the_stream_and_is_not_sent(api_key, config, submit):
    accepted = submit(api_key, config, "X-Before: 1", f"{HEADER}: receipts", "X-After: 2")
    assert (accepted.stream, accepted.ignored_stream) == ("receipts", "")
    assert not header_values(accepted.raw, HEADER)
    assert header_values(accepted.raw, "X-Before") == ["1"]
    assert header_values(accepted.raw, "X-After") == ["2"]


def test_the_parameter_comes_first(api_key, config):
    headers = [(HEADER, "other")]
    assert by_parameters(api_key, config, stream="receipts", headers=headers).accepted.stream == "receipts"
    request = SendRaw([TO], FROM, raw(f"{HEADER}: other"), stream="receipts")
    accepted = submission.submit_raw(request, *api_key, new_id=new_id, config=config, now=NOW).accepted
    assert (accepted.stream, header_values(accepted.raw, HEADER)) == ("receipts", [])


@each("read", [read_send_message, read_send_raw])
@each("name", ["Receipts", "x" * 65, "a b", 1.5])
def test_a_parameter_that_is_no_name_is_refused_by_its_own(read, name):
    parameters = {"stream": name, "rcpt_to": [TO], "mail_from": FROM, "data": "eA=="}
    if name == 1.5:
        assert read(parameters).stream == "1.5"
        return
    with pytest.raises(ParameterError, match="`stream` parameter is not the name of a stream"):
        read(parameters)


@each("read", [read_send_message, read_send_raw])
@each("name", [None, "", "  "])
def test_an_empty_parameter_is_none(read, name):
    assert read({"stream": name, "rcpt_to": [TO], "mail_from": FROM, "data": "eA=="}).stream is None


@pytest.mark.parametrize("submit", [by_message, by_raw])
def test_the_api_refuses_a_header_that_is_no_name(api_key, config, submit):
    with pytest.raises(ParameterError, match="`X-Postal-Stream` header is not the name of a stream"):
        submit(api_key, config, f"{HEADER}: My Stream")


def test_over_smtp_it_is_ignored_and_noted(api_key, config):
    accepted = by_smtp(api_key, config, f"{HEADER}: My Stream {'x' * 100}")
    assert (accepted.stream, len(accepted.ignored_stream)) == ("", 80)
    assert not header_values(accepted.raw, HEADER)
    storage.store([accepted], NOW)
    assert Message.objects.get().ignored_stream.startswith("My Stream x")


@each("submit", [by_message, by_raw, by_smtp])
@each(
    "stream_from, name",
    [("none", ""), ("tag", "welcome-mail"), ("domain", "example.test"), ("credential", "the-shop")],
)
def test_mail_that_names_none_has_that_of_its_server(world, config, api_key, submit, stream_from, name):
    Server.objects.update(stream_from=stream_from)
    api_key = api_key[0], world.directory()
    assert submit(api_key, config, "X-Postal-Tag: Welcome Mail").stream == name
    assert submit(api_key, config, f"{HEADER}: own").stream == "own"


def test_mail_without_a_tag_has_no_stream_by_tag(world, config, api_key):
    Server.objects.update(stream_from="tag")
    assert by_raw((api_key[0], world.directory()), config).stream == ""


# The rows of streams


def accepted(world, name: str, priority: int = Priority.TRANSACTIONAL) -> Accepted:
    message = NewMessage(world.server.pk, Scope.OUTGOING, TO, "dest.example")
    return Accepted(b"", (message,), FROM, None, None, stream=name, priority=priority)


def test_a_stream_has_a_row_from_its_first_mail_on(world, django_assert_num_queries):
    streams = StreamRegistry()
    directory = world.directory()
    batch = [
        accepted(world, "receipts"),
        accepted(world, "news", Priority.BULK),
        accepted(world, "receipts", Priority.BULK),
        accepted(world, ""),
    ]
    with django_assert_num_queries(2):
        assert streams.add_new(batch, directory)
    kinds = Stream.objects.values_list("server_id", "name", "kind")
    assert list(kinds) == [(world.server.pk, "news", "bulk"), (world.server.pk, "receipts", "transactional")]
    with django_assert_num_queries(1):  # the directory does not have them yet: are they there?
        assert not streams.add_new(batch, directory)
    with django_assert_num_queries(0):
        assert not streams.add_new(batch, directory)


def test_known_streams_and_mail_without_one_take_no_query(world, django_assert_num_queries):
    Stream.objects.create(server=world.server, name="news", kind="bulk", must_arrive=True)
    directory = world.directory()
    entry = directory.streams[world.server.pk, "news"]
    assert (entry.kind.value, entry.must_arrive) == ("bulk", True)
    with django_assert_num_queries(0):
        assert not StreamRegistry().add_new([accepted(world, "news"), accepted(world, "")], directory)


def test_a_transaction_that_was_undone_is_made_up_for(world):
    streams, directory = StreamRegistry(), world.directory()
    streams.add_new([accepted(world, "news")], directory)
    Stream.objects.all().delete()
    assert streams.add_new([accepted(world, "news")], directory)


def test_tags_that_are_different_for_each_mail_do_not_become_rows_without_end(
    world, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(rules, "MOST_OF_SERVER", 3)
    streams, directory = StreamRegistry(), world.directory()
    streams.add_new([accepted(world, f"n{number}") for number in range(5)], directory)
    assert Stream.objects.count() == 3
    with django_assert_num_queries(0):
        assert not streams.add_new([accepted(world, "n6")], directory)
