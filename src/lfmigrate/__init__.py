"""Runs raw SQL migrations on PostgreSQL in a single transaction, and reports what changed.

The commands are functions, for test fixtures and for programs that migrate when they start::

    import lfmigrate

    with lfmigrate.connect(url) as conn:
        report = lfmigrate.up(conn, lfmigrate.read_folder(path))

They take a connection, return a report, raise `LfmigrateError` and never print.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lfmigrate._version import __version__ as __version__

if TYPE_CHECKING:
    from lfmigrate.commands.accept import AcceptReport, accept
    from lfmigrate.commands.adopt import Adopted, AdoptReport, adopt
    from lfmigrate.commands.backup import BackupReport, backup
    from lfmigrate.commands.check import FolderReport, Proof, check
    from lfmigrate.commands.export import ExportReport, export
    from lfmigrate.commands.new import NewReport, new
    from lfmigrate.commands.restore import RestoreReport, restore
    from lfmigrate.commands.rollback import RollbackReport, Undone, rollback
    from lfmigrate.commands.script import ScriptReport, script
    from lfmigrate.commands.seed import SeededTable, SeedReport, seed
    from lfmigrate.commands.seed_check import CheckReport, CheckResult, check_seed
    from lfmigrate.commands.status import StatusReport, status
    from lfmigrate.commands.up import up
    from lfmigrate.commands.up_report import MigrationResult, UpReport
    from lfmigrate.commands.verify import Edit, VerifyReport, verify
    from lfmigrate.commands.wait import WaitReport, wait
    from lfmigrate.engine.losses import Lost
    from lfmigrate.errors import (
        ArchiveError,
        ConnectionFailed,
        ConnectionLost,
        CsvFileError,
        DatabaseError,
        DifferenceFound,
        ErrorOutcome,
        Interrupted,
        LfmigrateError,
        Refused,
        SqlFileError,
        StatementFailed,
        UsageError,
    )
    from lfmigrate.postgres.connection import connect
    from lfmigrate.schema.compare import Difference, Verdict
    from lfmigrate.schema.relation import Relation
    from lfmigrate.settings import Scope
    from lfmigrate.source.baseline import Baseline, read_baseline
    from lfmigrate.source.folder import Folder, read_folder, shipped_folder

__all__ = [
    "AcceptReport",
    "AdoptReport",
    "Adopted",
    "ArchiveError",
    "BackupReport",
    "Baseline",
    "CheckReport",
    "CheckResult",
    "ConnectionFailed",
    "ConnectionLost",
    "CsvFileError",
    "DatabaseError",
    "Difference",
    "DifferenceFound",
    "Edit",
    "ErrorOutcome",
    "ExportReport",
    "Folder",
    "FolderReport",
    "Interrupted",
    "LfmigrateError",
    "Lost",
    "MigrationResult",
    "NewReport",
    "Proof",
    "Refused",
    "Relation",
    "RestoreReport",
    "RollbackReport",
    "Scope",
    "ScriptReport",
    "SeedReport",
    "SeededTable",
    "SqlFileError",
    "StatementFailed",
    "StatusReport",
    "Undone",
    "UpReport",
    "UsageError",
    "Verdict",
    "VerifyReport",
    "WaitReport",
    "__version__",
    "accept",
    "adopt",
    "backup",
    "check",
    "check_seed",
    "connect",
    "export",
    "new",
    "read_baseline",
    "read_folder",
    "restore",
    "rollback",
    "script",
    "seed",
    "shipped_folder",
    "status",
    "up",
    "verify",
    "wait",
]

# Where each name is defined. A module is imported when one of its names is first used, so that
# `lfmigrate --version` imports neither the driver nor a command.
_NAMES = {
    "commands.accept": ("AcceptReport", "accept"),
    "commands.adopt": ("AdoptReport", "Adopted", "adopt"),
    "commands.backup": ("BackupReport", "backup"),
    "commands.check": ("FolderReport", "Proof", "check"),
    "commands.export": ("ExportReport", "export"),
    "commands.new": ("NewReport", "new"),
    "commands.restore": ("RestoreReport", "restore"),
    "commands.rollback": ("RollbackReport", "Undone", "rollback"),
    "engine.losses": ("Lost",),
    "commands.script": ("ScriptReport", "script"),
    "commands.seed": ("SeedReport", "SeededTable", "seed"),
    "commands.seed_check": ("CheckReport", "CheckResult", "check_seed"),
    "commands.status": ("StatusReport", "status"),
    "commands.up": ("up",),
    "commands.up_report": ("MigrationResult", "UpReport"),
    "commands.verify": ("Edit", "VerifyReport", "verify"),
    "commands.wait": ("WaitReport", "wait"),
    "errors": (
        "ArchiveError",
        "ConnectionFailed",
        "ConnectionLost",
        "CsvFileError",
        "DatabaseError",
        "DifferenceFound",
        "ErrorOutcome",
        "Interrupted",
        "LfmigrateError",
        "Refused",
        "SqlFileError",
        "StatementFailed",
        "UsageError",
    ),
    "postgres.connection": ("connect",),
    "schema.compare": ("Difference", "Verdict"),
    "schema.relation": ("Relation",),
    "settings": ("Scope",),
    "source.baseline": ("Baseline", "read_baseline"),
    "source.folder": ("Folder", "read_folder", "shipped_folder"),
}

_HOMES = {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}


def __dir__() -> list[str]:
    return __all__


# Hidden from type checkers, which would otherwise accept any name at all.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name refers to)
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)
