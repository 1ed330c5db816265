"""Derives a run's effects by comparing the catalogs before and after it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lfmigrate.schema.compare import Verdict, advance, compare, rank, verdict_of
from lfmigrate.schema.relation import (
    NAMED_PARTS,
    ROUTINE_KINDS,
    Fingerprints,
    Found,
    Key,
    Relation,
    Snapshot,
)

_REPLACEABLE = ROUTINE_KINDS | {"view", "materialized view"}

# Kinds of which only the fingerprints tell whether they are new; see queries/written.sql.
_NEW_BY_FINGERPRINT = ROUTINE_KINDS | {"schema", "extension"}


@dataclass(frozen=True, slots=True)
class StepEffects:
    """What one file created or changed, as it is expected from now on, and what it removed."""

    made: tuple[Relation, ...] = ()
    gone: tuple[Key, ...] = ()

    def making(self, *relations: Relation) -> StepEffects:
        """Return these effects and some relations."""
        return replace(self, made=(*self.made, *relations))

    def removing(self, *keys: Key) -> StepEffects:
        """Return these effects and the removal of some relations."""
        return replace(self, gone=(*self.gone, *keys))


@dataclass(frozen=True, slots=True)
class WouldBe:
    """A relation as the files make it in an empty schema.

    Attributes:
        relation: As the last one leaves it.
        step: The step that makes it.
        part_steps: The step that wrote each part last.
    """

    relation: Relation
    step: int
    part_steps: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Before:
    """What was known when the run began.

    Attributes:
        expected: What the history expects.
        live: What was there of it.
        ids: The keys of what was there, by `Found.id`.
        fingerprints: Of all views and routines, expected or not.
    """

    expected: Snapshot
    live: Snapshot
    ids: Mapping[str, Key]
    fingerprints: Fingerprints


@dataclass(frozen=True, slots=True)
class After:
    """What the catalogs say when the files have run.

    Attributes:
        found: What is there of the expected, and whatever the run wrote.
        fingerprints: Of all views and routines.
        step_ends: The command that ended each step, ascending: what a step wrote has a lower one.
        would_be: What the files make in an empty schema; empty if no statement was skipped.
        skipped: What is there under the names of ``would_be`` and was not found otherwise.
    """

    found: Sequence[Found]
    fingerprints: Fingerprints
    step_ends: Sequence[int]
    would_be: Mapping[Key, WouldBe] = field(default_factory=dict)
    skipped: Mapping[Key, Found] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to report and what to record.

    Attributes:
        verdicts: Tables first, then views and the rest, each in the order in which they are made.
        effects: One entry per step.
        live: What is there now of what is expected from now on.
        ids: The keys of that, by `Found.id`.
        spoiled: The relations that were missing, were made again, and are not as they were.
    """

    verdicts: tuple[Verdict, ...]
    effects: tuple[StepEffects, ...]
    live: Snapshot
    ids: Mapping[str, Key]
    spoiled: tuple[Verdict, ...]


def judge(before: Before, after: After) -> Judgement:
    """Tell what a run created, skipped, replaced, altered and removed, and what has drifted."""
    effects = [StepEffects() for _ in after.step_ends]
    rows: dict[Key, list[Verdict]] = {}
    there = list(after.found)
    for found in after.found:
        key = found.relation.key
        if key in before.expected:
            expected, rows[key] = _judge_known(found, before, after)
        else:
            expected, rows[key] = _judge_new(found, before, after)
        if expected != before.expected.get(key):
            _record(found, expected, before, after.step_ends, effects)
    gone = [key for key in before.live if key not in rows]
    # Nothing in the catalogs tells which step it was.
    effects[-1] = effects[-1].removing(*gone)
    renamed = {before.ids[found.id] for found in after.found if found.id in before.ids}
    rows |= {key: [Verdict(before.live[key], "dropped")] for key in gone if key not in renamed}
    for key, would_be in after.would_be.items():
        if key not in rows and key in after.skipped:
            for index in {would_be.step, *would_be.part_steps.values()}:
                made = _as_of(would_be.relation, would_be.part_steps, index)
                effects[index] = effects[index].making(made)
            rows[key] = [verdict_of("skipped", would_be.relation, after.skipped[key].relation)]
            there.append(after.skipped[key])

    order: dict[Key, int] = {}
    for key in (*before.expected, *after.would_be, *rows):
        order.setdefault(key, len(order))
    effects = [
        replace(step, made=tuple(sorted(step.made, key=lambda relation: order[relation.key])))
        for step in effects
    ]
    keys = sorted(rows, key=lambda key: (rank(rows[key]), order[key]))
    return Judgement(
        verdicts=tuple(verdict for key in keys for verdict in rows[key]),
        effects=tuple(effects),
        live=Snapshot(found.relation for found in there),
        ids={found.id: found.relation.key for found in there},
        spoiled=_spoiled(before, after),
    )


def _record(
    found: Found,
    expected: Relation,
    before: Before,
    ends: Sequence[int],
    effects: list[StepEffects],
) -> None:
    """Tell a relation to the steps that wrote it."""
    key = expected.key
    steps = _steps(found, ends)
    if found.created and key in before.expected and found.id not in before.ids:
        # Another object by the same name: what is known of the old one is over.
        effects[min(steps)] = effects[min(steps)].removing(key)
    written = {part: _step(cid, ends) for part, cid in found.written.items()}
    for index in steps:
        effects[index] = effects[index].making(_as_of(expected, written, index))


def _judge_known(found: Found, before: Before, after: After) -> tuple[Relation, list[Verdict]]:
    """Return what to expect from now on of a relation that was expected, and its rows."""
    relation = found.relation
    expected = before.expected[relation.key]
    was = before.live.get(relation.key)
    # A dropped index, trigger or constraint leaves no row behind that this run could have written.
    lost = was is not None and any(part not in relation.parts for part in was.parts)
    if not found.cids and not lost:
        return expected, [verdict_of("unchanged", expected, relation)]
    expected = advance(expected, was, relation)
    if was is None:
        return expected, [verdict_of("created", expected, relation)]
    status = "altered" if relation.parts != was.parts else "unchanged"
    if relation.kind in _REPLACEABLE and _replaced_or_not(found, before, after) == "replaced":
        status = "replaced"
    return expected, [verdict_of(status, expected, relation), *_changed_parts(found, was)]


def _judge_new(found: Found, before: Before, after: After) -> tuple[Relation, list[Verdict]]:
    """Return what to expect of a relation that the history did not know, and its rows."""
    if found.id in before.ids:
        return _judge_renamed(found, before)
    expected, status = _first_met(found, before, after)
    row = verdict_of(status, expected, found.relation)
    if not expected.complete:
        return expected, _changed_parts(found, None)
    if status == "skipped":
        return expected, [row, *_changed_parts(found, None)]
    return expected, [row]


def _judge_renamed(found: Found, before: Before) -> tuple[Relation, list[Verdict]]:
    """Return what to expect of a relation that the history knows by another name, and its row."""
    old = before.ids[found.id]
    relation = found.relation
    expected = replace(before.expected[old], schema=relation.schema, name=relation.name)
    expected = advance(expected, before.live[old], relation)
    return expected, [verdict_of("altered", expected, relation)]


def _spoiled(before: Before, after: After) -> tuple[Verdict, ...]:
    return tuple(
        verdict_of("created", before.expected[key], found.relation)
        for found in after.found
        if (key := found.relation.key) in before.expected
        and key not in before.live
        and compare(before.expected[key], found.relation)
    )


def _first_met(found: Found, before: Before, after: After) -> tuple[Relation, str]:
    """Return what to expect of a relation that the history did not know, and its status."""
    relation = found.relation
    if relation.kind in _NEW_BY_FINGERPRINT:
        created = found.id not in before.fingerprints
    else:
        created = found.created
    if created:
        return relation, "created"
    if relation.kind in _REPLACEABLE and "definition" in found.written:
        return relation, _replaced_or_not(found, before, after)
    if relation.key in after.would_be:
        return after.would_be[relation.key].relation, "skipped"
    # Another owner's: only what the run wrote on it is tracked.
    parts = {p: relation.parts[p] for p in found.written if p.partition(" ")[0] in NAMED_PARTS}
    return Relation(relation.kind, relation.schema, relation.name, parts, complete=False), "altered"


def _replaced_or_not(found: Found, before: Before, after: After) -> str:
    same = before.fingerprints.get(found.id) == after.fingerprints.get(found.id)
    return "unchanged" if same else "replaced"


def _changed_parts(found: Found, was: Relation | None) -> list[Verdict]:
    """Return a row for each part that the run made or changed on a relation that was there."""
    if found.relation.kind in _REPLACEABLE and "definition" in found.written:
        return []
    rows = []
    for part in found.written:
        kind, _, name = part.partition(" ")
        if kind not in NAMED_PARTS:
            continue
        known = was is not None and part in was.parts
        if known and was is not None and was.parts[part] == found.relation.parts[part]:
            continue
        label = Relation(kind, found.relation.schema, f"{found.relation.name}.{name}")
        rows.append(Verdict(label, "replaced" if known else "created"))
    return rows


def _steps(found: Found, ends: Sequence[int]) -> set[int]:
    """Return the steps that wrote a relation; the last one if only something of it is gone."""
    return {_step(cid, ends) for cid in found.cids} or {len(ends) - 1}


def _step(cid: int, ends: Sequence[int]) -> int:
    return min(bisect_left(ends, cid), len(ends) - 1)


def _as_of(relation: Relation, part_steps: Mapping[str, int], step: int) -> Relation:
    """Return a relation without the parts that only a later step has written.

    What a step is recorded to have created is what undoing it may drop.
    """
    parts = {p: text for p, text in relation.parts.items() if part_steps.get(p, step) <= step}
    return replace(relation, parts=parts)
