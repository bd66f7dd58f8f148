"""What companies that host the mail of others answer: Zoho, Rackspace, GoDaddy, Fastmail, Proton and more."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

ZOHO = "https://www.zoho.com/mail/help/email-delivery-errors.html"
RACKSPACE = "https://docs.rackspace.com/docs/rackspace-email-smtp-error-codes"
GODADDY = "https://www.godaddy.com/help/what-does-my-email-bounceback-mean-3568"
INFOMANIAK = "https://www.infomaniak.com/en/support/faq/2023"
FASTMAIL = "https://www.fastmail.help/hc/en-us/articles/360060591213"
PROTON = "https://proton.me/support/email-bounces"
INTERIA = "https://pomoc.poczta.interia.pl/news-dlaczego-wiadomosc-nie-zostala-dostarczona,nId,6589600"
FORPSI = (
    "https://support.konto.pl/kb/a2871/ograniczenie-wiadomosci-przychodzacych-na-serwerze-poczt"
    "owym-mxavas_forpsi_com.aspx"
)
NICRU = "https://nic.ru/help/mail-diagnostics-and-troubleshooting_14426.html"
BLUETIE = "https://mxtoolbox.com/Bouncebacks"
FACEBOOK = "https://postmaster.facebook.com/response_codes"
CLOUDFLARE = "https://developers.cloudflare.com/email-routing/postmaster/"

ROWS: tuple[Row, ...] = (
    Row(
        Class.BAD_ADDRESS,
        "user (?:does not exist|unknown)|invalid recipient",
        operator="zoho.com",
        source=ZOHO,
        sample="550 5.1.1 User does not exist - <jane@zoho.com>",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user (?:does not exist|unknown)|invalid recipient",
        operator="zoho.eu",
        source=ZOHO,
        sample="550 5.1.1 User does not exist - <jane@example.com>",
    ),
    Row(
        Class.INACTIVE,
        "account (?:is )?(?:blocked|disabled|inactive)",
        operator="zoho.com",
        source=ZOHO,
        sample="550 5.2.1 Account disabled - <jane@zoho.com>",
    ),
    Row(
        Class.MAILBOX_FULL,
        "mailbox (?:is )?full|storage (?:is )?full|quota",
        operator="zoho.com",
        source=ZOHO,
        sample="552 5.2.2 Mailbox full for recipient",
    ),
    Row(
        Class.CONTENT,
        r"mail rejected by destination domain|541 5\.4\.1",
        source=ZOHO,
        sample="541 5.4.1 Mail rejected by destination domain",
    ),
    Row(
        Class.CONTENT,
        r"5\.7\.1 virus .{1,60}detected by zoho",
        source=ZOHO,
        sample="552 5.7.1 virus Win.Test.EICAR_HDB-1 detected by Zoho Mail",
    ),
    Row(
        Class.REPUTATION,
        "email policy violation|ip .{0,20}blocked",
        operator="zoho.com",
        source=ZOHO,
        sample="553 5.7.1 Email policy violation: IP blocked",
    ),
    Row(
        Class.AUTHENTICATION,
        "email rejected(?: per)? (?:due to|because of) (?:spf|dkim|dmarc)",
        source=ZOHO,
        sample="550 5.7.1 Email rejected due to DMARC policy",
    ),
    Row(
        Class.BAD_ADDRESS,
        "invalid recipient|user unknown|recipient address rejected",
        operator="emailsrvr.com",
        source=RACKSPACE,
        sample="550 5.1.1 <jane@example.com>: Recipient address rejected: user unknown (G22)",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "has no ptr record",
        source=RACKSPACE,
        sample="450 4.7.1 Client host 192.0.2.7 has no PTR record (G1F)",
    ),
    Row(
        Class.RATE,
        "too many concurrent connections",
        source=RACKSPACE,
        sample="421 Too many concurrent connections from this client (G2)",
    ),
    Row(
        Class.RATE,
        "mailbox received too much email",
        source=RACKSPACE,
        sample=(
            "450 4.2.1 <jane@example.com>: Mailbox received too much email in a short period of time (G30)"
        ),
    ),
    Row(
        Class.RATE,
        "received too many messages from a (?:new or )?untrusted",
        source=RACKSPACE,
        sample="451 4.7.1 Received too many messages from a new or untrusted IP (G28)",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "recipient's server was temporarily unavailable",
        source=RACKSPACE,
        sample=(
            "450 4.4.1 <jane@example.com>: The recipient's server was temporarily unavailable to accept "
            "your message (G6)"
        ),
    ),
    Row(
        Class.REPUTATION,
        r"blocked by (?:rackspace|recipient).{0,40}\(g\d",
        source=RACKSPACE,
        sample="554 5.7.1 Client host 192.0.2.7 blocked by Rackspace reputation filter (G15)",
    ),
    Row(
        Class.AUTHENTICATION,
        "temporary dmarc dns lookup failure",
        source=RACKSPACE,
        sample="450 4.4.0 <news@example.org> Temporary DMARC DNS lookup failure (G1E)",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "address rejected|recipient rejected|user unknown|account does not exist|invalid recipient|"
            "recipient not found"
        ),
        operator="secureserver.net",
        source=GODADDY,
        sample="550 #5.1.0 Address rejected jane@example.com",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"5\.1\.0 address rejected",
        source=GODADDY,
        sample="550 #5.1.0 Address rejected.",
    ),
    Row(
        Class.CONTENT,
        r"\bib21\d\b|\bib506\b|message rejected for spam or virus",
        source=GODADDY,
        sample="552 5.2.0 Message rejected for spam or virus content ; ; IB506",
    ),
    Row(
        Class.REPUTATION,
        r"\bib10[1-9]\b|\bib11\d\b|\bib108\b",
        source=GODADDY,
        sample=(
            "554 p3plibsmtp03-03.prod.phx3.secureserver.net bizsmtp Connection refused - 192.0.2.7 - IB103"
        ),
    ),
    Row(
        Class.RATE,
        r"\bib007\b|\bib401\b|\bib404\b|\bib504\b",
        source=GODADDY,
        sample=(
            "421 p3plibsmtp01-02.prod.phx3.secureserver.net bizsmtp Temporarily rejected. Too many "
            "connections. IB007"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        r"sender rejected|\ spf |\ dmarc",
        operator="secureserver.net",
        source=GODADDY,
        sample="550 5.7.1 sender rejected, SPF record of the domain forbids it - IB212",
    ),
    Row(
        Class.BAD_ADDRESS,
        "(?:user|recipient) unknown|mailbox not found|no such user",
        operator="infomaniak.ch",
        source=INFOMANIAK,
        sample="550 5.1.1 <jane@example.ch>: Recipient unknown",
    ),
    Row(
        Class.BAD_ADDRESS,
        "undeliverable address|no such (?:user|mailbox)|mailbox does not exist",
        operator="messagingengine.com",
        source=FASTMAIL,
        sample=(
            "550 5.1.1 <jane@fastmail.com>: Recipient address rejected: undeliverable address: mailbox "
            "does not exist"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "address does not exist|recipient address rejected",
        operator="protonmail.ch",
        source=PROTON,
        sample="550 5.1.1 <jane@proton.me>: Recipient address rejected: Address does not exist",
    ),
    Row(
        Class.REPUTATION,
        "service unavailable|blocked",
        operator="protonmail.ch",
        is_sure=False,
        source=PROTON,
        sample="554 5.7.1 Service unavailable; client blocked",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"5\.1\.1 account not found",
        source=INTERIA,
        sample="550 5.1.1 Account not found",
    ),
    Row(
        Class.POLICY,
        "recipient doesn't want your mail",
        source=INTERIA,
        sample="550 5.7.1 Recipient doesn't want your mail",
    ),
    Row(
        Class.AUTHENTICATION,
        r"\[spf\] .{1,80}is not allowed to send mail from",
        source=INTERIA,
        sample="550 5.7.0 [SPF] 192.0.2.7 is not allowed to send mail from example.org.",
    ),
    Row(
        Class.MAILBOX_FULL,
        "final recipient mailbox is full",
        source=FORPSI,
        sample="552 5.1.1 5.2.2 sorry, final recipient mailbox is full (chkuser)",
    ),
    Row(
        Class.POLICY,
        "sender is blacklisted",
        source=FORPSI,
        sample="550 5.1.1 <news@example.org> sender is blacklisted",
    ),
    Row(
        Class.CONTENT,
        r"\d \w{10,40} spam detected",
        source=FORPSI,
        sample="552 5.2.0 0biL1i00V1cmcpM01biL4w spam detected",
    ),
    Row(
        Class.AUTHENTICATION,
        r"\bblocked by spf\b",
        source=FORPSI,
        sample="550 5.1.0 0bcW1i00G0jifNx01bcmHa blocked by SPF",
    ),
    Row(
        Class.MAILBOX_FULL,
        r"prohibited\. disk quota exceeded",
        source=NICRU,
        sample="451 example.ru prohibited. Disk quota exceeded",
    ),
    Row(
        Class.REPUTATION,
        r"\bbl000[1-9]\b",
        source=BLUETIE,
        sample="554 BL0001 Your IP 192.0.2.7 is on the Cloudmark Sender Intelligence blocklist",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"address does not exist\. \[?\d|5\.1\.1 address does not exist",
        source=CLOUDFLARE,
        sample="550 5.1.1 Address does not exist. 9a8b7c6d5e4f",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"upstream (?:\(\S{1,80}\) )?(?:temporary |permanent |unknown )?error",
        source=CLOUDFLARE,
        sample=(
            "451 4.3.0 Upstream (mx.example.com) temporary error: Temporary System Problem. Try again later"
        ),
    ),
    Row(
        Class.REPUTATION,
        "rejected|blocked",
        operator="hey.com",
        source="observed 2024-06",
        sample="550 5.7.1 Message blocked by HEY, the sender was screened out",
    ),
    Row(
        Class.POLICY,
        "recipient address rejected: .{0,20}policy",
        operator="hushmail.com",
        source="observed 2024-06",
        sample="554 5.7.1 <jane@hushmail.com>: Recipient address rejected: policy",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient rejected",
        operator="one.com",
        source="observed 2024-06",
        sample="550 5.1.1 yG4QZNGttZRyvyG4QZgw6k Recipient Rejected [503]",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"recipient rejected \[503\]|account does not exist ;",
        source="observed 2024-06",
        sample="550 5.1.1 xk5hZkQ0xk5hZ <jane@example.com> Account does not exist ; ; xk5h",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"the domain \S{1,80} does not accept mail for this address|alias does not exist",
        source="observed 2024-06",
        sample="550 5.1.1 Alias does not exist",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"\brcp-p1\b",
        source=FACEBOOK,
        sample="550 5.1.1 RCP-P1 http://postmaster.facebook.com/response_codes?ip=192.0.2.7#rcp",
    ),
    Row(
        Class.POLICY,
        r"\brcp-p[2-9]\b|\bpol-p\d\b",
        source=FACEBOOK,
        sample=(
            "550 5.1.1 RCP-P2 http://postmaster.facebook.com/response_codes?ip=192.0.2.7#rcp Refused due "
            "to recipient preferences"
        ),
    ),
    Row(
        Class.RATE,
        r"\bpol-t\d\b|\bcon-t\d\b|\brcp-t\d\b",
        source=FACEBOOK,
        sample="421 4.7.0 POL-T1 http://postmaster.facebook.com/response_codes?ip=192.0.2.7#pol",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"\bdns-p\d\b|\bint-t\d\b|\bsmt-p\d\b",
        source=FACEBOOK,
        sample=(
            "554 5.1.8 DNS-P3 http://postmaster.facebook.com/response_codes?ip=192.0.2.7#dns Host "
            "returns NXDOMAIN"
        ),
    ),
)
