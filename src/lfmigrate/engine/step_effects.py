"""What one file did, as it is recorded. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from lfmigrate.history.events import Previous
from lfmigrate.schema.relation import Key, Relation


@dataclass(frozen=True, slots=True)
class Replaced:
    """Something that a file has replaced, and that no file had created.

    Attributes:
        id: The id of the view, the routine, or the relation of a trigger or a rule.
        key: Its key.
        kind: Its kind.
        part: The trigger or rule, such as ``trigger audit``; None for a view or a routine.
    """

    id: str
    key: Key
    kind: str
    part: str | None


@dataclass(frozen=True, slots=True)
class StepEffects:
    """What one file created or changed, as it is expected from now on, and what it removed.

    Attributes:
        made: The relations that it created or changed, or found as it creates them.
        gone: Those that it removed.
        found: Those of ``made`` that existed before, and the parts that it created on them.
        replaced: What it has replaced and no file had created.
        previous: How that was defined before, as far as that is known.
        roles: The names of the roles that it has created.
    """

    made: tuple[Relation, ...] = ()
    gone: tuple[Key, ...] = ()
    found: Mapping[Key, Collection[str]] = field(default_factory=dict)
    replaced: frozenset[Replaced] = frozenset()
    previous: tuple[Previous, ...] = ()
    roles: tuple[str, ...] = ()

    def making(self, *relations: Relation) -> StepEffects:
        """Return these effects and some relations."""
        return replace(self, made=(*self.made, *relations))

    def finding(self, key: Key, created: Collection[str]) -> StepEffects:
        """Return these effects and a relation that existed before."""
        return replace(self, found={**self.found, key: created})

    def replacing(self, *replaced: Replaced) -> StepEffects:
        """Return these effects and what it has replaced."""
        return replace(self, replaced=self.replaced.union(replaced))

    def removing(self, *keys: Key) -> StepEffects:
        """Return these effects and the removal of some relations."""
        return replace(self, gone=(*self.gone, *keys))
