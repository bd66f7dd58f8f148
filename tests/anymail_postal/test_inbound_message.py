"""What a mail contains is what a mail program shows: bodies, files, and nothing of what is attached."""

import base64
import copy
import pickle
from email.message import EmailMessage

import pytest

from anymail_postal.inbound_message import parse
from tests.each import each

HEAD = "From: Ann <ann@remote.example>\nTo: in@example.test\nSubject: Hi\nMIME-Version: 1.0\n"
TEXT = "Content-Type: text/plain; charset=utf-8\n\n"
HTML = "Content-Type: text/html; charset=utf-8\n\n"
PNG = "Content-Type: image/png\nContent-Transfer-Encoding: base64\n"
DATA = "\niVBORw0KGgo="
CALENDAR = "Content-Type: text/calendar; method=REQUEST; charset=utf-8\n\nBEGIN:VCALENDAR\nEND:VCALENDAR"
STATUS = (
    "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b.example"
)
INNER = "Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: {}\n\n{}"


def multipart(subtype, *parts, boundary="b"):
    inner = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{subtype}; boundary={boundary}\n\n{inner}--{boundary}--\n"


def mail(text):
    return parse((HEAD + text).replace("\n", "\r\n").encode())


def names(parts):
    return [part.get_filename() for part in parts]


# what a mail is -> its text, HTML, attachments and inlines by name
CONTENTS = {
    "text": (TEXT + "Hello\n", "Hello\n", None, [], []),
    "no type at all": ("\nHello\n", "Hello\n", None, [], []),
    "HTML": (HTML + "<p>Hello</p>\n", None, "<p>Hello</p>\n", [], []),
    "nothing": ("\n", "", None, [], []),
    "alternative": (multipart("alternative", TEXT + "a", HTML + "<p>a</p>"), "a", "<p>a</p>", [], []),
    "a picture that the HTML beside it cannot show, as it has no id": (
        multipart("related", HTML + "<p>a</p>", PNG.replace("\n", "; name=p.png\n", 1) + DATA),
        None,
        "<p>a</p>",
        ["p.png"],
        [],
    ),
    "a page behind its picture": (
        multipart("related", PNG + "Content-ID: <p>\n" + DATA, HTML + "<img src='cid:p'>"),
        None,
        "<img src='cid:p'>",
        [],
        ["attachment.png"],
    ),
    "a page that is named as the one to start with": (
        multipart(
            'related; start="<page>"',
            "Content-ID: <other>\n" + HTML + "<p>b</p>",
            "Content-ID: <page>\n" + HTML + "<p>a</p>",
        ),
        None,
        "<p>a</p>",
        [],
        [None],
    ),
    "alternative in the wrong order": (
        multipart("alternative", HTML + "<p>a</p>", TEXT + "a"),
        "a",
        "<p>a</p>",
        [],
        [],
    ),
    "two texts that say the same": (multipart("alternative", TEXT + "a", TEXT + "b"), "a", None, [], []),
    "Apple Mail around a picture": (
        multipart(
            "mixed",
            TEXT + "before",
            PNG + "Content-Disposition: inline; filename=p.png\n" + DATA,
            TEXT + "\nafter",
        ),
        "before\n\nafter",
        None,
        [],
        ["p.png"],
    ),
    "Apple Mail's rich text around a file": (
        multipart(
            "alternative",
            TEXT + "before\n\nafter",
            multipart(
                "mixed",
                HTML + "<p>before</p>",
                "Content-Type: application/pdf; name=a.pdf\nContent-Disposition: inline; filename=a.pdf\n\nx",
                HTML + "<p>after</p>",
                boundary="c",
            ),
        ),
        "before\n\nafter",
        "<p>before</p>\n<p>after</p>",
        [],
        ["a.pdf"],
    ),
    "a list's footer": (
        multipart(
            "mixed", multipart("alternative", TEXT + "a", HTML + "<p>a</p>", boundary="c"), TEXT + "footer"
        ),
        "a\nfooter",
        "<p>a</p>",
        [],
        [],
    ),
    "three texts and two HTMLs": (
        multipart("mixed", TEXT + "1", HTML + "<p>1</p>", TEXT + "2\n", HTML + "<p>2</p>", TEXT + "3"),
        "1\n2\n3",
        "<p>1</p>\n<p>2</p>",
        [],
        [],
    ),
    "one file": (
        "Content-Type: application/zip; name=r.zip\nContent-Disposition: attachment; filename=r.zip\n\nx",
        None,
        None,
        ["r.zip"],
        [],
    ),
    "one file without a disposition": ("Content-Type: image/tiff\n\nx", None, None, ["attachment.tiff"], []),
    "one text that is a file": (
        "Content-Type: text/plain\nContent-Disposition: attachment; filename=log.txt\n\nx",
        None,
        None,
        ["log.txt"],
        [],
    ),
    "encrypted": (
        "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\nx",
        None,
        None,
        ["smime.p7m"],
        [],
    ),
    "one invitation": (CALENDAR, None, None, ["attachment.ics"], []),
    "one mail": (INNER.format("text/plain", "x"), None, None, ["attachment.eml"], []),
    "files without names or dispositions": (
        multipart(
            "mixed",
            TEXT + "a",
            "Content-Type: application/pdf\n\nx",
            PNG + DATA,
            "Content-Type: application/pdf\nContent-Disposition: attachment\n\ny",
            "Content-Type: x-odd/type\n\nz",
            "Content-Type: text/vcard\n\nz",
            "Content-Type: application/vnd.openxmlformats-officedocument.wordprocessingml.document\n\nz",
        ),
        "a",
        None,
        [
            "attachment.pdf",
            "attachment.png",
            "attachment.pdf",
            "attachment",
            "attachment.vcf",
            "attachment.docx",
        ],
        [],
    ),
    "names without dispositions": (
        multipart(
            "mixed",
            TEXT + "a",
            "Content-Type: application/pdf; name=scan.pdf\n\nx",
            "Content-Type: text/plain; name=notes.txt\n\nx",
            "Content-Type: text/html; name=page.html\n\nx",
        ),
        "a",
        None,
        ["scan.pdf", "notes.txt", "page.html"],
        [],
    ),
    "a text file first": (
        multipart(
            "mixed", "Content-Type: text/plain\nContent-Disposition: attachment\n\nLOG", TEXT + "see log"
        ),
        "see log",
        None,
        ["attachment.txt"],
        [],
    ),
    "a text file shown in line": (
        multipart(
            "mixed",
            TEXT + "a",
            "Content-Type: text/plain\nContent-Disposition: inline; filename=l.txt\n\nLOG",
        ),
        "a",
        None,
        [],
        ["l.txt"],
    ),
    "bodies marked as in line": (
        multipart(
            "mixed",
            "Content-Type: text/plain\nContent-Disposition: inline\n\na",
            "Content-Type: text/html\nContent-Disposition: inline\n\n<p>b</p>",
        ),
        "a",
        "<p>b</p>",
        [],
        [],
    ),
    "pictures of the HTML": (
        multipart(
            "related",
            HTML + "<img src=cid:i>",
            PNG + "Content-ID: <i>\n" + DATA,
            PNG + "Content-ID: <j>\nContent-Disposition: attachment; filename=j.png\n" + DATA,
        ),
        None,
        "<img src=cid:i>",
        ["j.png"],
        ["attachment.png"],
    ),
    "invitation beside the text": (
        multipart("alternative", TEXT + "a", HTML + "<p>a</p>", CALENDAR),
        "a",
        "<p>a</p>",
        ["attachment.ics"],
        [],
    ),
    "other renderings of the text": (
        multipart(
            "alternative", TEXT + "a", "Content-Type: text/x-amp-html\n\n<html amp4email>", HTML + "<p>a</p>"
        ),
        "a",
        "<p>a</p>",
        [],
        [],
    ),
    "only a rendering that is neither": (
        multipart("alternative", "Content-Type: text/enriched\n\n<bold>a</bold>"),
        "<bold>a</bold>",
        None,
        [],
        [],
    ),
    "bounce": (
        multipart("report", TEXT + "Sorry.", STATUS, INNER.format("text/plain", "mine")),
        "Sorry.",
        None,
        ["attachment", "attachment.eml"],
        [],
    ),
    "complaint": (
        multipart(
            "report",
            TEXT + "Spam.",
            "Content-Type: message/feedback-report\n\nFeedback-Type: abuse",
            "Content-Type: text/rfc822-headers\n\nSubject: mine",
        ),
        "Spam.",
        None,
        ["attachment", "attachment"],
        [],
    ),
    "signed": (
        multipart("signed", TEXT + "a", "Content-Type: application/pgp-signature; name=signature.asc\n\nx"),
        "a",
        None,
        ["signature.asc"],
        [],
    ),
    "a mail attached to HTML": (
        multipart("mixed", HTML + "<p>mine</p>", INNER.format("text/plain", "another's")),
        None,
        "<p>mine</p>",
        ["attachment.eml"],
        [],
    ),
    "a mail attached to text": (
        multipart(
            "mixed",
            TEXT + "mine",
            INNER.format("text/html", "<p>another's</p>").replace(
                "\n\n", '\nContent-Disposition: attachment; filename="orig.eml"\n\n', 1
            ),
        ),
        "mine",
        None,
        ["orig.eml"],
        [],
    ),
    "a mail attached with files and pictures": (
        multipart(
            "mixed",
            TEXT + "mine",
            "Content-Type: message/rfc822\n\n"
            + multipart(
                "mixed",
                TEXT + "x",
                PNG + "Content-ID: <i>\nContent-Disposition: inline; filename=i.png\n" + DATA,
                "Content-Type: a/b\nContent-Disposition: attachment; filename=f\n\nx",
                boundary="c",
            ),
        ),
        "mine",
        None,
        ["attachment.eml"],
        [],
    ),
    "digest": (
        multipart("digest", "\nSubject: 1\n\nx", "\nSubject: 2\n\ny"),
        None,
        None,
        ["attachment.eml"] * 2,
        [],
    ),
    "boundary that is not there": (
        "Content-Type: multipart/mixed; boundary=b\n\nHello\n--c\n",
        "Hello\n--c\n",
        None,
        [],
        [],
    ),
    "no boundary": ("Content-Type: multipart/mixed\n\nHello\n", "Hello\n", None, [], []),
    "odd type": ("Content-Type: text\n\nHello\n", "Hello\n", None, [], []),
}


@each("case", CONTENTS)
def test_contents_are_those_that_a_mail_program_shows(case):
    text, *wanted = CONTENTS[case]
    message = mail(text)
    found = [message.text, message.html, names(message.attachments), names(message.inlines)]
    assert found == wanted
    again = parse(message.as_bytes())
    assert [again.text, again.html, names(again.attachments), names(again.inlines)] == wanted


@pytest.mark.parametrize("subtype", ["mixed", "related", "alternative"])
def test_multipart_that_ends_before_it_begins_is_empty(subtype):
    message = mail(multipart(subtype))
    assert (message.text, message.html, message.attachments, message.inlines) == (None, None, [], [])


def test_pictures_are_found_by_their_ids():
    message = mail(CONTENTS["pictures of the HTML"][0])
    assert [*message.content_id_map] == ["i", "j"]
    assert message.content_id_map["i"].get_content_bytes() == b"\x89PNG\r\n\x1a\n"
    assert mail(CONTENTS["a mail attached with files and pictures"][0]).content_id_map == {}


def test_every_file_can_be_had_as_django_has_it():
    message = mail(CONTENTS["names without dispositions"][0])
    files = [part.as_uploaded_file() for part in message.attachments]
    assert [(file.name, file.content_type) for file in files] == [
        ("scan.pdf", "application/pdf"),
        ("notes.txt", "text/plain"),
        ("page.html", "text/html"),
    ]
    (nameless,) = mail("Content-Type: image/tiff\n\nx").attachments
    assert (nameless.as_uploaded_file().name, nameless.as_uploaded_file().read()) == ("attachment.tiff", b"x")
    assert mail(TEXT + "x").as_uploaded_file() is None


def test_a_given_name_is_not_replaced():
    message = mail("Content-Type: application/pdf\n\nx")
    assert (message.get_filename(), message.get_filename("none.pdf")) == ("attachment.pdf", "none.pdf")


@pytest.mark.parametrize("content_type", ["text/plain", "text/html", "multipart/mixed; boundary=b"])
def test_what_is_no_file_has_no_name(content_type):
    assert mail(f"Content-Type: {content_type}\n\nx").get_filename() is None


ENDS_OF_HEADERS = {
    "no end": ("Subject: Hi", "Hi", ""),
    "no end, with a line end": ("Subject: Hi\n", "Hi", ""),
    "text right behind": ("Subject: Hi\nHello Ann,\n\nbye\n", "Hi", "Hello Ann,\n\nbye\n"),
    "no header": ("Hello Ann,\nhow are you?\n", None, "Hello Ann,\nhow are you?\n"),
    "an empty line first": ("\nSubject: Hi\n", None, "Subject: Hi\n"),
    "blanks first": ("  Hello\n", None, "  Hello\n"),
    "from a mailbox": ("From ann Mon Jan  2\nSubject: Hi\n\nx\n", "Hi", "x\n"),
    "nothing": ("", None, ""),
}


@each("raw, subject, text", ENDS_OF_HEADERS.values(), ids=ENDS_OF_HEADERS)
@each("line_end", ["\n", "\r\n"])
def test_nothing_is_lost_where_the_header_has_no_end(raw, subject, text, line_end):
    message = parse(raw.replace("\n", line_end).encode())
    assert (message.subject, message.text) == (subject, text)


QUOTED, PLAIN = "Gr=C3=BC=C3=9Fe", base64.b64encode("Grüße".encode()).decode()
ENCODINGS = {
    "base64 ": PLAIN,
    "base64;": PLAIN,
    "base64 (by hand)": PLAIN,
    "(by hand) base64": PLAIN,
    '"base64"': PLAIN,
    "BASE64": PLAIN,
    "base64; x=y": PLAIN,
    "quoted-printable;": QUOTED,
    "Quoted-Printable": QUOTED,
    "quoted-printable (x)": QUOTED,
    "8bit;": "Grüße",
    "8bit (x)": "Grüße",
    "binary": "Grüße",
    "x-odd": "Grüße",
    "": "Grüße",
}


@each("encoding, body", ENCODINGS.items())
def test_transfer_encodings_with_something_around_them(encoding, body):
    assert mail(f"{TEXT.strip()}\nContent-Transfer-Encoding: {encoding}\n\n{body}").text == "Grüße"


@each(
    "raw, text",
    [
        (b"\n\na\0b\0\n", "ab\n"),
        (b"Content-Type: text/plain; charset=utf-16le\n\n" + "a\0b".encode("utf-16-le"), "ab"),
        (b"Content-Type: text/plain; charset=utf-7\n\n+2AA-x", "x"),
        (b"Content-Type: text/plain; charset=us-ascii\n\nGr\xfc\xdfe", "Grüße"),
        (b"Content-Type: text/plain; charset=us-ascii\n\nGr\xc3\xbc", "Grü"),
        (b"Content-Type: text/plain; charset=iso-8859-1\n\n\x80 5", "€ 5"),
    ],
)
def test_text_is_one_that_every_database_takes(raw, text):
    message = parse(raw.removeprefix(b"\n") if raw.startswith(b"\n\n") else raw)
    message.text.encode()
    assert "\0" not in message.text
    assert message.text.replace("\N{REPLACEMENT CHARACTER}", "").strip() == text.strip()


HEADERS = {
    "NUL": (b"Subject: a\0b", "ab"),
    "encoded NUL": (b"Subject: =?utf-8?q?a=00b?=", "ab"),
    "8 bits of UTF-8": ("Subject: Grüße".encode(), "Grüße"),
    "8 bits of windows-1252": (b"Subject: Gr\xfc\xdfe 5 \x80", "Grüße 5 €"),
    "encoded line break": (b"Subject: =?utf-8?q?a=0AX:_y?=", "a X: y"),
    "folded": (b"Subject: a\r\n b\r\n\tc", "a b\tc"),
    "Japanese": (b"Subject: =?iso-2022-jp?B?GyRCLSFIVhsoQg==?=", "①番"),
    "blanks before the colon": (b"Subject : Hi", "Hi"),
    "empty": (b"Subject:", ""),
}


@each("raw, subject", HEADERS.values(), ids=HEADERS)
def test_subject_is_one_line_that_every_database_takes(raw, subject):
    assert parse(raw + b"\r\n\r\nx").subject == subject


def test_names_and_addresses_are_such_text_too():
    message = parse(
        b"From: =?utf-8?q?A=00nn?= <a\0nn@remote.example>\r\nContent-Type: application/pdf\r\n"
        b'Content-Disposition: attachment; filename="a\0=?utf-8?q?=00b?=.pdf"\r\n\r\nx'
    )
    assert str(message.from_email) == "Ann <ann@remote.example>"
    assert names(message.attachments) == ["ab.pdf"]


def flowed(parameters, body, transfer_encoding="7bit"):
    return mail(
        f"Content-Type: text/plain; charset=utf-8; format=flowed{parameters}\n"
        f"Content-Transfer-Encoding: {transfer_encoding}\n\n{body}"
    )


def test_flowed_text_is_joined():
    assert flowed("", "Hello \nAnn,\n \n> quoted \n> text\n").text == "Hello Ann,\n\n> quoted text\n"
    assert flowed("; delsp=yes", "Donau \ndampf\n").text == "Donaudampf\n"
    assert flowed("; DelSp=Yes", "Hello=20\nAnn\n", "quoted-printable").text == "HelloAnn\n"
    assert mail(TEXT.strip() + "; Format=Flowed\n\na \nb\n").text == "a b\n"


def test_other_text_is_not_joined():
    assert mail(TEXT + "a \nb\n").text == "a \nb\n"
    assert mail(TEXT.strip() + "; format=fixed\n\na \nb\n").text == "a \nb\n"


def test_a_flowed_file_stays_as_it_is():
    message = mail(TEXT.strip() + "; format=flowed\nContent-Disposition: attachment\n\na \nb\n")
    (found,) = message.attachments
    assert found.get_content_text() == "a \nb\n"


# --- headers as Python has them ---

RICH = HEAD + (
    "Cc: =?utf-8?q?Doe=2C_J=C3=BC?= <j@x.example>, Team: a@b.example;\nSender: s@x.example\n"
    "Date: Tue, 3 Jan 2023 04:05:06 +0100\nContent-Type: text/plain; charset=utf-8\n"
    "Content-Transfer-Encoding: 8bit;\nContent-Disposition: inline; filename*=utf-8''%C3%BC.txt\n\nx\n"
)


def test_headers_have_the_attributes_of_pythons():
    message = parse(RICH.encode())
    assert [str(each) for each in message["Cc"].addresses] == ['"Doe, Jü" <j@x.example>', "a@b.example"]
    assert message["Cc"] == '"Doe, Jü" <j@x.example>, a@b.example'
    assert [each.addresses[0].addr_spec for each in message["Cc"].groups] == ["j@x.example", "a@b.example"]
    assert message["Sender"].address.addr_spec == "s@x.example"
    assert message["Date"].datetime == message.date
    assert message["Content-Type"].content_type == "text/plain"
    assert (message["Content-Type"].maintype, message["Content-Type"].subtype) == ("text", "plain")
    assert message["Content-Type"].params["charset"] == "utf-8"
    assert message["Content-Transfer-Encoding"].cte == "8bit"
    assert message["Content-Disposition"].content_disposition == "inline"
    assert message["Content-Disposition"] == 'inline; filename="ü.txt"'
    assert (message["Subject"].name, message["Subject"].defects) == ("Subject", ())


def test_headers_can_be_given_to_another_message():
    message = parse(RICH.encode())
    other = EmailMessage()
    for name in ("Cc", "Subject", "Date"):
        other[name] = message[name]
    again = parse(other.as_bytes())
    assert [str(each) for each in again.cc] == ['"Doe, Jü" <j@x.example>', "a@b.example"]
    assert (again.subject, again.date) == ("Hi", message.date)


def test_headers_that_are_set_come_back_from_the_bytes():
    message = parse(b"\nx\n")
    message["Subject"] = "Grüße " * 100
    message["To"] = "Doe, Jürgen" + " <j@x.example>"
    message["X-Long"] = "w" * 2000
    message.add_header("Content-Disposition", "attachment", filename="ü " * 50 + ".pdf")
    again = parse(message.as_bytes())
    assert again.subject == ("Grüße " * 100).strip()
    assert again["X-Long"] == "w" * 2000
    assert again.get_filename() == message.get_filename() == "ü " * 50 + ".pdf"
    assert message.as_string().splitlines()[0].isascii()


def test_headers_and_messages_can_be_copied_and_pickled():
    message = parse(RICH.encode())
    for again in (copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert again.as_bytes() == message.as_bytes()
    header = pickle.loads(pickle.dumps(message["Cc"]))
    assert (header, header.addresses) == (message["Cc"], message["Cc"].addresses)


def test_8_bit_mail_is_written_as_it_came():
    raw = b"Subject: Gr\xfc\xdfe\nX: \xc3\xbc\n\nGr\xfc\n"
    assert parse(raw).as_bytes() == raw
    assert "Grüße" in parse(raw).as_string()


def test_html_without_a_label_is_read_by_its_own():
    html = '<meta charset="windows-1251"><p>Привет'
    assert parse(b"Content-Type: text/html\r\n\r\n" + html.encode("cp1251")).html == html
