"""Locks and counts what a rollback would lose, and chooses what has to be saved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from lfmigrate import catalog
from lfmigrate.catalog import LargeObject
from lfmigrate.engine.losses import CHANGED, Lost
from lfmigrate.engine.transaction import Transaction
from lfmigrate.engine.trial import Trial, lock_tables
from lfmigrate.history.ownership import Drops
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.postgres.wire import Answer
from lfmigrate.rows.policies import all_rows_visible
from lfmigrate.schema.object import Item
from lfmigrate.syntax.names import quote_name

# What the server calls a column.
_COLUMN = "table column"

# That of a sequence that stays, and is set back or restarted.
_CHANGED_SEQUENCE = "changed sequence"

# One that stays, and whose rows, which are on another server, may be changed.
_CHANGED_FOREIGN_TABLE = "changed foreign table"


@dataclass(frozen=True, slots=True)
class Counted:
    """What is lost, with its rows, under locks that keep it as it is.

    Attributes:
        lost: What the migrations created, and the tables that stay and whose rows are changed.
        dependents: What they did not create.
        tables: Schema and name of the tables with these rows.
        sequences: Those of the sequences that are saved without a table.
        large_objects: The large objects that are deleted or changed.
        unsaved: How many rows the tables have that are written to without a loss, by id.
        dropped: The ids of all that is dropped, but for columns of tables that are changed as well.
        has_content: Whether there is anything in the tables and sequences.
        notes: What is worth a warning.
    """

    lost: tuple[Lost, ...]
    dependents: tuple[Lost, ...]
    tables: tuple[tuple[str, str], ...]
    sequences: tuple[tuple[str, str], ...]
    large_objects: tuple[LargeObject, ...]
    unsaved: Mapping[str, int]
    dropped: frozenset[str]
    has_content: bool
    notes: tuple[str, ...]


def count_losses(
    tx: Transaction, trial: Trial, drops: Drops, reset: Collection[str] = ()
) -> Counted:
    """Lock the tables that are lost or changed, and count their rows.

    Args:
        tx: The trial was rolled back in it.
        trial: What the files did.
        drops: What of it the migrations created.
        reset: The ids of the sequences that they set back.

    Raises:
        Refused: The role may not see all rows.
    """
    flight, gone = tx.flight, trial.gone
    whole = trial.changes.rewritten | gone.keys()
    if trial.failure is None:
        # Also those that the migrations did not create.
        lock_tables(flight, [_qualified(item) for item in trial.tables if item.id in whole])
        # Others may still read them, and a role that may only insert may not lock them.
        shared = [i for i in trial.tables if i.id not in whole and trial.may_lock(i.id)]
        lock_tables(flight, [_qualified(item) for item in shared], "SHARE ROW EXCLUSIVE")
    cut = [i for i in drops.own + drops.outside if i.kind == _COLUMN]
    counted, values = _ask_rows(flight, trial.counted, cut)
    dropped_sequences = [i for i in drops.own + drops.outside if i.relkind == "S"]
    new = flight.ask(catalog.items(set(reset) - trial.items.keys()))
    used = [flight.ask(_is_used(sequence)) for sequence in dropped_sequences]
    tx.send()
    changed_sequences = [
        item
        for item in (*trial.items.values(), *new.value.values())
        if item.relkind == "S" and (item.id in reset or item.id in trial.changes.rewritten)
    ]
    rows = {item_id: answer.value for item_id, answer in counted.items()}
    filled = {item_id: answer.value for item_id, answer in values.items()}
    schema = tx.state.schema
    changed: dict[str, Lost] = {}
    unsaved: dict[str, int] = {}
    for item in trial.outermost:
        if item.id in gone:
            continue
        table = _changed(item, trial, *rows[item.id], schema=schema)
        if table.rows:
            changed[item.id] = table
        elif item.id in trial.changes.written:
            unsaved[item.id] = rows[item.id][0]

    def dropped(item: Item) -> Lost:
        known = rows.get(item.id, (filled.get(item.id), None))
        return Lost(item.kind, _plain(item, schema), *known)

    moved = (Lost(_CHANGED_SEQUENCE, _plain(item, schema)) for item in changed_sequences)
    objects = (each.lost for each in trial.large_objects.values())
    foreign = [Lost(_CHANGED_FOREIGN_TABLE, name) for name in trial.foreign_tables]
    remote = "rows of foreign table {} may be changed on its server; they are in no backup"
    views = [
        view
        for view in trial.counted
        if view.relkind == "m" and rows[view.id][0] and view.id not in trial.restored
    ]
    note = "the rows of {} are in no backup; REFRESH fills it from the tables that are left"
    saved = [item for item in trial.outermost if item.id in gone or item.id in changed]
    return Counted(
        lost=(*map(dropped, drops.own), *changed.values(), *moved, *objects, *foreign),
        dependents=tuple(map(dropped, drops.outside)),
        tables=_names(saved),
        sequences=_names([*dropped_sequences, *changed_sequences]),
        large_objects=tuple(each.was for each in trial.large_objects.values()),
        unsaved=unsaved,
        dropped=trial.changes.dropped - _columns_of_changed_tables(trial),
        has_content=any(rows[item.id][0] for item in saved)
        or any(answer.value for answer in used)
        or bool(changed_sequences)
        or bool(trial.large_objects),
        notes=(
            *(note.format(f"materialized view {_plain(view, schema)}") for view in views),
            *map(remote.format, trial.foreign_tables),
        ),
    )


def _columns_of_changed_tables(trial: Trial) -> set[str]:
    """Return the ids of the dropped columns of tables whose rows are changed or deleted as well.

    Their rows are restored as a whole.
    """
    changed = {i for i in trial.changes.written if trial.changes.tables[i].changed != 0}
    changed |= {up for i in changed & trial.items.keys() for up in trial.items[i].ancestors}
    return {i for i in trial.changes.dropped if i.rpartition(":")[0] in changed}


def _changed(item: Item, trial: Trial, rows: int, size: int, *, schema: str) -> Lost:
    """Return what is lost of a table that stays."""
    left = trial.left.get(item.id)
    deleted = 0 if left is None else max(rows - left.all, 0)
    if left is None or item.id in trial.changes.rewritten | trial.retyped:
        changed = rows - deleted
    else:
        changed = max(rows - left.old - deleted, 0)
    return Lost(CHANGED, _plain(item, schema), deleted + changed, size, deleted)


def _ask_rows(
    flight: Flight, items: Sequence[Item], columns: Sequence[Item]
) -> tuple[Mapping[str, Answer[tuple[int, int]]], Mapping[str, Answer[int]]]:
    """Queue the questions for all rows and bytes of relations, whatever policies hide.

    Args:
        flight: Where they are queued.
        items: The relations.
        columns: Columns; of those in these relations, the values that are not null are counted.
    """
    names, tables = _names(items), {item.id: item for item in items}
    with all_rows_visible(flight, names) if names else nullcontext():
        rows = {item.id: flight.ask(_rows_and_bytes(item)) for item in items}
        values = {
            column.id: flight.ask(_values(tables[column.relation], column))
            for column in columns
            if column.relation in tables
        }
    return rows, values


def _names(items: Sequence[Item]) -> tuple[tuple[str, str], ...]:
    return tuple((item.schema, item.relname) for item in items if item.schema and item.relname)


def _qualified(item: Item) -> str:
    return f"{quote_name(item.schema or '')}.{quote_name(item.relname or '')}"


def _rows_and_bytes(item: Item) -> Query[tuple[int, int]]:
    name = _qualified(item)
    only = "ONLY " if item.relkind == "r" else ""
    return Query(
        "SELECT jsonb_build_array((SELECT count(*) FROM "
        f"{only}{name}), (SELECT coalesce(sum(pg_total_relation_size(t.relid)), 0) FROM"
        " (SELECT $1::regclass UNION SELECT p.relid FROM pg_partition_tree($1::regclass) AS p)"
        " AS t (relid)))",
        (name,),
        lambda value: (value[0], value[1]),
    )


def _values(table: Item, column: Item) -> Query[int]:
    name = quote_name((column.part or "").removeprefix("column "))
    only = "ONLY " if table.relkind == "r" else ""
    return Query(f"SELECT to_jsonb(count({name})) FROM {only}{_qualified(table)}", (), int)


def _is_used(item: Item) -> Query[bool]:
    """Ask whether a sequence has another position than a new one."""
    name = _qualified(item)
    return Query(
        f"SELECT to_jsonb(p.is_called OR p.last_value <> s.seqstart) FROM {name} AS p, pg_sequence"
        " AS s WHERE s.seqrelid = $1::regclass",
        (name,),
        bool,
    )


def _plain(item: Item, schema: str) -> str:
    """Return a name without the schema that is the usual one."""
    usual = (schema if schema.isidentifier() and schema.islower() else quote_name(schema)) + "."
    return item.name.removeprefix(usual)
