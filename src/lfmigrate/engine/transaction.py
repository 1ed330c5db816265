"""The transaction: the only begin, lock and commit of everything that writes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from lfmigrate import catalog, log
from lfmigrate._version import __version__
from lfmigrate.catalog import LargeObject
from lfmigrate.engine.danger import Danger, Suspects
from lfmigrate.engine.dropped import Dropped, deferred, make_room, restore_previous
from lfmigrate.engine.hidden_extension import add_hidden_extension
from lfmigrate.engine.lost_commit import outcome_of_commit
from lfmigrate.engine.missing_privileges import explain, require_privileges
from lfmigrate.engine.outcome import Outcome, Results, add_drifted_relations, outcome_of
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState, refuse_read_only
from lfmigrate.engine.step import Recreated, Step
from lfmigrate.engine.undone import Between, may_be_set_back
from lfmigrate.errors import (
    COMMITTED,
    ConnectionFailed,
    Interrupted,
    LfmigrateError,
    StatementFailed,
)
from lfmigrate.history import ledger
from lfmigrate.postgres.connection import Connection, address_of, is_idle
from lfmigrate.postgres.pipeline import (
    Query,
    roll_back,
    roll_back_and_release,
)
from lfmigrate.postgres.release import Defaults
from lfmigrate.postgres.wire import Answer
from lfmigrate.rows import dump
from lfmigrate.rows.dump import OnCopy
from lfmigrate.rows.saved import About, Archive
from lfmigrate.schema.relation import WrittenParts
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.reach import reach_of

_SAVE = "lfmigrate_save"


@contextmanager
def transaction(
    session: Session,
    state: DatabaseState,
    files: Sequence[SqlFile] | None = None,
    *,
    read_only: bool = False,
    locks: str = "",
) -> Iterator[Transaction]:
    """Open a transaction that holds lfmigrate's lock; leaving without commit rolls it back.

    Args:
        session: The command.
        state: The database as it was read. If the history has moved since, nothing is run.
        files: What will run; the privileges that it needs are checked first. None if nothing
            is recorded in the history.
        read_only: Read one snapshot, without the lock.
        locks: The tables to lock in ACCESS SHARE mode before that snapshot; see `Flight.begin`.

    Raises:
        StatementFailed: A statement failed, or the lock is held by another run.
        ConnectionFailed: The connection was lost; ``outcome`` says what became of the
            transaction.
        DatabaseError: The database is read-only.
        Interrupted: A signal arrived.
    """
    opened = Transaction(session, state, files, read_only=read_only, locks=locks)
    try:
        yield opened
        opened.roll_back()
    except LfmigrateError as error:
        opened.fail(error)
        opened.name_backup(error)
        if not (read_only or isinstance(error, (ledger.HistoryMoved, ledger.LockHeld))):
            log.failed(error)
        raise
    except KeyboardInterrupt as interrupt:
        # Between two flights; the server rolls back what is still open.
        session.abandon()
        interrupted = Interrupted("interrupted")
        opened.find_out(interrupted)
        opened.name_backup(interrupted)
        log.failed(interrupted)
        raise interrupted from interrupt
    except BaseException:
        session.abandon()
        raise


class Transaction:
    """A transaction that holds lfmigrate's lock; opened by `transaction`.

    Statements are queued in ``flight`` and sent together by `send`, `outcome` or `commit`. What is
    queued first is sent before its results are known; that is safe because each statement runs only
    if the one before it succeeded, the lock included.

    Attributes:
        session: The command that it belongs to.
        state: The database as it was before.
        run_id: Identifies its entries in the history.
        flight: What is sent next.
        backup: The folder with the rows that were saved; None if none were.
        on_failure: What is true of the database if the transaction is rolled back.
        watches_sequences: Whether `outcome` also asks which sequences the files have moved.
        moved: The answer to that; None if it was not asked.
        danger: What guarded files did to rows; None if none ran.
    """

    def __init__(
        self,
        session: Session,
        state: DatabaseState,
        files: Sequence[SqlFile] | None,
        *,
        read_only: bool,
        locks: str,
    ) -> None:
        self.session = session
        self.state = state
        self.run_id = str(uuid4())
        self.flight = session.flight()
        self._recorded = files is not None
        self._read_only = read_only
        self._results: Results | None = None
        self._between: Between | None = None
        self._notes: list[str] = []
        self._deferred: list[tuple[Dropped, Answer[list[Mapping[str, str]]]]] = []
        self.watches_sequences = False
        self.moved: Answer[tuple[str, ...]] | None = None
        self.danger: Danger | None = None
        self.backup: Path | None = None
        self.on_failure = session.outcome
        self._ended = False
        # Where to ask, and what, once COMMIT is about to be sent.
        self._commit: tuple[str, Query[bool] | None] | None = None
        self.flight.begin(session.scope, read_only=read_only, locks=locks)
        if read_only:
            return
        refuse_read_only(state)
        ledger.lock(self.flight, state.history)
        self._xid: Answer[str] = self.flight.ask(ledger.transaction_id())
        if files is not None:
            require_privileges(self.flight, files)
            ledger.create(self.flight)

    @property
    def conn(self) -> Connection:
        """Return its connection."""
        return self.session.conn

    @property
    def _released(self) -> Defaults | None:
        """Return what the session had before, if what files leave in it has to be released."""
        # The statements of a file marked no-transaction share a session, which holds the lock.
        if self._read_only or self.session.holds_lock:
            return None
        defaults = self.state.server.defaults
        return defaults._replace(own=()) if self.session.is_direct else defaults

    @property
    def releases(self) -> bool:
        """Return whether what a file leaves in the session is released after it."""
        return self._released is not None

    def send(self) -> None:
        """Send what is queued, and wait for the results."""
        flight, self.flight = self.flight, self.session.flight()
        flight.go()

    def run(self, steps: Sequence[Step], *, suspects: Suspects | None = None) -> None:
        """Queue files, each followed by its entry, and the questions about their effects.

        What is queued before a step that drops something is sent, because the properties of that
        have to be known before it is re-created.

        Args:
            steps: The files.
            suspects: To find out, for ``danger``, what they do to existing rows; None not to.

        Raises:
            StatementFailed: What was sent failed.
        """
        scope, state = self.session.scope, self.state
        defaults = self._released or state.server.defaults
        self.flight.look_at(state.schema)
        fingerprints = self.flight.ask(catalog.fingerprints())
        roles = self.flight.ask(catalog.role_names())
        earlier = self.flight.ask(catalog.earlier_changes())
        self.flight.reset(scope, defaults)
        statements: list[Answer[None]] = []
        parts: list[Answer[WrittenParts]] = []
        danger = None if suspects is None else Danger(state.schema, fingerprints, suspects, earlier)
        dropped: list[Dropped] = []
        after_migrations, writers = may_be_set_back(state, steps)
        for place, step in enumerate(steps):
            if place == after_migrations and writers:
                self.flight.look_at(state.schema)
                self._between = Between(writers, self.flight.ask(catalog.relations(writers)))
                self.flight.reset(scope, defaults)
            if step.drops:
                dropped += self._drop(step.drops, place)
            own = [each for each in dropped if each.recreated.file == step.file.name]
            dropped = [each for each in dropped if each not in own]
            self._notes += (n for each in own for n in each.notes(state.schema, steps[:place]))
            if step.restores:
                statements += make_room(self.flight, step.restores, state.schema)
                self.flight.reset(scope, defaults)
            self.flight.enter_file(defaults)
            statements += self._run_file(step, own, danger)
            # As if each file had a run of its own.
            self.flight.reset(scope, defaults, release=self.releases)
            if step.restores:
                statements += restore_previous(self.flight, step.restores).statements
                self.flight.reset(scope, defaults)
            if own and not dropped:
                self._restore_deferred()
            if step is not steps[-1]:
                alone = not (step.drops or step.restores or own)
                reach = reach_of(step.file.statements) if alone else None
                asked = catalog.written_parts(ledger.table(scope), self.run_id, reach=reach)
                parts.append(self.flight.ask(asked))
            self.record(step)
        flight = self.flight
        # What is deferred to the commit belongs to what the files do.
        flight.do("SET CONSTRAINTS ALL IMMEDIATE")
        flight.look_at(state.schema)
        if danger is not None:
            danger.queue_end(flight, statements, ledger.table(scope))
            self.danger = danger
        self._results = Results(
            steps=steps,
            fingerprints_before=fingerprints,
            statements=statements,
            fingerprints_after=flight.ask(catalog.fingerprints()),
            roles=(roles, flight.ask(catalog.role_names())),
            reading=flight.ask(
                catalog.snapshot(
                    state.history.expected,
                    ledger=ledger.table(scope),
                    ids=state.ids,
                    since=state.horizon.xmin,
                )
            ),
            recorded=flight.ask(ledger.recorded(scope, self.run_id)),
            parts=parts,
        )

    def _run_file(
        self, step: Step, own: Sequence[Dropped], danger: Danger | None
    ) -> Sequence[Answer[None]]:
        """Queue the statements of a file, and restore what it creates again."""
        answers: list[Answer[None]] = []
        guard = None if danger is None else danger.of(step)
        run = self.flight.run_all(step.file.statements, guard)
        for statement, answer in zip(step.file.statements, run, strict=True):
            answers.append(answer)
            for each in own:
                if each.recreated.keeps_properties and statement in each.recreated.creations:
                    # Before the rest of the file, which may state them otherwise.
                    self._restore("restore_properties", each)
                    if each.may_be_deferred:
                        self._deferred.append((each, self.flight.ask(deferred())))
        if danger is not None:
            danger.end_step(self.flight)
        for each in own:
            self._restore("restore_contents", each)
        return answers

    def _drop(self, objects: Sequence[Recreated], place: int) -> list[Dropped]:
        """Drop objects before the step of a place; return those that existed."""
        flight = self.flight
        flight.look_at(self.state.schema)
        keys = [each.key._asdict() for each in objects]
        flight.do(catalog.query_text("recreated"), json.dumps(keys))
        # No schema, so that the texts of definitions hold under whatever path a file has set.
        flight.look_at()
        asked = flight.ask(catalog.recreated_properties())
        flight.do(catalog.query_text("drop_recreated"))
        flight.reset(self.session.scope, self.state.server.defaults)
        self.send()
        history = self.state.history
        ran = {name: event.checksum for name, event in history.repeatables.items()}
        files = self.session.folder.repeatables
        edited = {f.file.name for f in files if ran.get(f.name) != f.file.checksum}
        return [
            Dropped(
                each,
                place,
                asked.value[each.key],
                # A file that is as it was states what it did.
                history.expected.get(each.key) if each.file in edited else None,
            )
            for each in objects
            if each.key in asked.value
        ]

    def _restore_deferred(self) -> None:
        """Restore what calls functions that were re-created after it."""
        asked, self._deferred = self._deferred, []
        if asked:
            self.send()
        for each, answer in asked:
            if answer.value:
                self._restore("restore_deferred", each, deferred=answer.value)

    def _restore(self, query: str, dropped: Dropped, **more: object) -> None:
        role = self.state.server.role_setting
        properties = json.dumps({**dropped.kept, "run_role": role, **more})
        self.flight.do("SELECT set_config('lfmigrate.recreated', $1, true)", properties)
        self.flight.do(catalog.query_text(query))

    def record(self, step: Step) -> None:
        """Queue the entry of a step."""
        ledger.record(
            self.flight,
            self.session.scope,
            step.entry,
            run_id=self.run_id,
            schema=self.state.schema,
            tool_version=__version__,
        )

    def outcome(self) -> Outcome:
        """Send what is queued, and find out what the files did, while it can be rolled back.

        Raises:
            LookupError: Nothing was run.
        """
        if self._results is None:
            raise LookupError("no file was run")
        if self.watches_sequences:
            self.moved = self.flight.ask(catalog.moved_sequences())
        self.send()
        outcome = outcome_of(self.session, self.state, self._results)
        for step, entry in zip(outcome.steps, outcome.recorded, strict=True):
            log.file_ran(step.action, step.label, entry.elapsed_ms)
        if self._between is not None:
            self._notes += self._between.notes(self.state.live, outcome.state.live)
        return replace(outcome, notes=[*outcome.notes, *self._notes])

    def save_rows(
        self,
        tables: Iterable[tuple[str, str]],
        sequences: Iterable[tuple[str, str]],
        target: Path,
        about: About,
        *,
        large_objects: Sequence[LargeObject] = (),
        dropped: Collection[str] = (),
        watch: OnCopy | None = None,
    ) -> Archive:
        """Write rows to a backup; what is queued is sent first.

        Args:
            tables: Schema and name of each; they are locked, unless the transaction is read-only.
            sequences: Schema and name of each sequence that belongs to no column.
            target: The folder to create.
            about: What the manifest says of the whole.
            large_objects: The large objects to save as well, as they were found.
            dropped: The ids of what is about to be dropped; see `dump.dump`.
            watch: Called as rows are copied.

        Returns:
            The archive; it is complete, and on the disk.

        Raises:
            Refused: The folder could not be written, or the role may not see all rows.
            DatabaseError: The rows could not be read.
        """
        # Reading rows changes settings that the rest of the transaction does not expect.
        self.flight.do(f"SAVEPOINT {_SAVE}")
        flight, self.flight = self.flight, self.session.flight()
        saved = dump.dump(
            self.conn,
            tables,
            sequences,
            target,
            about,
            flight=flight,
            large_objects=large_objects,
            dropped=dropped,
            watch=watch,
        )
        self.backup = saved.path
        self.flight.do(f"ROLLBACK TO SAVEPOINT {_SAVE}")
        # What follows is written by the transaction itself, by which its entries are recognized.
        self.flight.do(f"RELEASE SAVEPOINT {_SAVE}")
        return saved

    def commit(self, outcome: Outcome | None = None) -> DatabaseState:
        """Commit, and find out whether it took effect if the server's answer is lost.

        Args:
            outcome: What the files did, to be recorded; None if none ran.

        Returns:
            The database as the transaction leaves it.

        Raises:
            StatementFailed: The commit failed, for example on a deferred constraint; rolled back.
            ConnectionFailed: The connection was lost, and the transaction was not committed, or
                that cannot be known; see ``outcome``.
            Interrupted: A signal arrived; ``outcome`` says whether it was committed.
        """
        scope = self.session.scope
        if outcome is not None:
            ledger.complete(
                self.flight,
                scope,
                {
                    entry.id: (effects.made, effects.gone, effects.found)
                    for entry, effects in zip(outcome.recorded, outcome.effects, strict=True)
                },
                {e.id: f.previous for e, f in zip(outcome.recorded, outcome.effects, strict=True)},
                {e.id: f.roles for e, f in zip(outcome.recorded, outcome.effects, strict=True)},
            )
        defaults = self._released or self.state.server.defaults
        # What is deferred to the commit finds the settings and limits of a file.
        self.flight.reset(scope, defaults)
        self.flight.do("SET CONSTRAINTS ALL IMMEDIATE")
        self.flight.reset_session(defaults, release=self.releases)
        self.flight.do("COMMIT")
        was_committed = (
            ledger.was_recorded(scope, self.run_id)
            if self._recorded
            else ledger.was_committed(self._xid.value)
            if self._xid.landed
            else None
        )
        self._commit = address_of(self.conn), was_committed
        self._ended = True
        try:
            self.send()
        except StatementFailed as error:
            # If COMMIT itself failed, the session may be another client's already.
            if not is_idle(self.conn):
                roll_back(self.conn, self._released)
            error.outcome = self.on_failure
            explain(error, self.session)
            raise
        except (ConnectionFailed, Interrupted) as error:
            self.find_out(error)
            if isinstance(error, Interrupted) or error.outcome != COMMITTED:
                raise
            self.session.lost(self._commit[0])
            source = "history" if self._recorded else "server"
            self.session.notes.append(
                f"the connection was lost at COMMIT; the {source} shows that it was committed"
            )
        log.committed([] if outcome is None else [(s.action, s.label) for s in outcome.steps])
        if outcome is None:
            return self.state
        self.session.committed += [s.label for s in outcome.steps if s.action != "upgrade"]
        return outcome.state

    def find_out(self, error: LfmigrateError) -> None:
        """Set an error's outcome; asks the server, if COMMIT may have been sent."""
        error.outcome = (
            self.on_failure
            if self._commit is None
            else outcome_of_commit(error, *self._commit, self.on_failure)
        )

    def name_backup(self, error: LfmigrateError) -> None:
        """Add to an error where the rows were saved."""
        error.backup = self.backup
        if self.backup is not None:
            error.detail = (*error.detail, f"The backup in {self.backup} is complete.")

    def roll_back(self) -> None:
        """Roll back, unless it has ended."""
        if not self._ended and not is_idle(self.conn):
            roll_back_and_release(self.conn, self._released)
            if not self._read_only:
                log.rolled_back()
        self._ended = True

    def fail(self, error: LfmigrateError) -> None:
        """Roll back after an error, and add to it what only the transaction knows."""
        if self._ended:
            return
        self._ended = True
        if not is_idle(self.conn):
            roll_back(self.conn, self._released)
        error.outcome = self.on_failure
        if isinstance(error, StatementFailed):
            explain(error, self.session)
            if error.file is not None and self._results is not None and self._results.skipped:
                add_drifted_relations(error, self.session, self.state, self._results)
            if error.file is not None:
                add_hidden_extension(error, self.session)
