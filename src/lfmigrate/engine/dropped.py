"""What a run has dropped, and what of it is restored once its file has created it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lfmigrate import catalog
from lfmigrate.engine.step import Recreated, Step
from lfmigrate.history.events import Previous
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.relation import Relation


def restore_previous(flight: Flight, restored: Iterable[Previous]) -> list[Answer[None]]:
    """Queue what restores the definitions that migrations have replaced; resets no settings."""
    answers = []
    for each in restored:
        flight.look_at()
        # A body may name its tables without their schema, or read what does not exist any more.
        flight.set(
            {"lfmigrate.previous": json.dumps(each.document), "check_function_bodies": "off"}
        )
        answers.append(flight.do(catalog.query_text("restore_previous")))
        if each.part is None:
            answers.append(flight.do(catalog.query_text("restore_properties")))
    return answers


@dataclass(frozen=True, slots=True)
class Dropped:
    """An object that a run has dropped.

    Attributes:
        recreated: What it was, and which file creates it again.
        place: The index of the step before which it was dropped.
        properties: What it had then; see `catalog.recreated_properties`.
        expected: What was expected of it before the run, if its file is another one than then; None
            if nothing was.
    """

    recreated: Recreated
    place: int
    properties: Mapping[str, Any]
    expected: Relation | None

    @property
    def kept(self) -> Mapping[str, Any]:
        """Return the properties without those that came from its file alone, which states them.

        Options that someone has set may keep others from rows, and are not lost.
        """
        contents = [
            each
            for each in self.properties["contents"]
            if each["name"] not in self.recreated.restated
        ]
        stated: dict[str, Any] = {"contents": contents}
        if self.recreated.states_owner:
            stated["owner"] = None
        for part in ("options", "toast options"):
            name = part.replace(" ", "_")
            text = ", ".join(self.properties[name] or ()) or None
            if self.expected is not None and self.expected.parts.get(part) == text:
                stated[name] = None
        return {**self.properties, **stated}

    @property
    def may_be_deferred(self) -> bool:
        """Return whether something of it may call a function that is re-created after it."""
        has_default = any(column["default"] is not None for column in self.properties["columns"])
        return has_default or bool(self.properties["parts"])

    def notes(self, schema: str, steps: Sequence[Step]) -> Iterator[str]:
        """Say if migrations have run without it since, and which privileges it has.

        Args:
            schema: That of the run.
            steps: Those that have run before the file that creates it.
        """
        if not any(step.version is not None for step in steps[self.place + 1 :]):
            return
        granted: dict[str, list[str]] = {}
        for grant in self.properties["grants"]:
            column = f" ({grant['column']})" if grant["column"] else ""
            if grant["grantee"] != self.properties["owner"]:
                granted.setdefault(grant["role"], []).append(f"{grant['privilege']}{column}")
        named = [f"{', '.join(sorted(granted[role]))} to {role}" for role in sorted(granted)]
        has = "; ".join(named) if self.recreated.keeps_properties and named else "none granted"
        yield (
            f"{self.recreated.kind} {self.recreated.label(schema)} was dropped before"
            f" {steps[self.place].label} and could be re-created only after the last migration;"
            f" its privileges are those that it had before: {has}"
        )


def deferred() -> Query[list[Mapping[str, str]]]:
    """Ask what restore_properties.sql has left to restore_deferred.sql."""
    return Query("SELECT current_setting('lfmigrate.deferred')::jsonb", (), list)
