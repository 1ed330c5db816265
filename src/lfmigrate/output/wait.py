"""`wait`: whether a database is up to date, and for how long it was waited."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.wait import WaitReport
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.page import Page


@draw.register
def _(report: WaitReport, page: Page) -> None:
    if page.quiet or report.missing:
        return  # the error says what is missing
    page.headline("wait", report)
    page.line(f"up to date after {report.waited_ms / 1000:.2f} s")


@to_json.register
def _(report: WaitReport) -> dict[str, Any]:
    return {
        "waited_ms": report.waited_ms,
        "files": [file._asdict() for file in report.files.differing],
        "notes": list(report.notes),
    }
