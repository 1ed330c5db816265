"""`new`: the files that were created."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.new import NewReport
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.page import Page


@draw.register
def _(report: NewReport, page: Page) -> None:
    # Paths and nothing else, so that an editor can be started on them.
    page.path(report.up)
    if report.down is not None:
        page.path(report.down)


@to_json.register
def _(report: NewReport) -> dict[str, Any]:
    return {"files": [str(path) for path in (report.up, report.down) if path is not None]}
