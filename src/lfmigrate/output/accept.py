"""`accept`: an edit of an applied migration that was recorded, or would be."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.accept import AcceptReport
from lfmigrate.output.dispatch import draw, question, to_json
from lfmigrate.output.page import Page, word
from lfmigrate.output.relations import draw_verdicts, summary, verdict_json


@draw.register
def _(report: AcceptReport, page: Page) -> None:
    if page.quiet:
        draw_verdicts(page, report.relations, report.schema)
        return
    dry_run = report.dry_run and not page.preview
    page.headline("accept --dry-run" if dry_run else "accept", report)
    if report.status == "unchanged":
        page.line(f"nothing to accept: the history has {report.label} as it is in the folder")
        return
    _draw_edit(report, page)
    if report.relations:
        draw_verdicts(page, report.relations, report.schema)
        page.blank()
        page.line(f"compared with what the edited text creates: {summary(report.relations)}")
    if report.status == "accepted":
        page.line(f"{report.label} ", word("accepted"))
    elif dry_run:
        page.line("dry run: nothing was recorded")


def _draw_edit(report: AcceptReport, page: Page) -> None:
    if report.recorded_as != report.label:
        page.line(word("edited", "renamed"), f" {report.recorded_as} to {report.label}")
        page.blank()
    for what, lines in (("", report.diff), ("the down script of ", report.down_diff)):
        if lines:
            page.line(word("edited"), f" {what}{report.label}, after it was applied")
            page.diff(lines, whole=True)
            page.blank()


@question.register
def _(preview: AcceptReport) -> str:
    return f"Record this as what was applied as {preview.recorded_as}?"


@to_json.register
def _(report: AcceptReport) -> dict[str, Any]:
    return {
        "dry_run": report.dry_run,
        "version": report.version,
        "name": report.name,
        "recorded_as": report.recorded_as,
        "status": report.status,
        "diff": list(report.diff),
        "down_diff": list(report.down_diff),
        "relations": [verdict_json(v, counts=True) for v in report.relations],
        "notes": list(report.notes),
    }
