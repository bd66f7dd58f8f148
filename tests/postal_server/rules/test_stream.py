from postal_server.rules.priority import Priority
from postal_server.rules.stream import StreamKind, is_name, kind_of, name_of
from tests.each import each


@each("text", ["receipts", "a", "news.2026_eu-1", "x" * 64])
def test_names(text):
    assert is_name(text)


@each("text", ["", "Receipts", "a b", "x" * 65, "grüße", "a\n", "a/b"])
def test_what_is_no_name(text):
    assert not is_name(text)


@each(
    "text, name",
    [
        ("Password Reset", "password-reset"),
        ("example.com", "example.com"),
        ("  Über uns! ", "ber-uns"),
        ("x" * 100, "x" * 64),
        ("日本", ""),
        ("", ""),
    ],
)
def test_a_name_after_a_text_is_a_name_or_none(text, name):
    assert name_of(text) == name
    assert not name or is_name(name)


def test_the_priority_of_the_first_mail_makes_the_kind():
    assert kind_of(Priority.BULK) is StreamKind.BULK
    assert kind_of(Priority.TRANSACTIONAL) is StreamKind.TRANSACTIONAL
