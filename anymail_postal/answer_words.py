"""The class of a mail host's answer by its words and its code, for answers that Postal passes on.

Shorter than what our server knows: what most hosts say. It cannot know the step of the session that was
answered, or the operator of the host, so an answer that nobody understands is `unknown`, whatever its code.
"""

from __future__ import annotations

import re

MOST = 2000  # characters that are looked at

# What may hold any word, and is no evidence: URLs, addresses, and what stands in angle brackets.
_NO_EVIDENCE = re.compile(r"https?://[^\s]*|<[^<>\s]{1,320}>|[^\s<>@]{1,64}@[^\s<>@]{1,255}", re.IGNORECASE)

# The first row that has its words in the answer counts. Texts are matched in lower case, with one blank
# between words. `.{0,40}` keeps two words near each other.
_ROWS: tuple[tuple[str, str], ...] = (
    # about us, whatever else is said
    (
        "reputation",
        r"dnsbl|\brbls?\b|spamhaus|spamcop|barracuda ?reputation|sorbs|blocked using|block ?list|blacklist"
        r"|black list|denylist|reputation|banned send|is_blocked|s3140|s3150|\(bl\)|\bbl\d\d\b"
        r"|for sending spam|sender score|surbl|from your network|server is rejected|too many spams? from"
        r"|ip (?:address )?\S{0,40} ?(?:is |was |has been )?(?:blocked|listed|denied)",
    ),
    (
        "infrastructure",
        r"\bptr\b|reverse (?:dns|hostname)|\brdns\b"
        r"|cannot find your (?:reverse )?hostname|\bhelo\b|\behlo\b"
        r"|relay(?:ing)? (?:access )?(?:is )?(?:denied|not permitted|not allowed|prohibited)"
        r"|unable to relay"
        r"|allowed rcpthosts|\bto relay\b|starttls|tls encryption"
        r"|hop count|too many hops|mail loop|loops back"
        r"|sender verif(?:y|ication)"
        r"|sender address rejected: ?(?:domain|undeliverable|unverified|user unknown)"
        r"|sender domain|domain of sender|invalid sender|invalid dns|client host rejected: unknown host"
        r"|client was not authenticated|authentication required|your (?:ip )?address is not valid"
        r"|system storage|server configuration|local error|lookup failure",
    ),
    (
        "authentication",
        r"\bdmarc\b|\bdkim\b|\bspf\b|sender policy framework|unauthenticated|not authenticated"
        r"|required authentication level|failed authentication",
    ),
    (
        "rate",
        r"rate[- ]?limit|too many (?:connections|messages|errors|concurrent|recipients|invalid|unknown)"
        r"|too much mail from|throttl|slow down|frequency limited|message rate|tss04|unusual rate"
        r"|exceeded the (?:rate|number)|hourly quota|at a rate that|excessive volume|server busy",
    ),
    ("policy", r"sender address rejected|sender denied|sender rejected|by header based"),
    # about the recipient
    ("bad_address", r"5\.4\.1 .{0,330}recipient address rejected: access denied"),  # Microsoft's directory
    (
        "mailbox_full",
        r"over ?-?quota|over \w{1,10} quota|quota (?:is )?exceeded|exceed\w{0,3} (?:\S{1,12} )?quota"
        r"|(?:mailbox|inbox|storage|maildir)\b.{0,40} (?:full|over)\b"
        r"|out of storage|disk quota|exceeded quota"
        r"|mailbox size limit|insufficient storage|storage allocation|too much mail data|exceed the quota"
        r"|postfach ist voll|speichervolumen|bo[iî]te.{0,20} pleine|buz[oó]n lleno|casella piena",
    ),
    (
        "bad_domain",
        r"null ?mx|no such domain|domain not found|host unknown|unrouteable mail domain|nxdomain"
        r"|(?:find|found) the recipient domain|domain (?:\S{1,255} )?does not (?:exist|accept)",
    ),
    (
        "inactive",
        r"(?:account|mailbox|user|address|that you tried to reach) (?:\S{1,80} )?(?:is |has been )?"
        r"(?:disabled|inactive|suspended|deactivated|discontinued|terminated|closed|locked|no longer)"
        r"|inactive (?:user|email|account|mailbox|recipient)|account (?:has )?(?:expired|been deleted)"
        r"|no longer (?:in use|active|available|valid|exists|with this|on server)|has left the company"
        r"|destinataire inactif|compte suspendu|deshabilitada|konto deaktiviert|temporarily inactive",
    ),
    # about the mail
    (
        "content",
        r"\bspam|\bjunk|unsolicited|\bvirus|infected|malware|phish|trojan|\buce\b|\bube\b|attachment"
        r"|executable|banned: |unacceptable content|mail content"
        r"|its content|malformed|not rfc ?\d|missing message-id",
    ),
    (
        "too_large",
        r"message .{0,40}(?:too (?:big|large|long)|larger)"
        r"|message (?:file )?size|size limit|maximum fixed size",
    ),
    # the receiver's own rules, which may speak of unknown users as well
    (
        "policy",
        r"greylist|graylist|not (?:been )?(?:authori[sz]ed|allowed|permitted)|permission|polic(?:y|ies)"
        r"|administrative prohibition|prohibited|restricted|members only|does ?n.t want|only accepts"
        r"|rejected by recipient|blocked by recipient"
        r"|accept(?:ing)? mail from|only accepting|mail from unknown"
        r"|recipient preferences|user reject|valid tag",
    ),
    (
        "bad_address",
        r"(?:user|recipient|address|addressee|mailbox|account|alias) (?:\S{1,80} )?"
        r"(?:is |was |are )?(?:unknown|not found|not exist|does ?n.t exist|does not exist|invalid|not known"
        r"|not listed|not valid|could not be found)"
        r"|(?:unknown|invalid|no such|non-?existent|bad|undeliverable) (?:local )?"
        r"(?:user|recipient|address|addressee|mailbox|account|alias|person)"
        r"|tried to reach does not exist|(?:does not|doesn.t) have an? (?:\S{1,80} )?(?:account|mailbox)"
        r"|not a (?:valid|known) (?:user|recipient|mailbox)|(?:can.t|cannot) find (?:user|recipient)"
        r"|no mailbox here|not our customer|unrouteable address|destinataire invalide|recipnotfound"
        r"|not listed in |mailbox unavailable|validrcptto|address rejected\.|unknown or illegal alias"
        r"|existiert nicht|unbekannt|n.existe pas|inconnu|no existe|desconocido|sconosciuto|onbekend|ukjent"
        r"|не найден|не существует|不存在",
    ),
    ("expired", r"timed? ?out|no route to host|connection refused|retry timeout|expired"),
    ("reputation", r"\bblocked\b|\bbanned\b|access denied, "),
)
# Where the code is of addresses (x.1.y) or of security (x.7.y), it says these better than any word.
OUTRIGHT = ("infrastructure", "authentication")
ROWS = tuple((name, re.compile(words)) for name, words in _ROWS)

# By the first of these that the enhanced code begins with. The first digit, 4 or 5, is left out (RFC 3463,
# and the registry of RFC 5248).
_CODES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("infrastructure", ("1.7.", "1.8.", "1.9.")),
    ("bad_domain", ("1.2.",)),
    ("bad_address", ("1.1.", "1.3.", "1.6.", "1.10.", "1.0.", "1.4.")),
    ("inactive", ("2.1.", "7.13.")),
    ("mailbox_full", ("2.2.",)),
    ("too_large", ("2.3.", "3.4.")),
    ("authentication", tuple(f"7.{detail}." for detail in (20, 21, 22, 23, 24, 26, 27, 29, 30, 509, 515))),
    ("reputation", ("7.606.", "7.511.")),
    ("infrastructure", ("7.25.",)),
    ("rate", ("7.28.", "3.2.")),
    ("expired", ("4.1.", "4.2.", "4.7.")),
    ("infrastructure", ("3.", "5.", "4.")),
    ("content", ("6.",)),
    ("policy", ("7.",)),
)


def find_class(answer: str, enhanced: str | None) -> str:
    """The class of an answer; `enhanced` is its enhanced code, such as "5.1.1", or None."""
    by_code = _by_code(enhanced)
    if by_code in OUTRIGHT and enhanced and enhanced[2] in "17":
        return by_code
    text = " ".join(_NO_EVIDENCE.sub("*", answer[:MOST]).lower().split())
    return next((name for name, words in ROWS if words.search(text)), by_code or "unknown")


def _by_code(enhanced: str | None) -> str | None:
    rest = f"{enhanced[2:]}." if enhanced else ""
    return next((name for name, starts in _CODES if rest.startswith(starts)), None) if rest else None
