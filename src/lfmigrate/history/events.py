"""Events, and what follows from them: applied migrations and the expected state. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lfmigrate.schema.relation import REPLACEABLE, Key, Relation, Snapshot
from lfmigrate.source.version import label, number

# The actions of files that may run again.
REPEATABLE_ACTIONS = frozenset({"view", "repeatable"})


@dataclass(frozen=True, slots=True)
class Previous:
    """How something was defined before a migration replaced or dropped it; no file had created it.

    Attributes:
        key: What identifies it; for a trigger or a rule, its relation.
        part: The trigger or rule, such as ``trigger audit``; None for a view or a routine.
        document: For queries/restore_previous.sql: definition, owner, privileges, comment; and
            ``left``, the same as the migration has left it, null if it has dropped it.
    """

    key: Key
    part: str | None
    document: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Return what messages call it."""
        name = f"{self.key.schema}.{self.key.name}"
        what = self.document.get("what") or self.document["kind"].lower()
        return f"{what} {name}" if not self.part else f"{self.part} on {name}"

    @property
    def was_dropped(self) -> bool:
        """Return whether the migration has dropped it, and not replaced it as it was."""
        return "dropped" in self.document


@dataclass(frozen=True, slots=True)
class Source:
    """The table of another tool whose migrations were adopted.

    Attributes:
        tool: Whose it is, such as ``goose``.
        table: Its qualified name.
        keys: What it said was applied then, as the tool calls it.
    """

    tool: str
    table: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the history.

    Attributes:
        id: A number that increases with every event of the database.
        action: ``up``: a migration ran; ``repair``: it ran again, to re-create missing relations;
            ``view`` or ``repeatable``: a view file or another repeatable file ran; ``rollback``: a
            migration was rolled back or, without a version, what a repeatable file had created was
            dropped for that; ``begun`` and ``statement``: in
            a file that runs outside a transaction, a statement is about to run, or has run;
            ``rejected``: the one that was about to run has failed, and has left nothing. The last
            event of such a file is its ``up``. ``accept``: an edit of an applied migration was
            recorded, and did not run. ``upgrade``: the server has another major version now, and
            what is expected was described again. ``adopt``: a migration was applied by another
            tool, or a person, and recorded; ``drift``: how the live schema differed from what such
            migrations create, which is expected since.
        version: The migration's version as in its file's name; None for a repeatable file.
        name: The name of the migration or the repeatable file.
        file: The file's name.
        checksum: The checksum of the text that ran.
        expected: The relations that it created or changed, as the catalogs described them.
        gone: The relations that it dropped.
        found: Those of ``expected`` that existed before, and that no file had created; with the
            parts that the file created on them.
        server_version: The version of the server that described them.
        executed_at: The time, as ISO 8601 text with a time zone.
        executed_by: The role that ran it.
        elapsed_ms: The time that its statements took on the server.
        previous: How everything was defined before that it replaced and no file had created.
        roles: The names of the roles that it created.
        settings: Those that its file found, and that decide what literals of times mean.
        source: Where an adopted migration comes from; None without another tool.
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
    found: Mapping[Key, Collection[str]] = field(default_factory=dict)
    previous: tuple[Previous, ...] = ()
    roles: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    source: Source | None = None

    @property
    def number(self) -> int | None:
        """Return the migration's version as a number: ``002`` and ``2`` are the same."""
        return None if self.version is None else number(self.version)

    @property
    def label(self) -> str:
        """Return what messages call it: version and name, or a repeatable file's name."""
        return self.file if self.version is None else label(self.version, self.name)


@dataclass(frozen=True)
class History:
    """The events of one schema, and what follows from them.

    Attributes:
        events: The events, oldest first.
        position: The highest id in the table, for any schema; 0 if there is none.
        exists: Whether the table exists.
    """

    events: tuple[Event, ...] = ()
    position: int = 0
    exists: bool = False

    @cached_property
    def applied(self) -> Mapping[int, Event]:
        """Return the event that applied each migration that is still applied, by number.

        Where an edit was accepted since, it has the id, the name and the checksum of that.
        """
        applied: dict[int, Event] = {}
        for event in self.events:
            if event.number is None:
                continue
            if event.action in {"up", "adopt"}:
                applied[event.number] = event
            elif event.action == "accept" and event.number in applied:
                up = applied[event.number]
                applied[event.number] = replace(
                    event,
                    executed_at=up.executed_at,
                    executed_by=up.executed_by,
                    settings=up.settings,
                    elapsed_ms=up.elapsed_ms,
                )
            elif event.action == "rollback":
                applied.pop(event.number, None)
        return applied

    @cached_property
    def rolled_back(self) -> frozenset[int]:
        """Return the migrations that were rolled back and not applied since, by number."""
        undone = {e.number for e in self.events if e.action == "rollback" and e.number is not None}
        return frozenset(undone - self.applied.keys())

    @cached_property
    def begun(self) -> Mapping[int, Sequence[Event]]:
        """Return the events of each migration that did not finish, by number, oldest first."""
        begun: dict[int, list[Event]] = {}
        for event in self.events:
            if event.number is None:
                continue
            if event.action in {"begun", "statement"}:
                begun.setdefault(event.number, []).append(event)
            elif event.action == "rejected" and event.number in begun:
                events = [e for e in begun.pop(event.number) if e.action == "statement"]
                if events:
                    begun[event.number] = events
            elif event.action in {"up", "adopt", "rollback"}:
                begun.pop(event.number, None)
        return begun

    @cached_property
    def last(self) -> Mapping[int, Event]:
        """Return the last event of each migration that can be rolled back, by number."""
        return {**self.applied, **{number: events[-1] for number, events in self.begun.items()}}

    @cached_property
    def repeatables(self) -> Mapping[str, Event]:
        """Return the last event of each repeatable file that is still in effect, by name.

        It is not if all that it created was dropped since.
        """
        ran: dict[str, Event] = {}
        for event in self.events:
            if event.action in REPEATABLE_ACTIONS:
                ran[event.name] = event
            elif event.action == "rollback" and event.version is None:
                ran.pop(event.name, None)
        made = self.made_by_repeatables
        return {
            name: event
            for name, event in ran.items()
            # A migration's down file may have dropped it as well.
            if not made[name] or any(key in self.expected for key in made[name])
        }

    @cached_property
    def made_by_repeatables(self) -> Mapping[str, Collection[Key]]:
        """Return what each repeatable file has ever created or replaced, in order, by name.

        Its last event does not have what was there already. A table that it only alters, such as
        by a trigger, is not its own.
        """
        made: dict[str, dict[Key, None]] = {}
        by_migrations: set[Key] = set()
        for event in self.events:
            by_migrations.difference_update(event.gone)
            if event.action in REPEATABLE_ACTIONS:
                own = made.setdefault(event.name, {})
                own |= dict.fromkeys(
                    relation.key
                    for relation in event.expected
                    if relation.kind in REPLACEABLE
                    or (relation.complete and relation.key not in by_migrations)
                )
            else:
                by_migrations.update(relation.key for relation in event.expected)
        return {name: tuple(keys) for name, keys in made.items()}

    @cached_property
    def parts_by_repeatables(self) -> Mapping[Key, Collection[str]]:
        """Return the parts that repeatable files have created, such as triggers, by relation."""
        known: dict[Key, frozenset[str]] = {}
        made: dict[Key, set[str]] = {}
        for event in self.events:
            for relation in event.expected:
                parts = frozenset(relation.parts)
                if event.action in REPEATABLE_ACTIONS:
                    made.setdefault(relation.key, set()).update(
                        parts - known.get(relation.key, frozenset())
                    )
                known[relation.key] = parts
        return made

    @cached_property
    def expected(self) -> Snapshot:
        """Return the relations that should exist after all events."""
        relations: dict[Key, Relation] = {}
        for event in self.events:
            for key in event.gone:
                relations.pop(key, None)
            relations |= {relation.key: relation for relation in event.expected}
        return Snapshot(relations.values())

    @cached_property
    def makers(self) -> Mapping[Key, Sequence[Event]]:
        """Return the events that created or changed each expected relation, oldest first."""
        makers: dict[Key, list[Event]] = {}
        for event in self.events:
            if event.action in {"upgrade", "drift"}:
                continue
            for key in event.gone:
                makers.pop(key, None)
            for relation in event.expected:
                makers.setdefault(relation.key, []).append(event)
        return makers

    @cached_property
    def described_by(self) -> Mapping[Key, int]:
        """Return the major version of the server that described each expected relation."""
        majors: dict[Key, int] = {}
        for event in self.events:
            majors |= {relation.key: event.server_version // 10000 for relation in event.expected}
        return {key: majors[key] for key in self.expected}

    @property
    def source(self) -> Source | None:
        """Return the table that was adopted last; None if none was."""
        return next((e.source for e in reversed(self.events) if e.source is not None), None)

    @property
    def majors(self) -> frozenset[int]:
        """Return the major versions of the servers that described the expected relations."""
        return frozenset(self.described_by.values())


def event_from_json(document: Mapping[str, Any]) -> Event:
    """Return an event from its row in the history table as JSON."""
    expected = document["expected"] or {}
    source = expected.get("source")
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
        settings=document["settings"],
        elapsed_ms=document["elapsed_ms"],
        found={Key(*key): parts for key, parts in expected.get("found", ())},
        previous=tuple(
            Previous(Key(*key), part, document)
            for key, part, document in expected.get("previous", ())
        ),
        roles=tuple(expected.get("roles", ())),
        source=source and Source(source["tool"], source["table"], tuple(source["keys"])),
    )
