"""Each disagreement with flufl.bounce on the samples of notices and automatic replies, explained."""

import email
import logging

import pytest

from .reports import samples

flufl_bounce = pytest.importorskip("flufl.bounce")  # needs Python 3.11

# It has no detector for these servers, languages or words: it finds nobody.
UNKNOWN = """
    amavis-bounce amavis amazon aol au-ezweb au-one communigate coremail courier docomo
    domino-german dragonfly exchange-2003-german exchange-2003 exchange-2007 exchange-2010-french
    exchange-online facebook generic-delay-spanish generic-italian generic-null-path
    generic-plain-sentence generic-smtp-log gmail-address-not-found google-groups groupwise-name
    groupwise ironport james m-filter mail.ru mailenable mailmarshal mailsite mdaemon mercury
    mimecast notes opensmtpd-delay opensmtpd oracle phquery postfix proofpoint qmail-french
    qmail-german qmail-other-language qq sendmail-5 smail surfcontrol verizon x400 xmail
    yahoo-groups zmailer
"""
# It does not get as far as the text.
STOPPED = """
    naver nifty postfix-translated
"""
# It finds somebody else, or another fate.
OTHERWISE = {
    "barracuda": "It takes this for a temporary failure, although the mail has not been delivered.",
    "ionos": "It reads on into the mail that came back: its Message-ID and From are no recipients.",
    "mailfoundry": "It reads on into the mail that came back.",
    "mmdf": "It leaves a quotation mark on the address.",
    "postfix-delay": "A warning that the server goes on trying; it takes it for a failure.",
    "sendmail-warning": "A warning that the server goes on trying; it takes it for a failure.",
    "zoho": "It finds only the Message-ID of the mail that came back.",
    "zoho-status": "It reads on into the mail that came back.",
    "reply-forwarded-bounce": "A person forwards a notice; it takes that for one.",
}


# Why its recipients differ for samples of `tests/corpus/dsn/`.
OF_REPORTS = {
    "It looks for the status part in certain places and under its own name, not encoded.": """
        attached-report-base64 boundary-lost crcrlf cut-before-the-recipients everything-base64 global-status
        indented-status quoted-status-text
        postfix-smtputf8 status-as-octet-stream status-as-text-attachment status-base64 structure-lost
        text-base64-body text-status-fields-alone utf8-escaped
    """,
    "It needs blank lines between the groups and nowhere else.": """
        blank-lines-between-fields no-blank-lines-between-groups
    """,
    "It does not go by the class of the status, other words or the returned message.": """
        no-action no-action-transient-delay odd-words no-recipient-anywhere
    """,
    "It takes Original-Recipient, as written, for the one that failed; we keep both.": """
        exchange-encapsulated-address postfix-two-recipients xtext
    """,
    "It reads reports within the message that comes back, and at any depth.": """
        nine-messages-deep returned-mail-has-a-report returned-mail-has-a-report-textual
    """,
    "It has no detector for these words.": """
        original-blank-between-fields original-html-pre text-html-original
        text-message-id-in-a-sentence text-original-attached text-original-indented
        text-original-quoted
    """,
    "It takes a warning that the server goes on trying for a failure.": "text-sendmail-warning",
    "It finds nobody without a domain, and unquotes programs.": "local-recipient program-final x400",
}


def opinion(raw):
    """What flufl.bounce says: the recipients that failed for now and for good, or why it stopped."""
    try:
        found = flufl_bounce.all_failures(email.message_from_bytes(raw))
    except AttributeError:
        return "stopped"  # raw 8-bit text in From is no str
    return tuple({address.decode().lower() for address in addresses} for addresses in found)


def expected_opinion(expected):
    actions = {"delayed": set(), "failed": set()}
    for each in expected["recipients"]:
        actions[each["action"]].add(each["recipient"].lower())
    return actions["delayed"], actions["failed"]


def test_each_disagreement_is_explained(monkeypatch):
    monkeypatch.setattr(logging.getLogger("flufl.bounce"), "disabled", True)
    unknown, stopped, otherwise = set(), set(), set()
    for folder in ("shapes", "autoreply"):
        for name, raw, expected in samples(folder):
            if (said := opinion(raw)) == expected_opinion(expected):
                continue
            if said == "stopped":
                stopped.add(name)
            else:
                (otherwise if any(said) else unknown).add(name)
    assert (unknown, stopped, otherwise) == (set(UNKNOWN.split()), set(STOPPED.split()), set(OTHERWISE))


def expected_of_report(expected):
    actions = {"delayed": set(), "failed": set()}
    for part in expected["parts"]:
        if part["action"] in actions:
            recipient = part["final_recipient"] or part["original_recipient"]
            actions[part["action"]].add(recipient.lower())
    return actions["delayed"], actions["failed"]


def test_each_disagreement_about_reports_is_explained(monkeypatch):
    monkeypatch.setattr(logging.getLogger("flufl.bounce"), "disabled", True)
    found = {name for name, raw, expected in samples("dsn") if (expected_of_report(expected)) != opinion(raw)}
    assert found == {name for names in OF_REPORTS.values() for name in names.split()}
