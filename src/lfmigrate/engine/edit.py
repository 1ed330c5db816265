"""What an edit of an applied migration changes in the expected state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lfmigrate import catalog
from lfmigrate.engine.applied import applied_files
from lfmigrate.engine.replay import Made, replay
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.errors import NOTHING_CHANGED, DatabaseError, StatementFailed
from lfmigrate.schema.compare import Verdict, advance, compare_all
from lfmigrate.schema.relation import Key, Relation, Snapshot
from lfmigrate.source.sqlfile import SqlFile


@dataclass(frozen=True, slots=True)
class EditEffect:
    """What an edit changes in the expected state, and how the live schema compares.

    Attributes:
        made: The relations that the edit changes, as they are expected with it.
        gone: The relations that no file creates any more.
        verdicts: One per relation of the migration: ``ok``, ``drifted``, ``missing``, or
            ``unexpected`` for one that is gone from the files and exists.
        notes: What is worth a warning.
    """

    made: tuple[Relation, ...] = ()
    gone: tuple[Key, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()


def effect_of_edit(
    session: Session, state: DatabaseState, number: int, recorded: SqlFile, edited: SqlFile
) -> EditEffect:
    """Find out what an edit changes, by replaying the recorded texts without and with it.

    Args:
        session: The command.
        state: The database, with the history.
        number: The applied migration that was edited.
        recorded: The text that it ran.
        edited: The present text.

    Raises:
        DatabaseError: The edited text cannot be replayed.
    """
    own = {
        key
        for key in state.history.expected
        if any(event.number == number for event in state.history.makers[key])
    }
    effect = EditEffect()
    # Comments and blanks between statements have no effect.
    if [s.text for s in recorded.statements] != [s.text for s in edited.statements]:
        effect = _replayed_effect(session, state, number, edited, own)
    known = _known(state)
    expected = {key: known[key] for key in own if key in known and key not in effect.gone}
    expected |= {relation.key: relation for relation in effect.made}
    with session.reading(state.schema) as flight:
        found = flight.ask(catalog.relations([*expected, *effect.gone]))
    live = Snapshot(item.relation for item in found.value)
    verdicts = compare_all(Snapshot(expected.values()), live, agreed="ok")
    left = [Verdict(live[key], "unexpected") for key in effect.gone if key in live]
    return EditEffect(effect.made, effect.gone, (*verdicts, *left), effect.notes)


def _replayed_effect(
    session: Session, state: DatabaseState, number: int, edited: SqlFile, own: set[Key]
) -> EditEffect:
    files = applied_files(session, state)
    place = sorted(state.history.applied).index(number)
    with_edit = _replay(session, state, [*files[:place], edited, *files[place + 1 :]])
    own = own | {
        item.relation.key
        for item in with_edit
        if place in {item.file_index, *item.part_files.values()}
    }
    after = Snapshot(item.relation for item in with_edit)
    known = _known(state)
    notes = []
    try:
        before = Snapshot(item.relation for item in _replay(session, state, files))
    except StatementFailed as error:
        if error.file is None:
            raise
        # The reason for the edit, perhaps.
        notes.append(
            f"the recorded text cannot be replayed ({error.place}: {error.message}), so the edited"
            " one is compared with what the history expects"
        )
        kept = [relation for key, relation in after.items() if key not in own]
        before = Snapshot([*kept, *(known[key] for key in own if key in known)])
    made, gone = [], []
    for key in dict.fromkeys([*after, *before]):
        was, now = before.get(key), after.get(key)
        if was == now and (key in known or key not in own):
            continue
        if now is not None:
            made.append(_advanced(known.get(key), was, now))
        elif key in state.history.expected:
            gone.append(key)
    return EditEffect(tuple(made), tuple(gone), notes=tuple(notes))


def _replay(session: Session, state: DatabaseState, files: Sequence[SqlFile]) -> tuple[Made, ...]:
    try:
        return replay(session, state, files).made
    except DatabaseError as error:
        error.outcome = NOTHING_CHANGED
        raise


def _advanced(expected: Relation | None, was: Relation | None, now: Relation) -> Relation:
    """Return what to expect of a relation that an edit changes, part by part."""
    if expected is None or was is None:
        return now
    parts = was.parts.keys() | now.parts.keys() | expected.parts.keys()
    kept = {part for part in parts if was.parts.get(part) == now.parts.get(part)}
    created = now.parts.keys() - was.parts.keys()
    return advance(expected, now, doubtful=kept, created=created)


def _known(state: DatabaseState) -> Mapping[Key, Relation]:
    """Return what the history expects in the words of the server's own major version."""
    history = state.history
    return {
        key: relation
        for key, relation in history.expected.items()
        if history.described_by[key] == state.server.major
    }
