"""Compares expected with live relations. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from lfmigrate.schema.relation import NAMED_PARTS, Relation, Snapshot

# What may be missing although it is expected: a materialized view that was created WITH NO DATA may
# be refreshed at any time.
_MAY_BE_MISSING = frozenset({"rows"})

# What not every role may read, so that one side may not have it.
_MAY_BE_HIDDEN = frozenset({"mapping options"})

# Tables first: people look for them.
_ORDER = ("table", "foreign table", "view", "materialized view", "sequence", "type")


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between a live relation and the expected one.

    Attributes:
        part: The part's name, such as ``column spending_pmpm_actual``.
        expected: The server's text for the expected part; None if none is expected.
        live: The text of the live part; None if it is missing.
    """

    part: str
    expected: str | None
    live: str | None

    @property
    def is_extra(self) -> bool:
        """Return whether the part is an unexpected column, index or the like."""
        return self.expected is None and self.part.partition(" ")[0] in NAMED_PARTS


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of a verification table: a relation and its status.

    Attributes:
        relation: The live relation; the expected one if it is missing.
        status: One of the command's statuses, such as ``created``, ``drifted`` or ``ok``.
        differences: Its differences from the expected relation; may be empty.
    """

    relation: Relation
    status: str
    differences: tuple[Difference, ...] = ()


def compare(expected: Relation, live: Relation) -> tuple[Difference, ...]:
    """Return the differences between a live relation and the expected one.

    Column order is not compared: a column that was added later comes last, and only ``SELECT *``
    depends on it.

    Args:
        expected: The relation as the SQL files define it.
        live: The relation as the catalogs describe it.

    Returns:
        One entry per missing, changed or extra part: first in the order of the expected parts,
        then the extra ones in the order of the live parts. Empty if the relations match. Extra
        parts are not reported if ``expected`` is not complete.
    """
    differences = []
    if expected.kind != live.kind:
        differences.append(Difference("kind", expected.kind, live.kind))
    for part, text in expected.parts.items():
        found = live.parts.get(part)
        if differs(part, text, found):
            differences.append(Difference(part, text, found))
    if expected.complete:
        differences += [
            Difference(part, None, text)
            for part, text in live.parts.items()
            if part not in expected.parts and differs(part, None, text)
        ]
    return tuple(differences)


def differs(part: str, expected: str | None, live: str | None) -> bool:
    """Return whether a live part, given by its text, differs from the expected one."""
    if part in _MAY_BE_HIDDEN and None in {expected, live}:
        return False
    return expected != live and not (part in _MAY_BE_MISSING and live is None)


def compare_all(expected: Snapshot, live: Snapshot, *, agreed: str) -> tuple[Verdict, ...]:
    """Compare all expected relations with the live ones.

    Args:
        expected: The relations as the SQL files define them.
        live: The relations as the catalogs describe them.
        agreed: The status of a relation that matches.

    Returns:
        One verdict per expected relation: ``agreed``, ``drifted`` or ``missing``; tables first.
    """
    verdicts = [
        verdict_of(agreed, relation, live[key]) if key in live else Verdict(relation, "missing")
        for key, relation in expected.items()
    ]
    return tuple(sorted(verdicts, key=lambda verdict: rank([verdict])))


def verdict_of(status: str, expected: Relation, live: Relation) -> Verdict:
    """Return a live relation's verdict: ``drifted`` if it differs, else the status given."""
    differences = compare(expected, live)
    return Verdict(live, "drifted" if differences else status, differences)


def rank(rows: Iterable[Verdict]) -> int:
    """Return the position of a relation, given with its parts, in a table of verdicts."""
    kind = next((row.relation.kind for row in rows), "")
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def advance(
    expected: Relation,
    after: Relation,
    *,
    doubtful: Collection[str] = (),
    replayed: Relation | None = None,
    created: Collection[str] = (),
) -> Relation:
    """Return what to expect of a relation after a run.

    What the run changed is expected as it is now, and what it left alone is as expected already.
    Where the live relation does not show which of the two it was, the files do.

    Args:
        expected: What was expected before the run.
        after: The live relation after it.
        doubtful: The parts that had drifted before the run, or that another session has changed
            meanwhile.
        replayed: What the files create in an empty database; None if that is not known, and then a
            doubtful part is expected as before.
        created: The parts that the run created. Of an incomplete relation, only these and those
            that were expected already are tracked.

    Returns:
        The new expectation, its parts in the order of ``after``.
    """
    source = expected if replayed is None else replayed
    parts: dict[str, str] = {}
    for part in dict.fromkeys([*after.parts, *expected.parts, *doubtful]):
        if part in doubtful:
            text = source.parts.get(part)
        elif expected.complete or part in expected.parts or part in created:
            text = after.parts.get(part)
        else:
            text = None
        if text is not None:
            parts[part] = text
    return replace(after, parts=parts, complete=expected.complete)
