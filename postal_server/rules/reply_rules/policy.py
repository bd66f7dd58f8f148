"""How mail hosts of any operator say that a recipient or a group takes no mail from strangers, or none of
ours.
"""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

POSTFIX = "https://www.postfix.org/postconf.5.html"
RFC3463 = "https://www.rfc-editor.org/rfc/rfc3463"
EXCHANGE = (
    "https://learn.microsoft.com/exchange/mail-flow/non-delivery-reports-and-bounce-messages/no"
    "n-delivery-reports-and-bounce-messages"
)
MAILMAN = "https://docs.mailman3.org/"
DOMINO = "https://help.hcl-software.com/domino/"

ROWS: tuple[Row, ...] = (
    Row(
        Class.POLICY,
        (
            "not authori[sz]ed|unauthori[sz]ed|not permitted|not allowed|no permission|do(?:"
            "es)? not have permission|don't have permission|lack.{0,20}permission|permission denied|"
            "insufficient (?:rights|permission)"
        ),
        source=EXCHANGE,
        sample="550 5.7.1 You are not authorized to send to this recipient",
    ),
    Row(
        Class.POLICY,
        (
            "(?:members|subscribers|internal|staff|employees|local users?|authenticated users?|"
            "approved senders?) only|(?:members|subscribers|internal|staff|employees|local users?|"
            "authenticated users?|approved senders?) may|(?:members|subscribers|internal|staff|employees|"
            "local users?|authenticated users?|approved senders?) can|only (?:members|subscribers|"
            "internal|authenticated|approved|registered|authori[sz]ed|trusted|known|allowed)|from (?:"
            "members|subscribers|internal|authenticated|approved|registered|authori[sz]ed|trusted|known|"
            "allowed)|not (?:a member|subscribed|on the list|in the list|a subscriber|an? (?:approved|"
            "allowed|accepted|authori[sz]ed))|moderated|closed (?:list|group)|private (?:list|group|"
            "mailing)|post(?:ing)? to (?:this|the) (?:list|group)|mailing list"
        ),
        source=MAILMAN,
        sample="550 5.7.2 Only members may post to this list",
    ),
    Row(
        Class.POLICY,
        (
            "internal (?:use|mail|email|recipient|address)|external (?:mail|sender|e-?mail|message)s?|"
            "from outside|outside (?:senders?|the organi[sz]ation|world)|from the internet|internet mail|"
            "restricted (?:address|recipient|access|mailbox|to|user)|is restricted|restriction"
        ),
        source="observed 2024-02",
        sample="550 5.7.1 This address does not accept mail from external senders",
    ),
    Row(
        Class.POLICY,
        (
            "(?:recipient|user|addressee|customer|owner|mailbox|subscriber|he|she|they|person).{0,40}does"
            "(?: not|n't) want|(?:recipient|user|addressee|customer|owner|mailbox|subscriber|he|she|they|"
            "person).{0,40}do(?: not|n't) want|(?:recipient|user|addressee|customer|owner|mailbox|"
            "subscriber|he|she|they|person).{0,40}refus|(?:recipient|user|addressee|customer|owner|"
            "mailbox|subscriber|he|she|they|person).{0,40}has blocked|(?:recipient|user|addressee|"
            "customer|owner|mailbox|subscriber|he|she|they|person).{0,40}have blocked|(?:recipient|user|"
            "addressee|customer|owner|mailbox|subscriber|he|she|they|person).{0,40}blocks|(?:recipient|"
            "user|addressee|customer|owner|mailbox|subscriber|he|she|they|person).{0,40}blocked (?:you|"
            "your|the sender|this sender|mail)|(?:recipient|user|addressee|customer|owner|mailbox|"
            "subscriber|he|she|they|person).{0,40}rejects|(?:recipient|user|addressee|customer|owner|"
            "mailbox|subscriber|he|she|they|person).{0,40}has rejected|(?:recipient|user|addressee|"
            "customer|owner|mailbox|subscriber|he|she|they|person).{0,40}rejected (?:your|the|this|mail)|"
            "(?:recipient|user|addressee|customer|owner|mailbox|subscriber|he|she|they|person).{0,40}"
            "declin|(?:recipient|user|addressee|customer|owner|mailbox|subscriber|he|she|they|person)."
            "{0,40}not accept(?:ing)? (?:mail|messages|email|e-mail)s? from"
        ),
        source="observed 2024-02",
        sample="550 The recipient has blocked you",
    ),
    Row(
        Class.POLICY,
        (
            "(?:blocked|rejected|refused|denied|declined|filtered) by (?:the |this |our |a |its )?(?:"
            "recipient|user|addressee|customer|owner|admin|policy|local|rule|sieve|filter|mailbox|"
            "receiver|organi[sz]ation|destination|site|system|server|security)"
        ),
        source="observed 2024-02",
        sample="550 5.7.1 rejected by recipient",
    ),
    Row(
        Class.POLICY,
        (
            "(?:only|just) accept(?:s|ing)? (?:mail|messages|e-?mails?)|accepts (?:mail|messages|"
            r"e-?mails?) only|only registered users|bounce tag|\bbatv\b|backscatter|null sender|bounces "
            "(?:are )?not accepted"
        ),
        source="observed 2024-02",
        sample="550 The recipient is only accepting mail from people in the address book",
    ),
    Row(
        Class.POLICY,
        (
            "policy|prohibit|administrative|forbidden|for security reasons|security (?:reason|policy|"
            "restriction|issue)|compliance"
        ),
        source=POSTFIX,
        sample=(
            "554 5.7.1 <jane@example.com>: Recipient address rejected: Recipient address rejected for "
            "policy reasons"
        ),
    ),
    Row(
        Class.POLICY,
        ("access (?:is )?(?:denied|not allowed|refused|forbidden|restricted)|denied access|access control"),
        source=POSTFIX,
        sample="554 5.7.1 <jane@example.com>: Recipient address rejected: Access denied",
    ),
    Row(
        Class.POLICY,
        (
            "sender (?:has been |is |was )?(?:rejected|denied|refused|blocked|blacklisted|banned)|reject"
            "(?:ed)? sender|(?:your|sender'?s) (?:e-?mail )?address (?:is|has been|was) (?:blocked|"
            "rejected|refused|denied|not)"
        ),
        source=POSTFIX,
        sample="554 5.7.1 <news@example.org> sender rejected",
    ),
    Row(
        Class.POLICY,
        (
            "white ?list|allow(?:ed)?[- ]?list|safe ?list|not (?:on|in) (?:my|the|our|your) (?:allow|"
            "accept|white|safe)|challenge|confirm(?:ation)? (?:required|your|that you)|captcha|first[- ]"
            "time sender"
        ),
        source="observed 2024-02",
        sample="550 5.7.1 Sender is not on the whitelist of this recipient",
    ),
    Row(
        Class.POLICY,
        (
            "(?:does|do|is|are)(?: not|n't) (?:currently )?accept(?:ing|ed)? (?:any )?(?:mail|messages|"
            "e-?mails?|external|incoming|inbound|replies|bounces?|null|html|auto)"
        ),
        source="observed 2024-02",
        sample="550 5.7.1 This mailbox does not accept replies",
    ),
    Row(
        Class.POLICY,
        (
            "no-?reply (?:address|mailbox)|unmonitored|not monitored|send-only|outgoing only|"
            "used for sending|for sending only"
        ),
        source="observed 2024-02",
        sample="550 5.7.1 This is an unmonitored mailbox",
    ),
    Row(
        Class.POLICY,
        (
            "delivery (?:has been |was |is |not )?(?:refused|rejected|denied|blocked|not accepted|"
            "declined|unwanted|discarded|not wanted)|message (?:has been |was |is |not )?(?:refused|"
            "rejected|denied|blocked|not accepted|declined|unwanted|discarded|not wanted)|mail (?:"
            "has been |was |is |not )?(?:refused|rejected|denied|blocked|not accepted|declined|unwanted|"
            "discarded|not wanted)|e-?mail (?:has been |was |is |not )?(?:refused|rejected|denied|blocked"
            "|not accepted|declined|unwanted|discarded|not wanted)|transmission (?:has been |was |is |"
            "not )?(?:refused|rejected|denied|blocked|not accepted|declined|unwanted|discarded|"
            "not wanted)|transaction (?:has been |was |is |not )?(?:refused|rejected|denied|blocked|"
            "not accepted|declined|unwanted|discarded|not wanted)"
        ),
        is_sure=False,
        source=RFC3463,
        sample="554 Message rejected",
    ),
    Row(
        Class.POLICY,
        (
            "rejected for .{0,40}(?:polic|rule|reason|restrict)|refused due to .{0,40}(?:polic|rule|"
            "reason|restrict)|rejected due to .{0,40}(?:polic|rule|reason|restrict)"
        ),
        is_sure=False,
        source=DOMINO,
        sample="554 Mail refused due to the rules of this site",
    ),
)
