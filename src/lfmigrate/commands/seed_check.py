"""`seed --check`: run the folder's checks, each of which finds rows that violate a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lfmigrate.catalog import Server
from lfmigrate.engine.session import Session
from lfmigrate.engine.waiting import Attempts
from lfmigrate.history import plan
from lfmigrate.postgres.connection import Connection
from lfmigrate.rows import staging
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.source.seed import meaning, read_checks


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check that was run.

    Attributes:
        name: The file's name, without its ending.
        meaning: The rule.
        count: How many rows violate it.
        rows: The first of them, by column.
    """

    name: str
    meaning: str
    count: int
    rows: tuple[Mapping[str, Any], ...]

    @property
    def status(self) -> Literal["ok", "broken"]:
        """Return whether it holds, in a word."""
        return "broken" if self.count else "ok"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The checks, in the order of their names."""

    server: Server
    schema: str
    checks: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        """Return whether all of them hold."""
        return not any(check.count for check in self.checks)


def check_seed(conn: Connection, folder: Folder, *, scope: Scope | None = None) -> CheckReport:
    """Run the folder's ``seed/checks``: each returns the rows that violate a rule. Only reads.

    Args:
        conn: An open connection without an open transaction.
        folder: The migrations, with a folder ``seed/checks`` in it.
        scope: The schema; by default the connection's own.

    Returns:
        What was found.

    Raises:
        UsageError: There are no checks.
        Refused: A migration is not applied.
        DatabaseError: A check failed to run.
    """
    checks = read_checks(folder.path)
    session = Session(conn, folder, scope)
    for attempt in Attempts(session):
        with attempt:
            state = session.state(relations=False)
            plan.refuse_pending(folder, state.history)
            with session.reading(state.schema) as flight:
                flight.enter_file(state.server.defaults)
                # A check of the rows that a policy leaves would say nothing about the others.
                flight.set({"row_security": "off"})
                asked = [flight.select(file.statements[0], staging.MOST) for file in checks]
    return CheckReport(
        state.server,
        state.schema,
        tuple(
            CheckResult(
                Path(file.name).stem,
                meaning(file),
                answer.value.count,
                answer.value.rows,
            )
            for file, answer in zip(checks, asked, strict=True)
        ),
    )
