"""How mail hosts of any operator say that an address does not exist, is closed, or is full."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

POSTFIX = "https://www.postfix.org/postconf.5.html"
RFC5321 = "https://www.rfc-editor.org/rfc/rfc5321"
RFC3463 = "https://www.rfc-editor.org/rfc/rfc3463"

ROWS: tuple[Row, ...] = (
    Row(
        Class.MAILBOX_FULL,
        (
            "(?:mailbox|inbox|mail ?box|account|mail ?file|maildir|mail folder|storage|disk|folder)."
            "{0,40} full|(?:mailbox|inbox|mail ?box|account|mail ?file|maildir|mail folder|storage|disk|"
            "folder).{0,40}is full|(?:mailbox|inbox|mail ?box|account|mail ?file|maildir|mail folder|"
            "storage|disk|folder).{0,40}exceeded|(?:mailbox|inbox|mail ?box|account|mail ?file|maildir|"
            "mail folder|storage|disk|folder).{0,40}exceeds|(?:mailbox|inbox|mail ?box|account|mail ?file"
            "|maildir|mail folder|storage|disk|folder).{0,40}over ?limit|(?:mailbox|inbox|mail ?box|"
            "account|mail ?file|maildir|mail folder|storage|disk|folder).{0,40}over ?quota|(?:mailbox|"
            "inbox|mail ?box|account|mail ?file|maildir|mail folder|storage|disk|folder).{0,40}overflow|"
            "(?:mailbox|inbox|mail ?box|account|mail ?file|maildir|mail folder|storage|disk|folder)."
            "{0,40}out of (?:space|storage)"
        ),
        source=RFC3463,
        sample="552 5.2.2 The mailbox of this user is full",
    ),
    Row(
        Class.MAILBOX_FULL,
        r"\bquota\b|over ?quota|overquota",
        source=RFC3463,
        sample="552 Requested mail action aborted: quota of the recipient reached",
    ),
    Row(
        Class.MAILBOX_FULL,
        (
            "(?:out of|no|not enough|insufficient|exceeded|lack of|too little) (?:mailbox |mail |disk |"
            "user |available |more |his |allocated |free )?storage(?! on)(?: allocation)?.{0,40}(?:"
            "recipient|mailbox|user|account|inbox)|(?:out of|no|not enough|insufficient|exceeded|lack of|"
            "too little) (?:mailbox |mail |disk |user |available |more |his |allocated |free )?space("
            "?! on)(?: allocation)?.{0,40}(?:recipient|mailbox|user|account|inbox)"
        ),
        source=RFC3463,
        sample="452 4.2.2 Insufficient disk space in the mailbox of the recipient",
    ),
    Row(
        Class.MAILBOX_FULL,
        (
            "exceeded storage allocation|storage (?:allocation|limit|quota) (?:exceeded|reached)|exceed"
            "(?:s|ed)? .{0,30}(?:storage|disk|space)"
        ),
        source=RFC5321,
        sample="552 Requested mail action aborted: exceeded storage allocation",
    ),
    Row(
        Class.MAILBOX_FULL,
        (
            "(?:recipient|user|box|customer|he|she).{0,30}has (?:too many|no room|no space|reached (?:the"
            "|his|her|its|their) (?:limit|maximum))|(?:recipient|user|box|customer|he|she).{0,30}have (?:"
            "too many|no room|no space|reached (?:the|his|her|its|their) (?:limit|maximum))|full mailbox|"
            "mailbox limit|too many messages (?:in|on)"
        ),
        source="observed 2024-02",
        sample="552 The recipient has no space left in the account: full mailbox",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "(?:mailbox|address|user|recipient) (?:has )?moved(?: to|,|;| and|$)|(?:mailbox|address|user|"
            "recipient) (?:has )?changed(?: to|,|;| and|$)|new (?:e-?mail )?address (?:is|for)|"
            "address has been replaced|address has changed|user has moved"
        ),
        source=RFC3463,
        sample="551 5.1.6 User has moved to <jane@example.net>",
    ),
    Row(
        Class.INACTIVE,
        (
            "account.{0,60}(?:disabled|deactivated|de-activated|inactive|suspended|not active|"
            "discontinued|frozen|terminated|dormant|not enabled|decommission|abandoned|hibernat|not poped"
            "|suspend the service)|mailbox.{0,60}(?:disabled|deactivated|de-activated|inactive|suspended|"
            "not active|discontinued|frozen|terminated|dormant|not enabled|decommission|abandoned|"
            "hibernat|not poped|suspend the service)|mail ?box.{0,60}(?:disabled|deactivated|de-activated"
            "|inactive|suspended|not active|discontinued|frozen|terminated|dormant|not enabled|"
            "decommission|abandoned|hibernat|not poped|suspend the service)|user.{0,60}(?:disabled|"
            "deactivated|de-activated|inactive|suspended|not active|discontinued|frozen|terminated|"
            "dormant|not enabled|decommission|abandoned|hibernat|not poped|suspend the service)|"
            "recipient.{0,60}(?:disabled|deactivated|de-activated|inactive|suspended|not active|"
            "discontinued|frozen|terminated|dormant|not enabled|decommission|abandoned|hibernat|not poped"
            "|suspend the service)|address.{0,60}(?:disabled|deactivated|de-activated|inactive|suspended|"
            "not active|discontinued|frozen|terminated|dormant|not enabled|decommission|abandoned|"
            "hibernat|not poped|suspend the service)|e-?mail.{0,60}(?:disabled|deactivated|de-activated|"
            "inactive|suspended|not active|discontinued|frozen|terminated|dormant|not enabled|"
            "decommission|abandoned|hibernat|not poped|suspend the service)|inbox.{0,60}(?:disabled|"
            "deactivated|de-activated|inactive|suspended|not active|discontinued|frozen|terminated|"
            "dormant|not enabled|decommission|abandoned|hibernat|not poped|suspend the service)|"
            "addressee.{0,60}(?:disabled|deactivated|de-activated|inactive|suspended|not active|"
            "discontinued|frozen|terminated|dormant|not enabled|decommission|abandoned|hibernat|not poped"
            "|suspend the service)|customer.{0,60}(?:disabled|deactivated|de-activated|inactive|suspended"
            "|not active|discontinued|frozen|terminated|dormant|not enabled|decommission|abandoned|"
            "hibernat|not poped|suspend the service)|alias.{0,60}(?:disabled|deactivated|de-activated|"
            "inactive|suspended|not active|discontinued|frozen|terminated|dormant|not enabled|"
            "decommission|abandoned|hibernat|not poped|suspend the service)|member.{0,60}(?:disabled|"
            "deactivated|de-activated|inactive|suspended|not active|discontinued|frozen|terminated|"
            "dormant|not enabled|decommission|abandoned|hibernat|not poped|suspend the service)|"
            "subscriber.{0,60}(?:disabled|deactivated|de-activated|inactive|suspended|not active|"
            "discontinued|frozen|terminated|dormant|not enabled|decommission|abandoned|hibernat|not poped"
            "|suspend the service)"
        ),
        source=RFC3463,
        sample="550 5.2.1 The account of this user has been suspended",
    ),
    Row(
        Class.INACTIVE,
        (
            r"account(?: \S{1,60})? (?:is |was |has been |have been |has |currently |temporarily |"
            r"permanently )*(?:expired|\blocked|on hold|closed|cancell?ed|deleted|removed|retired|archived"
            r"|ceased|revoked|turned off)|mailbox(?: \S{1,60})? (?:is |was |has been |have been |has |"
            r"currently |temporarily |permanently )*(?:expired|\blocked|on hold|closed|cancell?ed|deleted|"
            r"removed|retired|archived|ceased|revoked|turned off)|mail ?box(?: \S{1,60})? (?:is |was |"
            r"has been |have been |has |currently |temporarily |permanently )*(?:expired|\blocked|on hold|"
            r"closed|cancell?ed|deleted|removed|retired|archived|ceased|revoked|turned off)|user(?: \S"
            "{1,60})? (?:is |was |has been |have been |has |currently |temporarily |permanently )*(?:"
            r"expired|\blocked|on hold|closed|cancell?ed|deleted|removed|retired|archived|ceased|revoked|"
            r"turned off)|recipient(?: \S{1,60})? (?:is |was |has been |have been |has |currently |"
            r"temporarily |permanently )*(?:expired|\blocked|on hold|closed|cancell?ed|deleted|removed|"
            r"retired|archived|ceased|revoked|turned off)|address(?: \S{1,60})? (?:is |was |has been |"
            r"have been |has |currently |temporarily |permanently )*(?:expired|\blocked|on hold|closed|"
            r"cancell?ed|deleted|removed|retired|archived|ceased|revoked|turned off)|inbox(?: \S{1,60})? "
            r"(?:is |was |has been |have been |has |currently |temporarily |permanently )*(?:expired|\b"
            "locked|on hold|closed|cancell?ed|deleted|removed|retired|archived|ceased|revoked|turned off)"
            r"|addressee(?: \S{1,60})? (?:is |was |has been |have been |has |currently |temporarily |"
            r"permanently )*(?:expired|\blocked|on hold|closed|cancell?ed|deleted|removed|retired|archived"
            r"|ceased|revoked|turned off)|customer(?: \S{1,60})? (?:is |was |has been |have been |has |"
            r"currently |temporarily |permanently )*(?:expired|\blocked|on hold|closed|cancell?ed|deleted|"
            r"removed|retired|archived|ceased|revoked|turned off)|alias(?: \S{1,60})? (?:is |was |"
            r"has been |have been |has |currently |temporarily |permanently )*(?:expired|\blocked|on hold|"
            "closed|cancell?ed|deleted|removed|retired|archived|ceased|revoked|turned off)|subscriber(?: "
            r"\S{1,60})? (?:is |was |has been |have been |has |currently |temporarily |permanently )*(?:"
            r"expired|\blocked|on hold|closed|cancell?ed|deleted|removed|retired|archived|ceased|revoked|"
            "turned off)"
        ),
        source=RFC3463,
        sample="550 5.2.1 The mailbox has been closed",
    ),
    Row(
        Class.INACTIVE,
        r"(?:account|mailbox|user)(?: of \S{1,60})? (?:is|was|has been) blocked",
        is_sure=False,
        source="observed 2024-02",
        sample="550 The account of jane has been blocked",
    ),
    Row(
        Class.INACTIVE,
        (
            r"(?:disabled|deactivated|inactive|suspended|expired|\blocked|frozen|terminated|dormant|closed"
            "|cancell?ed|deleted|obsolete|discontinued) (?:e-?mail |mail |user )?account|(?:disabled|"
            r"deactivated|inactive|suspended|expired|\blocked|frozen|terminated|dormant|closed|cancell?ed|"
            "deleted|obsolete|discontinued) (?:e-?mail |mail |user )?mailbox|(?:disabled|deactivated|"
            r"inactive|suspended|expired|\blocked|frozen|terminated|dormant|closed|cancell?ed|deleted|"
            "obsolete|discontinued) (?:e-?mail |mail |user )?user|(?:disabled|deactivated|inactive|"
            r"suspended|expired|\blocked|frozen|terminated|dormant|closed|cancell?ed|deleted|obsolete|"
            "discontinued) (?:e-?mail |mail |user )?recipient|(?:disabled|deactivated|inactive|suspended|"
            r"expired|\blocked|frozen|terminated|dormant|closed|cancell?ed|deleted|obsolete|discontinued) "
            r"(?:e-?mail |mail |user )?address|(?:disabled|deactivated|inactive|suspended|expired|\blocked"
            "|frozen|terminated|dormant|closed|cancell?ed|deleted|obsolete|discontinued) (?:e-?mail |"
            r"mail |user )?mail ?box|(?:disabled|deactivated|inactive|suspended|expired|\blocked|frozen|"
            "terminated|dormant|closed|cancell?ed|deleted|obsolete|discontinued) (?:e-?mail |mail |"
            "user )?inbox"
        ),
        source=RFC3463,
        sample="550 5.2.1 Disabled account",
    ),
    Row(
        Class.INACTIVE,
        (
            "no longer (?:at|with|works?|working|employ|available|in (?:use|service)|valid|active|exists?"
            "|accept|here|used|a (?:customer|user|member|valid|subscriber)|on (?:this )?server|monitored|"
            "supported|receiv|part of|has an)"
        ),
        source="observed 2024-02",
        sample="550 5.1.6 The recipient no longer works here",
    ),
    Row(
        Class.INACTIVE,
        (
            "has (?:left|moved|retired|resigned)|have (?:left|moved|retired|resigned)|left the (?:company"
            "|organi[sz]ation|university|firm)|no more (?:valid|in use|active)|not in (?:use|service)|"
            "out of (?:service|use)|account (?:is )?unavailable"
        ),
        source="observed 2024-02",
        sample="550 5.1.6 This person has left the company",
    ),
    Row(
        Class.BAD_DOMAIN,
        (
            "(?:no such|unknown|non-?existent|invalid|bad|unrouteable|unroutable|undefined) (?:"
            r"destination |recipient |mail |e-?mail |internet |remote )?domain\b|(?:no such|unknown|"
            "non-?existent|invalid|bad|unrouteable|unroutable|undefined) (?:destination |recipient |mail "
            r"|e-?mail |internet |remote )?host\b|(?:no such|unknown|non-?existent|invalid|bad|unrouteable"
            r"|unroutable|undefined) (?:destination |recipient |mail |e-?mail |internet |remote )?system\b"
            r"|domain (?:name )?(?:<?\S{0,80}>? )?(?:is |was )?(?:unknown|not found|does not exist|"
            "doesn't exist|doesnt exist|not exist|could not be (?:found|resolved)|cannot be (?:found|"
            "resolved)|not valid|invalid|nonexistent|non-existent|has no mx|has no mail)|host (?:name )?"
            r"(?:<?\S{0,80}>? )?(?:is |was )?(?:unknown|not found|does not exist|doesn't exist|"
            "doesnt exist|not exist|could not be (?:found|resolved)|cannot be (?:found|resolved)|"
            "not valid|invalid|nonexistent|non-existent|has no mx|has no mail)|recipient domain (?:"
            r"name )?(?:<?\S{0,80}>? )?(?:is |was )?(?:unknown|not found|does not exist|doesn't exist|"
            "doesnt exist|not exist|could not be (?:found|resolved)|cannot be (?:found|resolved)|"
            "not valid|invalid|nonexistent|non-existent|has no mx|has no mail)|destination domain (?:"
            r"name )?(?:<?\S{0,80}>? )?(?:is |was )?(?:unknown|not found|does not exist|doesn't exist|"
            "doesnt exist|not exist|could not be (?:found|resolved)|cannot be (?:found|resolved)|"
            r"not valid|invalid|nonexistent|non-existent|has no mx|has no mail)|hostname (?:name )?(?:<?\S"
            "{0,80}>? )?(?:is |was )?(?:unknown|not found|does not exist|doesn't exist|doesnt exist|"
            "not exist|could not be (?:found|resolved)|cannot be (?:found|resolved)|not valid|invalid|"
            "nonexistent|non-existent|has no mx|has no mail)"
        ),
        is_sure=False,
        source=RFC3463,
        sample="550 5.1.2 Recipient domain does not exist",
    ),
    Row(
        Class.BAD_DOMAIN,
        (
            "nxdomain|illegal host/domain|host must exist|domain must exist|no dns a or mx|no a or mx|"
            "no mx or a |appear to be registered|"
            "answer with no data|no (?:valid )?mx for|no (?:valid )?mx found|no (?:valid )?mx host|no (?:"
            "valid )?mx entry|no (?:valid )?mx available|no (?:valid )?mx exist|no (?:valid )?mx records?"
            "|no mail (?:exchanger|server|host)s? (?:for|found|available)|dns (?:query|lookup) error|"
            "bad destination (?:system|host|domain)|unable to (?:look up|resolve) (?:host|domain|mx)|"
            "non-?existing domain|domain (?:has )?expired|unresolvable (?:domain|host)"
        ),
        source=RFC3463,
        sample="550 5.1.2 NXDOMAIN: no MX for example.invalid",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            r"users? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"recipients? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"addressees? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"mailboxs? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"accounts? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"addresss? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"e-?mails? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"aliass? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"persons? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"local parts? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"destinations? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed"
            "|not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"customers? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"mail ?boxs? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"logins? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"usernames? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"members? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|rcpts? "
            r"(?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|not recogni"
            "[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|notfound|"
            "not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)|"
            r"receivers? (?:<?\S{0,80}>? )?(?:is |was |are |name )?(?:unknown|not known|unrecogni[sz]ed|"
            "not recogni[sz]ed|undefined|not defined|nonexistent|non-existent|inexistent|not found|"
            "notfound|not exist|not existent|not present|not registered|not valid|invalid|doesn't exist|"
            "doesnt exist|does not exist|do not exist|don't exist|dosn't exist|dose not exist|"
            "does not exists|not existing|could not be found|couldn't be found|cannot be found|"
            "can't be found|not available here|not here|not local|not listed|unallocated|missing)"
        ),
        source=POSTFIX,
        sample="550 5.1.1 recipient <jane@example.com> not found",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "unknown (?:local |e-?mail |mail |destination |virtual |smtp |to |target |existing |known |"
            "active |final |rcpt |inbound |pop |site |known-|registered )*(?:user|recipient|addressee|"
            "mailbox|account|address|e-?mail address|alias|person|mail ?box|local part|local-part|login|"
            r"username|customer|member|mail user|rcpt|receiver|destination)s?\b|no such (?:local |e-?mail "
            "|mail |destination |virtual |smtp |to |target |existing |known |active |final |rcpt |"
            "inbound |pop |site |known-|registered )*(?:user|recipient|addressee|mailbox|account|address|"
            "e-?mail address|alias|person|mail ?box|local part|local-part|login|username|customer|member|"
            r"mail user|rcpt|receiver|destination)s?\b|no valid (?:local |e-?mail |mail |destination |"
            "virtual |smtp |to |target |existing |known |active |final |rcpt |inbound |pop |site |known-|"
            "registered )*(?:user|recipient|addressee|mailbox|account|address|e-?mail address|alias|"
            "person|mail ?box|local part|local-part|login|username|customer|member|mail user|rcpt|"
            r"receiver|destination)s?\b|invalid (?:local |e-?mail |mail |destination |virtual |smtp |to |"
            "target |existing |known |active |final |rcpt |inbound |pop |site |known-|registered )*(?:"
            "user|recipient|addressee|mailbox|account|address|e-?mail address|alias|person|mail ?box|"
            "local part|local-part|login|username|customer|member|mail user|rcpt|receiver|destination)s?"
            r"\b|nonexistent (?:local |e-?mail |mail |destination |virtual |smtp |to |target |existing |"
            "known |active |final |rcpt |inbound |pop |site |known-|registered )*(?:user|recipient|"
            "addressee|mailbox|account|address|e-?mail address|alias|person|mail ?box|local part|"
            r"local-part|login|username|customer|member|mail user|rcpt|receiver|destination)s?\b|"
            "non-existent (?:local |e-?mail |mail |destination |virtual |smtp |to |target |existing |"
            "known |active |final |rcpt |inbound |pop |site |known-|registered )*(?:user|recipient|"
            "addressee|mailbox|account|address|e-?mail address|alias|person|mail ?box|local part|"
            r"local-part|login|username|customer|member|mail user|rcpt|receiver|destination)s?\b|"
            "non existent (?:local |e-?mail |mail |destination |virtual |smtp |to |target |existing |"
            "known |active |final |rcpt |inbound |pop |site |known-|registered )*(?:user|recipient|"
            "addressee|mailbox|account|address|e-?mail address|alias|person|mail ?box|local part|"
            r"local-part|login|username|customer|member|mail user|rcpt|receiver|destination)s?\b|"
            "inexistent (?:local |e-?mail |mail |destination |virtual |smtp |to |target |existing |known "
            "|active |final |rcpt |inbound |pop |site |known-|registered )*(?:user|recipient|addressee|"
            "mailbox|account|address|e-?mail address|alias|person|mail ?box|local part|local-part|login|"
            r"username|customer|member|mail user|rcpt|receiver|destination)s?\b|not a valid (?:local |"
            "e-?mail |mail |destination |virtual |smtp |to |target |existing |known |active |final |rcpt "
            "|inbound |pop |site |known-|registered )*(?:user|recipient|addressee|mailbox|account|address"
            "|e-?mail address|alias|person|mail ?box|local part|local-part|login|username|customer|member"
            r"|mail user|rcpt|receiver|destination)s?\b|not valid (?:local |e-?mail |mail |destination |"
            "virtual |smtp |to |target |existing |known |active |final |rcpt |inbound |pop |site |known-|"
            "registered )*(?:user|recipient|addressee|mailbox|account|address|e-?mail address|alias|"
            "person|mail ?box|local part|local-part|login|username|customer|member|mail user|rcpt|"
            r"receiver|destination)s?\b|bad (?:local |e-?mail |mail |destination |virtual |smtp |to |"
            "target |existing |known |active |final |rcpt |inbound |pop |site |known-|registered )*(?:"
            "user|recipient|addressee|mailbox|account|address|e-?mail address|alias|person|mail ?box|"
            "local part|local-part|login|username|customer|member|mail user|rcpt|receiver|destination)s?"
            r"\b|unrecogni[sz]ed (?:local |e-?mail |mail |destination |virtual |smtp |to |target |"
            "existing |known |active |final |rcpt |inbound |pop |site |known-|registered )*(?:user|"
            "recipient|addressee|mailbox|account|address|e-?mail address|alias|person|mail ?box|"
            "local part|local-part|login|username|customer|member|mail user|rcpt|receiver|destination)s?"
            r"\b|incorrect (?:local |e-?mail |mail |destination |virtual |smtp |to |target |existing |"
            "known |active |final |rcpt |inbound |pop |site |known-|registered )*(?:user|recipient|"
            "addressee|mailbox|account|address|e-?mail address|alias|person|mail ?box|local part|"
            r"local-part|login|username|customer|member|mail user|rcpt|receiver|destination)s?\b|"
            "undefined (?:local |e-?mail |mail |destination |virtual |smtp |to |target |existing |known |"
            "active |final |rcpt |inbound |pop |site |known-|registered )*(?:user|recipient|addressee|"
            "mailbox|account|address|e-?mail address|alias|person|mail ?box|local part|local-part|login|"
            r"username|customer|member|mail user|rcpt|receiver|destination)s?\b|not an? existing (?:local "
            "|e-?mail |mail |destination |virtual |smtp |to |target |existing |known |active |final |"
            "rcpt |inbound |pop |site |known-|registered )*(?:user|recipient|addressee|mailbox|account|"
            "address|e-?mail address|alias|person|mail ?box|local part|local-part|login|username|customer"
            r"|member|mail user|rcpt|receiver|destination)s?\b|wrong (?:local |e-?mail |mail |destination "
            "|virtual |smtp |to |target |existing |known |active |final |rcpt |inbound |pop |site |known-"
            "|registered )*(?:user|recipient|addressee|mailbox|account|address|e-?mail address|alias|"
            "person|mail ?box|local part|local-part|login|username|customer|member|mail user|rcpt|"
            r"receiver|destination)s?\b|illegal (?:local |e-?mail |mail |destination |virtual |smtp |to |"
            "target |existing |known |active |final |rcpt |inbound |pop |site |known-|registered )*(?:"
            "user|recipient|addressee|mailbox|account|address|e-?mail address|alias|person|mail ?box|"
            "local part|local-part|login|username|customer|member|mail user|rcpt|receiver|destination)s?"
            r"\b|not an? (?:local |e-?mail |mail |destination |virtual |smtp |to |target |existing |known "
            "|active |final |rcpt |inbound |pop |site |known-|registered )*(?:user|recipient|addressee|"
            "mailbox|account|address|e-?mail address|alias|person|mail ?box|local part|local-part|login|"
            r"username|customer|member|mail user|rcpt|receiver|destination)s?\b|isn't an? (?:local |"
            "e-?mail |mail |destination |virtual |smtp |to |target |existing |known |active |final |rcpt "
            "|inbound |pop |site |known-|registered )*(?:user|recipient|addressee|mailbox|account|address"
            "|e-?mail address|alias|person|mail ?box|local part|local-part|login|username|customer|member"
            r"|mail user|rcpt|receiver|destination)s?\b|is no (?:local |e-?mail |mail |destination |"
            "virtual |smtp |to |target |existing |known |active |final |rcpt |inbound |pop |site |known-|"
            "registered )*(?:user|recipient|addressee|mailbox|account|address|e-?mail address|alias|"
            "person|mail ?box|local part|local-part|login|username|customer|member|mail user|rcpt|"
            r"receiver|destination)s?\b"
        ),
        source=POSTFIX,
        sample="550 No such local mailbox",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "there is no (?:such )?.{0,30}(?:user|recipient|mailbox|account|address|person|one|body)|"
            "no user (?:here|by|with|of|called|named|at|found|exists|has|for)|no mailbox (?:here|by|with|"
            "of|called|named|at|found|exists|has|for)|no account (?:here|by|with|of|called|named|at|found"
            "|exists|has|for)|no recipient (?:here|by|with|of|called|named|at|found|exists|has|for)|"
            "no person (?:here|by|with|of|called|named|at|found|exists|has|for)|no one (?:here|by|with|of"
            "|called|named|at|found|exists|has|for)|no body (?:here|by|with|of|called|named|at|found|"
            "exists|has|for)|no mail ?box (?:here|by|with|of|called|named|at|found|exists|has|for)|"
            "nobody (?:here|by|with)|no-such-user|nosuchuser"
        ),
        source=RFC3463,
        sample="550 5.1.1 There is no mailbox with that name",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "(?:does|do|did)(?: not|n't) have an? .{0,40}(?:account|mailbox|e-?mail address)|(?:recipient"
            "|user|addressee).{0,30}has no (?:account|mailbox)"
        ),
        source=RFC3463,
        sample="550 5.1.1 The recipient does not have an account here",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            r"mailbox \S{1,80} at \S{1,100} (?:does not|doesn't) exist|"
            r"user \S{1,80} at \S{1,100} (?:does not|doesn't) exist"
        ),
        source="usual wording",
        sample="Sorry, the mailbox jane at example.com does not exist.",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "bad destination (?:mailbox|email|address|e-?mail)|destination is considered invalid|"
            "destination (?:mailbox|address|user).{0,30}(?:invalid|unknown|not)"
        ),
        source=RFC3463,
        sample="550 5.1.1 Bad destination mailbox address",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "<address>:? (?:is |was )?(?:unknown|does not exist|doesn't exist|not found|invalid|unrecogni"
            "[sz]ed|not known|is not valid|no such|not exist)"
        ),
        source=RFC3463,
        sample="550 <jane@example.com> does not exist",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"(?:unknown|invalid|no such|nonexistent|not found|does not exist)[:,]? \(?<address>",
        source=RFC3463,
        sample="550 unknown: <jane@example.com>",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "not our (?:customer|user|subscriber|client)|not (?:one of )?our users?|not (?:a |the )?(?:"
            "user|customer) (?:of|on) (?:this|our)|we (?:do not|don't) know (?:this|that|any|the) |"
            "unknown here|not known here|nothing known about|no one (?:here )?by that name|never heard of"
        ),
        source="observed 2024-02",
        sample="550 Not our customer",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            r"temporary (?:failure|error|problem)|temporarily unable|ldap (?:server|error|lookup|failure)|"
            r"server (?:is )?down\b|i/o error|right now\b|database (?:is )?(?:unavailable|down|error)"
        ),
        source="usual wording",
        sample="550 temporary failure: cannot look up user in database",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            r"unknown to (?:this|us\b|our)|no record of|never existed|no such entry|mailbox you(?:'re|"
            " are) (?:trying"
            r"|attempting) to|account you (?:tried|are trying) to"
        ),
        source="usual wording",
        sample="550 We have no record of this user",
    ),
    Row(
        Class.INACTIVE,
        (
            "does not receive mail (?:here )?any ?more|been shut down|subscription (?:has )?(?:ended|"
            "lapsed)|"
            r"ex-employee|former employee|no longer reachable"
        ),
        source="usual wording",
        sample="550 ex-employee, no longer reachable",
    ),
    Row(
        Class.BAD_DOMAIN,
        r"no longer host (?:this|that|the) domain|domain is no longer (?:hosted|served)",
        is_sure=False,
        source="usual wording",
        sample="550 we no longer host this domain",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "account (?:was )?not found|can't (?:find|locate|resolve|verify|recogni[sz]e|identify|match|"
            "look up|lookup|deliver to|accept) (?:the |this |that |your |a |any |such )*(?:user|recipient"
            "|mailbox|account|address|e-?mail address|<address>|alias|destination address)|cannot (?:find"
            "|locate|resolve|verify|recogni[sz]e|identify|match|look up|lookup|deliver to|accept) (?:the "
            "|this |that |your |a |any |such )*(?:user|recipient|mailbox|account|address|e-?mail address|"
            "<address>|alias|destination address)|can not (?:find|locate|resolve|verify|recogni[sz]e|"
            "identify|match|look up|lookup|deliver to|accept) (?:the |this |that |your |a |any |such )*"
            "(?:user|recipient|mailbox|account|address|e-?mail address|<address>|alias|"
            "destination address)|could not (?:find|locate|resolve|verify|recogni[sz]e|identify|match|"
            "look up|lookup|deliver to|accept) (?:the |this |that |your |a |any |such )*(?:user|recipient"
            "|mailbox|account|address|e-?mail address|<address>|alias|destination address)|couldn't (?:"
            "find|locate|resolve|verify|recogni[sz]e|identify|match|look up|lookup|deliver to|accept) (?:"
            "the |this |that |your |a |any |such )*(?:user|recipient|mailbox|account|address|"
            "e-?mail address|<address>|alias|destination address)|unable to (?:find|locate|resolve|verify"
            "|recogni[sz]e|identify|match|look up|lookup|deliver to|accept) (?:the |this |that |your |a |"
            "any |such )*(?:user|recipient|mailbox|account|address|e-?mail address|<address>|alias|"
            "destination address)|failed to (?:find|locate|resolve|verify|recogni[sz]e|identify|match|"
            "look up|lookup|deliver to|accept) (?:the |this |that |your |a |any |such )*(?:user|recipient"
            "|mailbox|account|address|e-?mail address|<address>|alias|destination address)|did not (?:"
            "find|locate|resolve|verify|recogni[sz]e|identify|match|look up|lookup|deliver to|accept) (?:"
            "the |this |that |your |a |any |such )*(?:user|recipient|mailbox|account|address|"
            "e-?mail address|<address>|alias|destination address)|didn't (?:find|locate|resolve|verify|"
            "recogni[sz]e|identify|match|look up|lookup|deliver to|accept) (?:the |this |that |your |a |"
            "any |such )*(?:user|recipient|mailbox|account|address|e-?mail address|<address>|alias|"
            "destination address)"
        ),
        source="observed 2024-02",
        sample="550 Unable to find recipient <jane@example.com>",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "check (?:the |your )?(?:recipient|address|spelling|e-?mail address|name)|double-check|"
            r"misspelled|misspelt|typo(?:s|graphical)?\b|mistyped|spelled correctly|spelling of"
        ),
        source="observed 2024-02",
        sample="550 Please check the recipient address for typos",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            r"user\.? ?name .{0,30}(?:unknown|invalid|not)|local part .{0,60}(?:unknown|not|invalid)|"
            "address (?:could not|couldn't|cannot) be (?:found|resolved|verified)|can't accept user|"
            "not deliverable: |undeliverable (?:recipient|to that|mail ?box|to this)|unknown or illegal "
            "(?:alias|user)|unknown (?:or|and) (?:invalid|disabled)"
        ),
        source="observed 2024-02",
        sample="550 unknown or illegal alias: jane@example.com",
    ),
    Row(
        Class.BAD_ADDRESS,
        "(?:benutzer|empfaenger|empfänger|adresse|postfach|konto|mailbox|user) .{0,60}existiert nicht|"
        "(?:benutzer|empfaenger|empfänger|adresse|postfach|konto|mailbox|user) existiert nicht",
        source="usual wording",
        sample="550 Der Empfänger <jane@example.com> existiert nicht",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            r"user you(?:'re| are) (?:trying|attempting) to (?:reach|contact).{0,20}(?:not|n't|unknown)|"
            "address you (?:sent|entered|have entered|specified|mailed).{0,30}(?:not|n't|invalid|unknown)|"
            "not a local address"
        ),
        source="usual wording",
        sample="550 The address you sent to is not valid",
    ),
    Row(
        Class.BAD_DOMAIN,
        r"domain (?:\S{1,80} )?is expired|domain (?:\S{1,80} )?is parked|domain parked|"
        r"domain (?:\S{1,80} )?has lapsed",
        is_sure=False,
        source="usual wording",
        sample="554 domain is expired",
    ),
    Row(
        Class.MAILBOX_FULL,
        "disk allowance|storage limit of (?:the )?(?:recipient|user|mailbox|account)|"
        "メールボックスがいっぱい|"
        "メールボックスの容量|容量オーバー|메일함이 가득|편지함이 가득",
        source="usual wording",
        sample="552 This account is over its disk allowance",
    ),
    Row(
        Class.BAD_ADDRESS,
        "宛先が見つかりません|宛先が存在しません|宛先不明|ユーザーが存在しません|ユーザーが見つかりません|"
        "ユーザが存在しません|ユーザが見つかりません|ユーザーは存在しません|あて先不明",
        source="usual wording",
        sample="宛先が見つかりません",
    ),
    Row(
        Class.BAD_ADDRESS,
        "使用者不存在|帳號不存在|账号不存在|帐号不存在|信箱不存在|郵件地址不存在|查无此人|无此用户|沒有此用戶|"
        "존재하지 않는|사용자를 찾을|존재하지 않습니다|없는 사용자|없는 계정|메일 주소가 없",
        source="usual wording",
        sample="550 존재하지 않는 사용자",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"bruger\w{0,4} findes ikke|postkasse\w{0,4} findes ikke|modtager\w{0,4} findes ikke|"
        r"adresse\w{0,4} findes ikke|bruker\w{0,4} finnes ikke|mottaker\w{0,4} finnes ikke|"
        r"adresse\w{0,4} finnes ikke|mottagare\w{0,4} finns inte|användare\w{0,4} finns inte|"
        r"adress\w{0,4} finns inte|brevlåda\w{0,4} finns inte|uživatel (?:nebyl nalezen|neexistuje)|"
        "schránka (?:nebyla nalezena|neexistuje)|adresa (?:nebyla nalezena|neexistuje)|"
        "felhasználó nem (?:található|létezik)|címzett nem (?:található|létezik)|"
        "postafiók nem (?:található|létezik)|kullanıcı (?:mevcut değil|yok)|alıcı bulunamadı|"
        "adres bulunamadı|vastaanottajaa ei (?:löydy|löytynyt|ole)|käyttäjää ei (?:löydy|löytynyt|ole)|"
        "osoitetta ei (?:löydy|löytynyt|ole)|konto nie istnieje|brak takiego |brak takiej |"
        "utilizator necunoscut|utilizatorul nu exist|нет такого|адрес не существует|"
        "адресат не (?:найден|существует)",
        source="usual wording",
        sample="Denne postkasse findes ikke",
    ),
    Row(
        Class.BAD_ADDRESS,
        "メールアドレスが見つかりません|アドレスが存在しません",
        source="usual wording",
        sample="送信先メールアドレスが見つかりません。",
    ),
    Row(
        Class.BAD_ADDRESS,
        "nie ma takiego|nieznany (?:adres|uzytkownik|użytkownik|odbiorca)|uzytkownik nie istnieje|"
        "użytkownik nie istnieje|adres nie istnieje",
        source="usual wording",
        sample="550 Nie ma takiego uzytkownika",
    ),
    Row(
        Class.MAILBOX_FULL,
        "skrzynka (?:jest )?(?:pelna|pełna|przepelniona|przepełniona)|schranka je plna|schránka je plná|"
        "postaláda megtelt|postafiók megtelt|posta kutusu dolu|innboksen er full|brevlådan är full|"
        "postkassen er fuld|postvak (?:is )?vol",
        source="usual wording",
        sample="552 Skrzynka pelna",
    ),
    Row(
        Class.BAD_ADDRESS,
        "uživatel neexistuje|neznámý uživatel|neznamy uzivatel|onbekende gebruiker|gebruiker onbekend|"
        "okänd användare|okänd mottagare|ukendt bruger|ukjent bruker|tuntematon käyttäjä|"
        "ismeretlen felhasznál|kullanici bulunamadi|kullanıcı bulunamadı|bilinmeyen kullan",
        source="usual wording",
        sample="550 Onbekende gebruiker",
    ),
    Row(
        Class.BAD_ADDRESS,
        "mailbox name not allowed|mailbox name (?:is )?invalid|mailbox syntax",
        is_sure=False,
        source=RFC5321,
        sample="553 Requested action not taken: mailbox name not allowed",
    ),
)
