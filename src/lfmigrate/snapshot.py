"""What a schema is, as plain values, and how two of them differ. Pure: no database, no printing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

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


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a live relation differs from what is expected.

    Attributes:
        part: The part's name, such as ``column spending_pmpm_actual``.
        expected: The server's text for the part as it should be; None if it should not be there.
        live: The text as it is; None if it is not there.
    """

    part: str
    expected: str | None
    live: str | None

    @property
    def is_extra(self) -> bool:
        """Return whether the part is one more column, index or the like that nobody expected."""
        return self.expected is None and self.part.partition(" ")[0] in NAMED_PARTS


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of a verification table: a relation, and how it stands.

    Attributes:
        relation: As it is in the database; as it should be if it is missing.
        status: A word of the verb's vocabulary, such as ``created``, ``drifted`` or ``ok``.
        differences: How it differs from what is expected; empty if it does not.
    """

    relation: Relation
    status: str
    differences: tuple[Difference, ...] = ()


def compare(expected: Relation, live: Relation) -> tuple[Difference, ...]:
    """Return how a live relation differs from the expected one.

    The order of columns is not compared: a column that was added later stands last, and nothing
    but ``SELECT *`` sees it.

    Args:
        expected: What the SQL files say.
        live: What the server's catalogs say.

    Returns:
        One entry per part that is missing, changed or extra: first in the order of the expected
        parts, then the extra ones in the order of the live parts. Empty if they agree. Extra
        parts are not reported where ``expected`` is not complete.
    """
    differences = []
    if expected.kind != live.kind:
        differences.append(Difference("kind", expected.kind, live.kind))
    for part, text in expected.parts.items():
        found = live.parts.get(part)
        if found != text:
            differences.append(Difference(part, text, found))
    if expected.complete:
        differences += [
            Difference(part, None, text)
            for part, text in live.parts.items()
            if part not in expected.parts
        ]
    return tuple(differences)


def advance(expected: Relation, before: Relation | None, after: Relation) -> Relation:
    """Return what to expect of a relation after a migration ran.

    What the migration changed is expected as it is now; what it left alone is expected as it was
    before, so that a drift which was there already stays a drift.

    Args:
        expected: What was expected before the migration ran.
        before: What was live before it ran; None if the relation was missing.
        after: What is live now.

    Returns:
        The new expectation, its parts in the order of ``after``.
    """
    if before is None:
        return replace(after, complete=expected.complete)
    parts: dict[str, str] = {}
    for part, text in after.parts.items():
        if before.parts.get(part) != text:
            parts[part] = text
        elif part in expected.parts:
            parts[part] = expected.parts[part]
    still_missed = {
        part: text
        for part, text in expected.parts.items()
        if part not in before.parts and part not in after.parts
    }
    parts |= still_missed
    return replace(after, parts=parts, complete=expected.complete)
