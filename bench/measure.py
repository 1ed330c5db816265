"""What the benchmarks share: a server, fresh databases, timed programs and a table."""

from __future__ import annotations

import getpass
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from lfmigrate.postgres import embedded

ROOT = Path(__file__).parent.parent

# A usual round trip to a cloud database.
ROUND_TRIP_MS = 30

# How much of a failed program's output is shown; the cause is at the end.
OUTPUT_CHARACTERS = 2000


@dataclass(frozen=True)
class Settings:
    """What the command line asks for.

    Attributes:
        url: The URL of a database that a superuser may connect to.
        runs: How often each thing is measured; medians are shown.
        peers: Whether to install the other tools if they are missing.
    """

    url: str
    runs: int
    peers: bool


@dataclass(frozen=True)
class Run:
    """One run of a program: the wall time of the whole process, and its flights."""

    elapsed_s: float
    flights: int = 0


@dataclass
class Samples:
    """All runs of one program in one situation."""

    runs: list[Run] = field(default_factory=list)

    @property
    def elapsed_s(self) -> float:
        """The median of the wall times."""
        return statistics.median(run.elapsed_s for run in self.runs)

    @property
    def flights(self) -> str:
        """The number of flights, or the range if it was not always the same."""
        least = min(run.flights for run in self.runs)
        most = max(run.flights for run in self.runs)
        return f"{least}" if least == most else f"{least}-{most}"


def server_url() -> str:
    """Return the URL of the server that LFMIGRATE_TEST_URL names, or of an embedded one.

    The embedded one is left with its default settings, so commits do reach the disk.
    """
    if named := os.environ.get("LFMIGRATE_TEST_URL"):
        return named
    return embedded.start(Path(tempfile.gettempdir()) / f"lfmigrate-bench-{getpass.getuser()}")


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Create an empty database on the same server and yield its URL; it is dropped afterwards."""
    name = f"lf_bench_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield make_conninfo(url, dbname=name)
    finally:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def timed(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> float:
    """Run a program to its end and return the wall time in seconds.

    Args:
        command: The program and its arguments.
        environment: Variables that it gets in addition to ours.

    Raises:
        RuntimeError: It failed; the message has the end of its output.
    """
    variables = {**os.environ, **(environment or {})}
    started = perf_counter()
    done = subprocess.run(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    elapsed_s = perf_counter() - started
    if done.returncode != 0:
        start = " ".join(map(str, command[:3]))
        output = done.stdout[-OUTPUT_CHARACTERS:]
        raise RuntimeError(f"{start} ... ended with exit code {done.returncode}\n{output}")
    return elapsed_s


def say(text: str) -> None:
    """Report progress on standard error; standard output has the tables."""
    print(text, file=sys.stderr, flush=True)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table: the first column to the left, the numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *others])} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    print(f"\n{title}\n\n{line(header)}\n|{rule}|")
    for row in rows:
        print(line(row))
    sys.stdout.flush()
