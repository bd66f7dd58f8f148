"""The words that mail programs write around quoted mail, by language. Only data.

Words are compared without regard to case, width, directional marks and kinds of spaces. `|` separates
alternatives; `{}` in a signature is the name of a device or a mail program.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Language:
    """The words of one language.

    `sender`, `sent`, `date`, `to`, `cc`, `subject`: the labels above a quoted mail (Outlook, Apple Mail, GMX,
    QQ); `date` are those that people write before any day. `original`: the line `-----Original Message-----`.
    `opens` and `wrote`: how a line such as "On 3 June, Ann wrote:" begins and what it says. `forwarded`: what
    stands above forwarded mail. `replies` and `forwards`: the beginning of a subject. `signatures`: what a
    mail program signs with.
    """

    code: str
    name: str
    sender: str
    sent: str
    date: str
    to: str
    subject: str
    cc: str = ""
    original: str = ""
    opens: str = ""
    wrote: str
    forwarded: str = ""
    replies: str = ""
    forwards: str = ""
    signatures: str = ""


# These are for all languages: mail programs write them whatever the user's language is.
REPLIES = "Re"
FORWARDS = "Fwd|Fw"

LANGUAGES = (
    Language(
        code="en",
        name="English",
        sender="From",
        sent="Sent|Sent at|Sent on",
        date="Date",
        to="To",
        cc="Cc|Bcc|Reply-To|Importance|Attachments|Organization",
        subject="Subject",
        original="Original Message|Original|Original email|Original mail|Reply message|Replied Message",
        opens="On|At|In",
        wrote="wrote|writes|has written",
        forwarded="Forwarded message|Begin forwarded message|Forwarded mail|Forward message|"
        "Start of forwarded message",
        signatures="Sent from {}|Sent via {}|Sent with {}|Sent by {}|Sent using {}|Get Outlook for {}|"
        "Get {} for Android|Get {} for iOS|Sent from my {}",
    ),
    Language(
        code="de",
        name="German",
        sender="Von|Absender",
        sent="Gesendet|Gesendet am|Verschickt|Sent",
        date="Datum",
        to="An|Empfänger",
        cc="Kopie|Kopie (CC)|Cc|Bcc|Antwort an",
        subject="Betreff",
        original="Ursprüngliche Nachricht|Originalnachricht|Original-Nachricht|Original Nachricht|"
        "Ursprüngliche Mail|Ursprüngliche E-Mail",
        opens="Am|An",
        wrote="schrieb|geschrieben|schrieben Sie",
        forwarded="Weitergeleitete Nachricht|Anfang der weitergeleiteten Nachricht|Weitergeleitete E-Mail",
        replies="AW|Antw",
        forwards="WG|Wtrlt",
        signatures="Von meinem {} gesendet|Gesendet von meinem {}|Gesendet mit {}|Gesendet von {}|"
        "Von {} gesendet|Outlook für {} beziehen|Outlook für {} herunterladen|"
        "Outlook für {} abrufen|Holen Sie sich Outlook für {}|Gesendet mit der {} App|"
        "Gesendet über {}|Diese Nachricht wurde von meinem {} gesendet|"
        "Diese Nachricht wurde mit {} gesendet|"
        "Diese Nachricht wurde von meinem {} mit K-9 Mail gesendet",
    ),
    Language(
        code="fr",
        name="French",
        sender="De|Expéditeur",
        sent="Envoyé|Message du|Envoyé le|Date d'envoi|Envoyée",
        date="Date",
        to="À|A|Pour|Destinataire",
        cc="Cc|Copie à|Cci|Répondre à",
        subject="Objet|Sujet",
        original="Message d'origine|Message original|Message initial|Mail original|E-mail d'origine|"
        "Courriel original",
        opens="Le|En date du",
        wrote="a écrit|écrit|a écrit ce qui suit|nous a dit",
        forwarded="Message transféré|Début du message transféré|Début du message réexpédié|"
        "Message transmis|Message réexpédié",
        forwards="TR|Tr|Transf",
        signatures="Envoyé de mon {}|Envoyé depuis mon {}|Envoyé de {}|Envoyé depuis {}|"
        "Envoyé à partir de {}|Envoyé avec {}|Envoyé par {}|Envoyé via {}|"
        "Obtenir Outlook pour {}|Télécharger Outlook pour {}|Obtenez Outlook pour {}|"
        "Provenance : {}|Provenance: {}|Envoyé à partir de mon {}",
    ),
    Language(
        code="es",
        name="Spanish",
        sender="De|Remitente",
        sent="Enviado|Enviado el|Enviada|Enviado a las",
        date="Fecha",
        to="Para|A|Destinatario",
        cc="Cc|CCO|Con copia|Responder a",
        subject="Asunto",
        original="Mensaje original|Mensaje de origen|Correo original",
        opens="El|En|Con fecha",
        wrote="escribió|ha escrito|escribio",
        forwarded="Mensaje reenviado|Inicio del mensaje reenviado|Forwarded message",
        replies="RES|RV RE",
        forwards="RV|Reenv",
        signatures="Enviado desde mi {}|Enviado desde {}|Enviado con {}|Enviado por {}|"
        "Obtener Outlook para {}|Descargar Outlook para {}|Obtenga Outlook para {}|"
        "Enviado de mi {}",
    ),
    Language(
        code="it",
        name="Italian",
        sender="Da|Mittente",
        sent="Inviato|Inviata|Data invio|Spedito",
        date="Data",
        to="A|Per|Destinatario",
        cc="Cc|Ccn|Rispondi a",
        subject="Oggetto",
        original="Messaggio originale|Messaggio originario|Messaggio Originale|Messaggio di origine",
        opens="Il|In data",
        wrote="ha scritto|scrisse|scrive",
        forwarded="Messaggio inoltrato|Inizio messaggio inoltrato|Messaggio Inoltrato",
        replies="R|RIF|Ris",
        forwards="I|Inoltro",
        signatures="Inviato da {}|Inviato dal mio {}|Inviato da mio {}|Inviato con {}|Inviato tramite {}|"
        "Ottieni Outlook per {}|Scarica Outlook per {}",
    ),
    Language(
        code="pt-BR",
        name="Portuguese (Brazil)",
        sender="De|Remetente",
        sent="Enviado|Enviada em|Enviado em|Enviada",
        date="Data",
        to="Para|Destinatário",
        cc="Cc|Cco|Com cópia|Responder a",
        subject="Assunto",
        original="Mensagem original|Mensagem Original|Mensagem de origem",
        opens="Em|No dia|A",
        wrote="escreveu",
        forwarded="Mensagem encaminhada|Início da mensagem encaminhada|Início de mensagem encaminhada",
        replies="RES|Resp",
        forwards="ENC|Enc",
        signatures="Enviado do meu {}|Enviado de meu {}|Enviado do {}|Enviado pelo {}|Enviado com {}|"
        "Enviado via {}|Obter o Outlook para {}|Obter Outlook para {}|Baixar o Outlook para {}|"
        "Enviado a partir do {}",
    ),
    Language(
        code="pt-PT",
        name="Portuguese (Portugal)",
        sender="De|Remetente",
        sent="Enviado|Enviada|Enviado em|Enviada em",
        date="Data",
        to="Para|Destinatário",
        cc="Cc|Bcc",
        subject="Assunto",
        original="Mensagem original|Mensagem Original",
        opens="A|No dia|Às|Em",
        wrote="escreveu",
        forwarded="Mensagem reencaminhada|Início da mensagem reencaminhada|Mensagem encaminhada",
        forwards="FW|Enc|Reenc",
        signatures="Enviado do meu {}|Enviado a partir do meu {}|Enviado do {}|Obter o Outlook para {}",
    ),
    Language(
        code="nl",
        name="Dutch",
        sender="Van|Afzender",
        sent="Verzonden|Verstuurd|Verzonden op",
        date="Datum",
        to="Aan|Naar",
        cc="Cc|Kopie|Bcc|Antwoord aan",
        subject="Onderwerp",
        original="Oorspronkelijk bericht|Origineel bericht|Oorspronkelijke bericht|Oorspronkelijke e-mail",
        opens="Op",
        wrote="schreef|geschreven|het volgende geschreven",
        forwarded="Doorgestuurd bericht|Begin doorgestuurd bericht",
        replies="Antw|Betr|Antwoord",
        forwards="Doorst|DS",
        signatures="Verzonden vanaf mijn {}|Verstuurd vanaf mijn {}|Verzonden met {}|Verstuurd vanaf {}|"
        "Verzonden vanaf {}|Verzonden via {}|Verstuurd via {}|Outlook voor {} downloaden|"
        "Outlook voor {} ophalen|Download Outlook voor {}|Verstuurd met {}",
    ),
    Language(
        code="sv",
        name="Swedish",
        sender="Från|Avsändare",
        sent="Skickat|Skickades|Sänt",
        date="Datum",
        to="Till",
        cc="Kopia|Cc|Svara till",
        subject="Ämne|Angående",
        original="Ursprungligt meddelande|Originalmeddelande|Ursprungligt mejl|Ursprungligt e-postmeddelande",
        opens="Den|Kl",
        wrote="skrev",
        forwarded="Vidarebefordrat meddelande|Vidarebefordrat mejl|Vidarebefordrat brev",
        replies="SV",
        forwards="VB",
        signatures="Skickat från min {}|Skickat från {}|Skickat med {}|Skickades från min {}|"
        "Skickad från min {}|Hämta Outlook för {}|Skaffa Outlook för {}|Sänt från min {}",
    ),
    Language(
        code="da",
        name="Danish",
        sender="Fra|Afsender",
        sent="Sendt|Sendt den",
        date="Dato",
        to="Til",
        cc="Cc|Kopi|Svar til",
        subject="Emne",
        original="Oprindelig meddelelse|Original meddelelse|Oprindelig besked|Original besked|"
        "Den originale meddelelse|Oprindelig mail",
        opens="Den|På|D",
        wrote="skrev",
        forwarded="Videresendt meddelelse|Start på videresendt besked|Videresendt besked|Videresendt mail",
        replies="SV",
        forwards="VS|Videresendt",
        signatures="Sendt fra min {}|Sendt fra {}|Sendt med {}|Hent Outlook til {}|Få Outlook til {}",
    ),
    Language(
        code="nb",
        name="Norwegian",
        sender="Fra|Avsender|Frå",
        sent="Sendt",
        date="Dato",
        to="Til",
        cc="Kopi|Cc|Svar til",
        subject="Emne",
        original="Opprinnelig melding|Original melding|Opprinnelig e-post|Opphavleg melding",
        opens="Den|På|Kl",
        wrote="skrev|følgende",
        forwarded="Videresendt melding|Start på videresendt melding|Videresendt e-post",
        replies="SV",
        forwards="VS|Videresend",
        signatures="Sendt fra min {}|Sendt fra {}|Sendt med {}|Skaff deg Outlook for {}|Få Outlook for {}|"
        "Hent Outlook for {}",
    ),
    Language(
        code="fi",
        name="Finnish",
        sender="Lähettäjä",
        sent="Lähetetty",
        date="Päivämäärä|Päiväys",
        to="Vastaanottaja|Vast.ott",
        cc="Kopio|Cc|Vastaus",
        subject="Aihe",
        original="Alkuperäinen viesti|Alkuperäinen sähköposti",
        opens="ma|ti|ke|to|pe|la|su",
        wrote="kirjoitti",
        forwarded="Välitetty viesti|Välitetty viesti alkaa|Edelleenlähetetty viesti|"
        "Välitetty viesti / Fwd.Msg",
        replies="VS",
        forwards="VL",
        signatures="Lähetetty {}|Lähetetty minun {}|Hanki Outlook for {}|Hanki Outlook {}|Lataa Outlook {}",
    ),
    Language(
        code="pl",
        name="Polish",
        sender="Od|Nadawca",
        sent="Wysłano|Wysłane|Data wysłania|Wysłany",
        date="Data",
        to="Do|Adresat",
        cc="DW|Dw|Kopia|UDW|Cc",
        subject="Temat",
        original="Wiadomość oryginalna|Oryginalna wiadomość|Oryginalny e-mail|Pierwotna wiadomość|"
        "Wiadomość pierwotna",
        opens="W dniu|Dnia|Wiadomość|pon.|wt.|śr.|czw.|pt.|sob.|niedz.",
        wrote="napisał|pisze|napisała|napisał(a)|napisana przez",
        forwarded="Przekazana wiadomość|Początek przekazywanej wiadomości|Wiadomość przekazana|"
        "Treść przekazanej wiadomości|Wiadomość przesłana dalej",
        replies="Odp",
        forwards="PD|Pd",
        signatures="Wysłane z {}|Wysłane z mojego {}|Wysłano z {}|Wysłano z mojego {}|Wysłano za pomocą {}|"
        "Wysłane z telefonu {}|Pobierz Outlook dla systemu {}|"
        "Pobierz program Outlook dla systemu {}|Uzyskaj Outlook dla {}|"
        "Pobierz aplikację Outlook dla systemu {}",
    ),
    Language(
        code="cs",
        name="Czech",
        sender="Od|Odesílatel",
        sent="Odesláno|Odesláno dne",
        date="Datum",
        to="Komu|Příjemce",
        cc="Kopie|Cc|Odpověď na",
        subject="Předmět",
        original="Původní zpráva|Původní e-mail|Původní email|Originální zpráva",
        opens="Dne|po|út|st|čt|pá|so|ne",
        wrote="napsal|odesílatel|píše|napsala",
        forwarded="Přeposlaná zpráva|Začátek přeposílané zprávy|Přeposlaný e-mail",
        replies="Odp",
        forwards="Přep|Předáno",
        signatures="Odesláno z {}|Odesláno z mého {}|Odesláno z mojí {}|Odesláno pomocí {}|Odesláno přes {}|"
        "Získejte Outlook pro {}|Získat Outlook pro {}|Stáhnout Outlook pro {}",
    ),
    Language(
        code="sk",
        name="Slovak",
        sender="Od|Odosielateľ",
        sent="Odoslané|Odoslaná",
        date="Dátum",
        to="Komu|Pre",
        cc="Kópia|Cc",
        subject="Predmet",
        original="Pôvodná správa|Pôvodný e-mail|Pôvodná správa e-mail",
        opens="Dňa|po|ut|st|št|pi|so|ne",
        wrote="napísal|napísala|píše|používateľ",
        forwarded="Preposlaná správa|Začiatok preposlanej správy|Preposlaná správa --- Forwarded Message",
        replies="Odp",
        forwards="Prep",
        signatures="Odoslané z {}|Odoslané z môjho {}|Odoslané pomocou {}|Odoslané cez {}|"
        "Získajte Outlook pre {}|Získať Outlook pre {}",
    ),
    Language(
        code="hu",
        name="Hungarian",
        sender="Feladó|Küldő",
        sent="Elküldve|Küldve|Küldés ideje",
        date="Dátum",
        to="Címzett",
        cc="Másolatot kap|Másolat|Cc",
        subject="Tárgy",
        original="Eredeti üzenet|Eredeti levél|Eredeti e-mail",
        opens="",
        wrote="írta|ezt írta|írt|időpont",
        forwarded="Továbbított üzenet|Továbbított levél kezdete|Továbbított levél",
        replies="Vá|Válasz",
        forwards="Továbbítás|Tov|TOV",
        signatures="Elküldve az {} készülékemről|Elküldve a {} készülékemről|Elküldve {}|Küldve {}|"
        "{} készülékemről küldve|Az {} készülékemről küldve|{} eszközömről küldve|"
        "A {} rendszerhez készült Outlook beszerzése|Az {} Outlook letöltése|Outlook letöltése {}",
    ),
    Language(
        code="ro",
        name="Romanian",
        sender="De la|Expeditor|Expeditorul|Din partea",
        sent="Trimis|Trimisă|Trimis la",
        date="Data|Dată",
        to="Către|Catre|Destinatarul|Pentru|La",
        cc="Cc|Răspuns către",
        subject="Subiect|Subiectul|Subiect.",
        original="Mesaj original|Mesaj initial|Mesajul original|Mesaj inițial|Mesajul inițial",
        opens="În|Pe|La data|lun.|mar.|mie.|joi|vin.|sâm.|dum.",
        wrote="a scris",
        forwarded="Mesaj redirecționat|Începe mesajul redirecționat|Mesaj redirectionat|"
        "Mesaj transmis mai departe",
        replies="Răsp|Rasp|RĂ",
        forwards="Redir|Redirecționat",
        signatures="Trimis de pe {}|Trimis de pe {}-ul meu|Trimis de pe {}ul meu|Trimis din {}|Trimis cu {}|"
        "Obțineți Outlook pentru {}|Obțineți {}",
    ),
    Language(
        code="bg",
        name="Bulgarian",
        sender="От|Подател|Изпращач",
        sent="Изпратено|Изпратен|Изпратено на",
        date="Дата",
        to="До|Кому|Получател",
        cc="Копие|Як. копие|Cc",
        subject="Относно|Тема",
        original="Оригинално съобщение|Първоначално съобщение|Оригинален имейл",
        opens="На|пн|вт|ср|чт|пт|сб|нд",
        wrote="написа|писа|пише",
        forwarded="Препратено съобщение|Начало на препратеното съобщение|Препратен имейл",
        replies="Отг|НА",
        forwards="Препр|ПР",
        signatures="Изпратено от моя {}|Изпратено от {}|Изпратено чрез {}|Изтегляне на Outlook за {}|"
        "Вземете Outlook за {}",
    ),
    Language(
        code="el",
        name="Greek",
        sender="Από|Αποστολέας",
        sent="Στάλθηκε|Αποστολή|Εστάλη",
        date="Ημερομηνία",
        to="Προς|Παραλήπτης",
        cc="Κοιν|Κοινοποίηση|Cc",
        subject="Θέμα",
        original="Αρχικό μήνυμα|Πρωτότυπο μήνυμα|Αρχικό Μήνυμα",
        opens="Στις|Την|Τη|Στην",
        wrote="έγραψε|γράφει|έγραψαν",
        forwarded="Προωθημένο μήνυμα|Έναρξη προωθημένου μηνύματος|Προωθούμενο μήνυμα",
        replies="ΑΠ|ΑΠΑΝΤ|ΣΧΕΤ",
        forwards="ΠΡΘ|Προώθ",
        signatures="Στάλθηκε από το {} μου|Στάλθηκε από {}|Στάλθηκε από το {}|Εστάλη από το {} μου|"
        "Αποστολή από {}|Λήψη του Outlook για {}|Αποκτήστε το Outlook για {}|Στάλθηκε με {}",
    ),
    Language(
        code="ru",
        name="Russian",
        sender="От|Отправитель|От кого",
        sent="Отправлено|Отправлен|Дата отправки|Отправлено в",
        date="Дата|Когда",
        to="Кому|Получатель",
        cc="Копия|Cc|Ответ-Кому",
        subject="Тема",
        original="Исходное сообщение|Оригинальное сообщение|Исходное письмо|Первоначальное сообщение|"
        "Ответ на сообщение",
        opens="пн|вт|ср|чт|пт|сб|вс|понедельник|вторник|среда|четверг|пятница|суббота|воскресенье|Среда|В",
        wrote="написал|пишет|писал|написала|пользователь",
        forwarded="Пересылаемое сообщение|Начало переадресованного сообщения|Перенаправленное сообщение|"
        "Начало переадресуемого сообщения|Пересланное сообщение|Конец пересылаемого сообщения",
        replies="Ответ|Отв|НА",
        forwards="Пересл|Переслать|Пер",
        signatures="Отправлено с {}|Отправлено с моего {}|Отправлено из {}|Отправлено через {}|"
        "Отправлено с помощью {}|Получить Outlook для {}|Скачать Outlook для {}|"
        "Загрузить Outlook для {}|Отправлено с устройства {}",
    ),
    Language(
        code="uk",
        name="Ukrainian",
        sender="Від|Від кого|Відправник",
        sent="Надіслано|Відправлено|Надісланий",
        date="Дата",
        to="Кому|До|Одержувач",
        cc="Копія|Кому відповісти|Cc",
        subject="Тема",
        original="Вихідне повідомлення|Оригінальне повідомлення|Початкове повідомлення|"
        "Оригінал повідомлення|Вихідний лист",
        opens="пн|вт|ср|чт|пт|сб|нд|У|В",
        wrote="пише|написав|написала|написав(ла)|пишуть",
        forwarded="Переслане повідомлення|Початок листа, що пересилається|Перенаправлене повідомлення",
        replies="Відп|НА",
        forwards="Пересл|Перес",
        signatures="Надіслано з {}|Надіслано з мого {}|Відправлено з {}|Відправлено з мого {}|"
        "Надіслано через {}|Отримати Outlook для {}|Завантажити Outlook для {}|"
        "Надіслано за допомогою {}",
    ),
    Language(
        code="tr",
        name="Turkish",
        sender="Kimden|Gönderen",
        sent="Gönderildi|Gönderilen|Gönderme Tarihi|Gönderim tarihi|Gönderim Tarihi",
        date="Tarih",
        to="Kime|Alıcı",
        cc="Bilgi|Cc|Kopya|Yanıt Adresi",
        subject="Konu",
        original="Özgün İleti|Orijinal mesaj|Orijinal ileti|Özgün mesaj|Asıl ileti|İlk mesaj",
        opens="",
        wrote="yazdı|şunu yazdı|tarihinde|şunları yazdı|yazmış",
        forwarded="İletilmiş Mesaj|İleti başlangıcı|İletilen İleti|Yönlendirilmiş ileti|İletilen mesaj",
        replies="YNT|Yan|Ynt",
        forwards="İLT|ILT",
        signatures="{}'umdan gönderildi|{}'imden gönderildi|{} cihazımdan gönderildi|{}'dan gönderildi|"
        "{}'den gönderildi|{} ile gönderildi|{} uygulamasından gönderildi|"
        "{} üzerinden gönderildi|{} için Outlook'u edinin|{} için Outlook uygulamasını edinin|"
        "{} telefonumdan gönderildi",
    ),
    Language(
        code="ar",
        name="Arabic",
        sender="من|المرسل",
        sent="تم الإرسال|تاريخ الإرسال|أرسل|مرسل|أُرسلت|تم إرساله|الإرسال",
        date="التاريخ",
        to="إلى|الى|المرسل إليه",
        cc="نسخة|نسخة إلى|نسخه",
        subject="الموضوع|موضوع",
        original="الرسالة الأصلية|رسالة أصلية|الرساله الاصليه|رسالة أصليّة",
        opens="في|بتاريخ|يوم",
        wrote="كتب|كتبت|كتابة|كتب/كتبت",
        forwarded="رسالة معاد توجيهها|بداية الرسالة المحولة|رسالة محولة|رسالة مُعاد توجيهها|"
        "الرسالة المعاد توجيهها",
        replies="رد|ردّ|رد على",
        forwards="إعادة توجيه|تحويل|إعادة التوجيه",
        signatures="أُرسلت من الـ {}|أُرسلت من {}|أرسلت من {}|أرسل من {}|مرسل من {}|تم الإرسال من {}|"
        "أرسلت من جهازي {}|تم الإرسال من جهازي {}|الحصول على Outlook لـ {}|"
        "احصل على Outlook لنظام {}|الحصول على Outlook for {}|مُرسل من هاتف {}",
    ),
    Language(
        code="he",
        name="Hebrew",
        sender="מאת|שולח|מ",
        sent="נשלח|נשלח בתאריך|נשלח ב",
        date="תאריך",
        to="אל|נמען",
        cc="עותק|העתק",
        subject="נושא|הנדון",
        original="הודעה מקורית|ההודעה המקורית|הודעת מקור",
        opens="בתאריך|ב|ביום|ב-",
        wrote="כתב|מאת|כתבה|כתב/ה|כתב(ה)",
        forwarded="הודעה שהועברה|התחלת הודעה שהועברה|תחילת ההודעה שהועברה|הודעה מועברת",
        replies="השב|תגובה|הנדון",
        forwards="הועבר|הע|FW",
        signatures="נשלח מה-{} שלי|נשלח מ-{}|נשלח מה-{}|נשלח מ{}|נשלח מה{} שלי|נשלח באמצעות {}|"
        "נשלח מ-{} שלי|קבל את Outlook עבור {}|הורד את Outlook עבור {}|נשלח ממכשיר {}",
    ),
    Language(
        code="fa",
        name="Persian",
        sender="از|فرستنده",
        sent="ارسال شده|ارسال|ارسال‌شده|زمان ارسال|ارسال شد|فرستاده شده",
        date="تاریخ",
        to="به|گیرنده",
        cc="رونوشت|کپی",
        subject="موضوع",
        original="پیام اصلی|پیغام اصلی|ایمیل اصلی",
        opens="در|در تاریخ|روز",
        wrote="نوشت|نوشته|نوشته است|نوشته شد",
        forwarded="پیام هدایت شده|پیام ارسال شده|پیام فوروارد شده|پیام بازارسال‌شده|آغاز پیام هدایت‌شده",
        replies="پاسخ",
        forwards="هدایت|ارجاع",
        signatures="ارسال شده از {}|ارسال شده از {} من|ارسال‌شده از {} من|فرستاده شده از {}|ارسال از {}|"
        "دریافت Outlook برای {}|ارسال‌شده از {}",
    ),
    Language(
        code="ja",
        name="Japanese",
        sender="差出人|送信者|送信元|From|発信者",
        sent="送信日時|送信日|Sent",
        date="日付|日時|Date",
        to="宛先|送信先|To|受信者",
        cc="CC|Cc|返信先",
        subject="件名|Subject|題名",
        original="元のメッセージ|オリジナル メッセージ|Original Message|オリジナルメッセージ|元のメール|"
        "返信元のメッセージ",
        opens="",
        wrote="のメール|書きました|書き込みました|は書きました|のメッセージ|さんは書きました|wrote",
        forwarded="転送されたメッセージ|転送メッセージ|メッセージを転送|転送されたメール|以下転送",
        replies="返信|Re",
        forwards="転送",
        signatures="{}から送信|{} から送信|{}から送信されました|私の{}から送信|iPhoneから送信|"
        "Outlook for {} を入手|{} 版 Outlook を入手|Outlook for {}を入手|{}で送信|"
        "{} 用 Outlook を取得",
    ),
    Language(
        code="ko",
        name="Korean",
        sender="보낸 사람|보낸사람|발신|발신자|From",
        sent="보낸 날짜|보낸날짜|보낸 시간|발신일|전송|Sent",
        date="날짜|Date",
        to="받는 사람|받는사람|수신|수신자|To",
        cc="참조|Cc",
        subject="제목|Subject",
        original="원본 메시지|원본 메일|원본메시지|Original Message|원래 메시지|원본 이메일",
        opens="",
        wrote="작성|님이 작성|쓴 글|썼습니다|님의 말|님이 씀|쓰다",
        forwarded="전달된 메시지|전달된 메일|전달 메시지",
        replies="회신|답장|RE",
        forwards="전달",
        signatures="나의 {}에서 보냄|{}에서 보냄|내 {}에서 보냄|나의 {} 에서 보냄|{}에서 전송됨|"
        "{}용 Outlook 받기|{}용 Outlook 다운로드|내 {}에서 전송|{} 에서 보냄",
    ),
    Language(
        code="zh-CN",
        name="Chinese (simplified)",
        sender="发件人|发信人|寄件人|From|发自",
        sent="发送时间|发送日期|已发送|发件日期|发送|Sent",
        date="日期|时间|Date",
        to="收件人|To|主送",
        cc="抄送|抄送人|Cc",
        subject="主题|标题|邮件主题|Subject",
        original="原始邮件|原邮件|回复的原邮件|原始信息|原始消息|原始信件|邮件原件|Original",
        opens="在|于",
        wrote="写道|写|写到|来信|写道",
        forwarded="转发的邮件|转发邮件|转发邮件信息|转发的邮件信息|以下是转发的邮件|下面是转发的邮件|"
        "已转发邮件",
        replies="回复|答复|回覆",
        forwards="转发|转寄",
        signatures="发自我的{}|发自 {}|发自{}|从我的{}发送|从{}发送|来自{}|从我的 {} 发送|"
        "获取 Outlook for {}|获取 {} 版 Outlook|获取适用于 {} 的 Outlook|下载 {} 版 Outlook|"
        "通过{}发送|从{}发出",
    ),
    Language(
        code="zh-TW",
        name="Chinese (traditional)",
        sender="寄件者|寄件人|發件人|From",
        sent="寄件日期|傳送時間|寄件時間|寄送時間|已傳送|發送時間|傳送日期|Sent",
        date="日期|Date",
        to="收件者|收件人|To",
        cc="副本|抄送|Cc",
        subject="主旨|主題|標題|Subject",
        original="原始郵件|原始訊息|原始信件|原郵件|原始電子郵件",
        opens="在|於",
        wrote="寫道|寫|寫到",
        forwarded="轉寄的郵件|轉寄郵件|已轉寄的郵件|以下是轉寄的郵件|開始轉寄郵件|轉發的郵件|"
        "Forwarded message",
        replies="回覆|答覆|回復",
        forwards="轉寄|轉發",
        signatures="從我的 {} 傳送|從我的{}傳送|寄自我的 {}|寄自我的{}|從 {} 傳送|傳送自我的 {}|傳送自 {}|"
        "取得 {} 版 Outlook|取得 Outlook for {}|下載 {} 版 Outlook|由我的 {} 傳送",
    ),
    Language(
        code="hi",
        name="Hindi",
        sender="प्रेषक|से|द्वारा|From",
        sent="भेजा गया|प्रेषित|भेजने की तिथि|Sent",
        date="दिनांक|तारीख",
        to="प्रति|को|प्राप्तकर्ता|To|सेवा में",
        cc="प्रतिलिपि|Cc",
        subject="विषय|Subject",
        original="मूल संदेश|मूल ईमेल|मूल सन्देश",
        opens="",
        wrote="ने लिखा|लिखा|ने लिखा था",
        forwarded="अग्रेषित संदेश|आगे भेजा गया संदेश|फ़ॉरवर्ड किया गया संदेश",
        replies="उत्तर|जवाब",
        forwards="अग्रेषित",
        signatures="मेरे {} से भेजा गया|{} से भेजा गया|{} के लिए Outlook प्राप्त करें|{} द्वारा भेजा गया",
    ),
    Language(
        code="th",
        name="Thai",
        sender="จาก|ผู้ส่ง",
        sent="ส่ง|ส่งเมื่อ|เวลาที่ส่ง|วันที่ส่ง",
        date="วันที่",
        to="ถึง|ผู้รับ",
        cc="สำเนา|สำเนาถึง",
        subject="เรื่อง|หัวเรื่อง|ชื่อเรื่อง",
        original="ข้อความต้นฉบับ|ข้อความเดิม|อีเมลต้นฉบับ",
        opens="เมื่อ|ในวันที่|เมื่อวันที่|วันที่|ใน",
        wrote="เขียนว่า|เขียน|ได้เขียนว่า",
        forwarded="ข้อความที่ส่งต่อ|ข้อความที่ถูกส่งต่อ|เริ่มข้อความที่ส่งต่อ|อีเมลที่ส่งต่อ",
        replies="ตอบ|ตอบกลับ",
        forwards="ส่งต่อ",
        signatures="ส่งจาก {} ของฉัน|ส่งจาก {}|ส่งจาก{}|ส่งจากโทรศัพท์ {}|รับ Outlook สำหรับ {}|"
        "ดาวน์โหลด Outlook สำหรับ {}|ส่งจาก{}ของฉัน|ส่งด้วย {}",
    ),
    Language(
        code="vi",
        name="Vietnamese",
        sender="Từ|Người gửi",
        sent="Đã gửi|Gửi|Đã gửi lúc|Ngày gửi|Thời gian gửi|Gửi lúc",
        date="Ngày",
        to="Đến|Tới|Người nhận|Kính gửi",
        cc="Cc|Đồng gửi|Đồng kính gửi",
        subject="Chủ đề|Tiêu đề|Chủ đề thư",
        original="Thư gốc|Tin nhắn gốc|Thư ban đầu|Email gốc|Nội dung gốc",
        opens="Vào|Ngày|Lúc|Vào lúc|Vào ngày",
        wrote="đã viết|viết",
        forwarded="Thư đã chuyển tiếp|Thư chuyển tiếp|Bắt đầu thư được chuyển tiếp|"
        "Tin nhắn được chuyển tiếp|Tin nhắn đã chuyển tiếp",
        replies="Trả lời|TRL|V/v",
        forwards="Chuyển tiếp|CT",
        signatures="Đã gửi từ {} của tôi|Gửi từ {} của tôi|Được gửi từ {} của tôi|Gửi từ {}|Đã gửi từ {}|"
        "Được gửi từ {}|Tải Outlook cho {}|Nhận Outlook cho {}|Tải xuống Outlook dành cho {}|"
        "Tải Outlook dành cho {}",
    ),
    Language(
        code="id",
        name="Indonesian",
        sender="Dari|Pengirim",
        sent="Dikirim|Terkirim|Dikirim pada",
        date="Tanggal|Tgl",
        to="Kepada|Ke|Untuk|Penerima",
        cc="Cc|Salinan|Tembusan",
        subject="Perihal|Subjek|Hal|Judul",
        original="Pesan Asli|Pesan asli|Pesan Semula|Email asli|Pesan Awal",
        opens="Pada|Pd|Tgl|Tanggal",
        wrote="menulis|telah menulis|berkata",
        forwarded="Pesan yang diteruskan|Pesan terusan|Mulai pesan terusan|Awal pesan terusan|"
        "Pesan Terusan|Pesan Diteruskan",
        replies="Bls|Balas",
        forwards="Trs|Terusan",
        signatures="Dikirim dari {} saya|Dikirim dari {}|Terkirim dari {} saya|Terkirim dari {}|"
        "Dikirim melalui {}|Dapatkan Outlook untuk {}|Unduh Outlook untuk {}|Dikirim dengan {}",
    ),
    Language(
        code="ca",
        name="Catalan",
        sender="De|Remitent",
        sent="Enviat|Enviada|Enviat el",
        date="Data",
        to="Per a|A|Per|Destinatari",
        cc="Cc|A/c|Còpia",
        subject="Assumpte|Tema",
        original="Missatge original|Missatge d'origen|Correu original",
        opens="El|Missatge de|En data",
        wrote="va escriure|ha escrit|escrigué|del dia|va escriure el següent",
        forwarded="Missatge reenviat|Inici del missatge reenviat|Missatge redirigit|Missatge reexpedit",
        forwards="RV|Reenv",
        signatures="Enviat des del meu {}|Enviat des de {}|Enviat des del {}|Enviat amb {}|Enviat de {}|"
        "Obtén l'Outlook per a {}|Baixa l'Outlook per a {}|Aconsegueix l'Outlook per a {}",
    ),
    Language(
        code="hr",
        name="Croatian",
        sender="Od|Šalje|Pošiljatelj",
        sent="Poslano|Vrijeme slanja|Poslao",
        date="Datum",
        to="Prima|Za|Primatelj|Do",
        cc="Kopija|Cc|Odgovori na",
        subject="Predmet|Naslov",
        original="Izvorna poruka|Originalna poruka|Izvorni tekst poruke",
        opens="Dana|pon|uto|sri|čet|pet|sub|ned",
        wrote="napisao|napisao je|napisala|piše|je napisao|je napisao/la",
        forwarded="Proslijeđena poruka|Započni proslijeđenu poruku|Početak proslijeđene poruke",
        replies="Odg",
        forwards="Prosl|Proslijeđeno",
        signatures="Poslano s mog {}|Poslano s {}|Poslano sa {}|Poslano s mojeg {}|Poslano sa mog {}|"
        "Poslano iz {}|Nabavite Outlook za {}|Preuzmite Outlook za {}|Poslano putem {}",
    ),
    Language(
        code="sr",
        name="Serbian",
        sender="Од|Пошиљалац|Шаље|Od|Pošiljalac|Šalje",
        sent="Послато|Poslato|Време слања",
        date="Датум|Datum",
        to="За|Прима|Коме|Za|Prima|Kome|Primalac",
        cc="Копија|Cc|Kopija",
        subject="Наслов|Предмет|Тема|Naslov|Predmet|Tema",
        original="Изворна порука|Оригинална порука|Originalna poruka|Izvorna poruka|Првобитна порука",
        opens="Дана|Dana|пон|уто|сре|чет|пет|суб|нед|pon|uto|sre|čet|pet|sub|ned",
        wrote="је написао|написао|пише|је написао/ла|написала|je napisao|napisao|napisala|piše|napisao/la",
        forwarded="Прослеђена порука|Prosleđena poruka|Почетак прослеђене поруке|Početak prosleđene poruke",
        replies="Одг|Odg",
        forwards="Просл|Prosl",
        signatures="Послато са мог {}|Послато са {}|Poslato sa mog {}|Poslato sa {}|"
        "Poslato sa mog {} uređaja|Послато са мог {} уређаја|Преузмите Outlook за {}|"
        "Preuzmite Outlook za {}|Nabavite Outlook za {}",
    ),
    Language(
        code="sl",
        name="Slovenian",
        sender="Od|Pošiljatelj|Zadeva od",
        sent="Poslano|Poslano ob",
        date="Datum",
        to="Za|Prejemnik|Komu",
        cc="Kp|Cc|Kopija",
        subject="Zadeva|Predmet",
        original="Izvirno sporočilo|Izvorno sporočilo|Prvotno sporočilo",
        opens="Dne|V|pon.|tor.|sre.|čet.|pet.|sob.|ned.",
        wrote="napisal|napisala|je napisal|piše|je oseba",
        forwarded="Posredovano sporočilo|Začetek posredovanega sporočila",
        replies="Odg",
        forwards="Posr|PR",
        signatures="Poslano z mojega {}|Poslano iz mojega {}|Poslano iz {}|Poslano z {}|Poslano s {}|"
        "Poslano iz naprave {}|Pridobite Outlook za {}|Prenesite Outlook za {}",
    ),
    Language(
        code="lt",
        name="Lithuanian",
        sender="Nuo|Siuntėjas|Kas",
        sent="Išsiųsta|Siųsta|Išsiuntimo data",
        date="Data",
        to="Kam|Iki|Gavėjas|Į",
        cc="Kopija|Kop|Cc|Kopija kam",
        subject="Tema",
        original="Pradinis laiškas|Originalus laiškas|Pirminis laiškas|Originalus pranešimas|"
        "Pradinis pranešimas",
        opens="",
        wrote="rašė|parašė|rašo",
        forwarded="Persiunčiamas laiškas|Persiųstas laiškas|Persiųstas pranešimas|Persiųsto laiško pradžia",
        replies="Ats|Atsakymas",
        forwards="Pers|Persiųsta",
        signatures="Išsiųsta iš mano „{}“|Išsiųsta iš mano {}|Išsiųsta iš {}|Siųsta iš {}|Siųsta iš mano {}|"
        "Gaukite „Outlook“, skirtą {}|Gauti „Outlook“, skirtą {}|Išsiųsta naudojant {}|"
        "Atsisiųskite „Outlook“, skirtą {}",
    ),
    Language(
        code="lv",
        name="Latvian",
        sender="No|Sūtītājs",
        sent="Nosūtīts|Sūtīts|Nosūtīšanas datums",
        date="Datums",
        to="Kam|Adresāts|Saņēmējs",
        cc="Kopija|Cc",
        subject="Tēma|Temats",
        original="Sākotnējais ziņojums|Oriģinālais ziņojums|Sākotnējā vēstule|Oriģinālā vēstule",
        opens="",
        wrote="rakstīja|raksta|uzrakstīja",
        forwarded="Pārsūtīts ziņojums|Pārsūtīta vēstule|Pārsūtītais ziņojums|Pārsūtītā ziņojuma sākums",
        replies="Atb",
        forwards="Pārs|Pārsūt",
        signatures="Sūtīts no mana {}|Nosūtīts no mana {}|Nosūtīts no {}|Sūtīts no {}|"
        "Iegūstiet Outlook darbam ar {}|Iegūt Outlook darbam ar {}|Iegūstiet Outlook lietotni {}|"
        "Iegūstiet programmu Outlook darbam ar {}",
    ),
    Language(
        code="et",
        name="Estonian",
        sender="Saatja|Kellelt",
        sent="Saadetud|Saatmisaeg|Saatmise aeg",
        date="Kuupäev",
        to="Adressaat|Kellele|Saaja|Saajale",
        cc="Koopia|Cc",
        subject="Teema",
        original="Algne sõnum|Algne kiri|Algne teade|Originaalkiri|Algne e-kiri",
        opens="Kontaktisik|Kasutaja",
        wrote="kirjutas|kirjutab|kirjutas kuupäeval",
        forwarded="Edastatud sõnum|Edastatud kiri|Edastatud kirja algus|Edasi saadetud kiri",
        replies="VS|Vastus",
        forwards="ED|Edastus",
        signatures="Saadetud minu {}|Saadetud minu {}ist|Saadetud {}|Saadetud minu {}-ist|"
        "Hankige Outlook {}|Hankige {} jaoks Outlook|Outlooki hankimine {} jaoks|"
        "Saadetud {} kaudu",
    ),
    Language(
        code="is",
        name="Icelandic",
        sender="Frá|Sendandi",
        sent="Sent",
        date="Dagsetning|Dags",
        to="Til|Viðtakandi",
        cc="Afrit",
        subject="Efni",
        original="Upprunaleg skilaboð|Upprunalegur póstur|Upphafleg skilaboð",
        opens="Þann|Hinn",
        wrote="skrifaði",
        forwarded="Framsend skilaboð|Áframsend skilaboð|Framsendur póstur",
        replies="SV",
        forwards="FS",
        signatures="Sent úr {}|Sent úr {} mínum|Sent úr {} símanum mínum|Sækja Outlook fyrir {}",
    ),
    Language(
        code="ms",
        name="Malay",
        sender="Daripada|Dari",
        sent="Dihantar",
        date="Tarikh",
        to="Kepada|Ke",
        cc="Sk|Salinan",
        subject="Subjek|Perkara",
        original="Mesej Asal|Mesej asal|Emel asal",
        opens="Pada",
        wrote="menulis",
        forwarded="Mesej dimajukan|Mesej yang dimajukan|Mesej dikirim semula",
        replies="Bls",
        forwards="Majukan",
        signatures="Dihantar daripada {} saya|Dihantar dari {} saya|Dihantar daripada {}|"
        "Dapatkan Outlook untuk {}",
    ),
    Language(
        code="eu",
        name="Basque",
        sender="Nork|Bidaltzailea|Igorlea",
        sent="Bidalia",
        date="Data|Noiz",
        to="Nori|Hartzailea",
        cc="Cc|Kopia",
        subject="Gaia",
        original="Jatorrizko mezua",
        opens="",
        wrote="idatzi du|idatzi zuen|igorleak hau idatzi du|igorleak hau idatzi zuen|"
        "erabiltzaileak hau idatzi du|hau idatzi du",
        forwarded="Birbidalitako mezua|Bidalitako mezua",
        replies="Er",
        forwards="Birb",
        signatures="Nire {} bidalia|{} gailutik bidalia|Nire {}-tik bidalia",
    ),
    Language(
        code="gl",
        name="Galician",
        sender="De|Remitente",
        sent="Enviado|Enviada",
        date="Data",
        to="Para|A",
        cc="Cc",
        subject="Asunto",
        original="Mensaxe orixinal",
        opens="O|O día|Em|En",
        wrote="escribiu",
        forwarded="Mensaxe reenviada|Mensaxe encamiñada",
        forwards="RV",
        signatures="Enviado desde o meu {}|Enviado desde {}|Obter Outlook para {}",
    ),
)

# What a signature of a mail program names: without one of these, "Sent from ..." is a person's own sentence.
DEVICES = (
    "iPhone|iPhon|iPad|iPod|Apple Watch|iOS|Android|Galaxy|Samsung|Huawei|Xiaomi|Redmi|OPPO|"
    "OnePlus|Pixel|Nokia|Xperia|Motorola|HTC|LG|BlackBerry|Windows|Mac|Outlook|Yahoo|Gmail|"
    "AOL|Proton|Tuta|GMX|WEB.DE|Thunderbird|K-9|FairEmail|BlueMail|Spark|Airmail|Aqua Mail|"
    "myMail|Mail.ru|Яндекс|Яндекс.Почты|Yandex|QQ|QQ邮箱|Foxmail|网易|iCloud|Fastmail|Zoho|"
    "Superhuman|eM Client|Mailspring|Nextcloud|smartphone|mobile phone|mobile device|"
    "Mobilgerät|Mobiltelefon|Mobiltelefons|Smartphone|téléphone mobile|appareil mobile|"
    "teléfono móvil|dispositivo móvil|telefono cellulare|dispositivo mobile|dispositivo móvel|"
    "telemóvel|Apple Mail|Mail for Windows|айфон|айфона"
)
# What their names may end with besides: "Galaxy S23 Ultra", "Proton Mail secure email".
MODEL_NAMES = (
    "mail|email|e-mail|mobile|device|phone|app|tablet|tab|ultra|pro|max|plus|mini|lite|note|"
    "gerät|handy|apparaat|telefon|telefono|telefone|teléfono|téléphone|enhet|laite|urządzenie|"
    "zařízení|устройства|мобильных|телефона|пошта|почта|почты"
)
