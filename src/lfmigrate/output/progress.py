"""Shows that a command works: how many statements have run, and how many rows have moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console, OverflowMethod
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from lfmigrate.output.page import counted, size
from lfmigrate.output.working import Working

if TYPE_CHECKING:
    from lfmigrate.postgres.wire import Answer
    from lfmigrate.rows.dump import CopyProgress

# Leaves room for what is being done.
_BAR_WIDTH = 16


@contextmanager
def progress_line(console: Console, printable: Callable[[str], str]) -> Iterator[Working]:
    """Show a line that is updated in place, and cleared at the end."""
    # An ellipsis is a character that not every terminal has.
    overflow: OverflowMethod = "crop" if console.options.ascii_only else "ellipsis"
    with Progress(
        SpinnerColumn("line"),  # ASCII, which every terminal has
        BarColumn(bar_width=_BAR_WIDTH),
        TimeElapsedColumn(table_column=Column(no_wrap=True, overflow=overflow)),
        # What is being done has the rest of the line, and is cut if it needs more.
        TextColumn(
            "{task.description}", table_column=Column(no_wrap=True, overflow=overflow, ratio=1)
        ),
        expand=True,
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("working", total=None)
        done = 0

        def update(words: str, completed: int = 0, total: int | None = None) -> None:
            bar.start()  # it may be hidden
            # Without a known total, the bar only shows that work goes on. A full one would stop
            # the clock.
            bar.update(
                task,
                description=printable(words),
                completed=completed,
                total=None if total is None else max(total, completed + 1),
            )

        def statement(answer: Answer[Any]) -> None:
            nonlocal done
            if answer.statement is not None:
                done += 1
                update(f"{done} done  last {answer.statement.file}:{answer.statement.line}")

        def rows(moved: CopyProgress) -> None:
            count = "" if moved.rows is None else f"{counted(moved.rows, 'row')}, "
            of = "" if moved.of_bytes is None else f" of {size(moved.of_bytes)}"
            update(f"{moved.table}: {count}{size(moved.bytes)}{of}", moved.bytes, moved.of_bytes)

        yield Working(statement, rows, bar.stop)
