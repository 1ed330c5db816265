"""The page of a whole run, `results.md`: the machine, the versions, the goals and every table."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench import peers
from bench.installed import LFMIGRATE, PYTHON
from bench.measure import ROOT
from bench.result import Goal, Table, markdown

RESULTS = Path(__file__).parent / "results.md"

HEAD = """\
# Results of the benchmarks

Written by `make bench`; [README.md](README.md) says what is measured, and how. Times are medians;
the least and the most are in parentheses."""


@dataclass(frozen=True)
class Section:
    """What came of one benchmark.

    Attributes:
        name: Of the benchmark.
        purpose: What it measures.
        runs: How often each thing was measured.
        tables: Its results; none if it could not measure.
        problem: Why it has none.
        has_failed: Whether that is a defect, and nothing that is merely missing.
    """

    name: str
    purpose: str
    runs: int
    tables: Sequence[Table] = ()
    problem: str = ""
    has_failed: bool = False

    def text(self) -> str:
        """Return it as Markdown."""
        body = [f"### {table.text()}" for table in self.tables]
        if self.problem:
            body = [f"Not measured: {self.problem}"]
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        return "\n\n".join([f"## {self.name}: {self.purpose} ({runs})", *body])


def page(machine: str, versions: str, sections: Sequence[Section]) -> str:
    """Return the whole page as Markdown.

    Args:
        machine: As `machine` returns it, from before the first measurement.
        versions: As `versions` returns them.
        sections: The benchmarks, in the order in which they ran.
    """
    goals = [goal for each in sections for table in each.tables for goal in table.goals]
    parts = [HEAD, machine, versions, _goals(goals), *(each.text() for each in sections)]
    return "\n\n".join(parts) + "\n"


def machine() -> str:
    """Return a list of facts about the machine, and its load now."""
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    facts = [
        ("started", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("CPU", _cpu()),
        ("cores", str(os.cpu_count())),
        ("memory", f"{memory_bytes / 2**30:.0f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("load at the start (1, 5, 15 min)", load),
    ]
    return f"## Machine\n\n{_listed(facts)}"


def versions(url: str) -> str:
    """Return a list of the programs and their versions.

    Args:
        url: A database of the server that is measured.
    """
    with psycopg.connect(url) as conn:
        server = conn.info.parameter_status("server_version") or ""
    libpq = "import psycopg; print(psycopg.__version__, 'with libpq', psycopg.pq.version())"
    facts = [
        ("lfmigrate", f"{_last_word(LFMIGRATE)}, source {_source()}"),
        ("Python", platform.python_version()),
        ("psycopg", _output(PYTHON, "-c", libpq)),
        ("PostgreSQL", server),
    ]
    if psql := peers.psql():
        # Debian adds its own version in parentheses.
        facts.append(("psql", _output(psql, "--version").split()[2]))
    if dbmate := peers.dbmate():
        facts.append(("dbmate", _last_word(dbmate)))
    if peers.node_pg_migrate():
        node = f"{peers.FROM_NPM['node-pg-migrate']}, Node {_last_word('node')}"
        facts.append(("node-pg-migrate", node))
    if peers.alembic():
        facts.append(("Alembic", peers.FROM_PYPI["alembic"]))
    if peers.yoyo():
        facts.append(("yoyo", peers.FROM_PYPI["yoyo-migrations"]))
    facts += [(name, "not measured: in none of npm, PyPI, Debian") for name in peers.UNAVAILABLE]
    return f"## Versions\n\n{_listed(facts)}"


def _goals(goals: Sequence[Goal]) -> str:
    rows = [
        (
            goal.what,
            f"at {'least' if goal.is_least else 'most'} {goal.limit:g}",
            f"{goal.measured:.3g}",
            "yes" if goal.is_met else "**no**",
        )
        for goal in goals
    ]
    return f"## Goals\n\n{markdown(('', 'goal', 'measured', 'met'), rows)}"


def _listed(facts: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts)


def _cpu() -> str:
    """Return the CPU's model, as Linux knows it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return models[0] if models else platform.machine()


def _source() -> str:
    """Return the commit that is checked out, and whether something differs from it."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return "unknown"
    return _output("git", "-C", ROOT, "describe", "--always", "--dirty=, with changes")


def _last_word(program: str | Path) -> str:
    """Return the version of a program that writes it at the end."""
    return _output(program, "--version").split()[-1]


def _output(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()
