"""`export`: write the table of another migration tool, for a switch to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from lfmigrate import catalog
from lfmigrate.catalog import Server, ToolTable
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.transaction import Transaction, transaction
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import NOTHING_CHANGED, Refused, StatementFailed
from lfmigrate.history import exported, tools
from lfmigrate.history.exported import Handover, Known, Row
from lfmigrate.history.tool_rows import NotUnderstood, said
from lfmigrate.postgres.connection import Connection
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.source.sqlfile import SqlFile, from_text
from lfmigrate.syntax.names import quote_name

_EXISTS = "42P07"
_NO_PRIVILEGE = "42501"
_ADOPT = 'Run "lfmigrate adopt" first: it records what the other tool has applied.'


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written to another tool's table or, in a dry run, would be.

    Attributes:
        server: Where.
        schema: The schema for unqualified names, in which the table is.
        tool: Whose table it is.
        table: Its name, without the schema.
        columns: The columns that people are shown.
        status: ``unchanged`` if the table says already what the history says.
        created: Whether the table did not exist.
        rows: The rows that were added, by the names of their columns; a tool that keeps one row
            gets that one.
        notes: What is worth a warning.
        dry_run: Whether nothing was written on purpose.
    """

    server: Server
    schema: str
    tool: str
    table: str
    columns: tuple[str, ...]
    status: Literal["exported", "planned", "unchanged"]
    created: bool
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    dry_run: bool


def export(
    conn: Connection,
    folder: Folder,
    to: str,
    *,
    scope: Scope | None = None,
    dry_run: bool = False,
    on_wait: Callable[[str], None] | None = None,
) -> ExportReport:
    """Write what is applied to another tool's table, as that tool would have done.

    Writes, in one transaction under lfmigrate's lock: creates the table, or adds what it lacks.
    Nothing else is changed, and nothing is dropped; the history stays as it is.

    Args:
        conn: An open connection without an open transaction.
        folder: The files, in a format that the tool reads.
        to: The tool; see docs/commands/export.md.
        scope: The schema, and how long to wait; by default the connection's own schema.
        dry_run: Write it, and roll back.
        on_wait: Called with a line when the command has to wait for another session.

    Returns:
        What was written.

    Raises:
        UsageError: There is no such tool.
        DifferenceFound: An applied file was edited, or is missing.
        Refused: The tool would not find the files, its table says something else than the history
            or cannot say it, or nothing is applied.
        DatabaseError: The server refused.
        Interrupted: A signal arrived. Nothing was written.
    """
    chosen = exported.target(to)
    session = Session(conn, folder, scope, on_wait=on_wait)
    for attempt in Attempts(session):
        with attempt:
            state = session.state(relations=False, tools=True)
            table = _find(state, to)
            known = Known() if table is None else _known(table, folder, state)
            given = exported.handover(to, folder, state.history, known)
            rows = chosen.rows(given)
            report = ExportReport(
                server=state.server,
                schema=state.schema,
                tool=to,
                table=chosen.table,
                columns=chosen.columns,
                status="planned",
                created=table is None,
                rows=tuple(rows),
                notes=exported.notes(to, folder, state.history),
                dry_run=dry_run,
            )
            if table is not None and not rows:
                session.end_reading()
                report = replace(report, status="unchanged")
                continue
            _write(session, state, report, given, table)
            if not dry_run:
                report = replace(report, status="exported")
    return replace(report, notes=(*report.notes, *session.notes))


def _find(state: DatabaseState, tool: str) -> ToolTable | None:
    """Return the tool's table; in another schema than the current one, the tool would not look.

    Raises:
        Refused: The table of that name is another tool's.
    """
    name = exported.target(tool).table
    named = [t for t in state.tools if (t.schema, t.name) == (state.schema, name)]
    for table in named:
        if table.tool != tool:
            raise Refused(
                f"{table.label} is {table.tool}'s, and {tool} would take it for its own",
                hint=f"Rename it, once {table.tool} does not need it any more.",
            )
    return named[0] if named else None


def _known(table: ToolTable, folder: Folder, state: DatabaseState) -> Known:
    """Return what the tool's table says.

    Raises:
        Refused: It is not what the history says, as far as it goes.
    """
    if table.rows is None:
        raise Refused(
            f"{table.label} exists, and cannot be read",
            hint="Connect as its owner, without a policy of row-level security that hides rows; if"
            " another session has locked it, try again.",
        )
    try:
        says = said(table.tool, table.rows)
    except NotUnderstood as why:
        raise Refused(
            f"{table.label}, the table of {table.tool}, {tools.not_its_own(why)}",
            hint="Rename it, so that it is written from the history.",
        ) from why
    found = tools.matched(table.tool, says, folder)
    if says.failed:
        raise Refused(
            f"{table.label} says that {says.failed[0]} has failed",
            hint=f"{tools.REPAIRS[table.tool]}.".capitalize()
            if table.tool in tools.REPAIRS
            else "Correct it first.",
        )
    applied = state.history.applied
    lines = [f"no file in the folder: {name}" for name in found.unknown]
    lines += [f"another text: {m.label}" for m in found.edited]
    undone = state.history.rolled_back
    lines += [f"rolled back: {m.label}" for m in found.migrations if m.number in undone]
    lines += [
        f"not in the history: {m.label}"
        for m in found.migrations
        if m.number not in applied and m.number not in undone
    ]
    if lines:
        raise Refused(
            f"{table.label} exists, and says something else than the history",
            detail=lines,
            hint=_ADOPT
            if any(line.startswith("not in") for line in lines)
            else "Rename it, so that it is written from the history.",
        )
    return Known(frozenset(m.number for m in found.migrations), found.repeatables, exists=True)


def _write(
    session: Session,
    state: DatabaseState,
    report: ExportReport,
    given: Handover,
    was: ToolTable | None,
) -> None:
    """Write the rows, and see that the table then says what the history says.

    Args:
        session: The command.
        state: The database as it was read.
        report: What to write.
        given: What the table has to say.
        was: The table as it was read; None if it did not exist.
    """
    file = _file(report)
    with transaction(session, state) as tx:
        # A temporary table of the name would otherwise come first.
        tx.flight.set({"search_path": f"{quote_name(state.schema)}, pg_temp"})
        parameter = json.dumps(report.rows)
        try:
            if was is not None and exported.target(report.tool).replaces:
                _keep_others_out(tx, state, was)
            for statement in file.statements:
                tx.flight.do(statement.text, *([parameter] if "$1" in statement.text else []))
            asked = tx.flight.ask(catalog.tool_tables())
            tx.send()
        except StatementFailed as error:
            if error.sqlstate == _EXISTS:
                raise Refused(
                    f"{state.schema}.{report.table} exists, and is not {report.tool}'s",
                    hint="Rename it first.",
                    outcome=NOTHING_CHANGED,
                ) from error
            if error.sqlstate == _NO_PRIVILEGE:
                error.hint = "Connect as a role that may create the table, or as its owner."
            raise
        table = next(t for t in asked.value if (t.tool, t.schema) == (report.tool, state.schema))
        now = _known(table, session.folder, state)
        if set(now.numbers) != {migration.number for migration, _ in given.applied}:
            raise _changed_meanwhile(table)
        if not report.dry_run:
            tx.commit()


def _keep_others_out(tx: Transaction, state: DatabaseState, was: ToolTable) -> None:
    """Lock a table of which a row is replaced, and see that it is still the one that was read.

    Raises:
        Refused: The tool has written it meanwhile.
        StatementFailed: The role may not write it.
    """
    name = f"{quote_name(state.schema)}.{quote_name(was.name)}"
    tx.flight.do(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
    asked = tx.flight.ask(catalog.tool_tables())
    tx.send()
    now = [t for t in asked.value if (t.tool, t.schema, t.name) == (was.tool, was.schema, was.name)]
    if now != [was]:
        raise _changed_meanwhile(was)


def _changed_meanwhile(table: ToolTable) -> Refused:
    return Refused(
        f"{table.label} was changed meanwhile",
        hint=f"Try again when {table.tool} has ended.",
        outcome=NOTHING_CHANGED,
    )


def _file(report: ExportReport) -> SqlFile:
    """Return the statements to run, without the first ones if the table exists."""
    name = f"export_{report.tool.replace('-', '_')}"
    file = from_text(name, catalog.query_text(name))
    if report.created:
        return file
    return file.only(*(s for s in file.statements if s.head[0] != "CREATE"))
