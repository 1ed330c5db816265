"""Guards existing rows while files run: refuses to lose them, or saves them first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lfmigrate import catalog
from lfmigrate.catalog import LargeObject, Measured
from lfmigrate.engine.danger import CHANGED_COLUMN, Danger, Found, Loss
from lfmigrate.engine.dropped_storage import DroppedStorage
from lfmigrate.engine.large_objects import refuse_unreadable, touched_objects
from lfmigrate.engine.losses import Lost
from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.previous import PreviousDefinitions
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import Refused
from lfmigrate.rows.archive import default_folder, remove
from lfmigrate.rows.dump import OnCopy

# Another session may add to what is lost while it is counted. Three times in a row is no accident.
_ATTEMPTS = 3


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
        existing: The ids of what existed when the command began; empty until its files run.
        large_objects: The numbers of the large objects that the command has created itself.
    """

    accepts: bool = False
    parent: Path | None = None
    watch: OnCopy | None = None
    lost: list[Lost] = field(default_factory=list)
    backups: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    existing: set[str] = field(default_factory=set)
    large_objects: set[int] = field(default_factory=set)


@dataclass(slots=True)
class RowGuard:
    """What may become of existing rows in one transaction, which is repeated if need be.

    Attributes:
        policy: What the command may do.
        lost: What the last run of the files has lost.
        previous: How everything was defined that they replace.
    """

    policy: RowPolicy
    lost: tuple[Lost, ...] = ()
    previous: PreviousDefinitions = field(default_factory=PreviousDefinitions)
    _attempts: int = 0
    _backup: Path | None = None
    _changed: str | None = None
    _suspects: set[str] = field(default_factory=set)
    _saves: set[str] = field(default_factory=set)
    _dropped: set[str] = field(default_factory=set)
    _begun: dict[str, Measured] = field(default_factory=dict)
    _large_objects: dict[int, LargeObject] = field(default_factory=dict)
    _created: frozenset[int] = frozenset()
    _storage: DroppedStorage = field(default_factory=DroppedStorage)
    _losses: tuple[Loss, ...] = ()

    def begin(self, tx: Transaction, steps: Sequence[Step]) -> None:
        """Measure the tables, and save the rows, that an earlier run has found to be in danger."""
        self._attempts += 1
        self.previous.begin(tx)
        self._storage.begin(tx)
        self._begun = {}
        if not self._suspects and not self._large_objects and not self._storage.sequences:
            return
        settings, sql = catalog.measure(ids=self._suspects, digest=True)
        tx.flight.set(settings)
        asked = tx.flight.do(sql)
        objects = tx.flight.ask(catalog.large_objects(self._large_objects))
        tx.send()
        self._begun = dict(catalog.measured(asked))
        self._large_objects = dict(objects.value)
        saved = [table for item_id, table in self._begun.items() if item_id in self._saves]
        sequences = self._storage.sequences
        if (saved or self._large_objects or sequences) and self.policy.parent is not None:
            refuse_unreadable(self._large_objects.values())
            about = tx.state.about(f"up of {', '.join(step.label for step in steps)}")
            if self._backup is not None:
                remove(self._backup)  # that of the run before
            self._backup = tx.save_rows(
                [(table.schema, table.name) for table in saved],
                sequences,
                default_folder(self.policy.parent, about.database),
                about,
                large_objects=tuple(self._large_objects.values()),
                dropped=self._dropped,
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
        found = self._find(tx)
        done = touched_objects(tx, self._danger(tx).traces)
        self._created = done.created
        objects = {n: each for n, each in done.lost.items() if n not in self.policy.large_objects}
        danger = self._danger(tx)
        # What is known to exist needs no question.
        reached = danger.reached(self.policy.existing) - outcome.state.ids.keys()
        dropped_known = self._storage.examine(tx, reached)
        # What was dropped and created again may be unchanged.
        left = [(r.schema, r.name) for effect in outcome.effects for r in effect.made]
        left += [(r.schema, r.name) for r in outcome.state.live.values()]
        others = (
            *(each.lost for each in objects.values()),
            *self._storage.lost(left, tx.state.schema),
        )
        self._losses = (*found.losses, *(Loss(lost, None, None) for lost in others))
        self.lost = tuple(loss.what for loss in self._losses)
        tables = {loss.table for loss in found.losses if loss.table is not None}
        unsaved = tables - self._saves if self.policy.parent is not None else set[str]()
        self._suspects |= found.unmeasured | unsaved
        self._saves |= unsaved
        self._dropped |= {loss.dropped for loss in found.losses if loss.dropped is not None}
        # Another session may have changed one since it was saved.
        late = [n for n, each in objects.items() if self._large_objects.get(n) != each.was]
        if self.policy.parent is not None and late:
            self._large_objects |= {number: objects[number].was for number in late}
        else:
            late = []
        replaced = self.previous.are_known(outcome)
        known = not found.unmeasured and not unsaved and not late and replaced and dropped_known
        if not known and self._attempts == _ATTEMPTS:
            raise Refused(
                "what the files lose could not be counted: it is more each time that they run",
                hint="Another session changes the schema meanwhile; try again.",
            )
        return known

    def finish(self) -> None:
        """Add what was lost and saved to what the command reports, after the commit."""
        self.policy.lost.extend(self.lost)
        self.policy.large_objects.update(self._created)
        if self._backup is not None:
            self.policy.backups.append(self._backup)
        if self._changed is not None:
            self.policy.notes.append(self._changed)

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
            self.policy.notes.append("up would refuse to lose these rows; see its help")
        elif losses:
            many = len(losses) != 1
            raise Refused(
                f"{len(losses)} {'losses' if many else 'loss'} of existing rows",
                detail=[_line(loss.what) for loss in losses],
                hint='If that is intended, write the line "-- lfmigrate: loses-data" into the'
                " header of the migration, save the rows with --backup, or pass"
                " --accept-data-loss.",
            )

    def _danger(self, tx: Transaction) -> Danger:
        if tx.danger is None:
            raise LookupError("no file was guarded")
        return tx.danger

    def _find(self, tx: Transaction) -> Found:
        danger = self._danger(tx)
        first = self.policy.existing
        if not first:
            first.update(danger.existing.value)
        self._changed = danger.changed(first)
        found = danger.found(first, self._begun)
        if not found.uncompared:
            return found
        earlier = {item_id: self._begun[item_id] for item_id in found.uncompared}
        settings, sql = catalog.measure(digest=True, again=True, earlier=earlier)
        tx.flight.set(settings)
        asked = tx.flight.do(sql)
        tx.send()
        ended = catalog.measured(asked)
        return danger.found(first, self._begun, ended)


def _is_marked(loss: Loss, steps: Sequence[Step]) -> bool:
    """Return whether the file that loses rows says so; any file, if it is not known which."""
    files = [step.file for step in steps] if loss.step is None else [loss.step.file]
    return any(file.loses_data for file in files)


def _line(lost: Lost) -> str:
    if lost.kind == "sequence":
        return f"sequence {lost.name}: its position would be dropped with it"
    if lost.rows is None:
        size = "" if lost.bytes is None else f"{lost.bytes:,} bytes, "
        deed = "changed" if lost.kind.startswith("changed") else "deleted"
        return f"{lost.kind} {lost.name}: {size}would be {deed}"
    rows = f"{lost.rows:,} {'row' if lost.rows == 1 else 'rows'}"
    what = {
        "table": f"{rows} would be dropped with it",
        "materialized view": f"{rows} would be dropped with it, and are in no backup",
        "table column": f"it has a value in {rows}, and would be dropped",
        CHANGED_COLUMN: f"its new type would not keep the values of all {rows}",
    }
    deeds = "deleted" if lost.deleted else "changed"
    return f"{lost.kind} {lost.name}: {what.get(lost.kind, f'{rows} would be {deeds}')}"
