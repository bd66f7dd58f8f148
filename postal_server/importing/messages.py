"""Import a server's message database: suppressions, messages without their texts, tracked links."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Max

from postal_server.mail.address import suppression_key
from postal_server.models import ImportedToken, Link, Message, Suppression
from postal_server.models.message import message_id_key
from postal_server.rules import hold
from postal_server.rules.hold import HoldReason
from postal_server.rules.status import DeliveryStatus
from postal_server.rules.suppression import REASON_OF_TEXT, Reason
from postal_server.services.shared.rows import chunks
from postal_server.services.shared.sequence import allocate_ids, start_ids_above

from .records import Records
from .source import Columns, Row, Source, from_epoch

TABLES = ("suppressions", "deliveries", "messages", "links")
BATCH = 500


def import_messages(
    server_id: int, source: Source, records: Records, progress: Callable[[str, int], None]
) -> None:
    """Import the message database of the server with this id of Postal's."""
    server = records.imported("server", server_id)
    if server is None:
        records.add_problem(f"message database of server {server_id}: there is no such server.")
        return
    database = MessageDatabase(server.pk, records, progress)
    importers: Mapping[str, Callable[[list[Row]], None]] = {
        "suppressions": database.import_suppressions,
        "messages": database.import_messages,
    }
    batches: dict[str, list[Row]] = {table: [] for table in importers}
    links: list[Row] = []
    for table, values in source.rows(TABLES):
        row = Columns(values)
        if table == "links":
            links.append(row)  # after all messages: they refer to them
            continue
        if table == "deliveries":
            database.note_hold(row)
            continue
        batches[table].append(row)
        if len(batches[table]) >= BATCH:
            importers[table](batches[table])
            batches[table] = []
    for table, rows in batches.items():
        importers[table](rows)
    database.set_hold_reasons()
    for chunk in chunks(links, BATCH):
        database.import_links(chunk)
    start_ids_above(Message.objects.aggregate(last=Max("id"))["last"] or 0)


@dataclass
class MessageDatabase:
    """The import of one message database. `ids` are our ids of messages, by Postal's."""

    server_id: int
    records: Records
    progress: Callable[[str, int], None]
    ids: dict[int, int] = field(default_factory=dict)
    hold_reasons: dict[int, HoldReason] = field(default_factory=dict)  # of the last hold, by Postal's ids

    def import_suppressions(self, rows: list[Row]) -> None:
        """Suppressions, by their addresses."""
        for row in rows:
            address, text = row["address"] or "", row["reason"] or ""
            _, is_new = Suppression.objects.update_or_create(
                server_id=self.server_id,
                key=suppression_key(address),
                scope="",
                reason=REASON_OF_TEXT.get(text, Reason.IMPORTED).value,
                defaults={
                    "address": address,
                    "text": text[:250],
                    "created_at": from_epoch(row["timestamp"]),
                    "keep_until": from_epoch(row["keep_until"]),
                },
            )
            self.records.count("suppression", made=is_new, updated=not is_new)
        self.progress("suppressions", len(rows))

    def import_messages(self, rows: list[Row]) -> None:
        """Messages keep their ids where these are free: two of Postal's servers may use the same."""
        tokens = [row["token"] for row in rows]
        known = dict(ImportedToken.objects.filter(token__in=tokens).values_list("token", "message_id"))
        new = [row for row in rows if row["token"] not in known]
        numbers = self._ids_of(new)
        Message.objects.bulk_create([_message(self.server_id, numbers[row["token"]], row) for row in new])
        ImportedToken.objects.bulk_create(
            [
                ImportedToken(token=token, server_id=self.server_id, message_id=number)
                for token, number in numbers.items()
            ]
        )
        self.ids.update({int(row["id"]): {**known, **numbers}[row["token"]] for row in rows})
        self.records.count("message", made=len(new), updated=len(known))
        self.progress("messages", len(rows))

    def _ids_of(self, new: list[Row]) -> dict[str, int]:
        """The ids that new messages get, by their tokens."""
        in_use = set(Message.objects.filter(pk__in=[row["id"] for row in new]).values_list("pk", flat=True))
        moved = [row for row in new if row["id"] in in_use]
        if moved:
            above = max(Message.objects.aggregate(last=Max("id"))["last"] or 0, *(r["id"] for r in new))
            start_ids_above(above)
            self.records.add_problem(
                f"{len(moved)} messages of server {self.server_id} have new ids: another server uses theirs."
            )
        fresh = iter(allocate_ids(len(moved)))
        return {row["token"]: next(fresh) if row["id"] in in_use else int(row["id"]) for row in new}

    def note_hold(self, row: Row) -> None:
        """A delivery: of these, only why a message was held is taken over."""
        if row["status"] == DeliveryStatus.HELD.value:
            reason = hold.reason_of(row["details"] or "")
            if reason is not None:
                self.hold_reasons[int(row["message_id"])] = reason

    def set_hold_reasons(self) -> None:
        """Call it after all messages and deliveries."""
        ids: dict[HoldReason, list[int]] = {}
        for message_id, reason in self.hold_reasons.items():
            if message_id in self.ids:
                ids.setdefault(reason, []).append(self.ids[message_id])
        for reason, of_reason in ids.items():
            for some in chunks(of_reason, BATCH):
                held = Message.objects.filter(pk__in=some, status=DeliveryStatus.HELD.value)
                held.update(hold_reason=reason.value)

    def import_links(self, rows: Sequence[Row]) -> None:
        """Tracked links. Call it after all messages, which links refer to."""
        tokens = [row["token"] for row in rows]
        known = set(Link.objects.filter(imported_token__in=tokens).values_list("imported_token", flat=True))
        new = [row for row in rows if row["token"] not in known]
        Link.objects.bulk_create(
            [
                Link(
                    server_id=self.server_id,
                    message_id=self.ids.get(row["message_id"] or 0, 0),
                    imported_token=row["token"],
                    url=row["url"] or "",
                    created_at=from_epoch(row["timestamp"]),
                )
                for row in new
            ]
        )
        self.records.count("link", made=len(new), updated=len(known))
        self.progress("links", len(rows))


def _message(server_id: int, number: int, row: Row) -> Message:
    """A message without its text: what events about it say."""
    at = from_epoch(row["timestamp"])
    message_id = row["message_id"]
    day, digest = message_id_key(message_id, at)
    return Message(
        id=number,
        server_id=server_id,
        scope=row["scope"],
        rcpt_to=row["rcpt_to"],
        mail_from=row["mail_from"] or None,
        subject=row["subject"],
        message_id=message_id,
        message_id_day=day,
        message_id_hash=digest,
        tag=row["tag"],
        status=row["status"] or "Pending",
        size_bytes=int(row["size"] or 0),
        is_bounce=bool(row["bounce"]),
        bounce_for_id=row["bounce_for_id"] or None,
        is_inspected=bool(row["inspected"]),
        is_spam=bool(row["spam"]),
        spam_score=float(row["spam_score"] or 0.0),
        created_at=at,
    )
