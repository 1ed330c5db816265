"""The outcome for each relation over all transactions of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.state import DatabaseState
from lfmigrate.schema.compare import Verdict
from lfmigrate.schema.relation import NAMED_PARTS, Key, Relation, Snapshot


def verdicts_of(outcomes: Sequence[Outcome], state: DatabaseState) -> tuple[Verdict, ...]:
    """Return the outcome for each relation over all transactions of a command."""
    rows: dict[Key, Verdict] = {}
    for verdict in (verdict for outcome in outcomes for verdict in outcome.verdicts):
        key = verdict.relation.key
        was_created = key in rows and rows[key].status == "created"
        if verdict.status == "dropped" and was_created:
            del rows[key]  # created and dropped by the same command
        elif verdict.status == "altered" and was_created:
            rows[key] = replace(verdict, status="created")
        elif verdict.status != "unchanged" or key not in rows:
            rows[key] = verdict
    # What one transaction has created and a later one has dropped does not exist any more.
    ever = {key for outcome in outcomes for key in outcome.state.history.expected}
    expected = state.history.expected
    rows = {
        key: verdict
        for key, verdict in rows.items()
        if key in expected or key not in ever or verdict.status == "dropped"
    }
    return tuple(_without_lost_parts(rows, state.live).values())


def _without_lost_parts(rows: Mapping[Key, Verdict], live: Snapshot) -> dict[Key, Verdict]:
    """Leave out the row of a part that no longer exists, or that its relation's row covers."""
    parts: set[Key] = set()
    for relation in live.values():
        if relation.key in rows and rows[relation.key].status == "created":
            continue
        for part in relation.parts:
            kind, _, name = part.partition(" ")
            parts.add(Relation(kind, relation.schema, f"{relation.name}.{name}").key)
    own = NAMED_PARTS - {"sequence"}
    return {k: v for k, v in rows.items() if v.relation.kind not in own or k in parts}
