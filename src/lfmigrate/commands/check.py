"""`check`: test a folder on a disposable database: apply, roll back, reapply."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Literal

from lfmigrate import catalog
from lfmigrate.catalog import Server
from lfmigrate.commands.rollback import rollback
from lfmigrate.commands.up import up
from lfmigrate.commands.verify import verify
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import refuse_unusable
from lfmigrate.errors import (
    NOTHING_CHANGED,
    ConnectionFailed,
    DatabaseError,
    Interrupted,
    LfmigrateError,
    StatementFailed,
)
from lfmigrate.history import plan
from lfmigrate.history.events import History
from lfmigrate.postgres.connection import Connection, address_of, connect
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.settings import Scope
from lfmigrate.source import squawk
from lfmigrate.source.folder import Folder
from lfmigrate.source.migration import PAIRS
from lfmigrate.source.version import label
from lfmigrate.syntax.names import quote_name

# The beginnings of names that only the server gives; those of a user have their schema first.
_TEMPORARY = ("pg_temp", "pg_toast_temp")

# More objects than this that were left behind have one cause.
_MOST_OBJECTS = 20


@dataclass(frozen=True, slots=True)
class Proof:
    """One step of the check.

    Attributes:
        name: What must hold.
        status: ``skipped`` if an earlier step failed, or it cannot be executed.
        problems: Why it failed or was skipped.
        error: The error that ended it, with its place in a file; None if none did.
    """

    name: str
    status: Literal["ok", "broken", "skipped"]
    problems: tuple[str, ...] = ()
    error: LfmigrateError | None = None


@dataclass(frozen=True, slots=True)
class FolderReport:
    """The result of checking a folder on an empty database.

    Attributes:
        server: The server on which the disposable database was created.
        schema: The schema that unqualified names went to.
        proofs: The steps, in order.
        findings: squawk's findings, a line each; None if it is not installed.
        notes: What is worth a warning.
    """

    server: Server
    schema: str
    proofs: tuple[Proof, ...]
    findings: tuple[str, ...] | None
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Return whether nothing is broken; findings are advice."""
        return not any(proof.status == "broken" for proof in self.proofs)


def check(
    conn: Connection, folder: Folder, *, progress: Callable[[str], None] | None = None
) -> FolderReport:
    """Run a folder on a disposable database on the connection's server.

    Args:
        conn: An open connection to a server on which the role may create databases.
        folder: The files.
        progress: Called with a line before each step.

    Returns:
        Which steps passed.

    Raises:
        UsageError: A transaction is open.
        DatabaseError: The database could not be made.
    """
    with _disposable_database(conn) as second:
        trial = _Trial(second, folder, progress)
        session = Session(second, folder)
        state = session.state(relations=False)
        session.end_reading()
        trial.run()
    program = squawk.installed()
    return FolderReport(
        state.server,
        state.schema,
        tuple(trial.proofs),
        None if program is None else _findings(program, folder),
        folder.notes,
    )


@contextmanager
def _disposable_database(conn: Connection) -> Iterator[Connection]:
    """Create an empty database on a connection's server, connect to it, and drop it afterwards."""
    refuse_unusable(conn)
    name = f"lfmigrate_check_{secrets.token_hex(6)}"
    try:
        _execute(conn, f"CREATE DATABASE {quote_name(name)} TEMPLATE template0")
    except StatementFailed as error:
        raise DatabaseError(
            f"a database to test the files on could not be created: {error.message}",
            outcome=NOTHING_CHANGED,
            hint="Name a server on which the role may create databases, or leave out --database-url"
            " to use the private one.",
        ) from None
    try:
        with closing(connect(address_of(conn, database=name))) as second:
            yield second
    finally:
        _execute(conn, f"DROP DATABASE IF EXISTS {quote_name(name)} WITH (FORCE)")


def _execute(conn: Connection, statement: str) -> None:
    flight = Flight(conn)
    flight.do(statement)
    flight.go()


def _findings(program: str, folder: Folder) -> tuple[str, ...]:
    """Return squawk's findings for each file, given whether it runs in a transaction.

    It reads whole files, so those of another tool that have a down section are left out.
    """
    files = [
        *(m.up for m in folder.migrations if folder.format in PAIRS or m.down is None),
        *(each.file for each in folder.repeatables),
    ]
    found: list[str] = []
    for alone in (False, True):
        paths = [f.path for f in files if f.path is not None and f.no_transaction == alone]
        found += squawk.findings(program, paths, in_transaction=not alone)
    return tuple(found)


@dataclass(slots=True)
class _Trial:
    """The steps, each of which needs those before it."""

    conn: Connection
    folder: Folder
    progress: Callable[[str], None] | None
    proofs: list[Proof] = field(default_factory=list)
    _there: frozenset[str] = frozenset()

    def run(self) -> None:
        """Try everything."""
        forward = [m.label for m in self.folder.migrations if m.down is None]
        why = f"no down file: {', '.join(forward)}" if forward else ""
        self._remember()
        self._prove("up applies every file to an empty database", self._up)
        self._prove("verify finds no difference", self._verify)
        self._prove("a second up finds nothing to do", self._again)
        self._prove("rollback undoes every migration", self._down, unless=why)
        self._prove("the catalogs are as they were before", self._compare, unless=why)
        self._prove("up applies every file again", self._up, unless=why)
        self._prove("verify finds no difference again", self._verify, unless=why)

    def _prove(self, name: str, step: Callable[[], list[str]], *, unless: str = "") -> None:
        broken = next((p.name for p in self.proofs if p.status == "broken"), None)
        if broken is not None or unless:
            self.proofs.append(Proof(name, "skipped", (unless,) if unless and not broken else ()))
            return
        if self.progress is not None:
            self.progress(name)
        failed = None
        try:
            problems = step()
            # Each command has a session of its own, in which no temporary table is left.
            _execute(self.conn, "DISCARD ALL")
        except (ConnectionFailed, Interrupted):
            raise  # they say nothing of the files
        except LfmigrateError as error:
            problems, failed = _lines(error), error
        status: Literal["ok", "broken"] = "broken" if problems else "ok"
        self.proofs.append(Proof(name, status, tuple(problems), failed))

    def _up(self) -> list[str]:
        up(self.conn, self.folder, accept_data_loss=True)
        return []

    def _again(self) -> list[str]:
        report = up(self.conn, self.folder, accept_data_loss=True)
        return [
            f"{v.relation.kind} {v.relation.schema}.{v.relation.name} was {v.status}"
            for v in report.relations
            if v.status != "unchanged"
        ] + [
            f"{label(m.version, m.name)} was {m.status}"
            for m in report.migrations
            if m.status != "already_applied"
        ]

    def _verify(self) -> list[str]:
        return [
            f"{v.relation.kind} {v.relation.schema}.{v.relation.name}: {d.part} is"
            f" {d.live or 'missing'} instead of {d.expected or 'not there'}"
            for v in verify(self.conn, self.folder, replay_files=True).relations
            if v.status != "ok"
            for d in v.differences
        ]

    def _down(self) -> list[str]:
        every = plan.before_all(self.folder, History())
        rollback(self.conn, self.folder, to=every, backup_dir=None)
        return []

    def _remember(self) -> None:
        """Take down what is there before anything ran, but for lfmigrate's own history."""
        flight = Flight(self.conn)
        flight.begin(Scope())
        flight.do(catalog.query_text("create_history"))
        asked = flight.ask(catalog.inventory())
        flight.do("COMMIT")
        flight.go()
        self._there = _objects(asked.value)

    def _compare(self) -> list[str]:
        flight = Flight(self.conn)
        asked = flight.ask(catalog.inventory())
        flight.go()
        now = _objects(asked.value)
        flight = Flight(self.conn)
        named = flight.ask(catalog.items(now - self._there))
        flight.go()
        # Repeatable files belong to no migration, and what they created stays.
        session = Session(self.conn, self.folder)
        state = session.state()
        session.end_reading()
        own = {key for keys in state.history.made_by_repeatables.values() for key in keys}
        kept = {item_id for item_id, key in state.ids.items() if key in own}
        items = named.value
        left = [
            item
            for key, item in items.items()
            if not set(item.owners) & set(items)
            and kept.isdisjoint({key, item.relation})
            # The schemas of temporary tables stay for the next session that has some.
            and not item.name.startswith(_TEMPORARY)
        ]
        problems = sorted(f"left behind: {item.kind} {item.name}" for item in left)
        gone = len(self._there - now)
        if gone:
            problems.append(f"{gone} objects that were there before are gone")
        return problems[:_MOST_OBJECTS]


def _objects(inventory: frozenset[str]) -> frozenset[str]:
    return frozenset(item for item in inventory if not item.startswith("rows:"))


def _lines(error: LfmigrateError) -> list[str]:
    head = f"{error.place}: {error.message}" if error.place else error.message
    return [head, *error.detail]
