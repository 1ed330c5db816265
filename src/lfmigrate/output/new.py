"""`new`: the files that were created."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.new import NewReport
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.page import Page


@draw.register
def _(report: NewReport, page: Page) -> None:
    # Two paths and nothing else, so that an editor can be started on them.
    page.path(report.up)
    page.path(report.down)


@to_json.register
def _(report: NewReport) -> dict[str, Any]:
    return {"files": [str(report.up), str(report.down)]}
