"""A running server with another configuration than the fixtures' one."""

from __future__ import annotations

from collections.abc import Mapping

from postal_server.testing import RunningServer


class AlteredServer(RunningServer):
    """`changes`: lines of the fixtures' configuration, and what stands in their place."""

    def __init__(self, changes: Mapping[str, str]) -> None:
        super().__init__()
        self._changes = changes

    def _write_configuration(self) -> None:
        super()._write_configuration()
        path = self.folder / "postal.yml"
        text = path.read_text("utf-8")
        for line, replacement in self._changes.items():
            assert line in text, line
            text = text.replace(line, replacement)
        path.write_text(text, "utf-8")


def relaying_to(port: int, *, megabytes: int = 14) -> AlteredServer:
    """All mail goes to a host on loopback, in clear."""
    return AlteredServer(
        {
            "delivery: {mode: catch, ": "delivery: {mode: relays, ",
            "smtp_server:\n": f"smtp_server:\n  max_message_size: {megabytes}\n",
            "  smtp_hostname: localhost\n": "  smtp_hostname: localhost\n"
            f'  smtp_relays: ["smtp://127.0.0.1:{port}?ssl_mode=None"]\n',
        }
    )
