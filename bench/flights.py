"""Flights and wall time of the shipped migration: a first run, one with nothing to do, verify."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.measure import FAR_MS, ROUND_TRIP_MS, Command, Samples, Settings, fresh_database, say
from bench.result import Goal, Table
from bench.tools import Tool, installed_tools, run_from_afar, shipped_work, verify_command

FIRST = "first up"
AGAIN = "up again"
VERIFY = "verify"

OWN = "lfmigrate"

# What the others are compared with: of the tools that keep a history, the quickest.
YARDSTICK = "dbmate"

ROUND_TRIPS_MS = (0, ROUND_TRIP_MS, FAR_MS)

MOST_FLIGHTS = {FIRST: 4, AGAIN: 3, VERIFY: 3}

# For the time of a first run, as a ratio to the yardstick's.
AT_MOST = {ROUND_TRIP_MS: 0.75, FAR_MS: 0.5}

# By step, tool and round trip.
Measured = dict[tuple[str, str, int], Samples]


def run(settings: Settings) -> list[Table]:
    """Measure and return a table for each step."""
    tools = installed_tools()
    measured = _measure(settings, tools)
    return [_table(step, tools, measured) for step in (FIRST, AGAIN, VERIFY)]


def _measure(settings: Settings, tools: list[Tool]) -> Measured:
    work = shipped_work()
    measured: Measured = defaultdict(Samples)
    with tempfile.TemporaryDirectory() as name:
        folders = {tool.name: Path(name, tool.name) for tool in tools}
        for tool in tools:
            folders[tool.name].mkdir()
            tool.write(work, folders[tool.name])
        # Round 0 warms the caches of the disk and is thrown away.
        for number in range(settings.runs + 1):
            say(f"flights: round {number} of {settings.runs}")
            # The tools take turns, so that a slow moment of the machine hits all of them.
            for tool in tools:
                for round_trip_ms in ROUND_TRIPS_MS:
                    up = partial(tool.up, work, folders[tool.name])
                    with fresh_database(settings.url) as url:
                        steps: dict[str, Callable[[str], Command]] = {FIRST: up, AGAIN: up}
                        if tool.name == OWN:
                            steps[VERIFY] = verify_command
                        for step, command in steps.items():
                            result = run_from_afar(command, url, round_trip_ms)
                            if number > 0:
                                measured[step, tool.name, round_trip_ms].runs.append(result)
    return measured


def _table(step: str, tools: list[Tool], measured: Measured) -> Table:
    names = [tool.name for tool in tools if (step, tool.name, ROUND_TRIP_MS) in measured]
    rows = []
    for name in names:
        samples = [measured[step, name, ms] for ms in ROUND_TRIPS_MS]
        # Counted with the delay: without one, it is luck whether a client that is still sending
        # has already seen the start of the answer.
        flights = samples[-1].flights
        ratios = [
            f"{sample.over(measured[step, YARDSTICK, ms]):.2f}"
            for sample, ms in zip(samples, ROUND_TRIPS_MS, strict=True)
            if YARDSTICK in names
        ]
        rows.append((name, flights, *(sample.seconds() for sample in samples), *ratios))
    times = [f"{ms} ms, s" for ms in ROUND_TRIPS_MS]
    ratios = [f"of {YARDSTICK} at {ms} ms" for ms in ROUND_TRIPS_MS if YARDSTICK in names]
    return Table(
        f"{step.capitalize()} of the shipped migration",
        ("", "flights", *times, *ratios),
        rows,
        notes=[_quicker(step, names, measured)] if len(names) > 1 else (),
        goals=_goals(step, names, measured),
    )


def _quicker(step: str, names: list[str], measured: Measured) -> str:
    """Say which tools took less time than lfmigrate."""
    found = [
        f"{name} at {ms} ms"
        for ms in ROUND_TRIPS_MS
        for name in names
        if measured[step, name, ms].elapsed_s < measured[step, OWN, ms].elapsed_s
    ]
    return f"Faster than lfmigrate: {', '.join(found) or 'none'}."


def _goals(step: str, names: list[str], measured: Measured) -> list[Goal]:
    flights = measured[step, OWN, ROUND_TRIP_MS].most_flights
    goals = [Goal(f"flights of {step}", MOST_FLIGHTS[step], flights)]
    if step == FIRST and YARDSTICK in names:
        goals += [
            Goal(
                f"time of {step} at {ms} ms, of {YARDSTICK}'s",
                limit,
                measured[step, OWN, ms].over(measured[step, YARDSTICK, ms]),
            )
            for ms, limit in AT_MOST.items()
        ]
    return goals
