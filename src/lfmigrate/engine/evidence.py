"""What is known of a run before and after it, from which its effects are derived. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lfmigrate.schema.relation import Fingerprints, Found, Key, Relation, Snapshot, WrittenParts


@dataclass(frozen=True, slots=True)
class WouldBe:
    """A relation as the files make it in an empty schema.

    Attributes:
        relation: As the last one leaves it.
        step: The step that makes it.
        part_steps: The step that wrote each part last.
        stated: The parts that a repeatable file of the run makes. It may state them otherwise than
            when it ran last.
    """

    relation: Relation
    step: int
    part_steps: Mapping[str, int]
    stated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Before:
    """What was known when the run began.

    Attributes:
        expected: What the history expects.
        live: What was there of it.
        ids: The keys of what was there, by `Found.id`.
        fingerprints: Of everything that existed, expected or not.
    """

    expected: Snapshot
    live: Snapshot
    ids: Mapping[str, Key]
    fingerprints: Fingerprints


@dataclass(frozen=True)
class After:
    """What the catalogs say when the files have run.

    Attributes:
        found: What is there of the expected, and whatever the run wrote.
        fingerprints: Of everything that exists.
        step_ends: The command that ended each step, ascending: what a step wrote has a lower one.
        parts: The parts that each step but the last has written.
        locked: The ids of what was expected, and is now locked by the run against all others; None
            if it has committed already, and holds no lock any more.
        others: Whether another session has changed the catalogs meanwhile.
        last_migration: The last step of a migration; of repeatable files alone, the last of them.
        foreign: By `Found.id`, the parts with names that the run wrote, but did not create.
        would_be: What the files make in an empty schema; None if that is not known.
        skipped: What is there under the names of ``would_be`` and was not found otherwise; empty
            if no statement was skipped.
    """

    found: Sequence[Found]
    fingerprints: Fingerprints
    step_ends: Sequence[int]
    locked: Collection[str] | None
    others: bool = False
    last_migration: int = -1
    foreign: Mapping[str, Collection[str]] = field(default_factory=dict)
    parts: Sequence[WrittenParts] = ()
    would_be: Mapping[Key, WouldBe] | None = None
    skipped: Mapping[Key, Found] = field(default_factory=dict)

    @cached_property
    def parts_of(self) -> Mapping[str, Sequence[tuple[int, Mapping[tuple[str, int], str]]]]:
        """Return ``parts`` by relation: the steps that have written any, in order, and which."""
        found: dict[str, list[tuple[int, Mapping[tuple[str, int], str]]]] = {}
        for step, written in enumerate(self.parts):
            for item_id, names in written.items():
                found.setdefault(item_id, []).append((step, names))
        return found

    def replayed(self, key: Key) -> WouldBe | None:
        """Return what the files make of a relation; None if that is nothing, or is not known."""
        return None if self.would_be is None else self.would_be.get(key)
