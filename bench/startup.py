"""How long lfmigrate takes to start, compared with the one import that it cannot avoid."""

from __future__ import annotations

import sys

from bench.measure import Run, Samples, Settings, print_table, say, timed
from bench.tools import LFMIGRATE, Command

BASE = 'python -c "import typer"'


def run(settings: Settings) -> None:
    """Measure and print the table."""
    commands: dict[str, Command] = {
        BASE: [sys.executable, "-c", "import typer"],
        "lfmigrate --version": [LFMIGRATE, "--version"],
    }
    samples = {name: Samples() for name in commands}
    for command in commands.values():
        timed(command)  # writes the bytecode, and is not counted
    say(f"startup: {settings.runs} rounds")
    for _ in range(settings.runs):
        for name, command in commands.items():
            samples[name].runs.append(Run(timed(command)))
    base_s = samples[BASE].elapsed_s
    rows = [
        (name, f"{sample.elapsed_s * 1000:.0f}", f"{sample.elapsed_s / base_s:.2f}")
        for name, sample in samples.items()
    ]
    print_table("Start-up, whole process", ("", "ms", "ratio"), rows)
