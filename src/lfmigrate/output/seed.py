"""`seed`: what was loaded, and what was truncated before."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.seed import SeedReport
from lfmigrate.output.copies import draw_truncated, truncated_json
from lfmigrate.output.dispatch import draw, question, to_json
from lfmigrate.output.page import Page, counted
from lfmigrate.output.tables import Column

_COLUMNS = (
    Column("Table", wraps=True),
    Column("Inserted", number=True),
    Column("Kept", number=True),
)


@draw.register
def _(report: SeedReport, page: Page) -> None:
    if page.quiet:
        if report.backup is not None:
            page.line("backup of the previous rows:")
            page.path(report.backup)
        return
    page.headline("seed --dry-run" if report.dry_run else "seed", report)
    if report.lost:
        draw_truncated(page, report.lost, done=not (report.dry_run or page.preview))
    if report.tables:
        page.table(
            _COLUMNS,
            [(table.name, f"{table.inserted:,}", f"{table.kept:,}") for table in report.tables],
        )
        page.blank()
        inserted = sum(table.inserted for table in report.tables)
        kept = sum(table.kept for table in report.tables)
        would = "would be " if report.dry_run else ""
        page.line(f"{counted(inserted, 'row')} {would}inserted, {kept:,} kept; {page.seconds}")
    if report.dry_run:
        page.line("dry run: rolled back, nothing was changed")
    if report.backup is not None:
        page.line("backup of the previous rows:")
        page.path(report.backup)


@question.register
def _(preview: SeedReport) -> str:
    if not preview.lost:
        return "The tables are empty. Load the seed?"
    return "Truncate these tables and load the seed?"


@to_json.register
def _(report: SeedReport) -> dict[str, Any]:
    return {
        "dry_run": report.dry_run,
        "tables": [
            {"schema": t.schema, "name": t.name, "inserted": t.inserted, "kept": t.kept}
            for t in report.tables
        ],
        "lost": truncated_json(report.lost),
        "backup": None if report.backup is None else str(report.backup),
        "notes": list(report.notes),
    }
