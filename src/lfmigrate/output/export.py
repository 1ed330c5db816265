"""`export`: another tool's table that was written, or would be."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.export import ExportReport
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.page import Page, counted, word
from lfmigrate.output.tables import Column

# Enough of a checksum to recognize it; the JSON has all of it.
_MOST = 40


@draw.register
def _(report: ExportReport, page: Page) -> None:
    if page.quiet:
        return
    page.headline("export --dry-run" if report.dry_run else "export", report)
    table = f"{report.schema}.{report.table}"
    if report.status == "unchanged":
        page.line(f"nothing to export: {report.tool} has all that is applied in {table}")
        return
    columns = [name for name in report.columns if name in report.rows[0]]
    page.table(
        [Column(name, wraps=name == columns[0]) for name in columns],
        [[_text(row[name]) for name in columns] for row in report.rows],
    )
    page.blank()
    rows = counted(len(report.rows), "row")
    what = f"{rows} in the new table {table}" if report.created else f"{rows} in {table}"
    if report.dry_run:
        page.line(f"dry run: nothing was written; it would be {what}")
    else:
        page.line(word("accepted", "exported"), f" to {report.tool}: {what}")


def _text(value: str | int | bool | None) -> str:  # noqa: FBT001 (a value of a column)
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."


@to_json.register
def _(report: ExportReport) -> dict[str, Any]:
    return {
        "dry_run": report.dry_run,
        "tool": report.tool,
        "table": report.table,
        "status": report.status,
        "created": report.created,
        "rows": [dict(row) for row in report.rows],
        "notes": list(report.notes),
    }
