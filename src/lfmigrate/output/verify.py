"""`verify`: how the live schema compares with the migrations."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.verify import VerifyReport
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.page import Page, word
from lfmigrate.output.relations import draw_verdicts, summary, verdict_json
from lfmigrate.source.version import label as version_label


@draw.register
def _(report: VerifyReport, page: Page) -> None:
    if not page.quiet:
        page.headline("verify", report)
    draw_verdicts(page, report.relations, report.schema)
    for edit in report.edited:
        page.blank()
        page.line(
            word("edited"), f" {version_label(edit.version, edit.name)}, after it was applied"
        )
        page.diff(edit.diff)
    if not page.quiet:
        page.blank()
        source = "the history" if report.source == "history" else "a replay of the files"
        page.line(f"compared with {source}")
        page.line(f"{summary(report.relations)}; {page.seconds}")


@to_json.register
def _(report: VerifyReport) -> dict[str, Any]:
    return {
        "source": report.source,
        "relations": [verdict_json(v, counts=True) for v in report.relations],
        "files": [file._asdict() for file in report.files.differing] if report.files else [],
        "edited": [
            {"version": e.version, "name": e.name, "diff": list(e.diff)} for e in report.edited
        ],
        "notes": list(report.notes),
    }
