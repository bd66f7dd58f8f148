from postal_server.mail.delivery_status import Part
from postal_server.mail.phrases import plain
from postal_server.mail.report_words import find_stage, find_success, squeeze, words_about
from tests.each import each


@each(
    "text, stage",
    [
        ("550 no (in reply to RCPT TO command)", "rcpt"),
        ("550 no (in reply to MAIL FROM command)", "mail"),
        ("550 no (in reply to DATA command)", "data"),
        ("550 no (in reply to end of DATA command)", "dot"),
        ("550 no (in reply to HELO command)", "connect"),
        ("SMTP error from remote mail server after initial connection:", "connect"),
        ("SMTP error from remote mail server after pipelined MAIL FROM:<a@b>:", "mail"),
        ("SMTP error from remote mail server after end of data:", "dot"),
        ("in response to the RCPT TO command", "rcpt"),
        (">>> RCPT To:<a@b.example>\n<<< 550", "rcpt"),
        (">>> DATA\n<<< 554", "data"),
        ("192.0.2.1 does not like recipient.", "rcpt"),
        ("192.0.2.1 failed after I sent the message.", "dot"),
        ("Connected to 192.0.2.1 but sender was rejected.", "mail"),
        ("Connected to 192.0.2.1 but greeting failed.", "connect"),
        ("192.0.2.1 failed on DATA command.", "data"),
        ("550 no such user", "report"),
        ("after mailing", "report"),
        ("", "report"),
    ],
)
def test_the_command_that_was_answered(text, stage):
    assert find_stage(text) == stage


@each(
    "about, explanation, action",
    [
        ("Successful Mail Delivery Report", "", "delivered"),
        ("Delivered: Your order", "", "delivered"),
        ("Relayed: Your order", "", "relayed"),
        ("Expanded: Your order", "", "expanded"),
        ("Remis : Votre commande", "", "delivered"),
        ("Delivery Status Notification (Success)", "", "delivered"),
        ("Report", "Your mail was successfully delivered to a@d.example", "delivered"),
        ("Return receipt", "The following addresses had permanent fatal errors", ""),
        ("Undelivered Mail Returned to Sender", "It could not be delivered.", ""),
        ("Undeliverable: Return receipt", "Your message to a@d.example couldn't be reached.", ""),
        ("Re: Delivery confirmation", "Your message couldn't be delivered.", ""),
        ("Your parcel", "will be delivered: soon", ""),
    ],
)
def test_words_of_success(about, explanation, action):
    assert find_success(plain(about), plain(explanation)) == action


TEXT = "Sorry.\n\n<a@d.example>: no\nroom\n\n<b@d.example>: gone\n\nBye.\n"


@each(
    "part, is_only, words",
    [
        (Part("a@d.example"), False, ">: no\nroom"),
        (Part("x@d.example", "b@d.example"), False, ">: gone"),
        (Part("b@d.example"), True, ">: gone\n\nBye.\n"),
        (Part("x@d.example"), False, ""),
        (Part("x@d.example"), True, TEXT),
        (Part(), True, TEXT),
    ],
)
def test_words_about_a_recipient(part, is_only, words):
    assert words_about(part, TEXT, is_only=is_only) == words


def test_words_are_kept_on_one_line_of_2000_characters():
    assert squeeze(" a\n\n b ") == "a b"
    assert len(squeeze("x" * 5000)) == 2000
