"""Each disagreement with flufl.bounce on the samples of reports and automatic replies, explained."""

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
    other-602 other-activehunter other-aol-old other-argosoft other-barracuda-2 other-bigfoot
    other-bounce-list other-cyrus other-docomo-jp other-domino-fr other-eudora other-exch-de-2010
    other-exch-es-2003 other-exch-fr-2003 other-exch-ja other-exch-name other-exim-de other-exim-old
    other-firstclass other-freenet other-gmail-blocked other-gmail-de other-gmail-retry other-gw-7
    other-hinet other-html-ish other-icloud other-iis-delay other-indonesian other-libero other-llnl
    other-lyris other-mail-ru-2 other-mailman-like other-mcafee other-mdaemon-delay other-merak
    other-mercury-2 other-messagelabs other-ms-hotmail other-multi-exchange other-netmail
    other-netscape other-no-mailer-null other-novell-delay other-novell other-o365-ndr-blank
    other-oracle-de other-orange other-pmta-delay other-pmta other-postfix-ru other-procmail-boun
    other-rcpt-bracket other-sendmail-warn2 other-seznam other-sfr other-simple-3 other-simple-4
    other-simplewarn other-softbank other-spamfilter other-sympatico other-t-online
    other-thai-undeliv other-tobit other-twig other-uol other-wp.pl other-x400-1 other-yandex
    other-zimbra
    seen-027-postfix seen-035-postfix-text seen-036-postfix-text seen-054-sendmail5
    seen-055-sendmail5 seen-056-sendmail86 seen-057-sendmail86 seen-058-sendmail86 seen-093-qmail
    seen-094-qmail seen-095-qmail seen-096-qmail seen-1092-exchange2010-plain seen-1098-groupwise
    seen-1101-opensmtpd seen-1106-mercury seen-1107-james seen-1108-ldap-plain seen-1109-ldap-plain
    seen-1110-ldap-plain seen-1111-ldap-plain seen-1112-ldap-plain seen-114-exchange2010-plain
    seen-115-exchange2010-plain seen-116-exchange2010-plain seen-117-exchange2010-plain
    seen-143-notes seen-144-notes seen-145-notes seen-146-mdaemon seen-147-mdaemon seen-148-mdaemon
    seen-151-imail seen-158-gmx seen-159-gmx seen-190-pmdf seen-191-james seen-192-james seen-193-au
    seen-194-au seen-195-au seen-196-au-disabled seen-197-au-disabled seen-198-au-disabled
    seen-2001-html-only seen-2002-html-only seen-2003-html-only seen-2004-status-as-text
    seen-2005-status-as-text seen-2008-status-b64 seen-2009-status-b64 seen-201-mailmarshal
    seen-2010-smtputf8 seen-2015-quoted-gt seen-2016-quoted-gt seen-2018-iso2022 seen-2019-iso2022
    seen-202-mailmarshal seen-2020-koi8 seen-2021-koi8 seen-203-mcafee seen-204-mcafee
    seen-210-groupwise seen-211-groupwise seen-215-mmdf seen-216-smail seen-217-smail
    seen-219-mercury seen-220-opensmtpd seen-221-opensmtpd seen-222-qq seen-223-qq
    seen-226-ldap-plain seen-227-ldap-plain seen-229-ldap-plain seen-230-ldap-plain
    seen-231-ldap-plain seen-232-ldap-plain seen-233-ldap-plain seen-234-ldap-plain
    seen-235-ldap-plain seen-236-ldap-plain seen-237-ldap-plain seen-238-ldap-plain
    seen-239-ldap-plain seen-240-ldap-plain
"""
# It wants a status part that is whole, decoded, and where RFC 3464 has it; or an address at the beginning.
INCOMPLETE = """
    attached-report-base64 blank-lines-between-fields boundary-lost crcrlf cut-before-the-recipients
    indented-status original-blank-between-fields original-html-pre quoted-status-text
    everything-base64 global-status local-recipient no-action no-action-transient-delay
    no-recipient-anywhere odd-words postfix-smtputf8 status-as-octet-stream status-as-text-attachment
    status-base64 structure-lost text-base64-body text-html-original text-message-id-in-a-sentence
    text-original-attached text-original-indented text-original-quoted text-status-fields-alone utf8-escaped
"""
# It does not get as far as the text.
STOPPED = """
    naver nifty postfix-translated
"""
# It finds somebody else, or another fate.
OTHERWISE = {
    "exim-alias": "It takes the alias for the one that failed; we tell both, the member from the words.",
    "seen-1099-imail": "It leaves a colon on the address.",
    "seen-2022-two-hops": "It takes Original-Recipient for the one that failed; we tell both.",
    "seen-214-x400": "It takes Original-Recipient for the one that failed; we tell both.",
    "seen-244-outlookcom": "A report that the mail was relayed; it takes it for a failure.",
    "seen-246-exim": "A warning that the server goes on trying; it takes it for a failure.",
    "other-sendmail-reason-multi": "It also takes the list that the mail came through for a recipient.",
    "barracuda": "It takes this for a temporary failure, although the mail has not been delivered.",
    "ionos": "It reads on into the mail that came back: its Message-ID and From are no recipients.",
    "mailfoundry": "It reads on into the mail that came back.",
    "mmdf": "It leaves a quotation mark on the address.",
    "postfix-delay": "A warning that the server goes on trying; it takes it for a failure.",
    "sendmail-warning": "A warning that the server goes on trying; it takes it for a failure.",
    "zoho": "It finds only the Message-ID of the mail that came back.",
    "zoho-status": "It reads on into the mail that came back.",
    "exchange-encapsulated-address": "It takes Original-Recipient for the one that failed; we tell both.",
    "nine-messages-deep": "It has no limit of depth.",
    "no-blank-lines-between-groups": "It takes the groups of two recipients for one.",
    "program-final": "It takes the quotation marks off a program that mail is piped to.",
    "postfix-two-recipients": "It takes the list, which is Original-Recipient of both, for the recipient.",
    "returned-mail-has-a-report": "It also reads a report that the mail that came back had in it.",
    "returned-mail-has-a-report-textual": "It reads a report that the mail that came back had in it.",
    "text-sendmail-warning": "A warning that the server goes on trying; it takes it for a failure.",
    "xtext": "It leaves the address in xtext (RFC 3461).",
    "reply-forwarded-bounce": "A person forwards a notice; it takes that for one.",
}


def opinion(raw):
    """What flufl.bounce says: the recipients that failed for now and for good, or why it stopped."""
    try:
        found = flufl_bounce.all_failures(email.message_from_bytes(raw))
    except AttributeError:
        return "stopped"  # raw 8-bit text in From is no str
    return tuple({address.decode().lower() for address in addresses} for addresses in found)


def expected_opinion(expected):
    found = {"delayed": set(), "failed": set()}
    for each in expected.get("recipients") or expected.get("parts") or ():
        names = ("recipient", "final_recipient", "original_recipient")
        address = next((each[name] for name in names if each.get(name)), "")
        found.setdefault(each["action"], set()).add(address.lower())
    return found["delayed"], found["failed"]


def test_each_disagreement_is_explained(monkeypatch):
    monkeypatch.setattr(logging.getLogger("flufl.bounce"), "disabled", True)
    unknown, stopped, otherwise = set(), set(), set()
    for folder in ("shapes", "dsn", "autoreply"):
        for name, raw, expected in samples(folder):
            if (said := opinion(raw)) == expected_opinion(expected):
                continue
            if said == "stopped":
                stopped.add(name)
            else:
                (otherwise if any(said) else unknown).add(name)
    assert unknown == {*UNKNOWN.split(), *INCOMPLETE.split()}
    assert (stopped, otherwise) == (set(STOPPED.split()), set(OTHERWISE))
