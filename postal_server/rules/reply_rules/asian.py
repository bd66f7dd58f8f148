"""What QQ, NetEase, Naver, docomo and other mail hosts of China, Korea and Japan answer."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

QQ = "https://service.mail.qq.com/detail/0/92"
NETEASE = (
    "https://help.mail.163.com/faqDetail.do?code=d7a5dc8471cd0c0e8b4b8f4f8e49998b374173cfe91713"
    "05fa1ce630d7f67ac21b87735d7227c217"
)
COREMAIL = "https://www.icoremail.vip/support/index.php?cate_id=84"
NAVER = "https://help.naver.com/service/30029/"
DOCOMO = "https://www.docomo.ne.jp/service/docomo_mail/"
AU = "https://www.au.com/support/service/mobile/trouble/mail/"

ROWS: tuple[Row, ...] = (
    Row(
        Class.BAD_ADDRESS,
        "mailbox not found",
        operator="qq.com",
        source=QQ,
        sample=(
            "550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "bad address syntax|recipient.{0,40}non-?exist",
        operator="qq.com",
        source=QQ,
        sample=(
            "501 Bad address syntax. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000730"
        ),
    ),
    Row(
        Class.BAD_ADDRESS,
        "the recipient may contain a non-existent account",
        source=QQ,
        sample=("550 The recipient may contain a non-existent account, please check the recipient address."),
    ),
    Row(
        Class.RATE,
        "(?:domain|sender|connection|ip|recipient) frequency limited",
        source=QQ,
        sample=(
            "550 Domain frequency limited. "
            "http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000725"
        ),
    ),
    Row(
        Class.RATE,
        "mailbox unavailable or access denied",
        source=QQ,
        sample=(
            "550 Mailbox unavailable or access denied. "
            "http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000727"
        ),
    ),
    Row(
        Class.REPUTATION,
        "suspected (?:spam|bounce)(?: sender| ip|ed| mail)?",
        source=QQ,
        sample="550 Suspected spam sender. http://service.mail.qq.com/cgi-bin/help",
    ),
    Row(
        Class.REPUTATION,
        "connection denied|ip (?:is )?blocked|ip (?:is )?denied",
        operator="qq.com",
        source=QQ,
        sample=(
            "550 Connection denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000722"
        ),
    ),
    Row(
        Class.CONTENT,
        "mail content denied",
        source=QQ,
        sample=(
            "550 Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000726"
        ),
    ),
    Row(
        Class.CONTENT,
        "error: content rejected",
        source=QQ,
        sample="550 Error: content rejected. http://mail.qq.com/zh_CN/help/content/rejectedmail.html",
    ),
    Row(
        Class.POLICY,
        "mail is rejected by recipients",
        source=QQ,
        sample=(
            "550 Mail is rejected by recipients. http://service.mail.qq.com/cgi-bin/help?id=20022&no=1000723"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "(?:dmarc|spf|dkim) check(?:ing)? fail",
        source=QQ,
        sample=(
            "550 DMARC check failed. http://service.mail.qq.com/cgi-bin/help?subtype=1&&no=1001508&&id=16"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        r'"?from"? header is missing or invalid|ehlo .{0,40}\(?rfc 2821',
        source=QQ,
        sample='550 The "From" header is missing or invalid. Please follow RFC5322',
    ),
    Row(
        Class.MAILBOX_FULL,
        "收件人空间不足|空间不足|邮箱已满|容量已满",
        source=QQ,
        sample="552 收件人空间不足",
    ),
    Row(
        Class.BAD_ADDRESS,
        "(?:该)?用户不存在|邮箱不存在|收件人不存在|用户未开通|地址不存在",
        source=QQ,
        sample="550 该用户不存在",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user not found:",
        source=NETEASE,
        sample="550 User not found: jane@163.com",
    ),
    Row(
        Class.INACTIVE,
        "user suspended|user hang ?up|user is locked",
        source=NETEASE,
        sample="550 User suspended",
    ),
    Row(
        Class.INACTIVE,
        r"550 (?:mx\S{0,20} )?invalid user",
        is_sure=False,
        source=NETEASE,
        sample="550 Invalid User: jane@126.com",
    ),
    Row(
        Class.RATE,
        r"\bhl:icc|\bhl:ifc|\bhl:iic|\bhl:itc",
        source=NETEASE,
        sample="421 HL:ICC 163 gzmx12,x8C4CgDn, http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.7",
    ),
    Row(
        Class.REPUTATION,
        r"\bhl:rep|\bhl:mep|\bhl:ihu|\bhl:ipb|\bhl:ifq|\bhl:itb",
        source=NETEASE,
        sample="550 HL:REP 163 gzmx12, http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.7",
    ),
    Row(
        Class.RATE,
        r"\bmi:cel|\bmi:dmc|\bmi:ccl|\bmi:sfq|\bmi:frc",
        source=NETEASE,
        sample="451 MI:SFQ 163 smtp11, http://mail.163.com/help/help_spam_16.htm",
    ),
    Row(
        Class.RATE,
        r"\brp:drc|\brp:ccl|\brp:cel|\brp:trc|\brp:qrc",
        source=NETEASE,
        sample="550 RP:TRC 163 smtp11, http://mail.163.com/help/help_spam_16.htm",
    ),
    Row(
        Class.REPUTATION,
        r"\bmi:spb|\bmi:nhd|\bmi:imf|\bmi:stc|\bmi:iph",
        source=NETEASE,
        sample="553 MI:SPB 163 smtp11, http://mail.163.com/help/help_spam_16.htm",
    ),
    Row(
        Class.AUTHENTICATION,
        r"\bmi:spf|\bmi:dma|\bmi:dkim",
        source=NETEASE,
        sample="550 MI:SPF 163 mx9, http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.7",
    ),
    Row(
        Class.REPUTATION,
        r"\bdt:rbl\b|\bwm:bl[iu]\b",
        source=NETEASE,
        sample="554 DT:RBL 163 mx12, http://mail.163.com/help/help_spam_16.htm",
    ),
    Row(
        Class.CONTENT,
        r"\bdt:spm|\bdt:sum|\bdt:vir|\bdt:bnr",
        source=NETEASE,
        sample="554 DT:SPM 163 smtp11, http://mail.163.com/help/help_spam_16.htm",
    ),
    Row(
        Class.AUTHENTICATION,
        r"\bim:spf|\bim:dkim",
        source=NETEASE,
        sample="553 IM:SPF authentication failed, 163 mx9",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"\brc:(?:ld|ne) the email account",
        source=COREMAIL,
        sample="550 RC:NE The email account does not exist.",
    ),
    Row(
        Class.BAD_ADDRESS,
        "unavailable mail user",
        source=COREMAIL,
        sample="550 #2175041 unavailable mail user",
    ),
    Row(
        Class.BAD_ADDRESS,
        "local server don't exists that user",
        source=COREMAIL,
        sample="550 local server don't exists that user",
    ),
    Row(
        Class.INACTIVE,
        "is now disabled with smtp service",
        source=COREMAIL,
        sample="550 jane@21cn.com is now disabled with SMTP service.",
    ),
    Row(
        Class.POLICY,
        "user in blacklist|requested action not taken: local user only",
        source=COREMAIL,
        sample="550 Requested action not taken: Local user only",
    ),
    Row(
        Class.REPUTATION,
        r"\bblack ip\b|ip is (?:hangup|rejected)",
        source=COREMAIL,
        sample="550 black ip.",
    ),
    Row(
        Class.CONTENT,
        "message rejected by anti-?spam engine|too many same size mails",
        source=COREMAIL,
        sample="552 message rejected by anti-spam engine.",
    ),
    Row(
        Class.RATE,
        r"4\.7\.1 .{0,40}receive limit|exceeded the number of recipients",
        source=NAVER,
        sample="421 4.7.1 Receive limit exceeded for 192.0.2.7 - nvsmtp",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"\brusr\b.{0,60}no such user",
        source=NAVER,
        sample="550 5.1.1 RUSR 192.0.2.7: No such user: <jane@nate.com>",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient address does not exist|no such user|user unknown",
        operator="naver.com",
        source=NAVER,
        sample="550 5.1.1 Recipient address does not exist AbCdEfGhIj - nsmtp",
    ),
    Row(
        Class.INACTIVE,
        (
            "inactive(?: user| account| mbox| mailbox)?|suspended(?: user| account| mbox| mailbox)?|"
            "dormant(?: user| account| mbox| mailbox)?|disabled(?: user| account| mbox| mailbox)?"
        ),
        operator="naver.com",
        source=NAVER,
        sample="550 5.2.1 This account is dormant AbCdEfGhIj - nsmtp",
    ),
    Row(
        Class.MAILBOX_FULL,
        "mailbox (?:is )?full|quota",
        operator="naver.com",
        source=NAVER,
        sample="552 5.2.2 Mailbox is full AbCdEfGhIj - nsmtp",
    ),
    Row(
        Class.REPUTATION,
        "is filtered and this connection will be closed",
        source=NAVER,
        sample=(
            "421 4.3.2 Your IP(192.0.2.7) is filtered and this connection will be closed. You must "
            "register your IP."
        ),
    ),
    Row(
        Class.POLICY,
        "by user's reject list|mail is denied, by spam filter",
        source="observed 2023-05",
        sample="550 You are registered as spammer (by user's reject list)",
    ),
    Row(
        Class.RATE,
        "you (?:send|sent) too many (?:messages|e-?mails)",
        source="observed 2023-05",
        sample="421 4.3.1 You send too many messages.",
    ),
    Row(
        Class.REPUTATION,
        "spam_suspect: ?ip",
        source="observed 2023-05",
        sample="550 Transaction failed. (SPAM_SUSPECT:IP_CONTROL)",
    ),
    Row(
        Class.INACTIVE,
        r"inactive mbox|\bsuspended user",
        source="observed 2023-05",
        sample="550 5.1.1 Inactive mbox",
    ),
    Row(
        Class.BAD_ADDRESS,
        "unknown user",
        operator="docomo.ne.jp",
        is_sure=False,
        source=DOCOMO,
        sample="550 Unknown user jane@docomo.ne.jp",
    ),
    Row(
        Class.MAILBOX_FULL,
        "too much mail data",
        source=DOCOMO,
        sample="552 Too much mail data jane@docomo.ne.jp",
    ),
    Row(
        Class.RATE,
        "service (?:not|temporarily) (?:available|unavailable)",
        operator="docomo.ne.jp",
        source=DOCOMO,
        sample="421 mfsmax.docomo.ne.jp Service not available, closing transmission channel",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user unknown",
        operator="ezweb.ne.jp",
        is_sure=False,
        source=AU,
        sample="550 <jane@ezweb.ne.jp>: User unknown",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user unknown",
        operator="au.com",
        is_sure=False,
        source=AU,
        sample="550 <jane@au.com>: User unknown",
    ),
    Row(
        Class.BAD_ADDRESS,
        "invalid recipient|user unknown",
        operator="softbank.jp",
        source="observed 2023-05",
        sample="550 Invalid recipient: <jane@i.softbank.jp>",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"553 [\w.-]{3,80} does not exist",
        operator="softbank.jp",
        source="observed 2023-05",
        sample="553 example.org does not exist",
    ),
    Row(
        Class.REPUTATION,
        r"\b550 5\.7\.1 .{0,60}(?:blocked|refused)",
        operator="yahoo.co.jp",
        source="observed 2023-05",
        sample="550 5.7.1 Connection from 192.0.2.7 refused by yahoo.co.jp",
    ),
    Row(
        Class.BAD_ADDRESS,
        "ユーザーは?存在しません|宛先不明|存在しないアドレス|メールアドレスは存在しません",
        source="observed 2023-05",
        sample="550 宛先不明",
    ),
    Row(
        Class.POLICY,
        "user reject(?!ed)",
        source=AU,
        sample="550 5.2.1 <jane@ezweb.ne.jp>... User reject",
    ),
    Row(
        Class.BAD_ADDRESS,
        "ディレクトリには?見つかりません|登録されていません",
        source="observed 2023-05",
        sample="Domino ディレクトリには見つかりません",
    ),
)
