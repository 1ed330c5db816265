"""`check`: what a folder's files did on a disposable database."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.check import FolderReport
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.page import Page, word
from lfmigrate.output.tables import Column


@draw.register
def _(report: FolderReport, page: Page) -> None:
    shown = [proof for proof in report.proofs if proof.status == "broken" or not page.quiet]
    if not shown:
        return
    page.headline("check", report)
    page.table(
        (Column("Status"), Column("Check", wraps=True)),
        [(word(proof.status), proof.name) for proof in shown],
    )
    for proof in shown:
        if proof.problems:
            page.blank()
            page.line((proof.name, "bold"))
            page.facts(proof.problems)
    if report.findings is not None and not page.quiet:
        page.blank()
        page.line(("squawk", "bold"))
        for line in report.findings or ("no findings",):
            page.hanging("", line)
    passed = sum(1 for proof in report.proofs if proof.status == "ok")
    page.blank()
    skipped = sum(1 for proof in report.proofs if proof.status == "skipped")
    left_out = f", {skipped} skipped" if skipped else ""
    page.line(f"{passed} of {len(report.proofs)} checks passed{left_out}; {page.seconds}")


@to_json.register
def _(report: FolderReport) -> dict[str, Any]:
    return {
        "proofs": [
            {"name": proof.name, "status": proof.status, "problems": list(proof.problems)}
            for proof in report.proofs
        ],
        "findings": None if report.findings is None else list(report.findings),
        "notes": list(report.notes),
    }
