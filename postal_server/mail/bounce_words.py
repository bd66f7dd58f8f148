"""Words of failure notices in any language, as plain phrases (see `phrases`)."""

from __future__ import annotations

from .phrases import phrases

# In From: who sends such notices.
MAILERS = phrases(
    """
    mailer-daemon / mailer daemon / mailerdaemon / mailer_daemon / mail-daemon / maildaemon / mdaemon
    mail delivery / maildelivery / mail-delivery / mail_delivery / delivery subsystem
    delivery system / delivery notif / delivery status / delivery fail / delivery agent / postmaster
    post_master / post-master / post master / microsoftexchange / microsoft exchange / system administrator
    systemadministrator / mail administrator / mailadmin / mail-admin / mail_admin / mailmaster
    mail system
    mailsystem / mail-system / mail router / mail server / mailserver / mail transport / mail gateway
    mail transfer / mail handler / internet mail / email system / e-mail system / undeliver
    daemon@ / mta@ / smtp@ / smtpd / mmdf / pmdf / lotus notes / groupwise / non-delivery / mailsweeper
    mailmarshal / mail agent / mailagent / inter scan / interscan / system operator
    systemadministrateur / administrateur système / administrador del sistema / amministratore di sistema
    administrador do sistema / systeembeheerder / systemadministratör / administrator systemu
    системный администратор / система доставки / システム管理者 / メール配信 / 系统管理员 / 系統管理員
    시스템 관리자 / distribution du courrier / 退信
    """
)
# In a subject: a mail did not arrive.
FAILURE_SUBJECTS = phrases(
    """
    undeliver / un-deliver / non deliver / non-deliver / nondeliver / not deliver / returned mail
    returned message
    mail returned / message returned / return to sender / returned to sender / failure notice
    delivery fail
    delivery status / delivery has failed / delivery report / delivery problem / delivery notif
    delivery error
    delivery unsuccessful / delivery delay / delivery attempt / delivery was / delivery subsystem
    mail failure
    mail delivery / mail failed / message delivery / message failed / email failed / e-mail failed
    failed mail
    failed delivery / failed email / failure delivering / failure to deliver / unable to deliver
    cannot deliver
    can't deliver / could not deliver / couldn't deliver / could not be deliver / couldn't be deliver
    cannot be deliver / can't be deliver / wasn't deliver / not be deliver / unable to send / could not send
    could not be sent / cannot be sent / mail error / mail system error / error in mail / message status
    status notification / unknown user / user unknown / no such user / invalid recipient / recipient unknown
    unknown recipient / invalid address / address not found / unknown address / recipient not found / bounce
    bounced / rejected mail / mail rejected / message rejected / rejected: / mailbox full / mailbox is full
    over quota / quota exceeded / could not send message / still being retried / delayed mail
    mail delayed / message delayed / warning: message / warning - delayed / nondelivery / could not reach
    did not reach / non-receipt / mail non / banned contents / apparently from you / in mail from you
    unzustellbar / nicht zustellbar / zustellung fehl / zustellung verzögert / zustellfehler / zustellungs
    zustellbericht / zustellbenachricht / nicht zugestellt / nicht ausgeliefert / unzustellbarkeit
    fehler beim
    non remis / non distribu / non-remise / échec de la remise / échec de remise / échec de la distribution
    échec de livraison / non délivr / notification d'état de remise / retour de courrier / remise retardée
    message non / courrier non / impossible de remettre / rapport de non
    no se puede entregar / no se pudo entregar / no entregado / no se ha podido entregar / error de entrega
    fallo de entrega / fallo en la entrega / devuelto / estado de la entrega / sin entregar
    imposible entregar
    non recapitabile / non recapitat / mancata consegna / non consegnat / impossibile recapitare
    impossibile consegnare
    errore di consegna / notifica di mancat / stato del recapito / consegna fallita / avviso di mancata
    niet bezorgd / onbestelbaar / niet afgeleverd / bezorging mislukt / kan niet worden / niet aflever
    não entregue / não foi entregue / falha na entrega / falha de entrega / devolvid / não entregável
    não é possível entregar / não pôde ser entregue / erro na entrega / status da entrega
    impossível entregar
    niedostarcz / nie dostarcz / nie można dostarczyć / nie mogła zostać dostarczona / zwrot wiadomości
    zwrot poczty
    kan inte levereras / kunde inte levereras / ej levererat / inte levererat / olevererat / leveransfel
    oleverbar
    kan ikke leveres / kunne ikke leveres / ikke leveret / ikke levert / leveringsfejl / uanbringelig
    ikke-leveret
    ei voitu toimittaa / ei toimitettu / toimitus epäonnistui / toimittamatta / perillä toimittamaton
    toimitusvirhe
    nedoruč / nelze doručit / nebylo doručeno / nebyla doručena / kézbesíthetetlen / nem kézbesíthető
    kézbesítési
    kézbesítés / teslim edileme / iletilemedi / teslim edilmedi / ulaştırılamad / gönderilemed
    не доставлено / недоставлен / не удалось доставить / не может быть доставлен / невозможно доставить
    недоставка / не доставлен / ошибка доставки / уведомление о доставке / не доставлено: / сбой доставки
    配信不能 / 配信できません / 配信エラー / 配送エラー / 送信できません / 配達できません / 配達不能
    送信エラー
    不達 / 届きません / 届けられません / 配信失敗 / エラーメール / 送信に失敗 / メールエラー / 配信未完了
    未配信
    退信 / 退回 / 无法投递 / 無法投遞 / 无法送达 / 無法傳遞 / 无法传递 / 未送达 / 未送達 / 发送失败
    傳送失敗 / 投递失败 / 無法傳送
    投遞失敗 / 未传递 / 未傳遞 / 传递失败 / 寄送失败 / 发信失败
    배달되지 / 배달할 수 없 / 배달 실패 / 전송 실패 / 전송실패 / 반송 / 발송 실패 / 배달 못한 / 전달되지
    발송실패
    не вдалося доставити / недоставлене / nedoručiteľn / netrimis / nelivrat / nu a putut fi livrat
    nedostavljen
    αδυναμία παράδοσης / δεν παραδόθηκε / αποτυχία παράδοσης / לא ניתן למסור / כשל במסירה / תعذر التسليم
    تعذر تسليم
    """
)
# In the first lines of the text: the same.
FAILURE_TEXTS = (
    *(phrase for phrase in FAILURE_SUBJECTS if " " in phrase and len(phrase) > 12),
    *phrases(
        """
        could not be delivered / couldn't be delivered / cannot be delivered / can not be delivered
        was not delivered / wasn't delivered / were not delivered / not been delivered
        has not been delivered
        have not been delivered / undeliverable / undelivered / was undeliverable / failed permanently
        delivery to the following / following address / following recipient / following destination
        failed recipient / failed address / failed to deliver / was not able to deliver
        wasn't able to deliver
        not able to deliver / were unable to deliver / was unable to deliver / unable to be delivered
        is being returned / being returned to you / message is returned / was returned / returned to sender
        could not be sent / not be sent to / did not reach / not reach the / cannot be reached
        could not be reached
        permanent fatal error / permanent error / permanent failure / fatal error / delivery error
        had delivery
        non-delivered / rejected by / was rejected / has been rejected / refused by / error occurred while
        said: 5 / returned the following / error message / does not exist / user unknown / unknown user
        no such user / no such address / unknown address / unknown recipient / not a valid / mailbox is full
        mailbox full / problem delivering / problems delivering / trouble delivering
        error delivering
        delivery attempt / were unsuccessful / was unsuccessful / we were unable / not listed in
        bad address
        konnte nicht zugestellt / nicht zugestellt werden / konnte nicht ausgeliefert / nicht erreicht
        konnte nicht an / nicht gefunden werden / kann nicht zugestellt / existiert nicht / ist unbekannt
        n'a pas pu être / n'a pu être / n'ont pas pu / n'est pas parvenu / impossible de délivrer
        n'existe pas
        pas été remis / pas été délivré / échec
        no pudo ser entregado / no ha podido ser / no se pudo / no se puede / no ha sido entregado
        no existe
        no alcanzó / no llegó
        non è stato possibile / non e' stato possibile / non ha raggiunto / non esiste / non può essere
        non puo' essere / impossibile
        kon niet / niet worden bezorgd / niet bereikt / bestaat niet
        não pôde ser / não foi possível / não pode ser / não existe / não chegou
        nie może zostać / nie mogła / nie mogło / nie udało się / nie istnieje / nie dotarła
        kunde inte / gick inte att / kunne ikke / blev ikke / ikke leveres / kan ikke / ei voitu / ei voi
        nelze / nebylo možné / nebyla / neexistuje / nem sikerült / nem lehet / nem kézbesít
        teslim edile / gönderileme / bulunamadı
        не может быть / не могло быть / не было доставлено / не доставлено / не удалось / не найден
        не существует
        не дошло / невозможно
        できませんでした / できません / 届きませんでした / エラー / 存在しません / 見つかりません / 失敗
        无法 / 無法 / 退回 / 失败 / 失敗 / 不存在 / 被拒 / 被退
        없습니다 / 실패 / 반송 / 존재하지
        """
    ),
)
# In subject or first lines: the server goes on trying.
DELAYS = phrases(
    """
    has been delayed / have been delayed / is delayed / was delayed / delivery delayed / delayed delivery
    mail delayed / message delayed / delayed mail / status notification (delay / delivery status: delayed
    delivery is delayed / delivery delay / being delayed / temporarily delayed / not yet been delivered
    still trying
    still be trying / still being retried / will be retried / will retry / will continue to try
    will keep trying
    will continue trying / continue to attempt / attempts will continue / will try again
    continue to be made
    try to deliver it for / keep trying / warning message only / this is a warning / this is only a warning
    do not need to resend / not need to resend / need not resend / no need to resend
    could not send message for past
    transient non-fatal / is still in the queue / not yet delivered / yet been delivered
    yet to be delivered
    delivery will be attempted / will be attempted again / further attempts will / we will continue
    not given up
    zustellung verzögert / zustellung verzoegert / verzögerung / verzögert sich / noch nicht zugestellt
    weitere zustellversuche / weiterhin versucht / remise retardée / a été retardée / retardé
    pas encore été
    nouvelles tentatives / entrega retrasada / se ha retrasado / demorado / retraso / aún no se ha
    consegna ritardata / è in ritardo / ritardo nella / non è ancora stato / vertraagd / vertraging
    entrega atrasada / atraso na / está atrasad / ainda não foi / opóźnion / försenad / försinket
    forsinket
    viivästynyt / zpožděn / késik / késleltet / gecik / задержк / задержано / будут продолжены
    еще не доставлено
    配信の遅延 / 遅延 / 遅れて / 再送 / 延迟 / 延遲 / 延迟投递 / 지연
    """
)
# Where both are said, the failure is final.
GIVEN_UP = phrases(
    """
    permanent error / permanent failure / permanent fatal / failed permanently / gave up / given up
    giving up
    no further attempts / no further delivery / will not be retried / not be attempted / has been removed
    too long / expired / endgültig / définitive / aufgegeben
    delivery has failed to / stopped trying / we have stopped / retries exhausted
    """
)
# A heading above the mail that came back begins so.
ENDS = phrases(
    """
    original message / original mail / original header / original headers / original e-mail / begin original
    original email / original text / the original message / message header / message headers
    message contents
    message content / message text / message follows / mail text / header of / headers of / the header of
    the headers of / the first / returned message / returned mail / returned content / unsent message
    undelivered message / undeliverable message / undelivered mail / below this line / this is a copy
    this is the original / here is a copy / below is a copy / a copy of / copy of the / copy of your
    your original / start of / begin of / begin message / begin forwarded / beginning of / forwarded message
    the text of / text of / the unsent / your message follows / your message reads / the message follows
    the following is the / the following is a copy / following is the / following is a copy
    enclosed is / failed message / rejected message / included is a copy
    included below / included message / the body of / smtp32 original / message body / bounced message
    content of / the complete original / here is your returned / the header and / received: / return-path:
    ursprüngliche nachricht / ursprungsnachricht / originalnachricht / original-nachricht / orginalnachricht
    ursprüngliche kopfzeilen / ursprüngliche nachrichtenkopf / header der / kopie der / hier folgt
    message d'origine / message original / en-têtes du message / en-têtes de message / copie du message
    entête du / mensaje original / encabezados del mensaje / encabezado / copia del mensaje
    messaggio originale / intestazioni / copia del messaggio / oorspronkelijk bericht / oorspronkelijke
    kopie van / mensagem original / cabeçalhos / cópia da mensagem / oryginalna wiadomość
    ursprungligt meddelande / oprindelig / opprinnelig / alkuperäinen / původní zpráva / eredeti üzenet
    özgün ileti / orijinal / исходное сообщение / оригинальное сообщение / заголовки / копия
    元のメッセージ / 元のメール / オリジナル / 以下は / 原始邮件 / 原始郵件 / 邮件原文 / 원본
    원래 메시지
    """
)
# Labels before the recipient, at the beginning of a line.
RECIPIENT_LABELS = phrases(
    """
    rcpt to / recipient / recipients / recipient address / final recipient / intended recipient
    failed recipient / failed recipients / failed address / failed addresses / address / email address
    e-mail address / addressee / destination / destination address / user / mailbox / invalid recipient
    unknown user / unknown recipient / user unknown / undeliverable to / delivery failed to / delivery to
    original recipient / original address / send to / sent to / to address / error-for / account
    empfänger / empfängeradresse / adresse / an / destinataire / destinataires / destinatario
    destinatarios
    dirección / indirizzo / destinatari / ontvanger / ontvangers / destinatário / endereço / odbiorca
    adresat
    mottagare / modtager / mottaker / vastaanottaja / příjemce / címzett / alıcı / получатель / адресат
    кому
    宛先 / 宛先アドレス / 受信者 / 送信先 / 送信先アドレス / 收件人 / 收件人地址 / 收信人 / 받는 사람
    받는사람 / 수신자 / 수신인
    """
)
