"""What adopted files create, compared with what exists: nothing is run in the live database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lfmigrate import catalog
from lfmigrate.engine.applied import applied_files
from lfmigrate.engine.replay import Made, replay
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import NOTHING_CHANGED, DatabaseError
from lfmigrate.history import ledger
from lfmigrate.history.events import Source
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.compare import Verdict, compare_all
from lfmigrate.schema.relation import Found, Relation, Snapshot
from lfmigrate.source.sqlfile import from_text
from lfmigrate.syntax.replayable import roles_named

# How the event is called that records how the live schema differed.
_DRIFT = "the live schema, where it differed"


@dataclass(frozen=True, slots=True)
class Adoption:
    """Files to record as applied, and what they create.

    Attributes:
        steps: The files, in order.
        made: For each step, the relations that it creates or changes, with the parts that exist
            when it ends.
        expected: All of them, as the last step leaves them.
        notes: What is worth a warning.
    """

    steps: tuple[Step, ...]
    made: tuple[tuple[Relation, ...], ...] = ()
    expected: Snapshot = field(default_factory=Snapshot)
    notes: tuple[str, ...] = ()


def prepare(
    session: Session, state: DatabaseState, steps: Sequence[Step], optional: Collection[str]
) -> Adoption:
    """Find out what files create, by a replay in a shadow database.

    What the history has applied is replayed with them.

    Args:
        session: The command.
        state: The database as it was read.
        steps: The files.
        optional: The names of the repeatable files that are left out if what they create does not
            exist as they create it: nothing says that they have run.

    Raises:
        DatabaseError: The files cannot be replayed.
    """
    while True:
        files = applied_files(session, state, steps)
        try:
            replayed = replay(session, state, files, origins=True)
        except DatabaseError as error:
            error.outcome = NOTHING_CHANGED
            raise
        places = {file.name: place for place, file in enumerate(files)}
        at = [places[step.file.name] for step in steps]
        made = [m for m in replayed.made if not _writers(m).isdisjoint(at)]
        expected = Snapshot(m.relation for m in made)
        unsure = {places[s.file.name]: s for s in steps if s.file.name in optional}
        if unsure:
            with session.reading(state.schema) as flight:
                found = flight.ask(catalog.relations(expected))
            left_out = _not_run(made, _live(found), unsure)
            if left_out:
                steps = [step for step in steps if step.file.name not in left_out]
                continue
        return Adoption(
            tuple(steps),
            tuple(
                tuple(_as_left_by(place, m) for m in made if place in _writers(m)) for place in at
            ),
            expected,
            replayed.warnings,
        )


def verdicts(adoption: Adoption, found: Answer[tuple[Found, ...]]) -> tuple[Verdict, ...]:
    """Return how what exists compares with what the files create."""
    return compare_all(adoption.expected, _live(found), agreed="ok")


def record(
    tx: Transaction,
    adoption: Adoption,
    differing: Sequence[Verdict],
    source: Source | None,
) -> None:
    """Record files as applied; the caller commits.

    Args:
        tx: A transaction that holds the lock.
        adoption: The files.
        differing: What differs from what they create, and is expected as it is.
        source: The table of another tool that says so.
    """
    missing = {v.relation.key for v in differing if v.status == "missing"}
    made = [tuple(r for r in each if r.key not in missing) for each in adoption.made]
    steps = list(adoption.steps)
    drifted = [
        _tracked(v.relation, adoption.expected[v.relation.key])
        for v in differing
        if v.status == "drifted"
    ]
    if drifted:
        steps.append(Step("drift", None, _DRIFT, from_text(_DRIFT, "")))
        made.append(tuple(drifted))
    for step in steps:
        tx.record(step)
    entries = tx.flight.ask(ledger.recorded(tx.session.scope, tx.run_id))
    tx.send()
    ledger.complete(
        tx.flight,
        tx.session.scope,
        {entry.id: (each, (), {}) for entry, each in zip(entries.value, made, strict=True)},
        roles={e.id: _roles(step) for e, step in zip(entries.value, steps, strict=True)},
        source=source,
    )


def read_live(flight: Flight, adoption: Adoption) -> Answer[tuple[Found, ...]]:
    """Queue the question what exists of what the files create."""
    return flight.ask(catalog.relations(adoption.expected))


def _live(found: Answer[tuple[Found, ...]]) -> Snapshot:
    return Snapshot(item.relation for item in found.value)


def _writers(made: Made) -> set[int]:
    """Return the places of the files that create or change a relation."""
    return {made.file_index, *made.part_files.values(), *made.origins.values()}


def _as_left_by(place: int, made: Made) -> Relation:
    """Return a relation with the parts that exist when a file ends."""
    parts = {
        part: text
        for part, text in made.relation.parts.items()
        if made.origins.get(part, made.file_index) <= place
    }
    return replace(made.relation, parts=parts)


def _not_run(made: Sequence[Made], live: Snapshot, unsure: Mapping[int, Step]) -> set[str]:
    """Return the files whose objects do not exist as they create them, and those without any."""
    matching = {v.relation.key: v for v in compare_all(_by_key(made), live, agreed="ok")}
    run = set()
    wrong = set()
    for each in made:
        verdict = matching[each.relation.key]
        differing = {d.part for d in verdict.differences}
        for place in _writers(each) & unsure.keys():
            own = {p for p, index in {**each.origins, **each.part_files}.items() if index == place}
            is_own = each.file_index == place
            if verdict.status == "missing" or (is_own and differing) or own & differing:
                wrong.add(place)
            run.add(place)
    return {step.file.name for place, step in unsure.items() if place in wrong or place not in run}


def _by_key(made: Sequence[Made]) -> Snapshot:
    return Snapshot(m.relation for m in made)


def _tracked(live: Relation, expected: Relation) -> Relation:
    """Return a live relation; only those parts that are expected of another owner's."""
    if expected.complete:
        return live
    parts = {part: text for part, text in live.parts.items() if part in expected.parts}
    return replace(live, parts=parts, complete=False)


def _roles(step: Step) -> list[str]:
    """Return the roles that a file creates."""
    return [
        role for s in step.file.statements if s.head[:1] == ("CREATE",) for role in roles_named(s)
    ]
