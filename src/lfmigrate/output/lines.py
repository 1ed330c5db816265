"""Breaks messages over the lines of a terminal, so that what is to be copied stays whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.cells import cell_len
from rich.text import Text

from lfmigrate.errors import excerpt

# What is quoted, such as a command or a directive, is to be copied as one.
_UNITS = re.compile(r'"[^"\n]*"\S*|\S+')
_WORDS = re.compile(r"\S+")

# A line of a file, as `lfmigrate.postgres.wire.point_at` shows it; below it may be a caret.
_SOURCE = re.compile(r"(\d+ \| )(.*)", re.DOTALL)


def wrapped(text: Text, width: int, *, hang: int) -> list[Text]:
    """Break a text into lines between words, never inside one, so that options stay whole.

    Args:
        text: One line.
        width: How many columns there are; a wider word stays whole.
        hang: How far further lines are indented.

    Returns:
        The lines, with their styles.
    """
    lines: list[Text] = []
    begin = end = 0
    for first, last in _units(text.plain, width - hang):
        room = width if not lines else width - hang
        if end > begin and cell_len(text.plain[begin:last]) > room:
            lines.append(text[begin:end])
            begin = first
        end = last
    lines.append(text[begin:end])
    return [lines[0], *(Text(" " * hang).append_text(line) for line in lines[1:])]


def _units(plain: str, room: int) -> Iterator[tuple[int, int]]:
    """Return where the parts begin and end that stay whole."""
    for unit in _UNITS.finditer(plain):
        if cell_len(unit[0]) <= room:
            yield unit.span()
        else:
            yield from (word.span() for word in _WORDS.finditer(plain, *unit.span()))


def fitted(facts: Sequence[str], width: int) -> list[str]:
    """Cut the lines of files that a caret points into, so that it stays below its character.

    Args:
        facts: The details of an error, a line each.
        width: How many columns there are.
    """
    lines = list(facts)
    for place, (line, below) in enumerate(pairwise(facts)):
        source = _SOURCE.fullmatch(line)
        if source is None or below.strip() != "^" or cell_len(line.expandtabs()) <= width:
            continue
        indent = len(source[1])
        text, column = source[2].expandtabs(), _column(source[2], below, indent)
        shown, at = text, column
        room = width - indent - len("......")
        while cell_len(shown) > width - indent and room > 0:
            shown, at = excerpt(text, column, room)
            room -= 1  # a character may be wider than one column
        lines[place] = f"{source[1]}{shown}"
        lines[place + 1] = " " * (indent + cell_len(shown[: at - 1])) + "^"
    return lines


def _column(source: str, below: str, indent: int) -> int:
    """Return the column that a caret points to, when tabs are expanded."""
    return len(source[: len(below) - 1 - indent].expandtabs()) + 1
