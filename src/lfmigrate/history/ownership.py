"""Which objects the migrations own, and what a rollback would drop besides. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lfmigrate.history.events import Event, History
from lfmigrate.schema.object import Item
from lfmigrate.schema.relation import Key, Relation

# Relations of their own, whatever they hang on.
_WHOLE = frozenset("rpfvm")

# Catalogs of what `Snapshot` does not describe, so that the history cannot tell who made it.
_UNTRACKED = frozenset(
    {
        "pg_am",
        "pg_cast",
        "pg_collation",
        "pg_conversion",
        "pg_default_acl",
        "pg_event_trigger",
        "pg_foreign_data_wrapper",
        "pg_foreign_server",
        "pg_language",
        "pg_opclass",
        "pg_operator",
        "pg_opfamily",
        "pg_publication",
        "pg_transform",
        "pg_ts_config",
        "pg_ts_dict",
        "pg_ts_parser",
        "pg_ts_template",
        "pg_user_mapping",
    }
)

# Of a publication as much as of the table that it publishes.
_OF_BOTH = frozenset({"pg_publication_rel", "pg_publication_namespace"})


@dataclass(slots=True)
class Owned:
    """What some migrations made.

    Attributes:
        whole: The relations, and the names of the parts that are the migrations' as well.
        parts: Of relations that they did not make, the names of the parts that they did.
    """

    whole: dict[Key, set[str]] = field(default_factory=dict)
    parts: dict[Key, set[str]] = field(default_factory=dict)

    def forget(self, key: Key) -> None:
        """Note that a relation was dropped."""
        self.whole.pop(key, None)
        self.parts.pop(key, None)

    def add(self, relation: Relation, before: Relation | None) -> None:
        """Note that a relation was made or changed, and what it was before."""
        new = set(relation.parts) - set(before.parts if before is not None else ())
        if before is None and relation.complete:
            self.whole[relation.key] = new
        elif relation.key in self.whole:
            self.whole[relation.key] |= new
        else:
            self.parts.setdefault(relation.key, set()).update(new)


@dataclass(frozen=True, slots=True)
class Losses:
    """What goes, told by the biggest thing that holds it: a table and not its columns.

    Attributes:
        own: What the migrations made.
        outside: What they did not make.
    """

    own: tuple[Item, ...]
    outside: tuple[Item, ...]


def owned_by(known: History, numbers: Iterable[int]) -> Owned:
    """Return what the applied migrations with these numbers made, and what is still theirs."""
    undone = frozenset(numbers)
    owned = Owned()
    expected: dict[Key, Relation] = {}
    for event in known.events:
        for key in event.gone:
            expected.pop(key, None)
            owned.forget(key)
        for relation in event.expected:
            if _made_by(event, undone):
                owned.add(relation, expected.get(relation.key))
            expected[relation.key] = relation
    return owned


def _made_by(event: Event, numbers: frozenset[int]) -> bool:
    return event.action in {"up", "repair", "statement"} and event.number in numbers


def split_by_owner(
    gone: Mapping[str, Item],
    owned: Owned,
    ids: Mapping[Key, str],
    *,
    again: Iterable[Item] = (),
    by_name: bool = True,
) -> Losses:
    """Part what goes into what the migrations made and what they did not.

    Args:
        gone: What goes, by id.
        owned: What the migrations made.
        ids: The ids of all relations that any migration made and that are there, by key.
        again: What the down files make; what has the same name and kind as something that goes
            takes its place.
        by_name: Whether each DROP takes only what it names. What nobody keeps account of, such as
            an operator, then went because a down file says so.
    """
    whole = {ids[key] for key in owned.whole if key in ids}
    parts = {ids[key]: names for key, names in (owned.whole | owned.parts).items() if key in ids}
    verdicts: dict[str, bool] = {}

    def is_own(item_id: str) -> bool:
        if item_id not in verdicts:
            verdicts[item_id] = False  # in a circle, somebody else has to say that it is ours
            verdicts[item_id] = decide(item_id)
        return verdicts[item_id]

    def decide(item_id: str) -> bool:
        if item_id in whole:
            return True
        item = gone.get(item_id)
        if item is None:
            # It stays; its table may be one that the migrations changed.
            return ":".join(item_id.split(":")[:2]) in parts
        catalog = item_id.partition(":")[0]
        if catalog in _UNTRACKED and by_name:
            return True
        if catalog in _OF_BOTH:
            return all(is_own(owner) for owner in item.owners)
        if item.part is not None and item.relation is not None:
            return item.part in parts.get(item.relation, ())
        return any(is_own(owner) for owner in _owners(item, gone))

    own = {item_id for item_id in gone if is_own(item_id)}
    replaced = {(item.kind, item.name) for item in again}
    tables = {i for i, item in gone.items() if item.relkind in {"r", "p"}}
    stays = {i for i, item in gone.items() if (item.kind, item.name) in replaced}
    # A table that is made again has other rows: somebody else's is not ours to rebuild.
    excused = stays - (tables - set(ids.values()))
    outside = {i for i in gone.keys() - own - excused if not _hangs_on(i, excused, gone)}
    return Losses(_biggest(own - (stays - tables), gone), _biggest(outside, gone))


def _hangs_on(item_id: str, excused: Collection[str], gone: Mapping[str, Item]) -> bool:
    """Return whether something nameless, such as a TOAST table, goes with what is excused."""
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


def _biggest(ids: Iterable[str], gone: Mapping[str, Item]) -> tuple[Item, ...]:
    chosen = set(ids)
    tops = [
        gone[item_id]
        for item_id in chosen
        if gone[item_id].relkind in _WHOLE or not chosen.intersection(_owners(gone[item_id], gone))
    ]
    return tuple(sorted(tops, key=lambda item: (_rank(item), item.name)))


def _owners(item: Item, gone: Mapping[str, Item]) -> Iterator[str]:
    """Return what an item goes with; the whole relation where its column is not told apart."""
    for owner in item.owners:
        whole = owner.rpartition(":")[0]
        yield owner if owner in gone or whole not in gone else whole


def _rank(item: Item) -> int:
    """Tables first: they are what holds rows."""
    order = ("r", "p", "f", "m", "v", "S")
    return order.index(item.relkind) if item.relkind in order else len(order)
