"""Log lines: as text, or as JSON, one object a line, for log collectors."""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime, timezone
from typing import Any

# What PostgreSQL adds after the first line of an error: it may contain a whole row, keys and texts included.
# It extends to the end of the text, or to where a traceback continues with the next error.
MORE = re.compile(
    r"\n(?:DETAIL|CONTEXT|QUERY|HINT|LINE \d+): .*?(?=\n\n(?:The above exception was|During handling of)|\Z)",
    re.DOTALL,
)


class TextFormatter(logging.Formatter):
    """Leaves the values of rows out of database errors."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return MORE.sub("", super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return MORE.sub("", super().formatException(ei))


class JSONFormatter(TextFormatter):
    """`time` (ISO 8601, UTC), `level`, `logger`, `message`, and `exception` where there is one.

    Fields of the record itself (`extra={"fields": {...}}`: `message_id`, `lane`...) are added beside them.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": MORE.sub("", record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)
