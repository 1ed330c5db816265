"""What an `up` did, or would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lfmigrate.catalog import Server
from lfmigrate.engine.batches import reaches_outside
from lfmigrate.engine.losses import Lost
from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.engine.verdicts import verdicts_of
from lfmigrate.history import plan
from lfmigrate.history.events import History
from lfmigrate.schema.compare import Verdict, compare_all
from lfmigrate.source.folder import Folder
from lfmigrate.source.version import number as version_number


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """What became of one migration, and how long its statements took on the server.

    ``elapsed_ms`` is None where a dry run could not try it.
    """

    version: str
    name: str
    status: Literal["applied", "already_applied", "planned", "repaired"]
    elapsed_ms: int | None


@dataclass(frozen=True, slots=True)
class UpReport:
    """What an ``up`` did, or would do.

    Attributes:
        server: Where it was done.
        schema: The schema that it was done in.
        migrations: Every applied or planned migration, in version order.
        relations: A verdict per relation of the migrations and views: ``created``, ``skipped``,
            ``drifted``, ``replaced``, ``altered``, ``dropped``, ``unchanged``, or ``missing`` for a
            view that waits for what is still pending. What a migration made on a
            relation that it did not make (an index, say) is a row of its own.
        notes: What is worth a warning.
        dry_run: Whether all of it was rolled back on purpose.
        lost: The rows that existed before, and that were lost.
        backups: The folders with these rows, one for each transaction that lost any.
        undone: Whether all of it was rolled back: a dry run, or a strict run that met drift.
    """

    server: Server
    schema: str
    migrations: tuple[MigrationResult, ...]
    relations: tuple[Verdict, ...]
    notes: tuple[str, ...]
    dry_run: bool
    lost: tuple[Lost, ...] = ()
    backups: tuple[Path, ...] = ()
    undone: bool = False


def report_of(
    folder: Folder,
    state: DatabaseState,
    outcomes: Sequence[Outcome],
    *,
    dry_run: bool,
    remains: History | None = None,
) -> UpReport:
    """Return what was done.

    Args:
        folder: The files.
        state: The database afterwards.
        outcomes: What each transaction did.
        dry_run: Whether all of it is rolled back.
        remains: The history that a refusal leaves; None for that of the state.
    """
    done: dict[int, MigrationResult] = {}
    for event in state.history.applied.values():
        if event.number is not None and event.version is not None:
            done[event.number] = MigrationResult(
                event.version, event.name, "already_applied", event.elapsed_ms
            )
    for outcome in outcomes:
        for step, entry in zip(outcome.steps, outcome.recorded, strict=True):
            if step.version is not None:
                status: Literal["planned", "repaired", "applied"] = (
                    "planned" if dry_run else "repaired" if step.action == "repair" else "applied"
                )
                done[version_number(step.version)] = MigrationResult(
                    step.version, step.name, status, entry.elapsed_ms
                )
    relations = (
        verdicts_of(outcomes, state)
        if outcomes
        else compare_all(state.history.expected, state.live, agreed="unchanged")
    )
    return UpReport(
        server=state.server,
        schema=state.schema,
        migrations=tuple(done[number] for number in sorted(done)),
        relations=relations,
        notes=(
            *plan.notes(folder, state.history if remains is None else remains),
            *(
                f"{step.file.name} has no statements"
                for outcome in outcomes
                for step in outcome.steps
                if step.action == "up" and not step.file.statements
            ),
            *(n for o in outcomes for n in o.notes),
        ),
        dry_run=dry_run,
        undone=dry_run,
    )


def as_planned(report: UpReport) -> UpReport:
    """Return a report of what would have been done, because it is rolled back."""
    ran = {"applied", "repaired"}
    return replace(
        report,
        undone=True,
        migrations=tuple(
            replace(m, status="planned") if m.status in ran else m for m in report.migrations
        ),
    )


def with_untried(report: UpReport, untried: Sequence[Step]) -> UpReport:
    """Add to a dry run's report what would run, but cannot be executed in one."""
    if not untried:
        return report
    planned = [
        MigrationResult(step.version, step.name, "planned", None)
        for step in untried
        if step.version is not None
    ]
    file = untried[0].file
    note = (
        f"{untried[0].label} runs outside a transaction, so a dry run can execute neither it nor"
        " what comes after it"
        if file.no_transaction
        else f"{reaches_outside(file)}; a rollback would not undo that, so a dry run executes"
        " neither the file nor what comes after it"
    )
    if after := [step.file.name for step in untried if step.version is None]:
        note += f": {', '.join(after)}"
    return replace(report, migrations=(*report.migrations, *planned), notes=(*report.notes, note))
