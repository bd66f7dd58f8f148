"""The recordings of a real Postal, as the tests of this folder need them."""

import base64
import importlib.util
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

VECTORS = Path(__file__).parents[2] / "vectors"


def load(name):
    return json.loads((VECTORS / "recorded" / f"{name}.json").read_text())


def _compare_module():
    spec = importlib.util.spec_from_file_location("compare", VECTORS / "scripts" / "compare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compare = _compare_module()


class SameInstallation:
    """Both sides are the recorded installation: only what changes from run to run is scrubbed."""

    @staticmethod
    def scrub(text):
        for pattern, replacement in compare.SCRUB:
            text = re.sub(pattern, replacement, text)
        return text


def comparable(raw):
    """What must be the same in two messages: header fields in order, and decoded parts."""
    return compare.message(raw, SameInstallation)


def sent_messages():
    """Each accepted `send/message` of the recording: name, parameters, stored text."""
    for record in load("api"):
        if "message" not in record or "send/message" not in record["request"]["path"]:
            continue
        try:
            parameters = json.loads(record["request"]["body"])
        except ValueError:
            continue  # form encoded: the same parameters are sent as JSON elsewhere
        yield record["name"], parameters, stored(record)


def stored(record):
    return base64.b64decode(json.loads(record["message"])["data"]["raw_message"])


def expansions():
    """Every recorded message with all its expansions: name, stored text, `data` of the answer."""
    for record in load("api"):
        if "message" in record:
            yield record["name"], stored(record), json.loads(record["message"])["data"]


def inbound_payloads():
    """Each incoming mail that was posted as `Hash`: subject, what was sent in, what was posted.

    Form fields come as text, with attachments flat; `form` says so.
    """
    sent = {f"{r['name']}--{r['endpoint']}": base64.b64decode(r["data"]) for r in load("inbound")}
    for row in load("wire"):
        label = row.get("request", "").partition("/inbound/")[2].split(" ")[0]
        if label not in ("in", "hash-form", "hash-json-strip", "hash-json-noattach"):
            continue
        body = base64.b64decode(row["body"])
        is_form = not body.startswith(b"{")
        payload = dict(parse_qsl(body.decode(), keep_blank_values=True)) if is_form else json.loads(body)
        name = str(payload["message_id"] or "").partition("@")[0]
        if name in sent:
            yield name, sent[name], payload, is_form
