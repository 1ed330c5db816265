"""`status`: which migrations and repeatable files are applied."""

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
    Column("Applied at (UTC)", drop=3),
    Column("By", drop=2),
    Column("ms", number=True, drop=1),
)


@draw.register
def _(report: StatusReport, page: Page) -> None:
    shown = [m for m in report.migrations if not page.quiet or m.status != "applied"]
    waiting = [
        f"{r.repeatable.name} ({r.status})" for r in report.repeatables if r.status != "applied"
    ]
    kinds = "view" if all(r.repeatable.is_view for r in report.repeatables) else "repeatable file"
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
        page.line(f"{kinds}s to run: {', '.join(waiting)}")
    if not page.quiet:
        counts = Counter(m.status for m in report.migrations)
        applied = sum(1 for m in report.migrations if m.event is not None)
        among = [f"{counts['edited']:,} edited"] if counts["edited"] else []
        among += [f"{counts['file_missing']:,} file missing"] if counts["file_missing"] else []
        of_these = f" ({', '.join(among)})" if among else ""
        sums = [f"{applied:,} applied{of_these}", f"{counts['pending']:,} pending"]
        sums += [counted(conflicts, "conflict")] if (conflicts := counts["conflict"] // 2) else []
        sums += [f"{counted(len(waiting), kinds)} to run"] if waiting else []
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
        "views": _repeatables(report, "views/"),
        "repeatable": _repeatables(report, "repeatable/"),
        "other_tools": [
            {
                "name": each.tool,
                "table": each.table,
                "adopted": each.is_adopted,
                "applied_since": list(each.applied_since),
                "rolled_back": list(each.rolled_back),
                "failed": list(each.failed),
                "problem": each.problem,
            }
            for each in report.other_tools
        ],
        "notes": list(report.notes),
    }


def _repeatables(report: StatusReport, folder: str) -> list[dict[str, str]]:
    """Return the repeatable files of a folder, and those that are missing in it."""
    files = [(r.repeatable.file.name, r.repeatable.name, r.status) for r in report.repeatables]
    missing = [(e.file, e.name, "file_missing") for e in report.files.missing_repeatables]
    return [
        {"name": name, "status": status}
        for file, name, status in (*files, *missing)
        if file.startswith(folder)
    ]
