"""Making room for rows: tables are locked, counted, saved and emptied."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from lfmigrate import catalog
from lfmigrate.catalog import LargeObject, Table
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import Refused, StatementFailed
from lfmigrate.rows import archive, dump
from lfmigrate.rows.dump import Emptied, OnCopy, emptied
from lfmigrate.rows.policies import all_rows_visible, see_all_rows
from lfmigrate.rows.suspended import without_triggers


def lock_and_count_tables(transaction: Transaction, tables: Sequence[Table]) -> tuple[Emptied, ...]:
    """Lock tables against all other sessions, and return those that have rows.

    Raises:
        Refused: The role may not see all rows.
    """
    if not tables:
        return ()
    flight = transaction.flight
    dump.lock(flight, tables)
    with all_rows_visible(flight, _names(tables)):
        asked = [flight.ask(dump.count_rows(table)) for table in tables]
    transaction.send()
    return emptied(tables, [answer.value for answer in asked])


def tables_with_rows(
    session: Session, state: DatabaseState, tables: Sequence[Table]
) -> tuple[Emptied, ...]:
    """Return the tables that have rows. Only reads.

    Args:
        session: The command.
        state: The database as it was read.
        tables: The tables; not locked, unless their rows are hidden from their owner.

    Raises:
        Refused: The role may not see all rows.
    """
    with session.reading(state.schema, read_only=state.server.standby) as flight:
        see_all_rows(flight, _names(tables), may_lift=True)
        asked = [flight.ask(dump.count_rows(table)) for table in tables]
    return emptied(tables, [answer.value for answer in asked])


def _names(tables: Sequence[Table]) -> list[tuple[str, str]]:
    return [(table.schema, table.name) for table in tables]


def save_and_empty(
    transaction: Transaction,
    tables: Sequence[Table],
    lost: Sequence[Emptied],
    *,
    backup_parent: Path | None,
    reason: str,
    fires_triggers: bool,
    kept: Sequence[Table] = (),
    large_objects: Sequence[LargeObject] = (),
    watch: OnCopy | None,
) -> Path | None:
    """Delete all rows of locked tables, after a backup.

    Args:
        transaction: It has locked the tables.
        tables: The tables.
        lost: Those of them that have rows.
        backup_parent: Where the backup's folder is created; None for no backup.
        reason: What the manifest says of it.
        fires_triggers: Whether TRUNCATE triggers of users fire.
        kept: Tables that are saved, too, and keep their rows.
        large_objects: Large objects that are saved, too; the role may read them.
        watch: Called as rows are copied.

    Returns:
        The backup; None if there is none.

    Raises:
        Refused: Other tables refer to the rows, or the backup could not be written.
    """
    backup = None
    if backup_parent is not None:
        about = transaction.state.about(reason)
        target = archive.default_folder(backup_parent, about.database)
        backup = transaction.save_rows(
            _names([*tables, *kept]), (), target, about, large_objects=large_objects, watch=watch
        ).path
    chosen = _to_truncate(transaction, tables, lost)
    with nullcontext() if fires_triggers else without_triggers(transaction.flight, chosen):
        dump.empty(transaction.flight, chosen)
    try:
        transaction.send()
    except StatementFailed as error:
        if error.sqlstate != dump.REFERENCED:
            raise
        raise Refused(
            "tables outside the migrations reference those to be truncated",
            detail=error.detail,
            hint="Truncate or drop them first.",
        ) from None
    return backup


def _to_truncate(
    transaction: Transaction, tables: Sequence[Table], lost: Sequence[Emptied]
) -> list[Table]:
    """Return the tables that have rows, and those that refer to them.

    Other tables may refer to one that is empty, and would prevent its TRUNCATE.
    """
    names = {(table.schema, table.name) for table in lost}
    filled = [table for table in tables if (table.schema, table.name) in names]
    if len(filled) in {0, len(tables)}:
        return filled
    asked = transaction.flight.ask(catalog.referring(table.id for table in filled))
    transaction.send()
    return [table for table in tables if table.id in asked.value]
