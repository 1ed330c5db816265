"""What a run has dropped, and what of it is restored once its file has created it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lfmigrate import catalog
from lfmigrate.engine.step import Recreated, Restores, Step
from lfmigrate.history.events import Previous
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.relation import Relation


@dataclass(frozen=True, slots=True)
class NotRestored:
    """Something whose previous definition does not work any more, and why.

    Attributes:
        label: What messages call it.
        identity: As the server writes it.
        message: The server's error.
        is_partial: Whether it is restored but for the privileges of a role.
    """

    label: str
    identity: str
    message: str
    is_partial: bool


@dataclass(frozen=True, slots=True)
class Restored:
    """The pending results of what restores definitions, and what it could not restore."""

    statements: tuple[Answer[None], ...]
    failed: Answer[tuple[NotRestored, ...]]


def make_room(flight: Flight, restores: Restores, schema: str) -> list[Answer[None]]:
    """Queue what comes before a down file: drops, and definitions; resets no settings.

    Args:
        flight: Where it is queued.
        restores: What is restored after the file.
        schema: That of the run.
    """
    answers = []
    if restores.drops:
        flight.look_at(schema)
        keys = json.dumps([key._asdict() for key in restores.drops])
        answers.append(flight.do(catalog.query_text("recreated"), keys))
        answers.append(flight.do(catalog.query_text("drop_recreated")))
    if restores.first:
        answers.append(_define(flight, restores, restores.previous, {"early": True}))
    return answers


def restore_previous(flight: Flight, restores: Restores) -> Restored:
    """Queue what restores the definitions that migrations have replaced; resets no settings."""
    restored = (*restores.previous, *restores.rebuilds)
    answers = [_define(flight, restores, restored, {})]
    failed = flight.ask(_not_restored())
    for index in range(sum(1 for each in restored if each.part is None)):
        answers.append(
            flight.do(
                "SELECT set_config('lfmigrate.recreated',"
                " coalesce((current_setting('lfmigrate.restorable')::jsonb -> $1::int)::text,"
                " 'null'), true)",
                str(index),
            )
        )
        answers.append(flight.do(catalog.query_text("restore_properties")))
    return Restored(tuple(answers), failed)


def _define(
    flight: Flight, restores: Restores, restored: Iterable[Previous], flags: Mapping[str, bool]
) -> Answer[None]:
    documents = [
        {
            **each.document,
            "label": each.label,
            **({"optional": True} if each.was_dropped or each in restores.rebuilds else {}),
            **({"cascade": True} if restores.cascades else {}),
            **flags,
        }
        for each in restored
    ]
    flight.look_at()
    # A body may name its tables without their schema, or read what does not exist any more.
    flight.set({"lfmigrate.previous": json.dumps(documents), "check_function_bodies": "off"})
    return flight.do(catalog.query_text("restore_previous"))


def _not_restored() -> Query[tuple[NotRestored, ...]]:
    def decode(value: Any) -> tuple[NotRestored, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(
            NotRestored(each["label"], each["identity"] or "", each["message"], each["partial"])
            for each in value
        )

    return Query("SELECT current_setting('lfmigrate.not_restored')::jsonb", (), decode)


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
