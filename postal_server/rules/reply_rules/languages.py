"""What mail hosts say in other languages than English, where no module of a country has it."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

USUAL = "usual wording"

ROWS = (
    Row(
        Class.MAILBOX_FULL,
        r"postfach (?:ist )?(?:überfüllt|ueberfuellt)|mailbox .{0,60}(?:überfüllt|ueberfuellt)|"
        r"mailbox (?:ist )?voll\b",
        source=USUAL,
        sample="552 Postfach überfüllt",
    ),
    Row(
        Class.MAILBOX_FULL,
        "bo[iî]te .{0,40}saturée|bo[iî]te .{0,40}saturee|messagerie .{0,40}(?:pleine|saturée)|"
        "quota (?:est )?(?:dépassé|depasse|atteint)",
        source=USUAL,
        sample="552 La boîte du destinataire est saturée",
    ),
    Row(
        Class.MAILBOX_FULL,
        "buz[oó]n .{0,40}superado|buz[oó]n .{0,40}excedido|casella .{0,40}(?:superato|esaurit)",
        source=USUAL,
        sample="552 El buzón ha superado la cuota",
    ),
    Row(
        Class.MAILBOX_FULL,
        r"postvak .{0,40}\bvol\b|mailbox (?:is )?vol\b|"
        r"skrzynka .{0,40}(?:pe[lł]na|przepe[lł]nion)|schr[aá]nka je pln",
        source=USUAL,
        sample="552 Postvak van ontvanger is vol",
    ),
    Row(
        Class.MAILBOX_FULL,
        "inkorgen .{0,30}full|brevlådan .{0,30}full|innboksen .{0,30}full|postkassen .{0,30}(?:full|fuld)|"
        "indbakken .{0,30}fuld|postilaatikko .{0,30}täynnä|postafiók .{0,30}megtelt|"
        "posta kutusu .{0,30}dolu|"
        "скринька .{0,30}переповнена",
        source=USUAL,
        sample="552 Inkorgen är full",
    ),
    Row(
        Class.BAD_ADDRESS,
        "postfach (?:wurde )?nicht gefunden|empfänger (?:wurde )?nicht gefunden|"
        "utilizador (?:desconhecido|inexistente|não encontrado)",
        source=USUAL,
        sample="550 Postfach nicht gefunden",
    ),
    Row(
        Class.BAD_ADDRESS,
        "onbekende (?:ontvanger|gebruiker|geadresseerde)|gebruiker (?:bestaat niet|onbekend)|"
        "ontvanger (?:bestaat niet|onbekend)|mailbox bestaat niet|adres bestaat niet",
        source=USUAL,
        sample="550 Onbekende ontvanger",
    ),
    Row(
        Class.BAD_ADDRESS,
        "ukjent (?:mottaker|bruker|adresse)|ukendt (?:modtager|bruger|adresse)|"
        "okänd (?:mottagare|användare|adress)|mottakeren finnes ikke|brugeren findes ikke|"
        "användaren finns inte|"
        "mottagaren finns inte",
        source=USUAL,
        sample="550 Ukjent mottaker",
    ),
    Row(
        Class.BAD_ADDRESS,
        "tuntematon (?:vastaanottaja|käyttäjä|osoite)|käyttäjää ei (?:ole|löydy)|"
        "vastaanottajaa ei (?:ole|löydy)|"
        "ismeretlen (?:címzett|felhasználó)|a felhasználó nem létezik|nincs ilyen (?:felhasználó|címzett)",
        source=USUAL,
        sample="550 Tuntematon vastaanottaja",
    ),
    Row(
        Class.BAD_ADDRESS,
        "bilinmeyen (?:kullanıcı|alıcı)|kullanıcı bulunamadı|alıcı bulunamadı|"
        "neznámý (?:příjemce|uživatel|adresát)|"
        "adresát neexistuje|používateľ neexistuje|utilizator (?:necunoscut|inexistent)|"
        "destinatar (?:necunoscut|inexistent)",
        source=USUAL,
        sample="550 Bilinmeyen kullanıcı",
    ),
    Row(
        Class.BAD_ADDRESS,
        "користувача не (?:знайдено|існує)|користувач не існує|невідомий (?:користувач|одержувач)|"
        "άγνωστος (?:παραλήπτης|χρήστης)",
        source=USUAL,
        sample="550 Користувача не знайдено",
    ),
    Row(
        Class.INACTIVE,
        "konto (?:zosta[lł]o )?(?:zablokowan|zawieszon|nieaktywn)|"
        "skrzynka .{0,20}(?:zablokowan|nieaktywn|wy[lł][aą]czon)|"
        "schr[aá]nka (?:je |byla )?(?:zablokov|deaktivov)",
        source=USUAL,
        sample="550 Konto zablokowane",
    ),
    Row(
        Class.INACTIVE,
        "account (?:is )?(?:geblokkeerd|opgeheven|gedeactiveerd|uitgeschakeld)|"
        "mailbox (?:is )?(?:geblokkeerd|opgeheven|gedeactiveerd|uitgeschakeld)|"
        "kontot (?:är )?(?:avstängt|inaktiverat|spärrat)|"
        "kontoen er (?:lukket|deaktiveret|sperret|deaktivert)|"
        "tili on (?:suljettu|lukittu)",
        source=USUAL,
        sample="550 Account geblokkeerd",
    ),
)
