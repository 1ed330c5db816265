"""What files drop of others by CASCADE, and no rollback restores."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypedDict

from lfmigrate import catalog
from lfmigrate.engine.blocking import ask_aside
from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import DatabaseError
from lfmigrate.postgres.pipeline import Query
from lfmigrate.syntax.scanner import tokens

# How long another connection may take to say what was dropped.
_ASK_S = 5.0

# What is restored, or is reported otherwise: with its rows, or with its table.
_KNOWN = ("pg_proc:", "pg_rewrite:", "pg_trigger:", "pg_type:", "pg_namespace:", "pg_extension:")


class _Item(TypedDict):
    """An object; see queries/cascaded.sql."""

    id: str
    kind: str
    name: str
    owners: Sequence[str]
    relation: str | None
    part: str | None


# Not ON DELETE CASCADE alone, which ordinary tables have: asking costs flights.
_CASCADES = re.compile(r"\bdrop\b.*\bcascade\b", re.IGNORECASE | re.DOTALL)


def cascaded(tx: Transaction, outcome: Outcome) -> list[str]:
    """Return a line for each object of others that CASCADE has dropped, and that stays lost.

    What goes with a table or a column is no more than that, and what a file names it states.

    Args:
        tx: The files have run in it.
        outcome: What they did.
    """
    texts = [s.text for step in outcome.steps for s in step.file.statements]
    if tx.danger is None or not any(_CASCADES.search(text) for text in texts):
        return []
    locked = tx.danger.traces.locked
    maybe = {each for each in locked if not each.startswith(_KNOWN)}
    asked = tx.flight.ask(_items(maybe))
    tx.send()
    gone = maybe - asked.value.keys()
    try:
        # A second connection still sees them.
        found = ask_aside(tx.conn, _items(gone), _ASK_S) if gone else {}
    except DatabaseError:
        return []
    named = {token.value for text in texts for token in tokens(text) if token.kind != "other"}
    # Of the relations, only indexes are asked for.
    dropped = {i for i in gone if i.count(":") > 1 or not i.startswith("pg_class:")}
    dropped |= tx.danger.traces.gone
    return [
        f"{item['kind']} {item['name']}, which no file has created, was dropped by CASCADE; its"
        " definition is not kept, and a rollback does not restore it"
        for item in found.values()
        if not any(
            owner in dropped or owner.rpartition(":")[0] in dropped for owner in item["owners"]
        )
        and ((item["part"] or "").startswith("column ") or _name(item) not in named)
        and not _is_own(item, tx.state)
    ]


def _items(ids: Collection[str]) -> Query[Mapping[str, _Item]]:
    def decode(value: Any) -> Mapping[str, _Item]:  # noqa: ANN401 (parsed JSON)
        return {each["id"]: each for each in value}

    return Query(catalog.query_text("cascaded"), (json.dumps(sorted(ids)),), decode)


def _name(item: _Item) -> str:
    return (item["part"] or item["name"]).rpartition(" ")[2]


def _is_own(item: _Item, state: DatabaseState) -> bool:
    """Return whether a file has created something, by the history."""
    key = state.ids.get(item["relation"] or item["id"])
    return key is not None and (
        item["part"] is None or item["part"] in state.history.expected[key].parts
    )
