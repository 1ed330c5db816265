"""Guards existing rows while files run: refuses to lose them, or saves them first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lfmigrate import catalog
from lfmigrate.catalog import Measured
from lfmigrate.engine.danger import CHANGED_COLUMN, Found, Loss
from lfmigrate.engine.losses import Lost
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import Refused
from lfmigrate.rows.archive import default_folder, remove
from lfmigrate.rows.dump import OnCopy

# A run finds what has to be measured, the next one what has to be saved, and another session may
# add to that once. More is no accident.
_ATTEMPTS = 5


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
    """

    accepts: bool = False
    parent: Path | None = None
    watch: OnCopy | None = None
    lost: list[Lost] = field(default_factory=list)
    backups: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    existing: set[str] = field(default_factory=set)


@dataclass(slots=True)
class RowGuard:
    """What may become of existing rows in one transaction, which is repeated if need be.

    Attributes:
        policy: What the command may do.
        lost: What the last run of the files has lost.
    """

    policy: RowPolicy
    lost: tuple[Lost, ...] = ()
    _attempts: int = 0
    _backup: Path | None = None
    _changed: str | None = None
    _suspects: set[str] = field(default_factory=set)
    _saves: set[str] = field(default_factory=set)
    _dropped: set[str] = field(default_factory=set)
    _begun: dict[str, Measured] = field(default_factory=dict)
    _losses: tuple[Loss, ...] = ()
    _existing: frozenset[str] = frozenset()

    def begin(self, tx: Transaction, steps: Sequence[Step]) -> None:
        """Measure the tables, and save the rows, that an earlier run has found to be in danger."""
        self._attempts += 1
        self._begun = {}
        if not self._suspects:
            return
        settings, sql = catalog.measure(ids=self._suspects, digest=True)
        tx.flight.set(settings)
        asked = tx.flight.do(sql)
        tx.send()
        self._begun = dict(catalog.measured(asked))
        saved = [table for item_id, table in self._begun.items() if item_id in self._saves]
        if saved and self.policy.parent is not None:
            about = tx.state.about(f"up of {', '.join(step.label for step in steps)}")
            if self._backup is not None:
                remove(self._backup)  # that of the run before
            self._backup = tx.save_rows(
                [(table.schema, table.name) for table in saved],
                (),
                default_folder(self.policy.parent, about.database),
                about,
                dropped=self._dropped,
                watch=self.policy.watch,
            ).path

    def examine(self, tx: Transaction) -> bool:
        """Find out what the files have lost, and return whether that is known and saved.

        Args:
            tx: The files have run in it. If not, it has to be rolled back, and they have to run
                again.
        """
        found = self._find(tx)
        self.lost = tuple(loss.what for loss in found.losses)
        self._losses = found.losses
        tables = {loss.table for loss in found.losses}
        unsaved = tables - self._saves if self.policy.parent is not None else set[str]()
        self._suspects |= found.unmeasured | unsaved
        self._saves |= unsaved
        self._dropped |= {loss.dropped for loss in found.losses if loss.dropped is not None}
        known = not found.unmeasured and not unsaved
        if not known and self._attempts == _ATTEMPTS:
            raise Refused(
                "what the files lose could not be counted: it is more each time that they run",
                hint="Another session changes the schema meanwhile; try again.",
            )
        return known

    def finish(self) -> None:
        """Add what was lost and saved to what the command reports, after the commit."""
        self.policy.lost.extend(self.lost)
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

    def _find(self, tx: Transaction) -> Found:
        if tx.danger is None:
            raise LookupError("no file was guarded")
        first = self.policy.existing
        if not first:
            first.update(tx.danger.existing.value)
        existing = frozenset(tx.danger.existing.value)
        if self._existing:
            # What the run before has created was rolled back with it, so this is of others.
            first |= existing - self._existing
        self._existing = existing
        self._changed = tx.danger.changed(first)
        found = tx.danger.found(first, self._begun)
        if not found.uncompared:
            return found
        earlier = {item_id: self._begun[item_id] for item_id in found.uncompared}
        settings, sql = catalog.measure(digest=True, again=True, earlier=earlier)
        tx.flight.set(settings)
        asked = tx.flight.do(sql)
        tx.send()
        ended = catalog.measured(asked)
        return tx.danger.found(first, self._begun, ended)


def _is_marked(loss: Loss, steps: Sequence[Step]) -> bool:
    """Return whether the file that loses rows says so; any file, if it is not known which."""
    files = [step.file for step in steps] if loss.step is None else [loss.step.file]
    return any(file.loses_data for file in files)


def _line(lost: Lost) -> str:
    rows = f"{lost.rows:,} {'row' if lost.rows == 1 else 'rows'}"
    what = {
        "table": f"{rows} would be dropped with it",
        "table column": f"it has a value in {rows}, and would be dropped",
        CHANGED_COLUMN: f"its new type would not keep the values of all {rows}",
    }
    deeds = "deleted" if lost.deleted else "changed"
    return f"{lost.kind} {lost.name}: {what.get(lost.kind, f'{rows} would be {deeds}')}"
