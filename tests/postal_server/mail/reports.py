"""Mail that comes back, as files: `NAME.eml` with what is expected of it in `NAME.json` beside it."""

import json
from pathlib import Path

from postal_server.mail import mime
from postal_server.mail.header import Fields
from postal_server.mail.message_view import body_text
from postal_server.mail.phrases import Text

CORPUS = Path(__file__).parents[2] / "corpus"


def samples(folder):
    """Each sample of a folder of the corpus: its name, raw bytes, and expectation."""
    for path in sorted((CORPUS / folder).glob("*.eml")):
        yield path.stem, path.read_bytes(), json.loads(path.with_suffix(".json").read_text("utf-8"))


def header_and_text(raw):
    """The fields of a mail and its first text, decoded."""
    root = mime.parse(raw, for_reading=True)
    text = next((part for part in root.walk() if part.mime_type == "text/plain"), None)
    return Fields(raw[: root.body_start]), Text(body_text(text) if text else "")
