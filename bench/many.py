"""A thousand pending migrations, a table and an index each, over a slow link."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path

from bench.measure import ROUND_TRIP_MS, Samples, Settings, fresh_database, say
from bench.result import Goal, Table
from bench.tools import Work, installed_tools, run_from_afar

MIGRATIONS = 1000

AT_MOST_S = 5.0


def run(settings: Settings) -> list[Table]:
    """Measure and return the table."""
    # The others would add minutes and show nothing that dbmate does not.
    tools = [tool for tool in installed_tools() if tool.name in {"lfmigrate", "psql -f", "dbmate"}]
    samples: dict[str, Samples] = defaultdict(Samples)
    with tempfile.TemporaryDirectory() as name:
        work = _write_work(Path(name, "sql"))
        folders = {tool.name: Path(name, tool.name) for tool in tools}
        for tool in tools:
            folders[tool.name].mkdir()
            tool.write(work, folders[tool.name])
        for number in range(1, settings.runs + 1):
            for tool in tools:
                say(f"many: round {number} of {settings.runs}, {tool.name}")
                up = partial(tool.up, work, folders[tool.name])
                with fresh_database(settings.url) as url:
                    samples[tool.name].runs.append(run_from_afar(up, url, ROUND_TRIP_MS))
    quickest = min(samples.values(), key=lambda sample: sample.elapsed_s)
    rows = [
        (name, sample.flights, sample.seconds(1), f"{sample.over(quickest):.1f}")
        for name, sample in samples.items()
    ]
    header = ("", "flights", f"{ROUND_TRIP_MS} ms, s", "of the quickest")
    goal = Goal(
        f"seconds for {MIGRATIONS:,} pending migrations at {ROUND_TRIP_MS} ms",
        AT_MOST_S,
        samples["lfmigrate"].elapsed_s,
    )
    return [Table(f"{MIGRATIONS:,} pending migrations", header, rows, goals=[goal])]


def _write_work(folder: Path) -> Work:
    folder.mkdir()
    scripts = tuple(
        f"CREATE TABLE measure_{number} (id bigint PRIMARY KEY, name text NOT NULL);\n"
        f"CREATE INDEX measure_{number}_name_idx ON measure_{number} (name);\n"
        for number in range(1, MIGRATIONS + 1)
    )
    for number, text in enumerate(scripts, 1):
        stem = f"{number:04}_measure"
        (folder / f"{stem}.up.sql").write_text(text, encoding="utf-8")
        down = f"DROP TABLE IF EXISTS measure_{number};\n"
        (folder / f"{stem}.down.sql").write_text(down, encoding="utf-8")
    return Work(folder, scripts)
