"""What is lost, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lfmigrate.engine.losses import CHANGED, Lost
from lfmigrate.output.page import Page, size
from lfmigrate.output.tables import Column

_COLUMNS = (
    Column("Kind", folds=True),
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
                _kind(lost),
                lost.name,
                "" if lost.rows is None else f"{lost.rows:,}",
                "" if lost.bytes is None else size(lost.bytes),
            )
            for lost in losses
        ],
    )
    page.blank()


def _kind(lost: Lost) -> str:
    """Return what a loss is, in the words of a reader."""
    if lost.kind != CHANGED:
        return lost.kind
    if lost.deleted == 0:
        return "changed rows"
    return "deleted rows" if lost.deleted in {None, lost.rows} else "deleted and changed rows"


def lost_json(lost: Lost) -> dict[str, Any]:
    """Return a loss as JSON."""
    return {
        "kind": lost.kind,
        "name": lost.name,
        "rows": lost.rows,
        "deleted": lost.deleted,
        "bytes": lost.bytes,
    }
