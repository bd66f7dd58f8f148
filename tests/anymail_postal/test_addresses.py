"""The addresses of a mail are those that Anymail reads, line breaks and hostile lengths refused."""

from __future__ import annotations

import re
from typing import Any

from anymail.exceptions import AnymailInvalidAddress
from anymail.utils import parse_address_list
from hypothesis import example, given
from hypothesis import strategies as st

from anymail_postal import errors
from anymail_postal.addresses import read_addresses

plain_words = st.text("abcÄß'-_", min_size=1, max_size=5)
addresses = st.one_of(
    st.from_regex(r"\A[a-z.+]{1,6}@[a-z.-]{1,8}\Z"),
    st.builds(lambda name, address: f"{name} <{address}>", st.lists(plain_words, max_size=3).map(" ".join),
              st.from_regex(r"\A[a-z.]{1,6}@[a-z.-]{1,8}\Z")),
    st.text('ab@.,<>"()\\ \r\n=?;:[]', max_size=12),
)  # fmt: skip


@given(st.one_of(addresses, st.lists(addresses, max_size=3)))
@example(["a@b.test", "=?utf-8?q?a?= <a@b.test>"])
@example("a b <a@b.test>")
@example([])
def test_addresses_are_read_as_anymail_reads_them(values: Any) -> None:
    def outcome(read: Any) -> Any:
        try:
            return [(email.display_name, email.addr_spec, str(email)) for email in read(values, field="to")]
        except (AnymailInvalidAddress, errors.PostalHeaderError) as invalid:
            return str(invalid)

    if any(re.search("[\r\n]", value) for value in ([values] if isinstance(values, str) else values)):
        assert "line break" in outcome(read_addresses)
        return
    assert outcome(read_addresses) == outcome(parse_address_list)
