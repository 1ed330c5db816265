"""Finds the rows of CSV files that violate a constraint while they are merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lfmigrate import catalog
from lfmigrate.errors import LfmigrateError, StatementFailed
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, execute, fetch
from lfmigrate.postgres.wire import Selected
from lfmigrate.rows import staging
from lfmigrate.rows.staging import Staged
from lfmigrate.syntax.scanner import Statement

# Where the files are in the staging tables, and nothing is merged yet.
SAVEPOINT = "lfmigrate_merge"

_CHECK_VIOLATION = "23514"
_UNIQUE_VIOLATION = "23505"


def refuse_found(conn: Connection, staged: Sequence[Staged], found: Iterable[Selected]) -> None:
    """Refuse rows that the merge script returned as problems, with their places in the files.

    Args:
        conn: A connection with an open transaction and the savepoint `SAVEPOINT`.
        staged: The files.
        found: What the script's queries returned.

    Raises:
        StatementFailed: There are problems.
    """
    findings = []
    count = 0
    for selected in found:
        rows = [row for row in selected.rows if "problem" in row]
        findings += rows
        count += selected.count if rows else 0
    if not findings:
        return
    _undo_merge(conn)
    by_table = {each.table.id: each for each in staged}
    problems: list[LfmigrateError] = []
    for finding in findings[: staging.MOST]:
        problems.append(StatementFailed(str(finding["problem"])))
        each = by_table.get(str(finding.get("tableoid")))
        if each is not None:
            ctid, column = str(finding.get("ctid")), finding.get("column")
            staging.place(conn, each, ctid, problems[-1], column)
    raise staging.combined(problems, count)


def explain(
    conn: Connection,
    staged: Sequence[Staged],
    error: StatementFailed,
    merge: Sequence[Statement],
) -> LfmigrateError:
    """Return an error that names the rows that a constraint rejects, or the error as it is.

    Args:
        conn: A connection with an open, failed transaction and the savepoint `SAVEPOINT`.
        staged: The files.
        error: Why a statement of the merge script failed.
        merge: The script's statements.
    """
    if error.sqlstate == _CHECK_VIOLATION:
        return _check_violation(conn, staged, error)
    if error.sqlstate == _UNIQUE_VIOLATION:
        return _unique_violation(conn, staged, error, merge)
    return error


def _check_violation(
    conn: Connection, staged: Sequence[Staged], error: StatementFailed
) -> LfmigrateError:
    """Say what a check demands, and which rows of the file violate it."""
    named = error.diagnostic
    _undo_merge(conn)
    names = (named.schema or "", named.table or "", named.constraint or "")
    rule = fetch(conn, catalog.check_constraint(*names))
    if rule is None:
        return error
    demand = f"{named.table} demands that {rule.words} (constraint {named.constraint})"
    target = (named.schema, named.table)
    each = next((each for each in staged if each.table.target == target), None)
    problems, count = ([], 0) if each is None else staging.offenders(conn, each, rule, demand)
    if not problems:
        error.detail = (*error.detail, demand)
        return error
    return staging.combined(problems, count)


def _unique_violation(
    conn: Connection,
    staged: Sequence[Staged],
    error: StatementFailed,
    merge: Sequence[Statement],
) -> LfmigrateError:
    """Say which rows of the files repeat another one, by the script's unique indexes."""
    by_name = {each.table.name: each for each in staged}
    if error.diagnostic.table not in by_name:
        return error
    _undo_merge(conn)
    problems: list[LfmigrateError] = []
    count = 0
    for statement in merge:
        if statement.head[:3] != ("CREATE", "UNIQUE", "INDEX"):
            continue
        flight = Flight(conn)
        flight.do(f"SAVEPOINT {SAVEPOINT}")
        flight.run(statement)
        try:
            flight.go()
        except StatementFailed as failure:
            _undo_merge(conn)
            each = by_name.get(failure.diagnostic.table or "")
            if failure.sqlstate == _UNIQUE_VIOLATION and each is not None:
                key = _key_of(conn, each, statement)
                found, more = staging.duplicates(conn, each, key) if key is not None else ([], 0)
                problems += found
                count += more
    return staging.combined(problems, count) if problems else error


def _key_of(conn: Connection, staged: Staged, statement: Statement) -> catalog.UniqueKey | None:
    """Return the key of a unique index that cannot be created, because rows repeat it.

    The catalogs describe it once the index exists, on an empty table. The error names it, too, but
    in one text with a value of the file, and no value becomes a part of SQL.
    """
    flight = Flight(conn)
    flight.do(f"SAVEPOINT {SAVEPOINT}")
    staging.empty(flight, staged)
    flight.run(statement)
    asked = flight.ask(catalog.unique_key(staged.table.id))
    try:
        flight.go()
    except StatementFailed:
        return None
    finally:
        _undo_merge(conn)
    return asked.value


def _undo_merge(conn: Connection) -> None:
    """Go back to where the files are in the staging tables, to look at their rows."""
    execute(conn, f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
