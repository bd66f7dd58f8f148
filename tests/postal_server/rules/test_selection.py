from __future__ import annotations

from postal_server.rules.selection import Selection, destination_name, takes_any
from tests.each import each


@each(
    "selection, message, takes",
    [
        (Selection(), (1, "a.example", None), True),
        (Selection(1), (1, "a.example", "x"), True),
        (Selection(1), (2, "a.example", "x"), False),
        (Selection(destination="a.example"), (2, "a.example", None), True),
        (Selection(destination="a.example"), (2, "sub.a.example", None), False),
        (Selection(tag="x"), (2, "a.example", "x"), True),
        (Selection(tag="x"), (2, "a.example", None), False),
        (Selection(1, "a.example", "x"), (1, "a.example", "x"), True),
        (Selection(1, "a.example", "x"), (1, "a.example", "y"), False),
        (Selection(1, "a.example", "x"), (2, "a.example", "x"), False),
    ],
)
def test_all_that_is_given_must_be_true(selection, message, takes):
    assert selection.takes(*message) is takes


def test_one_part_of_several_is_enough():
    parts = [Selection(1), Selection(destination="a.example")]
    assert takes_any(parts, 2, "a.example", None)
    assert not takes_any(parts, 2, "b.example", None)
    assert not takes_any([], 1, "a.example", None)


@each(
    "written, name",
    [
        ("Example.COM", "example.com"),
        (" example.com. ", "example.com"),
        ("müller.example", "xn--mller-kva.example"),
        ("http:3", "http:3"),
        ("local", "local"),
        ("no domain!", "no domain!"),
    ],
)
def test_destinations_are_called_as_their_lanes(written, name):
    assert destination_name(written) == name
