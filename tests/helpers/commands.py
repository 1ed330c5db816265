"""Commands run by their library functions, and what their reports say."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import lfmigrate
from lfmigrate.commands.rollback import RollbackReport
from lfmigrate.commands.up_report import UpReport
from lfmigrate.commands.verify import VerifyReport
from lfmigrate.schema.compare import Verdict
from lfmigrate.source.folder import Folder

SHIPPED = lfmigrate.shipped_folder()


def read(files: Path | Folder) -> Folder:
    """Return a folder, read if it is a path."""
    return lfmigrate.read_folder(files) if isinstance(files, Path) else files


def up(url: str, files: Path | Folder = SHIPPED, **options: Any) -> UpReport:
    """Connect and apply a folder; the shipped one by default."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.up(conn, read(files), **options)


def verify(url: str, files: Path | Folder = SHIPPED, **options: Any) -> VerifyReport:
    """Connect and compare a database with a folder; the shipped one by default."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.verify(conn, read(files), **options)


def rollback(url: str, files: Path | Folder = SHIPPED, **options: Any) -> RollbackReport:
    """Roll a folder's newest migration back, without a backup."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.rollback(conn, read(files), backup_dir=None, **options)


def statuses(report: UpReport | VerifyReport) -> dict[str, str]:
    """Return the status of each object, by kind and name."""
    return {f"{v.relation.kind} {v.relation.name}": v.status for v in report.relations}


def migrations(report: UpReport) -> dict[str, str]:
    """Return the status of each migration, by version."""
    return {m.version: m.status for m in report.migrations}


def verdict(report: UpReport | VerifyReport, name: str) -> Verdict:
    """Return what a report says of an object."""
    return next(v for v in report.relations if v.relation.name == name)


def parts(found: Verdict) -> set[str]:
    """Return the parts of an object that differ."""
    return {difference.part for difference in found.differences}
