"""Where a command's output goes."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from lfmigrate.errors import LfmigrateError, UsageError
from lfmigrate.output.dispatch import draw
from lfmigrate.output.document import each_text
from lfmigrate.output.lines import fitted, wrapped
from lfmigrate.output.page import INDENT, Page, printable
from lfmigrate.output.working import Working

if TYPE_CHECKING:
    from lfmigrate.postgres.wire import Answer

# A pipe has no width; what reads it should get each row on one line.
_PIPE_WIDTH = 160

# How much of a statement -v shows.
_STATEMENT_WIDTH = 100

# What GitHub Actions takes for a command at the beginning of a line: "::error::", "##[error]".
_COMMAND = re.compile(r"^\s*(?=::|##\[)")


class Screen:
    """A command's standard output and standard error.

    Reports go to standard output, everything else to standard error; with ``--json`` one document
    goes to standard output and nothing else is printed. Each text passes ``clean`` on its way.
    """

    def __init__(
        self,
        *,
        as_json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        clean: Callable[[str], str] = str,
        in_actions: bool = False,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self._json = as_json
        self._quiet = quiet
        self._verbose = verbose
        self.clean = clean
        self._in_actions = in_actions
        self._out = _console(out or sys.stdout)
        self._err = _console(err or sys.stderr)
        # What reads a pipe should get each message on one line.
        self._wraps = _has_width(self._err.file)

    def show(
        self,
        report: object,
        *,
        elapsed_ms: float,
        preview: bool = False,
        source: str = "",
        origins: Sequence[str] = (),
    ) -> None:
        """Print a report for people; with ``--json`` the caller prints the document instead.

        Args:
            report: A command's report.
            elapsed_ms: How long the command has taken.
            preview: Whether a question follows, and nothing has been done yet.
            source: Which files it is about.
            origins: Where folder, format and database were configured, a line each.
        """
        if self._json:
            return
        self._warn(getattr(report, "notes", ()))
        page = Page(
            width=self._out.width,
            elapsed_ms=elapsed_ms,
            clean=self.clean,
            quiet=self._quiet and not preview,  # what is not shown cannot be confirmed
            verbose=self._verbose,
            preview=preview,
            source=source,
            origins=origins,
            ascii_only=self._out.options.ascii_only,
            is_terminal=_has_width(self._out.file),
        )
        draw(report, page)
        # Tables pad their last column; in a file, those blanks are noise.
        rendered = self._rendered(page.parts).splitlines()
        lines = [self._no_command(line.rstrip()) for line in rendered]
        if lines:
            self._write("\n".join(lines) + "\n")

    def document(self, document: dict[str, Any]) -> None:
        """Print the JSON document of a command, if JSON was asked for."""
        if self._json:
            # Cleaned before it is encoded: escapes would hide a password's beginning.
            encoding = getattr(self._out.file, "encoding", None) or "ascii"
            text = json.dumps(
                each_text(document, self.clean),
                ensure_ascii=not encoding.lower().startswith("utf"),
                indent=2,
            )
            self._write(text + "\n")

    def fail(self, error: LfmigrateError) -> None:
        """Print an error; with ``--json`` the document has it, and nothing is printed here."""
        if not self._json:
            width = self._err.width if self._wraps else None
            for line, hang in _error_lines(error, width):
                self._say(line, hang=hang)

    def write(self, text: str) -> None:
        """Print a text for a program as it is, in UTF-8; nothing with ``--json``.

        It is not cleaned: a changed text would be another program.
        """
        if not self._json:
            reconfigure = getattr(self._out.file, "reconfigure", None)
            if reconfigure is not None:
                # The terminal's encoding may lack a letter.
                reconfigure(encoding="utf-8", errors="surrogateescape")
            self._write(text)

    def annotate(self, line: str) -> None:
        """Print a line for the CI that runs the command, which is clean, and is never broken."""
        self._err.file.write(line + "\n")
        self._err.file.flush()

    def print(self, line: str) -> None:
        """Print a line that a program may read."""
        self._write(self._printable(line) + "\n")

    def prompt(self, question: str) -> None:
        """Print a question, after which the answer is typed."""
        lines = self._broken(Text(self._printable(question)), 0)
        self._err.file.write("\n".join(line.plain for line in lines) + " ")
        self._err.file.flush()

    def say(self, line: str) -> None:
        """Print a line of progress or advice."""
        if not self._quiet and not self._json:
            self._say(Text(line, style="dim"))

    def warn(self, line: str) -> None:
        """Print a warning, even with ``-q``."""
        if not self._json:
            self._warn([line])

    @contextmanager
    def progress(self) -> Iterator[Working]:
        """Show how statements run and rows move: on a terminal, and with ``-v`` line by line."""
        if self._verbose and not self._json:
            yield Working(statement=self._trace)
        # Not `is_terminal`, which FORCE_COLOR sets for a pipe, too: a log wants colours, no frames.
        elif self._quiet or self._json or not self._err.file.isatty() or self._err.is_dumb_terminal:
            yield Working()
        else:
            from lfmigrate.output.progress import progress_line  # noqa: PLC0415 (slow to import)

            with progress_line(self._err, self._printable) as working:
                yield working

    def _trace(self, answer: Answer[Any]) -> None:
        statement = answer.statement
        if statement is None:
            return
        line = Text(f"{answer.elapsed_ms:8.1f} ms  ", style="dim")
        line.append(f"{statement.file}:{statement.line}  ", style="bold")
        line.append(" ".join(statement.text.split())[:_STATEMENT_WIDTH])
        self._say(line)
        for notice in answer.notices:
            self._say(Text(f"             {notice.message}", style="dim"))

    def _warn(self, notes: Sequence[str]) -> None:
        for note in notes:
            label = "warning: "
            self._say(Text.assemble((label, "bold magenta"), note), hang=len(label))

    def _say(self, text: Text, *, hang: int = 0) -> None:
        """Print a message; where it is too long for the terminal, further lines are indented."""
        clean = self._printable(text.plain)
        for line in self._broken(text if clean == text.plain else Text(clean), hang):
            plain = self._no_command(line.plain)
            self._err.print(line if plain == line.plain else Text(plain), soft_wrap=True)

    def _no_command(self, line: str) -> str:
        """Return a line that GitHub Actions does not take for a command.

        A name or a message of the server may contain one.
        """
        return _COMMAND.sub(lambda found: f"{found[0]}\\", line) if self._in_actions else line

    def _broken(self, text: Text, hang: int) -> Iterator[Text]:
        for line in text.split("\n", allow_blank=True):
            yield from wrapped(line, self._err.width, hang=hang) if self._wraps else [line]

    def _rendered(self, parts: Sequence[RenderableType]) -> str:
        """Lay parts out for standard output, without writing there: `_write` knows how to."""
        page = io.StringIO()
        out = self._out
        console = Console(
            file=page,
            width=out.width,
            force_terminal=out.is_terminal,
            # Rich's own names for what it found; it takes a StringIO for no terminal.
            color_system=out.color_system,  # type: ignore[arg-type]  # rich types it as literals
            no_color=out.no_color,
            highlight=False,
            emoji=False,
            markup=False,
        )
        for part in parts:
            # A path is to be copied, so it is never broken over lines. A table is laid out already.
            unbroken = isinstance(part, Text) and part.no_wrap is True
            console.print(part, soft_wrap=unbroken, crop=False)
        return page.getvalue()

    def _printable(self, text: str) -> str:
        return printable(self.clean(text))

    def _write(self, text: str) -> None:
        try:
            self._out.file.write(text)
            self._out.file.flush()
        except OSError as error:
            problem = UsageError(
                f"cannot write to standard output: {error.strerror}",
                hint='Run "lfmigrate status" to see what was done.',
            )
            problem.outcome = None  # something may have been changed
            raise problem from None


class _Console(Console):
    """Recognizes a terminal that may show nothing but ASCII."""

    @property
    def encoding(self) -> str:
        """Return the encoding, or ``ascii`` where the terminal may be unable to show more.

        Python writes UTF-8 in the C locale, too, and to dumb terminals.
        """
        variables = ("LC_ALL", "LC_CTYPE", "LANG")
        locale = next((os.environ[name] for name in variables if os.environ.get(name)), "")
        if locale in {"C", "POSIX"} or os.environ.get("TERM") == "dumb":
            return "ascii"
        return super().encoding


def _console(file: TextIO) -> Console:
    # Rich reads NO_COLOR, COLUMNS and TERM from the environment itself.
    width = None if _has_width(file) else _PIPE_WIDTH
    return _Console(file=file, width=width, highlight=False, emoji=False, markup=False)


def _has_width(file: IO[str]) -> bool:
    return file.isatty() or "COLUMNS" in os.environ


def _error_lines(error: LfmigrateError, width: int | None) -> Iterator[tuple[Text, int]]:
    """Return the lines of an error, each with how far it is indented where it is too long."""
    yield Text.assemble(("error: ", "bold red"), error.message), len("error: ")
    state = f"SQLSTATE {error.sqlstate}" if error.sqlstate else ""
    if error.place or state:
        place = ", ".join(p for p in (error.place, state) if p)
        yield Text(" " * INDENT + place, style="bold"), 2 * INDENT
    facts = error.facts if width is None else fitted(error.facts, width - INDENT)
    for line in facts:
        yield Text(" " * INDENT + line), 2 * INDENT
    if error.hint:
        yield Text.assemble(("hint: ", "bold"), error.hint), len("hint: ")
