"""What migrations replace or drop that others have created: how it was defined."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lfmigrate import catalog
from lfmigrate.catalog import Definable
from lfmigrate.engine.blocking import ask_aside
from lfmigrate.engine.cascaded import cascaded
from lfmigrate.engine.danger import Suspects
from lfmigrate.engine.definitions import Definitions, without_stamp
from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step_effects import Replaced
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import DatabaseError
from lfmigrate.history.events import History, Previous

# The actions of a migration's own files.
_RUNS = frozenset({"up", "repair", "statement"})

# The catalogs of what has a definition, apart from relations.
_DEFINED = frozenset({"pg_proc", "pg_rewrite", "pg_trigger"})

# How long another connection may take to say what was dropped.
_ASK_S = 5.0


def read_definitions(
    tx: Transaction, wanted: Collection[Replaced]
) -> Mapping[Replaced, Mapping[str, Any]]:
    """Return how objects are defined, as `Previous.document`, of those that have a definition.

    Args:
        tx: What is queued in it is sent.
        wanted: The objects.
    """
    pending = Definitions.queue(tx.flight, wanted)
    tx.flight.reset(tx.session.scope, tx.state.server.defaults)
    tx.send()
    found = {each: pending.of(each) for each in wanted}
    return {each: without_stamp(found) for each, found in found.items() if found is not None}


@dataclass(slots=True)
class PreviousDefinitions:
    """How everything was defined that a transaction replaces or drops, and no file has created.

    Which that is, is known when the files have run. Then the definitions cannot be read any more:
    the transaction is rolled back, reads them first, and runs the files again.

    Attributes:
        suspects: What the next run has to watch.
    """

    suspects: Suspects
    _wanted: set[Replaced] = field(default_factory=set)
    _dropped: dict[str, Replaced] = field(default_factory=dict)
    _begun: Definitions | None = None

    def begin(self, tx: Transaction) -> None:
        """Read the definitions of what an earlier run has replaced or dropped."""
        self._dropped = {}
        if self.suspects.watched:
            tx.flight.look_at(tx.state.schema)
            found = tx.flight.ask(catalog.definable(self.suspects.watched))
            tx.flight.reset(tx.session.scope, tx.state.server.defaults)
            tx.send()
            self._dropped = {
                item_id: Replaced(each.owner, each.key, each.kind, each.part)
                for item_id, each in found.value.items()
                if not _is_own(each, tx.state)
            }
        kept = self.suspects.kept
        kept.clear()
        kept |= self._wanted.union(self._dropped.values())
        self._begun = None
        if kept:
            self._begun = Definitions.queue(tx.flight, kept)
            tx.flight.reset(tx.session.scope, tx.state.server.defaults)
            tx.send()

    def are_known(
        self, tx: Transaction, outcome: Outcome, gone: Collection[str], *, alone: bool
    ) -> bool:
        """Return whether all that the files replace or drop was read before they ran.

        Args:
            tx: The files have run in it.
            outcome: What they did.
            gone: The ids of the relations other than tables that existed before and are dropped.
            alone: Whether there is no second connection.
        """
        replaced = _replaced(outcome)
        known = replaced <= self._wanted
        self._wanted |= replaced
        locked = tx.danger.traces.locked if tx.danger is not None else frozenset[str]()
        maybe = {i for i in locked if i.partition(":")[0] in _DEFINED} - self.suspects.watched
        if any(item_id.startswith("pg_rewrite:") for item_id in maybe):
            # A view goes with its rule.
            maybe |= set(gone) - self.suspects.watched
        if not maybe:
            return known
        asked = tx.flight.ask(catalog.definable(maybe))
        tx.send()
        maybe -= asked.value.keys()
        dropped = maybe if alone or not maybe else self._existed(tx, maybe)
        self.suspects.watched.update(dropped)
        return known and not dropped

    @staticmethod
    def _existed(tx: Transaction, ids: Collection[str]) -> set[str]:
        """Return what existed before of what is dropped, and was others'; all, if in doubt."""
        try:
            # A second connection still sees them.
            found = ask_aside(tx.conn, catalog.definable(ids), _ASK_S)
        except DatabaseError:
            return set(ids)
        gone = tx.danger.traces.gone if tx.danger is not None else frozenset[str]()
        return {
            item_id
            for item_id, each in found.items()
            # A trigger goes with its table.
            if not _is_own(each, tx.state) and (each.part is None or each.owner not in gone)
        }

    def keep(self, tx: Transaction, outcome: Outcome) -> Outcome:
        """Return the outcome with the definitions that the history keeps."""
        lost = cascaded(tx, outcome)
        outcome = replace(outcome, notes=[*outcome.notes, *lost])
        danger = tx.danger
        if danger is None or self._begun is None:
            return outcome
        moments = [self._begun, *danger.defined]
        kept: list[dict[tuple[str, str | None], Previous]] = [{} for _ in outcome.steps]
        notes = []
        for index, effect in enumerate(outcome.effects):
            for each in effect.replaced if outcome.steps[index].action in _RUNS else ():
                known = _found_by(each, moments, index)
                if known is not None:
                    kept[index][each.id, each.part] = _previous(each, known, moments[index + 1])
        for item_id, each in self._dropped.items():
            last = next(
                (i for i, left in enumerate(danger.watched) if item_id not in left.value), -1
            )
            if last < 0 or outcome.steps[last].action not in _RUNS or self._goes_along(each):
                continue
            index = next((i for i in range(last) if _is_changed(each, moments, i)), last)
            known = _found_by(each, moments, index)
            if known is None:
                notes.append(
                    f"{each.kind} {each.key.schema}.{each.key.name}, which no file has created, was"
                    " dropped; its definition is not kept, and a rollback does not restore it"
                )
            elif outcome.steps[index].action in _RUNS:
                more = {"dropped": True} if index == last else {}
                previous = _previous(each, {**known, **more}, moments[index + 1])
                kept[index].setdefault((each.id, each.part), previous)
        effects = [
            replace(effect, previous=tuple(found[place] for place in sorted(found, key=_in_order)))
            for effect, found in zip(outcome.effects, kept, strict=True)
        ]
        return replace(outcome, effects=effects, notes=[*outcome.notes, *notes])

    def _goes_along(self, each: Replaced) -> bool:
        """Return whether a trigger or rule is dropped with its relation."""
        return each.part is not None and any(
            other.part is None and other.id == each.id for other in self._dropped.values()
        )


def _found_by(
    each: Replaced, moments: Sequence[Definitions], index: int
) -> Mapping[str, Any] | None:
    """Return how something was defined when a file began; None if it had no definition.

    Args:
        each: It had another name before, if it is not found.
        moments: The start, and the end of each file.
        index: That of the file.
    """
    for moment in reversed(moments[: index + 1]):
        known = moment.of(each)
        if known is not None and known["id"] == each.id:
            return known
    return None


def _is_changed(each: Replaced, moments: Sequence[Definitions], index: int) -> bool:
    """Return whether a file has replaced something that another one drops later.

    A rename changes the text alone, and a GRANT the row alone.
    """
    was, now = _found_by(each, moments, index), moments[index + 1].of(each)
    return (
        was is not None
        and now is not None
        and was["stamp"] != now["stamp"]
        and was["definition"] != now["definition"]
    )


def _previous(each: Replaced, known: Mapping[str, Any], end: Definitions) -> Previous:
    """Return how something was defined, and how the file has left it."""
    left = end.of(each)
    document = {**known, "left": None if left is None else without_stamp(left)}
    return Previous(each.key, each.part, without_stamp(document))


def _is_own(each: Definable, state: DatabaseState) -> bool:
    """Return whether a file has created something, by the history."""
    key = state.ids.get(each.owner)
    return key is not None and (each.part is None or each.part in state.history.expected[key].parts)


def _in_order(place: tuple[str, str | None]) -> tuple[bool, int, str]:
    """Return what sorts objects as they were created, and relations before their triggers."""
    item_id, part = place
    return part is not None, int(item_id.partition(":")[2]), part or ""


def _replaced(outcome: Outcome) -> set[Replaced]:
    return {
        each
        for step, effect in zip(outcome.steps, outcome.effects, strict=True)
        if step.action in _RUNS
        for each in effect.replaced
    }


def previous_of(history: History, number: int) -> tuple[Previous, ...]:
    """Return how everything was defined before a migration replaced it; the oldest, if twice."""
    found: dict[tuple[Any, ...], Previous] = {}
    for event in history.events:
        if event.number == number and event.action == "rollback":
            found.clear()
        elif event.number == number and event.action in _RUNS:
            for each in event.previous:
                found.setdefault((each.key, each.part), each)
    return tuple(found.values())
