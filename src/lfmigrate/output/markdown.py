"""Reports and errors as Markdown, for the summary of a job."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lfmigrate.errors import LfmigrateError
from lfmigrate.output.dispatch import draw
from lfmigrate.output.page import INDENT, Page, Span, printable
from lfmigrate.output.tables import Column

# What Markdown or HTML reads as its own, wherever it is; an underscore between letters is none.
_OWN = re.compile(r"[\\`*\[\]<>|~$&]|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|@(?=\w)")
# What it would do so at the beginning of a line.
_FIRST = re.compile(r"^(\s*)(?=[#+=<-]|\d+[.)])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;", "//": "&#47;/"}

# GitHub refuses a summary of more than 1 MiB.
_MOST_BYTES = 900_000


@dataclass(slots=True)
class MarkdownPage(Page):
    """A page that is written in Markdown; it has no width.

    Attributes:
        text: What has been written.
    """

    text: list[str] = field(default_factory=list)

    def first_line(self, *spans: Span) -> None:
        self.line(*spans)

    def line(self, *spans: Span) -> None:
        words = "".join(self._marked(span) for span in spans)
        # Two blanks at the end break the line.
        self.text.append(f"{_FIRST.sub('&#8203;', words.strip())}  " if words.strip() else "")

    def blank(self) -> None:
        if self.text and self.text[-1]:
            self.text.append("")

    def path(self, path: Path) -> None:
        self.line(str(path))

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Span]]) -> None:
        self.blank()
        self.text.append(_row([escaped(column.heading) for column in columns]))
        self.text.append(_row(["---:" if column.number else "---" for column in columns]))
        self.text += [_row([self._marked(span) for span in row]) for row in rows]
        self.text.append("")

    def hanging(self, label: Span, body: str, *, indent: int = INDENT) -> None:
        words = label if isinstance(label, str) else label[0]
        self.line("\u2003" * (indent // INDENT), words, " " if words else "", body)

    def facts(self, lines: Sequence[str]) -> None:
        self.code(lines)

    def grid(self, rows: Sequence[Sequence[str]]) -> None:
        for row in rows:
            self.line("\u2003", " ".join(row))

    def diff(self, lines: Sequence[str], *, indent: int = INDENT, whole: bool = False) -> None:
        _ = indent, whole  # a summary has room
        self.code(lines, "diff")

    def code(self, lines: Sequence[str], language: str = "text") -> None:
        """Write lines as they are, under each other."""
        shown = [printable(self.clean(line)) for line in lines]
        longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
        fence = "`" * max(3, longest + 1)
        self.text += [f"{fence}{language}", *shown, fence]

    def _marked(self, span: Span) -> str:
        words, style = span if isinstance(span, tuple) else (span, "")
        text = escaped(self.clean(words))
        if "bold" in style and text.strip():
            bare = text.strip()
            text = text.replace(bare, f"**{bare}**", 1)
        return text


def escaped(words: str) -> str:
    """Return a text that Markdown shows as it is, in a paragraph and in a cell of a table."""
    plain = printable(words).replace("\t", " ")
    text = _OWN.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), plain)
    return text.replace("\n", "<br>")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def summary(
    title: str,
    reports: Sequence[object],
    error: LfmigrateError | None,
    *,
    elapsed_ms: float,
    clean: Callable[[str], str],
    source: str = "",
) -> str:
    """Return the summary of a command.

    Args:
        title: The command.
        reports: What it has reported.
        error: Why it failed; None if it did not.
        elapsed_ms: How long it took.
        clean: Removes passwords.
        source: Whose files it is about, if they are another tool's.
    """
    end = "succeeded" if error is None else f"failed (exit code {error.exit_code})"
    page = MarkdownPage(width=0, elapsed_ms=elapsed_ms, clean=clean, source=source)
    page.text += [f"## {escaped(title)} {end}", ""]
    for report in reports:
        for note in getattr(report, "notes", ()):
            page.line(("warning: ", "bold"), note)
        page.blank()
        draw(report, page)
    if error is not None:
        page.blank()
        page.line(("error: ", "bold"), error.message)
        # A caret stands below its character.
        if facts := [fact for fact in (error.place, *error.facts) if fact]:
            page.code(facts)
        if error.hint:
            page.blank()
            page.line(("hint: ", "bold"), error.hint)
    return _cut("\n".join([*page.text, "", ""]))


def _cut(text: str) -> str:
    """Return as many lines of a text as a summary may have."""
    content = text.encode("utf-8", "replace")
    if len(content) <= _MOST_BYTES:
        return text
    kept = content[:_MOST_BYTES].rpartition(b"\n")[0].decode()
    return f"{kept}\n\nThe rest was cut; the log has all of it.\n\n"
