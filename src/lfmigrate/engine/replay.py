"""What SQL files create: run in a shadow database, read from the catalogs, rolled back."""

from __future__ import annotations

import secrets
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lfmigrate import catalog
from lfmigrate.catalog.shadow import Extension, ShadowNeeds, shadow_empty, shadow_needs
from lfmigrate.engine.applied import settings_found
from lfmigrate.engine.missing import with_hint
from lfmigrate.engine.pieces import Piece, pieces_of, place_of
from lfmigrate.engine.session import Session
from lfmigrate.engine.shadow import Shadow, shadow_database
from lfmigrate.engine.state import DatabaseState
from lfmigrate.errors import StatementFailed, UsageError
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, Query, roll_back
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.relation import NAMED_PARTS, Found, Relation, WrittenParts, name_then
from lfmigrate.settings import Scope
from lfmigrate.source.repeatable import RunOrder
from lfmigrate.source.setup import read_setup
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import quote_name
from lfmigrate.syntax.reach import reach_of
from lfmigrate.syntax.replayable import (
    CURRENT_ROLES,
    created_names,
    is_cluster_wide,
    roles_named,
)
from lfmigrate.syntax.transaction_block import placement

# Why a statement may be skipped even in an empty database.
NOT_RECREATED = "another file makes the same"

# A new value of an enum that is used before the transaction ends that has added it.
_UNSAFE_ENUM_VALUE = "55P04"

# A statement that ends the transaction, or cannot run in one.
_NOT_IN_TRANSACTION = frozenset({"25001", "2D000"})

# What an empty database has, too, or what has little more to it than a name.
_ALSO_THERE = frozenset({"EXTENSION", "SCHEMA", "TYPE"})

# Two replays in a database that was named would drop each other's objects.
_GIVEN_LOCK_KEY = 4_848_211_790_327_153_664
_GIVEN_LOCK_MS = 60_000

_SAVEPOINT = "lfmigrate_extension"

# How a name begins that contains the role that created the object.
_NAMED_AFTER_ROLE = {"default privileges": "of {} ", "user mapping": "{} on "}

# From this version on, not everybody may create objects in the schema public.
_PUBLIC_IS_CLOSED = 15


@dataclass(frozen=True, slots=True)
class Made:
    """A relation that files make in an empty database.

    Attributes:
        relation: As the last file leaves it; not complete if it is one of the setup's.
        file_index: The place in the sequence of the file that makes it.
        part_files: The place of the file that wrote each part last.
        origins: The place of the file that created each part, if that was asked for.
    """

    relation: Relation
    file_index: int
    part_files: Mapping[str, int]
    origins: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay.

    Attributes:
        made: The relations, in the order in which they are made.
        left_out: The place of each statement that was left out, as in ``001_a.up.sql:3``, and why.
        skipped: The places of statements that found a table or a column already there: another file
            makes it, and nothing is known of what they would have made.
        notes: What else is worth a warning.
        role: The role that the files ran as.
    """

    made: tuple[Made, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    skipped: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    role: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what is worth a warning, what was left out included."""
        left_out = "; ".join(f"{place}: {why}" for place, why in self.left_out.items())
        return (*self.notes, *([f"left out of the replay: {left_out}"] if left_out else []))


def replay(
    session: Session,
    state: DatabaseState,
    files: Sequence[SqlFile],
    *,
    uncommitted: Sequence[SqlFile] = (),
    grants: bool = False,
    origins: bool = False,
) -> Replay:
    """Find out what files make, by running them in an empty database.

    The live database is asked for its settings and extensions, and for nothing else.

    Args:
        session: The command. A transaction may be open on its connection, which goes on unharmed.
        state: The live database; the files are meant for its schema.
        files: In the order in which to run them.
        uncommitted: Those that ran in the open transaction.
        grants: Whether owners and privileges are parts of the relations, too.
        origins: Whether to find out which file created each part, and not only which wrote it last.

    Returns:
        The relations as they would be there.

    Raises:
        NoShadowDatabase: There is no database to run them in.
        StatementFailed: A file cannot be run in an empty database.
        UsageError: The shadow database or the setup cannot be used.
    """
    if not files:
        return Replay()
    path = session.scope.shadow_setup
    setup = None if path is None else read_setup(path)
    if not uncommitted:
        session.end_reading()
    asking = session.flight()
    needs = asking.ask(shadow_needs())
    asking.go()
    pieces = pieces_of(files, range(len(files)))
    named = {role for piece in pieces for s in piece.statements for role in roles_named(s)}
    shared = any(is_cluster_wide(s) for file in uncommitted for s in file.statements)
    settings = settings_found(state.history, files, uncommitted)
    order = RunOrder(session.folder.repeatables)
    while True:
        places = sorted(range(len(files)), key=lambda at: (order.place(files[at].name), at))
        pieces = pieces_of(files, places)
        try:
            with shadow_database(
                session, state, needs.value, roles=frozenset(named), holds_shared=shared
            ) as shadow:
                scope = session.scope
                replayed = _Replaying(
                    shadow, scope, state, needs.value, setup, pieces, grants, origins, settings
                ).run()
            break
        except StatementFailed as error:
            if not order.learn(error.file, error.sqlstate, error.message):
                raise
    roles = {event.file: event.executed_by for event in state.history.events}
    live_roles = [roles.get(file.name, state.server.role) for file in files]
    return replace(
        replayed, made=tuple(_named(m, replayed.role, live_roles) for m in replayed.made)
    )


def _named(made: Made, role: str, live_roles: Sequence[str]) -> Made:
    """Return what a file made under its live name, which may contain the role that ran the file."""
    relation, live = made.relation, live_roles[made.file_index]
    form = _NAMED_AFTER_ROLE.get(relation.kind)
    if form is None or not relation.name.startswith(form.format(role)):
        return made
    name = form.format(live) + relation.name.removeprefix(form.format(role))
    return replace(made, relation=replace(relation, name=name))


@dataclass(slots=True)
class _Entry:
    """What is known of an object: the file that makes it, and those that wrote its parts last.

    The files are places in the sequence, and -1 what ran before the first.
    """

    file_index: int
    part_files: dict[str, int] = field(default_factory=dict)
    # What each file has called the parts that it wrote, in order; if that was asked for.
    names: list[tuple[int, Mapping[tuple[str, int], str]]] = field(default_factory=list)


@dataclass(slots=True)
class _Replaying:
    """A replay in a shadow database, in as few transactions as possible."""

    shadow: Shadow
    scope: Scope
    state: DatabaseState
    needs: ShadowNeeds
    setup: SqlFile | None
    pieces: list[Piece]
    grants: bool
    origins: bool
    # What the files found that have run, by their places.
    settings: Mapping[int, Mapping[str, str]]
    notes: list[str] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)
    entries: dict[str, _Entry] = field(default_factory=dict)

    @property
    def conn(self) -> Connection:
        return self.shadow.conn

    def run(self) -> Replay:
        """Run everything, and return what is there in the end."""
        self._leave_roles_alone()
        start = 0
        found: tuple[Found, ...] = ()
        while start < len(self.pieces):
            start, found = self._run_from(start)
            if start < len(self.pieces):
                # What follows may only run after it. The last transaction is rolled back.
                self._send("COMMIT")
        places = {
            place_of(statement): why for piece in self.pieces for statement, why in piece.left_out
        }
        made = tuple(m for m in map(self._made, found) if m is not None)
        notes = tuple(dict.fromkeys(self.notes))
        return Replay(made, places, frozenset(self.skipped), notes, self.shadow.role)

    def _leave_roles_alone(self) -> None:
        """Leave out what is about roles that exist on the server: they are not this database's."""
        for piece in self.pieces:
            for statement in tuple(piece.statements):
                roles = set(roles_named(statement))
                if roles and roles <= self.shadow.roles | CURRENT_ROLES:
                    piece.leave_out(statement, "the role exists on the server")

    def _run_from(self, start: int) -> tuple[int, tuple[Found, ...]]:
        """Run as many pieces as one transaction can hold.

        Returns:
            The place of the next piece, and the objects that exist; the transaction is open.
        """
        end = len(self.pieces)
        while True:
            answers: list[tuple[int, Answer[None]]] = []
            try:
                return end, self._try(start, end, answers)
            except StatementFailed as error:
                roll_back(self.conn, self.shadow.defaults)
                at, statement = next(
                    ((at, a.statement) for at, a in answers if a.error is not None), (start, None)
                )
                if error.sqlstate == _UNSAFE_ENUM_VALUE and self._can_commit(start, at):
                    end = at
                elif (
                    statement is not None
                    and error.sqlstate in _NOT_IN_TRANSACTION
                    and placement(statement) == "either"
                ):
                    self.pieces[at].leave_out(statement, "it cannot run in a transaction")
                elif statement is not None:
                    role = self.state.server.role
                    raise with_hint(error, self.notes, self.shadow, role) from None
                else:
                    raise

    def _is_last_of_file(self, at: int) -> bool:
        """Return whether a piece is the last one of its file."""
        following = self.pieces[at + 1 : at + 2]
        return not following or following[0].file_index != self.pieces[at].file_index

    def _can_commit(self, start: int, end: int) -> bool:
        """Return whether pieces can be committed: they change nothing that all databases share."""
        ran = [s for piece in self.pieces[start:end] for s in piece.statements]
        if start == 0 and self.setup is not None:
            ran += self.setup.statements
        return start < end and not any(map(is_cluster_wide, ran))

    def _try(
        self, start: int, end: int, answers: list[tuple[int, Answer[None]]]
    ) -> tuple[Found, ...]:
        marker_schema = f"lfmigrate_replay_{secrets.token_hex(6)}"
        marker = f"{quote_name(marker_schema)}.marker"
        defaults = self.shadow.defaults
        flight = self._begin() if start == 0 else self._begun()
        flight.do(f"CREATE SCHEMA {quote_name(marker_schema)}")
        flight.do(f"CREATE TABLE {marker} (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
        if start == 0 and self.setup is not None:
            flight.run_file(self.setup, self.scope, defaults)
        flight.do(f"INSERT INTO {marker} DEFAULT VALUES")
        written: list[tuple[int, Answer[WrittenParts]]] = []
        for at in range(start, end):
            flight.enter_file(defaults)
            if settings := self.settings.get(self.pieces[at].file_index):
                flight.set(settings)
            answers += [(at, answer) for answer in flight.run_all(self.pieces[at].statements)]
            # As if each file had a run of its own; the statements of one share a session.
            flight.reset(self.scope, defaults, release=self._is_last_of_file(at))
            if self.origins:
                index = self.pieces[at].file_index
                reach = reach_of(self.pieces[at].statements)
                written.append((index, flight.ask(catalog.written_parts(marker, reach=reach))))
            flight.do(f"INSERT INTO {marker} DEFAULT VALUES")
        flight.look_at(self.state.schema)
        found = flight.ask(
            catalog.snapshot((), ledger=marker, ids=self.entries, grants=self.grants)
        )
        ends = flight.ask(_markers(marker))
        flight.go()
        self._note(found.value.found, ends.value, start)
        for index, answer_of_file in written:
            for item_id, names in answer_of_file.value.items():
                if item_id in self.entries:
                    self.entries[item_id].names.append((index, names))
        self.skipped.update(
            place_of(answer.statement)
            for _, answer in answers
            if answer.statement is not None
            and answer.has_skipped
            and _ALSO_THERE.isdisjoint(answer.statement.head[1:2])
        )
        return found.value.found

    def _note(self, found: Iterable[Found], ends: Sequence[int], start: int) -> None:
        """Note which files wrote what."""

        def file_of(cid: int) -> int:
            place = bisect_left(ends, cid) - 1
            return self.pieces[start + place].file_index if place >= 0 else -1

        for item in found:
            if item.cids:
                entry = self.entries.setdefault(item.id, _Entry(file_of(item.cids[0])))
                for part, cid in item.written.items():
                    entry.part_files[part] = max(entry.file_index, file_of(cid))

    def _made(self, item: Found) -> Made | None:
        """Return what the files made of an object; None if it is the setup's alone."""
        entry, relation = self.entries[item.id], item.relation
        parts = {p: f for p, f in entry.part_files.items() if p in relation.parts}
        if entry.file_index >= 0:
            return Made(
                relation, entry.file_index, parts, self._origins(item) if self.origins else {}
            )
        own = {p: f for p, f in parts.items() if f >= 0 and p.partition(" ")[0] in NAMED_PARTS}
        if not own:
            return None
        texts = {part: relation.parts[part] for part in own}
        return Made(replace(relation, parts=texts, complete=False), min(own.values()), own)

    def _origins(self, item: Found) -> dict[str, int]:
        """Return which file created each part: the first one that has written it."""
        entry = self.entries[item.id]
        return {
            part: next(
                (index for index, names in entry.names if name_then(names, item, part) is not None),
                entry.file_index,
            )
            for part in item.relation.parts
        }

    def _begun(self) -> Flight:
        """Return a flight that begins a transaction with the settings of the live database."""
        flight = Flight(self.conn)
        flight.do("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE")
        flight.reset(self.scope, self.shadow.defaults)
        return flight

    def _begin(self) -> Flight:
        """Begin the first transaction, and create what the live database has beforehand."""
        flight = self._begun()
        if self.shadow.is_given:
            flight = self._empty(flight)
        else:
            # The files may create objects with another role, which may do so in the live database.
            flight.do(f"GRANT ALL ON DATABASE {quote_name(self.conn.info.dbname)} TO PUBLIC")
            if self.state.server.major >= _PUBLIC_IS_CLOSED:
                flight.do("GRANT ALL ON SCHEMA public TO PUBLIC")
        statements = [s for piece in self.pieces for s in piece.statements]
        schemas = created_names(statements, "schema")
        extensions = created_names(statements, "extension")
        if self._exists_beforehand(schemas):
            flight.do(f"CREATE SCHEMA IF NOT EXISTS {quote_name(self.state.schema)}")
        for extension in self.needs.extensions:
            if extension.name not in extensions:
                flight.go()
                flight = self._create_extension(extension, schemas)
        return flight

    def _exists_beforehand(self, created: Mapping[str, bool]) -> bool:
        """Return whether the schema of unqualified names is there before the files run.

        The files may create it, if it is on the search path and not an option.
        """
        schema = self.state.schema
        if schema not in created or self.scope.schema is not None:
            return True
        return created[schema] and bool(self.state.history.events)

    def _empty(self, flight: Flight) -> Flight:
        """Drop what is in a database that was named."""
        flight.do("SELECT set_config('lock_timeout', $1, true)", str(_GIVEN_LOCK_MS))
        flight.do("SELECT pg_advisory_xact_lock($1::bigint)", str(_GIVEN_LOCK_KEY))
        found = flight.ask(shadow_empty())
        flight.go()
        flight = Flight(self.conn)
        for statement in found.value:
            flight.do(statement)
        try:
            flight.go()
        except StatementFailed as error:
            raise UsageError(
                f"the shadow database cannot be emptied: {error.message}",
                hint="Name one that belongs to the role, with all that is in it.",
            ) from None
        flight = Flight(self.conn)
        flight.reset(self.scope, self.shadow.defaults)
        return flight

    def _create_extension(
        self, extension: Extension, created_schemas: Mapping[str, bool]
    ) -> Flight:
        """Create an extension of the live database, in its version if that is available."""
        name, schema = quote_name(extension.name), quote_name(extension.schema)
        why = f"the files create its schema, {extension.schema}"
        options = [f"VERSION {quote_name(extension.version)}", ""]
        for option in options if extension.schema not in created_schemas else ():
            flight = Flight(self.conn)
            flight.do(f"SAVEPOINT {_SAVEPOINT}")
            if extension.schema != "pg_catalog":
                flight.do(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            flight.do(f"CREATE EXTENSION {name} SCHEMA {schema} {option}")
            flight.do(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            try:
                flight.go()
            except StatementFailed as error:
                why = error.message
                self._send(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            else:
                return Flight(self.conn)
        self.notes.append(f"extension {extension.name} is missing from the shadow database: {why}")
        return Flight(self.conn)

    def _send(self, statement: str) -> None:
        flight = Flight(self.conn)
        flight.do(statement)
        flight.go()


def _markers(marker: str) -> Query[list[int]]:
    return Query(
        "SELECT coalesce(jsonb_agg(m.cid ORDER BY m.cid), '[]')"
        f" FROM (SELECT cmin::text::int AS cid FROM {marker}) AS m",
        (),
        list,
    )
