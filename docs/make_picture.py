"""Draw docs/up.svg, the picture in the README, from a real run on the private PostgreSQL."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100
PICTURE = Path(__file__).with_name("up.svg")


def run_up() -> str:
    """Return what ``lfmigrate up --embedded`` prints on an empty database, colours included."""
    with tempfile.TemporaryDirectory(prefix="lf") as folder:
        Path(folder).chmod(0o755)  # as root, the server's user has to reach it
        done = subprocess.run(
            [sys.executable, "-m", "lfmigrate", "up", "--embedded"],
            cwd=folder,
            env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return done.stdout


def main() -> None:
    """Write the picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text("$ lfmigrate up --embedded\n", style="bold"))
    console.print(Text.from_ansi(run_up()))
    # A fixed id, so that the same output gives the same file.
    picture = console.export_svg(title="lfmigrate", unique_id="lfmigrate")
    PICTURE.write_text(re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE), encoding="utf-8")


if __name__ == "__main__":
    main()
