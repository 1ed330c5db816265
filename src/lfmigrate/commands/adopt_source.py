"""Which migrations `adopt` records: by another tool's table, by a version, or by both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lfmigrate.catalog import Server, ToolTable
from lfmigrate.engine.state import DatabaseState
from lfmigrate.errors import NOTHING_CHANGED, DatabaseError, Refused, UsageError
from lfmigrate.history import plan, tools
from lfmigrate.history.events import History, Source
from lfmigrate.history.tool_rows import TOOLS, NotUnderstood, Said, said
from lfmigrate.history.tools import NOTHING_MATCHED, Matched
from lfmigrate.source.baseline import Baseline
from lfmigrate.source.folder import Folder, Migration

# What --from says for none of the tables.
NO_TOOL = "none"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is applied, and how that is known.

    Attributes:
        migrations: The migrations.
        source: The table that says so.
        matched: What that table says of the folder.
    """

    migrations: tuple[Migration, ...]
    source: Source | None = None
    matched: Matched = NOTHING_MATCHED


def choose(
    folder: Folder,
    state: DatabaseState,
    *,
    schema: str | None,
    to: str | None,
    from_tool: str | None,
    baseline: Baseline | None,
) -> Chosen:
    """Return what is applied, by the table of a tool or by a version.

    Args:
        folder: The files.
        state: The database, with the tables of other tools.
        schema: The schema that was asked for; None for that of the connection.
        to: Everything up to this version is applied.
        from_tool: Whose table says what is applied; ``none`` for none.
        baseline: The migration made from a dump; what the tables say is then only remembered.

    Raises:
        UsageError: There is no table, and no version; or a table says something else.
        Refused: Nothing in the folder is known to be applied, or a table cannot be believed.
        DatabaseError: A table cannot be read.
    """
    if baseline is not None:
        return Chosen((baseline.migration,), _source(state))
    up_to = None if to is None else plan.version_named(folder, to)
    tables = _tables(state.tools, from_tool)
    if not tables:
        if up_to is None:
            raise UsageError(
                "there is no table of another migration tool",
                detail=[f"search path: {state.server.search_path}"],
                hint="Say with --to VERSION which migration of the folder the database has reached,"
                " or let --schema-only make one from a dump.",
            )
        return Chosen(tuple(m for m in folder.migrations if m.number <= up_to))
    if from_tool is None:
        _refuse_other_schema(tables, schema)
    table = " and ".join(each.label for each in tables)
    says = _read(tables, state.server, table)
    found = tools.matched(tables[0].tool, says, folder)
    source = Source(tables[0].tool, table, says.keys)
    if found.migrations:
        if up_to is None:
            _refuse_rolled_back(found.migrations, source, state.history)
            return Chosen(found.migrations, source, found)
        chosen = tuple(m for m in folder.migrations if m.number <= up_to)
        _refuse_contradiction(chosen, found.migrations, source, state.history)
        return Chosen(chosen, source, found)
    if up_to is None:
        raise _nothing_known(source, folder)
    known = Matched(repeatables=found.repeatables)
    return Chosen(tuple(m for m in folder.migrations if m.number <= up_to), source, known)


def _refuse_other_schema(found: Sequence[ToolTable], schema: str | None) -> None:
    """Refuse a table that may be about another schema than the one that was asked for.

    Raises:
        Refused: It is in another one, and the tool has none of its own for it.
    """
    for table in found:
        if schema is not None and table.by_path and table.schema != schema:
            raise Refused(
                f"{table.label}, the table of {table.tool}, is not in schema {schema}",
                hint=f"If it says what is applied in {schema}, add --from {table.tool}; otherwise"
                " ignore it with --from none.",
            )


def _refuse_rolled_back(said: Sequence[Migration], source: Source, history: History) -> None:
    """Refuse to believe what a table may only still say.

    Raises:
        Refused: A migration was rolled back, and no comparison would show that of its rows.
    """
    undone = [m for m in said if m.number in history.rolled_back]
    if undone:
        raise Refused(
            f"{source.table} says that {undone[0].label} is applied, which lfmigrate has rolled"
            " back",
            detail=[f"also: {m.label}" for m in undone[1:]],
            hint=f'"lfmigrate up" runs it again. If {source.tool} has done that, say with --to'
            " VERSION which migration the database has reached.",
        )


def _refuse_contradiction(
    chosen: Sequence[Migration], said: Sequence[Migration], source: Source, history: History
) -> None:
    """Refuse a version that says something else than a table, and not only more.

    Raises:
        UsageError: The table names a newer migration, or does not name an older one.
    """
    newest = max(m.number for m in said)
    known = {m.number for m in said} | history.applied.keys()
    hint = "Leave out --to, or ignore that table with --from none."
    if left_out := [m.label for m in said if m not in chosen]:
        raise UsageError(
            f"--to is older than {left_out[-1]}, which is applied by {source.table}", hint=hint
        )
    if pending := [m.label for m in chosen if m.number < newest and m.number not in known]:
        raise UsageError(
            f"--to includes {pending[0]}, which is not applied by {source.table}", hint=hint
        )


def _source(state: DatabaseState) -> Source | None:
    """Return the table of the tool that a dump comes from, if there is exactly one.

    Raises:
        Refused: The history has migrations that a baseline would have to contain.
    """
    if state.history.applied:
        newest = state.history.applied[max(state.history.applied)]
        raise Refused(
            f"{newest.label} is applied here already, and a baseline comes first",
            hint="A database of which the folder has the baseline is adopted with --to VERSION.",
        )
    if len({each.tool for each in state.tools}) != 1:
        return None
    table = " and ".join(each.label for each in state.tools)
    return Source(state.tools[0].tool, table, _read(state.tools, state.server, table).keys)


def _tables(found: Sequence[ToolTable], from_tool: str | None) -> list[ToolTable]:
    """Return the tables of one tool.

    Raises:
        UsageError: There is none of the one that was named.
        Refused: There are those of several tools.
    """
    if from_tool == NO_TOOL:
        return []
    lines = [f"{each.tool}: {each.label}" for each in found]
    if from_tool is not None:
        chosen = [each for each in found if each.tool == from_tool]
        if not chosen:
            known = ", ".join(TOOLS)
            raise UsageError(
                f'there is no table of a tool called "{from_tool}"',
                detail=lines or [f"tools: {known}"],
                hint="Leave out --from to see what is found.",
            )
        return chosen
    names = list(dict.fromkeys(each.tool for each in found))
    if len(names) > 1:
        raise Refused(
            f"{len(names)} migration tools have a table here: {' and '.join(names)}",
            detail=lines,
            hint=f"Choose one with --from, such as --from {names[0]}.",
        )
    return list(found)


def _read(tables: Iterable[ToolTable], server: Server, table: str) -> Said:
    """Return what the tables of a tool say.

    Raises:
        DatabaseError: They cannot be read.
        Refused: A migration has failed halfway, or the rows are not understood.
    """
    found = Said({})
    for each in tables:
        if each.rows is None:
            raise DatabaseError(
                f"{each.label}, the table of {each.tool}, {tools.CANNOT_BE_READ}",
                outcome=NOTHING_CHANGED,
                hint=f'Let its owner grant SELECT on it to role "{server.role}", without a policy'
                " of row-level security that hides rows, and let no other session lock it.",
            )
        try:
            found = found.and_also(said(each.tool, each.rows))
        except NotUnderstood as why:
            raise Refused(
                f"{each.label}, the table of {each.tool}, {tools.not_its_own(why)}",
                hint="If it is the application's own, ignore it with --from none; say with --to"
                " VERSION which migration of the folder the database has reached.",
            ) from why
        if found.failed:
            raise Refused(
                f"{each.tool} says that {found.failed[0]} has failed halfway",
                detail=[f"in {table}", *(f"also: {key}" for key in found.failed[1:])],
                hint=f"First {tools.REPAIRS[each.tool]}.",
            )
    return found


def _nothing_known(source: Source, folder: Folder) -> Refused:
    """Return why the table of a tool is of no use."""
    hint = "Say with --to VERSION which migration of the folder the database has reached."
    if not source.keys:
        return Refused(
            f"{source.table}, the table of {source.tool}, says that nothing is applied",
            hint=f'"lfmigrate up" runs all of the folder. Otherwise: {hint}',
        )
    if source.tool in tools.NOT_BY_FILE:
        return Refused(
            f"{source.table}, the table of {source.tool}, does not say which files of"
            f" {folder.path} are applied",
            detail=[f"{source.table}: {tools.named(source.keys)}"],
            hint=hint,
        )
    return Refused(
        f"nothing that {source.tool} has applied is in {folder.path}",
        detail=[f"{source.table}: {tools.named(source.keys)}"],
        hint=hint,
    )
