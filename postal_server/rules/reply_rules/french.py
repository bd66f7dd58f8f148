"""What Orange, Free, Laposte, SFR, OVHcloud and other French mail hosts answer."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

ORANGE = "https://postmaster.orange.fr"
LAPOSTE = "https://www.postmastery.com/laposte-net-postmaster-smtp-error-codes-lpn/"
FREE = "https://postmaster.free.fr/"
OVH = "https://help.ovhcloud.com/csm/en-mx-plan-email-diagnosis?id=kb_article_view&sysparm_article=KB0051869"

ROWS: tuple[Row, ...] = (
    Row(
        Class.RATE,
        r"\bofr_10[34]\b|\bofr00\d_10[34]\b",
        source=ORANGE,
        sample=(
            "421 smtp-in.orange.fr ESMTP server not available OFR004_104 Trop de connexions, veuillez "
            "verifier votre configuration. Too many connections, slow down."
        ),
    ),
    Row(
        Class.REPUTATION,
        r"\bofr_(?:105|108|50\d|51[0-25-6]|999)\b|\bofr00\d_(?:105|108|50\d|51[0-25-6]|999)\b",
        source=ORANGE,
        sample="550 5.2.0 Mail rejete. Mail rejected. OFR_506 [506]",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"\bofr_41[56]\b|\bofr00\d_41[56]\b",
        source=ORANGE,
        sample="550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"\bofr_40[35]\b|\bofr00\d_40[35]\b",
        source=ORANGE,
        sample="501 5.1.0 Emetteur invalide. Invalid Sender. OFR004_405 [405]",
    ),
    Row(
        Class.MAILBOX_FULL,
        r"\bofr_417\b|\bofr00\d_417\b",
        source=ORANGE,
        sample="552 5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417 [417]",
    ),
    Row(
        Class.INACTIVE,
        r"\bofr_513\b|\bofr00\d_513\b",
        source=ORANGE,
        sample="550 5.1.1 Destinataire inactif. OFR_513 [513]",
    ),
    Row(
        Class.AUTHENTICATION,
        r"\bofr_51[78]\b|\bofr00\d_51[78]\b",
        source=ORANGE,
        sample="550 5.7.1 Mail rejete. OFR_517 DMARC",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"\bofr_402\b|\bofr00\d_402\b",
        source=ORANGE,
        sample="501 5.5.4 HELO invalide. OFR_402",
    ),
    Row(
        Class.BAD_ADDRESS,
        "adresse d.au moins un destinataire invalide",
        source=ORANGE,
        sample="550 5.1.1 Adresse d'au moins un destinataire invalide. Invalid recipient. [416]",
    ),
    Row(
        Class.RATE,
        "trop de connexions",
        source=ORANGE,
        sample="421 4.7.0 Trop de connexions, veuillez verifier votre configuration",
    ),
    Row(
        Class.REPUTATION,
        r"service refuse\. veuillez essayer plus tard",
        source=ORANGE,
        sample=(
            "421 mwinf5c10 ME Service refuse. Veuillez essayer plus tard. Service refused, please try later."
        ),
    ),
    Row(
        Class.MAILBOX_FULL,
        "bo[iî]te (?:aux? lettres? )?(?:du destinataire )?pleine",
        source=ORANGE,
        sample="552 5.2.2 Boîte du destinataire pleine",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"\blpn\w{3}_415|\blpn\w{3}_416",
        source=LAPOSTE,
        sample="550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. LPN007_416",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"\blpn\w{3}_405",
        source=LAPOSTE,
        sample="450 4.1.8 Emetteur invalide. Invalid Sender. LPN007_405",
    ),
    Row(
        Class.INFRASTRUCTURE,
        (
            r"\blpn\w{3}_400\b|\blpn\w{3}_401\b|\blpn\w{3}_402\b|\blpn\w{3}_403\b|\blpn\w{3}_404\b|\blpn\w"
            r"{3}_406\b"
        ),
        source=LAPOSTE,
        sample="501 5.5.2 Commande invalide. LPN007_402",
    ),
    Row(
        Class.BAD_ADDRESS,
        "bo[iî]te (?:aux? lettres? )?(?:du destinataire )?inconnue|utilisateur inconnu|destinataire inconnu",
        source=LAPOSTE,
        sample="550 5.5.0 Boite du destinataire inconnue. Recipient mailbox unknown. LPN007_511",
    ),
    Row(
        Class.REPUTATION,
        (
            r"\blpn\w{3}_500\b|\blpn\w{3}_501\b|\blpn\w{3}_502\b|\blpn\w{3}_503\b|\blpn\w{3}_506\b|\blpn\w"
            r"{3}_510\b|\blpn\w{3}_511\b"
        ),
        source=LAPOSTE,
        sample=(
            "550 5.5.0 Service refuse. Veuillez essayer plus tard. service refused, please try later. "
            "LPNAAA_510"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        r"\blpn\w{3}_517|\blpn\w{3}_518",
        source=LAPOSTE,
        sample="550 5.7.1 Message rejete. LPN007_517 DMARC",
    ),
    Row(
        Class.INACTIVE,
        r"\blpn\w{3}_513|\blpn\w{3}_514",
        source=LAPOSTE,
        sample="550 5.2.1 Boite inactive. LPN007_513",
    ),
    Row(
        Class.MAILBOX_FULL,
        r"\blpn\w{3}_417",
        source=LAPOSTE,
        sample="552 5.2.2 Boite pleine. LPN007_417",
    ),
    Row(
        Class.CONTENT,
        "550 spam detected",
        source=FREE,
        sample="550 spam detected",
    ),
    Row(
        Class.REPUTATION,
        "too many (?:errors|spams?|invalid|bad recipients?) .{0,20}from your ip",
        source=FREE,
        sample="421 Too many errors from your ip (192.0.2.7), please visit http://postmaster.free.fr/",
    ),
    Row(
        Class.REPUTATION,
        "too many spam(?:s)? from your ip",
        source=FREE,
        sample="554 Too many spams from your IP (192.0.2.7), please visit http://postmaster.free.fr/",
    ),
    Row(
        Class.RATE,
        "too many (?:slots|connections) from your ip",
        source=FREE,
        sample="421 Too many connections from your ip (192.0.2.7)",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user unknown|utilisateur inconnu|no such user",
        operator="free.fr",
        source=FREE,
        sample="550 5.1.1 <jane@free.fr>: Recipient address rejected: User unknown",
    ),
    Row(
        Class.BAD_ADDRESS,
        "(?:utilisateur|destinataire|adresse|bo[iî]te) inconnue?",
        source="observed 2024-01",
        sample="550 Utilisateur inconnu",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "(?:adresse|compte|bo[iî]te|utilisateur|destinataire).{0,40}n.existe pas|(?:adresse|compte|bo"
            "[iî]te|utilisateur|destinataire).{0,40}inexistante?|(?:adresse|compte|bo[iî]te|utilisateur|"
            "destinataire).{0,40}introuvable"
        ),
        source="observed 2024-01",
        sample="550 Le compte n'existe pas",
    ),
    Row(
        Class.INACTIVE,
        (
            "(?:compte|bo[iî]te).{0,30}d[eé]sactiv|(?:compte|bo[iî]te).{0,30}suspendue?|(?:compte|bo[iî]"
            "te).{0,30}ferm[eé]e?|(?:compte|bo[iî]te).{0,30}r[eé]sili|(?:compte|bo[iî]te).{0,30}archiv"
            "[eé]"
        ),
        source="observed 2024-01",
        sample="550 5.2.1 Compte désactivé",
    ),
    Row(
        Class.MAILBOX_FULL,
        "quota .{0,30}d[eé]pass[eé]",
        source="observed 2024-01",
        sample="552 Quota du destinataire dépassé",
    ),
    Row(
        Class.BAD_ADDRESS,
        "recipient (?:unknown|rejected)",
        operator="sfr.fr",
        source="observed 2024-01",
        sample="550 5.1.1 <jane@sfr.fr> recipient rejected",
    ),
    Row(
        Class.REPUTATION,
        r"rejected .{0,40}reputation|sfr\.fr.{0,60}refus",
        operator="sfr.fr",
        source="observed 2024-01",
        sample="554 5.7.1 sfr.fr service refused, sender IP 192.0.2.7",
    ),
    Row(
        Class.CONTENT,
        "message (?:rejected|refused)|spam",
        operator="ovh.net",
        source=OVH,
        sample="550 5.7.1 Message rejected: this message looks like SPAM",
    ),
    Row(
        Class.BAD_ADDRESS,
        ("no such (?:user|recipient)|unknown (?:user|recipient)|mailbox (?:does not exist|unavailable)"),
        operator="ovh.net",
        source=OVH,
        sample="550 5.1.1 <jane@example.com>: mailbox unavailable",
    ),
)
