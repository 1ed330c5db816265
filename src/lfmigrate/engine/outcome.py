"""The outcome of a run: what its files did, derived before the transaction commits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lfmigrate import catalog
from lfmigrate.engine.applied import applied_files
from lfmigrate.engine.blocking import ask_aside
from lfmigrate.engine.effects import (
    Judgement,
    judge,
    needs_replay,
    still_missing,
    unclear_parts,
)
from lfmigrate.engine.evidence import After, Before, WouldBe
from lfmigrate.engine.pieces import place_of
from lfmigrate.engine.replay import NOT_RECREATED, Made, replay
from lfmigrate.engine.session import Session
from lfmigrate.engine.shadow import NoShadowDatabase
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.engine.step_effects import StepEffects
from lfmigrate.errors import DatabaseError, StatementFailed, UsageError
from lfmigrate.history.events import Event, History
from lfmigrate.history.ledger import Recorded
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.compare import Verdict, compare
from lfmigrate.schema.relation import Fingerprints, Found, Key, Reading, Snapshot, WrittenParts
from lfmigrate.source.sqlfile import SqlFile


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction did.

    Attributes:
        steps: The files that ran, in order.
        recorded: Their entries in the history.
        effects: What each of them created, changed and removed.
        verdicts: The outcome for each relation, tables first.
        spoiled: The relations that were missing, were re-created, and are not as they were.
        notes: What is worth a warning.
        uncompared: The places of statements that skipped what could not be compared.
        state: The database as the transaction leaves it.
    """

    steps: Sequence[Step]
    recorded: Sequence[Recorded]
    effects: Sequence[StepEffects]
    verdicts: Sequence[Verdict]
    spoiled: Sequence[Verdict]
    notes: Sequence[str]
    uncompared: Sequence[str]
    state: DatabaseState

    def forgetting(
        self, keys: Collection[Key], parts: Collection[tuple[Key, str | None]] = ()
    ) -> Outcome:
        """Return this outcome, with some relations no longer expected, even if they still exist.

        Args:
            keys: The relations.
            parts: Parts of others that are not expected either.
        """
        effects = [
            replace(
                step,
                made=tuple(
                    replace(r, parts={p: t for p, t in r.parts.items() if (r.key, p) not in parts})
                    for r in step.made
                    if r.key not in keys
                ),
            )
            for step in self.effects
        ]
        effects[-1] = effects[-1].removing(*(k for k in keys if k not in effects[-1].gone))
        return replace(self, effects=effects)


@dataclass(frozen=True, slots=True)
class Results:
    """The pending results of the files of a transaction."""

    steps: Sequence[Step]
    fingerprints_before: Answer[Fingerprints]
    statements: Sequence[Answer[None]]
    fingerprints_after: Answer[Fingerprints]
    reading: Answer[Reading]
    recorded: Answer[tuple[Recorded, ...]]
    roles: tuple[Answer[frozenset[str]], Answer[frozenset[str]]]
    parts: Sequence[Answer[WrittenParts]] = ()

    @property
    def skipped(self) -> tuple[str, ...]:
        """Return the places of the statements that found that what they create already exists."""
        return tuple(
            place_of(answer.statement)
            for answer in self.statements
            if answer.statement is not None and answer.has_skipped
        )


def outcome_of(session: Session, state: DatabaseState, results: Results) -> Outcome:
    """Find out what the files did, in the open transaction.

    Only if they skipped something is there a shadow database, to compare it with what they create.

    Raises:
        DatabaseError: A file has changed lfmigrate's own history.
    """
    recorded = results.recorded.value
    if len(recorded) != len(results.steps):
        raise DatabaseError("a file has changed lfmigrate's own history")
    before = Before(
        state.history.expected, state.live, state.ids, results.fingerprints_before.value
    )
    reading = results.reading.value
    after = After(
        found=reading.found,
        fingerprints=results.fingerprints_after.value,
        step_ends=[entry.cid for entry in recorded],
        locked=reading.locked,
        others=not reading.committed <= state.horizon.seen,
        last_migration=max(
            (n for n, step in enumerate(results.steps) if step.version is not None), default=-1
        ),
        parts=[answer.value for answer in results.parts],
    )
    after = replace(after, foreign=_foreign_parts(session, unclear_parts(before, after)))
    horizon = replace(state.horizon, seen=state.horizon.seen | reading.own)
    outcome = _outcome(
        session, state, results.steps, recorded, before=before, after=after, skipped=results.skipped
    )
    effects = _with_roles(session, outcome, *(answer.value for answer in results.roles))
    return replace(outcome, effects=effects, state=replace(outcome.state, horizon=horizon))


def _with_roles(
    session: Session, outcome: Outcome, before: frozenset[str], after: frozenset[str]
) -> Sequence[StepEffects]:
    """Add the roles that the run has created to the first step that names each; or to all.

    Another connection sees those of other sessions. Without its answer, none counts as created.
    """
    if not after - before:
        return outcome.effects
    try:
        others = ask_aside(session.conn, catalog.role_names(), _ASK_S)
    except DatabaseError:
        return outcome.effects
    roles: list[list[str]] = [[] for _ in outcome.steps]
    for role in sorted(after - before - others):
        named = [i for i, s in enumerate(outcome.steps) if role.lower() in s.file.text.lower()]
        for index in named[:1] or range(len(roles)):
            roles[index].append(role)
    return [replace(e, roles=tuple(r)) for e, r in zip(outcome.effects, roles, strict=True)]


def outcome_outside_transaction(
    session: Session,
    state: DatabaseState,
    step: Step,
    found: Sequence[Found],
    recorded: Sequence[Recorded],
    *,
    was: Sequence[Found],
    skipped: bool,
) -> Outcome:
    """Find out what a statement did that ran outside a transaction; one is open by now.

    Args:
        session: The command.
        state: The database before it.
        step: The part of a file that it is.
        found: What is expected or has changed, instead of what a transaction would have written.
        recorded: Its entry.
        was: What it mentions, as that was before.
        skipped: Whether what it creates already existed.
    """
    existed = dict.fromkeys([*state.ids, *(item.id for item in was)], "")
    before = Before(state.history.expected, state.live, state.ids, existed)
    foreign = {item.id: item.relation.parts.keys() for item in was}
    after = After(found, existed, step_ends=[1], locked=None, foreign=foreign)
    places = [place_of(step.file.statements[-1])] if skipped else []
    return _outcome(session, state, [step], recorded, before=before, after=after, skipped=places)


def _outcome(
    session: Session,
    state: DatabaseState,
    steps: Sequence[Step],
    recorded: Sequence[Recorded],
    *,
    before: Before,
    after: After,
    skipped: Sequence[str],
) -> Outcome:
    compared = _Compared()
    applies = any(step.action == "up" for step in steps)
    # A migration may drop what someone has dropped before.
    if skipped or needs_replay(before, after) or (applies and still_missing(before, after)):
        compared = _compare_with_files(session, state, steps, skipped)
    judgement = judge(before, replace(after, would_be=compared.would_be, skipped=compared.existing))
    effects = tuple(
        effect.making(*step.described)
        for step, effect in zip(steps, judgement.effects, strict=True)
    )
    judgement = replace(judgement, effects=effects)
    notes = list(compared.notes)
    if judgement.undecided:
        labels = ", ".join(relation.label for relation in judgement.undecided)
        notes.append(
            f"had changed before this run, and could not be compared with the files: {labels};"
            " expected as before"
        )
    return Outcome(
        steps=steps,
        recorded=recorded,
        effects=judgement.effects,
        verdicts=_recreated_as_replaced(steps, judgement.verdicts),
        spoiled=judgement.spoiled,
        notes=notes,
        uncompared=compared.uncompared,
        state=_state_after(state, steps, recorded, judgement),
    )


# How long another connection may take to say what existed before the run.
_ASK_S = 5.0


def _foreign_parts(
    session: Session, unclear: Mapping[str, Mapping[str, int]]
) -> Mapping[str, Collection[str]]:
    """Return the parts that existed before the run, by the relation's id.

    Another connection sees the database as it was, because the run has not committed. It only looks
    at names, which never waits for a lock. Without an answer, nothing is taken for the run's own.

    Args:
        session: The command.
        unclear: The parts to ask for, with the number of each, by the relation's id.
    """
    if not unclear:
        return {}
    try:
        return ask_aside(session.conn, catalog.existing_parts(unclear), _ASK_S)
    except DatabaseError:
        return unclear


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the files create in a shadow database, if statements were skipped, and what exists."""

    would_be: Mapping[Key, WouldBe] | None = None
    existing: Mapping[Key, Found] = field(default_factory=dict)
    uncompared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _compare_with_files(
    session: Session, state: DatabaseState, steps: Sequence[Step], skipped: Sequence[str]
) -> _Compared:
    """Replay what makes up the schema after the steps; their transaction stays open."""
    files = applied_files(session, state, steps, inside=True)
    try:
        replayed = replay(session, state, files, uncommitted=[step.file for step in steps])
    except (NoShadowDatabase, StatementFailed) as error:
        return _Compared(uncompared=tuple(skipped), notes=(_not_compared(error, skipped),))
    would_be = _by_step(replayed.made, files, steps)
    notes = replayed.warnings
    again = tuple(place for place in skipped if place in replayed.skipped)
    if again:
        notes = (
            *notes,
            f"skipped, and not compared: {', '.join(again)}; {NOT_RECREATED}",
        )
    left_out = tuple(place for place in skipped if place in replayed.left_out)
    if not skipped:
        return _Compared(would_be, notes=notes)
    existing = {found.relation.key: found for found in _read(session, state.schema, would_be)}
    return _Compared(would_be, existing, (*again, *left_out), notes)


def _not_compared(error: NoShadowDatabase | StatementFailed, skipped: Sequence[str]) -> str:
    """Return why the files could not be compared, and what would help."""
    # The lines of a statement that failed show where; the place does that here.
    facts = [f"{error.place}: {error.message}"] if error.place else [error.message, *error.detail]
    hint = f". {error.hint}" if error.hint else ""
    what = "what was skipped could not be compared" if skipped else "the files were not replayed"
    return f"{what}: {'; '.join(facts)}{hint}"


def _recreated_as_replaced(
    steps: Sequence[Step], verdicts: Sequence[Verdict]
) -> tuple[Verdict, ...]:
    """Report what was re-created as replaced: it existed, whatever is known of it."""
    recreated = {each.key for step in steps for each in step.drops}
    return tuple(
        replace(verdict, status="replaced")
        if verdict.status == "created" and verdict.relation.key in recreated
        else verdict
        for verdict in verdicts
    )


def _by_step(
    made: Sequence[Made], replayed: Sequence[SqlFile], steps: Sequence[Step]
) -> dict[Key, WouldBe]:
    """Attribute replayed relations to the step that creates them; to the last one otherwise."""
    place = {step.file.name: index for index, step in enumerate(steps)}
    repeatable = {step.file.name for step in steps if step.version is None}

    def is_repeatable(file_index: int) -> bool:
        return replayed[file_index].name in repeatable

    def step_of(file_index: int) -> int:
        return place.get(replayed[file_index].name, len(steps) - 1)

    return {
        item.relation.key: WouldBe(
            item.relation,
            step_of(item.file_index),
            {part: step_of(file_index) for part, file_index in item.part_files.items()},
            frozenset(p for p, file_index in item.part_files.items() if is_repeatable(file_index)),
        )
        for item in made
    }


def _read(session: Session, schema: str, wanted: Iterable[Key]) -> tuple[Found, ...]:
    """Read relations as they are, in the open transaction."""
    flight = session.flight()
    flight.look_at(schema)
    found = flight.ask(catalog.relations(wanted))
    flight.go()
    return found.value


def _state_after(
    state: DatabaseState,
    steps: Sequence[Step],
    recorded: Sequence[Recorded],
    judgement: Judgement,
) -> DatabaseState:
    """Return the database as the run leaves it, so that the next one need not read it."""
    events = [
        Event(
            id=entry.id,
            action=step.action,
            version=step.version,
            name=step.name,
            file=step.file.name,
            checksum=step.file.checksum,
            expected=effects.made,
            gone=effects.gone,
            server_version=state.server.version,
            executed_at="",
            executed_by=state.server.role,
            elapsed_ms=entry.elapsed_ms,
            found=effects.found,
        )
        for step, entry, effects in zip(steps, recorded, judgement.effects, strict=True)
    ]
    history = History(
        events=(*state.history.events, *events), position=recorded[-1].id, exists=True
    )
    return replace(state, history=history, live=judgement.live, ids=judgement.ids)


def add_drifted_relations(
    error: StatementFailed, session: Session, state: DatabaseState, results: Results
) -> None:
    """Add to an error which skipped relations are not what the files need; after the rollback.

    ``IF NOT EXISTS`` lets a table with the right name and the wrong columns pass, and a later
    statement fails because of it.
    """
    try:
        files = applied_files(session, state, results.steps)
        made = replay(session, state, files).made
        with session.reading(state.schema) as flight:
            keys = [item.relation.key for item in made]
            found = flight.ask(catalog.relations(keys))
    except (DatabaseError, UsageError):
        return  # no further detail is available
    live = Snapshot(item.relation for item in found.value)
    lines = []
    for expected in (item.relation for item in made):
        existing = live.get(expected.key)
        if existing is not None and compare(expected, existing):
            columns = [part for part in expected.parts if part.startswith("column ")]
            count = sum(1 for part in columns if part in existing.parts)
            lines.append(
                f"{expected.name} already existed and was skipped; it has {count} of"
                f" {len(columns)} expected columns."
            )
    if lines:
        error.detail = (*error.detail, *lines)
        error.hint = 'Run "lfmigrate verify --replay" to see how it differs.'
