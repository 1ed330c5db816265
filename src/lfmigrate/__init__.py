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

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lfmigrate.database import Scope as Scope
    from lfmigrate.database import connect as connect
    from lfmigrate.errors import LfmigrateError as LfmigrateError
    from lfmigrate.sqlfile import read_folder as read_folder
    from lfmigrate.sqlfile import shipped_folder as shipped_folder
    from lfmigrate.verbs.backup import backup as backup
    from lfmigrate.verbs.check import check as check
    from lfmigrate.verbs.new import new as new
    from lfmigrate.verbs.restore import restore as restore
    from lfmigrate.verbs.rollback import rollback as rollback
    from lfmigrate.verbs.seed import check_seed as check_seed
    from lfmigrate.verbs.seed import seed as seed
    from lfmigrate.verbs.status import status as status
    from lfmigrate.verbs.up import up as up
    from lfmigrate.verbs.verify import verify as verify

_HOMES = {
    "LfmigrateError": "lfmigrate.errors",
    "Scope": "lfmigrate.database",
    "backup": "lfmigrate.verbs.backup",
    "check": "lfmigrate.verbs.check",
    "check_seed": "lfmigrate.verbs.seed",
    "connect": "lfmigrate.database",
    "new": "lfmigrate.verbs.new",
    "read_folder": "lfmigrate.sqlfile",
    "restore": "lfmigrate.verbs.restore",
    "rollback": "lfmigrate.verbs.rollback",
    "seed": "lfmigrate.verbs.seed",
    "shipped_folder": "lfmigrate.sqlfile",
    "status": "lfmigrate.verbs.status",
    "up": "lfmigrate.verbs.up",
    "verify": "lfmigrate.verbs.verify",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    # Loaded when first used: `lfmigrate --version` needs no psycopg.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
