"""What a benchmark returns: tables of text, and the goals that its figures are held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class NotMeasured(Exception):  # noqa: N818 (it is no error: the others are measured all the same)
    """Something that a benchmark needs is missing; the text says what."""


@dataclass(frozen=True)
class Goal:
    """A limit for one figure of a table.

    Attributes:
        what: The figure, with its unit.
        limit: The most that it may be, or the least.
        measured: What it is.
        is_least: Whether the limit is the least.
    """

    what: str
    limit: float
    measured: float
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure, which is not rounded, keeps the limit."""
        return self.measured >= self.limit if self.is_least else self.measured <= self.limit


@dataclass(frozen=True)
class Table:
    """One table of results.

    Attributes:
        title: What was measured.
        columns: The headings; the first one is that of the names, which may be empty.
        rows: A name and its figures, as they are shown.
        notes: Sentences about this run, shown below the table.
        goals: What the figures are held to.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    goals: Sequence[Goal] = ()

    def text(self) -> str:
        """Return it as Markdown: the title, the table, and the notes."""
        notes = "\n".join(f"- {note}" for note in self.notes)
        parts = (self.title, markdown(self.columns, self.rows), notes)
        return "\n\n".join(filter(None, parts))


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: the first column to the left, the numbers to the right."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *others])} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([line(columns), f"|{rule}|", *map(line, rows)])
