"""What the benchmarks share: a server, fresh databases, and timed programs."""

from __future__ import annotations

import getpass
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
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

# What the benchmarks install; git ignores it.
BENCH_FOLDER = ROOT / ".lfmigrate" / "bench"

# A program and its arguments.
Command = list[str | Path]

# A usual round trip to a cloud database, and one to another continent.
ROUND_TRIP_MS = 30
FAR_MS = 80

# How much of a failed program's output is shown; the cause is at the end.
OUTPUT_CHARACTERS = 2000


@dataclass(frozen=True)
class Settings:
    """What the command line asks for.

    Attributes:
        url: The URL of a database that a superuser may connect to.
        runs: How often each thing is measured.
    """

    url: str
    runs: int


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
    def most_flights(self) -> int:
        """The number of flights of the run that took most."""
        return max(run.flights for run in self.runs)

    @property
    def flights(self) -> str:
        """The number of flights, or the range if it was not always the same."""
        least, most = min(run.flights for run in self.runs), self.most_flights
        return f"{least}" if least == most else f"{least}-{most}"

    def seconds(self, digits: int = 3) -> str:
        """Return the median of the wall times; of several, with the least and the most."""
        times = [run.elapsed_s for run in self.runs]
        spread = f" ({min(times):.{digits}f}-{max(times):.{digits}f})" if len(times) > 1 else ""
        return f"{self.elapsed_s:.{digits}f}{spread}"

    def over(self, base: Samples) -> float:
        """Return the ratio of the median time to another one's."""
        return self.elapsed_s / base.elapsed_s


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


def timed(command: Command, environment: Mapping[str, str] | None = None) -> float:
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
