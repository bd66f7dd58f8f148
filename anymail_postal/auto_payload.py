"""Mail by whichever of Postal's calls can carry it: its contents are collected, then the call is chosen."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any, cast

from anymail.backends.base_requests import AnymailRequestsBackend
from anymail.exceptions import AnymailSerializationError
from anymail.message import AnymailRecipientStatus
from anymail.utils import Attachment, EmailAddress, force_non_lazy_dict, parse_single_address
from django.core.mail import EmailMessage
from requests.structures import CaseInsensitiveDict

from . import conf, metadata, mime, wire
from .contents import Contents, attachment_name, attachment_params, mime_file, needs_raw, with_headers
from .errors import PostalMetadataTooLarge
from .payload import OWN_EXTRA_KEYS, ApiCall, PostalPayload
from .ports import ScheduledSend
from .templates import from_inline_templates, from_templates

MAX_TAG = 255  # characters: Postal's column
HTML_LINK = re.compile(r"""((?i:\bhref)\s*=\s*(?:["']\s*)?)((?i:https?))(?=://)""")
TEXT_LINK = re.compile(r"\b(https?)(?=://)")


class AutoPayload(PostalPayload):
    """A mail for whichever call can carry it: `send/message`, unless it needs `send/raw`."""

    def __init__(
        self,
        message: EmailMessage,
        defaults: dict[str, Any],
        backend: AnymailRequestsBackend,
        config: conf.ServerConfig,
        always_raw: bool,
    ) -> None:
        self.always_raw = always_raw
        super().__init__(message, defaults, backend, config)  # calls `init_payload` and the `set_` hooks
        self.check_merge_data()
        self.choose_recipients()

    # --- what the mail says ---

    def init_payload(self) -> None:
        self.contents = Contents()
        self.extra: dict[str, Any] = {}
        self.tag: Any = ""
        self.has_untracked_links = False
        self.send_at: datetime | None = None
        self.metadata_channel = self.config.metadata
        self.template_id = ""
        self.merge_global_data: dict[str, Any] = {}
        self.merge_data: dict[str, dict[str, Any]] = {}
        self.merge_headers: dict[str, dict[str, Any]] = {}
        self.merge_metadata: dict[str, dict[str, Any]] = {}

    def set_from_email_list(self, emails: list[EmailAddress]) -> None:
        self.contents.from_emails = emails

    def set_recipients(self, recipient_type: str, emails: list[EmailAddress]) -> None:
        setattr(self.contents, recipient_type, emails)

    def set_spoofed_to_header(self, header_to: str) -> None:
        self.contents.spoofed_to = header_to

    def set_subject(self, subject: str) -> None:
        mime.check_header("Subject", subject)
        self.contents.subject = subject

    def set_reply_to(self, emails: list[EmailAddress]) -> None:
        self.contents.reply_to = emails

    def set_extra_headers(self, headers: Mapping[str, Any]) -> None:
        self.contents = with_headers(self.contents, headers)

    def set_text_body(self, body: str) -> None:
        self.contents.text = body or None

    def set_html_body(self, body: str) -> None:
        self.contents.html = body or None

    def add_alternative(self, content: str, mimetype: str) -> None:
        if mime.mimetype(mimetype) in mime.ALTERNATIVES:
            self.contents.alternatives.append((mimetype, content))
        else:
            super().add_alternative(content, mimetype)  # type: ignore[no-untyped-call]

    def set_attachments(self, attachments: list[Attachment]) -> None:
        self.contents.attachments = attachments

    def set_envelope_sender(self, email: EmailAddress) -> None:
        if self.config.strict_envelope_sender:
            self.unsupported_feature("envelope_sender")
        else:
            self.contents.envelope_sender = email

    def set_metadata(self, metadata: dict[str, Any]) -> None:
        self.contents.metadata = metadata

    def set_send_at(self, send_at: Any) -> None:
        if self.config.send_at != "store":
            self.unsupported_feature("send_at")
        elif not isinstance(send_at, datetime):
            self.unsupported_feature(f"send_at {send_at!r}, which is not a time")
        else:
            self.send_at = send_at
            self.is_scheduled = True

    def set_tags(self, tags: list[str]) -> None:
        separator = self.config.tag_separator
        if len(tags) > 1 and separator is None:
            self.unsupported_feature("multiple tags")
        if tags:
            self.tag = separator.join(map(str, tags)) if separator and len(tags) > 1 else tags[0]
        if len(str(self.tag)) > MAX_TAG:
            self.unsupported_feature(f"tags of more than {MAX_TAG} characters")
            self.tag = str(self.tag)[:MAX_TAG]

    def set_track_clicks(self, track_clicks: bool) -> None:
        if self.config.click_tracking is None or (track_clicks and self.config.click_tracking == "off"):
            self.unsupported_feature("track_clicks")
        else:
            self.has_untracked_links = not track_clicks and self.config.click_tracking == "on"

    def set_track_opens(self, track_opens: bool) -> None:
        if self.config.open_tracking != ("on" if track_opens else "off"):
            self.unsupported_feature("track_opens")

    def set_template_id(self, template_id: str) -> None:
        self.template_id = template_id

    def set_merge_data(self, merge_data: dict[str, dict[str, Any]]) -> None:
        self.merge_data = merge_data

    def set_merge_global_data(self, merge_global_data: dict[str, Any]) -> None:
        self.merge_global_data = merge_global_data

    def set_merge_headers(self, merge_headers: dict[str, dict[str, Any]] | None) -> None:
        self.merge_headers = force_non_lazy_dict(merge_headers or {})

    def set_merge_metadata(self, merge_metadata: dict[str, dict[str, Any]]) -> None:
        self.merge_metadata = merge_metadata

    def set_esp_extra(self, extra: dict[str, Any]) -> None:
        self.extra = {key: value for key, value in extra.items() if key not in OWN_EXTRA_KEYS}
        self.metadata_channel = extra.get("metadata", self.metadata_channel)
        if self.metadata_channel not in ("auto", "message_id", "store"):
            self.unsupported_feature(f"esp_extra['metadata'] = {self.metadata_channel!r}")

    # --- what only all attributes together decide ---

    def check_merge_data(self) -> None:
        """Report merge data that nothing would fill in as unsupported."""
        if not self.template_id and not self.config.inline_merge:
            if any(self.merge_data.values()):
                self.unsupported_feature("merge_data without template_id")
            if self.merge_global_data:
                self.unsupported_feature("merge_global_data without template_id")

    def choose_recipients(self) -> None:
        """Decide who is mailed, and whether each To recipient gets a call of their own."""
        self.filter_recipients(self.add_status)  # once each: Postal mails a repeated address twice
        if self.config.suppression == "store":
            self.leave_out_suppressed()
        self.is_personal = self.is_batch() and bool(self.contents.to)

    def filter_recipients(self, is_kept: Callable[[EmailAddress], bool]) -> None:
        """Leave out all other recipients."""
        for kind in ("to", "cc", "bcc"):
            setattr(self.contents, kind, list(filter(is_kept, getattr(self.contents, kind))))

    def leave_out_suppressed(self) -> None:
        """Leave out recipients on the store's suppression list, and report them as rejected."""
        store = conf.require_store("POSTAL_SUPPRESSION = 'store'")
        addresses = [email.addr_spec for email in self.contents.recipients]
        suppressed = store.suppressed(self.config.name, addresses)
        for address in suppressed:
            self.statuses[address] = AnymailRecipientStatus(None, "rejected")
        self.filter_recipients(lambda email: email.addr_spec not in suppressed)

    # --- the calls that send it ---

    def call_builders(self) -> Iterator[Callable[[], ApiCall]]:
        if self.is_personal:
            for email in self.contents.to:
                yield partial(self.personal_call, email)
        elif self.contents.recipients:
            yield self.single_call

    def single_call(self) -> ApiCall:
        """The call of a mail that is the same for all recipients."""
        return self.build_call(self.with_merge_data(self.contents, self.merge_global_data))

    def personal_call(self, email: EmailAddress) -> ApiCall:
        """The call for one To recipient, who sees no other. Cc and Bcc recipients get a copy of each call."""
        address = email.addr_spec
        contents = replace(
            self.contents,
            to=[email],
            metadata={**self.contents.metadata, **self.merge_metadata.get(address, {})},
        )
        contents = with_headers(contents, self.merge_headers.get(address, {}))
        return self.build_call(
            self.with_merge_data(contents, {**self.merge_global_data, **self.merge_data.get(address, {})})
        )

    def schedule(self) -> None:
        """Keep the calls in the store until `send_at`."""
        store = conf.require_store("POSTAL_SEND_AT = 'store'")
        send_at = cast("datetime", self.send_at)
        sends = []
        for build in self.call_builders():
            call = build()
            self.serialize_json(call.params)  # raises now rather than when it is due
            sends.append(
                ScheduledSend(
                    server=self.config.name,
                    send_at=send_at,
                    endpoint=call.endpoint,
                    params=call.params,
                    subject=call.subject,
                    tag=call.tag,
                    metadata=call.metadata,
                )
            )
        store.schedule(sends)
        for email in self.contents.recipients:
            self.statuses[email.addr_spec] = AnymailRecipientStatus(None, "queued")

    def with_merge_data(self, contents: Contents, context: dict[str, Any]) -> Contents:
        """The contents with the merge data filled in, by the templates that `template_id` names, if any."""
        if self.template_id:
            return from_templates(contents, self.template_id, context)
        if self.config.inline_merge and (self.merge_data or self.merge_global_data):
            return from_inline_templates(contents, context)
        return contents

    def build_call(self, contents: Contents) -> ApiCall:
        """The call for these contents: `send/raw` if they need it, otherwise `send/message`."""
        if self.has_untracked_links:
            contents = replace(
                contents,
                text=contents.text and TEXT_LINK.sub(r"\1+notrack", contents.text),
                html=contents.html and HTML_LINK.sub(mark_untracked, contents.html),
            )
        message_id = self.choose_message_id(contents)
        is_raw = self.always_raw or message_id is not None or needs_raw(contents)
        return ApiCall(
            "send/raw" if is_raw else "send/message",
            self.raw_params(contents, message_id) if is_raw else self.message_params(contents),
            subject=contents.subject,
            tag=str(self.tag),
            metadata=contents.metadata,
        )

    def choose_message_id(self, contents: Contents) -> str | None:
        """The Message-ID that the mail must have, without brackets; None if any will do.

        It is the caller's, or one that carries the metadata.

        Raises `PostalMetadataTooLarge` if neither it nor the store can carry the metadata.
        """
        if not contents.metadata:
            return contents.message_id
        if self.metadata_channel == "store":
            conf.require_store("Metadata in the store")
            return contents.message_id
        is_stored = self.metadata_channel == "auto" and conf.store() is not None
        try:
            if contents.message_id is None:
                return self.sealed_message_id(contents)
            if not is_stored:
                raise PostalMetadataTooLarge(
                    "The mail has a Message-ID of its own, which leaves 0 bytes for metadata. Leave it out, "
                    "or install anymail_postal.contrib.store, which keeps metadata of any size.",
                    email_message=self.message,
                    backend=self.backend,
                )
        except PostalMetadataTooLarge:
            if not is_stored:
                raise
        return contents.message_id

    def sealed_message_id(self, contents: Contents) -> str:
        """A Message-ID that carries the metadata.

        Raises `PostalMetadataTooLarge`, and `AnymailSerializationError` for values that JSON does not have.
        """
        try:
            return metadata.seal(
                contents.metadata,
                conf.secret_keys(self.config)[0],
                secrets.token_bytes(metadata.NONCE_BYTES),
                self.message_id_domain(contents),
            )
        except PostalMetadataTooLarge:
            raise
        except (TypeError, ValueError) as error:
            raise AnymailSerializationError(
                orig_err=error, email_message=self.message, backend=self.backend, payload=self
            ) from None

    def message_id_domain(self, contents: Contents) -> str:
        """The right-hand side of Message-IDs: POSTAL_MESSAGE_ID_DOMAIN or the domain of the From address."""
        return self.config.message_id_domain or self.wire_address(contents.from_emails[0]).rpartition("@")[2]

    def message_params(self, contents: Contents) -> dict[str, Any]:
        """The parameters of `send/message` (contract 1.7)."""
        sender = contents.sender
        if sender is None and contents.envelope_sender is not None:
            sender = str(contents.envelope_sender)
        params = {
            "from": ", ".join(self.wire_format(contents.from_emails)),
            "to": self.wire_format(contents.to),
            "cc": self.wire_format(contents.cc),
            "bcc": self.wire_format(contents.bcc),
            "subject": contents.subject,
            "sender": sender,
            "reply_to": ", ".join(self.wire_format(contents.reply_to)),
            "headers": dict(contents.headers),
            "plain_body": contents.text,
            "html_body": contents.html,
            "attachments": [attachment_params(each, attachment_name(each)) for each in contents.attachments],
            "tag": self.tag,
        }
        return {**{key: value for key, value in params.items() if value or key == "subject"}, **self.extra}

    def raw_params(self, contents: Contents, message_id: str | None) -> dict[str, Any]:
        """The parameters of `send/raw` (contract 1.10)."""
        extra = dict(self.extra)
        sender = extra.pop("sender", None) or contents.sender
        sender_email = parse_single_address(sender, field="sender") if sender else None
        headers = CaseInsensitiveDict(contents.headers)
        date = headers.pop("Date", None)
        if self.tag:
            headers["X-Postal-Tag"] = self.tag
        mail = mime.Mail(
            from_=self.mailboxes(contents.from_emails),
            sender=self.mailboxes([sender_email])[0] if sender_email else None,
            reply_to=self.mailboxes(contents.reply_to),
            to=self.mailboxes(contents.to),
            spoofed_to=contents.spoofed_to,
            cc=[] if "Cc" in headers else self.mailboxes(contents.cc),
            message_id=message_id or f"{secrets.token_urlsafe(18)}@{self.message_id_domain(contents)}",
            date=str(date) if date else datetime.now(timezone.utc),
            subject=contents.subject,
            headers=[(name, str(value)) for name, value in headers.items()],
            text=contents.text,
            html=contents.html,
            alternatives=contents.alternatives,
            inline=[mime_file(each) for each in contents.attachments if each.inline],
            attachments=[mime_file(each) for each in contents.attachments if not each.inline],
        )
        mail_from = contents.envelope_sender or sender_email or contents.from_emails[0]
        recipients = map(self.wire_address, contents.recipients)
        data = mime.compose(mail, secrets.token_hex(8))
        return {**wire.raw_params(self.wire_address(mail_from), recipients, data), **extra}

    def mailboxes(self, emails: Iterable[EmailAddress]) -> list[mime.Mailbox]:
        """Addresses for the header of a mail, with ASCII domains."""
        return [mime.Mailbox(email.display_name, self.wire_address(email)) for email in emails]


def mark_untracked(link: re.Match[str]) -> str:
    """An HTML link marked so that Postal does not track it. Postal recognizes lower-case schemes only."""
    return f"{link[1]}{link[2].lower()}+notrack"
