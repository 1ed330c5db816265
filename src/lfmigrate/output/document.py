"""Reports and errors as JSON documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lfmigrate.commands.backup import BackupReport
from lfmigrate.commands.check import FolderReport
from lfmigrate.commands.new import NewReport
from lfmigrate.commands.restore import RestoreReport
from lfmigrate.commands.rollback import Lost, RollbackReport
from lfmigrate.commands.seed import SeedReport
from lfmigrate.commands.seed_check import CheckReport
from lfmigrate.commands.status import StatusReport
from lfmigrate.commands.up import MigrationResult, UpReport
from lfmigrate.commands.verify import VerifyReport
from lfmigrate.errors import LfmigrateError
from lfmigrate.schema.compare import Verdict

Report = (
    UpReport
    | VerifyReport
    | StatusReport
    | NewReport
    | RollbackReport
    | BackupReport
    | RestoreReport
    | SeedReport
    | CheckReport
    | FolderReport
)


def to_json(report: Report) -> dict[str, Any]:
    """Return what a report says, as the keys of a command's JSON document."""
    return _DOCUMENTS[type(report)](report)


def error_json(error: LfmigrateError) -> dict[str, Any]:
    """Return an error as the ``error`` of a command's JSON document."""
    return {
        "code": error.code,
        "message": error.message,
        "detail": list(error.facts),
        "hint": error.hint,
        "sqlstate": error.sqlstate,
        "file": error.file,
        "line": error.line,
        "column": error.column,
    }


def _up(report: UpReport) -> dict[str, Any]:
    return {
        "dry_run": report.dry_run,
        "migrations": [_migration_json(m) for m in report.migrations],
        "relations": [_verdict_json(v, counts=False) for v in report.relations],
        "notes": list(report.notes),
    }


def _verify(report: VerifyReport) -> dict[str, Any]:
    return {
        "source": report.source,
        "relations": [_verdict_json(v, counts=True) for v in report.relations],
        "edited": [
            {"version": e.version, "name": e.name, "diff": list(e.diff)} for e in report.edited
        ],
        "notes": list(report.notes),
    }


def _status(report: StatusReport) -> dict[str, Any]:
    return {
        "migrations": [
            {
                "version": m.version,
                "name": m.name,
                "status": m.status,
                "applied_at": m.event.executed_at if m.event else None,
                "applied_by": m.event.executed_by if m.event else None,
                "elapsed_ms": m.event.elapsed_ms if m.event else None,
            }
            for m in report.migrations
        ],
        "views": [{"name": v.view.name, "status": v.status} for v in report.views],
        "notes": list(report.notes),
    }


def _new(report: NewReport) -> dict[str, Any]:
    return {"files": [str(report.up), str(report.down)]}


def _rollback(report: RollbackReport) -> dict[str, Any]:
    return {
        "dry_run": report.dry_run,
        "migrations": [
            {"version": m.version, "name": m.name, "status": m.status} for m in report.migrations
        ],
        "lost": [_lost_json(lost) for lost in report.lost],
        "dependents": [_lost_json(lost) for lost in report.dependents],
        "backup": None if report.backup is None else str(report.backup),
        "notes": list(report.notes),
    }


def _backup(report: BackupReport | RestoreReport) -> dict[str, Any]:
    document: dict[str, Any] = {
        "path": str(report.path),
        "tables": [
            {"schema": t.schema, "name": t.name, "rows": t.rows, "sha256": t.sha256}
            for t in report.tables
        ],
    }
    if isinstance(report, RestoreReport):
        document["backup"] = None if report.saved is None else str(report.saved)
    return document


def _seed(report: SeedReport) -> dict[str, Any]:
    return {
        "dry_run": report.dry_run,
        "tables": [
            {"schema": t.schema, "name": t.name, "inserted": t.inserted, "kept": t.kept}
            for t in report.tables
        ],
        "lost": [{"schema": t.schema, "name": t.name, "rows": t.rows} for t in report.lost],
        "backup": None if report.backup is None else str(report.backup),
        "notes": list(report.notes),
    }


def _check(report: CheckReport) -> dict[str, Any]:
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


def _folder(report: FolderReport) -> dict[str, Any]:
    return {
        "proofs": [
            {"name": proof.name, "status": proof.status, "problems": list(proof.problems)}
            for proof in report.proofs
        ],
        "findings": None if report.findings is None else list(report.findings),
        "notes": list(report.notes),
    }


def _lost_json(lost: Lost) -> dict[str, Any]:
    return {"kind": lost.kind, "name": lost.name, "rows": lost.rows, "bytes": lost.bytes}


def _migration_json(migration: MigrationResult) -> dict[str, Any]:
    return {
        "version": migration.version,
        "name": migration.name,
        "status": migration.status,
        "elapsed_ms": migration.elapsed_ms,
    }


def _verdict_json(verdict: Verdict, *, counts: bool) -> dict[str, Any]:
    relation = verdict.relation
    document: dict[str, Any] = {
        "kind": relation.kind,
        "schema": relation.schema,
        "name": relation.name,
        "status": verdict.status,
    }
    if counts:
        document |= {
            "columns": relation.count("column"),
            "indexes": relation.index_count,
            "constraints": relation.count("constraint"),
        }
    document["differences"] = [
        {"part": d.part, "expected": d.expected, "live": d.live} for d in verdict.differences
    ]
    return document


_DOCUMENTS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    UpReport: _up,
    VerifyReport: _verify,
    StatusReport: _status,
    NewReport: _new,
    RollbackReport: _rollback,
    BackupReport: _backup,
    RestoreReport: _backup,
    SeedReport: _seed,
    CheckReport: _check,
    FolderReport: _folder,
}
