"""What mail filters before other people's mail hosts answer: Proofpoint, Mimecast, Barracuda, Cisco and
more.
"""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

PROOFPOINT = "https://ipcheck.proofpoint.com/"
ESSENTIALS = "https://help.proofpoint.com/Proofpoint_Essentials/Email_Security"
MIMECAST = (
    "https://mimecastsupport.zendesk.com/hc/en-us/articles/34000709564691-Policies-Mimecast-SMTP-Error-Codes"
)
BARRACUDA = "https://campus.barracuda.com/product/emailsecuritygateway/doc/3866694/"
CUDALOOKUP = "https://www.barracudacentral.org/lookups"
CISCO = (
    "https://www.cisco.com/c/en/us/support/security/email-security-appliance/products-tech-notes-list.html"
)
SENDERBASE = "https://talosintelligence.com/reputation_center"
TREND = "https://success.trendmicro.com/"
BROADCOM = (
    "https://knowledge.broadcom.com/external/article/169925/common-external-spam-filtering-error-cod.html"
)
TRELLIX = "https://docs.trellix.com/data-and-email/docs/error-codes"
CLOUDMARK = "https://csi.cloudmark.com/en/reset/"
SOPHOS = "https://docs.sophos.com/central/customer/help/en-us/ManageYourProducts/EmailSecurity/"
AMAVIS = "https://www.ijs.si/software/amavisd/"
RSPAMD = "https://rspamd.com/doc/"
BARUWA = "https://bastion.umanix.net/info"

ROWS: tuple[Row, ...] = (
    Row(
        Class.REPUTATION,
        r"\bblocked - see\b",
        operator="pphosted.com",
        source=PROOFPOINT,
        sample="554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.7",
    ),
    Row(
        Class.REPUTATION,
        "blocked - see (?:<url>|http)",
        source=PROOFPOINT,
        sample="550 5.7.0 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.7",
    ),
    Row(
        Class.REPUTATION,
        r"ipcheck\.proofpoint\.com",
        source=PROOFPOINT,
        sample="421 4.7.0 rejecting connection, see ipcheck.proofpoint.com",
    ),
    Row(
        Class.REPUTATION,
        "blocked by (?:pdr|prs|proofpoint)",
        source=PROOFPOINT,
        sample="550 5.7.1 IP 192.0.2.7 blocked by PDR",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user unknown|invalid recipient|no such user",
        operator="pphosted.com",
        source=PROOFPOINT,
        sample="550 5.1.1 <jane@example.com>: User unknown",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user email address is marked as invalid|invalid recipient",
        operator="ppe-hosted.com",
        source=ESSENTIALS,
        sample=(
            "550 5.7.1 <jane@example.com>: Recipient address rejected: User email address is marked as "
            "invalid."
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "user email address is marked as invalid",
        source=ESSENTIALS,
        sample=(
            "550 5.7.1 <jane@example.com>: Recipient address rejected: User email address is marked as "
            "invalid."
        ),
    ),
    Row(
        Class.POLICY,
        "permanent failure for one or more recipients",
        operator="pphosted.com",
        is_sure=False,
        source=PROOFPOINT,
        sample="554 Permanent failure for one or more recipients (jane@example.com:550 5.7.1 ...)",
    ),
    Row(
        Class.CONTENT,
        "message rejected|denied by policy",
        operator="pphosted.com",
        source=PROOFPOINT,
        sample="550 5.7.1 Message rejected by policy module",
    ),
    Row(
        Class.BAD_ADDRESS,
        "invalid recipient",
        operator="mimecast.com",
        source=MIMECAST,
        sample=(
            "550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [aBcDeFgHiJkLm.uk177]"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "invalid recipient",
        operator="mimecast.co.za",
        source=MIMECAST,
        sample=(
            "550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [aBcDeFgHiJkLm.za12]"
        ),
    ),
    Row(
        Class.REPUTATION,
        r"csi\.mimecast\.org",
        source=MIMECAST,
        sample=(
            "550 csi.mimecast.org Poor Reputation Sender. - "
            "https://community.mimecast.com/docs/DOC-1369#550 [aBc.uk12]"
        ),
    ),
    Row(
        Class.REPUTATION,
        "poor reputation sender",
        source=MIMECAST,
        sample="550 Poor Reputation Sender. [aBc.us12]",
    ),
    Row(
        Class.AUTHENTICATION,
        "(?:dmarc|spf|dkim) (?:sender )?(?:invalid|validation) ?-? ?envelope rejected",
        source=MIMECAST,
        sample=(
            "550 SPF Sender Invalid - envelope rejected - https://community.mimecast.com/docs/DOC-1369#550"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "(?:dkim|dmarc|spf) (?:sender )?invalid ?-|(?:dkim|dmarc|spf) (?:sender )?failed ?-",
        source=MIMECAST,
        sample="550 DKIM Sender Invalid - https://community.mimecast.com/docs/DOC-1369",
    ),
    Row(
        Class.POLICY,
        "(?:header|envelope) based anti-spoofing",
        source=MIMECAST,
        sample=(
            "550 Rejected by header based Anti-Spoofing policy: news@example.org - "
            "https://community.mimecast.com/docs/DOC-1369#550"
        ),
    ),
    Row(
        Class.POLICY,
        "rejected by (?:header|envelope) based (?:blocked|manually)",
        source=MIMECAST,
        sample="550 Rejected by header based manually Blocked Senders - block manual",
    ),
    Row(
        Class.POLICY,
        "administrative prohibition",
        source=MIMECAST,
        sample=(
            "550 Administrative prohibition - envelope blocked - "
            "https://community.mimecast.com/docs/DOC-1369#550"
        ),
    ),
    Row(
        Class.POLICY,
        "envelope (?:blocked|rejected) ?-",
        source=MIMECAST,
        sample="550 envelope blocked - User Entry",
    ),
    Row(
        Class.POLICY,
        "email rejected due to security policies ?-",
        source=MIMECAST,
        sample=(
            "554 Email rejected due to security policies - https://community.mimecast.com/docs/DOC-1369#554"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "internal resource temporarily unavailable",
        source=MIMECAST,
        sample=(
            "451 Internal resource temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "account inbounds disabled|ip temporarily blacklisted",
        source=MIMECAST,
        sample="451 Account inbounds disabled",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "unable to process connection at this time",
        source=MIMECAST,
        sample="421 Unable to process connection at this time",
    ),
    Row(
        Class.TOO_LARGE,
        "maximum email size exceeded",
        source=MIMECAST,
        sample="554 Maximum email size exceeded",
    ),
    Row(
        Class.CONTENT,
        ("(?:virus|malware|zip|exe) signature detected|remote server .{0,30}email (?:is )?suspicious"),
        source=MIMECAST,
        sample="554 Virus Signature Detected - https://community.mimecast.com/docs/DOC-1369#554",
    ),
    Row(
        Class.RATE,
        "exceed(?:ed|ing) outbound thread limit|sender email address is locked",
        source=MIMECAST,
        sample="550 Exceeding outbound thread limit",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"\bcuda_nsu\b",
        source=BARRACUDA,
        sample="550 cuda_nsu 5.1.1 <jane@example.com> Recipient address rejected: User unknown",
    ),
    Row(
        Class.BAD_ADDRESS,
        "no such user|recipient address rejected|no such domain",
        operator="barracudanetworks.com",
        source=BARRACUDA,
        sample="550 permanent failure for one or more recipients: No such user (jane@example.com)",
    ),
    Row(
        Class.REPUTATION,
        "barracuda(?:central|networks)?.{0,20}reputation",
        source=CUDALOOKUP,
        sample=(
            "550 Service unavailable; Client host [192.0.2.7] blocked using Barracuda Reputation; "
            "http://www.barracudanetworks.com/reputation/"
        ),
    ),
    Row(
        Class.REPUTATION,
        r"b\.barracudacentral",
        source=CUDALOOKUP,
        sample=(
            "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using b.barracudacentral.org"
        ),
    ),
    Row(
        Class.CONTENT,
        "permanent failure for one or more recipients .{0,200}(?:blocked|spam)",
        operator="barracudanetworks.com",
        source=BARRACUDA,
        sample="554 permanent failure for one or more recipients (jane@example.com:blocked)",
    ),
    Row(
        Class.POLICY,
        "550 blocked",
        operator="barracudanetworks.com",
        is_sure=False,
        source=BARRACUDA,
        sample="550 Blocked",
    ),
    Row(
        Class.CONTENT,
        "rejecting (?:spoofed|banned|blocked) (?:message|content|mail)",
        source=BARRACUDA,
        sample="550 rejecting spoofed message",
    ),
    Row(
        Class.CONTENT,
        r"(?:5\.7\.1 |550 )message (?:contains|content) .{0,60}(?:intent|banned|bad)",
        source=BARRACUDA,
        sample="550 5.7.1 Message contains banned content",
    ),
    Row(
        Class.RATE,
        "rate control|rate limited from this (?:ip|host)",
        source=BARRACUDA,
        sample="421 Service not available, connections rate limited from this IP by Rate Control",
    ),
    Row(
        Class.REPUTATION,
        (
            "senderbase.{0,60}(?:reputation|score|rejected|poor)|talos.{0,60}(?:reputation|score|rejected"
            "|poor)|sbrs.{0,60}(?:reputation|score|rejected|poor)|(?:your|poor|bad).{0,30}sbrs|(?:your|"
            "poor|bad).{0,30}senderbase"
        ),
        source=SENDERBASE,
        sample=(
            "554-mx1.example.com 554 Your access to this mail system has been rejected due to poor "
            "SenderBase reputation"
        ),
    ),
    Row(
        Class.REPUTATION,
        "access to this mail system has been rejected due to",
        source=CISCO,
        sample=(
            "554-esa1.example.com 554 Your access to this mail system has been rejected due to the "
            "sending MTA's poor reputation. If you believe that this failure is in error, please contact "
            "the intended recipient via alternate means."
        ),
    ),
    Row(
        Class.REPUTATION,
        ("your access to (?:submit|send) (?:messages|mail) to this (?:e-?mail )?system has been rejected"),
        source=CISCO,
        sample="550 #5.7.1 Your access to submit messages to this e-mail system has been rejected.",
    ),
    Row(
        Class.REPUTATION,
        "sending mta's poor reputation",
        source=CISCO,
        sample="554 rejected due to the sending MTA's poor reputation",
    ),
    Row(
        Class.BAD_ADDRESS,
        "address rejected|unknown user|recipient rejected",
        operator="iphmx.com",
        source=CISCO,
        sample="550 #5.1.0 Address rejected.",
    ),
    Row(
        Class.RATE,
        ("too many (?:messages|recipients|connections) .{0,40}(?:this hour|from your host|for this sender)"),
        source=CISCO,
        sample="452 Too many recipients received this hour",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "domain of sender address",
        source=CISCO,
        sample="553 #5.1.8 Domain of sender address <news@example.org> does not exist",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient address rejected: (?:user unknown|no such) |invalid recipient|user unknown",
        operator="trendmicro.com",
        source=TREND,
        sample=(
            "550 5.1.1 <jane@example.com>: Recipient address rejected: User unknown in relay recipient table"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "invalid recipient|user unknown",
        operator="trendmicro.eu",
        source=TREND,
        sample="550 5.1.1 <jane@example.com>: Recipient address rejected: User unknown",
    ),
    Row(
        Class.REPUTATION,
        (
            "(?:ers|rbl-plus|mail-abuse|trend ?micro).{0,60}block|(?:ers|rbl-plus|mail-abuse|"
            "trend ?micro).{0,60}listed|(?:ers|rbl-plus|mail-abuse|trend ?micro).{0,60}reputation|(?:ers|"
            "rbl-plus|mail-abuse|trend ?micro).{0,60}reject|blocked using trend ?micro"
        ),
        source=TREND,
        sample=(
            "550 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using Trend Micro RBL+. "
            "Please see http://www.mail-abuse.com/cgi-bin/lookup?ip_address=192.0.2.7"
        ),
    ),
    Row(
        Class.REPUTATION,
        r"blocked using trend micro|mail-abuse\.(?:com|org)",
        source=TREND,
        sample=(
            "450 4.7.1 Service unavailable; Client host [192.0.2.7] blocked using Trend Micro Email "
            "Reputation Services"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "invalid recipient|no such user|user unknown|recipient rejected",
        operator="messagelabs.com",
        source=BROADCOM,
        sample="550-Invalid recipient <jane@example.com> 550 (#5.1.1)",
    ),
    Row(
        Class.REPUTATION,
        ("connection (?:refused|blocked|rejected)|traffic (?:refused|blocked|rejected)|local policy"),
        operator="messagelabs.com",
        source=BROADCOM,
        sample=(
            "501 Connection rejected by policy [7.7] 20305, please visit www.messagelabs.com/support for "
            "more details about this error message."
        ),
    ),
    Row(
        Class.REPUTATION,
        "connection rejected by policy",
        source=BROADCOM,
        sample="501 Connection rejected by policy [7.7] 20305, please visit www.messagelabs.com/support",
    ),
    Row(
        Class.CONTENT,
        "requested action (?:not taken|aborted).{0,40}(?:spam|content)",
        operator="messagelabs.com",
        source=BROADCOM,
        sample="553-Message filtered. 553 Requested action not taken: spam content",
    ),
    Row(
        Class.CONTENT,
        r"message filtered\. (?:please|refer|see|<url>)",
        source=BROADCOM,
        sample=(
            "553 Message filtered. Refer to the Troubleshooting page at "
            "http://www.symanteccloud.com/troubleshooting for more information. (#5.7.1)"
        ),
    ),
    Row(
        Class.POLICY,
        "message filtered",
        source=BROADCOM,
        sample="553-Message filtered 553 (#5.7.1)",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"\betp10[12]\b",
        source=TRELLIX,
        sample="550 5.1.1 Invalid recipient (ETP102)",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"\betp10[03-9]\b",
        source=TRELLIX,
        sample="451 4.3.0 Invalid recipient: unable to validate (ETP103)",
    ),
    Row(
        Class.REPUTATION,
        r"\betp2\d\d\b|\betp3\d\d\b",
        source=TRELLIX,
        sample="550 5.7.1 Rejected, sender reputation (ETP201)",
    ),
    Row(
        Class.POLICY,
        r"\betp4\d\d\b|\betp5\d\d\b|\betp6\d\d\b",
        source=TRELLIX,
        sample="550 5.7.1 Rejected by policy (ETP601)",
    ),
    Row(
        Class.REPUTATION,
        r"csi\.cloudmark|cloudmark (?:sender|csi)|listed .{0,20}(?:on|by|in) csi\b",
        source=CLOUDMARK,
        sample="554 5.7.1 192.0.2.7 is listed on Cloudmark Sender Intelligence, see csi.cloudmark.com",
    ),
    Row(
        Class.REPUTATION,
        "ip (?:address )?blocked|ip (?:address )?reputation|denied",
        operator="sophos.com",
        source=SOPHOS,
        sample="550 5.7.1 Command rejected: IP address blocked by reputation",
    ),
    Row(
        Class.CONTENT,
        (
            r"5\.7\.[01] reject(?:ed)?, id=|id=\S{4,40} - spam|id=\S{4,40} - infected|id=\S{4,40} - banned"
            r"|id=\S{4,40} - bad.header"
        ),
        source=AMAVIS,
        sample="554 5.7.0 Reject, id=01234-05 - SPAM",
    ),
    Row(
        Class.CONTENT,
        r"5\.7\.[01] (?:bounce|message has been rejected because|ban)",
        source=AMAVIS,
        sample="554 5.7.0 Bounce, id=01234-05 - BANNED: .exe",
    ),
    Row(
        Class.CONTENT,
        "spam message rejected",
        source=RSPAMD,
        sample="554 5.7.1 Spam message rejected",
    ),
    Row(
        Class.POLICY,
        "matched map: |gtube pattern",
        is_sure=False,
        source=RSPAMD,
        sample="554 5.7.1 Matched map: blocked senders",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "sender verification failed",
        source=BARUWA,
        sample="550 Sender verification failed",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient verification failed",
        source=BARUWA,
        sample="550 Recipient verification failed",
    ),
    Row(
        Class.RATE,
        "dictionary attack detected",
        source=BARUWA,
        sample="550 Dictionary attack detected",
    ),
    Row(
        Class.REPUTATION,
        "is in a black ?list",
        source=BARUWA,
        sample="550 The sender is in a black list rbl.example.net",
    ),
)
