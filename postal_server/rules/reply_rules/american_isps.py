"""What mail hosts of American and Canadian access providers answer."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

COMCAST = "https://postmaster.comcast.net/smtp-error-codes.php"
COX = "https://www.cox.com/business/support/cox-postmaster-administration.html"
CHARTER = "https://www.spectrum.net/support/internet/understanding-email-error-codes"

ROWS: tuple[Row, ...] = (
    Row(
        Class.REPUTATION,
        "dnsbl:attrbl",
        source="observed 2024-05",
        sample=(
            "553 5.3.0 alpd682 DNSBL:ATTRBL 521< 192.0.2.7 >_is_blocked. For assistance forward this "
            "email to abuse_rbl@abuse-att.net"
        ),
    ),
    Row(
        Class.REPUTATION,
        "dnsbl:rbl ?521",
        source="observed 2024-05",
        sample=(
            "553 5.3.0 flpd592 DNSBL:RBL 521< 192.0.2.7 >_is_blocked.For assistance forward this error "
            "to abuse_rbl@abuse-att.net"
        ),
    ),
    Row(
        Class.REPUTATION,
        "blocked by ldap:ou=rblmx",
        source="observed 2024-05",
        sample="550 192.0.2.7 blocked by ldap:ou=rblmx,dc=bellsouth,dc=net",
    ),
    Row(
        Class.REPUTATION,
        r"error\. blocked for (?:abuse|spam)",
        source="observed 2024-05",
        sample="550 Error. Blocked for abuse. See http://att.net/blocks",
    ),
    Row(
        Class.BAD_ADDRESS,
        "addressee unknown, relay=",
        source="observed 2024-05",
        sample="550 5.2.1 <jane@att.net>... Addressee unknown, relay=[192.0.2.7]",
    ),
    Row(
        Class.BAD_ADDRESS,
        "blank mailhost - invalid address",
        source="observed 2024-05",
        sample="550 5.2.1 <jane@pacbell.net>... blank mailhost - invalid address, relay=[192.0.2.7]",
    ),
    Row(
        Class.BAD_ADDRESS,
        "no valid recipients for this mm",
        source="observed 2023-06",
        sample="Error: No valid recipients for this MM",
    ),
    Row(
        Class.INACTIVE,
        "mailbox currently suspended",
        source="observed 2024-05",
        sample="550 [SUSPEND] Mailbox currently suspended - Please contact correspondent directly",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "connections not accepted from servers without a valid sender domain",
        source="observed 2024-05",
        sample=(
            "550 5.7.1 Connections not accepted from servers without a valid sender domain.flph829 Fix "
            "reverse DNS for 192.0.2.7"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "requires valid sender domain",
        source="observed 2024-05",
        sample="550 [PERMFAIL] bellsouth.net requires valid sender domain",
    ),
    Row(
        Class.RATE,
        "too many (?:connections|sessions)",
        operator="prodigy.net",
        source="observed 2024-05",
        sample="450 busy - too many sessions from 192.0.2.7, please try again later",
    ),
    Row(
        Class.REPUTATION,
        r"\bbl00[01]{4}\b",
        source=COMCAST,
        sample=(
            "554 resimta-po-18v.sys.comcast.net 192.0.2.7 found on one or more DNSBLs, see "
            "http://postmaster.comcast.net/ BL000001"
        ),
    ),
    Row(
        Class.REPUTATION,
        r"\bbl00\d{1,2}\b",
        source=COMCAST,
        sample="550 Blocked for spam. Please see the error code BL004",
    ),
    Row(
        Class.REPUTATION,
        r"\bes0000[01]\d\b|\bes00000\d\b",
        source=COMCAST,
        sample=(
            "554 Comcast does not support the direct connection to its mail servers from residential "
            "IPs. ES000001"
        ),
    ),
    Row(
        Class.RATE,
        r"\brl000\d{3}\b",
        source=COMCAST,
        sample="421 4.1.0 192.0.2.7 Throttled - try again later. RL000003",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"\bpt0000\d\d\b",
        source=COMCAST,
        sample="554 resimta-ch2-03v.sys.comcast.net 192.0.2.7 PTR lookup failure. PT000001",
    ),
    Row(
        Class.AUTHENTICATION,
        r"\bdm000\d{3}\b",
        source=COMCAST,
        sample="550 5.2.0 Message rejected due to DMARC. DM000001",
    ),
    Row(
        Class.REPUTATION,
        "found on one or more (?:dnsbl|rbl|block ?list)s?",
        source=COMCAST,
        sample=(
            "554 resqmta-ch2-09v.sys.comcast.net comcast 192.0.2.7 found on one or more DNSBLs, see "
            "http://postmaster.comcast.net/smtp-error-codes.php"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "not our customer",
        operator="comcast.net",
        source=COMCAST,
        sample="551 not our customer",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient mailbox unallocated",
        source=COMCAST,
        sample="550 5.1.1 <jane@comcast.net> recipient mailbox unallocated",
    ),
    Row(
        Class.BAD_ADDRESS,
        "account not available",
        operator="comcast.net",
        source=COMCAST,
        sample="550 5.1.1 Account not available",
    ),
    Row(
        Class.INACTIVE,
        "- recipient unavailable",
        source="observed 2024-03",
        sample="550 5.2.0 <jane@comcast.net> - Recipient unavailable",
    ),
    Row(
        Class.RATE,
        "too many sessions opened",
        operator="comcast.net",
        source=COMCAST,
        sample="421 resimta-ch2-01v.sys.comcast.net comcast Too many sessions opened",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "reverse dns failure ?:",
        source=COMCAST,
        sample="421 imta09.emeryville.ca.mail.comcast.net comcast Reverse DNS failure : Try again later",
    ),
    Row(
        Class.CONTENT,
        r"message refused|\bsp00000\d",
        operator="comcast.net",
        source=COMCAST,
        sample="550 5.2.0 Message rejected: message refused by the spam filter",
    ),
    Row(
        Class.REPUTATION,
        r"\bcxbl\b|\bcdrbl\b|\bcxthrt\b",
        source=COX,
        sample=(
            "550 cxr.smtp.a.cox.net cox 192.0.2.7 blocked - Refer to Error Codes section at "
            "http://postmaster.cox.net - CXBL"
        ),
    ),
    Row(
        Class.REPUTATION,
        r"\bipbl[01]{4}\b",
        source=COX,
        sample="554 cox too many bad commands from 192.0.2.7 - IPBL0001",
    ),
    Row(
        Class.REPUTATION,
        r"\burlbl\d{3}\b",
        source=COX,
        sample="552 5.2.0 message rejected - URLBL011",
    ),
    Row(
        Class.RATE,
        r"\bcxcnct\b|\bcxmxrt\b|\biprl\d|\bipgrl\d",
        source=COX,
        sample="421 cxr.smtp.a.cox.net cox too many sessions from 192.0.2.7 - CXCNCT",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"\bcxdns\b|\bptr0\d{3}\b",
        source=COX,
        sample="421 fed1rmimpi02 cox rDNS lookup failed for 192.0.2.7 - CXDNS",
    ),
    Row(
        Class.AUTHENTICATION,
        r"\baup#cxsndr",
        source=COX,
        sample="550 5.1.0 <news@example.org> message rejected. Refer to Error Codes section. AUP#CXSNDR",
    ),
    Row(
        Class.RATE,
        r"\baup#cxmxrt",
        source=COX,
        sample="452 4.1.1 <jane@cox.net> requested action aborted: try again later - AUP#CXMXRT",
    ),
    Row(
        Class.CONTENT,
        r"\bcxspm|\bcxcl\b|\baup#cxconn",
        source=COX,
        sample="552 5.2.0 message content rejected - CXSPM",
    ),
    Row(
        Class.BAD_ADDRESS,
        "invalid recipient",
        operator="cox.net",
        source=COX,
        sample=(
            "550 5.1.1 <jane@cox.net> invalid recipient - Refer to Error Codes section for more information."
        ),
    ),
    Row(
        Class.REPUTATION,
        "aup#(?:i-10|in-10|o-10)",
        source=CHARTER,
        sample="554 dnvrco-cmimta15 esmtp ESMTP server not available AUP#I-1010",
    ),
    Row(
        Class.RATE,
        r"aup#i-13\d\d|aup#in-13\d\d",
        source=CHARTER,
        sample="550 5.1.0 <news@example.org> sender rejected AUP#I-1310",
    ),
    Row(
        Class.AUTHENTICATION,
        r"aup#i-1[67]\d\d|aup#in-1[67]\d\d|aup#1260",
        source=CHARTER,
        sample="550 5.7.1 Message rejected - AUP#In-1610",
    ),
    Row(
        Class.CONTENT,
        r"aup#(?:o-)?1[24]\d\d|aup#snd|aup#pol",
        source=CHARTER,
        sample="552 5.2.0 message rejected AUP#1430",
    ),
    Row(
        Class.REPUTATION,
        r"e111\d: client ip|\be1110\b",
        source=CHARTER,
        sample="554 p-impin005 server refused, E1110: client IP 192.0.2.7 is listed",
    ),
    Row(
        Class.RATE,
        r"\be211[0-9]\b",
        source=CHARTER,
        sample="421 p-mx001 E2110: too many connections from 192.0.2.7",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"\be5110\b",
        source=CHARTER,
        sample="550 5.1.1 E5110: <jane@charter.net> unknown recipient",
    ),
    Row(
        Class.REPUTATION,
        r"verizon\.net requires|netblock .{0,80}blocked",
        source="observed 2024-06",
        sample=(
            "571 Email from 192.0.2.7 is currently blocked by Verizon Online's anti-spam system: "
            "netblock 192.0.2.0/24 blocked"
        ),
    ),
    Row(
        Class.REPUTATION,
        "is currently blocked by .{1,60}anti-?spam",
        source="observed 2023-06",
        sample=(
            "571 Email from 192.0.2.7 is currently blocked by Verizon Online's anti-spam system. The "
            "email sender or Email Service Provider may visit http://www.verizon.net/whitelist"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        r"550 4\.2\.1 mailbox temporarily disabled",
        source="observed 2023-06",
        sample="550 4.2.1 mailbox temporarily disabled: jane@verizon.net",
    ),
    Row(
        Class.REPUTATION,
        "blocked by earthlink",
        source="observed 2023-06",
        sample="550 5.5.0 192.0.2.7 blocked by EarthLink. Go to earthlink.net/block for details.",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"is not a valid user\b",
        source="observed 2024-06",
        sample="550 jane@juno.com is not a valid user",
    ),
    Row(
        Class.INACTIVE,
        r"550 access denied\.\.\.[0-9a-f]{16,}",
        source="observed 2024-06",
        sample="550 Access denied...46b64a4bcb7a9e2c0d1e3f4a5b6c7d8e9f...",
    ),
    Row(
        Class.REPUTATION,
        "(?:untd|juno|netzero).{0,80}access denied",
        source="observed 2024-06",
        sample="550 Access denied...by untd.com: sending IP 192.0.2.7 access denied",
    ),
    Row(
        Class.POLICY,
        "you are not allowed to send mail to",
        is_sure=False,
        source="observed 2023-06",
        sample="550 you are not allowed to send mail to <jane@sympatico.ca>",
    ),
    Row(
        Class.REPUTATION,
        r"windstream .{0,80}block|\bpolicy block\b",
        source="observed 2023-06",
        sample="554 mx.windstream.net policy block of 192.0.2.7 - contact abuse@windstream.net",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient not found",
        operator="shaw.ca",
        source="observed 2023-06",
        sample="550 5.1.1 <jane@shaw.ca> recipient not found",
    ),
    Row(
        Class.INACTIVE,
        "mailbox (?:has been )?deactivated",
        source="observed 2023-06",
        sample="550 5.2.1 <jane@rogers.com> mailbox deactivated",
    ),
)
