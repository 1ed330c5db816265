"""Measure lfmigrate: ``python -m bench flights``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

from bench import dashboard, flights, foreign, growth, many, rows, startup
from bench.measure import Settings, server_url


class Benchmark(NamedTuple):
    """What is measured, and how often by default."""

    run: Callable[[Settings], None]
    runs: int
    purpose: str


BENCHMARKS = {
    "startup": Benchmark(startup.run, 20, "lfmigrate --version, compared with importing typer"),
    "flights": Benchmark(flights.run, 5, "flights and time of the shipped migration"),
    "foreign": Benchmark(foreign.run, 5, "verify in a database with 20,000 other tables"),
    "rows": Benchmark(rows.run, 5, "backup and restore of two million rows, compared with \\copy"),
    "seed": Benchmark(rows.run_seed, 3, "a seed of two million rows, compared with \\copy"),
    "dashboard": Benchmark(dashboard.run, 3, "the dashboard's documents, with hey and wrk"),
    "growth": Benchmark(growth.run, 3, "10 to 10,000 migrations, events and tables of others"),
    # Once, because psql takes a minute and dbmate four, and the differences are large.
    "many": Benchmark(many.run, 1, "1,000 pending migrations over a slow link"),
}


def main() -> None:
    """Run the benchmarks that the command line names."""
    width = max(map(len, BENCHMARKS))
    listed = "\n".join(f"  {name:{width}}  {each.purpose}" for name, each in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"Measure lfmigrate and print tables.\n\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", choices=[*BENCHMARKS, "all"], metavar="NAME")
    parser.add_argument("--runs", type=int, help="number of measurements; medians are shown")
    parser.add_argument("--peers", action="store_true", help="install dbmate and node-pg-migrate")
    parser.add_argument("--url", help="a superuser's database (default: an embedded server's)")
    options = parser.parse_args()
    url = options.url or server_url()
    for name in BENCHMARKS if "all" in options.names else options.names:
        benchmark = BENCHMARKS[name]
        runs = benchmark.runs if options.runs is None else options.runs
        benchmark.run(Settings(url=url, runs=runs, peers=options.peers))


if __name__ == "__main__":
    main()
