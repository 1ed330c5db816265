"""`verify`: compare the live schema with the migrations. Only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lfmigrate import catalog
from lfmigrate.catalog import Server
from lfmigrate.engine.replay import NOT_RECREATED, Replay, replay
from lfmigrate.engine.session import Session
from lfmigrate.engine.shadow import NoShadowDatabase
from lfmigrate.engine.state import DatabaseState, Moments
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import NOTHING_CHANGED, DifferenceFound, StatementFailed
from lfmigrate.history import ledger, plan, states
from lfmigrate.history.events import History
from lfmigrate.history.states import FileStates
from lfmigrate.postgres.connection import Connection
from lfmigrate.schema.compare import Verdict, compare_all
from lfmigrate.schema.grants import with_grants_of, without_grants
from lfmigrate.schema.relation import Key, Relation, Snapshot
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.source.sqlfile import SqlFile, diff, from_text
from lfmigrate.source.version import label

_MIXED = (
    "other sessions changed the schema each time that it was read: what is reported may never have"
    " existed at one moment"
)

# How often everything is read again after another session has changed it during a replay.
_RESTARTS = 2


@dataclass(frozen=True, slots=True)
class Edit:
    """A migration whose file is no longer what ran, with a unified diff between the two."""

    version: str
    name: str
    diff: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """How the live schema compares.

    Attributes:
        server: Where it was read.
        schema: The schema that unqualified names go to.
        relations: A verdict per expected relation: ``ok``, ``missing`` or ``drifted``.
        source: Whether what is expected comes from the history or from a replay of the files.
        edited: Migrations that were edited after they were applied.
        notes: What is worth a warning.
        files: The folder compared with the history; None without one.
        pending_allowed: Whether files that have not run yet are no difference.
        made_by: The file that has created each expected relation, as far as the history knows.
    """

    server: Server
    schema: str
    relations: tuple[Verdict, ...]
    source: Literal["history", "replay"]
    edited: tuple[Edit, ...]
    notes: tuple[str, ...]
    files: FileStates | None = None
    pending_allowed: bool = False
    made_by: Mapping[Key, str] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[DifferenceFound, ...]:
        """Return how the schema differs from the migrations, and the folder from the history."""
        problems = []
        if wrong := sum(1 for verdict in self.relations if verdict.status != "ok"):
            problems.append(
                DifferenceFound(
                    f"schema drift: {wrong} of {len(self.relations)} objects"
                    f" {'differs' if wrong == 1 else 'differ'} from the migrations",
                    hint='"lfmigrate up" re-creates what is missing where its file can run again;'
                    " it never alters what exists.",
                )
            )
        if self.files is not None:
            problems += self.files.problems(pending=not self.pending_allowed)
        return tuple(problems)

    @property
    def ok(self) -> bool:
        """Return whether everything is as expected."""
        return not self.problems


def verify(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    replay_files: bool = False,
    allow_pending: bool = False,
    grants: bool = False,
    on_wait: Callable[[str], None] | None = None,
) -> VerifyReport:
    """Compare the live schema with what the applied migrations and the views create.

    The folder is compared with the history, too: which files are pending, edited or missing.
    Changes nothing. With a history it only reads, in read-only transactions. Without one, with
    ``replay_files``, or if the history was written by another major version of the server, it
    runs the files in a shadow database. If another session changes the schema or the history
    meanwhile, everything is read again.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema; by default the connection's own.
        replay_files: Replay the files even if the history knows what to expect.
        allow_pending: Whether files that have not run yet are no difference.
        grants: Compare owners and privileges, too; the files are replayed for that.
        on_wait: Called with a line when the command has to wait for another session.

    Returns:
        All differences; the comparison does not stop at the first.

    Raises:
        DatabaseError: The server refused, or a replay is needed and not allowed.
    """
    session = Session(conn, folder, scope, on_wait=on_wait)
    restarts = _RESTARTS
    for attempt in Attempts(session):
        with attempt:
            state = session.state()
            is_mixed = state.is_mixed
            known = state.history
            notes = list(_notes(folder, known))
            foreign = _foreign(state)
            # Migrations that only change rows leave nothing to expect, nor do those that were
            # undone; that is known all the same.
            source: Literal["history", "replay"] = (
                "history" if known.events and not foreign and not replay_files else "replay"
            )
            expected, live = known.expected, state.live
            if source == "replay" and foreign and not replay_files:
                notes.append(
                    f"the history was written by PostgreSQL {_numbers(foreign)}, whose texts"
                    f" differ from those of {state.server.major}; the files were replayed instead"
                )
            if source == "replay" or grants:
                files, left_out = _files(folder, known)
                replayed = _replayed(session, state, files, grants=grants)
                notes += [*left_out, *replayed.warnings]
                if source == "replay":
                    expected = _expected(state, files, replayed)
                    notes += _not_compared(state, files, replayed)
                live, is_mixed = _live(session, state, expected, grants=grants)
                if is_mixed and restarts:
                    restarts -= 1
                    attempt.repeat()
                    continue
                if grants:
                    expected, live, uncompared = _with_grants(state, replayed, expected, live)
                    notes += uncompared
            edited = _edits(session, state)
            if is_mixed:
                notes.append(_MIXED)
    return VerifyReport(
        server=state.server,
        schema=state.schema,
        relations=compare_all(expected, live, agreed="ok"),
        source=source,
        edited=edited,
        notes=tuple(notes),
        files=states.file_states(folder, known) if known.events else None,
        pending_allowed=allow_pending,
        made_by={key: events[0].file for key, events in known.makers.items() if events},
    )


def _notes(folder: Folder, known: History) -> Iterator[str]:
    yield from plan.notes(folder, known)
    pending = [s for s in states.migration_states(folder, known) if s.status == "pending"]
    if known.events and pending:
        labels = ", ".join(label(s.version, s.name) for s in pending)
        yield f"{len(pending)} pending, and not expected yet: {labels}"
    for state in states.repeatable_states(folder, known):
        file, is_view = state.repeatable.file.name, state.repeatable.is_view
        if state.status == "edited":
            done = "replaces the view" if is_view else "runs it again"
            yield f"{file} was edited after it ran; up {done}"
        elif state.status == "pending" and known.events:
            what = "its view" if is_view else "what it creates"
            yield f"{file} has not run yet, and {what} is not expected"


def _files(folder: Folder, known: History) -> tuple[list[SqlFile], list[str]]:
    """Return the files that make up the expected schema, and what is worth a warning."""
    listed = states.migration_states(folder, known)
    files = [s.migration.up for s in listed if s.migration and (s.event or not known.events)]
    if known.events and any(s.status == "pending" for s in listed):
        note = "the repeatable files were not replayed, because they may need what is pending"
        return files, [note] if folder.repeatables else []
    return [*files, *(each.file for each in folder.repeatables)], []


def _replayed(
    session: Session, state: DatabaseState, files: Sequence[SqlFile], *, grants: bool
) -> Replay:
    """Return what files create."""
    try:
        return replay(session, state, files, grants=grants)
    except (NoShadowDatabase, StatementFailed) as error:
        error.outcome = NOTHING_CHANGED
        raise


def _expected(state: DatabaseState, files: Sequence[SqlFile], replayed: Replay) -> Snapshot:
    """Return what files create, and what the history knows of what they could not."""
    made = Snapshot(item.relation for item in replayed.made)
    remembered = _not_replayed(state, files, replayed)
    if _foreign(state):
        # The texts of another major version would differ in any case; that something is missing
        # is known.
        remembered = [relation for relation in remembered if relation.key not in state.live]
    return Snapshot([*made.values(), *remembered])


def _foreign(state: DatabaseState) -> frozenset[int]:
    return state.history.majors - {state.server.major}


def _not_compared(
    state: DatabaseState, files: Sequence[SqlFile], replayed: Replay
) -> Iterator[str]:
    """Return what was not compared, and why, a line each."""
    remembered = _not_replayed(state, files, replayed)
    there = [relation for relation in remembered if relation.key in state.live]
    if (foreign := _foreign(state)) and there:
        labels = ", ".join(f"{relation.kind} {relation.label}" for relation in there)
        yield f"not compared: {labels}; only PostgreSQL {_numbers(foreign)} described it"
    if replayed.skipped and not state.history.events:
        places = ", ".join(sorted(replayed.skipped))
        yield f"skipped, and not compared: {places}; {NOT_RECREATED}"


def _live(
    session: Session, state: DatabaseState, keys: Iterable[Key], *, grants: bool
) -> tuple[Snapshot, bool]:
    """Return what exists, and whether it has changed since the state was read or meanwhile."""
    with session.reading(state.schema) as flight:
        found = flight.ask(catalog.relations(keys, grants=grants))
        moments = Moments.queue(flight, session.scope)
    is_one = moments.are_one(state.history.position) and state.moment in {
        None,
        moments.first.value,
    }
    return Snapshot(item.relation for item in found.value), not is_one


def _with_grants(
    state: DatabaseState, replayed: Replay, expected: Snapshot, live: Snapshot
) -> tuple[Snapshot, Snapshot, list[str]]:
    """Return what is expected with owners and privileges, what exists, and what is not compared.

    A replay creates everything as one role; in the live database the owner is the role that applied
    the migration.
    """
    made = Snapshot(item.relation for item in replayed.made)
    wanted, there, unknown = [], dict(live), []
    for key, relation in expected.items():
        if relation.complete and key in made and made[key].complete:
            makers = state.history.makers.get(key)
            role = makers[0].executed_by if makers else state.server.role
            wanted.append(with_grants_of(relation, made[key], (replayed.role, role)))
            continue
        wanted.append(without_grants(relation))
        if key in there:
            there[key] = without_grants(there[key])
        if relation.complete:
            unknown.append(relation.label)
    notes = [f"owners and privileges not compared: {', '.join(unknown)}"] if unknown else []
    return Snapshot(wanted), Snapshot(there.values()), notes


def _not_replayed(
    state: DatabaseState, files: Sequence[SqlFile], replayed: Replay
) -> list[Relation]:
    """Return what the history expects and the replay has not created, because it could not.

    On another major version the files may create something else.
    """
    made = {item.relation.key for item in replayed.made}
    names = {file.name for file in files}
    history = state.history
    could_not = bool(replayed.left_out or _foreign(state))
    return [
        relation
        for key, relation in history.expected.items()
        if key not in made
        and (could_not or any(event.file not in names for event in history.makers[key]))
    ]


def _edits(session: Session, state: DatabaseState) -> tuple[Edit, ...]:
    """Return the migrations that were edited since they were applied, each with its diff."""
    edited = [
        (each, each.event, each.migration)
        for each in states.migration_states(session.folder, state.history)
        if each.status == "edited" and each.event is not None and each.migration is not None
    ]
    if not edited:
        return ()
    with session.reading(state.schema) as flight:
        texts = [flight.ask(ledger.recorded_text(session.scope, e)) for _, e, _ in edited]
    return tuple(
        Edit(each.version, each.name, diff(from_text(event.file, text.value), migration.up))
        for (each, event, migration), text in zip(edited, texts, strict=True)
    )


def _numbers(majors: frozenset[int]) -> str:
    return " and ".join(str(major) for major in sorted(majors))
