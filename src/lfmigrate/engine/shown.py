"""Holds a command to what was shown before its question was answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lfmigrate.errors import Refused
from lfmigrate.rows.dump import Emptied


def labels(tables: Iterable[Emptied]) -> dict[str, int | None]:
    """Return tables as `refuse_more_than_shown` compares them."""
    return {f"table {table.schema}.{table.name}": table.rows for table in tables}


def refuse_more_than_shown(
    shown: Mapping[str, int | None], now: Mapping[str, int | None], *, saved: bool
) -> None:
    """Refuse what goes beyond what was shown, because another session has changed it meanwhile.

    Args:
        shown: What was shown, with its number of rows, or None.
        now: What the command would do now.
        saved: Whether the rows are saved first, so that there may be more of them.

    Raises:
        Refused: There is something else, or there are more rows that nothing saves.
    """
    more = [
        what if rows is None else f"{what}, rows: {rows:,}"
        for what, rows in now.items()
        if what not in shown or (not saved and (rows or 0) > (shown[what] or 0))
    ]
    if more:
        raise Refused(
            "this is not what was confirmed: another session has changed it meanwhile",
            detail=more,
            hint="Run the command again, and look at what it shows now.",
        )
