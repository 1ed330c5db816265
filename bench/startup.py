"""How long lfmigrate takes to start, compared with the one import that it cannot avoid."""

from __future__ import annotations

from bench.installed import LFMIGRATE, PYTHON
from bench.measure import Command, Run, Samples, Settings, say, timed
from bench.result import Goal, Table

PLAIN = 'python -c ""'
BASE = 'python -c "import typer"'

# For lfmigrate's own, as a ratio to the import.
AT_MOST = 1.3


def run(settings: Settings) -> list[Table]:
    """Measure and return the table."""
    own: dict[str, Command] = {
        f"lfmigrate {option}": [LFMIGRATE, option] for option in ("--version", "--help")
    }
    commands: dict[str, Command] = {
        PLAIN: [PYTHON, "-c", ""],
        BASE: [PYTHON, "-c", "import typer"],
        **own,
    }
    samples = {name: Samples() for name in commands}
    for command in commands.values():
        timed(command)  # reads the files from the disk, and is not counted
    say(f"startup: {settings.runs} rounds")
    for _ in range(settings.runs):
        for name, command in commands.items():
            samples[name].runs.append(Run(timed(command)))
    base = samples[BASE]
    return [
        Table(
            "Start-up, whole process",
            ("", "s", "ratio"),
            [
                (name, sample.seconds(), f"{sample.over(base):.2f}")
                for name, sample in samples.items()
            ],
            goals=[
                Goal(f"time of `{name}`, of `{BASE}`", AT_MOST, samples[name].over(base))
                for name in own
            ],
        )
    ]
