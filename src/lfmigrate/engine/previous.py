"""What migrations replace or drop that others have created: how it was defined."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lfmigrate import catalog
from lfmigrate.catalog import Definable
from lfmigrate.engine.blocking import ask_aside
from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step_effects import Replaced
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import DatabaseError
from lfmigrate.history.events import History, Previous
from lfmigrate.schema.relation import VIEW_KINDS

# The actions of a migration's own files.
_RUNS = frozenset({"up", "repair", "statement"})

# The catalogs of what has a definition, apart from relations.
_DEFINED = frozenset({"pg_proc", "pg_rewrite", "pg_trigger"})

# How long another connection may take to say what was dropped.
_ASK_S = 5.0


def read_definitions(
    tx: Transaction, wanted: Collection[Replaced]
) -> Mapping[tuple[str, str | None], Mapping[str, Any]]:
    """Return how objects are defined, as `Previous.document`, by id and part.

    What does not exist, and materialized views, have none.

    Args:
        tx: What is queued in it is sent.
        wanted: The objects.
    """
    wholes = [each for each in wanted if each.part is None]
    asked = [{"id": each.id, "part": each.part} for each in wanted]
    flight = tx.flight
    # No schema, so that the texts hold under any path.
    flight.look_at()
    flight.set({"lfmigrate.recreated": json.dumps([_described(each) for each in wholes])})
    properties = flight.ask(catalog.recreated_properties())
    found = flight.ask(catalog.part_definitions(asked))
    flight.reset(tx.session.scope, tx.state.server.defaults)
    tx.send()
    documents = {(part["id"], part["part"]): part for part in found.value}
    for each in wholes:
        known = documents.get((each.id, None))
        if known is not None:
            documents[each.id, None] = {
                "kind": _described(each)["kind"],
                "what": each.kind,
                "definition": known["definition"],
                "properties": properties.value[each.key],
            }
    return documents


@dataclass(slots=True)
class PreviousDefinitions:
    """How everything was defined that a transaction replaces or drops, and no file has created.

    Which that is, is known when the files have run. Then the definitions cannot be read any more:
    the transaction is rolled back, reads them first, and runs the files again.

    Attributes:
        watched: The ids of what may be dropped; those of `Suspects`.
    """

    watched: set[str]
    _wanted: set[Replaced] = field(default_factory=set)
    _dropped: dict[str, Replaced] = field(default_factory=dict)
    _documents: Mapping[tuple[str, str | None], Mapping[str, Any]] = field(default_factory=dict)

    def begin(self, tx: Transaction) -> None:
        """Read the definitions of what an earlier run has replaced or dropped."""
        self._dropped = {}
        if self.watched:
            tx.flight.look_at(tx.state.schema)
            found = tx.flight.ask(catalog.definable(self.watched))
            tx.flight.reset(tx.session.scope, tx.state.server.defaults)
            tx.send()
            self._dropped = {
                item_id: Replaced(each.owner, each.key, each.kind, each.part)
                for item_id, each in found.value.items()
                if not _is_own(each, tx.state)
            }
        wanted = self._wanted.union(self._dropped.values())
        self._documents = read_definitions(tx, wanted) if wanted else {}

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
        maybe = {i for i in locked if i.partition(":")[0] in _DEFINED} - self.watched
        if any(item_id.startswith("pg_rewrite:") for item_id in maybe):
            # A view goes with its rule.
            maybe |= set(gone) - self.watched
        if not maybe:
            return known
        asked = tx.flight.ask(catalog.definable(maybe))
        tx.send()
        maybe -= asked.value.keys()
        dropped = maybe if alone or not maybe else self._existed(tx, maybe)
        self.watched |= dropped
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
        kept: list[dict[Replaced, Mapping[str, Any]]] = [{} for _ in outcome.steps]
        watched = () if tx.danger is None else tx.danger.watched
        notes = []
        for index, (step, effect) in enumerate(zip(outcome.steps, outcome.effects, strict=True)):
            if step.action in _RUNS:
                kept[index] = {
                    each: self._documents[each.id, each.part]
                    for each in effect.replaced
                    if (each.id, each.part) in self._documents
                }
        for item_id, each in self._dropped.items():
            index = next((i for i, left in enumerate(watched) if item_id not in left.value), -1)
            if index < 0 or outcome.steps[index].action not in _RUNS or self._goes_along(each):
                continue
            known = self._documents.get((each.id, each.part))
            if known is None:
                notes.append(
                    f"{each.kind} {each.key.schema}.{each.key.name}, which no file has created, was"
                    " dropped; its definition is not kept, and a rollback does not restore it"
                )
            else:
                kept[index].setdefault(each, {**known, "dropped": True})
        left = self._left(tx, {each for documents in kept for each in documents if each.part})
        effects = [
            replace(
                effect,
                previous=tuple(
                    Previous(each.key, each.part, {**documents[each], **left.get(each, {})})
                    for each in sorted(documents, key=_in_order)
                ),
            )
            for effect, documents in zip(outcome.effects, kept, strict=True)
        ]
        return replace(outcome, effects=effects, notes=[*outcome.notes, *notes])

    def _goes_along(self, each: Replaced) -> bool:
        """Return whether a trigger or rule is dropped with its relation."""
        return each.part is not None and any(
            other.part is None and other.id == each.id for other in self._dropped.values()
        )

    @staticmethod
    def _left(
        tx: Transaction, parts: Collection[Replaced]
    ) -> Mapping[Replaced, Mapping[str, str | None]]:
        """Return how triggers and rules are defined now; the history has no text of them."""
        if not parts:
            return {}
        found = read_definitions(tx, parts)
        return {
            each: {"left": found.get((each.id, each.part), {}).get("definition")} for each in parts
        }


def _is_own(each: Definable, state: DatabaseState) -> bool:
    """Return whether a file has created something, by the history."""
    key = state.ids.get(each.owner)
    return key is not None and (each.part is None or each.part in state.history.expected[key].parts)


def _in_order(each: Replaced) -> tuple[bool, int, str]:
    """Return what sorts objects as they were created, and relations before their triggers."""
    return each.part is not None, int(each.id.partition(":")[2]), each.part or ""


def _replaced(outcome: Outcome) -> set[Replaced]:
    return {
        each
        for step, effect in zip(outcome.steps, outcome.effects, strict=True)
        if step.action in _RUNS
        for each in effect.replaced
    }


def _described(each: Replaced) -> dict[str, Any]:
    """Return an object as queries/recreated.sql describes it."""
    kind = each.kind.upper() if each.kind in VIEW_KINDS else "ROUTINE"
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
