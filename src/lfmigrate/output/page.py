"""The page that a report is written on, and the words and colours of all reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rich.console import RenderableType
from rich.text import Text

from lfmigrate.output import tables
from lfmigrate.output.tables import Column

if TYPE_CHECKING:
    from lfmigrate.catalog.sessions import Server

# A text, or a text with its style.
Span: TypeAlias = str | tuple[str, str]

# Green, red and magenta are readable on light and dark backgrounds; yellow, cyan and blue are not
# on one of the two. The words alone say everything.
STYLES = {
    "created": "green",
    "applied": "green",
    "accepted": "green",
    "adopted": "green",
    "repaired": "green",
    "ok": "green",
    "skipped": "",
    "planned": "",
    "replaced": "magenta",
    "altered": "magenta",
    "unchanged": "dim",
    "pending": "bold",
    "edited": "bold magenta",
    "file_missing": "bold red",
    "conflict": "bold red",
    "rolled_back": "bold red",
    "drifted": "bold red",
    "dropped": "bold red",
    "missing": "bold red",
    "unexpected": "bold red",
    "broken": "bold red",
}

# How far a part of something is indented.
INDENT = 2

# Longer diffs are cut; the JSON has all of it.
_MOST_DIFF_LINES = 12

# What a terminal would take for a command, in a name that a user gave an object.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class OnServer(Protocol):
    """A report of something that was done on a server."""

    @property
    def server(self) -> Server:
        """Return the server."""

    @property
    def schema(self) -> str:
        """Return the schema for unqualified names."""


@dataclass(slots=True)
class Page:
    """What a report is written on, part by part, from top to bottom.

    Every text passes ``clean`` before it is broken over lines: half a password on each of two
    lines would not be recognized.

    Attributes:
        width: How many columns there are.
        elapsed_ms: How long the command has taken.
        clean: Removes passwords.
        quiet: Whether only problems are wanted.
        verbose: Whether everything is wanted.
        preview: Whether a question follows, and nothing has been done yet.
        source: Which files it is about.
        origins: Where folder, format and database were configured, a line each.
        ascii_only: Whether the terminal may be unable to show anything else.
        is_terminal: Whether lines have to be broken at that width; a pipe has none.
        parts: What has been written.
    """

    width: int
    elapsed_ms: float
    clean: Callable[[str], str] = str
    quiet: bool = False
    verbose: bool = False
    preview: bool = False
    source: str = ""
    origins: Sequence[str] = ()
    ascii_only: bool = False
    is_terminal: bool = True
    parts: list[RenderableType] = field(default_factory=list)

    @property
    def seconds(self) -> str:
        """Return how long the command has taken, as people read it."""
        return f"{self.elapsed_ms / 1000:.2f} s"

    def headline(self, what: str, report: OnServer) -> None:
        """Write what was done where with which files, and a blank line."""
        major, minor = divmod(report.server.version, 10000)
        where = (
            f": database {report.server.database}, schema {report.schema},"
            f" PostgreSQL {major}.{minor}{', ' if self.source else ''}{self.source}"
        )
        headline = f"{what} preview" if self.preview else f"lfmigrate {what}"
        self.first_line((headline, "bold"), where)
        for origin in self.origins if self.verbose else ():
            self.hanging("", origin)
        self.blank()

    def first_line(self, *spans: Span) -> None:
        """Write what a report is about."""
        text = self._text(*spans)
        text.no_wrap = not self.is_terminal  # the first line has all of it
        self.parts.append(text)

    def line(self, *spans: Span) -> None:
        """Write a line, which is broken between words where it is too long."""
        self.parts.append(self._text(*spans))

    def blank(self) -> None:
        """Write a blank line."""
        self.parts.append(Text())

    def path(self, path: Path) -> None:
        """Write a path on a line of its own, which is never broken, so that it can be copied."""
        text = self._text(str(path))
        text.no_wrap = True
        self.parts.append(text)

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Span]]) -> None:
        """Write a table; one column of it wraps."""
        cells = [[self._cell(span) for span in row] for row in rows]
        self.parts.append(
            tables.table(columns, cells, width=self.width, ascii_only=self.ascii_only)
        )

    def hanging(self, label: Span, body: str, *, indent: int = INDENT) -> None:
        """Write a label and a text whose further lines stay to the right of it."""
        self.parts.append(tables.hanging(self._text(label), self._text(body), indent=indent))

    def facts(self, lines: Sequence[str]) -> None:
        """Write the lines of an error, under each other: a caret stands below its character."""
        for line in lines:
            self.hanging("", line)

    def grid(self, rows: Sequence[Sequence[str]]) -> None:
        """Write cells below each other, without headings; long ones wrap."""
        cells = [[self._text(cell) for cell in row] for row in rows]
        self.parts.append(tables.grid(cells, indent=INDENT))

    def diff(self, lines: Sequence[str], *, indent: int = INDENT, whole: bool = False) -> None:
        """Write the lines of a unified diff; only the first ones, unless all are to be read."""
        styles = {"+": "green", "-": "red"}
        most = len(lines) if whole else _MOST_DIFF_LINES
        for line in lines[:most]:
            body = self._text((line, styles.get(line[:1], "dim")))
            self.parts.append(tables.hanging(Text(), body, indent=indent))
        if len(lines) > most:
            more = f"... {len(lines) - most} more lines; --json shows all"
            self.parts.append(tables.hanging(Text(), Text(more, style="dim"), indent=indent))

    def _text(self, *spans: Span) -> Text:
        text = Text()
        for span in spans:
            words, style = span if isinstance(span, tuple) else (span, "")
            text.append(printable(self.clean(words)), style=style)
        return text

    def _cell(self, span: Span) -> Text:
        words, style = span if isinstance(span, tuple) else (span, "")
        # A name may hold a line break, which must not break the table.
        words = printable(self.clean(words)).replace("\n", r"\n").replace("\t", r"\t")
        return Text(words, style=style)


def printable(text: str) -> str:
    """Return a text with control characters escaped, but for line breaks and tabs."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def word(status: str, text: str = "") -> Span:
    """Return a status, or what it is called here, in its colour."""
    return text or status.replace("_", " "), STYLES.get(status, "")


def counted(count: int, thing: str, things: str = "") -> str:
    """Return a number of things, such as ``1 row`` or ``1,024 rows``."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def size(count: int) -> str:
    """Return a number of bytes as people read it, in powers of 1,000."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:  # noqa: PLR2004 (what the units count in)
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
