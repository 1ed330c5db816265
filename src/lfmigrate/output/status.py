"""`status`: which migrations and views are applied."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lfmigrate.commands.status import StatusReport
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.page import Page, counted, word
from lfmigrate.output.tables import Column

_COLUMNS = (
    Column("Version"),
    Column("Name", wraps=True),
    Column("Status"),
    Column("Applied at", drop=3),
    Column("By", drop=2),
    Column("ms", number=True, drop=1),
)


@draw.register
def _(report: StatusReport, page: Page) -> None:
    shown = [m for m in report.migrations if not page.quiet or m.status != "applied"]
    waiting = [f"{v.view.name} ({v.status})" for v in report.views if v.status != "applied"]
    if not page.quiet:
        page.headline("status", report)
    if shown:
        page.table(
            _COLUMNS,
            [
                (
                    m.version,
                    m.name,
                    word(m.status),
                    m.event.executed_at[:19].replace("T", " ") if m.event else "",
                    m.event.executed_by if m.event else "",
                    str(m.event.elapsed_ms) if m.event else "",
                )
                for m in shown
            ],
        )
        page.blank()
    if waiting:
        page.line(f"views to run: {', '.join(waiting)}")
    if not page.quiet:
        counts = Counter(m.status for m in report.migrations)
        applied = sum(1 for m in report.migrations if m.event is not None)
        sums = [f"{applied:,} applied", f"{counts['pending']:,} pending"]
        sums += [f"{counts['edited']:,} edited"] if counts["edited"] else []
        sums += [f"{counts['file_missing']:,} file missing"] if counts["file_missing"] else []
        sums += [counted(conflicts, "conflict")] if (conflicts := counts["conflict"] // 2) else []
        sums += [f"{counted(len(waiting), 'view')} to run"] if waiting else []
        page.line(", ".join(sums))


@to_json.register
def _(report: StatusReport) -> dict[str, Any]:
    return {
        "migrations": [
            {
                "version": m.version,
                "name": m.name,
                "status": m.status,
                "applied_at": m.event.executed_at if m.event else None,
                "applied_by": m.event.executed_by if m.event else None,
                "elapsed_ms": m.event.elapsed_ms if m.event else None,
            }
            for m in report.migrations
        ],
        "views": [
            *({"name": v.view.name, "status": v.status} for v in report.views),
            *({"name": name, "status": "file_missing"} for name in report.files.missing_views),
        ],
        "notes": list(report.notes),
    }
