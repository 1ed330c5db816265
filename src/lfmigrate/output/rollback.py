"""`rollback`: what was dropped, or would be."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.rollback import RollbackReport
from lfmigrate.engine.losses import CHANGED
from lfmigrate.output.dispatch import draw, question, to_json
from lfmigrate.output.losses import draw_losses, lost_json
from lfmigrate.output.page import Page, counted, word
from lfmigrate.source.version import label as version_label


@draw.register
def _(report: RollbackReport, page: Page) -> None:
    if page.quiet:
        if report.backup is not None:
            page.path(report.backup)
        return
    page.headline("rollback --dry-run" if report.dry_run else "rollback", report)
    if not report.migrations:
        page.line("nothing to roll back")
        return
    would = "" if report.done else "would be "
    _draw_losses(report, page, would)
    for migration in report.migrations:
        label = f"{version_label(migration.version, migration.name)} "
        page.line(label, word("rolled_back", f"{would}rolled back"))
    for restored in report.restored:
        page.line(f"previous definition of {restored} {would}restored")
    deleted, changed = _rows(report)
    also = f"; rows of {counted(changed, 'table')} {would}changed" if changed else ""
    page.line(f"{counted(deleted, 'row')} {would}deleted{also}")
    if not report.done:
        if report.dry_run:
            page.line("dry run: nothing was changed")
    elif report.backup is not None:
        page.line("backup:")
        page.path(report.backup)
    else:
        page.line("no backup was made" if deleted + changed else "no backup: there were no rows")


def _draw_losses(report: RollbackReport, page: Page, would: str) -> None:
    if report.lost:
        changes = any(lost.kind.startswith("changed ") for lost in report.lost)
        page.line((f"{would}dropped{' or changed' if changes else ''}", "bold"))
        draw_losses(page, report.lost)
    if report.dependents:
        also = "also dropped" if report.done else "would also be dropped"
        page.line((f"{also}, not created by this migration", "bold red"))
        draw_losses(page, report.dependents)


@question.register
def _(preview: RollbackReport) -> str:
    deleted, changed = _rows(preview)
    one = preview.migrations[0].version if len(preview.migrations) == 1 else ""
    deeds = [f"Roll back {one or counted(len(preview.migrations), 'migration')}"]
    deeds += [f"delete {counted(deleted, 'row')}"] if deleted else []
    deeds += [f"change rows of {counted(changed, 'table')}"] if changed else []
    asked = " and ".join(filter(None, [", ".join(deeds[:-1]), deeds[-1]]))
    return f"{asked}{', without a backup' if len(deeds) > 1 and not preview.saves_rows else ''}?"


@to_json.register
def _(report: RollbackReport) -> dict[str, Any]:
    return {
        "dry_run": report.dry_run,
        "migrations": [
            {"version": m.version, "name": m.name, "status": m.status} for m in report.migrations
        ],
        "lost": [lost_json(lost) for lost in report.lost],
        "dependents": [lost_json(lost) for lost in report.dependents],
        "restored": list(report.restored),
        "backup": None if report.backup is None else str(report.backup),
        "notes": list(report.notes),
    }


def _rows(report: RollbackReport) -> tuple[int, int]:
    """Return how many rows are deleted, and in how many tables that stay rows are changed."""
    every = [lost for lost in (*report.lost, *report.dependents) if lost.kind != "table column"]
    return (
        sum((lost.deleted if lost.kind == CHANGED else lost.rows) or 0 for lost in every),
        sum(1 for lost in every if lost.kind == CHANGED and lost.rows != lost.deleted),
    )
