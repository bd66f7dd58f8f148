"""What mail hosts of any operator say without a reason, and what our side or a reporter says of a way that
was blocked.

Last: any other row knows more than these.
"""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

RFC5321 = "https://www.rfc-editor.org/rfc/rfc5321"
RFC3463 = "https://www.rfc-editor.org/rfc/rfc3463"
BOUNCE = "https://www.postfix.org/bounce.5.html"
POSTFIX = "https://www.postfix.org/postconf.5.html"

ROWS: tuple[Row, ...] = (
    Row(
        Class.EXPIRED,
        (
            "retry (?:timeout|time not) (?:exceeded|reached)|all hosts .{0,60}"
            "have been failing for a long time|after a long failure period"
        ),
        source="https://www.exim.org/exim-html-current/doc/html/spec_html/",
        sample=("all hosts for 'example.com' have been failing for a long time (and retry time not reached)"),
    ),
    Row(
        Class.EXPIRED,
        (
            "(?:connection|operation|conversation|session|delivery|read|command|socket|smtp|network|i/?o|"
            "io|host).{0,60}timed? ?out|(?:connection|operation|conversation|session|delivery|read|"
            "command|socket|smtp|network|i/?o|io|host).{0,60}timeout|timed out (?:while|after|waiting)|"
            "timeout (?:while|waiting|exceeded)"
        ),
        source=BOUNCE,
        sample="connect to mx.example.com[192.0.2.9]:25: Connection timed out",
    ),
    Row(
        Class.EXPIRED,
        (
            "connection refused|connection reset|connection (?:was )?(?:dropped|lost|closed)|"
            "lost connection|broken pipe|no route to host|network (?:is )?unreachable|host (?:is )?(?:"
            "unreachable|down|not responding|not reachable)|unreachable host|could not connect|"
            "couldn't connect|unable to connect|can't connect|cannot connect|no answer from|"
            "bad connection|no connection|not responding|server dropped|remote end closed|"
            "accept our requests to connect"
        ),
        source=BOUNCE,
        sample="connect to mx.example.com[192.0.2.9]:25: Connection refused",
    ),
    Row(
        Class.EXPIRED,
        (
            "(?:message|delivery|mail|queue|retry|time|lifetime).{0,40}expired|(?:message|delivery|mail|"
            "queue|retry|time|lifetime).{0,40}too long in|(?:message|delivery|mail|queue|retry|time|"
            "lifetime).{0,40}been in the queue|(?:message|delivery|mail|queue|retry|time|lifetime).{0,40}"
            r"time limit|gave up|giving up(?! on \S)|given up|after \d+ (?:hours?|days?|attempts|tries|"
            "retries)|for "
            r"\d+ (?:hours?|days?|attempts|tries|retries)|maximum (?:number of )?(?:retries|attempts|"
            "delivery attempts|time)|too old|still (?:undelivered|being)|retries exhausted|"
            "unable to deliver .{0,40}(?:after|for|within)"
        ),
        source=RFC3463,
        sample="5.4.7 Message expired after 5 days in the queue",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            r"55[0-9] (?:\S{1,9} )?(?:<\S{1,12} )?(?:requested (?:mail )?action (?:not taken|"
            "aborted): )?mailbox (?:is )?(?:currently )?(?:unavailable|not available)"
        ),
        is_sure=False,
        source=RFC5321,
        sample="550 Requested action not taken: mailbox unavailable",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "(?:recipient|address|user|mailbox|rcpt|to) (?:address )?(?:is )?(?:has been |was )?rejected|"
            "(?:recipient|address|user|mailbox|rcpt|to) (?:address )?(?:is )?(?:has been |was )?refused|"
            "(?:recipient|address|user|mailbox|rcpt|to) (?:address )?(?:is )?(?:has been |"
            "was )?not accepted|(?:recipient|address|user|mailbox|rcpt|to) (?:address )?(?:is )?(?:"
            "has been |was )?unacceptable|(?:recipient|address|user|mailbox|rcpt|to) (?:address )?(?:"
            "is )?(?:has been |was )?declined|reject(?:ed|ing)? (?:recipient|address)|refus(?:ed|ing)? "
            "(?:recipient|address)|undeliverable address|not deliverable|undeliverable"
        ),
        is_sure=False,
        source="observed 2024-02",
        sample="550 5.1.1 <jane@example.com> recipient rejected",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "user not local|user (?:is )?unavailable|recipient (?:is )?(?:unavailable|not available|"
            "unreachable)|address (?:is )?(?:unavailable|not available|unreachable)|try <forward-path>"
        ),
        is_sure=False,
        source=RFC5321,
        sample="551 User not local; please try <jane@example.net>",
    ),
    Row(
        Class.BAD_DOMAIN,
        r"\[internal\] domain lookup failed",
        source="usual wording",
        sample="554 5.4.4 [internal] Domain Lookup Failed",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "name service error|dns (?:lookup|error|failure|resol|server)|temporary lookup failure|"
            r"lookup (?:failure|failed|error)|try again\b.{0,20}type=|host not found, try again|dns ."
            "{0,30}(?:failed|failure|timeout)"
        ),
        source=BOUNCE,
        sample="451 4.3.0 <jane@example.com>: Temporary lookup failure",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "(?:server|system|service|internal|local|processing|configuration|software|temporary|"
            "transient|unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |"
            "system |local |server |processing |internal |mail |delivery |backend |resource )*error|(?:"
            "server|system|service|internal|local|processing|configuration|software|temporary|transient|"
            "unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |system |"
            "local |server |processing |internal |mail |delivery |backend |resource )*failure|(?:server|"
            "system|service|internal|local|processing|configuration|software|temporary|transient|"
            "unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |system |"
            "local |server |processing |internal |mail |delivery |backend |resource )*problem|(?:server|"
            "system|service|internal|local|processing|configuration|software|temporary|transient|"
            "unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |system |"
            "local |server |processing |internal |mail |delivery |backend |resource )*trouble|(?:server|"
            "system|service|internal|local|processing|configuration|software|temporary|transient|"
            "unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |system |"
            "local |server |processing |internal |mail |delivery |backend |resource )*fault|(?:server|"
            "system|service|internal|local|processing|configuration|software|temporary|transient|"
            "unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |system |"
            "local |server |processing |internal |mail |delivery |backend |resource )*unavailable|(?:"
            "server|system|service|internal|local|processing|configuration|software|temporary|transient|"
            "unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |system |"
            "local |server |processing |internal |mail |delivery |backend |resource )*busy|(?:server|"
            "system|service|internal|local|processing|configuration|software|temporary|transient|"
            "unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |system |"
            "local |server |processing |internal |mail |delivery |backend |resource )*overload|(?:server|"
            "system|service|internal|local|processing|configuration|software|temporary|transient|"
            "unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |system |"
            "local |server |processing |internal |mail |delivery |backend |resource )*not available|(?:"
            "server|system|service|internal|local|processing|configuration|software|temporary|transient|"
            "unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |system |"
            "local |server |processing |internal |mail |delivery |backend |resource )*not ready|(?:server"
            "|system|service|internal|local|processing|configuration|software|temporary|transient|"
            "unexpected|database|backend|ldap|routing|queue|mailer|disk|i/o) (?:configuration |system |"
            "local |server |processing |internal |mail |delivery |backend |resource )*failed"
        ),
        source=POSTFIX,
        sample="451 4.3.5 Server configuration error",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "local error in processing|service (?:is )?(?:not|temporarily|currently) (?:available|"
            "unavailable)|service unavailable|closing transmission|insufficient (?:system|disk|resources?"
            "|storage|queue|memory|space)|system storage|not enough (?:disk|memory|resources)|resources? "
            "(?:temporarily|are|is) ?(?:unavailable|low|exhausted)?|out of memory|too busy|server busy|"
            r"busy\b|overloaded|high load|maintenance|shutting down|system not accepting"
        ),
        source=RFC5321,
        sample="421 mx.example.com Service not available, closing transmission channel",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "temporar(?:y|ily)|try (?:again|later)|please retry|retry later|come back later|again later|"
            r"later\.?$"
        ),
        source=RFC5321,
        sample="451 Temporary trouble, come back later",
    ),
    Row(
        Class.POLICY,
        (
            "transaction failed|command (?:rejected|refused|failed|denied|aborted)|request (?:rejected|"
            "refused|failed|denied|aborted)|delivery (?:rejected|refused|failed|denied|aborted)|"
            r"operation (?:rejected|refused|failed|denied|aborted)|no thanks|sorry$|\bdenied\b|\brejected"
            r"\b|\brefused\b|\bblocked\b"
        ),
        is_sure=False,
        source=RFC5321,
        sample="554 Transaction failed",
    ),
)
