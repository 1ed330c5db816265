"""A raw-SQL migration runner for PostgreSQL that tells the truth about what it did.

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
    from lfmigrate.commands.backup import backup as backup
    from lfmigrate.commands.check import check as check
    from lfmigrate.commands.new import new as new
    from lfmigrate.commands.restore import restore as restore
    from lfmigrate.commands.rollback import rollback as rollback
    from lfmigrate.commands.seed import seed as seed
    from lfmigrate.commands.seed_check import check_seed as check_seed
    from lfmigrate.commands.status import status as status
    from lfmigrate.commands.up import up as up
    from lfmigrate.commands.verify import verify as verify
    from lfmigrate.errors import LfmigrateError as LfmigrateError
    from lfmigrate.postgres.connection import connect as connect
    from lfmigrate.settings import Scope as Scope
    from lfmigrate.source.folder import read_folder as read_folder
    from lfmigrate.source.folder import shipped_folder as shipped_folder

_HOMES = {
    "LfmigrateError": "lfmigrate.errors",
    "Scope": "lfmigrate.settings",
    "backup": "lfmigrate.commands.backup",
    "check": "lfmigrate.commands.check",
    "check_seed": "lfmigrate.commands.seed_check",
    "connect": "lfmigrate.postgres.connection",
    "new": "lfmigrate.commands.new",
    "read_folder": "lfmigrate.source.folder",
    "restore": "lfmigrate.commands.restore",
    "rollback": "lfmigrate.commands.rollback",
    "seed": "lfmigrate.commands.seed",
    "shipped_folder": "lfmigrate.source.folder",
    "status": "lfmigrate.commands.status",
    "up": "lfmigrate.commands.up",
    "verify": "lfmigrate.commands.verify",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    # Loaded when first used: `lfmigrate --version` needs no psycopg.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
