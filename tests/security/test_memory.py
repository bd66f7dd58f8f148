"""Memory: one large mail on its way through a server costs a few times its size, and no more.

`test_memory_of_ways.py` has it come and go by other ways.
"""

from __future__ import annotations

import pytest

from .large_mail import MESSAGE_BYTES, large_mail, send_smtp, wait_for

TIMES = 4

pytestmark = pytest.mark.slow


def test_mail_over_smtp_in_and_out(relayed):
    send_smtp(relayed.postal, large_mail(relayed.postal))
    wait_for(relayed.host.sizes, 2)
    assert relayed.host.sizes[1] > MESSAGE_BYTES * 0.99
    assert relayed.measured.times <= TIMES
