"""`adopt`: what another tool, or a person, has applied, as it was recorded or would be."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.adopt import AdoptReport
from lfmigrate.history.tools import named
from lfmigrate.output.dispatch import draw, question, to_json
from lfmigrate.output.page import Page, counted, word
from lfmigrate.output.relations import draw_verdicts, summary, verdict_json
from lfmigrate.output.tables import Column

_COLUMNS = (Column("Version"), Column("Name", wraps=True), Column("Status"))


@draw.register
def _(report: AdoptReport, page: Page) -> None:
    if page.quiet:
        draw_verdicts(page, report.differing, report.schema)
        return
    dry_run = report.dry_run and not page.preview
    page.headline("adopt --dry-run" if dry_run else "adopt", report)
    if report.source is not None:
        said = named(report.source.keys) if report.source.keys else "nothing"
        page.line(f"{report.source.tool} says in {report.source.table} that it has applied {said}")
    if report.status == "unchanged":
        page.line("nothing to adopt: the history has it already")
        return
    _draw_files(report, page)
    _draw_comparison(report, page)
    count = sum(1 for each in report.migrations if each.status in {"adopted", "planned"})
    if report.status == "adopted":
        page.line(f"{counted(count, 'migration')} ", word("adopted"))
    elif dry_run:
        page.line("dry run: nothing was recorded")


def _draw_files(report: AdoptReport, page: Page) -> None:
    """Write which files are applied, and which are not."""
    if report.file is not None:
        made = "written" if report.status == "adopted" else "would be written"
        page.line(f"{report.file} {made} from the dump")
    if report.file is not None or report.source is not None:
        page.blank()
    page.table(
        _COLUMNS,
        [
            (each.version, each.name, word(each.status, _word(report, each.label, each.status)))
            for each in report.migrations
        ],
    )
    page.blank()
    if report.repeatables:
        page.line(f"recorded as run: {', '.join(report.repeatables)}")
    if report.unknown:
        page.line(f"applied, and not in the folder: {named(report.unknown)}")


def _draw_comparison(report: AdoptReport, page: Page) -> None:
    """Write how the live schema differs."""
    shown = report.relations if page.verbose else report.differing
    if shown:
        draw_verdicts(page, shown, report.schema)
        page.blank()
    page.line(f"compared with what the files create: {summary(report.relations)}")
    if report.differing and report.accepts_drift:
        expected = "is expected" if report.status == "adopted" else "would be expected"
        page.line(f"the live schema {expected} as it is where it differs")


def _word(report: AdoptReport, label: str, status: str) -> str:
    """Return what a status is called here."""
    name = "would adopt" if status == "planned" else status
    return f"{name}, edited" if label in report.edited else name


@question.register
def _(preview: AdoptReport) -> str:
    count = sum(1 for each in preview.migrations if each.status == "planned")
    return f"Record {counted(count, 'migration')} as applied?"


@to_json.register
def _(report: AdoptReport) -> dict[str, Any]:
    source = report.source
    return {
        "dry_run": report.dry_run,
        "status": report.status,
        "other_tool": None if source is None else {"name": source.tool, "table": source.table},
        "migrations": [
            {
                "version": each.version,
                "name": each.name,
                "status": each.status,
                "edited": each.label in report.edited,
            }
            for each in report.migrations
        ],
        "repeatables": list(report.repeatables),
        "unknown": list(report.unknown),
        "file": None if report.file is None else str(report.file),
        "accept_drift": report.accepts_drift,
        "relations": [verdict_json(v, counts=True) for v in report.relations],
        "notes": list(report.notes),
    }
