"""Derives a run's effects by comparing the catalogs before and after it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lfmigrate.engine.evidence import After, Before, WouldBe
from lfmigrate.engine.step_effects import Replaced, StepEffects
from lfmigrate.schema.compare import Verdict, advance, compare, differs, rank, verdict_of
from lfmigrate.schema.relation import (
    NAMED_PARTS,
    REPLACEABLE,
    VIEW_KINDS,
    Found,
    Key,
    Relation,
    Snapshot,
    name_then,
)

# The kinds of parts whose removal locks the whole table against all others.
_LOCKING = frozenset({"column", "constraint", "policy", "rule", "trigger"})

# What CREATE OR REPLACE VIEW states of a view; the rest it leaves alone.
_STATED_BY_VIEW = frozenset({"column", "definition", "options"})


# The parts of a relation that CREATE OR REPLACE can replace.
_REPLACEABLE_PARTS = frozenset({"rule", "trigger"})


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to report and what to record.

    Attributes:
        verdicts: Tables first, then views and the rest, each in the order in which they are made.
        effects: One entry per step.
        live: What is there now of what is expected from now on.
        ids: The keys of that, by `Found.id`.
        spoiled: The relations that were missing, were re-created, and are not as they were.
        undecided: The relations of which the files could not say what to expect.
    """

    verdicts: tuple[Verdict, ...]
    effects: tuple[StepEffects, ...]
    live: Snapshot
    ids: Mapping[str, Key]
    spoiled: tuple[Verdict, ...]
    undecided: tuple[Relation, ...]


def needs_replay(before: Before, after: After) -> bool:
    """Return whether only the files say what to expect of some part from now on."""
    return any(_doubtful_parts(found, before, after) for found in after.found)


def still_missing(before: Before, after: After) -> list[Key]:
    """Return what is expected, was missing before the run, and was not re-created by it."""
    there = {found.relation.key for found in after.found}
    return [key for key in before.expected if key not in before.live and key not in there]


def unclear_parts(before: Before, after: After) -> Mapping[str, Mapping[str, int]]:
    """Return the parts that are new by name, and may have existed by another one.

    Returns:
        Their numbers, by the relation's id and the part's name.
    """
    unclear: dict[str, dict[str, int]] = {}
    for found in after.found:
        if found.id not in before.fingerprints:
            continue
        key = before.ids.get(found.id)
        known = key is not None and before.expected[key].complete
        was = before.live[key].parts.keys() if key is not None else frozenset[str]()
        lost = {part.partition(" ")[0] for part in was - found.relation.parts.keys()}
        for part in found.written:
            kind = part.partition(" ")[0]
            if kind in NAMED_PARTS - {"column"} and part not in was and (kind in lost or not known):
                unclear.setdefault(found.id, {})[part] = found.numbers[part]
    return unclear


def judge(before: Before, after: After) -> Judgement:
    """Find out what a run created, skipped, replaced, altered and removed, and what has drifted."""
    effects = [StepEffects() for _ in after.step_ends]
    rows: dict[Key, list[Verdict]] = {}
    for found in after.found:
        if _was_moved_by_others(found, before, after):
            continue
        key = found.relation.key
        expected, rows[key] = _judge_found(found, before, after)
        if expected != before.expected.get(key):
            _record(found, expected, before, after, effects)
        _record_replaced(found, before, after, effects)
    _add_gone(effects, rows, before, after)
    if after.would_be is not None:
        # The files drop what someone had dropped before.
        dropped = [key for key in still_missing(before, after) if key not in after.would_be]
        effects[-1] = effects[-1].removing(*dropped)
    skipped = {
        key: (found, _as_found(would_be, found))
        for key, found in after.skipped.items()
        if key not in rows and (would_be := after.replayed(key))
    }
    for key, (found, would_be) in skipped.items():
        for index in {would_be.step, *would_be.part_steps.values()}:
            made = _as_of(would_be.relation, would_be.part_steps, index)
            effects[index] = effects[index].making(made).finding(key, ())
        rows[key] = [verdict_of("skipped", would_be.relation, found.relation)]

    there = [*after.found, *(found for found, _ in skipped.values())]
    order: dict[Key, int] = {}
    for key in (*before.expected, *(after.would_be or ()), *rows):
        order.setdefault(key, len(order))
    keys = sorted(rows, key=lambda key: (rank(rows[key]), order[key]))
    return Judgement(
        verdicts=tuple(verdict for key in keys for verdict in rows[key]),
        effects=tuple(
            replace(step, made=tuple(sorted(step.made, key=lambda relation: order[relation.key])))
            for step in effects
        ),
        live=Snapshot(found.relation for found in there),
        ids={found.id: found.relation.key for found in there},
        spoiled=_spoiled(before, after),
        undecided=tuple(
            found.relation
            for found in after.found
            if after.replayed(found.relation.key) is None and _doubtful_parts(found, before, after)
        ),
    )


def _as_found(would_be: WouldBe, found: Found) -> WouldBe:
    """Return what the files would have created; an extension is as it is.

    Its schema and version are the server's or an administrator's choice, unless a file creates it.
    """
    if found.relation.kind != "extension":
        return would_be
    return replace(would_be, relation=found.relation)


def _judge_found(found: Found, before: Before, after: After) -> tuple[Relation, list[Verdict]]:
    """Return what to expect of a relation from now on, and its rows."""
    key = found.relation.key
    if found.id in before.ids:
        return _judge_known(found, before, after)
    if key in before.expected and not _is_created(found, before):
        # Another session has created it meanwhile.
        expected = before.expected[key]
        return expected, [verdict_of("unchanged", expected, found.relation)]
    return _judge_new(found, before, after)


def _add_gone(
    effects: list[StepEffects], rows: dict[Key, list[Verdict]], before: Before, after: After
) -> None:
    """Add what is gone to the rows, and to the last step: nothing shows which one it was.

    What has another name now is added to the step that has given it that.
    """
    renamed = {found.id: found for found in after.found if found.relation.key in rows}
    # A sequence that a column owns is a part of its table.
    owned = {
        f"pg_class:{number}"
        for found in after.found
        for part, number in found.numbers.items()
        if part.startswith("sequence ")
    }
    for item_id, key in before.ids.items():
        if key in rows:
            continue
        dropped = after.locked is None or item_id in after.locked
        if item_id in renamed:
            index = max(_steps(renamed[item_id], after))
            effects[index] = effects[index].removing(key)
            continue
        if dropped or item_id in owned:
            effects[-1] = effects[-1].removing(key)
        if item_id not in owned:
            rows[key] = [Verdict(before.live[key], "dropped" if dropped else "missing")]


def _doubtful_parts(found: Found, before: Before, after: After) -> frozenset[str]:
    """Return the parts of which the catalogs do not show what to expect from now on.

    Those had drifted before the run, or may have been changed by another session during it.
    """
    if found.id not in before.ids:
        return frozenset()
    key = before.ids[found.id]
    expected, was, relation = before.expected[key], before.live[key], found.relation
    parts = set(expected.parts)
    if expected.complete:
        parts |= was.parts.keys() | relation.parts.keys()
    return frozenset(
        part
        for part in parts
        if not _is_stated(part, found)
        and (
            differs(part, expected.parts.get(part), was.parts.get(part))
            or (
                relation.parts.get(part) != was.parts.get(part)
                and not _is_own_change(part, found, was, after)
            )
        )
    )


def _is_stated(part: str, found: Found) -> bool:
    """Return whether the run has stated a part as a whole, whatever it was before."""
    return (
        found.relation.kind in VIEW_KINDS
        and "definition" in found.written
        and part.partition(" ")[0] in _STATED_BY_VIEW
    )


def _is_own_change(part: str, found: Found, was: Relation, after: After) -> bool:
    """Return whether a part that differs now was changed by the run itself.

    Its own row need not have been written: the text of a view changes when its table is renamed.
    """
    if part in found.written:
        return True
    if part in found.relation.parts or after.locked is None:
        return not after.others
    # It is gone, without a trace in the catalogs.
    kind = part.partition(" ")[0]
    if found.id in after.locked or after.others:
        return found.id in after.locked
    if kind == "index":
        # A DROP would have locked the table; a rename has not, and leaves another name.
        return any(p.startswith("index ") and p not in was.parts for p in found.relation.parts)
    return found.relation.kind == "type" or kind not in _LOCKING


def _was_moved_by_others(found: Found, before: Before, after: After) -> bool:
    """Return whether another session has renamed or moved a relation during the run."""
    key = before.ids.get(found.id, found.relation.key)
    return key != found.relation.key and after.others and not found.cids


def _is_created(found: Found, before: Before) -> bool:
    """Return whether the run created an object: identity decides, not which row was written."""
    return found.id not in before.fingerprints and bool(found.cids)


def _created_parts(found: Found, before: Before, after: After) -> frozenset[str]:
    """Return the parts that the run created on a relation that existed before."""
    key = before.ids.get(found.id)
    was = before.live[key].parts if key is not None else {}
    is_table = found.relation.kind in {"table", "foreign table"}
    fingerprint = before.fingerprints.get(found.id, "").partition(":")[0]
    columns = int(fingerprint or 0) if is_table else 0
    foreign = after.foreign.get(found.id, ())
    created = set()
    for part in found.written:
        kind = part.partition(" ")[0]
        if kind not in NAMED_PARTS or part in foreign:
            continue
        if kind == "column" and columns:
            if found.numbers[part] > columns:
                created.add(part)
        elif part not in was:
            created.add(part)
    return frozenset(created)


def _record(
    found: Found,
    expected: Relation,
    before: Before,
    after: After,
    effects: list[StepEffects],
) -> None:
    """Record a relation for the steps that wrote it."""
    key = expected.key
    steps = _steps(found, after)
    if key in before.expected and found.id not in before.ids:
        # Another object by the same name: what is known of the old one is over.
        effects[min(steps)] = effects[min(steps)].removing(key)
    written, first, former = _first_steps(found, after)
    steps |= set(first.values())
    existed = key not in before.expected and found.id not in before.ids
    created = _created_parts(found, before, after)
    last = max(steps)
    for index in steps:
        # The last one states what is expected from now on.
        names = _names_after(index, former) if index < last else {}
        effects[index] = effects[index].making(_as_of(expected, written, index, names))
        if existed and expected.complete and not _is_created(found, before):
            mine = [part for part in created if first.get(part) == index]
            effects[index] = effects[index].finding(key, mine)


def _first_steps(
    found: Found, after: After
) -> tuple[Mapping[str, int], Mapping[str, int], Sequence[tuple[int, Mapping[str, str]]]]:
    """Return the step that wrote each part of a relation last, and the one that wrote it first.

    What an earlier step has created, it has created, whatever a later one has done to it.

    Returns:
        Both; and what the parts were called after each step that has written any but the last.
    """
    written = {part: _step(cid, after.step_ends) for part, cid in found.written.items()}
    former: list[tuple[int, Mapping[str, str]]] = []
    names: dict[str, str] = {}
    for step, then in after.parts_of.get(found.id, ()):
        names = names | {p: name for p in written if (name := name_then(then, found, p))}
        former.append((step, names))
    first = {
        part: next((step for step, names in former if part in names), last)
        for part, last in written.items()
    }
    return written, first, former


def _names_after(step: int, former: Sequence[tuple[int, Mapping[str, str]]]) -> Mapping[str, str]:
    """Return what the parts of a relation were called after a step; see `_first_steps`."""
    return next((names for wrote, names in reversed(former) if wrote <= step), {})


def _record_replaced(
    found: Found, before: Before, after: After, effects: list[StepEffects]
) -> None:
    """Record for the steps what they have replaced that no file has created."""
    parts = list(_replaced_parts(found, before, after))
    if not parts:
        return
    _, first, _ = _first_steps(found, after)
    key = before.ids.get(found.id, found.relation.key)
    for part in parts:
        index = first["definition" if part is None else part]
        each = Replaced(found.id, key, found.relation.kind, part)
        effects[index] = effects[index].replacing(each)


def _replaced_parts(found: Found, before: Before, after: After) -> Iterator[str | None]:
    """Return the triggers and rules that the run has replaced and no file created; None for all."""
    expected = before.expected.get(before.ids.get(found.id, found.relation.key))
    if found.id not in before.fingerprints:
        return
    if (
        expected is None
        and found.relation.kind in REPLACEABLE
        and "definition" in found.written
        and not _is_created(found, before)
        and _replaced_or_not(found, before, after) == "replaced"
    ):
        yield None
    created = _created_parts(found, before, after)
    for part in found.written:
        is_known = part in created or (expected is not None and part in expected.parts)
        if part.partition(" ")[0] in _REPLACEABLE_PARTS and not is_known:
            yield part


def _judge_known(found: Found, before: Before, after: After) -> tuple[Relation, list[Verdict]]:
    """Return what to expect from now on of a relation that was expected and there, and its rows."""
    relation = found.relation
    key = before.ids[found.id]
    was = before.live[key]
    expected = replace(before.expected[key], schema=relation.schema, name=relation.name)
    doubtful = _doubtful_parts(found, before, after)
    would_be = after.replayed(relation.key)
    if would_be is not None:
        # One of them may have been skipped, because it exists.
        doubtful |= would_be.stated
    created = _created_parts(found, before, after)
    # What may be missing is still expected if the run has left it alone.
    left = {
        part: text
        for part, text in expected.parts.items()
        if part not in was.parts and part not in relation.parts and not differs(part, text, None)
    }
    expected = advance(
        expected,
        replace(relation, parts={**relation.parts, **left}),
        doubtful=doubtful,
        replayed=None if would_be is None else would_be.relation,
        created=created,
    )
    if key != relation.key:
        return expected, [verdict_of("altered", expected, relation)]
    changed = any(
        relation.parts.get(part) != was.parts.get(part) and _is_own_change(part, found, was, after)
        for part in relation.parts.keys() | was.parts.keys()
    )
    status = "altered" if changed else "unchanged"
    if relation.kind in REPLACEABLE and "definition" in found.written:
        status = _replaced_or_not(found, before, after)
        return expected, [verdict_of(status, expected, relation)]
    return expected, [
        verdict_of(status, expected, relation),
        *_changed_parts(found, was, created),
    ]


def _judge_new(found: Found, before: Before, after: After) -> tuple[Relation, list[Verdict]]:
    """Return what to expect of a relation that the history did not know, and its rows."""
    relation = found.relation
    if _is_created(found, before):
        was = before.live.get(relation.key)
        replaced = was is not None and was.kind == relation.kind in REPLACEABLE
        return relation, [Verdict(relation, "replaced" if replaced else "created")]
    if relation.kind in REPLACEABLE and "definition" in found.written:
        return relation, [Verdict(relation, _replaced_or_not(found, before, after))]
    created = _created_parts(found, before, after)
    rows = _changed_parts(found, None, created)
    if relation.key in after.skipped and (would_be := after.replayed(relation.key)):
        expected = would_be.relation
        return expected, [verdict_of("skipped", expected, relation), *rows]
    # Another owner's: only what the run created on it is tracked.
    parts = {part: text for part, text in relation.parts.items() if part in created}
    return replace(relation, parts=parts, complete=False), rows


def _spoiled(before: Before, after: After) -> tuple[Verdict, ...]:
    return tuple(
        verdict_of("created", before.expected[key], found.relation)
        for found in after.found
        if (key := found.relation.key) in before.expected
        and key not in before.live
        and compare(before.expected[key], found.relation)
    )


def _replaced_or_not(found: Found, before: Before, after: After) -> str:
    """Return whether a CREATE OR REPLACE has changed what it replaced."""
    if found.id in before.ids:
        # A fingerprint also has the names of columns that a view does not read.
        same = before.live[before.ids[found.id]].parts == found.relation.parts
    else:
        same = before.fingerprints.get(found.id) == after.fingerprints.get(found.id)
    return "unchanged" if same else "replaced"


def _changed_parts(found: Found, was: Relation | None, created: Collection[str]) -> list[Verdict]:
    """Return a row for each part that the run made or changed on a relation that was there."""
    rows = []
    for part in found.written:
        kind, _, name = part.partition(" ")
        if kind not in NAMED_PARTS:
            continue
        if was is not None and was.parts.get(part) == found.relation.parts[part]:
            continue
        label = Relation(kind, found.relation.schema, f"{found.relation.name}.{name}")
        # A part that has another name now is neither.
        existed = "altered" if was is not None and part not in was.parts else "replaced"
        rows.append(Verdict(label, "created" if part in created else existed))
    return rows


def _steps(found: Found, after: After) -> set[int]:
    """Return the steps that wrote a relation.

    If only something of it is gone, or something that it mentions has another name, none has: then
    it is the one that has renamed its schema, or else the last migration.
    """
    ends = after.step_ends
    cids = {*found.cids, *found.written.values()} if found.cids else set[int]()
    if not cids:
        spaces = (f for f in after.found if f.relation.kind == "schema")
        cids = {c for f in spaces if f.relation.name == found.relation.schema for c in f.cids}
    return {_step(cid, ends) for cid in cids} or {after.last_migration % len(ends)}


def _step(cid: int, ends: Sequence[int]) -> int:
    return min(bisect_left(ends, cid), len(ends) - 1)


def _as_of(
    relation: Relation,
    part_steps: Mapping[str, int],
    step: int,
    names: Mapping[str, str] | None = None,
) -> Relation:
    """Return a relation without the parts that did not exist when a step ended.

    What a step is recorded to have created is what undoing it may drop.

    Args:
        relation: As the last step leaves it.
        part_steps: The step that wrote each part last.
        step: The step.
        names: What the parts were called then that later steps have written as well.
    """
    former = names or {}
    parts = {
        former.get(p, p): text
        for p, text in relation.parts.items()
        if p in former or part_steps.get(p, step) <= step
    }
    return replace(relation, parts=parts)
