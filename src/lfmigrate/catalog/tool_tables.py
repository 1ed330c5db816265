"""Asks for the tables in which other migration tools record what they have applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query


@dataclass(frozen=True, slots=True)
class ToolTable:
    """A table of another migration tool.

    Attributes:
        tool: Whose it is; see the query.
        schema: Where it is.
        name: What it is called.
        rows: Its rows in no order, each by the names of its columns; None if the role may not read
            all of them, or another session had locked the table.
        by_path: Whether it was looked up in the search path; if not, the tool has its own schema.
    """

    tool: str
    schema: str
    name: str
    rows: tuple[Mapping[str, Any], ...] | None
    by_path: bool

    @property
    def label(self) -> str:
        """Return what messages call it."""
        return f"{self.schema}.{self.name}"


def tool_tables() -> Query[tuple[ToolTable, ...]]:
    """Ask for the tables of other tools, sorted by tool.

    Names are looked up in the search path of the connection, as the tools do, which is that of the
    scope only before `Flight.look_at`.
    """

    def decode(value: Any) -> tuple[ToolTable, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(
            ToolTable(
                found["tool"],
                found["schema"],
                found["name"],
                None if found["rows"] is None else tuple(found["rows"]),
                found["by_path"],
            )
            for found in value
        )

    return Query(
        "SELECT current_setting('lfmigrate.tool_tables')::jsonb",
        (),
        decode,
        first=((query_text("tool_tables"), ()),),
    )
