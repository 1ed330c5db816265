"""`restore`: what was loaded from a backup, and what was truncated before."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.restore import RestoreReport
from lfmigrate.output.copies import draw_saved, draw_truncated, saved_json, truncated_json
from lfmigrate.output.dispatch import draw, question, to_json
from lfmigrate.output.page import Page, counted


@draw.register
def _(report: RestoreReport, page: Page) -> None:
    if page.quiet:
        return
    page.headline("restore", report)
    if report.lost:
        draw_truncated(page, report.lost, done=not page.preview)
    for each in report.columns:
        done = "would be restored" if page.preview else "restored"
        up_to = "up to " if page.preview else ""
        page.line(
            f"table {each.name}: {', '.join(each.columns)} {done} by primary key in"
            f" {up_to}{counted(each.rows, 'row')}"
        )
    if report.columns:
        page.blank()
    if page.preview:
        return
    if report.tables:
        draw_saved(page, report.tables)
    if report.saved is not None:
        page.line("backup of the previous rows:")
        page.path(report.saved)
    page.line(f"{_restored(report)} restored; {page.seconds}")
    page.path(report.path)


def _restored(report: RestoreReport) -> str:
    parts = []
    if report.tables or not report.columns:
        parts.append(counted(sum(table.rows for table in report.tables), "row"))
    if report.columns:
        parts.append(f"columns of {counted(sum(each.rows for each in report.columns), 'row')}")
    if report.large_objects:
        parts.append(counted(report.large_objects, "large object"))
    return ", ".join(parts)


@question.register
def _(preview: RestoreReport) -> str:
    if not preview.lost:
        return "Restore these columns?" if preview.columns else "The tables are empty. Restore?"
    rows = counted(sum(table.rows for table in preview.lost), "row")
    return f"Truncate {counted(len(preview.lost), 'table')} ({rows}) and restore?"


@to_json.register
def _(report: RestoreReport) -> dict[str, Any]:
    return {
        "path": str(report.path),
        "tables": saved_json(report.tables),
        "lost": truncated_json(report.lost),
        "backup": None if report.saved is None else str(report.saved),
        "columns": [
            {
                "schema": each.schema,
                "name": each.name,
                "columns": list(each.columns),
                "rows": each.rows,
            }
            for each in report.columns
        ],
        "large_objects": report.large_objects,
        "notes": list(report.notes),
    }
