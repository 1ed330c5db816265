"""Which objects the migrations own: from the history or, without one, from a replay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from lfmigrate import catalog
from lfmigrate.engine.replay import replay
from lfmigrate.engine.session import Session
from lfmigrate.engine.shadow import NoShadowDatabase
from lfmigrate.engine.state import DatabaseState
from lfmigrate.errors import NOTHING_CHANGED, StatementFailed
from lfmigrate.history.ownership import Owned, owned_by
from lfmigrate.schema.relation import Key, Relation, Snapshot


@dataclass(frozen=True, slots=True)
class OwnedObjects:
    """What some migrations created, and what exists of it.

    Attributes:
        owned: What they created.
        live: The relations that exist.
        ids: Their ids, by key.
        repeatables: What the repeatable files created, in order, by their name.
        numbers: The migrations that are applied, ascending.
        roles: The names of the roles that they created.
    """

    owned: Owned
    live: Snapshot
    ids: Mapping[Key, str]
    repeatables: Mapping[str, Collection[Key]]
    numbers: tuple[int, ...]
    roles: frozenset[str] = frozenset()

    @property
    def tables(self) -> tuple[Relation, ...]:
        """Return the tables among `relations`."""
        return tuple(r for r in self.relations if r.kind == "table")

    @property
    def relations(self) -> tuple[Relation, ...]:
        """Return what exists and was created, or found, by the migrations."""
        keys = dict.fromkeys([*self.owned.whole, *sorted(self.owned.found)])
        return tuple(self.live[key] for key in keys if key in self.live)


def owned_objects(
    session: Session, state: DatabaseState, *, above: int | None = None
) -> OwnedObjects:
    """Return what the applied migrations and the repeatable files created.

    Without a history, a migration counts as applied if anything that it creates exists; what that
    is, is found out by a replay in a shadow database.

    Args:
        session: The command.
        state: The database as it was read.
        above: Only migrations with a greater number; None for all.

    Raises:
        DatabaseError: A replay is needed, and failed.
    """
    known = state.history
    if not known.events:
        return _replayed(session, state, above)
    numbers = tuple(n for n in sorted(known.last) if above is None or n > above)
    repeatables = {name: known.made_by_repeatables[name] for name in known.repeatables}
    ids = {key: item_id for item_id, key in state.ids.items()}
    owned = _with_repeatables(owned_by(known, numbers), state.live, ids, repeatables, numbers)
    chosen = frozenset(numbers)
    created = (role for e in known.events if e.roles and e.number in chosen for role in e.roles)
    return replace(owned, roles=frozenset(created))


def _with_repeatables(
    owned: Owned,
    live: Snapshot,
    ids: Mapping[Key, str],
    repeatables: Mapping[str, Collection[Key]],
    numbers: tuple[int, ...],
) -> OwnedObjects:
    for relation in live.values():
        if any(relation.key in keys for keys in repeatables.values()):
            owned.whole.setdefault(relation.key, set(relation.parts))
            # A migration may have changed it, such as by changing a table below it.
            owned.parts.pop(relation.key, None)
    return OwnedObjects(owned, live, ids, repeatables, numbers)


def _replayed(session: Session, state: DatabaseState, above: int | None) -> OwnedObjects:
    folder = session.folder
    files = [m.up for m in folder.migrations] + [each.file for each in folder.repeatables]
    try:
        made = replay(session, state, files).made
    except (NoShadowDatabase, StatementFailed) as error:
        error.detail = (
            *error.detail,
            "There is no history, so the files are replayed to find out what they create.",
        )
        error.outcome = NOTHING_CHANGED
        raise
    with session.reading(state.schema) as flight:
        keys = [item.relation.key for item in made]
        found = flight.ask(catalog.relations(keys))
    live = Snapshot(item.relation for item in found.value)
    owned = Owned()
    repeatables: dict[str, list[Key]] = {}
    numbers: set[int] = set()
    last = len(folder.migrations) - 1
    for item in made:
        relation = item.relation
        if item.file_index >= len(folder.migrations):
            name = folder.repeatables[item.file_index - len(folder.migrations)].name
            repeatables.setdefault(name, []).append(relation.key)
            continue
        for index in sorted({item.file_index, *item.part_files.values()}):
            maker = folder.migrations[min(index, last)].number
            if relation.key in live and (above is None or maker > above):
                numbers.add(maker)
                new = {p: t for p, t in relation.parts.items() if item.part_files.get(p) == index}
                before = None if index == item.file_index else replace(relation, parts={})
                owned.add(replace(relation, parts=new), before)
    ids = {item.relation.key: item.id for item in found.value}
    return _with_repeatables(owned, live, ids, repeatables, tuple(sorted(numbers)))
