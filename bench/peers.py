"""The other tools: the exact versions that are measured, and where they are installed.

They come from npm and PyPI, into folders that git ignores. No registry that these clients use has
the programs of golang-migrate and goose: npm's goose-cli downloads one from another place.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measure import BENCH_FOLDER, Command, say
from lfmigrate.errors import UsageError
from lfmigrate.postgres.programs import bin_folder

# Exact versions, so that numbers of different days can be compared. node-pg-migrate needs pg.
FROM_NPM = {"dbmate": "2.36.0", "node-pg-migrate": "9.0.0", "pg": "8.23.1"}
FROM_PYPI = {"alembic": "1.20.1", "yoyo-migrations": "9.0.0", "psycopg[binary]": "3.3.9"}

# Not to be had from npm, PyPI or Debian, when last looked for.
UNAVAILABLE = ("golang-migrate", "goose")

NODE_FOLDER = BENCH_FOLDER / "npm"
PYTHON_FOLDER = BENCH_FOLDER / "pypi"


def install() -> None:
    """Install the other tools in these versions, unless they are there.

    Without npm or a network, what is missing is reported, and the others are measured.
    """
    packages = [f"{name}@{version}" for name, version in FROM_NPM.items()]
    npm: Command = ["npm", "install", "--silent", "--no-audit", "--no-fund"]
    _install(NODE_FOLDER, packages, [*npm, "--prefix", NODE_FOLDER, *packages])
    packages = [f"{name}=={version}" for name, version in FROM_PYPI.items()]
    environment: Command = [sys.executable, "-m", "venv", PYTHON_FOLDER]
    pip: Command = [_python_program("python"), "-m", "pip", "--disable-pip-version-check"]
    _install(PYTHON_FOLDER, packages, environment, [*pip, "install", "--quiet", *packages])


def dbmate() -> Path | None:
    """Return dbmate's binary; the Node script around it would add to its time."""
    # One package per platform; npm installs the one that fits.
    return next(NODE_FOLDER.glob("node_modules/@dbmate/*/bin/dbmate"), None)


def node_pg_migrate() -> Path | None:
    """Return node-pg-migrate's script for Node."""
    return _existing(NODE_FOLDER / "node_modules/node-pg-migrate/bin/node-pg-migrate.js")


def alembic() -> Path | None:
    """Return Alembic's program."""
    return _existing(_python_program("alembic"))


def yoyo() -> Path | None:
    """Return yoyo's program."""
    return _existing(_python_program("yoyo"))


def psql() -> Path | None:
    """Return psql: the private server's, or else the one in PATH.

    Debian's is a Perl script that looks for the real one, which takes longer than psql itself.
    """
    try:
        return bin_folder() / "psql"
    except UsageError:
        found = shutil.which("psql")
        return Path(found) if found else None


def _python_program(name: str) -> Path:
    return PYTHON_FOLDER / "bin" / name


def _existing(path: Path) -> Path | None:
    return path if path.exists() else None


def _install(folder: Path, packages: Sequence[str], *commands: Command) -> None:
    """Run the commands that fill a folder, unless it has these packages."""
    mark, wanted = folder / "packages", "\n".join(packages)
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return
    say(f"installing {', '.join(packages)}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        for command in commands:
            subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        say(f"they are not measured: {error}")
    else:
        mark.write_text(wanted, encoding="utf-8")
