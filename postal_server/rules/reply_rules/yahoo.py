"""What Yahoo and AOL answer, and the operators whose mail they took over: Verizon, AT&T, Comcast."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

ERRORS = "https://senders.yahooinc.com/smtp-error-codes/"
HELP = "https://help.yahoo.com/kb/SLN3434.html"
REJECTED = "https://help.yahoo.com/kb/mail-for-desktop/SLN3444.html"

ROWS: tuple[Row, ...] = (
    Row(
        Class.BAD_ADDRESS,
        r"this user doesn't have an? \S{1,60} account",
        source=ERRORS,
        sample=(
            "554 delivery error: dd This user doesn't have a yahoo.com account (jane@yahoo.com) [-5] - "
            "mta4158.mail.gq1.yahoo.com"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "delivery error: dd not a valid recipient",
        source=REJECTED,
        sample=(
            "554 delivery error: dd Not a valid recipient - "
            "atlas-production.v2-mail-prod1-gq1.omega.yahoo.com"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "requested mail action aborted, mailbox not found",
        operator="yahoodns.net",
        source="observed 2024-05",
        sample="552 1 Requested mail action aborted, mailbox not found - mta4094.mail.ne1.yahoo.com",
    ),
    Row(
        Class.INACTIVE,
        "this mailbox is disabled",
        source="observed 2024-05",
        sample=(
            "554 30 Sorry, your message to jane@yahoo.com cannot be delivered. This mailbox is disabled "
            "(554.30). - mta1300.mail.bf1.yahoo.com"
        ),
    ),
    Row(
        Class.INACTIVE,
        "account (?:has been|is) disabled or discontinued",
        source=HELP,
        sample=(
            "554 delivery error: dd Sorry, your message to jane@yahoo.com cannot be delivered. This "
            "account has been disabled or discontinued [#102]. - mta1197.mail.ne1.yahoo.com"
        ),
    ),
    Row(
        Class.MAILBOX_FULL,
        r"cannot be delivered\. this (?:account|mailbox) is over quota",
        source=HELP,
        sample=(
            "554 delivery error: dd Sorry, your message to jane@yahoo.com cannot be delivered. This "
            "account is over quota. - mta1053.mail.sk1.yahoo.com"
        ),
    ),
    Row(
        Class.BAD_DOMAIN,
        "delivery error: dd no such domain",
        operator="yahoodns.net",
        source=ERRORS,
        sample="554 delivery error: dd No such domain - mta2.mail.bf1.yahoo.com",
    ),
    Row(
        Class.RATE,
        r"\[tss0[1-8]\]",
        source=ERRORS,
        sample=(
            "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume or "
            "user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes"
        ),
    ),
    Row(
        Class.REPUTATION,
        r"\[tss09\]",
        source=ERRORS,
        sample="553 5.7.1 [TSS09] All messages from 192.0.2.7 will be permanently deferred.",
    ),
    Row(
        Class.REPUTATION,
        r"\[ts0\d\]",
        source=ERRORS,
        sample=(
            "421 4.7.1 [TS03] All messages from 192.0.2.7 will be permanently deferred; Retrying will "
            "NOT succeed."
        ),
    ),
    Row(
        Class.REPUTATION,
        "messages from .{1,60}(?:temporarily|permanently) deferred",
        source=ERRORS,
        sample="421 4.7.0 Messages from 192.0.2.7 temporarily deferred due to user complaints - 4.16.55",
    ),
    Row(
        Class.REPUTATION,
        "connections (?:will )?not be accepted from .{1,60}because",
        source=ERRORS,
        sample=(
            "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.7, because the ip is in "
            "Spamhaus's list"
        ),
    ),
    Row(
        Class.REPUTATION,
        r"5\.7\.[12] \[bl2\d\]",
        source=ERRORS,
        sample="553 5.7.2 [BL23] Connections not accepted from IP addresses on Spamhaus XBL",
    ),
    Row(
        Class.REPUTATION,
        r"\[ipts\w{0,6}\]|\[ipbl\w{0,6}\]|\[ipfd\w{0,6}\]|\[ippb\w{0,6}\]",
        source=ERRORS,
        sample="421 4.7.0 [IPTS04] Messages from 192.0.2.7 temporarily deferred",
    ),
    Row(
        Class.REPUTATION,
        r"vs99-ip\d deferred",
        is_sure=False,
        source=REJECTED,
        sample="553 VS99-IP1 deferred - see help page",
    ),
    Row(
        Class.RATE,
        "excessive unknown recipients",
        source=ERRORS,
        sample="451 VS1-IP Excessive unknown recipients - possible Open Relay (#4.1.8)",
    ),
    Row(
        Class.RATE,
        "max(?:imum)? messages? per connection reached",
        source=HELP,
        sample="421 Max message per connection reached, closing transmission channel",
    ),
    Row(
        Class.CONTENT,
        r"5\.7\.9 .{0,60}for policy reasons",
        source=ERRORS,
        sample=(
            "554 5.7.9 Message not accepted for policy reasons. See "
            "https://postmaster.yahooinc.com/error-codes"
        ),
    ),
    Row(
        Class.CONTENT,
        r"message not (?:allowed|accepted) ?- ?\[(?:\d+|ph\d+)\]",
        operator="yahoodns.net",
        source=ERRORS,
        sample=(
            "554 Message not allowed - [PH01] Email not accepted for policy reasons. Please visit "
            "https://postmaster.yahooinc.com/error-codes"
        ),
    ),
    Row(
        Class.CONTENT,
        r"\[ph0\d\]|\[ph1\d\]|\[cs0\d\]",
        source=ERRORS,
        sample="554 5.7.1 [PH03] Message not accepted.",
    ),
    Row(
        Class.CONTENT,
        "message contains (?:headers? with )?invalid header",
        source=ERRORS,
        sample="554 5.0.0 Message contains invalid header",
    ),
    Row(
        Class.AUTHENTICATION,
        "email rejected per dmarc policy for",
        source=ERRORS,
        sample="554 5.7.5 Email rejected per DMARC policy for example.org",
    ),
    Row(
        Class.AUTHENTICATION,
        "failed authentication (?:checks )?(?:against|per)",
        operator="yahoodns.net",
        source=ERRORS,
        sample="554 5.7.9 Message failed authentication checks against your sending domain's DKIM policy",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "(?:mail from|from|sender).{0,40}domain does not exist|domain of sender .{0,60}does not",
        source=ERRORS,
        sample="553 5.7.1 MAIL FROM domain does not exist: example.invalid",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "unable to resolve (?:the )?(?:mail ?from|rfc.?532[12].?from|sender|from)",
        source=ERRORS,
        sample="451 Unable to resolve RFC.5321 from domain (MAIL FROM)",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "resources temporarily (?:not available|unavailable)",
        operator="yahoodns.net",
        source=ERRORS,
        sample=(
            "451 mta1042.mail.bf1.yahoo.com Resources temporarily unavailable. Please try again later "
            "[#4.16.1]."
        ),
    ),
    Row(
        Class.RATE,
        "user is receiving mail too quickly",
        operator="yahoodns.net",
        source=ERRORS,
        sample="450 User is receiving mail too quickly",
    ),
    Row(
        Class.REPUTATION,
        "message temporarily deferred",
        operator="yahoodns.net",
        is_sure=False,
        source=ERRORS,
        sample="451 Message temporarily deferred - [160]",
    ),
    Row(
        Class.INACTIVE,
        "due to extended inactivity",
        source=HELP,
        sample=(
            "554 delivery error: dd Due to extended inactivity new mail is not currently being accepted "
            "for this mailbox. - mta1001.mail.mud.yahoo.com"
        ),
    ),
    Row(
        Class.INACTIVE,
        "your recipient never logged (?:onto|on|in)",
        source="observed 2023-03",
        sample=(
            "550 We would love to have gotten this email to jane@aim.com. But, your recipient never "
            "logged onto their free AIM Mail account."
        ),
    ),
    Row(
        Class.POLICY,
        "is not accepting mail from this sender",
        source="observed 2023-03",
        sample="550 jane IS NOT ACCEPTING MAIL FROM THIS SENDER",
    ),
    Row(
        Class.RATE,
        r"\bdyn:t\d",
        source="observed 2023-03",
        sample="421 DYN:T1 http://postmaster.info.aol.com/errors/421dynt1.html",
    ),
    Row(
        Class.REPUTATION,
        r"\(rtr:\w\w|\(rly:\w\w|\(dny:\w\w|aol will not accept delivery",
        source="observed 2023-03",
        sample=(
            "554- (RTR:BB) http://postmaster.info.aol.com/errors/554rtrbb.html 554 AOL will not accept "
            "delivery of this message."
        ),
    ),
    Row(
        Class.CONTENT,
        r"\(hvu:\w\w|\(con:\w\w",
        source="observed 2023-03",
        sample="554-: (HVU:B1) http://postmaster.info.aol.com/errors/554hvub1.html",
    ),
)
