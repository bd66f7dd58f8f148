from __future__ import annotations

from postal_server.rules.notice import is_automatic
from tests.each import each


@each(
    "head, automatic",
    [
        ({}, False),
        ({"auto-submitted": ["no"]}, False),
        ({"auto-submitted": [" No ; because"]}, False),
        ({"auto-submitted": [""]}, False),
        ({"auto-submitted": ["auto-generated"]}, True),
        ({"auto-submitted": ["no", "Auto-Replied; x=y"]}, True),
        ({"auto-submitted": ["auto-notified"]}, True),
        ({"precedence": ["bulk"]}, True),
        ({"precedence": [" JUNK "]}, True),
        ({"precedence": ["list"]}, True),
        ({"precedence": ["first-class"]}, False),
        ({"x-auto-response-suppress": ["All"]}, True),
        ({"x-auto-response-suppress": ["OOF, AutoReply"]}, False),
        ({"x-auto-response-suppress": ["DR,NDR"]}, True),
        ({"list-unsubscribe": ["<https://x.example>"]}, False),
    ],
)
def test_what_a_program_wrote(head, automatic):
    assert is_automatic(head) is automatic
