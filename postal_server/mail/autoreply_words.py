"""Words by which programs that answer mail can be told, as plain phrases separated by line ends or `/`.

Case, accents and the number of blanks do not matter. Who adds a phrase adds a sample to
`tests/corpus/autoreply/`.
"""

from __future__ import annotations

from .phrases import phrases

# Anywhere in a subject: nobody writes these about something else.
_ABSENCE = {
    "en": """
        out of office / out of the office / out-of-office / outofoffice / automatic reply / auto reply
        auto-reply / autoreply / automated reply / automatic response / auto response / auto-response
        autoresponse / auto-responder / autoresponder / automated response / automatic answer
        automatic acknowledgement / away from the office / away from my / absent from / on annual leave
        on maternity leave / on parental leave / on sick leave / on leave until / on vacation / on holiday
        vacation notice / vacation message / vacation reply / absence notice / absence notification
        away message / away notice / holiday notice / no longer with / no longer works
        no longer working / has left the company / currently away / currently unavailable
        limited access to email / limited access to e-mail / returning to the office / i am away
        i'm away / is away until / office closed / out of town
        """,
    "de": """
        abwesenheitsnotiz / abwesenheitsnachricht / abwesenheitsmeldung / abwesenheitsassistent
        abwesenheitsbenachrichtigung / automatische antwort / automatische rückantwort / automatische e-mail
        automatische email / automatische nachricht / automatische eingangsbestätigung / autom. antwort
        automatisch generierte antwort / nicht im büro / nicht im buero / nicht im haus / außer haus
        nicht im office / im urlaub / urlaubsnachricht / urlaubsbenachrichtigung / urlaubsvertretung
        urlaubsnotiz / urlaubsabwesenheit / bin abwesend / ist abwesend / derzeit abwesend / abwesend bis
        nicht erreichbar / eingangsbestätigung / in elternzeit / nicht mehr im unternehmen / betriebsferien
        """,
    "fr": """
        réponse automatique / réponse automatisée / message automatique / absent du bureau
        absente du bureau / absence du bureau / absence de bureau / message d'absence / message d’absence
        notification d'absence / avis d'absence / en congé / en vacances / hors du bureau / absent jusqu
        absente jusqu / absent(e) / accusé de réception
        je suis absent / actuellement absent / congé maternité
        """,
    "es": """
        respuesta automática / autorrespuesta / auto-respuesta / autorespuesta / contestación automática
        mensaje automático / fuera de la oficina / fuera de oficina / de vacaciones / ausente de la oficina
        mensaje de ausencia / aviso de ausencia / ausencia de la oficina / ausencia temporal
        ausente hasta / baja por maternidad
        """,
    "it": """
        risposta automatica / messaggio automatico / risponditore automatico / fuori ufficio / fuori sede
        assente dall'ufficio / assente dall’ufficio / assenza dall'ufficio / assente fino / in ferie
        avviso di assenza / messaggio di assenza / sono assente
        """,
    "nl": """
        automatisch antwoord / automatische beantwoording / automatische reactie / automatisch bericht
        afwezigheidsbericht / afwezigheidsmelding / afwezigheidsassistent / afwezig tot / ben afwezig
        niet op kantoor / niet aanwezig / met vakantie / op vakantie / buiten kantoor / met verlof
        """,
    "pt": """
        resposta automática / mensagem automática
        auto-resposta / ausência do escritório / ausência temporária
        ausente do escritório / fora do escritório / fora da empresa / de férias / em férias / estou ausente
        ausente até / aviso de ausência
        """,
    "pl": """
        odpowiedź automatyczna / automatyczna odpowiedź / autoodpowiedź / autoresponder / poza biurem
        nieobecność w / informacja o nieobecności / nieobecny w biurze / na urlopie / urlop wypoczynkowy
        """,
    "sv": """
        autosvar / automatiskt svar / automatiskt meddelande / frånvaromeddelande / frånvarobesked
        ej på kontoret / inte på kontoret / på semester / frånvarande till / föräldraledig / tjänstledig
        """,
    "da": """
        automatisk svar / autosvar / ikke på kontoret / ikke til stede / fraværsbesked / fraværsmeddelelse
        på ferie / holder ferie / på barsel / autosvar
        """,
    "nb": """
        automatisk svar / fraværsmelding / fraværsassistent / ikke på kontoret / ute av kontoret
        er på ferie / i permisjon / autosvar
        """,
    "fi": """
        automaattinen vastaus / automaattivastaus / poissaoloilmoitus / poissaoloviesti / poissa toimistosta
        poissa toimistolta / olen poissa / lomalla / vuosilomalla
        """,
    "cs": """
        automatická odpověď / automatická odpoveď
        mimo kancelář / nepřítomnost v / oznámení o nepřítomnosti
        na dovolené / jsem mimo kancelář
        """,
    "hu": """
        automatikus válasz / házon kívül / irodán kívül / szabadságon / nem vagyok az irodában / távolléti
        """,
    "tr": """
        otomatik yanıt / otomatik cevap / ofis dışında / ofis dışındayım / işyeri dışında / izindeyim
        yıllık izin / izinde olduğum
        """,
    "ru": """
        автоответ / автоматический ответ / автоматическое уведомление / вне офиса / нет на месте
        нахожусь в отпуске / в отпуске / отсутствие на рабочем / отсутствую на / отсутствии на рабочем
        """,
    "ja": """
        自動応答 / 自動返信 / 自動回答 / 自動配信 / 不在通知
        不在の / 不在です / 不在連絡 / 不在届 / 不在中
        外出中 / 休暇中 / 休暇のお知らせ / 休業のお知らせ / 出張中 / オフィスにおりません
        """,
    "zh": """
        自动回复 / 自動回覆 / 自動回復 / 自动答复 / 自動答覆 / 自动应答 / 不在办公室 / 不在辦公室
        外出通知 / 外出中 / 休假中 / 休假通知 / 正在休假 / 假期自动 / 出差中
        """,
    "ko": """
        자동 회신 / 자동회신 / 자동 응답 / 자동응답 / 자동 답장
        자동답장 / 부재 중 / 부재중 / 휴가 중 / 휴가중
        휴가 안내 / 외근 중 / 출장 중
        """,
    "others": """
        автоматична відповідь / автовідповідь / у відпустці
        αυτόματη απάντηση / εκτός γραφείου / מענה אוטומטי
        תשובה אוטומטית / מחוץ למשרד / رد تلقائي
        الرد التلقائي / خارج المكتب / răspuns automat / mimo kancelárie
        automatski odgovor / samodejni odgovor
        automatinis atsakymas / automātiskā atbilde / automaatvastus
        автоматичен отговор / resposta automàtica
        trả lời tự động / balasan otomatis / ตอบกลับอัตโนมัติ
        """,
}
# Alone or before a colon and the like at the beginning of a subject; elsewhere they mean other things.
_ABSENCE_AT_START = """
    auto / reply auto / away / absence / absent / absent from work / vacation / holiday / holidays / ooo
    annual leave / maternity leave / parental leave / sick leave / on leave
    urlaub / abwesend / abwesenheit / absente / vacances / congés / congé / vacaciones / ausencia / ausente
    assente / assenza / ferie / afwezig / afwezigheid / vakantie / férias / ausência / urlop / nieobecność
    nieobecny / nieobecna / frånvaro / frånvarande / semester / fravær / fraværende / barselsorlov
    poissa / poissaolo / loma / dovolená / nepřítomnost / szabadság / távollét / távol / izin / izindeyim
    отпуск / отсутствую / отсутствие / 不在 / 休暇 / 休假 / 外出 / 出差 / 出張 / 휴가 / 부재
    """

ABSENCE = tuple(phrase for text in _ABSENCE.values() for phrase in phrases(text))
ABSENCE_AT_START = frozenset(phrases(_ABSENCE_AT_START))

# Filters that ask the sender, by name.
CHALLENGE_PRODUCTS = phrases(
    """
    boxtrapper / box trapper / tmda / spamarrest / spam arrest / choicemail / spamblocker / mailblocks
    active spam killer / boxbe / sendio / mailinblack / mail in black / vanquish / knowspam / bluebottle
    antispam uol / anti-spam uol / spamlion / 0spam / digiportal / spamcerbere / spamguard / permessage
    ipermitmail / cleanmymailbox / spam interceptor
    mailwasher / spamenmoins / quarantainenet / nospamtoday
    """
)
# What a challenge's subject says.
CHALLENGE_SUBJECTS = phrases(
    """
    verify# / requires verification / requires confirmation / requires your confirmation
    requires your attention / please confirm / please verify
    please authenticate / must confirm / must verify
    confirm your / confirm you / confirmation required / confirmation request / confirmation needed
    confirmation of your / confirmation for your
    verify your / verification required / verification request
    verification needed / sender verification / sender confirmation / sender authentication / authenticate
    authentication required / challenge / awaiting verification / awaiting confirmation / awaiting approval
    waiting for approval / waiting for your confirmation / registration request / is waiting / has been held
    is being held / is pending / action required / human verification / allow list / approved senders
    bestätigung erforderlich / bestätigung ihrer / bestätigung notwendig / bitte bestätigen
    bitte verifizieren / absenderbestätigung / absenderverifikation / confirmez / confirmer votre
    confirmation de votre / authentification / authentifiez / authentifier / confirmación / confirme su
    confirmar su / verificación / conferma / verifica / confirmação / confirme sua / confirmar / bevestig
    bevestiging / potwierdź / potwierdzenie / bekräfta / bekræft / bekreft / vahvista / potvrzení / potvrďte
    megerősítés / onay / подтвердите / подтверждение / 確認 / 認証 / 确认 / 验证 / 驗證 / 확인 / 인증
    """
)
# That a mail waits for its sender, in the text.
CHALLENGE_HELD = phrases(
    """
    real human / live human / real person / actual person / human being / not a spam / not a robot
    not a machine / not a computer / is being held
    has been held / are being held / been quarantined / on hold
    been placed in / been put in / is waiting / is pending / been stored / not been verified
    not yet been verified / not been confirmed / not been approved / not yet been approved / approved sender
    approved senders / known sender / not in my / not on my / not in our / not on our / not on the list
    only from senders / only accept / accept mail only / from receiving junk / control spam / fight spam
    reduce spam / avoid spam / stop spam / unsolicited / prevent spam / protect / spam filter / anti-spam
    antispam / spamschutz / zurückgehalten / quarantäne / unbekannter absender / spam-schutz / pourriel
    indésirable / en attente / mise en quarantaine / bloqué
    retenido / en espera / no deseado / correo basura
    in attesa / trattenut / indesiderat / aguardando / retida / lixo eletrônico / wordt vastgehouden
    in de wacht / wstrzyman / oczekuje / zadržen / ожидает / задержан / спам / спама / 迷惑メール / 保留
    垃圾邮件 / 垃圾郵件 / 스팸
    """
)
# What the sender is to do about it, in the text.
CHALLENGE_REQUEST = phrases(
    """
    verify / confirm / authenticate / click / complete the / reply to this / simply reply / just reply
    send an empty / release your message / register / prove
    bestätigen / anklicken / klicken / antworten sie
    freischalten / verifizieren / cliquez / cliquant
    cliquer / confirmer / authentifier / valider / répondez
    haga clic / pulse / confirme / confirmar / verifique
    responda / clicca / cliccare / confermare / conferma
    rispond / clique / clicar / autenticar / klik / bevestig / beantwoord / kliknij / potwierdź / odpowiedz
    klikněte / potvrďte / klicka / bekräfta / перейдите / нажмите / ответьте / подтвердите / подтвердить
    クリック / 返信 / 确认 / 点击 / 點擊 / 回复 / 回覆 / 클릭 / 회신
    """
)
