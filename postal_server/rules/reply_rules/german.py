"""What GMX, WEB.DE, T-Online, Freenet, IONOS and other German mail hosts answer."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

GMX = "https://postmaster.gmx.net/en/error-messages"
WEBDE = "https://postmaster.web.de/en/error-messages"
TONLINE = "https://postmaster.t-online.de/index.en.html"
FREENET = "https://postmaster.freenet.de"
IONOS = "https://www.ionos.com/help/email/postmaster/smtp-error-messages-of-the-ionos-mail-servers/"
STRATO = "https://www.strato.de/faq/mail/"

# The same line introduces what is wrong with the sender or with the mail.
MAILBOX_UNAVAILABLE = (
    "mailbox unavailable(?!.{0,80}(?:invalid dns|resource record|sender address|policy|spam|virus|failure))"
)

ROWS: tuple[Row, ...] = (
    Row(
        Class.BAD_ADDRESS,
        MAILBOX_UNAVAILABLE,
        operator="gmx.net",
        source=GMX,
        sample=(
            "550-Requested action not taken: mailbox unavailable 550 For explanation visit "
            "https://postmaster.gmx.net/en/case?c=r0103&i=ip&v=192.0.2.7"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        MAILBOX_UNAVAILABLE,
        operator="web.de",
        source=WEBDE,
        sample=(
            "550-Requested action not taken: mailbox unavailable 550 For explanation visit "
            "https://postmaster.web.de/en/case?c=r0103"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        MAILBOX_UNAVAILABLE,
        operator="kundenserver.de",
        source=IONOS,
        sample="550 Requested action not taken: mailbox unavailable",
    ),
    Row(
        Class.BAD_ADDRESS,
        MAILBOX_UNAVAILABLE,
        operator="ionos.com",
        source=IONOS,
        sample="550 Requested action not taken: mailbox unavailable",
    ),
    Row(
        Class.BAD_ADDRESS,
        MAILBOX_UNAVAILABLE,
        operator="ionos.de",
        source=IONOS,
        sample="550 Requested action not taken: mailbox unavailable",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "invalid dns (?:mx|ptr|a)",
        source=GMX,
        sample=(
            "550-Requested action not taken: mailbox unavailable 550 invalid DNS MX or A/AAAA resource "
            "record. 550 For explanation visit https://postmaster.gmx.net/en/case?c=r0202"
        ),
    ),
    Row(
        Class.REPUTATION,
        "ip address is (?:block|black) ?listed",
        source=GMX,
        sample=(
            "554-gmx.net (mxgmx104) Nemesis ESMTP Service not available 554-No SMTP service 554-IP "
            "address is block listed. 554 For explanation visit "
            "https://postmaster.gmx.net/en/case?c=r0201&i=ip&v=192.0.2.7"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "bad dns ptr resource record",
        source=GMX,
        sample=(
            "554-gmx.net (mxgmx005) Nemesis ESMTP Service not available 554-No SMTP service 554-Bad DNS "
            "PTR resource record. 554 For explanation visit https://postmaster.gmx.net/en/case?c=rdns"
        ),
    ),
    Row(
        Class.REPUTATION,
        "nemesis esmtp service not available",
        source=GMX,
        sample=(
            "554-web.de (mxweb012) Nemesis ESMTP Service not available 554-No SMTP service 554 For "
            "explanation visit https://postmaster.web.de/en/case?c=r0103"
        ),
    ),
    Row(
        Class.REPUTATION,
        "transaction failed .{0,60}reject due to policy",
        is_sure=False,
        source=GMX,
        sample=(
            "554-Transaction failed 554-Reject due to policy restrictions. 554 For explanation visit "
            "https://postmaster.gmx.net/en/case?c=hi"
        ),
    ),
    Row(
        Class.REPUTATION,
        "reject due to policy (?:restrictions|violations)",
        source=IONOS,
        sample="421 Reject due to policy violations",
    ),
    Row(
        Class.RATE,
        "rate limit reached",
        source=IONOS,
        sample="421 Rate limit reached. Please try again later",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "invalid helo/ehlo|helo/ehlo .{0,30}not allowed",
        source=IONOS,
        sample="550-Requested action not taken 550 invalid HELO/EHLO",
    ),
    Row(
        Class.RATE,
        "requested action aborted .{0,40}local error|temporary problem",
        operator="gmx.net",
        source=GMX,
        sample=(
            "451-Requested action aborted: local error in processing 451 Temporary problem, try again later"
        ),
    ),
    Row(
        Class.POLICY,
        r"failure sending mail\. try again later",
        is_sure=False,
        source=GMX,
        sample=(
            "550-Requested action not taken: mailbox unavailable 550 Failure sending mail. Try again later"
        ),
    ),
    Row(
        Class.MAILBOX_FULL,
        "user has exhausted allowed storage space",
        source=WEBDE,
        sample=(
            "550 Benutzer hat das Speichervolumen ueberschritten. / User has exhausted allowed storage space."
        ),
    ),
    Row(
        Class.MAILBOX_FULL,
        "user has too many messages on the server",
        source=WEBDE,
        sample=("550 Benutzer hat zuviele Mails auf dem Server. / User has too many messages on the server."),
    ),
    Row(
        Class.MAILBOX_FULL,
        "speichervolumen (?:ueber|über)schritten",
        source=WEBDE,
        sample="552 Das Speichervolumen überschritten: die Mailbox kann nichts mehr aufnehmen",
    ),
    Row(
        Class.BAD_ADDRESS,
        "benutzer nicht bekannt",
        source=WEBDE,
        sample="550 Benutzer nicht bekannt/User unknown",
    ),
    Row(
        Class.BAD_ADDRESS,
        "unknown local part",
        source=WEBDE,
        sample="550 Unknown local part jane in <jane@web.de>",
    ),
    Row(
        Class.REPUTATION,
        r"a problem occurred\. \(?ask your postmaster",
        source=TONLINE,
        sample=(
            "554 IP=192.0.2.7 - A problem occurred. (Ask your postmaster for help or to contact "
            "tosa@rx.t-online.de to clarify.) (BL)"
        ),
    ),
    Row(
        Class.REPUTATION,
        "none/bad reputation",
        source=TONLINE,
        sample=(
            "554 IP=192.0.2.7 - None/bad reputation. Ask your postmaster for help or to contact "
            "tobr@rx.t-online.de for reset. (NOWL)"
        ),
    ),
    Row(
        Class.REPUTATION,
        "dialup/transient ip not allowed",
        source=TONLINE,
        sample=(
            "554 IP=192.0.2.7 - Dialup/transient IP not allowed. Use a mailgateway or contact "
            "toda@rx.t-online.de if obsolete. (DIAL)"
        ),
    ),
    Row(
        Class.REPUTATION,
        r"554 ip=\S{7,45} -",
        source=TONLINE,
        sample="554 IP=192.0.2.7 - Generic rejection, contact postmaster@rx.t-online.de",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user unknown|recipient unknown",
        operator="t-online.de",
        source=TONLINE,
        sample="550 5.1.1 user unknown",
    ),
    Row(
        Class.MAILBOX_FULL,
        "over storage quota",
        source=TONLINE,
        sample="552 5.2.2 Over STORAGE quota",
    ),
    Row(
        Class.RATE,
        "too many (?:connections|mails)",
        operator="t-online.de",
        source=TONLINE,
        sample="421 4.7.0 Too many connections from your host, please slow down",
    ),
    Row(
        Class.CONTENT,
        "message (?:rejected|refused)",
        operator="t-online.de",
        source=TONLINE,
        sample="550 5.7.0 Message considered as spam or virus, message rejected. Your IP: 192.0.2.7",
    ),
    Row(
        Class.CONTENT,
        "message considered as spam or virus",
        source=TONLINE,
        sample=(
            "550-5.7.0 Message considered as spam or virus, rejected 550-5.7.0 Message-ID: <1@example.org>"
        ),
    ),
    Row(
        Class.REPUTATION,
        "black ?list|block ?list",
        operator="freenet.de",
        source=FREENET,
        sample="550 5.7.1 Host 192.0.2.7 is on our blacklist",
    ),
    Row(
        Class.BAD_ADDRESS,
        "unrouteable address",
        operator="freenet.de",
        source=FREENET,
        sample="550 unrouteable address",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "inconsistent or no dns ptr",
        operator="freenet.de",
        source=FREENET,
        sample="550-inconsistent or no DNS PTR record for 192.0.2.7",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "inconsistent or no dns",
        source=FREENET,
        sample="550 inconsistent or no DNS PTR record for 192.0.2.7 (see RFC 1912 2.1)",
    ),
    Row(
        Class.BAD_ADDRESS,
        "mailbox unavailable|no such user|user unknown",
        operator="rzone.de",
        source=STRATO,
        sample="550 5.1.1 User unknown: mailbox unavailable on smtpin.rzone.de",
    ),
    Row(
        Class.REPUTATION,
        "refused by (?:blacklist|blocklist)|bl-ip",
        operator="rzone.de",
        source=STRATO,
        sample="554 5.7.1 Refused by blacklist: 192.0.2.7",
    ),
    Row(
        Class.CONTENT,
        "message rejected|classified as spam",
        operator="rzone.de",
        source=STRATO,
        sample="550 5.7.1 Refused: this mail was classified as spam",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "(?:empfaenger|empfänger|adressat|benutzer|postfach)(?: ist)? (?:hier )?unbekannt|(?:"
            "empfaenger|empfänger|adressat|benutzer|postfach)(?: ist)? (?:hier )?nicht bekannt|(?:"
            "empfaenger|empfänger|adressat|benutzer|postfach)(?: ist)? (?:hier )?nicht vorhanden|"
            "unbekannter (?:empfaenger|empfänger|benutzer)"
        ),
        source="observed 2024-01",
        sample="550 5.1.1 Empfänger unbekannt",
    ),
    Row(
        Class.BAD_ADDRESS,
        "(?:adresse|postfach|mailbox|konto) existiert (?:hier )?nicht",
        source="observed 2024-01",
        sample="550 Diese Adresse existiert nicht",
    ),
    Row(
        Class.MAILBOX_FULL,
        (
            r"postfach .{0,30}(?:ist )?voll\b|speicherplatz .{0,30}(?:voll|erschöpft|erschoepft|"
            "überschritten)"
        ),
        source="observed 2024-01",
        sample="552 5.2.2 Das Postfach des Empfängers ist voll",
    ),
    Row(
        Class.INACTIVE,
        (
            "konto (?:ist |wurde )?(?:gesperrt|deaktiviert|gekündigt|gekuendigt)|postfach (?:ist |"
            "wurde )?(?:gesperrt|deaktiviert|gekündigt|gekuendigt)|account (?:ist |wurde )?(?:gesperrt|"
            "deaktiviert|gekündigt|gekuendigt)"
        ),
        source="observed 2024-01",
        sample="550 Das Postfach wurde deaktiviert",
    ),
)
