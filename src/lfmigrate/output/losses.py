"""What is lost, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lfmigrate.engine.losses import Lost
from lfmigrate.output.page import Page, size
from lfmigrate.output.tables import Column

_COLUMNS = (
    Column("Kind", drop=2),
    Column("Name", wraps=True),
    Column("Rows", number=True),
    Column("Size", number=True, drop=1),
)


def draw_losses(page: Page, losses: Sequence[Lost]) -> None:
    """Draw a table of losses."""
    page.table(
        _COLUMNS,
        [
            (
                lost.kind,
                lost.name,
                "" if lost.rows is None else f"{lost.rows:,}",
                "" if lost.bytes is None else size(lost.bytes),
            )
            for lost in losses
        ],
    )
    page.blank()


def lost_json(lost: Lost) -> dict[str, Any]:
    """Return a loss as JSON."""
    return {
        "kind": lost.kind,
        "name": lost.name,
        "rows": lost.rows,
        "deleted": lost.deleted,
        "bytes": lost.bytes,
    }
