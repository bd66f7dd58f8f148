from __future__ import annotations

import pytest

from postal_server import conf
from postal_server.engine.ports import Source
from postal_server.management import processes

SMTP, HELO = {"smtp_hostname": "mx.example"}, {"helo_hostname": "helo.example"}


@pytest.mark.parametrize(
    ("groups", "source", "name"),
    [
        ({"postal": SMTP}, None, "mx.example"),
        ({"postal": SMTP, "dns": HELO}, None, "helo.example"),
        ({"postal": SMTP, "dns": HELO}, Source("192.0.2.7", "", "out.example"), "out.example"),
        ({"postal": SMTP, "dns": HELO}, Source("192.0.2.7"), "helo.example"),
    ],
    ids=["the SMTP host's", "one for all", "the source's own", "a source without"],
)
def test_the_name_in_ehlo(tmp_path, groups, source, name):
    assert processes.helo_name(conf.parse(groups, {}, tmp_path), source) == name


@pytest.mark.parametrize(("mode", "is_shaped"), [("catch", False), ("mx", True)])
def test_the_catch_s_patience_is_not_minded(tmp_path, mode, is_shaped):
    make = processes._transports(conf.parse({"delivery": {"mode": mode}}, {}, tmp_path))

    async def before_dot() -> None: ...

    assert make(before_dot).is_shaped is is_shaped
