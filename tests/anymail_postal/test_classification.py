"""Why mail was not taken: as our server says it, and by the words of answers that Postal passes on."""

import csv
import json
import time
from pathlib import Path

import pytest

from anymail_postal import answer_words, body, classification
from anymail_postal.classification import Classification, Suppression
from anymail_postal.errors import UnreadableBody
from tests.each import each

CORPUS = Path(__file__).parent.parent / "corpus"
OURS = json.loads((CORPUS / "wire" / "our_webhooks.json").read_text("utf-8"))
REFUSED = "Permanent SMTP delivery error when sending to 192.0.2.1:25 (mx.example.com)"
OUTPUT = 250  # characters of an answer in a webhook


def answers():
    """Class, and the beginning of the answer, of every answer in an SMTP session of the corpus."""
    for path in sorted((CORPUS / "answers").glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                if row["stage"] in ("mail", "rcpt", "data", "dot"):
                    yield row["class"], row["reply"].replace("\\n", "\n")[:OUTPUT]


ANSWERS = list(answers())


def find(answer):
    reply = classification.SMTP_REPLY.match(answer)
    return answer_words.find_class(answer, reply[2] if reply else None)


# --- by words ---


def test_reject_reasons_of_nearly_all_answers_are_right():
    reasons = {name: each.reject_reason for name, each in classification.CLASSES.items()}
    wrong = [(name, answer) for name, answer in ANSWERS if reasons[find(answer)] != reasons[name]]
    assert len(ANSWERS) >= 400
    assert len(wrong) <= 0.08 * len(ANSWERS), wrong


def test_nobody_who_may_be_there_is_called_gone():
    gone = ("bad_address", "bad_domain", "inactive")
    wrong = [answer for name, answer in ANSWERS if name not in gone and find(answer) in gone]
    # Our server knows that this one came before RCPT; Postal does not pass that on.
    assert wrong == ["550 5.1.1 user unknown"]


def test_words_in_addresses_and_urls_are_no_evidence():
    assert find("550 <spam-reports@x.example>: No such user") == "bad_address"
    assert (
        find("550 5.1.1 blocked.dnsbl@x.example unknown user, see https://spam.example/full") == "bad_address"
    )


@each(
    "answer, name",
    [
        ("554 as asked", "unknown"),
        ("550", "unknown"),
        ("", "unknown"),
        ("550 5.1.1", "bad_address"),
        ("550 5.1.8 <a@b.example>", "infrastructure"),
        ("552 5.2.2", "mailbox_full"),
        ("550 5.7.26", "authentication"),
        ("550 5.7.25", "infrastructure"),
        ("554 5.7.1", "policy"),
        ("552 5.3.4", "too_large"),
        ("451 4.7.28", "rate"),
        ("451 4.4.1", "expired"),
        ("554 5.6.0", "content"),
        ("550 5.13.1", "unknown"),
    ],
)
def test_code_counts_where_no_word_does(answer, name):
    assert find(answer) == name


@pytest.mark.parametrize("piece", ["<", "user ", "a@", "mailbox ", "5.4.1 ", "http://", "ip address ", "\n"])
def test_time_is_bounded_for_hostile_answers(piece):
    answer = ("550 " + piece * 2_500_000)[:2_500_000]
    start = time.process_time()
    find(answer)
    assert time.process_time() - start < 0.5


def test_only_attempts_at_a_host_are_judged():
    assert classification.judge("HardFail", "Message doesn't have an RCPT to", "550 5.1.1 x") is None
    assert classification.judge("Sent", "", "250 spam") is None
    assert classification.judge(None, REFUSED, "550 x") is None
    assert classification.judge("HardFail", REFUSED, "552-5.2.2 over quota") == Classification(
        name="mailbox_full",
        about="recipient",
        is_permanent=True,
        smtp_code=552,
        enhanced_status="5.2.2",
        diagnostic="552-5.2.2 over quota",
    )
    given_up = classification.judge(
        "HardFail", "Maximum number of delivery attempts (18) has been reached.", ""
    )
    assert (given_up.name, given_up.about, given_up.has_given_up) == ("expired", "way", True)


# --- as our server says it ---


def recorded(case, event):
    return next(post["payload"] for post in OURS[case] if post["event"] == event)


def test_recorded_classification():
    found = classification.read(recorded("long", "MessageDeliveryFailed"))
    assert (found.name, found.about, found.is_sure, found.is_permanent) == (
        "bad_address",
        "recipient",
        True,
        True,
    )
    assert (found.stage, found.smtp_code, found.enhanced_status) == ("rcpt", 550, "5.1.1")
    assert len(found.diagnostic) > OUTPUT
    assert found.rule
    assert found.suppressed.reason == "bad_address"
    assert found.suppressed.keep_until.tzinfo is not None
    assert not found.has_given_up


def test_nothing_is_no_classification():
    for fields in ({}, {"classification": None}, {"classification": {}}, {"classification": {"class": ""}}):
        assert classification.read(fields) is None


def test_class_of_a_newer_server_is_kept():
    found = classification.read({"classification": {"class": "cosmic_rays", "about": "nature"}})
    assert (found.name, found.about, found.reject_reason) == ("cosmic_rays", "nature", "bounced")


def test_about_follows_from_the_class():
    assert classification.read({"classification": {"class": "rate"}}).about == "us"


def test_long_values_are_cut():
    long = "x" * 100_000
    keys = ("class", "about", "stage", "enhanced_status", "diagnostic", "operator", "rule")
    found = classification.read({"classification": dict.fromkeys(keys, long)})
    entry = classification.read_suppression({"suppression": {"address": long, "text": long, "reason": long}})
    texts = [each for made in (found, entry) for each in vars(made).values() if isinstance(each, str)]
    assert max(map(len, texts)) <= 2000


WRONG = [
    "rate",
    [{}],
    {"class": 5},
    {"class": "rate", "sure": "perhaps"},
    {"class": "rate", "smtp_code": -1},
    {"class": "rate", "suppressed": []},
    {"class": "rate", "suppressed": {"reason": "manual", "keep_until": "for ever"}},
]


@each("wrong", WRONG, ids=json.dumps)
def test_wrong_types_are_unreadable(wrong):
    with pytest.raises(UnreadableBody):
        classification.read({"classification": wrong})


@each(
    "reason, reject_reason",
    [
        ("bad_address", "bounced"), ("bad_domain", "bounced"), ("inactive", "bounced"),
        ("mailbox_full", "bounced"), ("unknown", "bounced"), ("expired", "timed_out"), ("complaint", "spam"),
        ("unsubscribe", "unsubscribed"), ("manual", "blocked"), ("imported", "blocked"), ("", "blocked"),
    ],
)  # fmt: skip
def test_suppressed_mail_is_rejected_by_the_reason_of_the_entry(reason, reject_reason):
    entry = Suppression(reason=reason)
    assert entry.reject_reason == reject_reason
    assert Classification(name="suppressed", about=None, suppressed=entry).reject_reason == reject_reason


def test_suppressed_mail_without_a_known_entry_is_blocked():
    assert Classification(name="suppressed", about=None).reject_reason == "blocked"


def test_short_text_is_cut_and_storable():
    assert body.short_text({"a": "x\0yz"}, "a", 2) == "xy"
    assert body.short_text({}, "a", 2) is None
