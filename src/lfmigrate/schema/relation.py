"""Relations and their parts, as plain values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lfmigrate.schema.canonical import canonical

# The kinds that are rows of pg_class, and so share one namespace within a schema.
_RELATION_KINDS = frozenset({"table", "foreign table", "view", "materialized view", "sequence"})

ROUTINE_KINDS = frozenset({"function", "procedure", "aggregate", "window function"})

VIEW_KINDS = frozenset({"view", "materialized view"})

# The kinds that a file states as a whole, even if another one has created them.
REPLACEABLE = ROUTINE_KINDS | VIEW_KINDS

# The kinds of parts that have names; the others are properties of the relation itself.
NAMED_PARTS = frozenset(
    {"column", "constraint", "index", "policy", "rule", "sequence", "statistics", "trigger"}
)


class Key(NamedTuple):
    """What identifies a relation: the namespace of its kind, a schema and a name.

    A table that was dropped and re-created as a view has the same key, so the two are compared
    instead of being reported as one missing and one unexpected relation.
    """

    space: str
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view, sequence, function, type, schema or extension, and its definition.

    Attributes:
        kind: ``table``, ``view``, ``materialized view``, ``foreign table``, ``sequence``,
            ``function``, ``procedure``, ``aggregate``, ``type``, ``schema`` or ``extension``.
        schema: Its schema, unquoted; empty for schemas and extensions.
        name: Unquoted; that of a routine includes the argument types, as in ``f(integer)``.
        parts: Its definition, by the name of each part (``column id``, ``index a_idx``,
            ``definition``), in catalog order. The texts are the server's own.
        complete: False if only some parts are tracked, as when a migration adds a column to a
            table that it did not create.
    """

    kind: str
    schema: str
    name: str
    parts: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True

    @property
    def label(self) -> str:
        """Return the name, qualified by its schema if it has one."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def key(self) -> Key:
        """Return what identifies this relation."""
        if self.kind in _RELATION_KINDS:
            space = "relation"
        elif self.kind in ROUTINE_KINDS:
            space = "routine"
        else:
            space = self.kind
        return Key(space, self.schema, self.name)

    def count(self, part_kind: str) -> int:
        """Return the number of parts of a kind, such as ``column``."""
        return sum(1 for part in self.parts if part.startswith(part_kind + " "))

    @property
    def index_count(self) -> int:
        """Return the number of indexes, including those of constraints."""
        keys = ("PRIMARY KEY", "UNIQUE", "EXCLUDE")
        return self.count("index") + sum(
            1
            for part, text in self.parts.items()
            if part.startswith("constraint ") and text.startswith(keys)
        )

    def to_json(self) -> dict[str, Any]:
        """Return this relation as JSON values, for the history."""
        document: dict[str, Any] = {
            "kind": self.kind,
            "schema": self.schema,
            "name": self.name,
            # A list of pairs, because jsonb does not keep the order of an object's keys.
            "parts": [[part, text] for part, text in self.parts.items()],
        }
        if not self.complete:
            document["complete"] = False
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Relation:
        """Return the relation from the result of `to_json`, or from what the catalogs say."""
        return cls(
            kind=document["kind"],
            schema=document["schema"],
            name=document["name"],
            # The text of what another session has dropped meanwhile is null.
            parts={part: canonical(t) for part, t, *_ in document["parts"] if t is not None},
            complete=document.get("complete", True),
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A relation as the catalogs describe it, and what the current transaction did to it.

    Attributes:
        id: Its catalog and oid, which do not change during its life.
        relation: The relation.
        cids: The commands of this transaction that created or changed it, ascending; may be empty.
        written: The parts that this transaction wrote, by name, with the last command that did.
        numbers: By part, the number of each column, and the oid of each other part that has a name.
            Columns are numbered in the order of their creation.
    """

    id: str
    relation: Relation
    cids: tuple[int, ...] = ()
    written: Mapping[str, int] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)


# The names of the parts of relations that a file has written, as they were when it ended: by the
# relation's id, and then by the part's kind and its number (see `Found.numbers`).
WrittenParts = Mapping[str, Mapping[tuple[str, int], str]]


def name_then(names: Mapping[tuple[str, int], str], found: Found, part: str) -> str | None:
    """Return what a part of a relation was called at a moment; None if it was not written by then.

    A column is known by its number. What belongs to it, such as an index, gets a new oid when its
    type is changed, and keeps the name.

    Args:
        names: The relation's, as in `WrittenParts`.
        found: The relation as it is now.
        part: The part's name now.
    """
    kind = part.partition(" ")[0]
    name = names.get((kind, found.numbers.get(part, 0)))
    return part if name is None and kind != "column" and part in names.values() else name


@dataclass(frozen=True, slots=True)
class Horizon:
    """From where on another session's commits are looked for.

    Attributes:
        xmin: The oldest transaction that was running; what has ended before it was seen. None to
            look for none.
        seen: The ids of the transactions since then that had committed already, or are the
            command's own.
    """

    xmin: str | None = None
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reading:
    """What the catalogs say at the end of a transaction that has written.

    Attributes:
        found: What was asked for, and whatever the transaction wrote.
        locked: The ids, of those asked for, that the transaction holds an exclusive lock on: what
            it dropped is among them.
        committed: The ids of the transactions since the horizon that other sessions have committed.
        own: The ids of the transaction and its subtransactions.
    """

    found: tuple[Found, ...]
    locked: frozenset[str]
    committed: frozenset[str]
    own: frozenset[str]


# By `Found.id`: a short text that changes with the definition of a view or routine; the number of
# columns that a table has ever had, and the file of its rows; an empty text for all else.
Fingerprints = Mapping[str, str]


class Snapshot(Mapping[Key, Relation]):
    """Relations by key, in the order given."""

    def __init__(self, relations: Iterable[Relation] = ()) -> None:
        self._relations = {relation.key: relation for relation in relations}

    def __getitem__(self, key: Key) -> Relation:
        return self._relations[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._relations)

    def __len__(self) -> int:
        return len(self._relations)
