"""What migrations replace that others have created: how it was defined, and how it is restored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lfmigrate import catalog
from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.step_effects import Replaced
from lfmigrate.engine.transaction import Transaction
from lfmigrate.history.events import History, Previous
from lfmigrate.schema.relation import VIEW_KINDS

# The actions of a migration's own files.
_RUNS = frozenset({"up", "repair", "statement"})


@dataclass(slots=True)
class PreviousDefinitions:
    """How everything was defined that a transaction replaces, and that no file has created.

    Which that is, is known when the files have run. Then the definitions cannot be read any more:
    the transaction is rolled back, reads them first, and runs the files again.
    """

    _wanted: set[Replaced] = field(default_factory=set)
    _documents: dict[tuple[str, str | None], Mapping[str, Any]] = field(default_factory=dict)

    def begin(self, tx: Transaction) -> None:
        """Read the definitions of what an earlier run has replaced."""
        if not self._wanted:
            return
        wholes = [each for each in self._wanted if each.part is None]
        asked = [{"id": each.id, "part": each.part} for each in self._wanted]
        flight = tx.flight
        # No schema, so that the texts hold under any path.
        flight.look_at()
        flight.set({"lfmigrate.recreated": json.dumps([_described(each) for each in wholes])})
        properties = flight.ask(catalog.recreated_properties())
        found = flight.ask(catalog.part_definitions(asked))
        flight.reset(tx.session.scope, tx.state.server.defaults)
        tx.send()
        self._documents = {(part["id"], part["part"]): part for part in found.value}
        for each in wholes:
            known = self._documents.get((each.id, None))
            if known is not None:
                self._documents[each.id, None] = {
                    "kind": _described(each)["kind"],
                    "definition": known["definition"],
                    "properties": properties.value[each.key],
                }

    def are_known(self, outcome: Outcome) -> bool:
        """Return whether all that the files have replaced was read before they ran."""
        replaced = _replaced(outcome)
        known = replaced <= self._wanted
        self._wanted |= replaced
        return known

    def keep(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the definitions that the history keeps."""
        effects = [
            replace(
                effect,
                previous=tuple(
                    Previous(each.key, each.part, self._documents[each.id, each.part])
                    for each in sorted(effect.replaced, key=lambda r: (r.key, r.part or ""))
                    if (each.id, each.part) in self._documents
                ),
            )
            if step.action in _RUNS
            else effect
            for step, effect in zip(outcome.steps, outcome.effects, strict=True)
        ]
        return replace(outcome, effects=effects)


def _replaced(outcome: Outcome) -> set[Replaced]:
    return {
        each
        for step, effect in zip(outcome.steps, outcome.effects, strict=True)
        if step.action in _RUNS
        for each in effect.replaced
    }


def _described(each: Replaced) -> dict[str, Any]:
    """Return an object as queries/recreated.sql describes it."""
    kind = "VIEW" if each.kind in VIEW_KINDS else "ROUTINE"
    return {**each.key._asdict(), "kind": kind, "oid": int(each.id.partition(":")[2])}


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


def notes_of(restored: Iterable[Previous]) -> Sequence[str]:
    """Return a note for each definition that is restored."""
    return [f"restores the previous definition of {each.label}" for each in restored]
