"""`sql`: the script itself is printed as it is; see `Screen.write`."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.script import ScriptReport
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.page import Page


@draw.register
def _(report: ScriptReport, page: Page) -> None:
    """Write nothing: a page would break and clean its lines."""
    _ = report, page


@to_json.register
def _(report: ScriptReport) -> dict[str, Any]:
    return {
        "transactions": [list(names) for names in report.batches],
        "notes": list(report.notes),
    }
