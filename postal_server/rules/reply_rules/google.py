"""What Gmail and Google Workspace answer."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

ERRORS = "https://support.google.com/a/answer/3726730"
GUIDELINES = "https://support.google.com/mail/answer/81126"
GROUPS = "https://support.google.com/a/answer/168383"

ROWS: tuple[Row, ...] = (
    Row(
        Class.BAD_ADDRESS,
        "email account that you tried to reach does not exist",
        source=ERRORS,
        sample=(
            "550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 "
            "double-checking the recipient's email address for typos or 550 5.1.1 unnecessary spaces. - "
            "gsmtp"
        ),
    ),
    Row(
        Class.BAD_DOMAIN,
        "we weren't able to find the recipient domain",
        source=ERRORS,
        sample=(
            "553-5.1.2 We weren't able to find the recipient domain. Please check for any 553 5.1.2 "
            "spelling errors. - gsmtp"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient address .{1,80}is not a valid rfc.?(?:5321|2821) address",
        source=ERRORS,
        sample=(
            "553 5.1.3 The recipient address <jane@@example.com> is not a valid RFC 5321 address. - gsmtp"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "sender address .{1,80}is not a valid rfc.?(?:5321|2821) address",
        source=ERRORS,
        sample=("553 5.1.7 The sender address <news@@example.org> is not a valid RFC 5321 address. - gsmtp"),
    ),
    Row(
        Class.INACTIVE,
        "email account that you tried to reach is (?:inactive|disabled)",
        source=ERRORS,
        sample=(
            "550 5.2.1 The email account that you tried to reach is inactive. For more information, go "
            "to https://support.google.com/mail/?p=DisabledUser - gsmtp"
        ),
    ),
    Row(
        Class.RATE,
        "trying to contact is receiving (?:e?mail|messages) (?:too quickly|at a rate)",
        source=ERRORS,
        sample=(
            "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents "
            "additional messages from being delivered. - gsmtp"
        ),
    ),
    Row(
        Class.MAILBOX_FULL,
        "recipient's inbox is out of storage",
        source=ERRORS,
        sample=(
            "452 4.2.2 The recipient's inbox is out of storage space. Please direct the recipient to "
            "Manage files in your Google Drive storage. - gsmtp"
        ),
    ),
    Row(
        Class.MAILBOX_FULL,
        "email account that you tried to reach is over quota",
        source=ERRORS,
        sample=(
            "552-5.2.2 The email account that you tried to reach is over quota. Please direct 552 5.2.2 "
            "the recipient to https://support.google.com/mail/?p=OverQuotaPerm - gsmtp"
        ),
    ),
    Row(
        Class.RATE,
        "domain policy size per transaction exceeded",
        source=ERRORS,
        sample=(
            "452 4.5.3 Domain policy size per transaction exceeded, please try this recipient in a "
            "separate transaction. - gsmtp"
        ),
    ),
    Row(
        Class.RATE,
        "unusual (?:rate|amount) of unsolicited",
        source=ERRORS,
        sample=(
            "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP "
            "address. To protect our users from spam, mail has been temporarily rate limited. - gsmtp"
        ),
    ),
    Row(
        Class.RATE,
        "exceeded its quota for sending messages with the same message-id",
        source=ERRORS,
        sample=(
            "421 4.7.28 Gmail has detected this message exceeded its quota for sending messages with the "
            "same Message-ID. - gsmtp"
        ),
    ),
    Row(
        Class.REPUTATION,
        "very low reputation of the sending (?:ip|domain)",
        source=ERRORS,
        sample=(
            "550-5.7.1 [192.0.2.7] Our system has detected that this message is likely suspicious due to "
            "the very low reputation of the sending domain. - gsmtp"
        ),
    ),
    Row(
        Class.REPUTATION,
        "ip not in whitelist for rcpt domain",
        source=ERRORS,
        sample="421 4.7.0 IP not in whitelist for RCPT domain, closing connection. - gsmtp",
    ),
    Row(
        Class.REPUTATION,
        "ip you're using to send (?:e?mail|email) is not authorized",
        source=ERRORS,
        sample=(
            "550-5.7.1 The IP you're using to send mail is not authorized to send email directly to our "
            "servers. - gsmtp"
        ),
    ),
    Row(
        Class.CONTENT,
        "(?:suspicious )?due to the nature of the content",
        source=ERRORS,
        sample=(
            "421-4.7.0 This message is suspicious due to the nature of the content or the links within. "
            "- gsmtp"
        ),
    ),
    Row(
        Class.CONTENT,
        "message is likely unsolicited mail",
        source=ERRORS,
        sample=(
            "550-5.7.1 [192.0.2.7 12] Our system has detected that this message is likely unsolicited "
            "mail. To reduce the amount of spam sent to Gmail, this message has been blocked. - gsmtp"
        ),
    ),
    Row(
        Class.CONTENT,
        "content presents a potential security issue",
        source=ERRORS,
        sample=(
            "552-5.7.0 This message was blocked because its content presents a potential security issue. "
            "- gsmtp"
        ),
    ),
    Row(
        Class.CONTENT,
        "message is not rfc.?(?:5322|2822) compliant",
        source=ERRORS,
        sample=("550-5.7.1 This message is not RFC 5322 compliant because it has duplicate headers. - gsmtp"),
    ),
    Row(
        Class.CONTENT,
        "messages (?:missing a valid|with multiple addresses in) .{1,60}are not accepted",
        source=ERRORS,
        sample="550 5.7.1 Messages missing a valid Message-ID: header are not accepted. - gsmtp",
    ),
    Row(
        Class.CONTENT,
        "mail message is malformed",
        source=ERRORS,
        sample="554 5.6.0 Mail message is malformed. Not accepted. - gsmtp",
    ),
    Row(
        Class.CONTENT,
        ("(?:unicode character in a disallowed|encoded-word syntax is not permitted in message) header"),
        source=ERRORS,
        sample="550 5.7.1 Encoded-word syntax is not permitted in message header From. - gsmtp",
    ),
    Row(
        Class.AUTHENTICATION,
        "because (?:the sender|it) is unauthenticated",
        source=ERRORS,
        sample=(
            "550-5.7.26 Your email has been blocked because the sender is unauthenticated. 550-5.7.26 "
            "Gmail requires all senders to authenticate with either SPF or DKIM. - gsmtp"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "unauthenticated email from .{1,120}is not accepted",
        source=ERRORS,
        sample=(
            "550-5.7.26 Unauthenticated email from example.org is not accepted due to domain's DMARC "
            "policy. - gsmtp"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "spf record with a hard fail policy",
        source=ERRORS,
        sample=(
            "550-5.7.26 The MAIL FROM domain [example.org] has an SPF record with a hard fail policy "
            "(-all) but it fails to pass SPF checks with the ip: [192.0.2.7]. - gsmtp"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "(?:spf|dkim)(?: authentication)? (?:does not|didn't) pass",
        source=ERRORS,
        sample=(
            "421-4.7.30 Your email has been rate limited because DKIM authentication didn't pass for "
            "this message. - gsmtp"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "isn.t aligned with either the authenticated",
        source=ERRORS,
        sample=(
            "421-4.7.32 Your email has been rate limited because the From: header (RFC5322) in this "
            "message isn't aligned with either the authenticated SPF or DKIM organizational domain. - "
            "gsmtp"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "spf record of the sending domain has one or more suspicious",
        source=ERRORS,
        sample=(
            "550-5.7.24 The SPF record of the sending domain has one or more suspicious entries. - gsmtp"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "does(?: not|n.t) have a ptr record",
        source=ERRORS,
        sample=(
            "550-5.7.25 [192.0.2.7] The IP address sending this message does not have a PTR record "
            "setup, or the corresponding forward DNS entry does not point to the sending IP. - gsmtp"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "sending ip does not match the ip address of the hostname",
        source=ERRORS,
        sample=(
            "550-5.7.25 The sending IP does not match the IP address of the hostname specified in the "
            "pointer (PTR) record. - gsmtp"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "does not meet ipv6 sending guidelines",
        source=GUIDELINES,
        sample=(
            "550-5.7.1 [2001:db8::7] Our system has detected that this message does not meet IPv6 "
            "sending guidelines regarding PTR records and authentication. - gsmtp"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "wasn.t sent over a tls connection|tls required for rcpt domain",
        source=ERRORS,
        sample="421 4.7.0 TLS required for RCPT domain, closing connection. - gsmtp",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"message exceeded \d+ hops",
        source=ERRORS,
        sample="554 5.4.6 Message exceeded 50 hops, this may indicate a mail loop. - gsmtp",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "mail relay denied",
        source=ERRORS,
        sample=(
            "550-5.7.0 Mail relay denied [192.0.2.7]. Invalid credentials for relay for one of the "
            "domains. - gsmtp"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "invalid credentials for relay",
        source=ERRORS,
        sample=(
            "550-5.7.1 Invalid credentials for relay [192.0.2.7]. The IP address you've registered in "
            "your Workspace SMTP Relay service doesn't match the domain. - gsmtp"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "mail server has temporarily rejected this message",
        source=ERRORS,
        sample="451 4.3.0 Mail server has temporarily rejected this message. - gsmtp",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "multiple destination domains per transaction",
        source=ERRORS,
        sample=(
            "451 4.3.0 Multiple destination domains per transaction is unsupported. Please try again. - gsmtp"
        ),
    ),
    Row(
        Class.TOO_LARGE,
        "exceed(?:ed|s) google's",
        source=ERRORS,
        sample="552-5.3.4 Your message exceeded Google's message size limits. - gsmtp",
    ),
    Row(
        Class.TOO_LARGE,
        "header that exceeds google's",
        source=ERRORS,
        sample=(
            "552-5.3.4 Your message has a Subject: header that exceeds Google's message header size "
            "limits. - gsmtp"
        ),
    ),
    Row(
        Class.RATE,
        "(?:daily user sending limit|(?:daily|peak) smtp relay (?:sending )?limit) exceeded",
        source=ERRORS,
        sample="550-5.4.5 Daily user sending limit exceeded. - gsmtp",
    ),
    Row(
        Class.RATE,
        "this mail has been rate limited",
        source=ERRORS,
        sample=(
            "550-5.7.1 This mail has been rate limited. For more information, go to Limits for sending & "
            "getting mail. - gsmtp"
        ),
    ),
    Row(
        Class.RATE,
        "try again later, closing connection",
        operator="google.com",
        source=ERRORS,
        sample="421 4.7.0 Try again later, closing connection. (EHLO) - gsmtp",
    ),
    Row(
        Class.POLICY,
        "has a policy that prohibits the mail that you sent",
        source=ERRORS,
        sample=(
            "550-5.7.1 The user or domain that you are sending to (or from) has a policy that prohibits "
            "the mail that you sent. - gsmtp"
        ),
    ),
    Row(
        Class.POLICY,
        "message violates .{1,80}email policy",
        source=ERRORS,
        sample="550 5.7.1 This message violates example.com email policy. - gcdp k7si123 - gsmtp",
    ),
    Row(
        Class.POLICY,
        r"the group (?:\S{1,80} )?you tried to contact",
        source=GROUPS,
        sample="We're writing to let you know that the group you tried to contact (team) may not exist.",
    ),
)
