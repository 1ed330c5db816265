"""What a transaction loses: found by its own locks, and by the catalogs and rows before and after.

What exists is compared with what existed before. What is locked and gone, although it did not exist
when the transaction looked, is asked for on a second connection. Whether existing rows are still
there is counted. Statistics, notices and the texts of statements decide nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from lfmigrate import catalog
from lfmigrate.catalog import Traces, WrittenTable
from lfmigrate.engine.blocking import ask_aside
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.relation import Fingerprints, Found

# How long another connection may take to say what existed before the transaction.
_ASK_S = 5.0


# The kind of a table that stays, and whose rows a down file changes, deletes or rewrites.
CHANGED = "changed table"


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that is lost.

    Attributes:
        kind: In the server's words.
        name: Qualified and quoted where needed.
        rows: The number of rows of a table; of one that stays, those that are deleted or changed. A
            partition has None if its table is lost as well, whose rows include its own.
        bytes: The size of a table on the disk, indexes included; like ``rows``.
        deleted: How many of the rows are deleted, if the table stays; the others are changed.
    """

    kind: str
    name: str
    rows: int | None = None
    bytes: int | None = None
    deleted: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What exists, and what the open transaction has locked so far."""

    objects: Answer[frozenset[str]]
    traces: Answer[Traces]

    @classmethod
    def queue(cls, flight: Flight, schema: str, ledger: str) -> Moment:
        """Queue the questions.

        Args:
            flight: Where they are queued.
            schema: The schema whose names are not qualified.
            ledger: As in `catalog.traces`.
        """
        flight.look_at(schema)
        return cls(flight.ask(catalog.inventory()), flight.ask(catalog.traces(ledger)))


@dataclass(frozen=True, slots=True)
class Changes:
    """What a transaction has done between two moments, as ids.

    Attributes:
        dropped: The objects and columns that existed at the first moment and were dropped.
        rewritten: The tables that stay, and were emptied or rewritten or have lost a column; and
            the sequences that were restarted.
        cut: The relations that stay and have lost a column, composite types among them.
        written: The tables that stay, and whose rows may have been changed, deleted or inserted.
        reached: All that was locked against others, or written.
        created: What exists since.
        tables: The tables that are locked or written, and stay; partitioned ones have no rows.
    """

    dropped: frozenset[str]
    rewritten: frozenset[str] = frozenset()
    cut: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    reached: frozenset[str] = frozenset()
    created: frozenset[str] = frozenset()
    tables: Mapping[str, WrittenTable] = field(default_factory=dict)


def changes(before: Moment, after: Moment) -> Changes:
    """Return what a transaction has done between two moments."""
    there, now = before.objects.value, after.objects.value
    traces = after.traces.value
    gone = there - now
    dropped = frozenset(item_id for item_id in gone if not item_id.startswith("rows:"))
    cut = frozenset(
        whole for item_id in dropped if (whole := _whole(item_id)) != item_id and whole in now
    )
    rewritten = {_table_of(item_id) for item_id in gone if item_id.startswith("rows:")} | cut
    written = traces.written - before.traces.value.written
    locked = traces.locked - before.traces.value.locked
    return Changes(
        dropped=dropped,
        rewritten=frozenset(rewritten) - dropped,
        cut=cut,
        written=written,
        reached=locked | written,
        created=now - there,
        tables=traces.tables,
    )


def existed_before(conn: Connection, ids: Collection[str]) -> tuple[str, ...]:
    """Return what objects are called that the open transaction has not created itself.

    Another connection sees the database as it was, without waiting for a lock.

    Raises:
        DatabaseError: There is no second connection.
    """
    return ask_aside(conn, catalog.existing(ids), _ASK_S) if ids else ()


def lost_outside(before: Fingerprints, after: Fingerprints, was: Iterable[Found]) -> list[str]:
    """Return a note for each table that a statement outside a transaction dropped or rewrote.

    Args:
        before: What existed before it.
        after: What existed after it.
        was: The relations as they were before.
    """
    notes = []
    for found in was:
        then, now = before.get(found.id, ""), after.get(found.id)
        # That of a table has the file of its rows.
        if found.relation.kind != "table" or ":" not in then:
            continue
        if now is None or now.partition(":")[2] != then.partition(":")[2]:
            deed = "dropped" if now is None else "emptied or rewritten"
            notes.append(
                f"table {found.relation.label} was {deed} outside a transaction; if it had rows,"
                " they were neither counted nor saved"
            )
    return notes


def _whole(item_id: str) -> str:
    """Return the id of the relation that a column belongs to; of anything else, its own id."""
    return ":".join(item_id.split(":")[:2])


def _table_of(rows_id: str) -> str:
    return f"pg_class:{rows_id.split(':')[1]}"
