"""Which objects the migrations own: from the history or, without one, from a replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lfmigrate import catalog
from lfmigrate.engine.replay import replay
from lfmigrate.engine.state import DatabaseState, end_reading
from lfmigrate.errors import NOTHING_CHANGED, StatementFailed
from lfmigrate.history import ledger
from lfmigrate.history.ownership import Owned, owned_by
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, rolled_back_on_error
from lfmigrate.schema.relation import Key, Snapshot
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder


@dataclass(frozen=True, slots=True)
class Ours:
    """What some migrations made, and what is there of it.

    Attributes:
        owned: What they made.
        live: The relations that are there.
        ids: Their ids, by key.
        views: What the view files made, by the file's name.
        numbers: The migrations that are applied, ascending.
    """

    owned: Owned
    live: Snapshot
    ids: Mapping[Key, str]
    views: Mapping[str, frozenset[Key]]
    numbers: tuple[int, ...]


def everything(conn: Connection, folder: Folder, scope: Scope, before: DatabaseState) -> Ours:
    """Return what all applied migrations and the view files made; ends an open look."""
    return above(conn, folder, scope, before, None)


def above(
    conn: Connection, folder: Folder, scope: Scope, before: DatabaseState, number: int | None
) -> Ours:
    """Return what the applied migrations above a number made, and the view files.

    Without a history, a migration counts as applied if anything that it makes is there; what that
    is, a replay in a scratch schema tells, which is rolled back.

    Args:
        conn: A connection in which `look` was the last thing.
        folder: The files.
        scope: The schema.
        before: What `look` returned.
        number: None for all migrations.

    Raises:
        DatabaseError: A replay is needed, and failed.
    """
    end_reading(conn)
    known = before.history
    if known.events:
        numbers = [n for n in sorted(known.last) if number is None or n > number]
        owned = owned_by(known, numbers)
        views: dict[str, set[Key]] = {}
        for event in known.events:
            if event.action == "view" and event.name in known.views:
                views.setdefault(event.name, set()).update(r.key for r in event.expected)
        ids = {key: item_id for item_id, key in before.ids.items()}
        live = before.live
    else:
        owned, live, ids, views, numbers = _replayed(conn, folder, scope, before, number)
    for relation in live.values():
        if any(relation.key in keys for keys in views.values()):
            owned.whole.setdefault(relation.key, set(relation.parts))
    return Ours(
        owned,
        live,
        ids,
        {name: frozenset(keys) for name, keys in views.items()},
        tuple(numbers),
    )


def _replayed(
    conn: Connection, folder: Folder, scope: Scope, before: DatabaseState, number: int | None
) -> tuple[Owned, Snapshot, dict[Key, str], dict[str, set[Key]], list[int]]:
    files = [m.up for m in folder.migrations] + [view.file for view in folder.views]
    try:
        made = replay(conn, files, scope, schema=before.schema, inside=False).made
    except StatementFailed as error:
        error.detail = (
            *error.detail,
            "There is no history here, so the files are replayed to know what they make.",
        )
        error.outcome = NOTHING_CHANGED
        raise
    flight = Flight(conn)
    flight.begin(scope, read_only=True)
    flight.look_at(before.schema)
    found = flight.ask(catalog.snapshot([m.relation.key for m in made], ledger=ledger.table(scope)))
    flight.do("COMMIT")
    with rolled_back_on_error(conn):
        flight.go()
    live = Snapshot(item.relation for item in found.value)
    owned = Owned()
    views: dict[str, set[Key]] = {}
    numbers: set[int] = set()
    last = len(folder.migrations) - 1
    for item in made:
        relation = item.relation
        if item.file_index >= len(folder.migrations):
            name = folder.views[item.file_index - len(folder.migrations)].name
            views.setdefault(name, set()).add(relation.key)
            continue
        for index in sorted({item.file_index, *item.part_files.values()}):
            maker = folder.migrations[min(index, last)].number
            if relation.key in live and (number is None or maker > number):
                numbers.add(maker)
                new = {p: t for p, t in relation.parts.items() if item.part_files.get(p) == index}
                before_it = None if index == item.file_index else replace(relation, parts={})
                owned.add(replace(relation, parts=new), before_it)
    return owned, live, {f.relation.key: f.id for f in found.value}, views, sorted(numbers)
