"""What Mail.ru, Yandex, Rambler and other Russian mail hosts answer."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

MAILRU = "https://help.mail.ru/developers/notspam/errors"
MAILRU_USERS = "https://help.mail.ru/mail/troubles/send/"
YANDEX = "https://yandex.com/support/mail/web/letter/create.html"
POSTMASTER = "https://yandex.com/support/postmaster/"

ROWS: tuple[Row, ...] = (
    Row(
        Class.INACTIVE,
        ("is unavailable: (?:user is terminated|account is disabled|user is disabled|mailbox is disabled)"),
        source=MAILRU_USERS,
        sample="550 Local mailbox jane@mail.ru is unavailable: account is disabled",
    ),
    Row(
        Class.BAD_ADDRESS,
        "message was not accepted -- invalid mailbox",
        source=MAILRU_USERS,
        sample=(
            "550 Message was not accepted -- invalid mailbox. Local mailbox jane@mail.ru is unavailable: "
            "user not found"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "is unavailable: user not found",
        source=MAILRU_USERS,
        sample="550 Local mailbox jane@bk.ru is unavailable: user not found",
    ),
    Row(
        Class.MAILBOX_FULL,
        "message was not accepted -- .{0,40}mailbox (?:is )?full|user quota exceeded",
        source=MAILRU_USERS,
        sample="550 Message was not accepted -- mailbox full",
    ),
    Row(
        Class.MAILBOX_FULL,
        "mailbox is full|over quota",
        operator="mail.ru",
        source=MAILRU_USERS,
        sample="550 5.2.2 jane@inbox.ru mailbox is full",
    ),
    Row(
        Class.CONTENT,
        "spam message (?:rejected|discarded)",
        source=MAILRU,
        sample=(
            "550 spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=abc or "
            "report details to abuse@corp.mail.ru. Error code: 8908E3E3"
        ),
    ),
    Row(
        Class.CONTENT,
        "spam message rejected/discarded",
        source=MAILRU,
        sample=(
            "550 spam message rejected/discarded. If you think that the system is mistaken, please "
            "report details to abuse@corp.mail.ru"
        ),
    ),
    Row(
        Class.REPUTATION,
        "access from (?:your )?ip(?: address)? .{1,60}blocked",
        source=MAILRU,
        sample=(
            "550 Access from ip address 192.0.2.7 blocked. Visit https://help.mail.ru/developers/notspam"
        ),
    ),
    Row(
        Class.REPUTATION,
        "we do not accept mail from this ip",
        source=MAILRU,
        sample="550 Sorry, we do not accept mail from this IP: 192.0.2.7",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            "(?:mails|mail) from (?:hosts|ips?) with generic(?:/dynamic)?|we do not accept mail from (?:"
            "hosts|ips)"
        ),
        source=MAILRU,
        sample="550 Sorry, we do not accept mail from hosts with dynamic IP or generic DNS PTR-records.",
    ),
    Row(
        Class.RATE,
        "ratelimit exceeded|rate ?limit .{0,20}exceeded",
        source=MAILRU,
        sample="451 4.7.1 Ratelimit exceeded for mailbox jane@mail.ru. Try again later.",
    ),
    Row(
        Class.RATE,
        "try again later",
        operator="mail.ru",
        source=MAILRU,
        sample="421 Service not available, too many mails from 192.0.2.7, try again later",
    ),
    Row(
        Class.AUTHENTICATION,
        "not accepted due to domain .{0,60}owner dmarc policy",
        source=MAILRU,
        sample=(
            "550 5.7.1 This message was not accepted due to domain (example.org) owner DMARC policy (RFC "
            "7489)"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "no such user",
        operator="yandex.ru",
        source=YANDEX,
        sample="550 5.7.1 No such user!",
    ),
    Row(
        Class.BAD_ADDRESS,
        "no such user",
        operator="yandex.net",
        source=YANDEX,
        sample="550 5.7.1 No such user! 1618999999-abcDEF",
    ),
    Row(
        Class.INACTIVE,
        "policy rejection on the target address",
        source=YANDEX,
        sample="550 5.7.1 Policy rejection on the target address. 1618999999-abcDEF",
    ),
    Row(
        Class.MAILBOX_FULL,
        "mailbox size limit exceeded",
        source=YANDEX,
        sample="552 5.2.2 Mailbox size limit exceeded 1522135659-8ZNmRnUYRE-Rd2KapxO",
    ),
    Row(
        Class.CONTENT,
        "message rejected under suspicion of spam",
        source=YANDEX,
        sample=("554 5.7.1 Message rejected under suspicion of SPAM; https://ya.cc/1IrBc 1618999999-abcDEF"),
    ),
    Row(
        Class.REPUTATION,
        "blocked by spam statistics",
        source=POSTMASTER,
        sample=(
            "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using spamsource.yandex.ru; "
            "Blocked by spam statistics"
        ),
    ),
    Row(
        Class.RATE,
        "exceeded their message rate limit",
        source=YANDEX,
        sample=(
            "451 4.5.1 The recipient jane@yandex.ru has exceeded their message rate limit. Try again later."
        ),
    ),
    Row(
        Class.CONTENT,
        "message infected by virus",
        source=YANDEX,
        sample="554 5.7.1 Message infected by virus",
    ),
    Row(
        Class.AUTHENTICATION,
        "email rejected due to security policies",
        operator="yandex.ru",
        source=YANDEX,
        sample="550 5.7.1 Email rejected due to security policies (SPF)",
    ),
    Row(
        Class.INACTIVE,
        "mailbox is frozen",
        is_sure=False,
        source="observed 2023-09",
        sample="550 Mailbox is frozen. See http://mail.bigmir.net/err/3/",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient not found|unknown user|no such mailbox",
        operator="rambler.ru",
        source="observed 2023-09",
        sample="550 5.1.1 <jane@rambler.ru>: Recipient not found",
    ),
    Row(
        Class.CONTENT,
        "blocked by our bulk spam email filter",
        source="observed 2023-09",
        sample="551 5.9.9 Message you sent blocked by our bulk spam email filter.",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "пользователь не (?:найден|существует)|почтовый ящик не (?:найден|существует)|неизвестный (?:"
            "пользователь|получатель)"
        ),
        source="observed 2023-09",
        sample="550 Пользователь не найден",
    ),
    Row(
        Class.MAILBOX_FULL,
        "ящик .{0,30}переполнен|превышена квота",
        source="observed 2023-09",
        sample="552 Почтовый ящик переполнен",
    ),
    Row(
        Class.INACTIVE,
        "(?:ящик|пользователь|аккаунт|учётная запись) .{0,30}заблокирован",
        source="observed 2023-09",
        sample="550 Почтовый ящик заблокирован",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "(?:u[zż]ytkownik|odbiorca|konto|adres) nie (?:istnieje|znalezion)|nieznany (?:u[zż]ytkownik|"
            "odbiorca)"
        ),
        source="observed 2024-03",
        sample="550 Konto nie istnieje",
    ),
    Row(
        Class.BAD_ADDRESS,
        "u[zž]ivatel neexistuje|schr[aá]nka neexistuje|user hasn't got the service mapped",
        source="observed 2024-03",
        sample="550 5.1.1 Schránka neexistuje",
    ),
)
