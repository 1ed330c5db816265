"""How views, routines, triggers and rules are defined at some moment, as the history keeps it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lfmigrate import catalog
from lfmigrate.engine.step_effects import Replaced
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.relation import VIEW_KINDS, Key


@dataclass(frozen=True, slots=True)
class Definitions:
    """The pending answers to how some objects are defined.

    What does not exist, and materialized views, have no definition.
    """

    _properties: Answer[Mapping[Key, Mapping[str, Any]]]
    _found: Answer[tuple[Mapping[str, Any], ...]]

    @classmethod
    def queue(
        cls, flight: Flight, wanted: Collection[Replaced], schema: str | None = None
    ) -> Definitions:
        """Queue the questions; what the texts depend on is set, and not reset.

        Args:
            flight: Where they are queued.
            wanted: The objects.
            schema: The schema under which views and routines are found by their names, whatever
                their ids; None to find them by their ids.
        """
        wholes = [each for each in wanted if each.part is None]
        parts = [{"id": each.id, "part": each.part} for each in wanted if each.part is not None]
        if schema is None:
            flight.look_at()
            flight.set({"lfmigrate.recreated": json.dumps([_described(each) for each in wholes])})
        else:
            flight.look_at(schema)
            keys = json.dumps([each.key._asdict() for each in wholes])
            flight.do(catalog.query_text("recreated"), keys)
            flight.look_at()
        # No schema, so that the texts hold under any path.
        return cls(
            flight.ask(catalog.recreated_properties()), flight.ask(catalog.part_definitions(parts))
        )

    def of(self, each: Replaced) -> Mapping[str, Any] | None:
        """Return how an object is defined, as `Previous.document`; None if it is not.

        It also has ``stamp``, which changes when the definition is written.
        """
        for found in self._found.value:
            if each.part is not None:
                if (found["id"], found["part"]) == (each.id, each.part):
                    return found
            elif found["part"] is None and Key(*found["key"]) == each.key:
                return {
                    "id": found["id"],
                    "kind": found["kind"],
                    "what": each.kind,
                    "definition": found["definition"],
                    "properties": self._properties.value[each.key],
                    "stamp": found["stamp"],
                }
        return None


def without_stamp(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a definition as the history keeps it."""
    return {name: value for name, value in document.items() if name != "stamp"}


def _described(each: Replaced) -> dict[str, Any]:
    """Return an object as queries/recreated.sql describes it."""
    kind = each.kind.upper() if each.kind in VIEW_KINDS else "ROUTINE"
    return {**each.key._asdict(), "kind": kind, "oid": int(each.id.partition(":")[2])}
