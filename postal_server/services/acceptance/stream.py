"""The stream of accepted mail, and the row that a stream has from its first mail on."""

from __future__ import annotations

from collections.abc import Sequence

from postal_server.models import Stream
from postal_server.rules import stream as rules
from postal_server.rules.stream import StreamFrom
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import CredentialEntry, DomainEntry, ServerEntry
from postal_server.services.shared.work import Accepted

HEADER = "X-Postal-Stream"

Key = tuple[int, str]  # server, name


def derived(server: ServerEntry, domain: DomainEntry, credential: CredentialEntry, tag: str | None) -> str:
    """The stream of a mail that names none; empty for no stream."""
    if server.stream_from is StreamFrom.NONE:
        return ""
    if server.stream_from is StreamFrom.DOMAIN:
        return rules.name_of(domain.name)
    return rules.name_of((tag or "") if server.stream_from is StreamFrom.TAG else credential.name)


class StreamRegistry:
    """Makes the rows of new streams, one of them for each process. For the thread that stores mail."""

    def __init__(self) -> None:
        self._version = -1  # of the directory that what follows is beyond
        self._known: set[Key] = set()
        self._full: set[int] = set()

    def add_new(self, batch: Sequence[Accepted], directory: Directory) -> bool:
        """Make the rows that the streams of this mail lack; were there any?

        No query for streams that are known, two for new ones. Beyond `rules.MOST_OF_SERVER` a server gets no
        more: tags may be different for each mail. The caller holds the transaction.
        """
        if directory.version != self._version:
            self._version = directory.version
            self._known.clear()
            self._full.clear()
        new = {
            (accepted.messages[0].server_id, accepted.stream): accepted
            for accepted in reversed(batch)  # the first mail of a stream decides its kind
            if accepted.stream and accepted.messages and self._is_new(accepted, directory)
        }
        if not new:
            return False
        stored = set(
            Stream.objects.filter(server_id__in={server_id for server_id, _ in new}).values_list(
                "server_id", "name"
            )
        )
        self._known |= stored
        missing = self._with_room(sorted(new.keys() - stored), stored)
        # Sorted: other processes may make the same rows at the same time.
        Stream.objects.bulk_create(
            [
                Stream(
                    server_id=server_id, name=name, kind=rules.kind_of(new[server_id, name].priority).value
                )
                for server_id, name in missing
            ],
            ignore_conflicts=True,
        )
        return bool(missing)

    def _is_new(self, accepted: Accepted, directory: Directory) -> bool:
        server_id = accepted.messages[0].server_id
        key = (server_id, accepted.stream)
        return key not in directory.streams and key not in self._known and server_id not in self._full

    def _with_room(self, keys: Sequence[Key], stored: set[Key]) -> list[Key]:
        counts: dict[int, int] = {}
        for server_id, _ in stored:
            counts[server_id] = counts.get(server_id, 0) + 1
        kept = []
        for key in keys:
            counts[key[0]] = counts.get(key[0], 0) + 1
            if counts[key[0]] > rules.MOST_OF_SERVER:
                self._full.add(key[0])
            else:
                kept.append(key)
        return kept
