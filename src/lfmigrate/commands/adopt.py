"""`adopt`: record as applied what another tool, or a person, has applied. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lfmigrate.catalog import Server
from lfmigrate.commands.adopt_source import Chosen, choose
from lfmigrate.engine import adoption
from lfmigrate.engine.adoption import Adoption
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import transaction
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import NOTHING_CHANGED, DifferenceFound
from lfmigrate.history import plan, states
from lfmigrate.history.events import Source
from lfmigrate.postgres.connection import Connection
from lfmigrate.schema.compare import Verdict
from lfmigrate.settings import Scope
from lfmigrate.source.baseline import Baseline
from lfmigrate.source.folder import Folder
from lfmigrate.source.version import label


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
        to: Everything up to this version is applied, also if the table of another tool says less.
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
        SqlFileError: A file must not run, as for `up`: a replay could not show what was applied.
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
            chosen = choose(
                folder,
                state,
                schema=session.scope.schema,
                to=to,
                from_tool=from_tool,
                baseline=baseline,
            )
            new = {m.number for m in chosen.migrations} - state.history.applied.keys()
            plan.refuse_unrunnable(folder, state.history, new, max(new, default=-1))
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


def _steps(
    folder: Folder, state: DatabaseState, chosen: Chosen
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
    chosen: Chosen,
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
