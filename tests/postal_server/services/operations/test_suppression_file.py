import io
from datetime import datetime, timezone

import pytest

from postal_server.errors import HostileInput
from postal_server.models import Suppression
from postal_server.rules.suppression import Reason
from postal_server.services.operations import suppression_file
from postal_server.services.operations.suppression_file import BadLine, csv_lines, json_lines, read
from postal_server.services.operations.suppression_formats import COLUMNS, Given
from tests.each import each

DAY = datetime(2024, 5, 6, tzinfo=timezone.utc)
NOON = DAY.replace(hour=12)


def items(text: str, reason: Reason | None = None) -> list[Given | BadLine]:
    return list(read(io.StringIO(text, newline=""), reason))


def entry(**values) -> Suppression:
    given = {"server_id": 1, "key": "ann@x.example", "address": "Ann@x.example", "created_at": DAY, **values}
    return Suppression(**given)


# Lists of other services: the header line, a line, and the reason, time, text and answer that follow.
FOREIGN = [
    (
        "server_id,address,reason,created_at,keep_until",
        '2,a@x.example,"asked, twice",2024-05-06T12:00:00+00:00,',
        (Reason.MANUAL, NOON, "asked, twice", ""),
    ),
    (
        "id,type,address,reason,timestamp,keep_until",
        "1,recipient,a@x.example,too many hard fails,1714996800.0,",
        (Reason.BAD_ADDRESS, NOON, "too many hard fails", ""),
    ),
    (
        "EmailAddress,SuppressionReason,Origin,CreatedAt",
        "a@x.example,HardBounce,Recipient,2024-05-06T07:00:00-05:00",
        (Reason.IMPORTED, NOON, "HardBounce at Postmark", ""),
    ),
    (
        "Email Address,Suppression Reason",
        "a@x.example,SpamComplaint",
        (Reason.COMPLAINT, None, "SpamComplaint at Postmark", ""),
    ),
    (
        "EmailAddress,SuppressionReason,Origin",
        "a@x.example,ManualSuppression,Recipient",
        (Reason.UNSUBSCRIBE, None, "ManualSuppression at Postmark", ""),
    ),
    (
        "EmailAddress,SuppressionReason,Origin",
        "a@x.example,ManualSuppression,Customer",
        (Reason.MANUAL, None, "ManualSuppression at Postmark", ""),
    ),
    (
        "EmailAddress,Reason,LastUpdateTime",
        "a@x.example,BOUNCE,2024-05-06T12:00:00Z",
        (Reason.IMPORTED, NOON, "bounce at Amazon SES", ""),
    ),
    ("", "a@x.example,COMPLAINT", (Reason.COMPLAINT, None, "complaint at Amazon SES", "")),
    (
        "status,reason,email,created",
        '5.1.1,"550 5.1.1 no such\nuser",a@x.example,1714996800',
        (Reason.IMPORTED, NOON, "on a list of SendGrid", "550 5.1.1 no such\nuser"),
    ),
    (
        "email,created,ip",
        "a@x.example,2024-05-06 12:00:00,192.0.2.1",
        (Reason.COMPLAINT, NOON, "spam report at SendGrid", ""),
    ),
    (
        "address,code,error,created_at",
        'a@x.example,550,No such mailbox,"Mon, 06 May 2024 12:00:00 UTC"',
        (Reason.IMPORTED, NOON, "bounce at Mailgun", "No such mailbox"),
    ),
    ("address,tags,created_at", "a@x.example,*,", (Reason.UNSUBSCRIBE, None, "unsubscribed at Mailgun", "")),
    (
        "recipient,type,source,description",
        "a@x.example,non_transactional,Spam Complaint,said so",
        (Reason.COMPLAINT, None, "Spam Complaint at SparkPost", ""),
    ),
    (
        "recipient,type,source,description",
        "a@x.example,transactional,Bounce Rule,550 gone",
        (Reason.IMPORTED, None, "Bounce Rule at SparkPost", "550 gone"),
    ),
    (
        "recipient,type,description",
        "a@x.example,non_transactional,",
        (Reason.UNSUBSCRIBE, None, "non_transactional at SparkPost", ""),
    ),
    ("email", "a@x.example", (Reason.MANUAL, None, "", "")),
    ("", "a@x.example,no more", (Reason.MANUAL, None, "no more", "")),
]


@each("header, line, expected", FOREIGN, ids=[row[0] or row[1] for row in FOREIGN])
def test_lists_of_other_services_are_recognized_by_their_header_line(header, line, expected) -> None:
    [given] = items(f"{header}\r\n{line}\r\n")
    assert given.address == "a@x.example"
    assert (given.reason, given.created_at, given.text, given.answer) == expected


def test_json_lines_of_other_services() -> None:
    text = (
        '{"EmailAddress": "a@x.example", "SuppressionReason": "HardBounce"}\n\n'
        '{"emailAddress": "b@x.example", "reason": "COMPLAINT"}'
    )
    assert [given.reason for given in items(text)] == [Reason.IMPORTED, Reason.COMPLAINT]


@pytest.mark.parametrize("header", ["email,created", "address,created_at"])
def test_a_list_that_does_not_say_why_needs_a_reason(header) -> None:
    with pytest.raises(HostileInput, match="give --as complaint"):
        items(f"{header}\na@x.example,\n")
    [given] = items(f"{header}\na@x.example,\n", Reason.COMPLAINT)
    assert given.reason is Reason.COMPLAINT


@each("text", ["nonsense\n", "name,phone\nx,1\n", '["a@x.example"]', '{"mail": "a@x.example"}'])
def test_a_list_whose_columns_are_not_known_is_refused(text) -> None:
    with pytest.raises(HostileInput, match=r"of no known list|a JSON array"):
        items(text)


@pytest.mark.parametrize("write", [csv_lines, json_lines])
def test_what_is_written_is_read_again(write) -> None:
    rows = [
        entry(keep_until=None, reason="unsubscribe", scope="stream:news", text='said "no",\ntwice'),
        entry(keep_until=NOON, reason="bad_address", times=3, code="5.1.1", rule="general:1", answer="550 ü"),
    ]
    assert items("".join(write(rows, {1: "acme/shop"}))) == [
        Given("Ann@x.example", Reason.UNSUBSCRIBE, 'said "no",\ntwice', "stream:news", DAY, None, True),
        Given(
            "Ann@x.example",
            Reason.BAD_ADDRESS,
            "",
            "",
            DAY,
            NOON,
            times=3,
            code="5.1.1",
            rule="general:1",
            answer="550 ü",
        ),
    ]


def test_what_stopped_no_mail_is_over() -> None:
    rows = [entry(ended_at=NOON), entry(state="proposed"), entry()]
    assert [given.is_over for given in items("".join(csv_lines(rows, {})))] == [True, True, False]
    assert list(suppression_file.record(rows[0], {1: "acme/shop"})) == list(COLUMNS)


OURS = "address,reason,text,scope,times,keep_until\n"


@each(
    "text, said",
    [
        ("a@x.example\n\nnonsense\n", "line 3: address: 'nonsense' is not an address"),
        ("a@x.example\n\udcff@x.example\n", "line 2: address: '\\udcff@x.example' is not UTF-8"),
        ("address,keep_until\na@x.example,soon\n", "line 2: keep_until: 'soon' is not a time"),
        ("address,keep_until\na@x.example,2030-01-01\n", "line 2: keep_until: '2030-01-01': a time"),
        ("address,keep_until\na@x.example,99999999999999999999\n", "line 2: keep_until: '9999999"),
        ("address,keep_until\na@x.example,0001-01-01T00:00:00+10:00\n", "line 2: keep_until: '0001-01"),
        (f"{OURS}a@x.example,gone,,,,\n", "line 2: reason: 'gone' is none of bad_address, bad_domain"),
        (f"{OURS}a@x.example,manual,,news,,\n", "line 2: scope: 'news' is not a scope"),
        (f"{OURS}a@x.example,manual,,stream:N,,\n", "line 2: scope: 'stream:N' is not a scope"),
        (f"{OURS}a@x.example,manual,,,many,\n", "line 2: times: 'many' is not a number from 1 to 1000"),
        ("EmailAddress,Reason\na@x.example,GONE\n", "line 2: Reason: 'GONE' is none of BOUNCE, COMPLAINT"),
        ('{"address": "a@x.example"}\n{"address": \n', "line 2: not JSON: "),
        ('{"address": "a@x.example"}\n[1]\n', "line 2: not a JSON object"),
        ('{"address": "a@x.example"}\n{"mail": 1}\n', "line 2: the columns 'mail' are those of no"),
        ('{"address": "a@x.example"}\n' + "[" * 100_000 + "\n", "line 2: not JSON: "),
        ('a@x.example\n"' + "x" * 150_000 + "\nmore\n", "line 2: not CSV: field larger than field limit"),
        ('a@x.example\n"' + "x@y.example\n" * 15_000, "line 2: not CSV: field larger than field limit (13"),
        ("address,text\n" + "x," * 200_000 + "\nb\n", "line 2: address: 'x' is not an address"),
    ],
)
def test_a_bad_line_is_named(text, said) -> None:
    bad = next(item for item in items(text) if isinstance(item, BadLine))
    assert str(bad).startswith(said)


def test_lines_after_a_bad_one_are_read() -> None:
    first, bad, last = items('a@x.example\n"' + "x" * 150_000 + '"\nb@x.example\n')
    assert isinstance(bad, BadLine)
    assert (first.address, last.address) == ("a@x.example", "b@x.example")
