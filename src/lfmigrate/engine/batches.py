"""How the steps of a run are split into transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lfmigrate.engine.step import Step, not_yet_recreated
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.replayable import for_replay


def split_untriable(steps: list[Step]) -> tuple[list[Step], list[Step]]:
    """Split off the steps that a dry run cannot execute, and what comes after them."""
    for place, step in enumerate(steps):
        if step.file.no_transaction or reaches_outside(step.file) is not None:
            return steps[:place], steps[place:]
    return steps, []


def reaches_outside(file: SqlFile) -> str | None:
    """Return why a rollback would not undo a file; None if it would."""
    for statement, why in zip(file.statements, for_replay(file.statements), strict=True):
        if why.left_out is not None:
            return f"{statement.file}:{statement.line}: {why.left_out}"
    return None


def batches(steps: Sequence[Step], *, dry_run: bool, per_migration: bool) -> Iterator[list[Step]]:
    """Split the steps into transactions: repairs first, so that they are compared with the history.

    A dry run has only one, because what it rolls back does not exist for the next. A file marked
    no-transaction is a batch of its own. Views that are dropped are re-created in the same batch.
    """
    if dry_run and steps:
        yield list(steps)
        return
    repairs = [step for step in steps if step.action == "repair"]
    if repairs:
        yield repairs
    batch: list[Step] = []
    for step in steps:
        if step.action == "repair":
            continue
        alone = per_migration and not not_yet_recreated(batch)
        if batch and (alone or step.file.no_transaction or batch[-1].file.no_transaction):
            yield batch
            batch = []
        batch.append(step)
    if batch:
        yield batch


def add_upgrade(batches: list[list[Step]], upgrade: Step, *, dry_run: bool) -> None:
    """Record first what is expected after an upgrade, even if no file runs.

    Args:
        batches: The steps of each transaction; changed.
        upgrade: The step that records it.
        dry_run: Whether nothing is to be recorded for good.
    """
    if batches and not batches[0][0].file.no_transaction:
        batches[0].insert(0, upgrade)
    elif not dry_run:
        batches.insert(0, [upgrade])
