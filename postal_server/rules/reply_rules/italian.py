"""What Libero, Virgilio, TIM, Aruba and other Italian, Spanish and Portuguese mail hosts answer."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

LIBERO = "https://aiuto.libero.it/articolo/mail/messaggi-di-errore-piu-frequenti-dopo-invio-email"
ARUBA = "https://guide.hosting.aruba.it/email/errori-di-invio.aspx"
TERRA = "https://ayuda.telefonica.net/"

ROWS: tuple[Row, ...] = (
    Row(
        Class.BAD_ADDRESS,
        "user unknown|no such user|recipient rejected|recipient unknown",
        operator="libero.it",
        source=LIBERO,
        sample="550 5.1.1 <jane@libero.it> recipient unknown [smtp-16.iol.local; LIB_400]",
    ),
    Row(
        Class.MAILBOX_FULL,
        "user quota exceeded|mailbox full",
        operator="libero.it",
        source=LIBERO,
        sample="552 5.2.2 MAILBOX FULL (User quota exceeded)",
    ),
    Row(
        Class.REPUTATION,
        r"\blib_(?:1|3)\d\d\b",
        source=LIBERO,
        sample="421 smtp-08.iol.local smtp-08.iol.local service not available [192.0.2.7] LIB_102",
    ),
    Row(
        Class.REPUTATION,
        "ip non autorizzato|ip blocked|black ?list",
        operator="libero.it",
        is_sure=False,
        source=LIBERO,
        sample="550 smtp-23.iol.local IP blocked [192.0.2.7] LIB_303",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"invalid domain \[smtp",
        source=LIBERO,
        sample="550 Invalid Domain [smtp-41.iol.local; LIB_650]",
    ),
    Row(
        Class.INFRASTRUCTURE,
        r"\blib_6\d\d\b",
        source=LIBERO,
        sample="550 5.7.1 Authentication problem [smtp-41.iol.local; LIB_650]",
    ),
    Row(
        Class.RATE,
        "too many (?:connections|messages|recipients)",
        operator="libero.it",
        source=LIBERO,
        sample="421 smtp-12.iol.local too many connections from 192.0.2.7 [LIB_200]",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "utente (?:sconosciut|inesistente|non valid|non trovat|non esiste)|destinatario (?:sconosciut"
            "|inesistente|non valid|non trovat|non esiste)|casella (?:sconosciut|inesistente|non valid|"
            "non trovat|non esiste)|indirizzo (?:sconosciut|inesistente|non valid|non trovat|non esiste)"
        ),
        source="observed 2024-01",
        sample="550 5.1.1 Utente sconosciuto",
    ),
    Row(
        Class.BAD_ADDRESS,
        "(?:utente|destinatario|casella|indirizzo|account) .{0,40}non esiste",
        source="observed 2024-01",
        sample="550 La casella di posta non esiste",
    ),
    Row(
        Class.MAILBOX_FULL,
        "casella .{0,30}piena|spazio .{0,30}esaurito",
        source="observed 2024-01",
        sample="552 5.2.2 La casella del destinatario è piena",
    ),
    Row(
        Class.INACTIVE,
        (
            "casella .{0,30}(?:disabilitat|sospes|disattivat|bloccat|non attiv)|account .{0,30}(?:"
            "disabilitat|sospes|disattivat|bloccat|non attiv)|utente .{0,30}(?:disabilitat|sospes|"
            "disattivat|bloccat|non attiv)"
        ),
        source="observed 2024-01",
        sample="550 5.2.1 Casella disabilitata",
    ),
    Row(
        Class.BAD_ADDRESS,
        "user unknown|invalid recipient|recipient rejected",
        operator="tim.it",
        source="observed 2024-01",
        sample="550 5.1.1 <jane@tim.it> recipient rejected",
    ),
    Row(
        Class.REPUTATION,
        "black ?list|ip (?:address )?blocked|ip (?:address )?rejected",
        operator="aruba.it",
        source=ARUBA,
        sample="554 5.7.1 smtp server: your IP (192.0.2.7) is in blacklist",
    ),
    Row(
        Class.BAD_ADDRESS,
        "mailbox (?:unavailable|does not exist|not found)|recipient rejected",
        operator="aruba.it",
        source=ARUBA,
        sample="550 5.1.1 <jane@example.it> recipient rejected",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "(?:usuario|destinatario|buz[oó]n|cuenta|direcci[oó]n|usu[aá]rio|caixa postal|endere[cç]"
            "o) desconocid|(?:usuario|destinatario|buz[oó]n|cuenta|direcci[oó]n|usu[aá]rio|caixa postal|"
            "endere[cç]o) desconhecid|(?:usuario|destinatario|buz[oó]n|cuenta|direcci[oó]n|usu[aá]rio|"
            "caixa postal|endere[cç]o) inexistente|(?:usuario|destinatario|buz[oó]n|cuenta|direcci[oó]n|"
            "usu[aá]rio|caixa postal|endere[cç]o) no v[aá]lid|(?:usuario|destinatario|buz[oó]n|cuenta|"
            "direcci[oó]n|usu[aá]rio|caixa postal|endere[cç]o) inv[aá]lid|(?:usuario|destinatario|buz[oó]"
            "n|cuenta|direcci[oó]n|usu[aá]rio|caixa postal|endere[cç]o) no encontrad|(?:usuario|"
            "destinatario|buz[oó]n|cuenta|direcci[oó]n|usu[aá]rio|caixa postal|endere[cç]o) n[aã]"
            "o encontrad"
        ),
        source="observed 2024-01",
        sample="550 5.1.1 Usuario desconocido",
    ),
    Row(
        Class.BAD_ADDRESS,
        (
            "(?:usuario|destinatario|buz[oó]n|cuenta|direcci[oó]n|usu[aá]rio|caixa|conta|endere[cç]o)."
            "{0,40}n(?:o|ão|ao) existe"
        ),
        source="observed 2024-01",
        sample="550 El usuario no existe",
    ),
    Row(
        Class.MAILBOX_FULL,
        (
            "buz[oó]n .{0,30}lleno|caixa .{0,30}cheia|cuota .{0,30}(?:excedida|superada)|quota .{0,30}(?:"
            "excedida|ultrapassada)"
        ),
        source="observed 2024-01",
        sample="552 Buzón del destinatario lleno",
    ),
    Row(
        Class.INACTIVE,
        (
            "(?:cuenta|buz[oó]n|usuario|conta|caixa).{0,30}deshabilitad|(?:cuenta|buz[oó]n|usuario|conta|"
            "caixa).{0,30}desactivad|(?:cuenta|buz[oó]n|usuario|conta|caixa).{0,30}suspendid|(?:cuenta|"
            "buz[oó]n|usuario|conta|caixa).{0,30}bloquead|(?:cuenta|buz[oó]n|usuario|conta|caixa).{0,30}"
            "desativad|(?:cuenta|buz[oó]n|usuario|conta|caixa).{0,30}cancelad"
        ),
        source="observed 2024-01",
        sample="550 Cuenta deshabilitada",
    ),
    Row(
        Class.BAD_ADDRESS,
        "mailbox not found|user unknown",
        operator="terra.com",
        source=TERRA,
        sample="550 5.1.1 <jane@terra.com> mailbox not found",
    ),
    Row(
        Class.REPUTATION,
        (
            "ip .{0,40}bloqueada|ip .{0,40}bloqueado|ip .{0,40}bloccato|ip .{0,40}en lista negra|ip ."
            "{0,40}na lista negra"
        ),
        is_sure=False,
        source="observed 2024-01",
        sample="550 Su IP 192.0.2.7 está en lista negra",
    ),
)
