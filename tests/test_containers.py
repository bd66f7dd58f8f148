"""docs/containers.md: what takes no machine of its own, as `tests/drills/test_containers.py` does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .readme import ROOT, blocks


def test_the_hook_copies_no_certificate_of_another_host(tmp_path: Path) -> None:
    """certbot runs each hook for each certificate that it renews."""
    [hook] = [
        block.text for block in blocks(ROOT / "docs/containers.md", "sh") if "RENEWED_LINEAGE" in block.text
    ]
    lineage, copies = tmp_path / "www.example.com", tmp_path / "certificates"
    lineage.mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (lineage / name).write_text("of another host")
    assert "to=/etc/postal/certificates\n" in hook
    hook = hook.replace("to=/etc/postal/certificates\n", f"to={copies}\n")
    done = subprocess.run(
        ["sh", "-c", hook], env={**os.environ, "RENEWED_LINEAGE": str(lineage)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert not copies.exists()
