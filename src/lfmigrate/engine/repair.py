"""Repairs: applied migrations that run again because a relation of theirs is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.state import DatabaseState
from lfmigrate.errors import DifferenceFound, ErrorOutcome
from lfmigrate.history.events import Event
from lfmigrate.schema.compare import compare
from lfmigrate.schema.relation import NAMED_PARTS
from lfmigrate.source.folder import Folder, Migration

_BY_HAND = (
    'Create it by hand as its migration does, without what later ones have changed; "lfmigrate'
    ' verify" then compares it.'
)


@dataclass(frozen=True, slots=True)
class Repairs:
    """What can be done about the relations that are missing.

    Attributes:
        migrations: The applied migrations that re-create some of them.
        problems: Why the others cannot be re-created, a line each.
    """

    migrations: tuple[Migration, ...] = ()
    problems: tuple[str, ...] = ()

    def refuse_problems(self, outcome: ErrorOutcome | None = None) -> None:
        """Refuse a database of which something stays missing.

        Args:
            outcome: What was changed; None inside a transaction, which says so itself.

        Raises:
            DifferenceFound: A missing relation cannot be re-created.
        """
        if self.problems:
            raise DifferenceFound(
                f"{len(self.problems)} objects of applied migrations are missing and cannot be"
                " re-created"
                if len(self.problems) > 1
                else "an object of an applied migration is missing and cannot be re-created",
                detail=self.problems,
                outcome=outcome,
                hint=_BY_HAND,
            )


def repairs(folder: Folder, state: DatabaseState) -> Repairs:
    """Find out which relations are missing, and which migrations re-create them."""
    by_number = {m.number: m for m in folder.migrations}
    repeatables = {each.name for each in folder.repeatables}
    chosen: dict[int, Migration] = {}
    problems: list[str] = []
    for key in state.missing:
        relation = state.history.expected[key]
        makers = state.history.makers[key]
        numbers = []
        reasons = []
        # What was accepted has created nothing, unless nothing else is known to have.
        for event in [event for event in makers if event.action != "accept"] or makers:
            if event.number is None:
                # A repeatable file runs again by itself, unless it is missing.
                reasons += [] if event.name in repeatables else [f"{event.file} is gone"]
                continue
            numbers.append(event.number)
            applied = state.history.applied.get(event.number, event)
            reasons += _why_not(by_number.get(event.number), applied)
        problems += [f"{relation.kind} {relation.label}: {reason}" for reason in reasons]
        if not reasons:
            chosen |= {number: by_number[number] for number in numbers}
    return Repairs(tuple(chosen.values()), tuple(problems))


def _why_not(migration: Migration | None, event: Event) -> list[str]:
    if migration is None:
        return [f"{event.file} is not in the folder"]
    if migration.up.checksum != event.checksum:
        return [f"{event.file} was edited after it was applied"]
    if migration.up.no_transaction:
        return [f"{event.file} runs outside a transaction"]
    blocking = migration.up.first_not_rerunnable()
    if blocking is not None:
        head = " ".join(re.findall(r'[\w."$]+', blocking.text)[:3])
        return [f"{event.file}:{blocking.line} ({head}) is not safe to run again"]
    return []


def refuse_spoiled(state: DatabaseState, outcome: Outcome) -> None:
    """Refuse a repair that does more than re-create what was missing, as it was.

    An old file does not know what later migrations did: it may re-create what one of them dropped,
    or replace a newer function with an old one. What repeatable files have made on it is left to
    them: they run afterwards.

    Args:
        state: The database before it.
        outcome: What it did.

    Raises:
        DifferenceFound: It did more.
    """
    expected = state.history.expected
    problems = [
        f"{verdict.relation.label}: {difference.part} is not as it was"
        for verdict in outcome.spoiled
        for difference in verdict.differences
        if difference.part not in state.history.parts_by_repeatables.get(verdict.relation.key, ())
    ]
    for verdict in outcome.verdicts:
        relation = verdict.relation
        if verdict.status not in {"created", "replaced", "altered"}:
            continue
        if relation.kind in NAMED_PARTS and relation.kind != "sequence":
            continue  # a row for a part; its relation has a row of its own
        if relation.key not in expected:
            problems.append(f"{relation.kind} {relation.label} would exist again")
        elif relation.key in state.live and compare(expected[relation.key], relation):
            problems.append(f"{relation.kind} {relation.label} would be as it was before")
    if problems:
        raise DifferenceFound(
            "what is missing cannot be re-created without changing more than that",
            detail=problems,
            hint=_BY_HAND,
        )
