"""What Exchange Online, Exchange and Outlook.com answer."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

NDR = (
    "https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exch"
    "ange-online/non-delivery-reports-in-exchange-online"
)
EDGE = "https://learn.microsoft.com/exchange/mail-flow-best-practices/use-directory-based-edge-blocking"
CONSUMER = "https://sendersupport.olc.protection.outlook.com/pm/troubleshooting"
THROTTLE = (
    "https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exch"
    "ange-online/fix-error-code-451-4-7-500-699-asxxx-in-exchange-online"
)
SENDERS = (
    "https://techcommunity.microsoft.com/blog/microsoftdefenderforoffice365blog/strengthening-e"
    "mail-ecosystem-outlook%E2%80%99s-new-requirements-for-high%E2%80%90volume-senders/4399730"
)
EXCHANGE = (
    "https://learn.microsoft.com/exchange/mail-flow/non-delivery-reports-and-bounce-messages/no"
    "n-delivery-reports-and-bounce-messages"
)

ROWS: tuple[Row, ...] = (
    Row(
        Class.BAD_ADDRESS,
        (
            r"5\.(?:4\.1|7\.504) .{0,200}recipient address rejected: access denied|"
            "all recipient addresses rejected ?: access denied"
        ),
        source=EDGE,
        sample=(
            "550 5.4.1 [jane@example.com]: Recipient address rejected: Access denied. "
            "[AM4EUR01FT003.eop-EUR01.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient address rejected: access denied",
        operator="outlook.com",
        source=EDGE,
        sample=(
            "550 5.4.1 Recipient address rejected: Access denied. AS(201806281) "
            "[DB5EUR03FT032.eop-EUR03.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient address rejected: access denied",
        operator="mx.microsoft",
        source=EDGE,
        sample=(
            "550 5.4.1 Recipient address rejected: Access denied. AS(201806281) "
            "[AMS0EPF00000.eurprd05.prod.outlook.com]"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        r"resolver\.adr\.(?:ex)?recip(?:ient)?notfound",
        source=NDR,
        sample=(
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient jane@example.com not found by SMTP "
            "address lookup"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "not found by smtp address lookup",
        source=NDR,
        sample="550 5.1.10 Recipient jane@example.com not found by SMTP address lookup",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"resolver\.adr\.(?:invalidinsmtp|badprimary)",
        source=EXCHANGE,
        sample=("550 5.1.0 RESOLVER.ADR.InvalidInSmtp; encapsulated INVALID address inside an SMTP address"),
    ),
    Row(
        Class.BAD_ADDRESS,
        "e-?mail account does not exist at the organization",
        source=EXCHANGE,
        sample=(
            "The e-mail account does not exist at the organization this message was sent to. Check the "
            "e-mail address, or contact the recipient directly to find out the correct address."
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "e-?mail address you entered couldn't be found",
        source=EXCHANGE,
        sample=(
            "The email address you entered couldn't be found. Please check the recipient's email address "
            "and try to resend the message."
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "requested action not taken: mailbox unavailable",
        operator="outlook.com",
        source=NDR,
        sample=(
            "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). "
            "[SN1NAM04FT012.eop-NAM04.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        r"5\.5\.0 requested action not taken: mailbox unavailable",
        source=NDR,
        sample="550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
    ),
    Row(
        Class.BAD_ADDRESS,
        "access denied, banned recipient",
        source=NDR,
        sample=(
            "550 5.7.505 Access denied, banned recipient. "
            "[VE1EUR01FT024.eop-EUR01.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.INACTIVE,
        "accountdisabledexception|aduserdisabled",
        source=EXCHANGE,
        sample=(
            "550 5.2.1 STOREDRV.Deliver; AccountDisabledException.MapiExceptionADUserDisabledAndHidden; "
            "mailbox is disabled"
        ),
    ),
    Row(
        Class.INACTIVE,
        "mapiexception(?:mailboxdisabled|unknownuser|accountdisabled)|mailboxdisabledexception",
        source=EXCHANGE,
        sample=(
            "550 5.2.0 STOREDRV.Deliver.Exception:AccountDisabledException.MapiExceptionMailboxDisabled; "
            "Failed to process message due to a permanent exception"
        ),
    ),
    Row(
        Class.INACTIVE,
        "recipient's mailbox is (?:disabled|unavailable)",
        source=EXCHANGE,
        sample="550 5.2.1 The recipient's mailbox is disabled and can't accept messages",
    ),
    Row(
        Class.MAILBOX_FULL,
        r"storedrv\.\S{0,60}(?:quotaexceeded|mailboxfull)",
        source=EXCHANGE,
        sample=(
            "554 5.2.2 mailbox full; "
            "STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; Failed "
            "to process message due to a permanent exception"
        ),
    ),
    Row(
        Class.MAILBOX_FULL,
        "mapiexceptionshutoffquotaexceeded|shutoffquota",
        source=EXCHANGE,
        sample="554 5.2.2 mailbox full; MapiExceptionShutoffQuotaExceeded: 16.55847:B5000000",
    ),
    Row(
        Class.MAILBOX_FULL,
        "larger than the current system limit or the recipient's mailbox is full",
        source=EXCHANGE,
        sample=(
            "5.2.3 This message is larger than the current system limit or the recipient's mailbox is "
            "full. Create a shorter message body or remove attachments and try sending it again."
        ),
    ),
    Row(
        Class.MAILBOX_FULL,
        "mailbox is full and can't accept messages",
        source=EXCHANGE,
        sample=(
            "The recipient's mailbox is full and can't accept messages now. Please try resending your "
            "message later, or contact the recipient directly."
        ),
    ),
    Row(
        Class.RATE,
        "recipient thread limit exceeded",
        source=NDR,
        sample="432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded",
    ),
    Row(
        Class.RATE,
        (
            "(?:receive limit|message rate limit|hourly message (?:receive|recipient) limit)[a-z ]{0,40}"
            "exceeded"
        ),
        source=NDR,
        sample=(
            "550 5.2.122 The recipient has exceeded their limit for the number of messages they can "
            "receive per hour. Message rate limit for this recipient exceeded"
        ),
    ),
    Row(
        Class.RATE,
        "exceeded (?:their|the) limit for the number of messages",
        source=NDR,
        sample=(
            "550 5.2.122 The recipient has exceeded their limit for the number of messages they can "
            "receive per hour."
        ),
    ),
    Row(
        Class.RATE,
        "submission quota (?:was )?exceeded",
        source=NDR,
        sample="550 5.2.2 Submission quota exceeded",
    ),
    Row(
        Class.RATE,
        "exceeded permitted limits within",
        source=NDR,
        sample=(
            "550 5.7.508 Access denied, [2001:db8::7] has exceeded permitted limits within /64 range. "
            "[HE1EUR02FT044.eop-EUR02.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.RATE,
        "tenant has exceeded threshold",
        source=NDR,
        sample=(
            "550 5.7.705 Access denied, tenant has exceeded threshold. "
            "[AM0PR01MB1234.eurprd01.prod.exchangelabs.com]"
        ),
    ),
    Row(
        Class.RATE,
        r"server busy\. please try again later from",
        source=THROTTLE,
        sample=(
            "451 4.7.500 Server busy. Please try again later from [192.0.2.7]. (S77719) "
            "[VE1EUR03FT003.eop-EUR03.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.RATE,
        "access denied, please try again later",
        source=THROTTLE,
        sample=(
            "451 4.7.550 Access denied, please try again later "
            "[BN1NAM02FT005.eop-nam02.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.RATE,
        "maximum number of (?:concurrent )?connections .{0,60}(?:exceeded|has been reached)",
        source=CONSUMER,
        sample=(
            "421 4.3.2 The maximum number of concurrent connections per resource forest has exceeded a "
            "limit, closing transmission channel."
        ),
    ),
    Row(
        Class.RATE,
        r"\brp-00[1-3]\b",
        source=CONSUMER,
        sample=(
            "421 RP-001 (SNT004-MC1F39) Unfortunately, some messages from 192.0.2.7 weren't sent. Please "
            "try again. We have limits for how many messages can be sent per hour and per day."
        ),
    ),
    Row(
        Class.REPUTATION,
        "rate limited due to ip reputation",
        source=CONSUMER,
        sample=(
            "451 4.7.650 The mail server [192.0.2.7] has been temporarily rate limited due to IP "
            "reputation. (S775) [BL6PEPF0001AB58.namprd04.prod.outlook.com]"
        ),
    ),
    Row(
        Class.RATE,
        "has exceeded the maximum number of connections",
        source=CONSUMER,
        sample="451 4.7.652 The mail server [192.0.2.7] has exceeded the maximum number of connections.",
    ),
    Row(
        Class.REPUTATION,
        r"\(s31[1-9]\d\)|\(as31[1-9]\d\)|\(s775\)|\(s8001\)|\(as84[34]\)",
        source=CONSUMER,
        sample=(
            "550 5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your "
            "Internet service provider since part of their network is on our block list (S3150)."
        ),
    ),
    Row(
        Class.REPUTATION,
        "spam abuse detected from ip range|banned sending ip",
        source=CONSUMER,
        sample="550 5.7.501 Service unavailable. Spam abuse detected from IP range.",
    ),
    Row(
        Class.REPUTATION,
        "part of their network is on our block ?list",
        source=CONSUMER,
        sample=(
            "550 SC-001 (BAY004-MC4F49) Unfortunately, messages from 192.0.2.7 weren't sent. Please "
            "contact your Internet service provider since part of their network is on our block list."
        ),
    ),
    Row(
        Class.REPUTATION,
        r"\bsc-00[1-9]\b|\bdy-00[1-9]\b|\bou-00[1-9]\b",
        source=CONSUMER,
        sample="550 DY-001 (BAY0-MC1-F12) Unfortunately, messages from 192.0.2.7 weren't sent.",
    ),
    Row(
        Class.REPUTATION,
        "access denied, (?:banned send|spam abuse|traffic not accepted)",
        source=NDR,
        sample=(
            "550 5.7.606 Access denied, banned sending IP [192.0.2.7]. To request removal from this list "
            "please visit https://sender.office.com/ and follow the directions. AS16012609"
        ),
    ),
    Row(
        Class.REPUTATION,
        "blocked (?:by .{1,60})?using customer block list",
        source=NDR,
        sample=(
            "550 5.7.513 Service unavailable, Client host [192.0.2.7] blocked by example.com using "
            "Customer Block list (AS16012607)"
        ),
    ),
    Row(
        Class.REPUTATION,
        "access denied, rejected by recipient",
        source=NDR,
        sample=(
            "550 5.7.507 Access denied, rejected by recipient. "
            "[VE1EUR01FT024.eop-EUR01.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.REPUTATION,
        "helo domain is listed in",
        source=NDR,
        sample=(
            "550 5.7.1 Service unavailable, Helo domain is listed in Spamhaus. To request removal from "
            "this list see https://www.spamhaus.org/lookup/ (S8001)"
        ),
    ),
    Row(
        Class.REPUTATION,
        "access denied, bad outbound sender|message identified as outbound spam",
        source=NDR,
        sample="550 5.1.8 Access denied, bad outbound sender. AS(42003)",
    ),
    Row(
        Class.AUTHENTICATION,
        "must pass either spf or dkim validation",
        source=NDR,
        sample=(
            "450 4.7.26 Access denied, a message sent over IPv6 [2001:db8::7] must pass either SPF or "
            "DKIM validation, this message is not signed"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "rejected because of sender policy framework violation",
        source=NDR,
        sample=(
            "550 5.7.23 The message was rejected because of Sender Policy Framework violation -> 550 "
            "5.7.1 SPF unauthorized mail is prohibited."
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "does not pass dmarc verification",
        source=NDR,
        sample=(
            "550 5.7.509 Access denied, sending domain [example.org] does not pass DMARC verification "
            "and has a DMARC policy of reject."
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "does not meet the required authentication level",
        source=SENDERS,
        sample=(
            "550 5.7.515 Access denied, sending domain example.org does not meet the required "
            "authentication level. The sender's domain in the 5322.From address doesn't meet the "
            "authentication requirements defined for the sender."
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "access denied, bad helo",
        source=NDR,
        sample="550 5.7.506 Access Denied, Bad HELO",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "does not accept email over ipv6",
        source=NDR,
        sample="550 5.7.510 Access denied, [example.com] does not accept email over IPv6",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "sending ipv6 address .{1,60}must have a reverse dns",
        source=NDR,
        sample=(
            "450 4.7.25 Access denied, the sending IPv6 address [2001:db8::7] must have a reverse DNS record"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "tenant(?:attribution|inboundattribution)",
        source=NDR,
        sample=(
            "550 5.7.64 TenantAttribution; Relay Access Denied "
            "[HE1EUR02FT044.eop-EUR02.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "not authenticated to send anonymous mail",
        source=NDR,
        sample="530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "hop count exceeded",
        source=NDR,
        sample=(
            "554 5.4.14 Hop count exceeded - possible mail loop ATTR34 "
            "[VE1EUR01FT024.eop-EUR01.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "client blocked from sending from unregistered domains",
        source=NDR,
        sample="550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains.",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "starttls-not-supported|certificate-expired|tlsa-invalid|dnssec-invalid",
        source=NDR,
        sample="450 4.7.323 tlsa-invalid: The domain failed DANE validation.",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"temporary server error\. please try again later",
        operator="outlook.com",
        source=NDR,
        sample=(
            "451 4.7.0 Temporary server error. Please try again later. PRX2 "
            "[AM5EUR02FT012.eop-EUR02.prod.protection.outlook.com]"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "mail received as unauthenticated, incoming to a recipient domain configured in a hosted tena"
            "nt which has no mail-enabled"
        ),
        operator="outlook.com",
        is_sure=False,
        source=NDR,
        sample=(
            "451 4.4.62 Mail sent to the wrong Office 365 region. ATTR35. Mail received as "
            "unauthenticated, incoming to a recipient domain configured in a hosted tenant which has no "
            "mail-enabled subscriptions. ATTR5"
        ),
    ),
    Row(
        Class.BAD_DOMAIN,
        r"smtpsend\.dns\.nonexistentdomain",
        is_sure=False,
        source=NDR,
        sample=(
            "550 5.4.310 DNS domain example.invalid does not exist [Message=InfoDomainNonexistent]; "
            "SMTPSEND.DNS.NonExistentDomain"
        ),
    ),
    Row(
        Class.BAD_DOMAIN,
        r"dns domain \S{1,120} does not exist|infodomainnonexistent",
        source=NDR,
        sample=(
            "550 5.4.310 DNS domain example.invalid does not exist [Message=InfoDomainNonexistent] "
            "[LastAttemptedServerName=example.invalid]"
        ),
    ),
    Row(
        Class.EXPIRED,
        r"queue\.expired|message expired(?:,|\.|;| ->)",
        source=NDR,
        sample="550 5.4.300 Message expired -> 451 4.7.0 Temporary server error. Please try again later.",
    ),
    Row(
        Class.POLICY,
        "delivery not authorized",
        source=NDR,
        sample=(
            "550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized: Delivery not authorized, message refused"
        ),
    ),
    Row(
        Class.POLICY,
        r"resolver\.rst\.(?:auth|notauth|restricted|sender|sendernot)",
        source=NDR,
        sample=(
            "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery "
            "restriction check failed because the sender was not authenticated when sending to this group"
        ),
    ),
    Row(
        Class.POLICY,
        "delivery restriction check failed",
        source=NDR,
        sample=(
            "Delivery restriction check failed because the sender was not authenticated when sending to "
            "this mailbox"
        ),
    ),
    Row(
        Class.POLICY,
        "sender (?:was )?not (?:authenticated (?:for|by)|in allowed-senders)",
        source=NDR,
        sample="550 5.7.124 Sender not in allowed-senders list",
    ),
    Row(
        Class.POLICY,
        r"transport\.rules\.rejectmessage",
        source=NDR,
        sample="550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy",
    ),
    Row(
        Class.POLICY,
        "rejected by organization policy",
        source=NDR,
        sample="550 5.7.1 The message was rejected by organization policy",
    ),
    Row(
        Class.POLICY,
        "requires that all senders are authenticated",
        source=EXCHANGE,
        sample=(
            "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required: this group requires that all "
            "senders are authenticated"
        ),
    ),
    Row(
        Class.POLICY,
        "requested action not taken: policy violation detected",
        source=NDR,
        sample=(
            "550 5.0.350 Remote server returned an error -> 550 Requested action not taken: policy "
            "violation detected (AS345)"
        ),
    ),
    Row(
        Class.TOO_LARGE,
        r"resolver\.rst\.recip(?:ient)?sizelimit|sendsizelimit",
        source=EXCHANGE,
        sample="550 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient",
    ),
    Row(
        Class.CONTENT,
        r"smtpsend\.barelinefeedsareillegal|contains bare linefeeds",
        source=NDR,
        sample=(
            "550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; message contains bare linefeeds, which cannot "
            "be sent via DATA"
        ),
    ),
    Row(
        Class.CONTENT,
        "message must be rfc.?5322 section",
        source=NDR,
        sample="550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant",
    ),
    Row(
        Class.CONTENT,
        "message rejected as spam by content filter",
        source=EXCHANGE,
        sample="550 5.7.1 Message rejected as spam by Content Filtering.",
    ),
    Row(
        Class.RATE,
        r"resolver\.adr\.recip(?:ient)?limit",
        source=EXCHANGE,
        sample="550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"resolver\.fwd\.(?:loop|notfound)|smtpsend\.dns\.mxloopback",
        source=EXCHANGE,
        sample="550 5.4.6 RESOLVER.FWD.Loop; there is a forwarding loop configured in the directory",
    ),
)
