"""The privileges that files need: asked for before the first statement, explained if missing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from lfmigrate import catalog
from lfmigrate.engine.session import Session
from lfmigrate.errors import StatementFailed
from lfmigrate.history import ledger
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.privileges import Requirement, required_privileges

_INSUFFICIENT_PRIVILEGE = "42501"


class _PrivilegesMissing(StatementFailed):
    """The role lacks privileges that the files need."""


def require_privileges(flight: Flight, files: Iterable[SqlFile]) -> None:
    """Queue a statement that fails with all privileges that the role lacks for some files."""
    first: dict[Requirement, str] = {}
    for file in files:
        for each in required_privileges(file.statements):
            first.setdefault(each, file.name)
    needed = [{**asdict(each), "file": name} for each, name in first.items()]
    flight.set({"lfmigrate.needs": json.dumps(needed)})
    flight.do(catalog.query_text("privileges"), raises={"LF003": _PrivilegesMissing})


def explain(error: StatementFailed, session: Session) -> None:
    """Turn the details of the lock and of missing privileges into what a person can act on."""
    if isinstance(error, ledger.LockHeld):
        error.held_by, error.detail = error.detail[:1], ()
    if not isinstance(error, _PrivilegesMissing):
        return
    error.sqlstate = _INSUFFICIENT_PRIVILEGE
    error.detail = tuple(line for line in error.detail if not line.startswith("PL/pgSQL"))
    error.hint = (
        "Ask an administrator to run these statements, or connect as the owner or a member of it."
        if any("  -- " in line for line in error.detail)
        else "Ask the object owner to run these statements."
    )
    home = (f"SCHEMA {session.scope.history_schema} ", "DATABASE ")
    if any(word in line for line in error.detail for word in home):
        error.hint += " The history may live in a schema of the role's own: --history-schema."
