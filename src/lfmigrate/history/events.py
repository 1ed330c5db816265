"""What the history says: events, applied migrations, the expected state. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lfmigrate.schema.relation import Key, Relation, Snapshot


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the history.

    Attributes:
        id: Grows with every event of the database.
        action: ``up``: a migration ran; ``repair``: it ran again, for what had gone missing;
            ``view``: a view file ran; ``rollback``: a migration was undone or, without a version,
            a view file's view was dropped for that; ``begun`` and ``statement``: of a file that
            runs outside of a transaction, a statement is about to run, or has run. The last one of
            such a file is its ``up``.
        version: The migration's version as its file's name has it; None for a view file.
        name: The migration's or the view's name.
        file: The file's name.
        checksum: Of the text that ran.
        expected: The relations that it made or changed, as the catalogs described them.
        gone: The relations that it removed.
        server_version: Of the server that gave those descriptions.
        executed_at: When, as ISO 8601 text with a time zone.
        executed_by: The role that ran it.
        elapsed_ms: How long its statements took on the server.
    """

    id: int
    action: str
    version: str | None
    name: str
    file: str
    checksum: str
    expected: tuple[Relation, ...]
    gone: tuple[Key, ...]
    server_version: int
    executed_at: str
    executed_by: str
    elapsed_ms: int

    @property
    def number(self) -> int | None:
        """Return the migration's version as a number: ``002`` and ``2`` are the same."""
        return None if self.version is None else int(self.version)


@dataclass(frozen=True)
class History:
    """What the events of one schema amount to.

    Attributes:
        events: Oldest first.
        position: The highest id in the table, whichever schema it is of; 0 if there is none.
        exists: Whether the table is there at all.
    """

    events: tuple[Event, ...] = ()
    position: int = 0
    exists: bool = False

    @cached_property
    def applied(self) -> Mapping[int, Event]:
        """Return the event that applied each migration that was not undone since, by number."""
        applied: dict[int, Event] = {}
        for event in self.events:
            if event.number is None:
                continue
            if event.action == "up":
                applied[event.number] = event
            elif event.action == "rollback":
                applied.pop(event.number, None)
        return applied

    @cached_property
    def begun(self) -> Mapping[int, Sequence[Event]]:
        """Return the events of each migration that was not finished, by number, oldest first."""
        begun: dict[int, list[Event]] = {}
        for event in self.events:
            if event.number is None:
                continue
            if event.action in {"begun", "statement"}:
                begun.setdefault(event.number, []).append(event)
            elif event.action in {"up", "rollback"}:
                begun.pop(event.number, None)
        return begun

    @cached_property
    def last(self) -> Mapping[int, Event]:
        """Return the last event of each migration that a rollback would undo, by number."""
        return {**self.applied, **{number: events[-1] for number, events in self.begun.items()}}

    @cached_property
    def views(self) -> Mapping[str, Event]:
        """Return the last event of each view file whose view was not dropped since, by name."""
        ran: dict[str, Event] = {}
        keys: dict[str, set[Key]] = {}
        for event in self.events:
            if event.action == "view":
                ran[event.name] = event
                keys.setdefault(event.name, set()).update(r.key for r in event.expected)
            elif event.action == "rollback" and event.version is None:
                ran.pop(event.name, None)
        return {
            name: event
            for name, event in ran.items()
            # A migration's way back may have dropped it, too.
            if not keys[name] or any(key in self.expected for key in keys[name])
        }

    @cached_property
    def expected(self) -> Snapshot:
        """Return what the database should look like, as the events left it."""
        relations: dict[Key, Relation] = {}
        for event in self.events:
            for key in event.gone:
                relations.pop(key, None)
            relations |= {relation.key: relation for relation in event.expected}
        return Snapshot(relations.values())

    @cached_property
    def makers(self) -> Mapping[Key, Sequence[Event]]:
        """Return the events that made or changed each expected relation, oldest first."""
        makers: dict[Key, list[Event]] = {}
        for event in self.events:
            for key in event.gone:
                makers.pop(key, None)
            for relation in event.expected:
                makers.setdefault(relation.key, []).append(event)
        return makers

    @cached_property
    def majors(self) -> frozenset[int]:
        """Return the major versions of the servers whose descriptions are expected."""
        return frozenset(self.makers[key][-1].server_version // 10000 for key in self.expected)


def event_from_json(document: Mapping[str, Any]) -> Event:
    expected = document["expected"] or {}
    return Event(
        id=document["id"],
        action=document["action"],
        version=document["version"],
        name=document["name"],
        file=document["file"],
        checksum=document["checksum"],
        expected=tuple(Relation.from_json(r) for r in expected.get("relations", ())),
        gone=tuple(Key(*key) for key in expected.get("gone", ())),
        server_version=document["server_version"],
        executed_at=document["executed_at"],
        executed_by=document["executed_by"],
        elapsed_ms=document["elapsed_ms"],
    )
