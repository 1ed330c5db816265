"""The table of relations and other objects, and how each differs; for `up` and `verify`."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lfmigrate.output.page import INDENT, STYLES, Page, counted, word
from lfmigrate.output.tables import Column
from lfmigrate.schema.compare import Difference, Verdict
from lfmigrate.schema.relation import Relation

# From what is as it was to what needs attention: the latter is read first, just above the prompt.
_ORDER = (
    "unchanged",
    "ok",
    "skipped",
    "created",
    "replaced",
    "altered",
    "dropped",
    "drifted",
    "missing",
    "unexpected",
)

# What gets a row even with -q.
_PROBLEMS = frozenset({"drifted", "missing", "unexpected"})

_WITH_COLUMNS = frozenset({"table", "foreign table", "materialized view", "view"})

_COLUMNS = (
    Column("Kind", drop=4),
    Column("Name", wraps=True),
    Column("Status"),
    Column("Columns", short="Col", number=True, drop=3),
    Column("Indexes", short="Idx", number=True, drop=2),
    Column("Constraints", short="Con", number=True, drop=1),
)


def draw_verdicts(
    page: Page, verdicts: Sequence[Verdict], schema: str, *, names: Mapping[str, str] | None = None
) -> None:
    """Write a row per object, what needs attention last, and below them how each differs.

    Args:
        page: What to write on.
        verdicts: The objects.
        schema: The schema whose objects are named without it.
        names: What a status is called here, where that is not its own word.
    """
    shown = sorted(
        (v for v in verdicts if not page.quiet or v.status in _PROBLEMS),
        key=lambda verdict: _ORDER.index(verdict.status),
    )
    if not shown:
        return
    page.table(
        _COLUMNS,
        [
            (
                v.relation.kind,
                _name(v.relation, schema),
                word(v.status, (names or {}).get(v.status, "")),
                *_counts(v.relation),
            )
            for v in shown
        ],
    )
    for verdict in shown:
        if verdict.differences:
            page.blank()
            name = _name(verdict.relation, schema)
            page.line(word(verdict.status), f" {verdict.relation.kind} {name}")
            for difference in verdict.differences:
                _draw_difference(page, difference)


def summary(verdicts: Sequence[Verdict], names: Mapping[str, str] | None = None) -> str:
    """Return how many objects there are of each status."""
    counts = Counter(verdict.status for verdict in verdicts)
    sums = [f"{counts[s]:,} {(names or {}).get(s, s)}" for s in _ORDER if counts[s]]
    return f"{counted(len(verdicts), 'object')}{': ' if sums else ''}{', '.join(sums)}"


def verdict_json(verdict: Verdict, *, counts: bool) -> dict[str, Any]:
    """Return an object's row as JSON, with the numbers of its parts or without."""
    relation = verdict.relation
    document: dict[str, Any] = {
        "kind": relation.kind,
        "schema": relation.schema,
        "name": relation.name,
        "status": verdict.status,
    }
    if counts:
        document |= {
            "columns": relation.count("column"),
            "indexes": relation.index_count,
            "constraints": relation.count("constraint"),
        }
    document["differences"] = [
        {"part": d.part, "expected": d.expected, "live": d.live} for d in verdict.differences
    ]
    return document


def _counts(relation: Relation) -> tuple[str, str, str]:
    """Return the three counts; empty where the kind has none of that sort."""
    if relation.kind not in _WITH_COLUMNS:
        return "", "", ""
    columns = str(relation.count("column"))
    if relation.kind == "view":
        return columns, "", ""
    return columns, str(relation.index_count), str(relation.count("constraint"))


def _draw_difference(page: Page, difference: Difference) -> None:
    part, expected, live = difference.part, difference.expected, difference.live
    if expected is None:
        page.hanging(("+ ", "magenta"), f"{part}: {_one_line(live or '')} (not in the migrations)")
    elif live is None:
        page.hanging(("- ", STYLES["missing"]), f"{part}: {_one_line(expected)} (missing)")
    elif part == "definition" or _one_line(expected) == _one_line(live):
        page.hanging(("~ ", STYLES["drifted"]), part)
        lines = difflib.unified_diff(
            expected.splitlines(), live.splitlines(), "expected", "found", lineterm="", n=1
        )
        page.diff([line for line in lines if not line.startswith("@@")], indent=2 * INDENT)
    else:
        page.hanging(("~ ", STYLES["drifted"]), part)
        page.hanging("expected  ", _one_line(expected), indent=2 * INDENT)
        page.hanging("found     ", _one_line(live), indent=2 * INDENT)


def _name(relation: Relation, schema: str) -> str:
    """Return a relation's name, with its schema where that is not the usual one."""
    if relation.schema in {"", schema}:
        return relation.name
    return f"{relation.schema}.{relation.name}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
