"""Names for files of mail that came without one: by their type, a mail by its subject."""

from __future__ import annotations

import re

from .header import decode_header, find_body, unfold

MAX_NAME = 100  # characters, without the ending
MAX_HEADER = 16_000  # bytes of an attached mail's header, searched for its subject
MAX_SUBJECT = 1000  # bytes of that

_BY_TYPE = {
    "application/ics": "invite.ics",
    "application/pgp-encrypted": "version.asc",
    "application/pgp-keys": "key.asc",
    "application/pgp-signature": "signature.asc",
    "application/pkcs7-mime": "smime.p7m",
    "application/pkcs7-signature": "smime.p7s",
    "application/x-pkcs7-mime": "smime.p7m",
    "application/x-pkcs7-signature": "smime.p7s",
    "message/delivery-status": "delivery-status.txt",
    "message/disposition-notification": "disposition-notification.txt",
    "message/feedback-report": "feedback-report.txt",
    "message/global-delivery-status": "delivery-status.txt",
    "message/global-headers": "headers.txt",
    "text/calendar": "invite.ics",
    "text/rfc822-headers": "headers.txt",
    "text/vcard": "contact.vcf",
    "text/x-vcard": "contact.vcf",
}
# A table of our own: those of machines differ, and a name must be the same at each reading.
_ENDINGS = {
    "application/gzip": "gz",
    "application/json": "json",
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/postscript": "ps",
    "application/rtf": "rtf",
    "application/tlsrpt+gzip": "json.gz",
    "application/tlsrpt+json": "json",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-outlook": "msg",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/x-7z-compressed": "7z",
    "application/x-gzip": "gz",
    "application/x-tar": "tar",
    "application/x-zip-compressed": "zip",
    "application/xml": "xml",
    "application/zip": "zip",
    "audio/aac": "aac",
    "audio/amr": "amr",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/pjpeg": "jpg",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/tiff": "tiff",
    "image/webp": "webp",
    "image/x-icon": "ico",
    "text/csv": "csv",
    "text/css": "css",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
    "text/rtf": "rtf",
    "text/xml": "xml",
    "video/3gpp": "3gp",
    "video/mp4": "mp4",
    "video/mpeg": "mpg",
    "video/quicktime": "mov",
    "video/webm": "webm",
}
_MAILS = frozenset(["message/rfc822", "message/global"])
_NOT_IN_NAME = re.compile(r'[\x00-\x1f\x7f"\\/:*?<>|]+')


def made_up_name(mime_type: str, data: bytes) -> str:
    """A name for a file of this type; a mail's subject is read from its `data`."""
    if mime_type in _MAILS:
        return f"{_subject(data) or 'message'}.eml"
    if name := _BY_TYPE.get(mime_type):
        return name
    kind = mime_type.partition("/")[0]
    ending = _ENDINGS.get(mime_type, "txt" if kind in ("text", "message") else "bin")
    return f"{kind if kind in ('image', 'audio', 'video') else 'attachment'}.{ending}"


def _subject(data: bytes) -> str:
    """The subject of a mail, as far as it can stand in a file name."""
    header = b"\n" + data[: find_body(data, 0, min(len(data), MAX_HEADER))[0]]
    start = header.lower().find(b"\nsubject:")
    if start < 0:
        return ""
    fields = unfold(header[start + 1 : start + MAX_SUBJECT])
    text = _NOT_IN_NAME.sub(" ", decode_header(fields.partition(b"\n")[0].partition(b":")[2]))
    return " ".join(text.split())[:MAX_NAME].strip(". ")


def numbered(name: str, number: int) -> str:
    """`name` for the second file that would have it, and for those after it: `attachment-2.pdf`."""
    stem, dot, ending = name.partition(".") if name.endswith(".json.gz") else name.rpartition(".")
    return f"{stem}-{number}{dot}{ending}"
