"""Real migration tools, for the tests that move a database from one of them to lfmigrate and back.

    python .ci/tools.py install
    python .ci/tools.py run -- pytest -m tools

They come from npm and PyPI, in exact versions, and are kept in a cache, one folder for each list
of versions. `run` installs them, unless they are there, and runs a command with the folder in
LFMIGRATE_TEST_TOOLS_DIR. sql-migrate comes from the system's packages, if it is installed.

Needs Linux on x86-64 and npm. Standard library only.
"""

# ruff: noqa: INP001, S603, T201
# A program and no package; it runs npm and pip with arguments of its own, and prints.

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Exact versions, so that a run of today can be repeated tomorrow.
FROM_NPM = {
    "@dbmate/linux-x64": "2.36.0",
    # Prisma's own engine, as a library: its programs are downloaded from elsewhere.
    "@prisma/adapter-pg": "7.10.1",
    "@prisma/schema-engine-wasm": "8.1.0-2.59be4fda12412a79eeb9c2ae727b6aa723593323",
    "@supabase/cli-linux-x64": "3.1.0",
    "drizzle-orm": "0.45.4",
    "graphile-migrate": "1.4.1",
    "node-pg-migrate": "9.0.0",
    "pg": "8.16.3",
    "postgres-migrations": "5.3.0",
}
FROM_PYPI = {
    "alembic": "1.20.1",
    "psycopg[binary]": "3.3.9",
    "yoyo-migrations": "9.0.0",
}


class Failure(Exception):  # noqa: N818 (it is what this program reports)
    """Something that the caller must put right; its text says what."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("install", help="install the tools, and print their folder")
    action = actions.add_parser("run", help="run a command that finds the tools")
    action.usage = "%(prog)s [-h] -- COMMAND ..."
    given = list(sys.argv[1:] if arguments is None else arguments)
    split = given.index("--") if "--" in given else len(given)
    options, command = parser.parse_args(given[:split]), given[split + 1 :]
    try:
        folder = install()
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    if options.action == "install":
        print(folder)
        return 0
    if not command:
        parser.error("no command was given; write it after --")
    return subprocess.run(
        command, env={**os.environ, "LFMIGRATE_TEST_TOOLS_DIR": str(folder)}, check=False
    ).returncode


def install() -> Path:
    """Install the tools, unless they are there, and return their folder.

    Raises:
        Failure: npm or pip could not install one.
    """
    wanted = json.dumps([FROM_NPM, FROM_PYPI, sys.version_info[:2]])
    folder = _cache_folder() / hashlib.sha256(wanted.encode()).hexdigest()[:12]
    if (folder / "complete").exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"installing the tools into {folder}", file=sys.stderr, flush=True)
    # What is interrupted leaves no folder of that name, nor does a second process at the same time.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="installing-") as name:
        unfinished = Path(name) / "tools"
        unfinished.mkdir()
        (unfinished / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        packages = [f"{package}@{version}" for package, version in FROM_NPM.items()]
        # No scripts: what they download is not pinned.
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        _run(["npm", "install", *options, *packages], unfinished, "npm could not install the tools")
        wheels = [f"{package}=={version}" for package, version in FROM_PYPI.items()]
        options = ["--quiet", "--disable-pip-version-check", "--target", "python"]
        pip = [sys.executable, "-m", "pip", "install", *options]
        _run([*pip, *wheels], unfinished, "pip could not install the tools")
        (unfinished / "complete").touch()
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    return folder


def _run(command: Sequence[str | Path], folder: Path, failure: str) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        raise Failure(f"{failure} (exit code {done.returncode})\n{done.stdout}{done.stderr}")


def _cache_folder() -> Path:
    if named := os.environ.get("LFMIGRATE_TOOLS_DIR"):
        return Path(named).resolve()
    if os.geteuid() == 0:
        return Path("/var/cache/lfmigrate-tools")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lfmigrate-tools"


if __name__ == "__main__":
    sys.exit(main())
