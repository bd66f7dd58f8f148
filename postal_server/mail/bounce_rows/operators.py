"""How operators of many mailboxes write."""

from __future__ import annotations

from .row import ADDRESS, ALONE, FIRST_COLUMN, PARAGRAPH, PLAIN, Row

# These write nearly as Exim does.
LIKE_EXIM = (
    Row(
        "gmx",
        starts=(
            "could not be delivered to one or more of its recipients",
            "could not be delivered to one or more recipients",
            "the following address failed",
            "the following addresses failed",
            "the following address(es) failed",
        ),
        recipient=rf"^[ \t]{{0,9}}[\"<]?(?P<to>{PLAIN})(?:[\">]:?|:)[ \t]*$",
    ),
    Row(
        "zoho",
        starts=("error_code", "[status: error, address:"),
        recipient=rf"^[ \t]*(?:\[Status: Error, Address: ?)?(?P<to>{ADDRESS})[, \t]{{1,5}}"
        r"(?P<why>[^\n]*(?:\n[^\n@]+){0,5})",
    ),
    Row(
        "mail.ru",
        starts=("письмо создано автоматически сервером mail.ru", "автоматически сервером mail.ru"),
        recipient=rf"(?P<to>{ADDRESS})",
        reason=rf"\*{{5,}}\s{{1,9}}{PARAGRAPH}",
    ),
)
OPERATORS = (
    Row(
        "gmail",
        starts=(
            "delivery to the following recipient failed",
            "delivery to the following recipients failed",
            "delivery to the following recipient has been delayed",
            "delivery to the following recipients has been delayed",
            "delivery to the following recipients has failed",
        ),
        recipient=ALONE,
        reason=r"(?:other server returned was|response (?:from the remote server )?was"
        r"|technical details of (?:permanent|temporary) failure(?![^#]{1,600} was:)):\s{1,5}" + PARAGRAPH,
    ),
    Row(
        "gmail",
        starts=(
            "your message wasn't delivered to",
            "there was a problem delivering your message to",
            "there was a temporary problem delivering your message to",
            "your message to",
        ),
        sender="mailer-daemon@googlemail|mail delivery subsystem",
        recipient=rf"(?:delivered\s{{1,3}}to|message\s{{1,3}}to)\s{{1,3}}(?P<to>{ADDRESS})",
        reason=r"(?:response (?:from the remote server )?was|returned was):\s{1,5}" + PARAGRAPH,
    ),
    Row(
        "google-groups",
        starts=("the group you tried to contact",),
        recipient=r"group\s{1,3}you\s{1,3}tried\s{1,3}to\s{1,3}contact\s{1,3}\((?P<to>[^\s()]{1,200})\)"
        r"(?P<why>[^\n]*(?:\n[^\n]+){0,5})",
        domain="googlegroups.com",
    ),
    Row(
        "yahoo",
        starts=("message from yahoo.", "sorry, we were unable to deliver your message"),
        recipient=FIRST_COLUMN,
    ),
    Row(
        "yahoo-groups",
        starts=("we are unable to deliver the message from",),
        recipient=rf"^to\s{{1,3}}(?P<to>{ADDRESS})",
    ),
    Row(
        "aol",
        starts=("not accepting mail from", "are not accepting e-mail from", "is not accepting email from"),
        recipient=rf"^[ \t]{{1,40}}(?P<to>{ADDRESS}|[A-Za-z0-9._]{{3,64}})[ \t]*$",
        domain="aol.com",
    ),
    Row(
        "verizon",
        starts=("message could not be delivered to mobile", "undeliverable message: no valid recipients"),
        recipient=rf"(?:RCPT TO: ?|^[ \t]*To: ?)(?P<to>{ADDRESS})",
        reason=r"^(?P<why>(?:Error: ?|5\d\d)[^\n]+)",
    ),
    Row(
        "au",
        starts=("your mail sent on", "as their mailbox is full"),
        recipient=rf"Could not be delivered to:?\s{{1,9}}(?P<to>{ADDRESS})",
    ),
    Row(
        "coremail",
        starts=(
            "您的邮件被退回",
            "邮件被退回来了",
            "您发送的邮件被退回",
            "抱歉,您的邮件",
            "抱歉，您的邮件",
            "無法寄送",
            "退信原因",
            "your email was returned",
        ),
        recipient=r"(?:收件人|收件者|收信人|无法发送到|無法寄送到|发送到|发送至|投递到|recipient)[^\n@A-Za-z0-9<]{0,20}\n?"
        rf"[ \t]{{0,9}}(?P<to>{ADDRESS})",
        reason=r"(?:退信原因|原因|理由|reason)[：:]?[ \t]*\n?[ \t]*" + PARAGRAPH,
    ),
    Row(
        "facebook",
        starts=("facebook",),
        sender="facebook",
        recipient=rf"\bto\s{{1,3}}(?P<to>{ADDRESS})",
    ),
    Row(
        "amazon",
        starts=("an error occurred while trying to deliver the mail to the following recipients",),
        recipient=ALONE,
    ),
)
