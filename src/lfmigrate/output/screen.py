"""Prints reports and errors for people."""

from __future__ import annotations

import difflib
import io
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lfmigrate.commands.backup import BackupReport
from lfmigrate.commands.check import FolderReport
from lfmigrate.commands.new import NewReport
from lfmigrate.commands.restore import RestoreReport
from lfmigrate.commands.rollback import CHANGED, Lost, RollbackReport
from lfmigrate.commands.seed import SeedReport
from lfmigrate.commands.seed_check import CheckReport, CheckResult
from lfmigrate.commands.status import StatusReport
from lfmigrate.commands.up import MigrationResult, UpReport
from lfmigrate.commands.verify import VerifyReport
from lfmigrate.errors import LfmigrateError, UsageError
from lfmigrate.output.document import Report
from lfmigrate.postgres.wire import Answer
from lfmigrate.rows.dump import CopyProgress, OnCopy
from lfmigrate.schema.compare import Difference, Verdict
from lfmigrate.schema.relation import Relation

# Green, red and magenta are readable on light and on dark ground; yellow, cyan and blue are not on
# one of the two. The word says it all without them.
_STYLES = {
    "created": "green",
    "applied": "green",
    "repaired": "green",
    "ok": "green",
    "skipped": "",
    "planned": "",
    "replaced": "magenta",
    "altered": "magenta",
    "unchanged": "dim",
    "already_applied": "dim",
    "pending": "bold",
    "edited": "bold magenta",
    "file_missing": "bold red",
    "rolled_back": "bold red",
    "drifted": "bold red",
    "dropped": "bold red",
    "changed": "red",
    "unexpected": "bold magenta",
    "missing": "bold red",
    "broken": "bold red",
}

# The order of a summary: what happened first, what did not last.
_SUMMARY = (
    "created",
    "replaced",
    "altered",
    "dropped",
    "skipped",
    "ok",
    "unchanged",
    "drifted",
    "unexpected",
    "missing",
)

# What is worth a row even with -q.
_TROUBLE = frozenset({"drifted", "unexpected", "missing"})

# Below this width, the headings of the counts are cut short, so that names stay on one line.
_WIDE = 100

# A pipe has no width; what reads it should get each row on one line.
_PIPE_WIDTH = 160

# More migrations than this are told by the first and the last.
_MANY = 20

# Between two columns.
_GAP = 2

# The bar of a progress line, which leaves room for what is being done.
_BAR_WIDTH = 16

# A name is broken over lines rather than be given less than this.
_LEAST_NAME = 8

# Long texts (views, functions) are told by the lines that differ, this many at the most.
_DIFF_LINES = 12

# What a terminal would take for a command, in a name that somebody gave an object.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Working:
    """What to call while a command works, to show that it does.

    Attributes:
        statement: Called with each statement's answer; None if nothing is shown.
        rows: Called as rows move; None if nothing is shown.
        hide: Clears what is shown, before something is asked; the next call shows it again.
    """

    statement: Callable[[Answer[Any]], None] | None
    rows: OnCopy | None
    hide: Callable[[], None]


class Screen:
    """Where a command's output goes.

    Reports go to standard output, everything else to standard error; with ``--json`` one document
    goes to standard output and nothing else does. Each text passes ``clean`` on its way.
    """

    def __init__(
        self,
        *,
        as_json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        clean: Callable[[str], str] = str,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self._json = as_json
        self._quiet = quiet
        self._verbose = verbose
        self._clean = clean
        self._out = _console(out or sys.stdout)
        self._err = _console(err or sys.stderr)

    def show(self, report: Report, *, elapsed_ms: float) -> None:
        """Print a report as tables; with ``--json`` the caller prints the document instead."""
        if self._json:
            return
        self._warn(getattr(report, "notes", ()))
        parts = self._parts(report, elapsed_ms, self._out.width)
        # Tables pad their last column; nobody wants those blanks in a file.
        lines = [line.rstrip() for line in self._rendered(parts).splitlines()]
        if lines:
            self._write("\n".join(lines) + "\n")

    def _parts(self, report: Report, elapsed_ms: float, width: int) -> list[RenderableType]:
        parts: list[RenderableType]
        match report:
            case UpReport():
                report = replace(report, relations=self._cleaned(report.relations))
                parts = _up(report, elapsed_ms, quiet=self._quiet, width=width)
            case VerifyReport():
                report = replace(report, relations=self._cleaned(report.relations))
                parts = _verify(report, elapsed_ms, quiet=self._quiet, width=width)
            case StatusReport():
                parts = _status(report, quiet=self._quiet, width=width)
            case NewReport():
                parts = [_path(report.up), _path(report.down)]
            case RollbackReport():
                parts = _rollback(report, quiet=self._quiet, width=width)
            case BackupReport() | RestoreReport():
                parts = _saved(report, elapsed_ms, quiet=self._quiet, width=width)
            case SeedReport():
                parts = _seeded(report, elapsed_ms, quiet=self._quiet, width=width)
            case CheckReport():
                report = replace(report, checks=tuple(map(self._cleaned_check, report.checks)))
                parts = _checked(report, elapsed_ms, quiet=self._quiet, width=width)
            case FolderReport():
                parts = _proved(report, elapsed_ms, quiet=self._quiet, width=width)
        return parts

    def document(self, document: dict[str, Any]) -> None:
        """Print the JSON document of a command, if JSON was asked for."""
        if self._json:
            # Cleaned before it is encoded: escapes would hide a password's beginning.
            self._write(
                json.dumps(
                    _each_text(document, self._clean),
                    ensure_ascii=not self._out.encoding.startswith("utf"),
                    indent=2,
                )
                + "\n"
            )

    def fail(self, error: LfmigrateError) -> None:
        """Print an error; with ``--json`` it is in the document, and here nothing is said."""
        if not self._json:
            for line in _error_lines(error):
                self._say(line)

    def print(self, line: str) -> None:
        """Print a line that a program may read."""
        self._write(self._printable(line) + "\n")

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
            yield Working(self._trace, None, lambda: None)
            return
        if self._quiet or self._json or not self._err.is_terminal:
            yield Working(None, None, lambda: None)
            return
        with Progress(
            SpinnerColumn("line"),  # ASCII, which every terminal has
            BarColumn(bar_width=_BAR_WIDTH),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self._err,
            transient=True,
        ) as bar:
            task = bar.add_task("0 done", total=None)
            done = 0

            def tell(words: str, completed: int = 0, total: int | None = None) -> None:
                bar.start()  # it may be hidden
                # Where nobody knows how much is to come, the bar only shows that it goes on. One
                # that is full would stop the clock.
                bar.update(
                    task,
                    description=self._printable(words),
                    completed=completed,
                    total=None if total is None else max(total, completed + 1),
                )

            def statement(answer: Answer[Any]) -> None:
                nonlocal done
                if answer.statement is not None:
                    done += 1
                    tell(f"{done} done  last {answer.statement.file}:{answer.statement.line}")

            def rows(moved: CopyProgress) -> None:
                count = "" if moved.rows is None else f"{_rows(moved.rows)}, "
                of = "" if moved.of_bytes is None else f" of {_size(moved.of_bytes)}"
                tell(f"{moved.table}: {count}{_size(moved.bytes)}{of}", moved.bytes, moved.of_bytes)

            yield Working(statement, rows, bar.stop)

    def _trace(self, answer: Answer[Any]) -> None:
        statement = answer.statement
        if statement is None:
            return
        line = Text(f"{answer.elapsed_ms:8.1f} ms  ", style="dim")
        line.append(f"{statement.file}:{statement.line}  ", style="bold")
        line.append(" ".join(statement.text.split())[:100])
        self._say(line)
        for notice in answer.notices:
            self._say(Text(f"             {notice.message}", style="dim"))

    def _warn(self, notes: Sequence[str]) -> None:
        for note in notes:
            self._say(Text.assemble(("warning: ", "bold magenta"), note))

    def _say(self, text: Text) -> None:
        clean = self._printable(text.plain)
        self._err.print(text if clean == text.plain else Text(clean), soft_wrap=True)

    def _cleaned(self, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """Clean what may hold anything, before a table breaks it over lines."""
        return tuple(
            replace(
                verdict,
                relation=replace(
                    verdict.relation,
                    schema=self._printable(verdict.relation.schema),
                    name=self._printable(verdict.relation.name),
                ),
                differences=tuple(
                    replace(
                        d,
                        part=self._printable(d.part),
                        expected=None if d.expected is None else self._printable(d.expected),
                        live=None if d.live is None else self._printable(d.live),
                    )
                    for d in verdict.differences
                ),
            )
            for verdict in verdicts
        )

    def _cleaned_check(self, check: CheckResult) -> CheckResult:
        rows = tuple(
            {
                name: None if cell is None else self._printable(str(cell))
                for name, cell in row.items()
            }
            for row in check.rows
        )
        return replace(check, rows=rows)

    def _rendered(self, parts: Sequence[RenderableType]) -> str:
        """Lay parts out for standard output, without writing there: `_write` knows how to."""
        page = io.StringIO()
        out = self._out
        console = Console(
            file=page,
            width=out.width,
            force_terminal=out.is_terminal,
            # Rich's own names for what it found; it knows a StringIO for no terminal.
            color_system=out.color_system,  # type: ignore[arg-type]
            no_color=out.no_color,
            highlight=False,
            emoji=False,
            markup=False,
        )
        for part in parts:
            # A path is to be copied, so it is never broken over lines.
            console.print(part, soft_wrap=isinstance(part, Text) and part.no_wrap is True)
        return page.getvalue()

    def _printable(self, text: str) -> str:
        return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", self._clean(text))

    def _write(self, text: str) -> None:
        file = self._out.file
        try:
            file.write(text)
            file.flush()
        except OSError as error:
            _discard(file)
            # Whoever reads has read enough: "lfmigrate status | head" is no failure.
            if not isinstance(error, BrokenPipeError):
                problem = UsageError(
                    f"standard output cannot be written: {error.strerror}",
                    hint='What was done, was done; "lfmigrate status" shows it.',
                )
                problem.outcome = None  # something may have been changed
                raise problem from None


def _each_text(value: Any, clean: Callable[[str], str]) -> Any:  # noqa: ANN401 (JSON)
    match value:
        case str():
            return clean(value)
        case dict():
            return {key: _each_text(item, clean) for key, item in value.items()}
        case list() | tuple():
            return [_each_text(item, clean) for item in value]
    return value


def _console(file: TextIO) -> Console:
    # Rich asks the environment for NO_COLOR, COLUMNS and TERM itself.
    width = None if file.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return _PatientConsole(file=file, width=width, highlight=False, emoji=False, markup=False)


class _PatientConsole(Console):
    def on_broken_pipe(self) -> None:
        """Let the command end as it would have, although nobody reads its progress."""
        _discard(self.file)


def _discard(file: Any) -> None:  # noqa: ANN401 (a text stream)
    """Send what is still to come to nowhere; Python flushes each stream when it exits."""
    with suppress(OSError, ValueError):  # a stream without a number of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def _error_lines(error: LfmigrateError) -> Iterator[Text]:
    yield Text.assemble(("error: ", "bold red"), error.message)
    state = f"SQLSTATE {error.sqlstate}" if error.sqlstate else ""
    if error.place or state:
        yield Text("  " + ", ".join(p for p in (error.place, state) if p), style="bold")
    for line in error.facts:
        yield Text(f"  {line}")
    if error.hint:
        yield Text.assemble(("hint: ", "bold"), error.hint)


def _up(report: UpReport, elapsed_ms: float, *, quiet: bool, width: int) -> list[RenderableType]:
    relations = _relations(report.relations, report.schema, quiet=quiet, width=width)
    if quiet:
        return relations
    ran = [m for m in report.migrations if m.status != "already_applied"]
    lines: list[Text] = [_sentence(m) for m in ran]
    if len(ran) > _MANY:
        total_ms = sum(m.elapsed_ms or 0 for m in ran)
        lines = [
            lines[0],
            Text(f"... and {len(ran) - 2} more, {total_ms} ms in all"),
            lines[-1],
        ]
    if not ran:
        are = "migration is" if len(report.migrations) == 1 else "migrations are"
        lines = [Text(f"nothing is pending: {len(report.migrations)} {are} applied")]
    if report.dry_run:
        lines.append(Text("dry run: everything was rolled back, nothing was changed"))
    return [
        _headline("up --dry-run" if report.dry_run else "up", report),
        *relations,
        Text(),
        *lines,
        _counts(report.relations, elapsed_ms),
    ]


def _verify(
    report: VerifyReport, elapsed_ms: float, *, quiet: bool, width: int
) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if not quiet:
        parts.append(_headline("verify", report))
    parts += _relations(report.relations, report.schema, quiet=quiet, width=width)
    for edit in report.edited:
        head = Text.assemble(
            ("edited", _STYLES["edited"]), f" {edit.version}_{edit.name}, since it was applied"
        )
        parts += [Text(), head, _indented(_diff(edit.diff))]
    if not quiet:
        source = "the history" if report.source == "history" else "a replay of the files"
        parts += [
            Text(),
            Text(f"compared with {source}"),
            _counts(report.relations, elapsed_ms),
        ]
    return parts


def _status(report: StatusReport, *, quiet: bool, width: int) -> list[RenderableType]:
    rows = [
        (
            m.version,
            m.name,
            _word(m.status),
            m.event.executed_at[:19].replace("T", " ") if m.event else "",
            m.event.executed_by if m.event else "",
            str(m.event.elapsed_ms) if m.event else "",
        )
        for m in report.migrations
        if not quiet or m.status != "applied"
    ]
    headings = ("Version", "Name", "Status", "Applied at", "By", "ms")
    parts: list[RenderableType] = [] if quiet else [_headline("status", report)]
    if rows:
        parts.append(_table(headings, rows, width=width, numbers=1))
    waiting = [f"{v.view.name} ({v.status})" for v in report.views if v.status != "applied"]
    if waiting:
        parts += [Text(), Text(f"views to run: {', '.join(waiting)}")]
    if not quiet:
        counts = Counter(m.status for m in report.migrations)
        told = [f"{counts[s]} {_word(s)}" for s in ("edited", "file_missing") if counts[s]]
        pending = counts["pending"]
        applied = len(report.migrations) - pending
        if waiting:
            told.append(f"{len(waiting)} {'view' if len(waiting) == 1 else 'views'} to run")
        parts += [Text(), Text(", ".join([f"{applied} applied", f"{pending} pending", *told]))]
    return parts


def _rollback(report: RollbackReport, *, quiet: bool, width: int) -> list[RenderableType]:
    if quiet:
        return [] if report.backup is None else [_path(report.backup)]
    parts: list[RenderableType] = [
        _headline("rollback --dry-run" if report.dry_run else "rollback", report)
    ]
    if not report.migrations:
        return [*parts, Text("nothing is applied here that could be undone")]
    would = "would be " if report.dry_run else ""
    if report.lost:
        parts += [Text(f"{would}lost", style="bold"), _losses(report.lost, width), Text()]
    if report.dependents:
        title = f"{would}lost with it, and not made by the migration"
        parts += [Text(title, style="bold red"), _losses(report.dependents, width), Text()]
    for migration in report.migrations:
        label = f"{migration.version}_{migration.name} "
        parts.append(Text.assemble(label, _word(migration.status)))
    every = (*report.lost, *report.dependents)
    rows = sum(lost.rows or 0 for lost in every if lost.kind != CHANGED)
    changed = sum(lost.rows or 0 for lost in every if lost.kind == CHANGED)
    also = f", and {_rows(changed)} in tables whose rows change" if changed else ""
    parts.append(Text(f"{_rows(rows)} {would}lost{also}"))
    if report.dry_run:
        parts.append(Text("everything was rolled back, nothing was changed"))
    elif report.backup is not None:
        parts += [Text("saved in"), _path(report.backup)]
    else:
        parts.append(Text("no backup was made" if rows + changed else "there was no row to save"))
    return parts


def _losses(losses: Sequence[Lost], width: int) -> RenderableType:
    rows = [
        (
            lost.kind,
            _CONTROL.sub("?", lost.name),
            "" if lost.rows is None else f"{lost.rows:,}",
            "" if lost.bytes is None else _size(lost.bytes),
        )
        for lost in losses
    ]
    return _table(("Kind", "Name", "Rows", "Size"), rows, width=width, numbers=2)


def _saved(
    report: BackupReport | RestoreReport, elapsed_ms: float, *, quiet: bool, width: int
) -> list[RenderableType]:
    if quiet:
        return []
    rows = [(_CONTROL.sub("?", t.name), f"{t.rows:,}", _size(t.bytes)) for t in report.tables]
    what = "backup" if isinstance(report, BackupReport) else "restore"
    total = sum(table.rows for table in report.tables)
    done = "saved" if isinstance(report, BackupReport) else "restored"
    parts: list[RenderableType] = [_headline(what, report)]
    if rows:
        # The name gives way, as everywhere: it is the second column.
        numbered = [(str(number), *row) for number, row in enumerate(rows, 1)]
        parts += [_table(("", "Table", "Rows", "CSV"), numbered, width=width, numbers=2), Text()]
    if isinstance(report, RestoreReport) and report.saved is not None:
        parts += [Text("what was there before is saved in"), _path(report.saved)]
    return [*parts, Text(f"{_rows(total)} {done}; {elapsed_ms / 1000:.2f} s"), _path(report.path)]


def _seeded(
    report: SeedReport, elapsed_ms: float, *, quiet: bool, width: int
) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if report.lost and not quiet:
        # The name gives way, as everywhere: it is the second column.
        emptied = [("table", _CONTROL.sub("?", t.name), f"{t.rows:,}") for t in report.lost]
        total = sum(table.rows for table in report.lost)
        parts += [
            Text(f"{'would be emptied' if report.dry_run else 'emptied'}: {_rows(total)}\n"),
            _table(("Kind", "Name", "Rows"), emptied, width=width, numbers=1),
            Text(),
        ]
    if report.tables and not quiet:
        rows = [
            (str(number), _CONTROL.sub("?", t.name), f"{t.inserted:,}", f"{t.kept:,}")
            for number, t in enumerate(report.tables, 1)
        ]
        parts.append(_table(("", "Table", "Inserted", "Kept"), rows, width=width, numbers=2))
        inserted = sum(table.inserted for table in report.tables)
        kept = sum(table.kept for table in report.tables)
        end = "; rolled back, this was a dry run" if report.dry_run else ""
        parts += [
            Text(),
            Text(f"{_rows(inserted)} inserted, {kept:,} kept; {elapsed_ms / 1000:.2f} s{end}"),
        ]
    if report.backup is not None:
        parts += [Text("what was there before is saved in"), _path(report.backup)]
    if parts and not quiet:
        parts.insert(0, _headline("seed", report))
    return parts


def _checked(
    report: CheckReport, elapsed_ms: float, *, quiet: bool, width: int
) -> list[RenderableType]:
    shown = [check for check in report.checks if check.count or not quiet]
    if not shown:
        return []
    rows = [(_word(check.status), check.meaning, f"{check.count:,}") for check in shown]
    parts: list[RenderableType] = [_headline("seed --check", report)]
    parts.append(_table(("Status", "Check", "Offending"), rows, width=width, numbers=1))
    for check in shown:
        if check.count:
            parts += [Text(), Text(f"{check.name}.sql", style="bold"), _indented(_offending(check))]
    good = sum(1 for check in report.checks if not check.count)
    parts += [
        Text(),
        Text(f"{good} of {len(report.checks)} checks hold; {elapsed_ms / 1000:.2f} s"),
    ]
    return parts


def _proved(
    report: FolderReport, elapsed_ms: float, *, quiet: bool, width: int
) -> list[RenderableType]:
    shown = [proof for proof in report.proofs if proof.status == "broken" or not quiet]
    if not shown:
        return []
    rows = [(_word(proof.status), proof.name) for proof in shown]
    parts: list[RenderableType] = [_headline("check", report)]
    parts.append(_table(("Status", "Check"), rows, width=width, numbers=0))
    for proof in shown:
        if proof.problems:
            lines = Text("\n".join(_CONTROL.sub("?", line) for line in proof.problems))
            parts += [Text(), Text(proof.name, style="bold"), _indented(lines)]
    if report.findings is not None and not quiet:
        lines = Text("\n".join(report.findings) or "nothing")
        parts += [Text(), Text("squawk has found", style="bold"), _indented(lines)]
    good = sum(1 for proof in report.proofs if proof.status == "ok")
    return [
        *parts,
        Text(),
        Text(f"{good} of {len(report.proofs)} hold; {elapsed_ms / 1000:.2f} s"),
    ]


def _offending(check: CheckResult) -> RenderableType:
    names = list(check.rows[0]) if check.rows else []
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    for _ in names:
        grid.add_column(overflow="fold")
    for row in check.rows:
        grid.add_row(*("" if row.get(name) is None else str(row[name]) for name in names))
    left = check.count - len(check.rows)
    return Group(grid, Text(f"... {left:,} more")) if left else grid


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _size(count: int) -> str:
    """Return a number of bytes as people read it, in powers of 1,000."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 (what the units count in)
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _path(path: Path) -> Text:
    return Text(_CONTROL.sub("?", str(path)), no_wrap=True)


def _headline(
    what: str,
    report: UpReport
    | VerifyReport
    | StatusReport
    | RollbackReport
    | BackupReport
    | RestoreReport
    | SeedReport
    | CheckReport
    | FolderReport,
) -> Text:
    major, minor = divmod(report.server.version, 10000)
    return Text.assemble(
        (f"lfmigrate {what}", "bold"),
        f": database {report.server.database}, schema {report.schema},"
        f" PostgreSQL {major}.{minor}\n",
    )


def _relations(
    verdicts: Sequence[Verdict], schema: str, *, quiet: bool, width: int
) -> list[RenderableType]:
    shown = [v for v in verdicts if not quiet or v.status in _TROUBLE]
    if not shown:
        return []
    rows = [
        (v.relation.kind, _name(v.relation, schema), _word(v.status), *_count_cells(v.relation))
        for v in shown
    ]
    counts = ("Columns", "Indexes", "Constraints") if width >= _WIDE else ("Col", "Idx", "Con")
    parts: list[RenderableType] = [
        _table(("Kind", "Name", "Status", *counts), rows, width=width, numbers=len(counts))
    ]
    parts += [_differences(v, schema) for v in shown if v.differences]
    return parts


def _count_cells(relation: Relation) -> tuple[str, str, str]:
    """Return the three counts; empty where the kind has none of that sort."""
    if relation.kind in {"table", "foreign table", "materialized view", "view"}:
        columns = str(relation.count("column"))
        if relation.kind == "view":
            return columns, "", ""
        return columns, str(relation.index_count), str(relation.count("constraint"))
    return "", "", ""


def _differences(verdict: Verdict, schema: str) -> RenderableType:
    relation = verdict.relation
    head = Text.assemble(
        (verdict.status, _STYLES[verdict.status]), f" {relation.kind} {_name(relation, schema)}"
    )
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for difference in verdict.differences:
        grid.add_row(*_difference(difference))
    return Group(Text(), head, _indented(grid))


def _difference(difference: Difference) -> tuple[Text, RenderableType]:
    part, expected, live = difference.part, difference.expected, difference.live
    if expected is None:
        return _word("unexpected"), Text(f"{part}: {_one_line(live or '')}")
    if live is None:
        return _word("missing"), Text(f"{part}: {_one_line(expected)}")
    if _one_line(expected) != _one_line(live) and part != "definition":
        both = Table.grid(padding=(0, _GAP, 0, 0))
        both.add_column(no_wrap=True)
        both.add_column(overflow="fold")
        both.add_row("expected", Text(_one_line(expected)))
        both.add_row("found", Text(_one_line(live)))
        return _word("changed"), Group(Text(part), both)
    lines = difflib.unified_diff(
        expected.splitlines(), live.splitlines(), "expected", "found", lineterm="", n=1
    )
    diff = _diff([line for line in lines if not line.startswith("@@")])
    return _word("changed"), Group(Text(part), diff)


def _indented(item: RenderableType) -> RenderableType:
    grid = Table.grid()
    grid.add_column(width=_GAP)
    grid.add_column(overflow="fold")
    grid.add_row("", item)
    return grid


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _diff(lines: Sequence[str]) -> RenderableType:
    text = Text()
    for line in lines[:_DIFF_LINES]:
        style = "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
        text.append(line + "\n", style=style)
    if len(lines) > _DIFF_LINES:
        text.append(f"... {len(lines) - _DIFF_LINES} more lines; --json has all\n", style="dim")
    text.rstrip()
    return text


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str | Text]], *, width: int, numbers: int
) -> Table:
    """Return a table whose second column, the name, gives way where there is no room.

    Args:
        headings: One for each column.
        rows: As many cells each.
        width: How much room there is.
        numbers: How many of the last columns are aligned on the right.
    """
    widest = [
        max(len(heading), *(cell_len(str(row[i])) for row in rows))
        for i, heading in enumerate(headings)
    ]
    room = max(_LEAST_NAME, width - sum(widest) + widest[1] - _GAP * (len(widest) - 1))
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP - 1, 0, 0),
        header_style="bold",
    )
    for i, heading in enumerate(headings):
        right = i >= len(headings) - numbers
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(row[0], _broken(str(row[1]), room), *row[2:])
    return table


def _broken(name: str, room: int) -> str:
    """Break a name over lines where its words end, if it has to be broken."""
    lines = [""]
    for word in re.findall(r"[^_.,(]*[_.,(]*", name):
        if lines[-1] and cell_len(lines[-1] + word) > room:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _name(relation: Relation, schema: str) -> str:
    """Return a relation's name, with its schema where that is not the usual one."""
    if relation.schema in {"", schema}:
        return relation.name
    return f"{relation.schema}.{relation.name}"


def _word(status: str) -> Text:
    return Text(status.replace("_", " "), style=_STYLES.get(status, ""))


def _counts(verdicts: Sequence[Verdict], elapsed_ms: float) -> Text:
    counts = Counter(verdict.status for verdict in verdicts)
    text = Text(f"{len(verdicts)} {'relation' if len(verdicts) == 1 else 'relations'}")
    for place, status in enumerate(s for s in _SUMMARY if counts[s]):
        text.append(", " if place else ": ")
        text.append(f"{counts[status]} {status}", style=_STYLES[status])
    return text.append(f"; {elapsed_ms / 1000:.2f} s")


def _sentence(migration: MigrationResult) -> Text:
    label = f"{migration.version}_{migration.name} "
    word = _word(migration.status)
    if migration.status == "planned":
        if migration.elapsed_ms is None:
            return Text.assemble(label, word, ": not tried")
        return Text.assemble(label, word, f": ran in {migration.elapsed_ms} ms, rolled back")
    return Text.assemble(label, word, f" in {migration.elapsed_ms} ms")
