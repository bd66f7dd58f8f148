"""The words of mail software, whoever runs it: Postfix, Exim, sendmail, qmail, Cyrus, Dovecot, Domino and
more.
"""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

POSTFIX = "https://www.postfix.org/postconf.5.html"
VERIFY = "https://www.postfix.org/ADDRESS_VERIFICATION_README.html"
BOUNCE = "https://www.postfix.org/bounce.5.html"
EXIM = "https://www.exim.org/exim-html-current/doc/html/spec_html/"
SENDMAIL = "https://www.sendmail.org/~ca/email/doc8.12/op.html"
QMAIL = "https://cr.yp.to/qmail.html"
VPOPMAIL = "https://www.inter7.com/software/vpopmail/"
CYRUS = "https://www.cyrusimap.org/"
DOVECOT = "https://doc.dovecot.org/"
DOMINO = "https://help.hcl-software.com/domino/"
ZIMBRA = "https://wiki.zimbra.com/"
COURIER = "https://www.courier-mta.org/"
COMMUNIGATE = "https://communigatepro.com/"
MDAEMON = "https://mdaemon.com/"
IMAIL = "https://www.progress.com/"
MAILENABLE = "https://www.mailenable.com/"
HMAILSERVER = "https://www.hmailserver.com/documentation"
OPENSMTPD = "https://man.openbsd.org/smtpd.conf"
SMARTERMAIL = "https://www.smartertools.com/"
PROCMAIL = "https://www.procmail.org/"
GROUPWISE = "https://www.microfocus.com/documentation/groupwise/"
CPANEL = "https://docs.cpanel.net/knowledge-base/email/"
PLESK = "https://docs.plesk.com/"
RFC7505 = "https://www.rfc-editor.org/rfc/rfc7505"

ROWS: tuple[Row, ...] = (
    Row(
        Class.BAD_ADDRESS,
        r"(?:action not taken|action aborted): mailbox unavailable\.?$",
        source="https://www.rfc-editor.org/rfc/rfc5321",
        sample="550 Requested action not taken: mailbox unavailable",
    ),
    Row(
        Class.BAD_ADDRESS,
        "no matches to nameserver query",
        source=SENDMAIL,
        sample="553 jane: No matches to nameserver query",
    ),
    Row(
        Class.BAD_ADDRESS,
        "nicht im domino-verzeichnis|pas dans l'annuaire domino",
        source=DOMINO,
        sample="Benutzer jane (jane@example.com) ist nicht im Domino-Verzeichnis aufgeführt",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient address rejected: user unknown",
        source=POSTFIX,
        sample=(
            "550 5.1.1 <jane@example.com>: Recipient address rejected: User unknown in virtual mailbox table"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "user unknown in (?:local|virtual|relay)",
        source=POSTFIX,
        sample="550 5.1.1 <jane@example.com>: User unknown in local recipient table",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "recipient address rejected: (?:undeliverable|unverified) address: .{0,200}(?:unknown|no such"
            "|not exist|does ?n[o']t|invalid|not found)"
        ),
        source=VERIFY,
        sample=(
            "550 5.1.1 <jane@example.com>: Recipient address rejected: undeliverable address: unknown "
            'user: "jane"'
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient address rejected: undeliverable address",
        is_sure=False,
        source=VERIFY,
        sample=(
            "550 5.1.1 <jane@example.com>: Recipient address rejected: undeliverable address: host "
            "mx.example.com[192.0.2.9] said: 550 rejected"
        ),
    ),
    Row(
        Class.EXPIRED,
        (
            "recipient address rejected: unverified address: (?:connect|address verification|timed|lost|"
            "host|network|conversation)"
        ),
        source=VERIFY,
        sample=(
            "450 4.1.1 <jane@example.com>: Recipient address rejected: unverified address: Address "
            "verification in progress"
        ),
    ),
    Row(
        Class.BAD_DOMAIN,
        "recipient address rejected: (?:domain not found|malformed dns|mail exchanger)",
        source=POSTFIX,
        sample="550 5.1.2 <jane@example.invalid>: Recipient address rejected: Domain not found",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient address rejected: need fully-qualified",
        source=POSTFIX,
        sample="504 5.5.2 <jane>: Recipient address rejected: need fully-qualified address",
    ),
    Row(
        Class.MAILBOX_FULL,
        (
            "mailbox has exceeded the limit|mailbox size limit|maildir .{0,40}over ?quota|"
            "user has exceeded .{0,20}quota"
        ),
        source=POSTFIX,
        sample=(
            "552 5.2.2 The user you are trying to reach is over quota: maildir delivery failed: maildir "
            "over quota"
        ),
    ),
    Row(
        Class.BAD_DOMAIN,
        "host or domain name not found",
        source=BOUNCE,
        sample=(
            "5.4.4 Host or domain name not found. Name service error for name=example.invalid type=A: "
            "Host not found"
        ),
    ),
    Row(
        Class.BAD_DOMAIN,
        (
            r"name service error for ?(?:name=)?\S{1,200} .{0,30}(?:host not found|domain not found|no mx|"
            "not found)|no mx (?:host|record) found"
        ),
        source=BOUNCE,
        sample=(
            "5.4.4 unable to look up host: Name service error for name=example.invalid type=MX: Host not "
            "found"
        ),
    ),
    Row(
        Class.BAD_DOMAIN,
        (
            r"(?:domain|address|host|recipient).{0,60}does not accept (?:mail|e-?mail) \(nullmx\)|\b"
            r"null ?mx\b|nullmx"
        ),
        source=RFC7505,
        sample="556 5.1.10 Domain example.com does not accept mail (nullMX)",
    ),
    Row(
        Class.BAD_DOMAIN,
        "an mx or srv record indicated no smtp service",
        source=EXIM,
        sample="an MX or SRV record indicated no SMTP service",
    ),
    Row(
        Class.BAD_DOMAIN,
        "all relevant mx records point to non-existent hosts",
        source=EXIM,
        sample="all relevant MX records point to non-existent hosts",
    ),
    Row(
        Class.BAD_DOMAIN,
        "unrouteable mail domain|unrouteable domain",
        source=EXIM,
        sample='unrouteable mail domain "example.invalid"',
    ),
    Row(
        Class.BAD_ADDRESS,
        "unrouteable address",
        source=EXIM,
        sample="550 Unrouteable address",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient verify fail|callout verification fail|recipient callout",
        is_sure=False,
        source=EXIM,
        sample="550 Recipient verify failed",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "lowest numbered mx record points to local",
        source=EXIM,
        sample="lowest numbered MX record points to local host",
    ),
    Row(
        Class.BAD_ADDRESS,
        "no such (?:person|user) (?:at this address|here)",
        source=CPANEL,
        sample="550 No such person at this address.",
    ),
    Row(
        Class.INACTIVE,
        r"account (?:is )?suspended\b|mail account .{0,20}suspended",
        source=CPANEL,
        sample="550 This account is suspended",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"\.\.\. user unknown|\.\.\. no such user|\.\.\. user (?:is )?not known",
        source=SENDMAIL,
        sample="550 5.1.1 <jane@example.com>... User unknown",
    ),
    Row(
        Class.BAD_DOMAIN,
        r"host unknown \(name server|\.\.\. host unknown|host unknown",
        source=SENDMAIL,
        sample=(
            "550 5.1.2 <jane@example.invalid>... Host unknown (Name server: example.invalid: host not found)"
        ),
    ),
    Row(
        Class.EXPIRED,
        (
            r"message could not be delivered for (?:\d+|five) |cannot send message for \d|deferred: (?:"
            "connection|operation)"
        ),
        source=SENDMAIL,
        sample="5.4.7 Message could not be delivered for 5 days",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user address required|hostname required|colon illegal|list:; syntax illegal",
        source=SENDMAIL,
        sample="553 5.1.3 <jane>... User address required",
    ),
    Row(
        Class.INACTIVE,
        "mailbox disabled for this recipient|user .{0,60}account (?:has )?expired",
        source=SENDMAIL,
        sample="550 5.2.1 Mailbox disabled for this recipient",
    ),
    Row(
        Class.BAD_ADDRESS,
        "not in my validrcptto list",
        source=QMAIL,
        sample="550 sorry, this recipient is not in my validrcptto list (#5.7.1)",
    ),
    Row(
        Class.BAD_ADDRESS,
        "no mailbox (?:here )?by that name|no mailbox here",
        source=QMAIL,
        sample="550 sorry, no mailbox here by that name. (#5.1.1)",
    ),
    Row(
        Class.MAILBOX_FULL,
        r"(?:over ?quota|mailbox (?:is )?full|no space|quota exceeded).{0,40}\bchkuser",
        source=QMAIL,
        sample="522 sorry, recipient mailbox is over quota (#5.2.2 - chkuser)",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"sender.{0,60}(?:valid mx|invalid|not accepted).{0,40}\bchkuser",
        source=QMAIL,
        sample="571 sorry, sender domain has no valid MX (#5.1.8 - chkuser)",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"chkuser\b.{0,80}|\(chkuser\)",
        source=QMAIL,
        sample="550 5.1.1 sorry, no mailbox here by that name (chkuser)",
    ),
    Row(
        Class.BAD_DOMAIN,
        "couldn't find (?:any|a) host (?:named|by that name)",
        source=QMAIL,
        sample="Sorry, I couldn't find any host named example.invalid. (#5.1.2)",
    ),
    Row(
        Class.EXPIRED,
        (
            "wasn't able to establish an smtp connection|message has been in the queue too long|"
            "i'm not going to try again"
        ),
        source=QMAIL,
        sample=(
            "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1) I'm not going to try again; "
            "this message has been in the queue too long."
        ),
    ),
    Row(
        Class.EXPIRED,
        "cname lookup failed temporarily",
        source=QMAIL,
        sample="CNAME lookup failed temporarily. (#4.4.3) I'm not going to try again",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "listed as a best-preference mx",
        source=QMAIL,
        sample=(
            "Sorry. Although I'm listed as a best-preference MX or A for that host, it isn't in my "
            "control/locals file, so I don't treat it as local. (#5.4.6)"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "already has my delivered-to line",
        source=QMAIL,
        sample="This message is looping: it already has my Delivered-To line. (#5.4.6)",
    ),
    Row(
        Class.MAILBOX_FULL,
        r"user is over (?:the )?quota|over quota\. \(#",
        source=VPOPMAIL,
        sample="552 user is over quota (#5.2.2)",
    ),
    Row(
        Class.MAILBOX_FULL,
        "message would exceed .{0,30}quota|would be over quota",
        source=VPOPMAIL,
        sample="552 5.2.2 The message would exceed the user's quota",
    ),
    Row(
        Class.BAD_ADDRESS,
        "this address no longer accepts mail|no such account|there is no user by that name",
        source=VPOPMAIL,
        sample="550 Sorry, this address no longer accepts mail.",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"mailbox unknown\. either there is no mailbox",
        source=CYRUS,
        sample=(
            "550-Mailbox unknown. Either there is no mailbox associated with this 550-name or you do not "
            "have authorization to see it. 550 5.1.1 User unknown"
        ),
    ),
    Row(
        Class.MAILBOX_FULL,
        "over ?quota",
        source=CYRUS,
        sample="452 4.2.2 Over quota SESSIONID=<example>",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user doesn't exist",
        source=DOVECOT,
        sample="550 5.1.1 <jane@example.com> User doesn't exist: jane@example.com",
    ),
    Row(
        Class.MAILBOX_FULL,
        (
            "quota exceeded|exceeded (?:the |his |her |its |their )?(?:storage |disk |mailbox |mail |"
            "message )?quota"
        ),
        source=DOVECOT,
        sample="552 5.2.2 <jane@example.com> Quota exceeded (mailbox for user is full)",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "not listed in (?:the )?(?:domino |public )?(?:directory|name & address|name and address|"
            "address book)"
        ),
        source=DOMINO,
        sample="User jane (jane@example.com) not listed in Domino Directory",
    ),
    Row(
        Class.BAD_ADDRESS,
        "several matches found in (?:domino )?directory|user not unique",
        source=DOMINO,
        sample="Several matches found in Domino Directory",
    ),
    Row(
        Class.BAD_DOMAIN,
        "no route found to domain",
        is_sure=False,
        source=DOMINO,
        sample=(
            "No route found to domain example.invalid from server MAIL1/EXAMPLE. Check DNS configuration."
        ),
    ),
    Row(
        Class.EXPIRED,
        "delivery time expired|delivery timed out|delivery deadline",
        source=DOMINO,
        sample="5.4.7 Delivery time expired",
    ),
    Row(
        Class.BAD_ADDRESS,
        "551 .{0,40}not (?:a )?user (?:here|of)|is not known (?:here|at this)",
        source=DOMINO,
        sample="551 User is not known at this host",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"recipient address rejected: <?(?!address)[a-z0-9-]{1,63}\.[a-z0-9.-]{2,80}$",
        source=ZIMBRA,
        sample="550 5.1.1 <jane@example.com>: Recipient address rejected: example.com",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"user <?\S{0,80}>? ?unknown\.",
        source=COURIER,
        sample="550 User <jane@example.com> unknown.",
    ),
    Row(
        Class.BAD_ADDRESS,
        "unknown user account|account is not known|is not a known user",
        source=COMMUNIGATE,
        sample="550 jane unknown user account",
    ),
    Row(
        Class.INACTIVE,
        "account has incoming messages disabled|incoming mail (?:is )?disabled",
        source=COMMUNIGATE,
        sample="550 jane account has incoming messages disabled",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient unknown|unknown recipient",
        source=MDAEMON,
        sample="550 5.1.1 Recipient unknown <jane@example.com>",
    ),
    Row(
        Class.BAD_ADDRESS,
        "unknown user",
        source=IMAIL,
        sample="550 unknown user <jane@example.com>",
    ),
    Row(
        Class.BAD_ADDRESS,
        "mailbox (?:unavailable or )?not local|user not local",
        is_sure=False,
        source=MAILENABLE,
        sample="550 Requested action not taken: mailbox unavailable or not local",
    ),
    Row(
        Class.BAD_ADDRESS,
        "550 unknown user$",
        source=HMAILSERVER,
        sample="550 Unknown user",
    ),
    Row(
        Class.BAD_ADDRESS,
        "invalid recipient",
        source=OPENSMTPD,
        sample="550 Invalid recipient: <jane@example.com>",
    ),
    Row(
        Class.BAD_ADDRESS,
        "no such user",
        source=SMARTERMAIL,
        sample="550 <jane@example.com> No such user here",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"d5\d\d unknown user|mailbox/conference is unknown",
        source=GROUPWISE,
        sample="D101 unknown user: GroupWise D500 unknown user jane",
    ),
    Row(
        Class.BAD_ADDRESS,
        "command died with status 67",  # EX_NOUSER of sysexits.h
        source=PROCMAIL,
        sample='Command died with status 67: "/usr/local/bin/deliver". Command output: User unknown',
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "can't create (?:user )?output|mailer died|unknown mailer error|local configuration error|"
            "command died|cannot (?:open|create|write) (?:mailbox|file)"
        ),
        source=PROCMAIL,
        sample="550 5.3.0 unknown mailer error 127",
    ),
    Row(
        Class.BAD_ADDRESS,
        "mail account does not exist|this address does not exist",
        source=PLESK,
        sample="550 5.1.1 mail account does not exist",
    ),
)
