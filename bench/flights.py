"""Flights and wall time of the shipped migration: a first run, one with nothing to do, verify."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.measure import ROUND_TRIP_MS, Samples, Settings, fresh_database, print_table, say
from bench.tools import Command, Tool, installed_tools, run_from_afar, shipped_work, verify_command

FIRST = "first up"
AGAIN = "up again"
VERIFY = "verify"

# What the others are compared with: the quickest of them.
YARDSTICK = "dbmate"


def run(settings: Settings) -> None:
    """Measure and print the table."""
    work = shipped_work()
    tools = installed_tools(install=settings.peers)
    samples: dict[tuple[str, str, int], Samples] = defaultdict(Samples)
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
                for round_trip_ms in (0, ROUND_TRIP_MS):
                    up = partial(tool.up, work, folders[tool.name])
                    with fresh_database(settings.url) as url:
                        steps: dict[str, Callable[[str], Command]] = {FIRST: up, AGAIN: up}
                        if tool.name == "lfmigrate":
                            steps[VERIFY] = verify_command
                        for step, command in steps.items():
                            result = run_from_afar(command, url, round_trip_ms)
                            if number > 0:
                                samples[step, tool.name, round_trip_ms].runs.append(result)
    for step in (FIRST, AGAIN, VERIFY):
        _print_step(step, tools, samples)


def _print_step(step: str, tools: list[Tool], samples: dict[tuple[str, str, int], Samples]) -> None:
    yardstick = samples.get((step, YARDSTICK, ROUND_TRIP_MS))
    rows = []
    for tool in tools:
        near, far = (samples.get((step, tool.name, ms)) for ms in (0, ROUND_TRIP_MS))
        if near is None or far is None:
            continue
        ratio = f"{far.elapsed_s / yardstick.elapsed_s:.2f}" if yardstick else ""
        # Counted with the delay: without one, it is luck whether a client that is still sending
        # has already seen the start of the answer.
        times = (f"{near.elapsed_s:.3f}", f"{far.elapsed_s:.3f}")
        rows.append((tool.name, far.flights, *times, ratio))
    header = ("", "flights", "0 ms, s", f"{ROUND_TRIP_MS} ms, s", f"of {YARDSTICK}")
    print_table(f"{step} of the shipped migration", header, rows)
