"""Compares expected with live relations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lfmigrate.schema.relation import NAMED_PARTS, Relation, Snapshot

# Tables first: they are what people look for.
_ORDER = ("table", "foreign table", "view", "materialized view", "sequence", "type")


def compare_all(expected: Snapshot, live: Snapshot, *, agreed: str) -> tuple[Verdict, ...]:
    """Hold what is expected against what is there, when nothing ran.

    Args:
        expected: What the SQL files say.
        live: What the catalogs say.
        agreed: The status of a relation that is as expected.

    Returns:
        One verdict per expected relation: ``agreed``, ``drifted`` or ``missing``; tables first.
    """
    verdicts = []
    for key, relation in expected.items():
        if key not in live:
            verdicts.append(Verdict(relation, "missing"))
            continue
        verdict = verdict_of(agreed, relation, live[key])
        verdicts.append(verdict)
    return tuple(sorted(verdicts, key=lambda verdict: rank([verdict])))


def verdict_of(status: str, expected: Relation, live: Relation) -> Verdict:
    differences = compare(expected, live)
    return Verdict(live, "drifted" if differences else status, differences)


def rank(rows: Iterable[Verdict]) -> int:
    kind = next((row.relation.kind for row in rows), "")
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


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
