"""Asks where sequences are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.postgres.wire import Answer


@dataclass(frozen=True, slots=True)
class SequencePosition:
    """Where a sequence is.

    Attributes:
        name: With its schema, quoted where that is needed.
        value: The last value.
        called: Whether that has been given out; otherwise it is the next one.
        step: The increment.
    """

    name: str
    value: int
    called: bool
    step: int

    @property
    def next(self) -> int:
        """Return the value that would be given out next."""
        return self.value + self.step if self.called else self.value

    def __lt__(self, other: SequencePosition) -> bool:
        """Return whether it would give out values again that the other one has passed."""
        return self.next < other.next if self.step > 0 else self.next > other.next


def moved_sequences() -> Query[tuple[str, ...]]:
    """Ask which sequences the transaction has moved: their oids, and those of written tables."""
    return Query(query_text("moved_sequences"), (), tuple)


def set_position(
    flight: Flight, name: str, *, last_value: int, is_called: bool, forward: bool
) -> Answer[bool]:
    """Queue what sets the position of a sequence; see the query.

    Args:
        flight: Where it is queued.
        name: Qualified and quoted.
        last_value: The last value.
        is_called: Whether it has been given out.
        forward: Whether a sequence that is ahead of that stays where it is.

    Returns:
        Whether it was ahead, and stays.
    """
    position = {"name": name, "last_value": last_value, "is_called": is_called, "forward": forward}
    flight.set({"lfmigrate.position": json.dumps(position)})
    flight.do(query_text("set_position"))
    return flight.ask(Query("SELECT to_jsonb(current_setting('lfmigrate.ahead')::bool)", (), bool))


def missing_sequences(names: Iterable[tuple[str, str]]) -> Query[tuple[tuple[str, str], ...]]:
    """Ask which of some sequences, given by schema and name, do not exist."""
    document = [{"schema": schema, "name": name} for schema, name in names]
    return Query(
        "SELECT coalesce(jsonb_agg(jsonb_build_array(s.schema, s.name)), '[]')"
        " FROM jsonb_to_recordset($1::jsonb) AS s (schema text, name text)"
        " WHERE NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n"
        " ON n.oid = c.relnamespace"
        " WHERE n.nspname = s.schema AND c.relname = s.name AND c.relkind = 'S')",
        (json.dumps(document),),
        lambda value: tuple((schema, name) for schema, name in value),
    )


def sequence_positions() -> Query[Mapping[str, SequencePosition]]:
    """Ask where the sequences are that the role may set, by oid.

    The setting ``lfmigrate.sequences`` has the oids to ask for; see the query.
    """

    def decode(value: Any) -> Mapping[str, SequencePosition]:  # noqa: ANN401 (parsed JSON)
        return {oid: SequencePosition(**found) for oid, found in value.items()}

    return Query(
        "SELECT current_setting('lfmigrate.positions')::jsonb",
        (),
        decode,
        first=((query_text("sequence_positions"), ()),),
    )
