"""Lays out tables: which columns there is room for, and where long names are broken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

# Between two columns: the padding of one cell, and the box's own blank.
GAP = 2

# A name may take two lines before a column is dropped. In less than so many columns whole names
# matter more than counts, so columns are dropped first.
_MOST_LINES = 2
_NARROW = 60

# The longest word of a kind, as in "materialized view".
_FOLDED = 12

# rich replaces a box that is not ASCII by one with frames where only ASCII can be shown.
_ASCII = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        heading: Its heading.
        short: The heading where the table would otherwise not fit.
        number: Whether its cells are aligned on the right.
        drop: The order in which columns are dropped where there is no room, from 1; 0: never.
        wraps: Whether its cells may take several lines; one column of a table has this.
        folds: Whether its cells are broken between words on a narrow terminal, where the table
            would otherwise not fit.
    """

    heading: str
    short: str = ""
    number: bool = False
    drop: int = 0
    wraps: bool = False
    folds: bool = False


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], *, width: int, ascii_only: bool
) -> Table:
    """Return a table that is at most ``width`` wide, unless a single word is wider.

    Headings are shortened first; then columns are dropped until each name takes at most two lines,
    broken after a word, never inside one. On a narrow terminal they are dropped until each name
    takes one line, if that is enough.
    """
    flexible = next(i for i, column in enumerate(columns) if column.wraps)
    headings = [column.heading for column in columns]
    if _natural_width(headings, rows) > width:
        headings = [column.short or column.heading for column in columns]
    if width < _NARROW and _natural_width(headings, rows) > width:
        rows = [
            [_folded(cell) if c.folds else cell for c, cell in zip(columns, row, strict=True)]
            for row in rows
        ]
    widths = _widths(headings, rows)
    names = [row[flexible].plain for row in rows]

    shown = _shown(columns, widths, names, flexible=flexible, width=width)
    room = _room(widths, shown, flexible, width)
    lines = [broken(name, room) for name in names]
    widths[flexible] = max(
        cell_len(headings[flexible]), *(cell_len(line) for cell in lines for line in cell)
    )

    grid = Table(
        box=_ASCII if ascii_only else box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
        header_style="bold",
        # Exactly as wide as it is: rich would otherwise squeeze a column and cut words.
        width=sum(widths[i] for i in shown) + GAP * (len(shown) - 1),
    )
    for index in shown:
        grid.add_column(
            headings[index],
            justify="right" if columns[index].number else "left",
            width=widths[index],
            no_wrap=True,
        )
    for row, cell in zip(rows, lines, strict=True):
        name = Text("\n".join(cell), style=row[flexible].style)
        grid.add_row(*(name if index == flexible else row[index] for index in shown))
    return grid


def broken(name: str, room: int) -> list[str]:
    """Break a name into lines at most ``room`` wide, after a word; a wider word stays whole."""
    lines = [""]
    for word in re.findall(r"[^ _.,(]*[ _.,(]*", name):
        if lines[-1] and cell_len(lines[-1] + word.rstrip()) > room:
            lines.append("")
        lines[-1] += word
    return [line.rstrip() for line in lines]


def _folded(cell: Text) -> Text:
    return Text("\n".join(broken(cell.plain, _FOLDED)), style=cell.style)


def hanging(label: Text, body: Text, *, indent: int) -> Table:
    """Return a label and a text whose further lines stay to the right of it."""
    grid = Table.grid(padding=0)
    grid.add_column(width=indent)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("", label, body)
    return grid


def grid(rows: Sequence[Sequence[Text]], *, indent: int) -> Table:
    """Return cells below each other, without headings; long ones wrap."""
    cells = Table.grid(padding=(0, GAP, 0, 0))
    cells.add_column(width=indent - GAP)
    for _ in rows[0] if rows else ():
        cells.add_column(overflow="fold")
    for row in rows:
        cells.add_row("", *row)
    return cells


def _widths(headings: Sequence[str], rows: Sequence[Sequence[Text]]) -> list[int]:
    return [
        max(cell_len(heading), *(cell_len(x) for row in rows for x in row[i].plain.split("\n")))
        for i, heading in enumerate(headings)
    ]


def _natural_width(headings: Sequence[str], rows: Sequence[Sequence[Text]]) -> int:
    return sum(_widths(headings, rows)) + GAP * (len(headings) - 1)


def _shown(
    columns: Sequence[Column],
    widths: Sequence[int],
    names: Sequence[str],
    *,
    flexible: int,
    width: int,
) -> list[int]:
    """Return the columns that there is room for, by their place."""
    order = sorted((i for i, c in enumerate(columns) if c.drop), key=lambda i: columns[i].drop)
    choices = [
        [i for i in range(len(columns)) if i not in order[:dropped]]
        for dropped in range(len(order) + 1)
    ]
    for most_lines in (1, _MOST_LINES) if width < _NARROW else (_MOST_LINES,):
        for shown in choices:
            room = _room(widths, shown, flexible, width)
            if all(_fits(name, room, most_lines) for name in names):
                return shown
    return choices[-1]


def _fits(name: str, room: int, most_lines: int) -> bool:
    lines = broken(name, room)
    return len(lines) <= most_lines and all(cell_len(line) <= room for line in lines)


def _room(widths: Sequence[int], shown: Sequence[int], flexible: int, width: int) -> int:
    """Return how wide the flexible column may be, next to the others that are shown."""
    return width - sum(widths[i] + GAP for i in shown if i != flexible)
