"""`backup`: what was saved, and where."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.backup import BackupReport
from lfmigrate.output.copies import draw_saved, saved_json
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.page import Page, counted


@draw.register
def _(report: BackupReport, page: Page) -> None:
    if page.quiet:
        return
    page.headline("backup", report)
    draw_saved(page, report.tables)
    rows = sum(table.rows for table in report.tables)
    page.line(f"{counted(rows, 'row')} saved; {page.seconds}")
    page.path(report.path)


@to_json.register
def _(report: BackupReport) -> dict[str, Any]:
    return {"path": str(report.path), "tables": saved_json(report.tables)}
