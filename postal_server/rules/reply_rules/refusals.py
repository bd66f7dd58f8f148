"""How mail hosts of any operator refuse us, the mail, or strangers: blocklists, pace, authentication, DNS,
relaying, content, size, policy.

Before what is said about recipients: `550 spam, user unknown` is no reason to stop mail to anybody.
"""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

POSTFIX = "https://www.postfix.org/postconf.5.html"
OPENSPF = "https://www.rfc-editor.org/rfc/rfc7208"
EXIM = "https://www.exim.org/exim-html-current/doc/html/spec_html/ch-access_control_lists.html"
SENDMAIL = "https://www.sendmail.org/~ca/email/dnsbl.html"
QMAIL = "https://cr.yp.to/qmail.html"
RFC3463 = "https://www.rfc-editor.org/rfc/rfc3463"
RFC5321 = "https://www.rfc-editor.org/rfc/rfc5321"
RFC7372 = "https://www.rfc-editor.org/rfc/rfc7372"
RFC6647 = "https://www.rfc-editor.org/rfc/rfc6647"
RFC5782 = "https://www.rfc-editor.org/rfc/rfc5782"
SPAMHAUS = "https://www.spamhaus.org/faqs/dnsbl-usage/"
SPAMCOP = "https://www.spamcop.net/fom-serve/cache/297.html"
SORBS = "https://en.wikipedia.org/wiki/Spam_and_Open_Relay_Blocking_System"
UCEPROTECT = "https://www.uceprotect.net/en/"
SENDERSCORE = "https://senderscore.org/"
INVALUEMENT = "https://www.invaluement.com/"
MANITU = "https://www.dnsbl.manitu.net/"
SPAMRATS = "https://www.spamrats.com/"
ABUSIX = "https://abusix.com/"
DKIM = "https://www.rfc-editor.org/rfc/rfc6376"
DMARC = "https://www.rfc-editor.org/rfc/rfc9989"
CPANEL = "https://docs.cpanel.net/knowledge-base/email/"
SPAMASSASSIN = "https://spamassassin.apache.org/"
CLAMAV = "https://docs.clamav.net/"
DOVECOT = "https://doc.dovecot.org/"

ROWS: tuple[Row, ...] = (
    Row(
        Class.MAILBOX_FULL,
        "error writing message: (?:file too large|disk quota)",
        source=POSTFIX,
        sample=(
            "552 5.2.2 cannot update mailbox /var/mail/jane for user jane. error writing message: File "
            "too large"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"5\.1\.[789]\b|4\.1\.[789]\b",
        source=RFC3463,
        sample="553 5.1.8 Domain example.org does not exist",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "sender domain must exist|for sender domain|sender user unknown|sending user does not exist|"
            r"sender callout|callout verification|callback verification|your domain \S{0,80} ?has no|"
            r"your domain (?:does not|doesn't) (?:exist|resolve)|unknown (?:host|client) \[?\d"
        ),
        source=EXIM,
        sample="553 sorry, your envelope sender domain must exist (#5.7.1)",
    ),
    Row(
        Class.INACTIVE,
        "account (?:is |was |has been )?(?:blocked|locked|disabled|suspended) by (?:the |an? |"
        "our )?(?:admin|owner)",
        source="usual wording",
        sample="550 account blocked by administrator",
    ),
    Row(
        Class.CONTENT,
        r"(?:url|link|hyperlink)s? in (?:your|the|this) (?:message|mail|e-?mail|body) (?:points|leads)",
        source="usual wording",
        sample="554 URL in your message points to unknown host",
    ),
    Row(
        Class.POLICY,
        (
            "you are not (?:a member|subscribed|registered|an? (?:authori[sz]ed|approved))|"
            r"sender (?:is )?denied|for this sender\b|user ?not ?allowed ?to ?post|user(?:'s|s|"
            r"-defined)? rules?\b|"
            "due to user rule"
        ),
        source="usual wording",
        sample="550 5.2.1 Message rejected due to user rules",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "system config(?:uration)? error|config(?:uration)? error|arguments: |"
            "(?:mailer|server) (?:is )?misconfigured"
        ),
        source=SENDMAIL,
        sample="553 5.3.5 system config error",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            r"(?:your|\bfrom|sender|sender's|originator|originating|return|reply|bounce|"
            "envelope) (?:e-?mail )?"
            r"address\b.{0,40}"
            "(?:invalid|not valid|not exist|n't exist|unknown|not found|not resolv|malformed)"
        ),
        source="observed 2024-02",
        sample="550 Your address is not valid here",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "badmailfrom|address not allowed .{0,20}return|return address not allowed",
        source=QMAIL,
        sample="553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)",
    ),
    Row(
        Class.REPUTATION,
        (
            r"(?:your|sender|sending|sender's) account\b.{0,30}(?:suspend|disabl|\block|block)|(?:your|"
            r"sender|sending|sender's) mailbox\b.{0,30}(?:suspend|disabl|\block|block)|(?:your|sender|"
            r"sending|sender's) user\b.{0,30}(?:suspend|disabl|\block|block)"
        ),
        source="observed 2024-02",
        sample="550 Your account has been suspended for sending spam",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "sender verif(?:y|ication) fail",
        source=EXIM,
        sample=(
            '550-Verification failed for <news@example.org> 550-No Such User Here" 550 Sender verify failed'
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "verification failed for <address>",
        source=EXIM,
        sample=(
            "550-Verification failed for <news@example.org> 550-The mail server could not deliver mail "
            "to news@example.org. The account or domain may not exist"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "sender address rejected: (?:user|unverified|undeliverable|domain|unknown|need|malformed|"
            "mail exchanger|not owned)"
        ),
        source=POSTFIX,
        sample="550 5.1.8 <news@example.org>: Sender address rejected: Domain not found",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "sender .{0,40}(?:domain|address|host).{0,30}(?:not found|does ?n[o']t exist|does not resolve"
            "|unresolv|not resolv|invalid|unroutable|unrouteable)"
        ),
        source=POSTFIX,
        sample=(
            "553 5.1.8 <news@example.invalid>... Domain of sender address news@example.invalid does not exist"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "return[- ]path.{0,60}(?:invalid|not exist|not resolv|no mx|unresolv|not found|"
            "cannot be verified)|envelope[- ]from.{0,60}(?:invalid|not exist|not resolv|no mx|unresolv|"
            "not found|cannot be verified)|reverse[- ]path.{0,60}(?:invalid|not exist|not resolv|no mx|"
            "unresolv|not found|cannot be verified)|mail[- ]from.{0,60}(?:invalid|not exist|not resolv|"
            "no mx|unresolv|not found|cannot be verified)"
        ),
        source="observed 2024-02",
        sample="550 The Return-Path address example.invalid does not exist in DNS",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "(?:invalid|unknown|bad|unacceptable|unresolvable|illegal) (?:mail )?sender",
        is_sure=False,
        source="observed 2024-02",
        sample="550 5.1.0 invalid sender domain",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "sender (?:is )?(?:unknown|invalid|unverified|not verified)",
        is_sure=False,
        source="observed 2024-02",
        sample="550 sender not verified",
    ),
    Row(
        Class.AUTHENTICATION,
        "recipient address rejected: (?:spf|please see <url>)",
        source=OPENSPF,
        sample=(
            "550 5.7.1 <jane@example.com>: Recipient address rejected: Please see "
            "http://www.openspf.net/Why?s=mfrom;id=news%40example.org;ip=192.0.2.7"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "no valid recipients",
        source=POSTFIX,
        sample="554 5.5.1 Error: no valid recipients",
    ),
    Row(
        Class.POLICY,
        "address rejected: (?:please )?try again",
        source=RFC6647,
        sample=(
            "450 4.7.1 <jane@example.com>: Recipient address rejected: Please try again, see "
            "http://example.com/greylist"
        ),
    ),
    Row(
        Class.INFRASTRUCTURE,
        "cannot find your (?:reverse )?host ?name|can't find your host",
        source=POSTFIX,
        sample="450 4.7.1 Client host rejected: cannot find your hostname, [192.0.2.7]",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            r"reverse[- ]?(?:dns|lookup|ip|hostname|mapping|name)|\brdns\b|\brevdns\b|\ ptr\b|\(ptr\b|"
            r"in-addr\.arpa|ip name lookup|forward[- ]confirm|\bfcrdns"
        ),
        source=RFC7372,
        sample="550 5.7.25 Fix reverse DNS for 192.0.2.7",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "helo command rejected|ehlo command rejected",
        source=POSTFIX,
        sample="504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"\bhelo\b|\behlo\b|\bhelo/ehlo",
        source=EXIM,
        sample="550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)",
    ),
    Row(
        Class.POLICY,
        "sender address rejected",
        source=POSTFIX,
        sample="550 5.7.1 <news@example.org>: Sender address rejected: mailbox disabled",
    ),
    Row(
        Class.REPUTATION,
        r"spamhaus|\bzen\.\w",
        source=SPAMHAUS,
        sample="550 5.7.1 Service unavailable; client [192.0.2.7] is listed in zen.spamhaus.org",
    ),
    Row(
        Class.REPUTATION,
        (
            r"listed.{0,40}\b(?:sbl|xbl|pbl|dbl|css)\b.{0,20}(?:list|block|dns)?|found.{0,40}\b(?:sbl|xbl|"
            r"pbl|dbl|css)\b.{0,20}(?:list|block|dns)?|blocked.{0,40}\b(?:sbl|xbl|pbl|dbl|css)\b.{0,20}(?:"
            r"list|block|dns)?|rejected.{0,40}\b(?:sbl|xbl|pbl|dbl|css)\b.{0,20}(?:list|block|dns)?"
        ),
        source=SPAMHAUS,
        sample="550 blocked, listed on the PBL",
    ),
    Row(
        Class.REPUTATION,
        "spamcop",
        source=SPAMCOP,
        sample="554 5.7.1 Rejected - listed at bl.spamcop.net (192.0.2.7)",
    ),
    Row(
        Class.REPUTATION,
        r"\bsorbs\b",
        source=SORBS,
        sample="550 5.7.1 Mail from 192.0.2.7 refused - see SORBS",
    ),
    Row(
        Class.INFRASTRUCTURE,
        "ip address (?:is )?(?:not|invalid|unknown|does not)|client host rejected: (?:unknown|host|domain)|"
        "invalid from address|bad from address",
        source="observed 2024-02",
        sample="550 Your IP address is not valid for sending mail to our users",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"(?:mailbox|account|file) (?:is )?\blocked by|mailbox (?:is )?busy|mailbox (?:is )?in use",
        source="observed 2024-02",
        sample="450 4.2.0 Mailbox locked by another process",
    ),
    Row(
        Class.REPUTATION,
        "honeypot|honey pot|spamtrap|spam trap",
        source="observed 2024-02",
        sample="550 5.1.1 This address is a spamtrap",
    ),
    Row(
        Class.POLICY,
        "whitelist|white list|allowlist|allow list|from unknown|from unregistered",
        source="observed 2024-02",
        sample="550 5.7.1 Recipient not found on whitelist",
    ),
    Row(
        Class.REPUTATION,
        r"uceprotect|\bbackscatterer\b",
        source=UCEPROTECT,
        sample="550 5.7.1 Your IP 192.0.2.7 is UCEPROTECT-Level 2 listed",
    ),
    Row(
        Class.REPUTATION,
        "senderscore|sender ?score|return ?path.{0,20}(?:reputation|dnsbl|block)",
        source=SENDERSCORE,
        sample="554 5.7.1 192.0.2.7 rejected, low Sender Score",
    ),
    Row(
        Class.REPUTATION,
        r"invaluement|\bivmsip\b|\bivmuri\b",
        source=INVALUEMENT,
        sample="554 5.7.1 192.0.2.7 is on the ivmSIP list",
    ),
    Row(
        Class.REPUTATION,
        r"ix\.dnsbl|dnsbl\.manitu|nixspam|nix spam",
        source=MANITU,
        sample="550 5.7.1 blocked by NiX Spam, your IP 192.0.2.7",
    ),
    Row(
        Class.REPUTATION,
        (
            r"spamrats|mailspike|\bpsbl\b|hostkarma|junkemailfilter|\babuseat\b|\bcbl\.\w|dronebl|"
            r"blocklist\.de|gbudb|truncate\b|woody|fabel"
        ),
        source=SPAMRATS,
        sample="550 5.7.1 192.0.2.7 is listed at all.spamrats.com",
    ),
    Row(
        Class.REPUTATION,
        r"\babusix\b|mail\.abusix|cloudfilter|vade ?(?:secure|retro)? .{0,30}(?:block|reputation)",
        source=ABUSIX,
        sample="554 5.7.1 192.0.2.7 is listed by Abusix Mail Intelligence",
    ),
    Row(
        Class.REPUTATION,
        "<url:blocklist>",
        source=RFC5782,
        sample="554 5.7.1 rejected, see https://www.spamcop.net/bl.shtml?192.0.2.7",
    ),
    Row(
        Class.REPUTATION,
        r"\bdnsbl|\ rbl\b|rbl\.\w|\brbls\b|\brhsbl|dnsrbl|\bsurbl|\buribl|\(rbl\b",
        source=RFC5782,
        sample="550 5.7.1 mail refused, 192.0.2.7 in RBL",
    ),
    Row(
        Class.REPUTATION,
        r"(?:black|block|deny|drop|reject|ban)[- ]?list(?:s|ed|ing)?\b",
        source=SENDMAIL,
        sample="550 5.7.1 Mail from 192.0.2.7 rejected: host is on our local blacklist",
    ),
    Row(
        Class.REPUTATION,
        (r"blocked using|rejected using|listed (?:in|on|at|by) (?:the )?\S{1,60}\.\S|has been listed"),
        source=POSTFIX,
        sample=(
            "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using dnsbl.example.net; blocked"
        ),
    ),
    Row(
        Class.REPUTATION,
        (
            r"\b(?:client host|client|ip|ip address|host|server|network|netblock|connection)\b.{0,60}"
            r"blocked|\b(?:client host|client|ip|ip address|host|server|network|netblock|connection)\b."
            r"{0,60}banned|\b(?:client host|client|ip|ip address|host|server|network|netblock|connection)"
            r"\b.{0,60}blackholed|\b(?:client host|client|ip|ip address|host|server|network|netblock|"
            r"connection)\b.{0,60}refused due to"
        ),
        source=POSTFIX,
        sample="554 5.7.1 <mail.example.org[192.0.2.7]>: Client host rejected: your network is banned",
    ),
    Row(
        Class.REPUTATION,
        "junkmail rejected",
        source=CPANEL,
        sample='550-"JunkMail rejected - mail.example.org [192.0.2.7]:34032 is in an RBL"',
    ),
    Row(
        Class.REPUTATION,
        (
            "removed from (?:this|the|our) (?:list|block)|removal from (?:this|the|our) list|request (?:"
            "a )?removal|delist"
        ),
        source="observed 2024-02",
        sample="550 Blocked. To be removed from this list call us",
    ),
    Row(
        Class.REPUTATION,
        "reputation",
        source="observed 2024-02",
        sample="554 5.7.1 Message rejected because of the sender's poor reputation",
    ),
    Row(
        Class.REPUTATION,
        (
            "(?:blocked|banned|blackholed|denied|rejected|refused) because .{0,60}(?:abuse|spamming|"
            "spammer|complaint|spam source|suspicious activity|sending spam)|(?:blocked|banned|blackholed"
            "|denied|rejected|refused) due to .{0,60}(?:abuse|spamming|spammer|complaint|spam source|"
            "suspicious activity|sending spam)|(?:blocked|banned|blackholed|denied|rejected|"
            "refused) for .{0,60}(?:abuse|spamming|spammer|complaint|spam source|suspicious activity|"
            "sending spam)"
        ),
        source="observed 2024-02",
        sample="550 5.7.1 Your server is blocked due to abuse",
    ),
    Row(
        Class.REPUTATION,
        "(?:too many|excessive|high rate of|high number of|user) (?:spam |user )?complaints",
        source="observed 2024-02",
        sample="554 Blocked: too many complaints about mail from 192.0.2.7",
    ),
    Row(
        Class.REPUTATION,
        (
            "(?:known|identified|open|suspected|confirmed|a) spam source|(?:known|identified|open|"
            "suspected|confirmed|a) spammer|(?:known|identified|open|suspected|confirmed|"
            "a) source of spam|(?:known|identified|open|suspected|confirmed|a) proxy"
        ),
        source="observed 2024-02",
        sample="550 5.7.1 Your server is a known spam source",
    ),
    Row(
        Class.REPUTATION,
        (
            "dynamic (?:ip|host|address|pool|rdns|reverse|dns|hostname|client)|dial-?up (?:ip|host|"
            "address|pool|rdns|reverse|dns|hostname|client)|residential (?:ip|host|address|pool|rdns|"
            "reverse|dns|hostname|client)|generic (?:ip|host|address|pool|rdns|reverse|dns|hostname|"
            "client)|dsl (?:ip|host|address|pool|rdns|reverse|dns|hostname|client)|dhcp (?:ip|host|"
            "address|pool|rdns|reverse|dns|hostname|client)|cable (?:ip|host|address|pool|rdns|reverse|"
            "dns|hostname|client)"
        ),
        source="observed 2024-02",
        sample=("554 5.7.1 Mail from dynamic IP addresses is not accepted, use your provider's mail server"),
    ),
    Row(
        Class.REPUTATION,
        (
            r"your (?:ip|server|host|network|mail server|domain|country|mta|system)\b.{0,60}(?:block|ban|"
            "reject|refus|denied|not welcome|not allowed|not accept|suspicious|untrusted|blackhole|"
            r"prison)|sending (?:ip|server|host|network|mail server|domain|country|mta|system)\b.{0,60}(?:"
            "block|ban|reject|refus|denied|not welcome|not allowed|not accept|suspicious|untrusted|"
            r"blackhole|prison)|sender (?:ip|server|host|network|mail server|domain|country|mta|system)\b."
            "{0,60}(?:block|ban|reject|refus|denied|not welcome|not allowed|not accept|suspicious|"
            "untrusted|blackhole|prison)|source (?:ip|server|host|network|mail server|domain|country|mta|"
            r"system)\b.{0,60}(?:block|ban|reject|refus|denied|not welcome|not allowed|not accept|"
            "suspicious|untrusted|blackhole|prison)|remote (?:ip|server|host|network|mail server|domain|"
            r"country|mta|system)\b.{0,60}(?:block|ban|reject|refus|denied|not welcome|not allowed|"
            "not accept|suspicious|untrusted|blackhole|prison)|this (?:ip|server|host|network|mail server"
            r"|domain|country|mta|system)\b.{0,60}(?:block|ban|reject|refus|denied|not welcome|not allowed"
            "|not accept|suspicious|untrusted|blackhole|prison)"
        ),
        source="observed 2024-02",
        sample="550 Your IP 192.0.2.7 has been rejected",
    ),
    Row(
        Class.REPUTATION,
        (
            "(?:don't|do not|doesn't|does not|won't|will not|cannot|not) accept .{0,20}(?:mail|"
            r"connections?|messages?) from (?:your|this|that|dynamic|dial|<|\[|\d|ip|host|server|untrusted"
            "|unknown)"
        ),
        source="observed 2024-02",
        sample="550 We do not accept mail from your server",
    ),
    Row(
        Class.REPUTATION,
        (
            r"\bip in prison|no access for this (?:ip|domain)|go away|spammers? (?:not welcome|go|are not)"
            "|banned sending"
        ),
        source="observed 2024-02",
        sample="550 ip in prison",
    ),
    Row(
        Class.REPUTATION,
        (
            r"(?:access|connection|permission|service) (?:is )?denied.{0,60}(?:your ip|ip address|\[\d"
            r"{1,3}\.\d|unauthorized (?:ip|host)|from your)|(?:access|connection|permission|service) (?:"
            r"is )?refused.{0,60}(?:your ip|ip address|\[\d{1,3}\.\d|unauthorized (?:ip|host)|from your)|"
            r"(?:access|connection|permission|service) (?:is )?rejected.{0,60}(?:your ip|ip address|\[\d"
            r"{1,3}\.\d|unauthorized (?:ip|host)|from your)"
        ),
        source="observed 2024-02",
        sample="550 Access denied for your IP",
    ),
    Row(
        Class.REPUTATION,
        "domain .{0,60}(?:is|has been|was) (?:blocked|banned|listed)",
        source="observed 2024-02",
        sample="550 5.7.1 Domain example.org has been blocked",
    ),
    Row(
        Class.RATE,
        "rate[- ]?limit|ratelimited|rate (?:is )?exceed|throttl",
        source="observed 2024-02",
        sample="451 4.7.1 Rate limit exceeded, slow down",
    ),
    Row(
        Class.RATE,
        (
            "too many (?:concurrent |simultaneous |open |new )?(?:smtp )?(?:connections?|sessions?|"
            "messages?|e-?mails?|mails?|recipients?|rcpts?|errors?|bad|invalid|unknown|unrecognized|wrong"
            "|failed|non-?existent|attempts|commands|deliveries|requests)"
        ),
        source=POSTFIX,
        sample="421 4.7.0 mx.example.com Error: too many connections from 192.0.2.7",
    ),
    Row(
        Class.RATE,
        (
            "(?:connection|recipient|sending|hourly|daily|session|frequency|concurrency)s? limit|(?:"
            "connection|recipient|sending|hourly|daily|session|frequency|concurrency)s? exceed|(?:"
            "connection|recipient|sending|hourly|daily|session|frequency|concurrency)s? limited|(?:"
            "connection|message|recipient|sending|session|email|mail)s? rate (?:is |was |has been )?(?:"
            "limit|exceed|reached|too)|(?:connection|message|recipient|sending|session|email|"
            "mail)s? count (?:is |was |has been )?(?:limit|exceed|reached|too)|(?:connection|message|"
            "recipient|sending|session|email|mail)s? limit (?:is |was |has been )?(?:limit|exceed|reached"
            "|too)|too much (?:mail|e-?mail|traffic)"
        ),
        source="observed 2024-02",
        sample="452 4.5.3 Recipient limit exceeded for this message",
    ),
    Row(
        Class.RATE,
        (
            "(?:maximum|max|allowed) .{0,30}(?:connections?|messages|recipients|sessions|mails|emails)."
            "{0,40}exceeded|(?:maximum|max|allowed) .{0,30}(?:connections?|messages|recipients|sessions|"
            "mails|emails).{0,40}reached"
        ),
        source="observed 2024-02",
        sample="421 Maximum number of connections per host reached",
    ),
    Row(
        Class.RATE,
        (
            r"slow down\b|sending too (?:fast|many|much)\b|too (?:fast|quickly|frequent|often)\b|"
            r"exceeded .{0,30}(?:rate|frequency|number of (?:messages|recipients|connections))\b|\b"
            "slow down"
        ),
        source="observed 2024-02",
        sample="421 4.7.0 You are sending too fast, please slow down",
    ),
    Row(
        Class.RATE,
        "(?:sending|message|hourly|daily|rate|submission|bandwidth|traffic|outgoing|smtp) quota",
        source="observed 2024-02",
        sample="550 Hourly quota exceeded, come back later",
    ),
    Row(
        Class.RATE,
        "dictionary attack|directory harvest|harvest attack|possible open relay",
        source="observed 2024-02",
        sample="550 5.7.1 Directory harvest attack, too many unknown users",
    ),
    Row(
        Class.POLICY,
        "gr[ae]y[- ]?list",
        source=RFC6647,
        sample=(
            "450 4.2.0 <jane@example.com>: Recipient address rejected: Greylisted, see "
            "http://postgrey.schweikert.ch/help/example.com.html"
        ),
    ),
    Row(
        Class.POLICY,
        (
            r"(?:please |and )?try .{0,30}(?:\d+|few|some|five|ten) (?:seconds|minutes|min|hours)|(?:"
            r"please |and )?retry .{0,30}(?:\d+|few|some|five|ten) (?:seconds|minutes|min|hours)|(?:"
            r"please |and )?wait .{0,30}(?:\d+|few|some|five|ten) (?:seconds|minutes|min|hours)"
        ),
        source=RFC6647,
        sample="451 4.7.1 Please try again in 5 minutes",
    ),
    Row(
        Class.AUTHENTICATION,
        r'\ spf\b|\(spf\b|\[spf\b|"spf\b|sender policy framework|openspf|sender id\b',
        source=RFC7372,
        sample="550 5.7.23 SPF validation failed: 192.0.2.7 is not allowed to send mail from example.org",
    ),
    Row(
        Class.AUTHENTICATION,
        r"\bdkim\b|domainkeys",
        source=DKIM,
        sample="550 5.7.20 No passing DKIM signature found",
    ),
    Row(
        Class.AUTHENTICATION,
        r"\bdmarc",
        source=DMARC,
        sample="550 5.7.1 rejected by DMARC policy for example.org",
    ),
    Row(
        Class.AUTHENTICATION,
        (
            "(?:not|isn't|is not) (?:a )?(?:permitted|designated|authorized|allowed|authorised) sender ."
            "{0,30}(?:from|for|on behalf|using)|(?:not|isn't|is not) (?:a )?(?:permitted|designated|"
            "authorized|allowed|authorised) to send .{0,30}(?:from|for|on behalf|using)"
        ),
        source=RFC7372,
        sample="550 5.7.1 192.0.2.7 is not permitted to send mail from example.org",
    ),
    Row(
        Class.AUTHENTICATION,
        (
            "unauthenticated|failed authentication|authentication (?:checks? )?fail|fails? authentication"
            "|arc (?:validation|seal)|email authentication"
        ),
        source=RFC7372,
        sample=(
            "550 5.7.1 Unauthenticated mail from example.org is prohibited by email authentication policy"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "spoof|forged|impersonat|phish.{0,20}sender|fake sender",
        source="observed 2024-02",
        sample="550 5.7.1 forged sender address, anti-spoof rule",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "relay access denied|relaying? (?:is )?(?:not|denied|prohibited|disallowed|disabled|forbidden"
            "|refused|rejected|blocked)|(?:unable|unauthorized|not allowed|not permitted|not authorized|"
            r"cannot|can't|refus\w+|denied|not|attempt\w*|don't|won't|no) (?:to )?(?:mail |open )?relay"
        ),
        source=POSTFIX,
        sample="554 5.7.1 <jane@example.com>: Relay access denied",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            r"relaying (?:denied|not|temporarily|operation|via)|\brelay (?:denied|rejected|refused|not|"
            "operation|is|restrict|disabled|lookup)|we (?:do not|don't) relay|as a relay|mail relay|"
            "configured to relay|to relay (?:mail|through|for|from)|prohibited relay|third[- ]party relay"
        ),
        source=SENDMAIL,
        sample="550 5.7.1 <jane@example.com>... Relaying denied. Proper authentication required.",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "list of allowed rcpthosts|rcpthosts|not (?:hosted|handled|served|accepted|local|configured) "
            "(?:here|on this|by this|at this)|don't handle (?:mail|that)|not a local(?! address)|"
            "not an? (?:gateway|local domain)|non-?local (?:recipient|domain|address)"
        ),
        source=QMAIL,
        sample="553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "authentication (?:is )?required|must (?:authenticate|be authenticated)|smtp auth|"
            "auth required|requires? authentication|not authenticated|(?:please )?authenticate (?:first|"
            "before)|pop before|check your mail first|need to authenticate"
        ),
        source=RFC5321,
        sample="530 5.7.1 Authentication required",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            r"starttls|\ tls\b|\ ssl\b|\btls |\(tls\b|encryption (?:is )?(?:required|needed)|"
            r"must be encrypted|certificate|\bdane\b|mta-sts"
        ),
        source=RFC3463,
        sample="530 5.7.0 Must issue a STARTTLS command first",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "too many hops|hop count|mail (?:is )?loop|loop(?:ing|s)? (?:detected|back|message|mail)|"
            "routing loop|delivered-to line|loop detected|forwarding loop|mail loop|loops back to|"
            "message is looping"
        ),
        source=RFC5321,
        sample="554 5.4.6 Hop count exceeded - possible mail loop",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "bad sequence of commands|command (?:not|unrecognized|rejected|unknown|not implemented|"
            "out of)|syntax error|pipelining|protocol (?:error|violation)|synchronization error|"
            "unrecognized command|bare (?:lf|cr|line)|line too long|lines? .{0,20}too long"
        ),
        source=RFC5321,
        sample="503 5.5.1 Bad sequence of commands",
    ),
    Row(
        Class.CONTENT,
        r"\bvirus|\bmalware|\btrojan|\bworm\b|infected|clamav|eicar|ransomware",
        source=CLAMAV,
        sample="554 5.7.1 This message contains a virus (Eicar-Test-Signature)",
    ),
    Row(
        Class.CONTENT,
        (
            "attachment|file ?type|file.{0,30}(?:extension|not allowed|blocked|banned)|filename.{0,30}(?:"
            r"extension|not allowed|blocked|banned)|executable|\bbanned\b.{0,30}(?:file|content|name)|"
            "zip file|macro"
        ),
        source="observed 2024-02",
        sample="552 5.7.1 Attachment type .exe is not allowed",
    ),
    Row(
        Class.CONTENT,
        (
            r"\bspam\b|\bspammy\b|spamassassin|spam[- ](?:score|like|content|filter|message|mail)|"
            r"unsolicited|\bjunk\b|\bbulk (?:mail|email|message)|\ uce\b"
        ),
        source=SPAMASSASSIN,
        sample="550 5.7.1 This message scored 12.4 spam points",
    ),
    Row(
        Class.CONTENT,
        r"phish|scam\b|fraud|suspicious|malicious|profan|obscen|offensive",
        source="observed 2024-02",
        sample="554 5.7.1 Message rejected: phishing",
    ),
    Row(
        Class.CONTENT,
        (
            "content (?:rejected|denied|filter|not|is not|was|blocked|violat|restrict|prohibited|"
            "unacceptable)|(?:unacceptable|prohibited|forbidden|objectionable|restricted|inappropriate|"
            "illegal|denied|unwanted) content|(?:unacceptable|prohibited|forbidden|objectionable|"
            "restricted|inappropriate|illegal|denied|unwanted) message|(?:unacceptable|prohibited|"
            "forbidden|objectionable|restricted|inappropriate|illegal|denied|unwanted) mail content|"
            "because of .{0,20}content|due to (?:its |message |the )?content|bad (?:content|words)|"
            "message content|body (?:content|text|rejected|check)"
        ),
        source="observed 2024-02",
        sample="554 5.7.1 Message rejected because of unacceptable content",
    ),
    Row(
        Class.CONTENT,
        (
            "(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|html).{0,60}missing|"
            "(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|html).{0,60}malformed|"
            "(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|html).{0,60}duplicate|"
            "(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|html).{0,60}invalid|"
            "(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|html).{0,60}"
            "not allowed|(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|html)."
            "{0,60}rejected|(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|html)."
            "{0,60}prohibited|(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|"
            "html).{0,60}blocked|(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|"
            "html).{0,60}illegal|(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|"
            "html).{0,60}violat|(?:header|subject|from:|message-id|mime|body|received:|date:|url|link|"
            "html).{0,60}non-compliant|(?:header|subject|from:|message-id|mime|body|received:|date:|url|"
            "link|html).{0,60}not rfc|(?:header|subject|from:|message-id|mime|body|received:|date:|url|"
            "link|html).{0,60}denied"
        ),
        source=POSTFIX,
        sample="550 5.7.1 Message-ID header is missing",
    ),
    Row(
        Class.CONTENT,
        (
            "missing .{0,30}(?:header|subject|from:|message-id|mime|date:|charset|encoding)|malformed ."
            "{0,30}(?:header|subject|from:|message-id|mime|date:|charset|encoding)|duplicate .{0,30}(?:"
            "header|subject|from:|message-id|mime|date:|charset|encoding)|invalid .{0,30}(?:header|"
            "subject|from:|message-id|mime|date:|charset|encoding)|bad .{0,30}(?:header|subject|from:|"
            "message-id|mime|date:|charset|encoding)|illegal .{0,30}(?:header|subject|from:|message-id|"
            "mime|date:|charset|encoding)|no valid .{0,30}(?:header|subject|from:|message-id|mime|date:|"
            "charset|encoding)|multiple .{0,30}(?:header|subject|from:|message-id|mime|date:|charset|"
            "encoding)"
        ),
        source="observed 2024-02",
        sample="550 5.6.0 Missing required header: Date",
    ),
    Row(
        Class.CONTENT,
        (
            r"(?:rfc ?5322|rfc ?2822|rfc ?822|rfc5322|rfc2822)\b.{0,40}complian|(?:rfc ?5322|rfc ?2822|"
            r"rfc ?822|rfc5322|rfc2822)\b.{0,40}violat|(?:rfc ?5322|rfc ?2822|rfc ?822|rfc5322|rfc2822)\b."
            r"{0,40}conform|(?:rfc ?5322|rfc ?2822|rfc ?822|rfc5322|rfc2822)\b.{0,40}required|(?:rfc ?5322"
            r"|rfc ?2822|rfc ?822|rfc5322|rfc2822)\b.{0,40}error|not (?:compliant|conform)"
        ),
        source="observed 2024-02",
        sample="550 Message is not RFC5322 compliant",
    ),
    Row(
        Class.CONTENT,
        "8-bit|8bit|smtputf8|conversion (?:required|not|with|failed)|internationalized|non-ascii",
        source=RFC3463,
        sample="554 5.6.3 8BITMIME is not supported, conversion failed",
    ),
    Row(
        Class.MAILBOX_FULL,
        "mailbox (?:size )?(?:exceeds|exceeded|would exceed|has exceeded)|mailbox size limit",
        source="usual wording",
        sample="User mailbox exceeds allowed size: jane@example.com",
    ),
    Row(
        Class.TOO_LARGE,
        (
            "message size|size limit|max(?:imum)? .{0,20}size|too (?:large|big|long for)|message (?:"
            r"length|too)|exceeds .{0,40}(?:size|maximum|limit of|bytes|mb\b)|oversize|size .{0,30}exceed|"
            "file size|larger than"
        ),
        source=POSTFIX,
        sample="552 5.3.4 Message size exceeds fixed maximum message size",
    ),
    Row(
        Class.TOO_LARGE,
        (
            "mail (?:is )?(?:too|larger|bigger|greater|over) .{0,20}(?:big|large|size|than|limit)|"
            "message (?:is )?(?:too|larger|bigger|greater|over) .{0,20}(?:big|large|size|than|limit)|"
            "e-?mail (?:is )?(?:too|larger|bigger|greater|over) .{0,20}(?:big|large|size|than|limit)|"
            "size exceeds"
        ),
        source=DOVECOT,
        sample="552 5.2.3 Your mail is bigger than 20 MB",
    ),
)
