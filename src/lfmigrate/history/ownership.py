"""Which objects the migrations own, and what else a rollback would drop. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lfmigrate.history.events import REPEATABLE_ACTIONS, Event, History
from lfmigrate.schema.object import Item
from lfmigrate.schema.relation import Key, Relation

# Relations that count as objects of their own, whatever they depend on.
_WHOLE = frozenset("rpfvm")

# Catalogs of objects that `Snapshot` does not describe, so the history has no record of them.
_UNTRACKED = frozenset(
    {
        "pg_am",
        "pg_conversion",
        "pg_language",
        "pg_transform",
        "pg_ts_parser",
        "pg_ts_template",
    }
)

# What a publication publishes goes with it; the table or schema may be another owner's.
_PUBLISHED = frozenset({"pg_publication_rel", "pg_publication_namespace"})


@dataclass(slots=True)
class Owned:
    """What some migrations created.

    Attributes:
        whole: The relations that they created, and the names of the parts that they created.
        parts: Other relations, and the names of the parts that they created there.
        found: The relations that existed before them, and are as they create or replace them.
    """

    whole: dict[Key, set[str]] = field(default_factory=dict)
    parts: dict[Key, set[str]] = field(default_factory=dict)
    found: set[Key] = field(default_factory=set)

    def forget(self, key: Key) -> None:
        """Note that a relation was dropped."""
        self.whole.pop(key, None)
        self.parts.pop(key, None)
        self.found.discard(key)

    def find(self, key: Key, parts: Collection[str]) -> None:
        """Note that a relation existed before, and which parts were created on it."""
        self.found.add(key)
        if parts:
            self.parts.setdefault(key, set()).update(parts)

    def add(self, relation: Relation, before: Relation | None) -> None:
        """Note that a relation was created or changed, given what it was before."""
        new = set(relation.parts) - set(before.parts if before is not None else ())
        if before is None and relation.complete:
            self.whole[relation.key] = new
        elif relation.key in self.whole:
            self.whole[relation.key] |= new
        else:
            self.parts.setdefault(relation.key, set()).update(new)


@dataclass(frozen=True, slots=True)
class Drops:
    """Objects to be dropped, reported by their outermost owner: a table and not its columns.

    Attributes:
        own: Those that the migrations created.
        outside: All others.
    """

    own: tuple[Item, ...]
    outside: tuple[Item, ...]


def owned_by(history: History, numbers: Iterable[int]) -> Owned:
    """Return what the applied migrations with these numbers created, as far as it still exists.

    What repeatable files created on their relations, such as a trigger, goes with those. What the
    rollback of a newer migration has re-created belongs to those that were left.
    """
    rolled_back = frozenset(numbers)
    newest = max(rolled_back, default=0)
    owned = Owned()
    expected: dict[Key, Relation] = {}
    for event in history.events:
        for key in event.gone:
            expected.pop(key, None)
            owned.forget(key)
        for relation in event.expected:
            on_top = event.action in REPEATABLE_ACTIONS and relation.key in owned.whole
            re_created = event.action == "rollback" and (event.number or 0) > newest
            if relation.key in event.found:
                if _is_by(event, rolled_back):
                    owned.find(relation.key, event.found[relation.key])
            elif on_top or re_created or _is_by(event, rolled_back):
                owned.add(relation, expected.get(relation.key))
            expected[relation.key] = relation
    return owned


def _is_by(event: Event, numbers: frozenset[int]) -> bool:
    actions = {"up", "repair", "statement", "accept", "adopt"}
    return event.action in actions and event.number in numbers


def split_by_owner(
    gone: Mapping[str, Item],
    owned: Owned,
    ids: Mapping[Key, str],
    *,
    again: Iterable[Item] = (),
    by_name: bool = True,
) -> Drops:
    """Split the dropped objects into those created by the migrations and all others.

    Args:
        gone: The dropped objects, by id.
        owned: What the migrations created.
        ids: The ids of all existing relations that any migration created, by key.
        again: What the down files create; an object with the name and kind of a dropped one
            replaces it.
        by_name: Whether each DROP drops only what it names. Objects that are not tracked, such as
            a conversion, are then dropped because a down file names them.
    """
    whole = {ids[key] for key in owned.whole if key in ids}
    parts = {ids[key]: names for key, names in (owned.whole | owned.parts).items() if key in ids}
    verdicts: dict[str, bool] = {}

    def is_own(item_id: str) -> bool:
        if item_id not in verdicts:
            verdicts[item_id] = False  # breaks cycles: not ours unless another path proves it
            verdicts[item_id] = decide(item_id)
        return verdicts[item_id]

    def decide(item_id: str) -> bool:
        if item_id in whole:
            return True
        item = gone.get(item_id)
        if item is None:
            # It is kept; its table may be one that the migrations changed.
            return ":".join(item_id.split(":")[:2]) in parts
        catalog = item_id.partition(":")[0]
        if catalog in _UNTRACKED and by_name:
            return True
        if catalog in _PUBLISHED:
            return any(is_own(o) for o in item.owners if o.startswith("pg_publication:"))
        if item.part is not None and item.relation is not None:
            # The history does not know the columns of a view that an extension has created.
            of_member = item.relation in gone and item.relation not in whole | parts.keys()
            return is_own(item.relation) if of_member else item.part in parts.get(item.relation, ())
        return any(is_own(owner) for owner in _owners(item, gone))

    own = {item_id for item_id in gone if is_own(item_id)}
    replaced = {(item.kind, item.name) for item in again}
    tables = {i for i, item in gone.items() if item.relkind in {"r", "p"}}
    kept = {i for i, item in gone.items() if (item.kind, item.name) in replaced}
    # A re-created table has other rows: one that is not ours must not be rebuilt.
    excused = kept - (tables - set(ids.values()))
    outside = {i for i in gone.keys() - own - excused if not _goes_with(i, excused, gone)}
    return Drops(_outermost(own - (kept - tables), gone), _outermost(outside, gone))


def _goes_with(item_id: str, excused: Collection[str], gone: Mapping[str, Item]) -> bool:
    """Return whether a nameless object, such as a TOAST table, belongs to one that is excused."""
    waiting = [item_id]
    seen: set[str] = set()
    while waiting:
        item = gone[waiting.pop()]
        if item.id in excused:
            return True
        if item.id in seen or item.part is not None or item.relkind in _WHOLE:
            continue
        seen.add(item.id)
        waiting += [owner for owner in _owners(item, gone) if owner in gone]
    return False


def _outermost(ids: Iterable[str], gone: Mapping[str, Item]) -> tuple[Item, ...]:
    chosen = set(ids)
    tops = [
        gone[item_id]
        for item_id in chosen
        if gone[item_id].relkind in _WHOLE or not chosen.intersection(_owners(gone[item_id], gone))
    ]
    return tuple(sorted(tops, key=lambda item: (_rank(item), item.name)))


def _owners(item: Item, gone: Mapping[str, Item]) -> Iterator[str]:
    """Return the owners of an item; the whole relation if its column is not listed separately."""
    for owner in item.owners:
        whole = owner.rpartition(":")[0]
        yield owner if owner in gone or whole not in gone else whole


def _rank(item: Item) -> int:
    """Return the position of an item in a list: tables come first, because they hold rows."""
    order = ("r", "p", "f", "m", "v", "S")
    return order.index(item.relkind) if item.relkind in order else len(order)
