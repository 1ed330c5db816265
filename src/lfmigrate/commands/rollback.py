"""`rollback`: undo migrations, after a backup of every row that would be lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from lfmigrate import catalog
from lfmigrate.catalog.sessions import Server
from lfmigrate.engine import owned, state
from lfmigrate.engine.effects import Judgement
from lfmigrate.engine.owned import Ours
from lfmigrate.engine.run import Blockers, Job, Run, Step, run_files, stall, take_turns
from lfmigrate.engine.state import DatabaseState
from lfmigrate.errors import NOTHING_CHANGED, LfmigrateError, Refused, SqlFileError, StatementFailed
from lfmigrate.history import ledger, ownership, plan
from lfmigrate.history.ownership import Losses
from lfmigrate.history.plan import Undoing
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, Query, rolled_back_on_error
from lfmigrate.postgres.wire import Answer, Progress
from lfmigrate.rows import dump
from lfmigrate.rows.archive import DEFAULT_PARENT, Dropped
from lfmigrate.rows.dump import OnCopy
from lfmigrate.schema.object import Item
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.source.sqlfile import SqlFile, from_text
from lfmigrate.syntax.names import quote_name
from lfmigrate.syntax.scanner import refusal

# The kind of a table that stays, and whose rows a down file changes, deletes or writes anew.
CHANGED = "changed table"

# Something depends on what a statement wants to drop.
_DEPENDED_ON = "2BP01"

_TRIAL = "lfmigrate_trial"


@dataclass(frozen=True, slots=True)
class Undone:
    """A migration that was undone or, in a dry run, would be."""

    version: str
    name: str
    status: Literal["rolled_back", "planned"]


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that goes.

    Attributes:
        kind: In the server's words.
        name: Qualified and quoted where needed.
        rows: How many there are, of a table.
        bytes: How much room it takes on the disk, indexes included, of a table.
    """

    kind: str
    name: str
    rows: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """What a rollback took away, or would take away.

    Attributes:
        server: Where.
        schema: The schema it was done in.
        migrations: What was undone, newest first; none if nothing is applied.
        lost: What the migrations made, and tables whose rows the down files change.
        dependents: What they did not make, and what goes with it.
        backup: The folder with the rows; None if there was no row, or none was wanted.
        notes: What is worth a warning.
        dry_run: Whether nothing was done.
    """

    server: Server
    schema: str
    migrations: tuple[Undone, ...]
    lost: tuple[Lost, ...] = ()
    dependents: tuple[Lost, ...] = ()
    backup: Path | None = None
    notes: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The options that decide what a rollback may take."""

    to: str | None
    cascade: bool
    recorded: bool
    backup_parent: Path | None


@dataclass(slots=True)
class _Findings:
    """What the trial run of the down files has shown.

    Attributes:
        before: What was there before they ran; after `prepare`, before they run for good.
        gone: What of it was not there any more.
        touched: The tables whose rows go or change; they are locked, and saved.
        counted: The changed rows that the server has counted so far.
        made: What the files make.
    """

    before: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    touched: frozenset[str] = frozenset()
    counted: Mapping[str, int] = field(default_factory=dict)
    made: tuple[Item, ...] = ()
    lost: tuple[Lost, ...] = ()
    dependents: tuple[Lost, ...] = ()
    backup: Path | None = None
    notes: list[str] = field(default_factory=list)


def rollback(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    to: str | None = None,
    dry_run: bool = False,
    cascade: bool = False,
    recorded: bool = False,
    backup_dir: Path | None = DEFAULT_PARENT,
    progress: Progress | None = None,
    watch: OnCopy | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> RollbackReport:
    """Undo the newest applied migration, or all above a version, newest first.

    In one transaction: the tables are locked, the down files run once behind a savepoint to see
    what they take away, the rows of that are saved, and the files run again. It is refused if
    anything would go that the undone migrations, or the folder's view files, did not make.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema, and how patiently; by default the connection's own schema.
        to: The version to go back to, which stays; ``0`` undoes all. None: the newest one.
        dry_run: Do it all but the backup, and roll back.
        cascade: Drop what depends on it as well; the backup's manifest keeps the definitions.
        recorded: Use the down text that was recorded when the migration was applied.
        backup_dir: Where the backup's folder is made; None for no backup.
        progress: Called with each statement's answer as it comes.
        watch: Called as rows are saved.
        on_wait: Called once with a line if another run holds the lock.

    Returns:
        What was undone, and where the backup is.

    Raises:
        Refused: Something else would be lost, a migration has no way back, the backup failed, or
            another run held the lock for too long; ``report`` says what would be lost.
        SqlFileError: A down file is gone.
        UsageError: ``to`` is no version.
        DatabaseError: The database said no. All was rolled back.
        Interrupted: A signal came. All was rolled back.
    """
    job = Job(conn, folder, scope or Scope(), dry_run, progress, Blockers.of(conn, on_wait))
    wishes = _Wishes(to, cascade, recorded, backup_dir)
    return take_turns(lambda: _undo(job, wishes, watch), on_wait)


def _undo(job: Job, wishes: _Wishes, watch: OnCopy | None) -> RollbackReport:
    before = job.look()
    mine = owned.above(job.conn, job.folder, job.scope, before, _floor(job, before, wishes.to))
    undoings = plan.undoings(
        job.folder, before.history, mine.numbers, newest_only=wishes.to is None
    )
    if wishes.to is None and undoings:
        floor = undoings[0].number - 1
        mine = owned.above(job.conn, job.folder, job.scope, before, floor)
    report = RollbackReport(
        before.server, before.schema, (), notes=tuple(job.folder.notes), dry_run=job.dry_run
    )
    if not undoings:
        return report
    downs, notes = _downs(job, undoings, recorded=wishes.recorded)
    findings = _Findings(notes=notes)
    steps = [
        Step(
            "rollback", undoing.version, undoing.name, _cascading(down) if wishes.cascade else down
        )
        for undoing, down in zip(undoings, downs, strict=True)
    ]
    steps = [*_view_steps(job, before, mine, steps), *steps]
    trial = _Trial(job, before, mine, steps, wishes, findings, watch)
    try:
        run_files(
            job,
            before,
            steps,
            outcome=NOTHING_CHANGED,
            review=trial.review,
            prepare=trial.prepare,
        )
    except LfmigrateError as error:
        if findings.backup is not None:
            error.detail = (*error.detail, f"The backup in {findings.backup} is complete.")
        if isinstance(error, Refused):
            error.report = replace(
                report,
                migrations=_undone(undoings, "planned"),
                lost=findings.lost,
                dependents=findings.dependents,
                notes=(*report.notes, *findings.notes),
                dry_run=True,
            )
        raise
    return replace(
        report,
        migrations=_undone(undoings, "planned" if job.dry_run else "rolled_back"),
        lost=findings.lost,
        dependents=findings.dependents,
        backup=findings.backup,
        notes=(*report.notes, *findings.notes),
    )


def _floor(job: Job, before: DatabaseState, to: str | None) -> int | None:
    return None if to is None else plan.version_to_keep(job.folder, before.history, to)


def _undone(
    undoings: Sequence[Undoing], status: Literal["rolled_back", "planned"]
) -> tuple[Undone, ...]:
    return tuple(Undone(undoing.version, undoing.name, status) for undoing in undoings)


def _downs(
    job: Job, undoings: Sequence[Undoing], *, recorded: bool
) -> tuple[list[SqlFile], list[str]]:
    """Return the down file of each migration, and what is worth a warning."""
    flight = Flight(job.conn)
    asked: Mapping[int, Answer[str | None]] = {
        undoing.number: flight.ask(ledger.recorded_down(job.scope, undoing.event))
        for undoing in undoings
        if undoing.event is not None
    }
    if asked:
        flight.go()
    downs = []
    notes = []
    for undoing in undoings:
        answer = asked.get(undoing.number)
        then = answer.value if answer is not None else None
        now = undoing.migration.down if undoing.migration is not None else None
        label = f"{undoing.version}_{undoing.name}"
        if then is None and now is None:
            raise Refused(
                f"migration {label} has no way back: it was applied without a down file",
                hint="Write its .down.sql, or undo it with a new migration.",
            )
        past = None if then is None else from_text(f"{label}.down.sql (recorded)", then)
        if recorded:
            if past is None:
                raise Refused(
                    f"no down text of migration {label} was recorded",
                    hint="Leave out --recorded to run the file in the folder.",
                )
            downs.append(past)
        elif now is None:
            raise SqlFileError(
                f"the down file of migration {label} is not in {job.folder.path}",
                hint="Put it back, or use the text that was recorded when the migration was"
                " applied: --recorded.",
            )
        else:
            if past is not None and past.checksum != now.checksum:
                notes.append(
                    f"{now.name} was edited since the migration was applied; the file was run, and"
                    " --recorded would run the text of then"
                )
            downs.append(now)
    return [_in_one_transaction(down, notes) for down in downs], notes


def _in_one_transaction(down: SqlFile, notes: list[str]) -> SqlFile:
    """Return what does the same in the one transaction that a rollback is, and note that.

    Raises:
        SqlFileError: A statement can run only outside of a transaction.
    """
    down.refuse_outside()
    found = down.in_one_transaction()
    kept = {statement.offset for statement in found.statements}
    for statement in down.statements:
        if statement.offset not in kept:
            raise refusal(
                f"{' '.join(statement.head[:3])} cannot run in the transaction of a rollback",
                down.text,
                down.name,
                statement.offset,
                hint="Leave it out of the down file, and run it by hand afterwards.",
            )
    if any(a.text != b.text for a, b in zip(down.statements, found.statements, strict=True)):
        notes.append(f"{down.name} was run without CONCURRENTLY, in one transaction")
    return found


def _cascades(file: SqlFile) -> bool:
    """Return whether a statement may drop more than it names."""
    return any(re.search(r"(?i)\bcascade\b", statement.text) for statement in file.statements)


def _cascading(file: SqlFile) -> SqlFile:
    """Return a down file whose DROP statements take what depends on what they drop."""
    text = ""
    done = 0
    for statement in file.statements:
        text += file.text[done : statement.offset] + statement.text
        done = statement.offset + len(statement.text)
        words = statement.text.upper().split()
        if statement.head[:1] == ("DROP",) and words[-1] not in {"CASCADE", "RESTRICT"}:
            # On a line of its own, a comment at the statement's end does not swallow it.
            text += "\nCASCADE"
    return from_text(file.name, text + file.text[done:])


def _view_steps(job: Job, before: DatabaseState, mine: Ours, steps: Sequence[Step]) -> list[Step]:
    """Drop the view files' views that need what goes, unless the down files know of them."""
    roots = list(_roots(mine))
    if not mine.views or not roots:
        return []
    flight = Flight(job.conn)
    flight.begin(job.scope, read_only=True)
    flight.look_at(before.schema)
    asked = flight.ask(catalog.dependents(roots))
    flight.do("COMMIT")
    with rolled_back_on_error(job.conn):
        flight.go()
    known = {
        word.strip('";,').rpartition(".")[2].strip('"')
        for step in steps
        for statement in step.file.statements
        if statement.head[:1] == ("DROP",)
        for word in statement.text.lower().replace(",", " ").split()
    }
    dropped = []
    for name, keys in mine.views.items():
        for key in keys:
            if key in mine.ids and mine.ids[key] in asked.value and key.name.lower() not in known:
                kind = mine.live[key].kind.upper()
                qualified = f"{quote_name(key.schema)}.{quote_name(key.name)}"
                file = from_text(f"views/{name}.sql", f"DROP {kind} IF EXISTS {qualified}")
                dropped.append(Step("rollback", None, name, file))
    # A later view may need an earlier one.
    return dropped[::-1]


def _roots(mine: Ours) -> Iterable[tuple[str, str | None]]:
    """Return the ids of what the migrations made, without the views that stand on top of it."""
    on_top = {key for keys in mine.views.values() for key in keys}
    for key in mine.owned.whole:
        if key in mine.ids and key not in on_top:
            yield mine.ids[key], None
    for key, parts in mine.owned.parts.items():
        for part in parts:
            kind, _, name = part.partition(" ")
            if key in mine.ids and kind == "column":
                yield mine.ids[key], name


@dataclass(slots=True)
class _Trial:
    """The down files, run to see what they do, and what is done about it before they run."""

    job: Job
    before: DatabaseState
    mine: Ours
    steps: Sequence[Step]
    wishes: _Wishes
    findings: _Findings
    watch: OnCopy | None

    def prepare(self) -> None:
        """Find out what would go, refuse what must not go, and save the rows of the rest."""
        failure = self._try()
        gone = _dropped(self.findings.gone) if failure is None else self._dependents()
        named = self._named(gone | self.findings.touched)
        tables = [
            item
            for item in named.values()
            if item.relkind in {"r", "p"} and item.id in gone | self.findings.touched
        ]
        if failure is None:
            self._lock(tables)
        lost = ownership.split_by_owner(
            {item_id: named[item_id] for item_id in gone if item_id in named},
            self.mine.owned,
            self.mine.ids,
            again=self.findings.made,
            by_name=not any(_cascades(step.file) for step in self.steps),
        )
        self._count(lost, tables)
        if lost.outside and not self.wishes.cascade:
            self._refuse(lost.outside)
        if failure is not None:
            raise failure
        if not self.job.dry_run and self.wishes.backup_parent is not None:
            self._save(lost, tables)
        flight = Flight(self.job.conn)
        flight.look_at(self.before.schema)
        again = flight.ask(catalog.inventory())
        counted = flight.ask(catalog.changed_rows())
        flight.go()
        self.findings.before, self.findings.counted = again.value, counted.value

    def review(self, run: Run, judgement: Judgement) -> None:
        """Hold what went against what the trial has shown, and correct what is expected."""
        flight = Flight(self.job.conn)
        flight.look_at(self.before.schema)
        inventory = flight.ask(catalog.inventory())
        counted = flight.ask(catalog.changed_rows())
        flight.go()
        gone = self.findings.before - inventory.value
        touched = _touched(gone, self.findings.counted, counted.value)
        more = (_dropped(gone) - self.findings.gone) | (touched - self.findings.touched)
        if more:
            raise Refused(
                "the down files have taken more than they did a moment before",
                detail=[f"{len(more)} objects or tables more, {', '.join(sorted(more)[:5])}"],
                hint="Somebody else is at work here; try again.",
            )
        self._forget(run, judgement)

    def _try(self) -> StatementFailed | None:
        """Run the down files behind a savepoint; return their failure, if something depends.

        Raises:
            StatementFailed: They fail, and not because something depends on what they drop.
        """
        job = self.job
        flight = Flight(job.conn)
        tables = [r for r in self.mine.live.values() if r.kind == "table"]
        owned = self.mine.owned.whole.keys() | self.mine.owned.parts.keys()
        names = [f"{quote_name(r.schema)}.{quote_name(r.name)}" for r in tables if r.key in owned]
        if names:
            flight.do(f"LOCK TABLE {', '.join(sorted(names))} IN ACCESS EXCLUSIVE MODE")
        flight.look_at(self.before.schema)
        inventory = flight.ask(catalog.inventory())
        counted = flight.ask(catalog.changed_rows())
        flight.do(f"SAVEPOINT {_TRIAL}")
        flight.sync()
        statements: list[Answer[None]] = []
        for step in self.steps:
            statements += flight.run_file(step.file, job.scope)
        flight.look_at(self.before.schema)
        counted_after = flight.ask(catalog.changed_rows())
        after = flight.ask(catalog.inventory())
        flight.sync(_DEPENDED_ON)
        flight.go(None, stall(job))
        failure = next((a.error for a in statements if a.error is not None), None)
        flight = Flight(job.conn)
        made = None
        if failure is None:
            gone = inventory.value - after.value
            self.findings.gone = gone
            self.findings.touched = _touched(gone, counted.value, counted_after.value)
            made = flight.ask(catalog.items(after.value - inventory.value))
        flight.do(f"ROLLBACK TO SAVEPOINT {_TRIAL}")
        flight.go()
        if made is not None:
            self.findings.made = tuple(made.value.values())
        return failure

    def _dependents(self) -> frozenset[str]:
        """Return whatever needs what the migrations made, and that itself."""
        flight = Flight(self.job.conn)
        flight.look_at(self.before.schema)
        asked = flight.ask(catalog.dependents(_roots(self.mine)))
        flight.go()
        return asked.value

    def _named(self, ids: Iterable[str]) -> Mapping[str, Item]:
        flight = Flight(self.job.conn)
        flight.look_at(self.before.schema)
        asked = flight.ask(catalog.items(ids))
        flight.go()
        return asked.value

    def _lock(self, tables: Sequence[Item]) -> None:
        """Lock what the migrations did not make, too, before its rows are counted and saved."""
        names = sorted(_qualified(item) for item in tables)
        if names:
            flight = Flight(self.job.conn)
            flight.do(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")
            flight.go(None, stall(self.job))

    def _count(self, lost: Losses, tables: Sequence[Item]) -> None:
        """Count the rows of what goes, for the report."""
        flight = Flight(self.job.conn)
        counted = {item.id: flight.ask(_rows_and_bytes(item)) for item in tables}
        flight.go()

        def told(item: Item) -> Lost:
            answer = counted.get(item.id)
            rows, size = answer.value if answer is not None else (None, None)
            return Lost(item.kind, _plain(item, self.before.schema), rows, size)

        self.findings.lost = (
            *(told(item) for item in lost.own),
            *(
                replace(told(item), kind=CHANGED)
                for item in tables
                if item.id in self.findings.touched and item not in lost.own + lost.outside
            ),
        )
        self.findings.dependents = tuple(told(item) for item in lost.outside)

    def _refuse(self, outside: Sequence[Item]) -> None:
        many = len(outside) != 1
        raise Refused(
            f"{len(outside)} {'objects' if many else 'object'} outside the migration"
            f" {'depend' if many else 'depends'} on what would be dropped",
            detail=[f"{item.kind} {item.name}" for item in outside],
            hint="Move or drop them first, or let --cascade take them; the backup's manifest then"
            " keeps their definitions.",
        )

    def _save(self, lost: Losses, tables: Sequence[Item]) -> None:
        rows = sum(item.rows or 0 for item in self.findings.lost + self.findings.dependents)
        kept = [Dropped(item.kind, item.name, item.definition) for item in lost.outside]
        if not rows and not kept:
            return
        names = [(i.schema, i.relname) for i in tables if i.schema and i.relname]
        sequences = [
            (i.schema, i.relname) for i in lost.own if i.relkind == "S" and i.schema and i.relname
        ]
        undone = ", ".join(step.label for step in self.steps if step.version is not None)
        saved = dump.dump_in_savepoint(
            self.job.conn,
            names,
            sequences,
            self.wishes.backup_parent or DEFAULT_PARENT,
            state.about(self.before, f"rollback of {undone}", kept),
            watch=self.watch,
        )
        self.findings.backup = saved.path

    def _forget(self, run: Run, judgement: Judgement) -> None:
        """Expect nothing any more of what the migrations made, even if a down file left it."""
        on_top = {key for keys in self.mine.views.values() for key in keys}
        ids = {key: item_id for item_id, key in run.after.ids.items()}
        # What has another id was made anew by a down file, and is expected as it is now.
        over = {
            key
            for key in self.mine.owned.whole.keys() - on_top
            if key not in ids or ids[key] == self.mine.ids.get(key)
        }
        for effects in judgement.effects:
            effects.made[:] = [r for r in effects.made if r.key not in over]
        last = judgement.effects[-1]
        last.gone += [key for key in over if key not in last.gone]
        self.findings.notes += [
            f"the down file left {run.after.live[key].kind} {key.schema}.{key.name} in place"
            for key in over
            if key in run.after.live
        ]


def _dropped(gone: Iterable[str]) -> frozenset[str]:
    """Return the objects and columns among what an inventory misses."""
    return frozenset(item_id for item_id in gone if not item_id.startswith("rows:"))


def _touched(
    gone: Collection[str], before: Mapping[str, int], after: Mapping[str, int]
) -> frozenset[str]:
    """Return the tables whose rows go or change, by id.

    Args:
        gone: What an inventory misses: the storage of rows, and columns among it.
        before: The changed rows that the server had counted before.
        after: Those that it has counted now.
    """
    tables = {i for i, rows in after.items() if rows > before.get(i, 0)}
    for item_id in gone:
        catalog_name, oid, *column = item_id.split(":")
        if catalog_name == "rows" or (catalog_name == "pg_class" and column):
            tables.add(f"pg_class:{oid}")
    return frozenset(tables)


def _qualified(item: Item) -> str:
    return f"{quote_name(item.schema or '')}.{quote_name(item.relname or '')}"


def _rows_and_bytes(item: Item) -> Query[tuple[int, int]]:
    name = _qualified(item)
    only = "" if item.relkind == "p" else "ONLY "
    return Query(
        "SELECT jsonb_build_array((SELECT count(*) FROM "
        f"{only}{name}), (SELECT coalesce(sum(pg_total_relation_size(t.relid)), 0) FROM"
        " (SELECT $1::regclass UNION SELECT p.relid FROM pg_partition_tree($1::regclass) AS p)"
        " AS t (relid)))",
        (name,),
        lambda value: (value[0], value[1]),
    )


def _plain(item: Item, schema: str) -> str:
    """Return a name without the schema that is the usual one."""
    usual = (schema if schema.isidentifier() and schema.islower() else quote_name(schema)) + "."
    return item.name.removeprefix(usual)
