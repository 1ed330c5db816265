"""A schema as plain values: relations and their parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Found:
    """A relation as the catalogs have it, and what the asking transaction did to it.

    Attributes:
        id: The catalog and oid of it, which stay the same while it lives.
        relation: What it is.
        created: Whether this transaction made it; not known for routines, schemas, extensions.
        cids: The commands of this transaction that made or changed it, ascending; none if empty.
        written: The parts that this transaction wrote, by name, with the last command that did.
    """

    id: str
    relation: Relation
    created: bool
    cids: tuple[int, ...]
    written: Mapping[str, int]


Fingerprints = Mapping[str, str]

# The kinds that are rows of pg_class, and so share one name space within a schema.
_RELATION_KINDS = frozenset({"table", "foreign table", "view", "materialized view", "sequence"})

ROUTINE_KINDS = frozenset({"function", "procedure", "aggregate", "window function"})

# The kinds of parts that have names of their own; the others tell what a relation itself is like.
NAMED_PARTS = frozenset(
    {"column", "constraint", "index", "policy", "rule", "sequence", "statistics", "trigger"}
)


class Key(NamedTuple):
    """What identifies a relation: a kind's name space, a schema and a name.

    A table that was dropped and made again as a view has the same key, so that the two are
    compared instead of being reported as one missing and one unexpected.
    """

    space: str
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view, sequence, function, type, schema or extension, with all that defines it.

    Attributes:
        kind: ``table``, ``view``, ``materialized view``, ``foreign table``, ``sequence``,
            ``function``, ``procedure``, ``aggregate``, ``type``, ``schema`` or ``extension``.
        schema: The schema it lives in, unquoted; empty for schemas and extensions.
        name: Unquoted; routines carry their argument types, as in ``f(integer)``.
        parts: What defines it, by the part's name (``column id``, ``index a_idx``,
            ``definition``), in catalog order. The texts are the server's own.
        complete: False where only some parts are ours, as when a migration adds a column to a
            table that it did not make; what else that table has is then none of our business.
    """

    kind: str
    schema: str
    name: str
    parts: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True

    @property
    def label(self) -> str:
        """Return the name with its schema, where it lives in one."""
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
        """Return how many parts of a kind, such as ``column``, there are."""
        return sum(1 for part in self.parts if part.startswith(part_kind + " "))

    @property
    def index_count(self) -> int:
        """Return how many indexes it has, those of its keys included."""
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
            # A list of pairs: jsonb would not keep the order of an object's keys.
            "parts": [[part, text] for part, text in self.parts.items()],
        }
        if not self.complete:
            document["complete"] = False
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Relation:
        """Return the relation that `to_json` wrote."""
        return cls(
            kind=document["kind"],
            schema=document["schema"],
            name=document["name"],
            parts={part: text for part, text, *_ in document["parts"]},
            complete=document.get("complete", True),
        )


class Snapshot(Mapping[Key, Relation]):
    """Relations by key, in the order in which they were given."""

    def __init__(self, relations: Iterable[Relation] = ()) -> None:
        self._relations = {relation.key: relation for relation in relations}

    def __getitem__(self, key: Key) -> Relation:
        return self._relations[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._relations)

    def __len__(self) -> int:
        return len(self._relations)
