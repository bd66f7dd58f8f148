"""What a submission says of itself beside its text; the recorded answers are in `api/test_recorded.py`."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postal_server.errors import (
    HeaderTooLarge,
    InvalidRecipient,
    MalformedHeader,
    NoRecipients,
    TooManyCCAddresses,
    TooManyToAddresses,
    UnauthenticatedFromAddress,
)
from postal_server.mail.address import as_stored, domain_key, split_address
from postal_server.mail.address_list import recipients_in
from postal_server.mail.date import format_date
from postal_server.mail.header import header_fields, header_values
from postal_server.models import QueuedMessage, Server
from postal_server.rules.priority import Priority
from postal_server.rules.status import CredentialType
from postal_server.services.acceptance import storage, submission
from postal_server.services.shared import credential
from postal_server.wire.api import SendMessage, SendRaw
from tests.each import each
from tests.postal_server.services.conftest import NOW

FROM = "sender@example.test"
TO = "a@dest.example"
RECEIVED = b"Received: from c by mx.example.test with SMTP; Fri, 2 Jan 2026 03:04:05 -0000\r\n"


def raw(*fields: str) -> bytes:
    return "\r\n".join([f"From: {FROM}", f"To: {TO}", *fields, "", "Hello\r\n"]).encode()


def new_id() -> str:
    return "new@rp.example.test"


@pytest.fixture
def api_key(world):
    made, _ = credential.create(world.server, CredentialType.API, "app")
    directory = world.directory()
    return directory.credentials[made.pk], directory


def by_message(api_key, config, *fields: str):
    headers = [tuple(field.split(": ", 1)) for field in fields]
    return submission.submit_message(
        SendMessage(to=[TO], from_=FROM, subject="Hi", plain_body="Hello", headers=headers),
        *api_key,
        client=submission.Client("192.0.2.1"),
        message_uuid="u",
        boundaries=("b1", "b2"),
        config=config,
        now=NOW,
    ).accepted


def by_raw(api_key, config, *fields: str):
    return submission.submit_raw(
        SendRaw([TO], FROM, raw(*fields)), *api_key, new_id=new_id, config=config, now=NOW
    ).accepted


def by_smtp(api_key, config, *fields: str):
    return submission.submit_smtp(
        RECEIVED + raw(*fields),
        [TO],
        *api_key,
        reverse_path=FROM,
        received_with_ssl=True,
        new_id=new_id,
        now=NOW,
    )


@pytest.mark.parametrize("submit", [by_message, by_raw, by_smtp])
@pytest.mark.parametrize(
    ("fields", "priority"),
    [
        ((), Priority.TRANSACTIONAL),
        (("Precedence: bulk",), Priority.BULK),
        (("List-Unsubscribe: <https://example.test/u>",), Priority.BULK),
    ],
    ids=["nothing said", "Precedence", "List-Unsubscribe"],
)
def test_bulk_mail_is_queued_as_bulk_however_it_comes(api_key, config, submit, fields, priority):
    storage.store([submit(api_key, config, *fields)], NOW)
    assert QueuedMessage.objects.get().priority == priority


# What a client left out (RFC 6409 section 8)

COMPLETE = ("Message-ID: <own@app.example>", "Date: Thu, 1 Jan 2026 09:08:07 +0100")


def fields_of(accepted):
    return header_fields(accepted.raw)


@each("submit", [by_raw, by_smtp])
@each(
    "fields",
    [
        (),
        ("Message-ID:", "Date:"),
        ("Message-ID: <>", "Date: yesterday"),
        ("Message-ID: <@>", "Date: 2026-13-01"),
        ("Message-ID: own", "Date: Thu, 99 Jan 2026 09:08:07 +0100"),
        ("Message-ID: <own app@example>", "date:"),
        ("Message-ID: <own@app.example", "Date: ,"),
        ("message-id: <öwn@app.example>", "Date:\r\n  "),
    ],
)
def test_a_mail_gets_the_message_id_and_the_date_that_it_lacks(api_key, config, submit, fields):
    accepted = submit(api_key, config, *fields)
    assert accepted.message_id == "new@rp.example.test"
    found = [(name, value) for name, value in fields_of(accepted) if name.lower() in ("message-id", "date")]
    assert found == [("Message-ID", b"<new@rp.example.test>"), ("Date", format_date(NOW).encode())]
    assert accepted.raw.endswith(b"\r\n\r\nHello\r\n")


@each(
    "fields",
    [
        COMPLETE,
        ("Message-ID: (mine) <own@app.example> (it is)", "Date: 1 Jan 26 09:08 GMT"),
        ("Message-ID:\r\n <own@app.example>", "Date: Thu, 01 Jan 2026 09:08:07 +0100 (CET)"),
    ],
)
def test_a_complete_mail_is_stored_as_it_came(api_key, config, fields):
    assert by_raw(api_key, config, *fields).raw == raw(*fields)
    accepted = by_smtp(api_key, config, *fields)
    assert accepted.raw == RECEIVED + raw(*fields)
    assert accepted.message_id == "own@app.example"


@each("submit", [by_raw, by_smtp])
@each(
    "fields",
    [
        ("Message-ID: <first@app.example>", *COMPLETE, "Date: Fri, 32 Jan 2026 09:08:07 +0100"),
        ("Date: Mon, 5 Jan 2026 09:08:07 +0100", *COMPLETE, "message-id: "),
    ],
)
def test_of_several_ids_and_dates_the_last_good_one_stays(api_key, config, submit, fields):
    accepted = submit(api_key, config, *fields)
    assert accepted.message_id == "own@app.example"
    found = [f"{name}: {value.decode()}" for name, value in fields_of(accepted)]
    assert [field for field in found if field.lower().startswith(("message-id", "date"))] == list(COMPLETE)


def test_what_is_added_stands_below_our_own_received_line_and_above_the_rest(api_key, config):
    accepted = by_smtp(api_key, config)
    names = [name for name, _ in fields_of(accepted)]
    assert names == ["Received", "Message-ID", "Date", "From", "To"]


def test_a_date_that_is_none_is_not_sent_over_send_message(api_key, config):
    accepted = by_message(api_key, config, "Date: yesterday")
    assert header_values(accepted.raw, "Date") == [format_date(NOW)]


@pytest.mark.parametrize("more", ["\r\nX: y" * 1000, "\r\nX: " + "y" * 262_144])
def test_what_is_too_large_a_header_over_smtp_is_so_over_send_raw(api_key, config, more):
    data = f"From: {FROM}{more}\r\n\r\nHello\r\n".encode()
    with pytest.raises(HeaderTooLarge):
        submission.submit_raw(SendRaw([TO], FROM, data), *api_key, new_id=new_id, config=config, now=NOW)


# Who may send as whom, whatever a reader makes of it

FOREIGN = [
    "From: ceo@bank.test (<sender@example.test>",
    "From: ceo@bank.test <sender@example.test>",
    'From: ceo@bank.test "<sender@example.test>',
    "From: ceo@bank.test: sender@example.test;",
    "From: <@bank.test:sender@example.test>",
    "From: sender@example.test\r\nFrom: ceo@bank.test",
    "From: ceo@bank.test\r\nFrom: sender@example.test",
    "From: sender@example.test\r\nFrom : ceo@bank.test",
    "From: sender@example.test\r\nFROM\t : ceo@bank.test",
    "From: sender@example.test\r\nFrom\r\n : ceo@bank.test",
    "From: sender@example.test\r\nFrom\0: ceo@bank.test",
    "From: sender@example.test\r\nFrom\x0b: ceo@bank.test",
    "From: =?utf-8?q?ceo=40bank=2Etest?= <sender@example.test>",
    "From: =?utf-8?b?Y2VvQGJhbmsudGVzdAA=?=@example.test",
    "From: ceo@bank.test\0 <sender@example.test>",
    "From: sender@exa\0mple.test",
    "From: sender@example.test, ceo@bank.test",
    "From: sender@example.test\r\nX: " + "\r\nX: ".join("y" * 990) + "\r\nFrom: ceo@bank.test",
]


def submissions_of(head: str, api_key, config):
    """The mail with this header over `send/raw` and SMTP, not done yet."""
    data = f"{head}\r\n\r\nHello\r\n".encode()
    yield lambda: submission.submit_raw(
        SendRaw([TO], FROM, data), *api_key, new_id=new_id, config=config, now=NOW
    )
    arguments = {"reverse_path": FROM, "received_with_ssl": True, "new_id": new_id, "now": NOW}
    yield lambda: submission.submit_smtp(RECEIVED + data, [TO], *api_key, **arguments)
    yield lambda: submission.check_sender(RECEIVED + data, *api_key)


@each("head", FOREIGN)
def test_domains_of_others_are_no_senders(api_key, config, head):
    for submit in submissions_of(head, api_key, config):
        with pytest.raises(UnauthenticatedFromAddress):
            submit()


@pytest.mark.parametrize(
    "value", ["ceo@bank.test <sender@example.test>", "ceo@bank.test: sender@example.test;"]
)
def test_domains_of_others_are_no_senders_over_send_message(api_key, config, value):
    with pytest.raises(UnauthenticatedFromAddress):
        by_parameters(api_key, config, from_=value)


@each(
    "head, refusal",
    [
        ("From: sender@example.test\r\nX: y\rFrom: ceo@bank.test", MalformedHeader),
        ("From\r: ceo@bank.test\r\nFrom: sender@example.test", MalformedHeader),
        ("From: sender@example.test\r\n\r\r\nFrom: ceo@bank.test", MalformedHeader),
        ("From: sender@example.test" + "\r\nX: y" * 10_000 + "\r\nFrom: ceo@bank.test", HeaderTooLarge),
    ],
)
def test_a_header_that_would_be_sent_otherwise_than_it_is_read_is_refused(api_key, config, head, refusal):
    for submit in submissions_of(head, api_key, config):
        with pytest.raises(refusal):
            submit()


@each(
    "value",
    [
        "Doe, Jane <sender@example.test>",
        '"ceo@bank.test" <sender@example.test>',
        "sender@EXAMPLE.test.",
        '"sen@der"@example.test',
        "Team: sender@example.test, other@example.test;",
    ],
)
def test_an_author_of_ones_own_domain_may_be_written_in_any_way(api_key, config, value):
    for submit in submissions_of(f"From: {value}", api_key, config):
        submit()


def test_a_sender_counts_where_the_server_allows_it_and_only_if_it_is_unmistakable(api_key, world):
    Server.objects.update(allow_sender=True)
    directory = world.directory()
    server = directory.servers[world.server.pk]
    assert submission.authorize(directory, server, ["ceo@bank.test"], ["sender@example.test"])
    for sender in ("ceo@bank.test <sender@example.test>", "<@bank.test:sender@example.test>"):
        with pytest.raises(UnauthenticatedFromAddress):
            submission.authorize(directory, server, ["ceo@bank.test"], [sender])


def test_authors_without_end_are_refused_in_no_time(api_key, config):
    head = "\r\n".join(["From: " + "a," * 100] * 900)
    for submit in submissions_of(head, api_key, config):
        began = time.process_time()
        with pytest.raises(UnauthenticatedFromAddress):
            submit()
        assert time.process_time() - began < 0.5  # ten times what it may take


def test_authors_with_more_names_than_anybody_has_are_refused(api_key, config):
    head = "\r\n".join([f"From: {'x' * 80} <{FROM}>"] * 200)
    for submit in submissions_of(head, api_key, config):
        with pytest.raises(UnauthenticatedFromAddress):
            submit()


# Recipients


def by_parameters(api_key, config, **parameters):
    given = {"to": [TO], "from_": FROM, "subject": "Hi", "plain_body": "Hello", **parameters}
    return submission.submit_message(
        SendMessage(**given),
        *api_key,
        client=submission.Client("192.0.2.1"),
        message_uuid="u",
        boundaries=("b1", "b2"),
        config=config,
        now=NOW,
    )


def test_every_address_of_an_entry_gets_the_mail(api_key, config):
    submitted = by_parameters(
        api_key, config, to=["Ann <ann@x.example>, bob@x.example"], bcc=["Team: cy@x.example, dee@x.example;"]
    )
    names = ["ann@x.example", "bob@x.example", "cy@x.example", "dee@x.example"]
    assert [message.rcpt_to for message in submitted.accepted.messages] == names
    assert [name for name, _ in submitted.keys] == names


def test_a_comma_in_a_name_is_part_of_it(api_key, config):
    submitted = by_parameters(
        api_key, config, from_="Doe, John <sender@example.test>", to=["Doe, Jane <jane@x.example>"]
    )
    raw = submitted.accepted.raw
    assert header_values(raw, "From") == ['"Doe, John" <sender@example.test>']
    assert header_values(raw, "To") == ['"Doe, Jane" <jane@x.example>']
    assert submitted.accepted.mail_from == "sender@example.test"
    assert [message.rcpt_to for message in submitted.accepted.messages] == ["jane@x.example"]


def test_a_mailbox_is_mailed_once_however_it_is_written(api_key, config):
    spellings = ["john@bücher.example", '"john"@xn--bcher-kva.example', "<@r.example:john@BÜCHER.example.>"]
    submitted = by_parameters(api_key, config, to=spellings)
    (message,) = submitted.accepted.messages
    assert (message.rcpt_to, message.destination) == ("john@xn--bcher-kva.example", "xn--bcher-kva.example")
    assert {place for _, place in submitted.keys} == {0}
    assert len(submitted.keys) == 3
    twice = by_parameters(api_key, config, to=["john..doe@x.example", '"john..doe"@x.example'])
    assert len(twice.accepted.messages) == 1


@each("local", ['"a@b"', '"john..doe"', r'"a\"b"', '"a(b)"', '"a<b>"', '"a, b"'])
def test_a_quoted_local_part_goes_to_its_own_domain(api_key, config, local):
    address = f"{local}@dest.example"
    for submitted in (
        by_parameters(api_key, config, to=[address]),
        submission.submit_raw(
            SendRaw([address], FROM, raw()), *api_key, new_id=new_id, config=config, now=NOW
        ),
    ):
        (message,) = submitted.accepted.messages
        assert (message.rcpt_to, message.destination) == (address, "dest.example")
        assert submitted.keys == [(address, 0)]


@each(
    "entry",
    [
        "a@x.example, foo",
        "a@b@c.example",
        "a@x..example",
        "a@x.example b@y.example",
        '"open@x.example',
        "(a@x.example)",
    ],
)
def test_an_entry_that_names_somebody_unclear_is_refused_by_its_parameter(api_key, config, entry):
    for name in ("to", "cc", "bcc"):
        with pytest.raises(InvalidRecipient, match=f"`{name}` parameter"):
            by_parameters(api_key, config, **{"to": [TO], name: [entry]})
    with pytest.raises(InvalidRecipient, match="`rcpt_to` parameter"):
        submission.submit_raw(
            SendRaw([TO, entry], FROM, raw()), *api_key, new_id=new_id, config=config, now=NOW
        )


def test_addresses_are_counted_not_entries(api_key, config):
    with pytest.raises(TooManyCCAddresses):
        by_parameters(api_key, config, cc=[", ".join(f"a{number}@x.example" for number in range(51))])
    with pytest.raises(NoRecipients):
        by_parameters(api_key, config, to=["undisclosed-recipients:;"])


def test_a_composed_header_of_more_than_256_kb_is_refused(api_key, config):
    with pytest.raises(HeaderTooLarge):
        by_parameters(api_key, config, headers=[(f"X-{number}", "😀" * 250) for number in range(100)])


NAMES = st.text('abcÄ .,<>@"\\;:', max_size=12)
LOCALS = st.text('ab."@ \\', min_size=1, max_size=6)
ENTRIES = st.one_of(
    st.text('ab.@,;:<>"\\ äé', max_size=30), st.builds("{} <{}@b.example>".format, NAMES, LOCALS)
)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ENTRIES, min_size=1, max_size=4))
def test_exactly_the_recipients_answered_with_success_get_the_mail(api_key, config, entries):
    """Each `@` outside of quotes and routes stands for a recipient, or the call is refused."""
    with contextlib.suppress(InvalidRecipient, NoRecipients, TooManyToAddresses):
        submitted = by_parameters(api_key, config, to=entries)
        stored = submitted.accepted.messages
        named = {name: stored[place] for name, place in submitted.keys}
        assert {message.rcpt_to for message in named.values()} == {message.rcpt_to for message in stored}
        for name, message in named.items():
            assert (message.rcpt_to or "") == as_stored(name)
            assert message.destination == (domain_key(split_address(as_stored(name))[1]) or "local")
        for entry in entries:
            outside = QUOTED.sub("", entry).replace(" ", "")
            if "@" in entry and "<@" not in outside:
                assert outside.count("@") <= len(recipients_in(entry))
