"""Guards existing rows while files run: refuses to lose them, or saves them first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lfmigrate import catalog
from lfmigrate.catalog import LargeObject, Measured
from lfmigrate.engine.danger import Danger, Found, Suspects, Updated
from lfmigrate.engine.dropped_storage import DroppedStorage
from lfmigrate.engine.large_objects import refuse_unreadable, touched_objects
from lfmigrate.engine.losses import Lost, existed_before
from lfmigrate.engine.lost_rows import CHANGED_COLUMN, RowLoss
from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.previous import PreviousDefinitions
from lfmigrate.engine.session import Session
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import LfmigrateError, Refused
from lfmigrate.rows.archive import default_folder, remove
from lfmigrate.rows.dump import OnCopy
from lfmigrate.schema.object import TableName
from lfmigrate.syntax.actions import dropped_database, may_do_more

# To find out which tables, which statements and what is lost, and to save it: once each. Another
# session may add to it meanwhile.
_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class RowPolicy:
    """What a command may do to existing rows, and what it has done to them.

    Attributes:
        accepts: Whether they may be lost.
        parent: Where a backup of them is made first; None for none.
        watch: Called as rows are saved.
        lost: What was lost.
        backups: The folders with what was saved.
        notes: What is worth a warning.
        uncounted: The same about statements that ran outside a transaction.
        created: The ids of the relations with rows or a position that the command has created
            itself.
        large_objects: The numbers of the large objects that the command has created itself.
    """

    accepts: bool = False
    parent: Path | None = None
    watch: OnCopy | None = None
    lost: list[Lost] = field(default_factory=list)
    backups: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)
    created: set[str] = field(default_factory=set)
    large_objects: set[int] = field(default_factory=set)

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Add to an error what was lost before it for good, and where that is."""
        try:
            yield
        except LfmigrateError as error:
            error.detail = (
                *error.detail,
                *(
                    f"lost before that, and committed: {lost.kind} {lost.name}"
                    + ("" if lost.rows is None else f", rows: {lost.rows:,}")
                    for lost in self.lost
                ),
                *self.uncounted,
                *(f"The backup in {path} is complete." for path in self.backups),
            )
            raise


@dataclass(slots=True)
class RowGuard:
    """What may become of existing rows in one transaction, which is repeated if need be.

    Attributes:
        policy: What the command may do.
        lost: What the last run of the files has lost.
        suspects: What the next one has to find out.
        previous: How everything was defined that they replace.
    """

    policy: RowPolicy
    lost: tuple[Lost, ...] = ()
    suspects: Suspects = field(default_factory=Suspects)
    previous: PreviousDefinitions = field(init=False)
    _attempts: int = 0
    _backup: Path | None = None
    _changed: str | None = None
    _repeated: list[str] = field(default_factory=list)
    _saves: set[str] = field(default_factory=set)
    _dropped: set[str] = field(default_factory=set)
    _gone: frozenset[str] = frozenset()
    _large_objects: dict[int, LargeObject] = field(default_factory=dict)
    _created: tuple[frozenset[str], frozenset[int]] = (frozenset(), frozenset())
    _storage: DroppedStorage = field(default_factory=DroppedStorage)
    _losses: tuple[RowLoss, ...] = ()

    def __post_init__(self) -> None:
        """Let the definitions of what may be dropped be read, too."""
        self.previous = PreviousDefinitions(self.suspects)

    def begin(self, tx: Transaction, steps: Sequence[Step]) -> None:
        """Measure the tables, and save the rows, that an earlier run has found to be in danger."""
        self._attempts += 1
        self.suspects.begun.clear()
        self.previous.begin(tx)
        self._storage.begin(tx)
        if not self.suspects.tables and not self._large_objects and not self._storage.sequences:
            return
        settings, sql = catalog.measure(ids=self.suspects.tables, ids_mode="count")
        tx.flight.set(settings)
        asked = tx.flight.do(sql)
        objects = tx.flight.ask(catalog.large_objects(self._large_objects))
        tx.send()
        begun = self.suspects.begun
        begun.update(catalog.measured(asked))
        self._large_objects = dict(objects.value)
        saved, sequences = self._saved(begun), self._storage.sequences
        if (saved or self._large_objects or sequences) and self.policy.parent is not None:
            refuse_unreadable(self._large_objects.values())
            about = tx.state.about(f"up of {', '.join(step.label for step in steps)}")
            if self._backup is not None:
                remove(self._backup)  # that of the run before
            self._backup = tx.save_rows(
                saved,
                sequences,
                default_folder(self.policy.parent, about.database),
                about,
                large_objects=tuple(self._large_objects.values()),
                dropped=self._dropped | self._gone,
                watch=self.policy.watch,
            ).path

    def examine(self, tx: Transaction, outcome: Outcome) -> bool:
        """Find out what the files have lost, and return whether that is known and saved.

        What they have replaced has to be known as well.

        Args:
            tx: The files have run in it. If not, it has to be rolled back, and they have to run
                again.
            outcome: What they did.
        """
        danger = _danger_of(tx)
        found = danger.found(self.policy.created)
        changed = danger.changed(self.policy.created)
        self._changed = _note_of(changed.values())
        self._gone = danger.traces.gone
        done = touched_objects(tx, danger.traces)
        self._created = danger.traces.created, done.created
        objects = {n: each for n, each in done.lost.items() if n not in self.policy.large_objects}
        gone = danger.gone(self.policy.created)
        columns = {item_id for item_id in danger.traces.locked if item_id.count(":") > 1}
        dropped_known = self._storage.examine(tx, gone, danger.traces.gone | columns)
        self._repeated = self._storage.notes(tx)
        # What was dropped and created again may be unchanged.
        left = [(r.schema, r.name) for effect in outcome.effects for r in effect.made]
        left += [(r.schema, r.name) for r in outcome.state.live.values()]
        self._losses = (
            *found.losses,
            *(RowLoss(each.lost, None, None) for each in objects.values()),
            *(
                RowLoss(lost, None, danger.step_that_drops(name))
                for name, lost in self._storage.lost(left, tx.state.schema)
            ),
        )
        self.lost = tuple(loss.what for loss in self._losses)
        tables = {loss.table for loss in found.losses if loss.table is not None} | changed.keys()
        unsaved = tables - self._saves if self.policy.parent is not None else set[str]()
        self.suspects.tables.update(found.tables | unsaved)
        self.suspects.statements.update(found.statements)
        self._saves |= unsaved
        self._dropped |= {loss.dropped for loss in found.losses if loss.dropped is not None}
        # Another session may have changed one since it was saved.
        late = [n for n, each in objects.items() if self._large_objects.get(n) != each.was]
        if self.policy.parent is not None and late:
            self._large_objects |= {number: objects[number].was for number in late}
        else:
            late = []
        known = not found.tables and not unsaved and not late and not _were_others(tx, found)
        alone = self._storage.alone
        known &= self.previous.are_known(tx, outcome, gone, alone=alone) and dropped_known
        if not known and self._attempts == _ATTEMPTS:
            raise Refused(
                "what the files lose could not be counted: it is more each time that they run",
                hint="Another session changes the schema meanwhile; try again.",
            )
        return known

    def _saved(self, begun: Mapping[str, Measured]) -> list[tuple[str, str]]:
        """Return the tables to save; partitions that go with their table are saved as its rows."""
        saved: dict[str, TableName] = {}
        for item_id, table in begun.items():
            root = table.root if table.root is not None and table.root.id in self._gone else table
            if item_id in self._saves:
                saved[root.id] = root
        return [(table.schema, table.name) for table in saved.values()]

    def finish(self) -> None:
        """Add what was lost and saved to what the command reports, after the commit."""
        self.policy.lost.extend(self.lost)
        tables, objects = self._created
        self.policy.created.update(tables)
        self.policy.large_objects.update(objects)
        if self._backup is not None:
            self.policy.backups.append(self._backup)
        if self._changed is not None:
            self.policy.notes.append(self._changed)
        self.policy.notes.extend(self._repeated)

    def refuse(self, steps: Sequence[Step], *, dry_run: bool) -> None:
        """Refuse to lose rows that neither the files nor the caller have given up.

        Args:
            steps: The files.
            dry_run: Whether they are rolled back in any case, and only a note is added.

        Raises:
            Refused: Rows would be lost.
        """
        if self.policy.accepts or self.policy.parent is not None:
            return
        losses = [loss for loss in self._losses if not _is_marked(loss, steps)]
        if losses and dry_run:
            self.policy.notes.append(
                "up would refuse to lose existing rows, unless the file's header says"
                ' "-- lfmigrate: loses-data", or --backup or --accept-data-loss is given'
            )
        elif losses:
            many = len(losses) != 1
            raise Refused(
                f"{len(losses)} {'losses' if many else 'loss'} of existing rows",
                detail=[_line(loss.what) for loss in losses],
                hint='If that is intended, write the line "-- lfmigrate: loses-data" into the'
                " header of the migration, save the rows with --backup, or pass"
                " --accept-data-loss.",
            )


def refuse_to_drop_databases(session: Session, schema: str, part: Step, policy: RowPolicy) -> None:
    """Refuse a statement that drops a database, which cannot be undone or saved.

    Args:
        session: Where it would run.
        schema: The command's schema.
        part: The statement.
        policy: What the command may do.

    Raises:
        Refused: The database exists, and neither the file nor the caller has given it up.
    """
    names = list(filter(None, map(dropped_database, part.file.statements)))
    if not names or policy.accepts or part.file.loses_data:
        return
    with session.reading(schema) as flight:
        exists = flight.ask(catalog.databases(names))
    if exists.value:
        raise Refused(
            "a database would be dropped, with all that is in it",
            detail=[f"database {name}" for name in exists.value],
            hint="No backup saves it. If that is intended, write the line"
            ' "-- lfmigrate: loses-data" into the header of the migration, or pass'
            " --accept-data-loss.",
        )


def _danger_of(tx: Transaction) -> Danger:
    if tx.danger is None:
        raise LookupError("no file was guarded")
    return tx.danger


def _were_others(tx: Transaction, found: Found) -> bool:
    """Return whether tables or columns were dropped that another session has created meanwhile."""
    names = existed_before(tx.conn, found.unknown)
    return any(name.startswith(("table ", "foreign table ")) for name in names)


def _note_of(tables: Collection[Updated]) -> str | None:
    """Return a line about updated or deleted rows; None if there are none."""
    if not tables:
        return None
    names = ", ".join(sorted(table.name for table in tables))
    numbers = [table.rows for table in tables if table.rows is not None]
    if len(numbers) < len(tables):
        return f"rows may have been updated or deleted in {names}"
    return f"{sum(numbers):,} {'row' if numbers == [1] else 'rows'} updated or deleted in {names}"


def _is_marked(loss: RowLoss, steps: Sequence[Step]) -> bool:
    """Return whether the file that loses rows says so; all that may have, if it is not known."""
    if loss.step is not None:
        return loss.step.file.loses_data
    files = [step.file for step in steps if any(map(may_do_more, step.file.statements))]
    return all(file.loses_data for file in files or [step.file for step in steps])


def _line(lost: Lost) -> str:
    if lost.kind == "sequence":
        return f"sequence {lost.name}: its position would be dropped with it"
    if lost.kind.endswith("large object"):
        size = "" if lost.bytes is None else f"{lost.bytes:,} bytes, "
        deed = "changed" if lost.kind.startswith("changed") else "deleted"
        return f"{lost.kind} {lost.name}: {size}would be {deed}"
    rows = (
        "rows that the role may not read"
        if lost.rows is None
        else f"{lost.rows:,} {'row' if lost.rows == 1 else 'rows'}"
    )
    what = {
        "table": f"{rows} would be dropped with it",
        "materialized view": f"{rows} would be dropped with it, and are in no backup",
        "table column": f"it has a value in {rows}, and would be dropped",
        CHANGED_COLUMN: f"its new type would not keep the values of all {rows}",
    }
    deeds = "changed" if lost.deleted == 0 else "deleted"
    return f"{lost.kind} {lost.name}: {what.get(lost.kind, f'{rows} would be {deeds}')}"
