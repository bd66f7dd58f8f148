"""The new part of a reply: what its author wrote, without the quoted mail.

Text and HTML are read as lines; `quotations` finds the quoted ones. docs/replies.md lists the mail programs
and languages that are recognized.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import conf, quotations, reply_lines
from .reply_address import address_pattern

# How much of a mail is read, so that none takes more than 50 ms of processor time. A larger mail is cut only
# if all of it after some line within the limits is quoted.
MAX_LENGTH = 256 * 1024  # characters of text
MAX_LINES = 3_000
MAX_TAGS = 2_500
MAX_HTML_LENGTH = 1024 * 1024  # characters, including embedded pictures


@dataclass(frozen=True)
class ReplyText:
    """The new part of a reply as text and as HTML, None if the mail has none. The HTML is not sanitized.

    A mail with HTML only has a text as well.
    """

    text: str | None
    html: str | None


def extract_reply(
    text: str | None,
    html: str | None = None,
    languages: Sequence[str] | None = None,
    *,
    server: str = conf.DEFAULT_SERVER,
) -> ReplyText:
    """The new part of a reply, without reply addresses of `server`, so that no token is published.

    `languages` are codes ("de", "pt-BR"), None for all. A mail that seems to be all quotation is returned
    unchanged. Forwarded mail is not a quotation.
    """
    return _result(text, html, server, languages, is_reply=True)


def whole_text(text: str | None, html: str | None = None, *, server: str = conf.DEFAULT_SERVER) -> ReplyText:
    """The text and HTML of a mail that is not a reply, without reply addresses of `server`."""
    return _result(text, html, server, None, is_reply=False)


def _result(
    text: str | None, html: str | None, server: str, languages: Sequence[str] | None, *, is_reply: bool
) -> ReplyText:
    new_text, new_html = text, html
    if text is not None and is_reply:
        new_text = _new_text(text, languages)
    if html is not None:
        shown, new_html = _new_html(html, languages, is_reply=is_reply)
        if text is None or not text.strip():
            new_text = shown
    return ReplyText(
        text=None if new_text is None else _without_addresses(new_text.strip(), server),
        html=None if new_html is None else _without_addresses(new_html, server),
    )


def _new_text(text: str, languages: Sequence[str] | None) -> str:
    beginning = "\n".join(text[:MAX_LENGTH].replace("\r\n", "\n").split("\n", MAX_LINES)[:MAX_LINES])
    lines = reply_lines.text_lines(beginning)
    cut = quotations.find(lines, languages)
    is_whole = len(text) <= MAX_LENGTH and text.count("\n") < MAX_LINES
    if not any(cut.lines) or not (is_whole or cut.is_rest):
        return text
    return reply_lines.show(_kept(lines, cut))


def _new_html(html: str, languages: Sequence[str] | None, *, is_reply: bool) -> tuple[str, str]:
    """The new part of HTML, as text and as HTML. If it is too large, the text is the HTML."""
    limits = reply_lines.Limits(MAX_HTML_LENGTH, MAX_TAGS, MAX_LENGTH)
    page = reply_lines.read_html(html, limits)
    cut = quotations.find(page.lines, languages) if is_reply else None
    if cut is None or not any(cut.lines) or not (page.is_whole or cut.is_rest):
        return (reply_lines.show(page.lines) if page.is_whole else html), html
    return reply_lines.show(_kept(page.lines, cut)), page.without(cut.lines)


def _kept(lines: Sequence[reply_lines.Line], cut: quotations.Cut) -> list[reply_lines.Line]:
    """The lines that stay, without additional consecutive blank lines."""
    kept: list[reply_lines.Line] = []
    is_seam = False
    for line, goes in zip(lines, cut.lines, strict=True):
        if goes or (is_seam and line.is_blank and kept and kept[-1].is_blank):
            is_seam = True
        else:
            is_seam = False
            kept.append(line)
    return kept


def _without_addresses(result: str, server: str) -> str:
    """`result` without our own reply addresses, including those in links, and without NUL."""
    result = result.replace("\0", "")  # which PostgreSQL refuses
    config = conf.server(server)
    if config.reply_domain is None or config.reply_domain.lower() not in result.lower():
        return result
    return address_pattern(config.reply_local_part, config.reply_domain).sub("", result)
