"""`seed --check`: which checks found rows that violate them."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.seed_check import CheckReport, CheckResult
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.page import Page, word
from lfmigrate.output.tables import Column

_COLUMNS = (Column("Status"), Column("Check", wraps=True), Column("Violations", number=True))


@draw.register
def _(report: CheckReport, page: Page) -> None:
    shown = [check for check in report.checks if check.count or not page.quiet]
    if not shown:
        return
    page.headline("seed --check", report)
    page.table(
        _COLUMNS, [(word(check.status), check.meaning, f"{check.count:,}") for check in shown]
    )
    for check in shown:
        if check.count:
            _draw_violations(page, check)
    passed = sum(1 for check in report.checks if not check.count)
    page.blank()
    page.line(f"{passed} of {len(report.checks)} checks passed; {page.seconds}")


@to_json.register
def _(report: CheckReport) -> dict[str, Any]:
    return {
        "checks": [
            {
                "name": check.name,
                "meaning": check.meaning,
                "status": check.status,
                "offending": check.count,
                "rows": [dict(row) for row in check.rows],
            }
            for check in report.checks
        ]
    }


def _draw_violations(page: Page, check: CheckResult) -> None:
    names = list(check.rows[0]) if check.rows else []
    page.blank()
    page.line((f"{check.name}.sql", "bold"))
    page.grid(
        [["" if row.get(name) is None else str(row[name]) for name in names] for row in check.rows]
    )
    if (left := check.count - len(check.rows)) > 0:
        page.hanging("", f"... {left:,} more")
