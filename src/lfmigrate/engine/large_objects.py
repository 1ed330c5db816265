"""Which large objects an open transaction has deleted or changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lfmigrate import catalog
from lfmigrate.catalog import LargeObject, Traces
from lfmigrate.engine.blocking import ask_aside
from lfmigrate.engine.losses import Lost
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import Refused
from lfmigrate.postgres.pipeline import Query

# How long another connection may take to read all of them.
_ASK_S = 600.0

_DELETED = "large object"
_CHANGED = "changed large object"


@dataclass(frozen=True, slots=True)
class LostObject:
    """A large object that is lost: as it was, and whether it is deleted or changed."""

    was: LargeObject
    is_deleted: bool

    @property
    def lost(self) -> Lost:
        """Return what reports show."""
        kind = _DELETED if self.is_deleted else _CHANGED
        return Lost(kind, str(self.was.number), bytes=self.was.size)


def touched(traces: Traces) -> Query[Mapping[int, LargeObject]] | None:
    """Return the question for the large objects that a transaction may have touched.

    Deleting one locks that. Writing to one locks all of them, as reading does, so all are compared.

    Returns:
        The question, to be asked before and after; None if none was touched.
    """
    if traces.large_objects:
        return catalog.large_objects(None)
    numbers = traces.deleted_large_objects
    return catalog.large_objects(numbers) if numbers else None


def lost_objects(
    before: Mapping[int, LargeObject], after: Mapping[int, LargeObject]
) -> Mapping[int, LostObject]:
    """Return those that were deleted or changed; what cannot be read may have been changed."""
    return {
        number: LostObject(was, is_deleted=number not in after)
        for number, was in before.items()
        if number not in after
        or was.digest != after[number].digest
        or (was.digest is None and was.writable)
    }


@dataclass(frozen=True, slots=True)
class TouchedObjects:
    """What an open transaction has deleted or changed, and the numbers of what it has created."""

    lost: Mapping[int, LostObject] = field(default_factory=dict)
    created: frozenset[int] = frozenset()


def touched_objects(tx: Transaction, traces: Traces) -> TouchedObjects:
    """Return what an open transaction has done to large objects.

    Another connection sees them as they were before.

    Raises:
        DatabaseError: There is no second connection.
    """
    question = touched(traces)
    if question is None:
        return TouchedObjects()
    asked = tx.flight.ask(question)
    tx.send()
    before, after = ask_aside(tx.conn, question, _ASK_S), asked.value
    return TouchedObjects(lost_objects(before, after), frozenset(after.keys() - before.keys()))


def refuse_unreadable(objects: Iterable[LargeObject]) -> None:
    """Refuse to save what the role may not read.

    Raises:
        Refused: There is such a large object.
    """
    names = [f"large object {each.number}" for each in objects if each.size is None]
    if names:
        raise Refused(
            f"{len(names)} large {'object' if len(names) == 1 else 'objects'} may be deleted or"
            " changed, and cannot be saved: the role may not read them",
            detail=names,
            hint="Grant SELECT on them to the role, or pass --no-backup.",
        )
