"""`adopt`: record as applied what another tool, or a person, has applied. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lfmigrate.catalog import Server, ToolTable
from lfmigrate.engine import adoption
from lfmigrate.engine.adoption import Adoption
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import transaction
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import NOTHING_CHANGED, DatabaseError, DifferenceFound, Refused, UsageError
from lfmigrate.history import plan, states, tools
from lfmigrate.history.events import Source
from lfmigrate.history.tool_rows import TOOLS, NotUnderstood, Said, said
from lfmigrate.history.tools import NOTHING_MATCHED, Matched
from lfmigrate.postgres.connection import Connection
from lfmigrate.schema.compare import Verdict
from lfmigrate.settings import Scope
from lfmigrate.source.baseline import Baseline
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.version import label

# What `from_tool` is to ignore the tables of other tools.
NO_TOOL = "none"

# What is named one by one in a message.
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Adopted:
    """A migration, and what became of it.

    Attributes:
        version: Its version.
        name: Its name.
        status: ``adopted``; ``planned``: it would be; ``applied``: the history had it before;
            ``pending``: it is not applied, and the next ``up`` runs it.
    """

    version: str
    name: str
    status: Literal["adopted", "planned", "applied", "pending"]

    @property
    def label(self) -> str:
        """Return version and name."""
        return label(self.version, self.name)


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """What was recorded as applied or, in a dry run, would be.

    Attributes:
        server: Where.
        schema: The schema for unqualified names.
        status: ``unchanged`` if the history has all of it already.
        source: The table of the other tool, and what it says; None without one.
        migrations: Those of the folder, in version order.
        repeatables: The names of the repeatable files that were recorded as run.
        edited: The labels of the migrations whose files are not those that the tool has applied, by
            their checksums.
        unknown: What the tool has applied and has no file, as the tool calls it.
        relations: A verdict per object that the files create: ``ok``, ``missing`` or ``drifted``.
        file: The file that was written from a dump; None without one.
        notes: What is worth a warning.
        accepts_drift: Whether differences are expected from then on.
        dry_run: Whether nothing was recorded on purpose.
    """

    server: Server
    schema: str
    status: Literal["adopted", "planned", "unchanged"]
    source: Source | None = None
    migrations: tuple[Adopted, ...] = ()
    repeatables: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    relations: tuple[Verdict, ...] = ()
    file: Path | None = None
    notes: tuple[str, ...] = ()
    accepts_drift: bool = False
    dry_run: bool = False

    @property
    def differing(self) -> tuple[Verdict, ...]:
        """Return the objects that are not as the files create them."""
        return tuple(v for v in self.relations if v.status != "ok")


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is applied, and how that is known.

    Attributes:
        migrations: The migrations.
        source: The table that says so.
        matched: What that table says of the folder.
    """

    migrations: tuple[Migration, ...]
    source: Source | None = None
    matched: Matched = NOTHING_MATCHED


def adopt(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    to: str | None = None,
    from_tool: str | None = None,
    baseline: Baseline | None = None,
    accept_drift: bool = False,
    dry_run: bool = False,
    on_wait: Callable[[str], None] | None = None,
) -> AdoptReport:
    """Record as applied what another tool says it has applied, or all up to a version.

    The files are replayed in a shadow database, and have to create what exists. The table of the
    other tool is read, and never written.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema, and how long to wait; by default the connection's own schema.
        to: Everything up to this version is applied; without the table of another tool.
        from_tool: Whose table says what is applied, if there are several; ``none`` for none.
        baseline: The migration, made from a dump of this database, that new databases begin with;
            it is part of ``folder``. Its file is written when it is recorded.
        accept_drift: Expect the live schema as it is, where it differs from what the files create.
        dry_run: Compare, and record nothing.
        on_wait: Called with a line when the command has to wait for another session.

    Returns:
        What was recorded, and how the live schema compares.

    Raises:
        UsageError: There is no table to adopt, and no version; or there is no such version.
        Refused: There are several such tables, one says that a migration has failed halfway, or
            has nothing of the folder; or a migration is another one than that in the history.
        DifferenceFound: The live schema is not what the files create, or files were edited;
            ``report`` has the differences. Nothing was recorded.
        DatabaseError: The server refused, the files cannot be replayed, or a table may not be read.
        Interrupted: A signal arrived. Nothing was recorded.
    """
    session = Session(conn, folder, scope, on_wait=on_wait)
    for attempt in Attempts(session):
        with attempt:
            state = session.state(tools=True)
            states.refuse_conflicts(folder, state.history)
            chosen = _choose(folder, state, to=to, from_tool=from_tool, baseline=baseline)
            steps, optional = _steps(folder, state, chosen)
            report = _report(folder, state, chosen, steps, baseline)
            report = replace(report, accepts_drift=accept_drift, dry_run=dry_run)
            if report.status == "unchanged":
                continue
            prepared = adoption.prepare(session, state, steps, optional)
            report = replace(
                report,
                repeatables=tuple(s.name for s in prepared.steps if s.version is None),
                notes=(*report.notes, *prepared.notes),
            )
            if dry_run:
                with session.reading(state.schema) as flight:
                    found = adoption.read_live(flight, prepared)
                report = replace(report, relations=adoption.verdicts(prepared, found))
                _refuse_differences(report)
            else:
                report = _record(session, state, prepared, report, baseline)
    return replace(report, notes=(*report.notes, *session.notes))


def _record(
    session: Session,
    state: DatabaseState,
    prepared: Adoption,
    report: AdoptReport,
    baseline: Baseline | None,
) -> AdoptReport:
    """Compare and record, in one transaction."""
    with transaction(session, state, []) as tx:
        tx.flight.look_at(state.schema)
        found = adoption.read_live(tx.flight, prepared)
        tx.send()
        report = replace(report, relations=adoption.verdicts(prepared, found))
        _refuse_differences(report)
        adoption.record(tx, prepared, report.differing, report.source)
        if baseline is None:
            tx.commit()
        else:
            # Before the commit: a history without the file would be of no use.
            with baseline.written():
                tx.commit()
    migrations = tuple(
        replace(m, status="adopted") if m.status == "planned" else m for m in report.migrations
    )
    return replace(report, status="adopted", migrations=migrations)


def _choose(
    folder: Folder,
    state: DatabaseState,
    *,
    to: str | None,
    from_tool: str | None,
    baseline: Baseline | None,
) -> _Chosen:
    """Return what is applied, by the table of a tool or by a version."""
    if baseline is not None:
        return _Chosen((baseline.migration,), _source(state))
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
        return _Chosen(tuple(m for m in folder.migrations if m.number <= up_to))
    table = " and ".join(each.label for each in tables)
    says = _read(tables, state.server, table)
    found = tools.matched(tables[0].tool, says, folder)
    source = Source(tables[0].tool, table, says.keys)
    if found.migrations:
        if up_to is not None:
            raise UsageError(
                f"{table} says which migrations are applied, so --to cannot",
                hint="Leave out --to, or ignore that table with --from none.",
            )
        return _Chosen(found.migrations, source, found)
    if up_to is None:
        raise _nothing_known(source, folder)
    known = Matched(repeatables=found.repeatables)
    return _Chosen(tuple(m for m in folder.migrations if m.number <= up_to), source, known)


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
            detail=[f"{source.table}: {named(source.keys)}"],
            hint=hint,
        )
    return Refused(
        f"nothing that {source.tool} has applied is in {folder.path}",
        detail=[f"{source.table}: {named(source.keys)}"],
        hint=hint,
    )


def named(keys: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(keys) - _MOST_NAMES
    return ", ".join(keys[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _steps(
    folder: Folder, state: DatabaseState, chosen: _Chosen
) -> tuple[list[Step], frozenset[str]]:
    """Return what to record, and the names of the files that nothing says have run."""
    history = state.history
    steps = [
        Step.of_migration("adopt", migration)
        for migration in chosen.migrations
        if migration.number not in history.applied
    ]
    applied = {*history.applied, *(m.number for m in chosen.migrations)}
    is_complete = all(m.number in applied for m in folder.migrations)
    ran = chosen.matched.repeatables
    repeatables = [
        each
        for each in folder.repeatables
        # While a migration is pending, a repeatable file may need it.
        if each.name not in history.repeatables and (is_complete or each.name in ran)
    ]
    if steps:
        steps += [Step.of_repeatable(each) for each in repeatables]
    optional = frozenset(each.file.name for each in repeatables if each.name not in ran)
    return steps, optional


def _report(
    folder: Folder,
    state: DatabaseState,
    chosen: _Chosen,
    steps: Sequence[Step],
    baseline: Baseline | None,
) -> AdoptReport:
    """Return the report before anything is compared."""
    history = state.history
    recorded = {step.version for step in steps}
    migrations = []
    for each in folder.migrations:
        status: Literal["planned", "applied", "pending"] = "pending"
        if each.version in recorded:
            status = "planned"
        elif each.number in history.applied:
            status = "applied"
        migrations.append(Adopted(each.version, each.name, status))
    edited = [m.label for m in chosen.matched.edited if m.version in recorded]
    report = AdoptReport(
        state.server,
        state.schema,
        "planned" if steps else "unchanged",
        chosen.source,
        tuple(migrations),
        edited=tuple(edited),
        unknown=chosen.matched.unknown,
        file=None if baseline is None else baseline.path,
        notes=() if baseline is None else baseline.notes,
    )
    return replace(report, notes=(*folder.notes, *report.notes, *_gap(report)))


def _gap(report: AdoptReport) -> list[str]:
    """Return a warning about what is pending behind something that is applied."""
    statuses = [each.status == "pending" for each in report.migrations]
    if not any(statuses):
        return []
    last = max((n for n, pending in enumerate(statuses) if not pending), default=-1)
    late = [each for each in report.migrations[:last] if each.status == "pending"]
    newest = report.migrations[last].label
    return [
        f"{each.label} is pending, but the newer {newest} is applied: up runs it only with"
        " --allow-out-of-order"
        for each in late
    ]


def _refuse_differences(report: AdoptReport) -> None:
    """Refuse to record what is not true, unless that was asked for.

    Raises:
        DifferenceFound: There is a difference.
    """
    if report.accepts_drift:
        return
    problems = []
    if wrong := report.differing:
        count = "1 object differs" if len(wrong) == 1 else f"{len(wrong)} objects differ"
        problems.append(f"{count} from what the files create")
    if edited := report.edited:
        tool = report.source.tool if report.source is not None else ""
        count = "1 file is" if len(edited) == 1 else f"{len(edited)} files are"
        problems.append(f"{count} not what {tool} has applied, by checksum")
    if not problems:
        return
    error = DifferenceFound(
        "; ".join(problems),
        detail=[
            *(f"{v.status}: {v.relation.kind} {v.relation.label}" for v in report.differing),
            *(f"edited: {each}" for each in report.edited),
        ],
        outcome=NOTHING_CHANGED,
        hint="Correct the files or the schema, or expect the live schema as it is with"
        " --accept-drift.",
    )
    error.report = report
    raise error
