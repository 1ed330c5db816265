"""Measure lfmigrate: ``python -m bench flights``."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from bench import (
    connecting,
    dashboard,
    flights,
    foreign,
    growth,
    installed,
    many,
    peers,
    report,
    rows,
    startup,
)
from bench.measure import Settings, say, server_url
from bench.report import Section
from bench.result import NotMeasured, Table


class Benchmark(NamedTuple):
    """What is measured, and how often by default."""

    run: Callable[[Settings], list[Table]]
    runs: int
    purpose: str


BENCHMARKS = {
    "startup": Benchmark(
        startup.run, 20, "`--version` and `--help`, compared with importing typer"
    ),
    "flights": Benchmark(flights.run, 7, "flights and time of the shipped migration"),
    "connecting": Benchmark(connecting.run, 1, "flights before the first query"),
    "foreign": Benchmark(foreign.run, 5, "verify in a database with 20,000 other tables"),
    "rows": Benchmark(
        rows.run, 5, "backup and restore of two million rows, compared with `\\copy`"
    ),
    "seed": Benchmark(rows.run_seed, 3, "a seed of two million rows, compared with `\\copy`"),
    "dashboard": Benchmark(dashboard.run, 3, "the dashboard's documents, with hey and wrk"),
    "growth": Benchmark(growth.run, 3, "10 to 10,000 migrations, events and tables of others"),
    # Once, because psql takes a minute and dbmate four, and the differences are large.
    "many": Benchmark(many.run, 1, "1,000 pending migrations over a slow link"),
}


# Those that compare with nothing that has to be installed.
OWN = {"startup", "connecting", "foreign", "rows", "seed", "dashboard", "growth"}


def main() -> int:
    """Run the benchmarks that the command line names, or all; return the exit code."""
    options = parse(sys.argv[1:])
    installed.install()
    if not OWN.issuperset(options.names or BENCHMARKS):
        peers.install()
    url = options.url or server_url()
    machine, versions = report.machine(), report.versions(url)
    sections = []
    for name in options.names or BENCHMARKS:
        runs = BENCHMARKS[name].runs if options.runs is None else options.runs
        section = _measure(name, Settings(url=url, runs=runs))
        sections.append(section)
        if section.problem:
            say(f"{name}: not measured: {section.problem}")
        for table in section.tables:
            print(f"\n{table.text()}", flush=True)
    # A part would replace the figures of a whole run.
    if not options.names:
        report.RESULTS.write_text(report.page(machine, versions, sections), encoding="utf-8")
    return int(any(section.has_failed for section in sections))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line; `names` is empty if all benchmarks are to run."""
    width = max(map(len, BENCHMARKS))
    listed = "\n".join(f"  {name:{width}}  {each.purpose}" for name, each in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"Measure lfmigrate and print tables.\n\n{listed}",
        epilog=f"Without a name, all are run, and the tables are also written to {report.RESULTS}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument(
        "--runs", type=_at_least_one, help="number of measurements; medians are shown"
    )
    parser.add_argument("--url", help="a superuser's database (default: an embedded server's)")
    options = parser.parse_args(arguments)
    # As `choices`, Python 3.11 would hold no name at all against them.
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark is named {unknown[0]}: {', '.join(BENCHMARKS)}")
    return options


def _at_least_one(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least one run is needed")
    return number


def _measure(name: str, settings: Settings) -> Section:
    benchmark = BENCHMARKS[name]
    section = Section(name, benchmark.purpose, settings.runs)
    try:
        return replace(section, tables=benchmark.run(settings))
    except NotMeasured as error:
        return replace(section, problem=str(error))
    # The figures of the others took minutes: one defect must not lose them.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        return replace(section, problem=f"{type(error).__name__}", has_failed=True)


if __name__ == "__main__":
    sys.exit(main())
