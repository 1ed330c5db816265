"""How time, memory and flights grow with migrations, events, and tables of others."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psycopg

from bench.installed import LFMIGRATE
from bench.measure import Settings, fresh_database, say
from bench.proxy import Proxy, target_of, through
from bench.result import Goal, Table

MIGRATIONS = (10, 100, 1000, 10_000)
EVENTS = (100, 1000, 10_000)
OTHERS = (100, 2000, 20_000)

# One table per ten migrations: a run of 10,000 tables would hold more locks than a server with
# default settings has room for.
PER_TABLE = 10

GOAL = "up of 10,000 applied migrations, s"
GOAL_S = 1.5

# What is measured with other tables: few of our own.
OWN = 100

# One commit for so many other tables, for the same reason.
BATCH = 1000

# What `up` records in a history when a view file has run again.
_RECORD = """
    INSERT INTO lfmigrate.lfmigrate_history (run_id, schema_name, action, version, name, file,
        checksum, sql, down_sql, expected, elapsed_ms, tool_version)
    SELECT gen_random_uuid(), h.schema_name, h.action, h.version, h.name, h.file, h.checksum,
        h.sql, h.down_sql, h.expected, h.elapsed_ms, h.tool_version
    FROM generate_series(1, %s)
    CROSS JOIN (SELECT * FROM lfmigrate.lfmigrate_history WHERE action = 'view' LIMIT 1) AS h"""


# Runs a program from a small process: the peak of a program is at least that of its parent.
_WATCH = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
elapsed_s = time.perf_counter() - started
print(json.dumps([elapsed_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
sys.exit(done.returncode)
"""


class Point(NamedTuple):
    """One run of lfmigrate: what was counted, and what the process took.

    ``wall_s`` and ``cpu_s`` are seconds of the whole process, without the server.
    """

    size: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    flights: int
    received_kb: float


def run(settings: Settings) -> list[Table]:
    """Measure and return the tables."""
    with tempfile.TemporaryDirectory() as name:
        return [
            *_migrations(settings, Path(name)),
            _events(settings, Path(name, "events")),
            *_others(settings, Path(name, "others")),
        ]


def _migrations(settings: Settings, parent: Path) -> Iterator[Table]:
    steps: dict[str, tuple[str, ...]] = {
        "pending": ("up",),
        "nothing to do": ("up",),
        "verify": ("verify",),
        "status": ("status",),
        "rollback of one": ("rollback", "--yes", "--no-backup"),
    }
    points: dict[str, list[Point]] = {step: [] for step in steps}
    for size in MIGRATIONS:
        folder = _write(parent / f"{size}", size)
        with fresh_database(settings.url) as url:
            for step, command in steps.items():
                say(f"growth: {size} migrations, {step}")
                # What runs for a minute, or only once, is measured once.
                runs = settings.runs if step in {"nothing to do", "verify", "status"} else 1
                points[step].append(
                    _quickest(size, [*command, "--sql-dir", str(folder)], url, runs)
                )
    for step, found in points.items():
        most = found[-1]
        goals = [Goal(GOAL, GOAL_S, most.wall_s)] if step == "nothing to do" else []
        yield _table(f"Migrations: {step}", "migrations", found, goals)


def _events(settings: Settings, folder: Path) -> Table:
    _write(folder, OWN)
    (folder / "views").mkdir()
    text = "CREATE OR REPLACE VIEW v AS SELECT id, name FROM measure_1;\n"
    (folder / "views" / "v.sql").write_text(text, encoding="utf-8")
    command = ["up", "--sql-dir", str(folder)]
    found = []
    for size in EVENTS:
        with fresh_database(settings.url) as url:
            _measured(0, command, url)
            with psycopg.connect(url) as conn:
                conn.execute(_RECORD, [size])
            say(f"growth: a history of {size} events")
            found.append(_quickest(size, command, url, settings.runs))
    return _table(
        f"Events of a view file: up with nothing to do, {OWN} migrations", "events", found
    )


def _others(settings: Settings, folder: Path) -> Iterator[Table]:
    _write(folder, OWN)
    command = ["up", "--sql-dir", str(folder)]
    points: dict[str, list[Point]] = {"pending": [], "nothing to do": []}
    for size in OTHERS:
        with fresh_database(settings.url) as url:
            _create_others(url, size)
            say(f"growth: {size} other tables")
            points["pending"].append(_measured(size, command, url))
            points["nothing to do"].append(_quickest(size, command, url, settings.runs))
    for step, found in points.items():
        yield _table(f"Other tables: up of {OWN} migrations, {step}", "tables", found)


def _write(folder: Path, size: int) -> Path:
    """Write a folder in which each table is created by one migration and altered by nine."""
    folder.mkdir()
    for number in range(1, size + 1):
        table, place = f"measure_{(number - 1) // PER_TABLE + 1}", (number - 1) % PER_TABLE
        if place == 0:
            up = f"CREATE TABLE {table} (id bigint PRIMARY KEY, name text NOT NULL);\n"
            down = f"DROP TABLE {table};\n"
        else:
            up = f"ALTER TABLE {table} ADD COLUMN value_{place} numeric(12, 2);\n"
            down = f"ALTER TABLE {table} DROP COLUMN value_{place};\n"
        stem = f"{number:05}_measure"
        (folder / f"{stem}.up.sql").write_text(up, encoding="utf-8")
        (folder / f"{stem}.down.sql").write_text(down, encoding="utf-8")
    return folder


def _create_others(url: str, size: int) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        for first in range(0, size, BATCH):
            conn.execute(
                "DO $$ BEGIN FOR n IN "
                f"{first + 1}..{min(first + BATCH, size)}"
                " LOOP EXECUTE format('CREATE TABLE other_%s (id int, a text, b text)', n);"
                " END LOOP; END $$"
            )


def _quickest(size: int, command: Sequence[str], url: str, runs: int) -> Point:
    return min((_measured(size, command, url) for _ in range(runs)), key=lambda p: p.cpu_s)


def _measured(size: int, command: Sequence[str], url: str) -> Point:
    """Run lfmigrate in a process of its own, through a proxy.

    Raises:
        RuntimeError: It failed.
    """
    with Proxy(target_of(url)) as proxy:
        words = [LFMIGRATE, *command, "--database-url", through(url, proxy.port)]
        done = subprocess.run(
            [sys.executable, "-S", "-c", _WATCH, *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        elapsed_s, cpu_s, peak_mb = json.loads(done.stdout)
        return Point(size, elapsed_s, cpu_s, peak_mb, proxy.flights, proxy.bytes_down / 1024)


def _table(title: str, what: str, points: Sequence[Point], goals: Sequence[Goal] = ()) -> Table:
    """Return a line per size; the exponent is that of the wall time since the size before."""
    rows = []
    for place, each in enumerate(points):
        before = points[place - 1] if place else None
        exponent = ""
        if before is not None:
            growth = math.log(each.wall_s / before.wall_s) / math.log(each.size / before.size)
            exponent = f"{growth:.2f}"
        rows.append(
            (
                f"{each.size:,}",
                f"{each.wall_s:.2f}",
                f"{each.cpu_s:.2f}",
                f"{each.peak_mb:.0f}",
                f"{each.flights}",
                f"{each.received_kb:,.0f}",
                exponent,
            )
        )
    header = (what, "wall, s", "CPU, s", "peak, MB", "flights", "received, kB", "exponent")
    return Table(title, header, rows, goals=goals)
