"""`up`: what became of each object and each migration."""

from __future__ import annotations

from typing import Any

from lfmigrate.commands.up_report import MigrationResult, UpReport
from lfmigrate.output.dispatch import draw, to_json
from lfmigrate.output.losses import draw_losses, lost_json
from lfmigrate.output.page import Page, counted, word
from lfmigrate.output.relations import draw_verdicts, summary, verdict_json
from lfmigrate.source.version import label as version_label

# What the statuses are called in a table and in a sum, where everything was rolled back.
_WOULD = {
    "created": "would create",
    "replaced": "would replace",
    "altered": "would alter",
    "dropped": "would drop",
    "skipped": "would skip",
}

_WOULD_BE = {status: f"would be {status}" for status in _WOULD}

# Of more migrations than this, only the first and the last are named.
_MOST_MIGRATIONS = 20


@draw.register
def _(report: UpReport, page: Page) -> None:
    ran = [m for m in report.migrations if m.status != "already_applied"]
    shown = [v for v in report.relations if page.verbose or v.status != "unchanged"]
    if page.quiet:
        draw_verdicts(page, shown, report.schema)
        return
    page.headline("up --dry-run" if report.dry_run else "up", report)
    if shown:
        draw_verdicts(page, shown, report.schema, names=_WOULD if report.undone else None)
        page.blank()
    is_done = not ran and not report.lost and not report.backups
    if is_done and all(v.status == "unchanged" for v in report.relations):
        applied = f"{counted(len(report.migrations), 'migration')} applied"
        objects = f"{counted(len(report.relations), 'object')} unchanged"
        page.line(f"up to date: {applied}, {objects}; {page.seconds}")
        return
    _draw_migrations(page, ran)
    if not ran:
        page.line(f"no pending migrations, {len(report.migrations):,} applied")
    if report.lost:
        page.blank()
        page.line((f"existing rows{' that would be' if report.undone else ''} lost", "bold red"))
        draw_losses(page, report.lost)
    for backup in report.backups:
        page.line("backup:")
        page.path(backup)
    if report.dry_run:
        page.line("dry run: rolled back, nothing was changed")
    names = _WOULD_BE if report.undone else None
    page.line(f"{summary(report.relations, names)}; {page.seconds}")


@to_json.register
def _(report: UpReport) -> dict[str, Any]:
    return {
        "dry_run": report.dry_run,
        "undone": report.undone,
        "migrations": [
            {
                "version": m.version,
                "name": m.name,
                "status": m.status,
                "elapsed_ms": m.elapsed_ms,
            }
            for m in report.migrations
        ],
        "relations": [verdict_json(v, counts=False) for v in report.relations],
        "lost": [lost_json(lost) for lost in report.lost],
        "backups": [str(backup) for backup in report.backups],
        "notes": list(report.notes),
    }


def _draw_migrations(page: Page, ran: list[MigrationResult]) -> None:
    if len(ran) <= _MOST_MIGRATIONS:
        for migration in ran:
            _draw_migration(page, migration)
        return
    _draw_migration(page, ran[0])
    total_ms = sum(m.elapsed_ms or 0 for m in ran)
    page.line(f"... and {len(ran) - 2:,} more, {total_ms:,} ms in total")
    _draw_migration(page, ran[-1])


def _draw_migration(page: Page, migration: MigrationResult) -> None:
    label = f"{version_label(migration.version, migration.name)} "
    if migration.status != "planned":
        page.line(label, word(migration.status), f" in {migration.elapsed_ms} ms")
    elif migration.elapsed_ms is None:
        page.line(f"{label}would apply (not tried)")
    else:
        page.line(f"{label}would apply (ran in {migration.elapsed_ms} ms, rolled back)")
