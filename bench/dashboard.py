"""How fast the dashboard answers: each document, compared with the health check of the same run."""

from __future__ import annotations

import csv
import io
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import lfmigrate
from bench.measure import Command, Settings, fresh_database, say
from bench.result import Goal, NotMeasured, Table

# From the checkout: a server that runs is not slowed down by an editable install, and the
# environment that is measured elsewhere has no extras.
LFMIGRATE = Path(sys.executable).parent / "lfmigrate"

HEALTH = "/api/health"
FIRST_PAGE = "/api/performance-insights"
ADDRESSES = (
    HEALTH,
    FIRST_PAGE,
    "/api/cost-categories",
    "/api/cost-categories/acute-rehab",
    "/api/recommendations",
    "/api/recommendations/3",
    "/",
)

# 10 workers with 5 requests a second each: 50 requests/s.
STEADY = ("hey", "-c", "10", "-q", "5", "-z", "5s", "-o", "csv")
AT_MOST = ("wrk", "-c", "8", "-t", "1", "-d", "5")
PERCENTILES = (50, 95, 99)
OK = "200"

AT_MOST_P95_MS = 25.0
AT_LEAST_RATE = 300.0
AT_MOST_MB = 80.0


@dataclass(frozen=True)
class Load:
    """One round with one address.

    Attributes:
        rate: Requests per second of the steady load.
        times_ms: Their percentiles, in the order of `PERCENTILES`.
        most: Requests per second, as many as it can.
    """

    rate: float
    times_ms: tuple[float, ...]
    most: float


def run(settings: Settings) -> list[Table]:
    """Measure and return the tables."""
    missing = [tool for tool in ("hey", "wrk") if shutil.which(tool) is None]
    if missing:
        raise NotMeasured(f"it needs {' and '.join(missing)}: apt-get install hey wrk")
    loads: dict[str, list[Load]] = defaultdict(list)
    with fresh_database(settings.url) as url:
        with lfmigrate.connect(url) as conn:
            folder = lfmigrate.read_folder(lfmigrate.shipped_folder())
            lfmigrate.up(conn, folder)
            lfmigrate.seed(conn, folder)
        with _served(url) as (base, process):
            at_start = _resident_mb(process.pid)
            for address in ADDRESSES:
                _get(base + address)  # the first one connects, and is not counted
            for number in range(1, settings.runs + 1):
                for address in ADDRESSES:
                    say(f"dashboard: round {number} of {settings.runs}, {address}")
                    loads[address].append(_load(base + address))
            at_end = _resident_mb(process.pid)
    memory = Table(
        "The dashboard's memory (RSS)",
        ("", "MB"),
        [("at the start", f"{at_start:.0f}"), ("after the load", f"{at_end:.0f}")],
        goals=[Goal("MB of the dashboard after the load", AT_MOST_MB, at_end)],
    )
    return [_loads_table(loads), memory]


def _loads_table(loads: dict[str, list[Load]]) -> Table:
    figures = {address: _medians(each) for address, each in loads.items()}
    base = figures[HEALTH]
    rows = []
    for address, (rate, *times_ms, most) in figures.items():
        slower = [
            f"{time:.1f} ({time / usual:.1f})"
            for time, usual in zip(times_ms, base[1:-1], strict=True)
        ]
        rows.append((address, f"{rate:.0f}", *slower, f"{most:.0f} ({most / base[-1]:.2f})"))
    header = ("", "requests/s", *(f"p{p}, ms" for p in PERCENTILES), "at most, requests/s")
    rate, *times_ms, most = figures[FIRST_PAGE]
    return Table(
        f"The dashboard; in parentheses the ratio to {HEALTH}",
        header,
        rows,
        goals=[
            Goal(f"p95 of {FIRST_PAGE} in ms", AT_MOST_P95_MS, times_ms[PERCENTILES.index(95)]),
            Goal(f"requests/s of {FIRST_PAGE} under full load", AT_LEAST_RATE, most, is_least=True),
        ],
    )


def _medians(loads: Sequence[Load]) -> list[float]:
    rows = [(each.rate, *each.times_ms, each.most) for each in loads]
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def _load(address: str) -> Load:
    """Put a steady load on an address, and then all that it can bear.

    Raises:
        RuntimeError: An answer was not 200.
    """
    # hey asks for compressed answers, as browsers do.
    rows = list(csv.DictReader(io.StringIO(_output([*STEADY, address]))))
    if not rows or {row["status-code"] for row in rows} != {OK}:
        raise RuntimeError(f"{address} did not always answer with {OK}")
    times_ms = sorted(float(row["response-time"]) * 1000 for row in rows)
    hundredths = statistics.quantiles(times_ms, n=100, method="inclusive")
    last_s = max(float(row["offset"]) + float(row["response-time"]) for row in rows)
    text = _output([*AT_MOST, "-H", "Accept-Encoding: gzip", address])
    found = re.search(r"^Requests/sec: +([\d.]+)", text, re.MULTILINE)
    if found is None or "Non-2xx" in text:
        raise RuntimeError(f"{address} did not always answer with {OK}")
    percentiles = tuple(hundredths[p - 1] for p in PERCENTILES)
    return Load(len(rows) / last_s, percentiles, float(found[1]))


@contextmanager
def _served(url: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `lfmigrate serve` and yield its address without the last slash, and its process."""
    command: Command = [LFMIGRATE, "serve", "--database-url", url, "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 (it is a pipe)
            yield process.stdout.readline().strip().rstrip("/"), process
        finally:
            process.send_signal(signal.SIGINT)


def _get(address: str) -> None:
    with urlopen(address) as answer:  # noqa: S310 (our own server)
        answer.read()


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _resident_mb(process_id: int) -> float:
    return int(_output(["ps", "-o", "rss=", "-p", str(process_id)])) / 1024
