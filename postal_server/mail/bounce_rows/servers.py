"""How mail servers write, by program."""

from __future__ import annotations

from .row import ADDRESS, ALONE, FIRST_COLUMN, PARAGRAPH, Row

_ON_DATE = r"(?:(?:on|am|le|el|il|em|op|den|den|w dniu|в|\d{1,4}[-/.年])(?![A-Za-z@])[^\n]*)"
_BECAUSE = (
    "because|weil|wegen|da|aufgrund|grund|car|parce que|motif|raison|porque|debido a|perch[eé]|motivo|omdat"
    "|reden|eftersom|fordi|årsag|ponieważ|потому что|причина|理由|原因"
)

# The address, or that of a pipe or file.
_INDENTED = (
    r"^(?: {2,6}|\t)(?:(?:pipe to|save to|[|/:])[^\n]{0,200}\n[ \t]+\(?generated (?:by|from) )?"
    rf"(?P<to>{ADDRESS})\)?[ \t]{{0,9}}$"
)

EXIM = (
    Row(
        "exim",
        starts=(
            "the following address(es) failed",
            "the following addresses failed",
            "the following address failed",
            "could not be delivered to one or more of its recipients",
            "could not be delivered to all of its recipients",
            "could not be delivered to one or more recipients. this is a permanent error",
        ),
        recipient=_INDENTED,
    ),
    Row(
        "exim",
        starts=("to which the message has not yet been delivered",),
        recipient=_INDENTED,
        is_delay=True,
    ),
)
QMAIL = (
    Row(
        "james",
        starts=("this is the james mail server",),
        recipient=ALONE,
        reason=rf"Error message:[ \t]*\n{PARAGRAPH}",
    ),
    Row("qmail", starts=("hi. this is the", "qmail-send", "qmail send"), recipient=FIRST_COLUMN + "[ \t]*$"),
    Row(
        "qsbmf",
        starts=(
            "i wasn't able to deliver your message to the following address",
            "unable to deliver message to the following address(es)",
            "i'm afraid i wasn't able to deliver",
        ),
        recipient=FIRST_COLUMN + "[ \t]*",
    ),
)
POSTFIX = (
    Row(
        "postfix",
        starts=(
            "could not be delivered to one or more destinations",
            "could not be delivered to one or more recipients",
            "this is the postfix program",
            "this is the postfix mail system",
            "this is the mail system at host",
        ),
        recipient=rf"^(?P<to>{ADDRESS})(?: \(expanded from (?P<via>{ADDRESS})\))?:",
    ),
)
SENDMAIL = (
    Row(
        "sendmail",
        starts=(
            "the following addresses had permanent fatal errors",
            "the following addresses had permanent delivery errors",
            "the following addresses had fatal errors",
            "the following addresses had delivery problems",
            "the following addresses had delivery errors",
            "the following addresses had errors",
            "the following addresses have delivery notifications",
            "the following address had permanent fatal errors",
            "the following addresses had unsuccessful",
            "the following recipients had permanent fatal errors",
        ),
        recipient=rf"^[ \t]{{0,9}}(?:>>> )?(?P<to>{ADDRESS})(?![^\n]{{0,60}}\.\.\.[ \t]*Deferred)",
        reason=r"\(reason: (?P<why>[^\n]+(?:\n[ \t]+[^\n(]+){0,5})",
    ),
    Row(
        "sendmail",
        starts=(
            "the following addresses had transient non-fatal errors",
            "the following addresses had transient errors",
        ),
        recipient=rf"^[ \t]{{0,9}}(?P<to>{ADDRESS})",
        is_delay=True,
    ),
    Row(
        "sendmail-5",
        starts=("transcript of session follows", "transcript of the session follows"),
        ends=("unsent message follows",),
        recipient=rf"^(?:[45]\d\d[ -](?:[45]\.\d{{1,3}}\.\d{{1,3}} )?|>>> RCPT TO: ?)"
        rf"(?P<to>{ADDRESS}|[A-Za-z0-9_+-]{{1,64}}(?=\.\.\.))",
        reason=r"(?:\.\.\. ?|<<< )(?P<why>[^\n]+)",
        domain="@",
    ),
    Row(
        "smail",
        starts=("failed addresses follow",),
        ends=("message text follows",),
        recipient=rf"^[ \t|]{{0,9}}(?P<to>{ADDRESS})(?:\.\.\.)?[ \t]*(?P<why>[^\n]*)",
    ),
    Row(
        "zmailer",
        starts=("this is a collection of reports about email delivery",),
        ends=("following is a copy of messagebody",),
        recipient=rf"^[ \t]+(?:rfc822; ?)?(?P<to>{ADDRESS})[ \t]*$",
        reason=rf"Diagnostic texts?:[ \t]*\n[ \t]*{PARAGRAPH}",
    ),
    Row(
        "mmdf",
        starts=("' for the following reason:", "for the following reason: ' (user)"),
        recipient=rf"'(?P<to>{ADDRESS})[^'\n]*'\s{{1,9}}for\s{{1,9}}the\s{{1,9}}following\s{{1,9}}reason:",
    ),
)
EXCHANGE = (
    Row(
        "mailenable",
        starts=("recipient: [smtp:", "mailenable"),
        recipient=rf"Recipient: ?\[?(?:SMTP:)?(?P<to>{ADDRESS})\]?",
        reason=r"Reason: (?P<why>[^\n]+(?:\n[ \t]+[^\n]+){0,9})",
    ),
    Row(
        "hmailserver",
        starts=("hmailserver",),
        recipient=ALONE,
        reason=r"(?:replied|Error (?:description|message|text)): ?(?P<why>[^\n]+(?:\n[^\n]+){0,5})",
    ),
    Row(
        "exchange-5.5",
        starts=(
            "did not reach the following recipient(s)",
            "erreichte nicht folgende empfänger",
            "erreichte folgende(n) empfänger nicht",
            "hat folgende empfänger nicht erreicht",
            "n'est pas parvenu au(x) destinataire(s) suivant(s)",
            "n'a pas pu être remis au(x) destinataire(s) suivant(s)",
            "no llegó a los siguientes destinatarios",
            "non ha raggiunto i seguenti destinatari",
            "は次の受信者に届きませんでした",
            "次の受信者に配信できませんでした",
        ),
        recipient=rf"^[ \t]{{0,9}}'?(?P<to>{ADDRESS})'?[ \t]+{_ON_DATE}$",
    ),
    Row(
        "exchange-2003",
        starts=(
            "the following recipient(s) could not be reached",
            "the following recipient(s) cannot be reached",
            "folgende(r) empfänger konnte(n) nicht erreicht werden",
            "folgende empfänger konnten nicht erreicht werden",
            "folgende(r) empfänger kann nicht erreicht werden",
            "destinataire(s) suivant(s) n'a pas pu être joint",
            "destinataire(s) suivant(s) n'ont pas pu être joint",
            "le ou les destinataires suivants n'ont pas pu être joints",
            "impossible de joindre le ou les destinataires suivants",
            "no se pudo tener acceso a los siguientes destinatarios",
            "no se puede tener acceso a los destinatarios siguientes",
            "no se pudo localizar a los siguientes destinatarios",
            "impossibile raggiungere i seguenti destinatari",
            "impossibile raggiungere i destinatari seguenti",
            "de volgende geadresseerde(n) kunnen niet worden bereikt",
            "de volgende geadresseerde(n) kon(den) niet worden bereikt",
            "não foi possível localizar os seguintes destinatários",
            "não foi possível alcançar os seguintes destinatários",
            "nie można skontaktować się z następującymi adresatami",
            "det gick inte att nå följande mottagare",
            "følgende modtager(e) kunne ikke nås",
            "kan ikke nå følgende mottaker(e)",
            "seuraavia vastaanottajia ei tavoitettu",
            "не удалось связаться со следующими получателями",
            "сообщение не доставлено следующим получателям",
            "次の受信者に配信できません",
            "次の受信者への配信に失敗しました",
            "无法送达以下收件人",
            "無法送達下列收件者",
            "다음 받는 사람에게 배달하지 못했습니다",
        ),
        recipient=rf"^[ \t]{{0,40}}(?:'[^'\n@]{{1,60}}' )?['\"]?(?P<to>{ADDRESS})['\"]?[ \t]*{_ON_DATE}?$",
    ),
    Row(
        "exchange",
        starts=(
            "delivery has failed to these recipients or",
            "delivery is delayed to these recipients or",
            "delivery failed to these recipients or",
            "diagnostic information for administrators",
            "fehler bei der nachrichtenzustellung an folgende empfänger",
            "fehler bei der zustellung an folgende empfänger",
            "die zustellung an folgende empfänger oder",
            "diagnoseinformationen für administratoren",
            "échec de la remise à ces destinataires ou",
            "informations de diagnostic pour les administrateurs",
            "error de entrega a los siguientes destinatarios o",
            "no se pudo entregar el mensaje a estos destinatarios o",
            "información de diagnóstico para los administradores",
            "información de diagnóstico para administradores",
            "impossibile recapitare il messaggio ai destinatari o",
            "recapito non riuscito ai seguenti destinatari o",
            "informazioni di diagnostica per gli amministratori",
            "de bezorging aan de volgende ontvangers of",
            "bezorgen is mislukt bij deze geadresseerden of",
            "diagnostische gegevens voor beheerders",
            "diagnostische informatie voor beheerders",
            "falha na entrega a estes destinatários ou",
            "a entrega falhou para estes destinatários ou",
            "informações de diagnóstico para administradores",
            "informações de diagnóstico para os administradores",
            "dostarczenie do następujących adresatów lub",
            "informacje diagnostyczne dla administratorów",
            "leverans till följande mottagare eller",
            "diagnostisk information för administratörer",
            "diagnosticeringsoplysninger til administratorer",
            "diagnostikkinformasjon for administratorer",
            "diagnostiikkatiedot järjestelmänvalvojille",
            "diagnostické informace pro správce",
            "diagnosztikai adatok rendszergazdák számára",
            "yöneticiler için tanılama bilgileri",
            "диагностические сведения для администраторов",
            "сбой доставки следующим получателям или",
            "管理者向けの診断情報",
            "次の受信者またはグループへの配信に失敗しました",
            "管理员的诊断信息",
            "供管理员使用的诊断信息",
            "系統管理員的診斷資訊",
            "관리자용 진단 정보",
        ),
        recipient=rf"^[ \t]{{0,9}}(?:[^\n@<(]{{1,80}} \()?(?P<to>{ADDRESS})\)?"
        r"(?:[ \t]*<mailto:[^\n>]*>)?[ \t]*$",
    ),
)
NOTES = (
    Row(
        "domino",
        starts=(
            "was not delivered to:",
            "wasn't delivered to:",
            "wurde nicht zugestellt an:",
            "konnte nicht zugestellt werden an:",
            "n'a pas été distribué à",
            "n'a pas été remis à",
            "n'a pas pu être distribué à",
            "no se ha entregado a:",
            "no se entregó a:",
            "non è stato recapitato a:",
            "non è stato consegnato a:",
            "não foi entregue a:",
            "não foi entregue para:",
            "is niet bezorgd bij:",
            "is niet afgeleverd bij:",
            "levererades inte till:",
            "blev ikke leveret til:",
            "ble ikke levert til:",
            "nie została dostarczona do:",
            "не было доставлено:",
            "次の宛先に配信されませんでした",
            "は次の宛先に送信されませんでした",
            "未传递到",
        ),
        recipient=ALONE,
        reason=rf"^[ \t]*(?:{_BECAUSE})[^\n@]{{0,20}}:?[ \t]*\n\s{{0,40}}{PARAGRAPH}",
    ),
    Row(
        "notes",
        starts=("failure reasons",),
        recipient=rf"^(?P<why>[^\n@]{{3,200}})\n[ \t]*(?P<to>{ADDRESS})[ \t]*$",
    ),
    Row(
        "groupwise",
        starts=(
            "the message that you sent was undeliverable to the following",
            "message you sent was undeliverable to the following",
        ),
        recipient=rf"^[ \t]{{0,40}}(?P<to>{ADDRESS}|[A-Za-z0-9._-]{{1,64}})[ \t]*"
        r"\((?P<why>[^)\n]{1,200})\)",
        domain="@",
    ),
    Row(
        "groupwise",
        starts=("the message that you sent was undeliverable",),
        field=r"X-Mailer: ?Novell GroupWise",
        recipient=rf"^[ \t]{{0,40}}(?P<to>{ADDRESS})",
    ),
)
WINDOWS = (
    Row(
        "mdaemon",
        starts=(
            "had permanent fatal delivery errors",
            "the attached message has been removed from the mail queue",
            "session transcript:",
            "your message was not delivered for the following reason",
        ),
        recipient=rf"(?:Failed address: ?|RCPT TO: ?)(?P<to>{ADDRESS})",
        reason=r"^[^\n]{0,40}<-- ?(?P<why>[45]\d\d[^\n]*)",
    ),
    Row(
        "mdaemon",
        sender="mdaemon",
        starts=("user mailbox exceeds allowed size", "no such user", "could not be delivered"),
        recipient=rf"(?P<to>{ADDRESS})",
    ),
    Row(
        "imail",
        field=r"X-Mailer: ?<SMTP32 v",
        ends=("original message follows",),
        recipient=rf"^(?P<why>[A-Za-z][^\n:@]{{3,60}}?)(?::| to|:? to:)[ \t]{{0,3}}(?P<to>{ADDRESS})",
    ),
    Row(
        "imail",
        field=r"X-Mailer: ?<SMTP32 v",
        ends=("original message follows",),
    ),
    Row(
        "imail",
        starts=("rcpt to generated following response", "smtp32 original header"),
        ends=("original message follows",),
        recipient=rf"^(?P<why>[A-Za-z][^\n:@]{{3,60}}?)(?::| to|:? to:)[ \t]{{0,3}}(?P<to>{ADDRESS})",
    ),
    Row(
        "smartermail",
        starts=("failed recipient:",),
        recipient=rf"Failed Recipient: ?(?P<to>{ADDRESS})",
        reason=rf"Reason: ?{PARAGRAPH}",
    ),
    Row(
        "mercury",
        starts=("the attached message has failed delivery", "the following error report or reports"),
        recipient=rf"^[ \t*]{{0,20}}(?P<to>{ADDRESS})",
    ),
    Row(
        "xmail",
        starts=("xmail bounce:",),
        recipient=rf"Rcpt=\[(?P<to>{ADDRESS})\];Error=\[(?P<why>[^\]\n]*)",
    ),
    Row(
        "mailsite",
        starts=("we had trouble delivering your message",),
        recipient=rf"recipient\s{{1,3}}(?P<to>{ADDRESS})",
        reason=r"as follows:\s{1,5}\[(?P<why>[^\]]{1,1000})\]",
    ),
)
UNIX = (
    Row(
        "courier",
        starts=("running the courier mail server",),
        recipient=FIRST_COLUMN,
    ),
    Row(
        "opensmtpd",
        starts=("for the following list of recipients", "the following list of recipients"),
        recipient=rf"^[ \t]{{0,9}}(?P<to>{ADDRESS}):?",
    ),
    Row(
        "dragonfly",
        starts=("there was an error delivering your mail to",),
        recipient=rf"delivering your mail to (?P<to>{ADDRESS})",
        reason=rf"did not like our [^\n]{{1,60}}:\s{{1,3}}{PARAGRAPH}",
    ),
    Row(
        "communigate",
        starts=("failed to deliver to",),
        recipient=rf"Failed to deliver to ['\"]?<?(?P<to>{ADDRESS}|[A-Za-z0-9._-]{{1,64}}(?=['>]))>?['\"]?",
        domain="@",
    ),
    Row(
        "oracle",
        starts=(
            "this report relates to a message you sent with the following header fields",
            "your message cannot be delivered to the following recipients:",
            "your message could not be delivered to the following recipients:",
        ),
        recipient=rf"Recipient address: ?(?P<to>{ADDRESS})"
        rf"(?:[ \t]*\n[ \t]*Original address: ?(?P<via>{ADDRESS}))?",
    ),
    Row(
        "openwave",
        starts=(
            "this message was undeliverable due to the following reason",
            "was rejected by a remote mail server",
            "the following recipients did not receive this message",
            "the following recipients did not receive your message",
        ),
        ends=("please reply to",),
        recipient=rf"^[ \t]{{0,20}}(?:Recipient:[ \t]*)?(?P<to>{ADDRESS})",
    ),
    Row(
        "openwave",
        starts=("the user(s) account is",),
        recipient=rf"^[ \t]{{0,20}}(?P<to>{ADDRESS})",
        reason=r"(?P<why>The user\(s\) account is [^\n]+)",
    ),
    Row(
        "mx-vms",
        starts=("error-for:",),
        recipient=rf"Error-For:[ \t]*(?P<to>{ADDRESS})",
        reason=rf"Error-Text:[ \t]*{PARAGRAPH}",
    ),
    Row(
        "x400",
        starts=(
            "the following information is directed towards the local administrator",
            "your message was not delivered to the following recipients",
            "your message was not delivered to:",
            "your message was not delivered to",
            "this report was generated by an x.400",
            "x.400 mta",
        ),
        recipient=ALONE,
        reason=rf"for the following reason:?\s{{1,40}}{PARAGRAPH}",
    ),
    Row(
        "phquery",
        starts=("message not delivered to the following",),
        ends=("error detail",),
        recipient=rf"^[ \t]+(?P<to>{ADDRESS}|[A-Za-z0-9._+-]{{1,64}})[ \t]+(?P<why>[^\n]+)$",
        domain="@",
    ),
)
# Known by their paragraphs alone, in any language: of Postfix, qmail and those that imitate them.
TRANSLATED = (
    Row(
        "postfix",
        recipient=rf"^(?P<to><[^<>\s]{{1,320}}@[^<>\s@]{{1,253}}>)(?: \([^)\n]{{1,40}}(?P<via>{ADDRESS})\))?:"
        r"(?= (?:host |connect to |lost connection|mail for |unknown user|user unknown|user |delivery "
        r"|cannot |can't|message size|mailbox|command |maildir|data format|temporary |recipient |bad "
        r"|unable |[45]\d\d[ -]|permission|address |name service|protocol|conversation|mail forwarding))",
    ),
    Row("qmail", recipient=rf"{FIRST_COLUMN}[ \t]*\n(?=[^\n>])", ends=("---",)),
)

SERVERS = (*EXIM, *QMAIL, *POSTFIX, *SENDMAIL, *EXCHANGE, *NOTES, *WINDOWS, *UNIX)
