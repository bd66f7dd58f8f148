from __future__ import annotations

from postal_server.rules.priority import Priority, of_header
from tests.each import each

UNSUBSCRIBE = ["<https://example.test/u>"]


@each(
    "head, priority",
    [
        ({}, Priority.TRANSACTIONAL),
        ({"precedence": ["bulk"]}, Priority.BULK),
        ({"precedence": [" List "]}, Priority.BULK),
        ({"precedence": ["JUNK"]}, Priority.BULK),
        ({"precedence": ["urgent"]}, Priority.TRANSACTIONAL),
        ({"precedence": ["first-class", "bulk"]}, Priority.BULK),
        ({"list-unsubscribe": UNSUBSCRIBE}, Priority.BULK),
        ({"list-unsubscribe": UNSUBSCRIBE, "precedence": ["first-class"]}, Priority.TRANSACTIONAL),
        ({"list-unsubscribe": UNSUBSCRIBE, "precedence": [" "]}, Priority.BULK),
        ({"subject": ["Precedence: bulk"]}, Priority.TRANSACTIONAL),
    ],
)
def test_the_header_says_what_is_bulk(head, priority):
    assert of_header(head) is priority
