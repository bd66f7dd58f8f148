from postal_server.mail.header import message_id, subject
from postal_server.mail.report_tree import html_text, messages
from tests.each import each


def mixed(*parts, boundary="b"):
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f"Subject: outer\nContent-Type: multipart/mixed; boundary={boundary}\n\n{body}--{boundary}--\n"


def nested(depth):
    raw = "Subject: 0\n\nhello\n"
    for number in range(1, depth + 1):
        raw = f"Subject: {number}\nContent-Type: message/rfc822\n\n{raw}"
    return raw.encode()


def test_the_outer_messages_come_first_up_to_eight_inside():
    assert [(m.depth, subject(m.header)) for m in messages(nested(2))] == [(0, "2"), (1, "1"), (2, "0")]
    assert [m.depth for m in messages(nested(12))] == list(range(9))


def test_an_attached_message_in_base64_is_opened():
    raw = mixed(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaW5uZXIKCmhlbGxvCg=="
    )
    assert [subject(m.header) for m in messages(raw.encode())] == ["outer", "inner"]


def test_what_is_labelled_base64_and_is_none_is_read_as_it_is():
    raw = mixed(f"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{ID}\nhello")
    assert message_id(next(messages(raw.encode())).returned) == "m@d.example"


def test_parts_and_messages_are_bounded():
    raw = mixed(*["\nx"] * 300).encode()
    assert len(next(messages(raw)).leaves) < 100
    assert len(list(messages(mixed(*["Content-Type: message/rfc822\n\nA: b\n\nx"] * 300).encode()))) == 100


@each(
    "parts, text",
    [
        (["\nfirst", "\nsecond"], "first\n\nsecond"),
        (["Content-Type: text/html\n\n<p>one</p><p>two &lt;a@b&gt;</p>"], "one\n\ntwo <a@b>"),
        (
            ["\nlong enough to be the text", "Content-Type: text/html\n\n<p>x</p>"],
            "long enough to be the text",
        ),
        (["Content-Type: image/png\n\nx"], ""),
    ],
    ids=["plain", "HTML alone", "both", "none"],
)
def test_the_text_of_a_message(parts, text):
    assert next(messages(mixed(*parts).encode())).text.strip() == text


def test_the_text_is_cut():
    assert len(next(messages(b"\n" + b"x" * 200_000)).text) == 50_000


ID = "Message-ID: <m@d.example>\nSubject: inner\n"


@each(
    "part",
    [
        f"Content-Type: message/rfc822\n\n{ID}\nhello",
        f"Content-Type: message/rfc822\n\n\n\n{ID}\nhello",
        f"Content-Type: message/rfc822\n\n>From a@b Mon Nov  2 09:12:59 2026\n{ID}\nhello",
        f"Content-Type: text/rfc822-headers\n\n{ID}",
        f"Content-Type: message/global-headers\n\n{ID}",
        f"Content-Type: text/plain\n\n{ID}\nhello",
        f"Content-Type: application/octet-stream\n\n{ID}\nhello",
        f"Content-Type: text/plain\n\nThe header:\n\n> {ID}",
    ],
)
def test_the_returned_header_whatever_its_label(part):
    message = next(messages(mixed("\nSorry.", part).encode()))
    assert message_id(message.returned) == "m@d.example"


def test_the_recipients_of_the_returned_message():
    returned = (
        f"Content-Type: message/rfc822\n\n{ID}To: A <a@d.example>, b@d.example, nobody\nCc: c@d.example\n"
    )
    message = next(messages(mixed(returned).encode()))
    assert message.returned_to == ["a@d.example", "b@d.example"]
    broken = next(messages(mixed(returned.replace("To: A", "To: a group:")).encode()))
    assert broken.returned_to == ["c@d.example"]


@each(
    "html, text",
    [
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<style>p { color: red }</style>x<script>y</script>", "x"),
        ("<p>to <a@b.example></p>", "to <a@b.example>"),
        ('<a href="mailto:a@b.example">a</a>&nbsp;b', "a b"),
        ("1 < 2 &amp; <b>x", "1 < 2 & x"),
        ("<script>never closed", ""),
        ("a\nb<pre>c\nd</pre>e\nf", "a b\nc\nd\ne f"),
    ],
)
def test_html_as_text(html, text):
    assert html_text(html).strip() == text
