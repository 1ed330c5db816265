"""lfmigrate and its peers, each given the same SQL in the layout that it reads.

The peers are the programs themselves: dbmate's is started without the Node script around it, which
would add to its time. They come from npm, into a folder that git ignores.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import ROOT, Run, say, timed
from bench.proxy import Proxy, target_of, through
from lfmigrate.errors import UsageError
from lfmigrate.postgres.programs import bin_folder

Command = list[str | Path]

SHIPPED_SQL = ROOT / "sql"
PEERS = ROOT / ".lfmigrate" / "bench" / "peers"

# Exact versions, so that numbers of different days can be compared. node-pg-migrate needs pg.
PEER_PACKAGES = ("dbmate@2.36.0", "node-pg-migrate@9.0.0", "pg@8.23.1")

# The console script of the Python that runs this, so that it is this checkout's.
LFMIGRATE = Path(sys.executable).parent / "lfmigrate"

# node-pg-migrate reads a migration's number as a time in milliseconds.
NODE_EPOCH_MS = 1_700_000_000_000


@dataclass(frozen=True)
class Work:
    """SQL to apply.

    Attributes:
        sql_dir: The folder as lfmigrate reads it.
        scripts: The same SQL for tools that know no view files: one text per migration, in order.
    """

    sql_dir: Path
    scripts: tuple[str, ...]


@dataclass(frozen=True)
class Tool:
    """A program that applies migrations.

    Attributes:
        name: As shown in the table.
        write: Writes the work's files into an empty folder.
        up: Returns the command that applies what is pending, from work, that folder and a URL.
    """

    name: str
    write: Callable[[Work, Path], None]
    up: Callable[[Work, Path, str], Command]


def shipped_work() -> Work:
    """Return the shipped migration and its views."""
    files = [*sorted(SHIPPED_SQL.glob("*.up.sql")), *sorted((SHIPPED_SQL / "views").glob("*.sql"))]
    return Work(SHIPPED_SQL, ("\n".join(file.read_text(encoding="utf-8") for file in files),))


def installed_tools(*, install: bool) -> list[Tool]:
    """Return lfmigrate and the peers that are installed.

    Args:
        install: Whether to install missing peers from npm first.
    """
    if install and not PEERS.exists():
        say(f"installing {', '.join(PEER_PACKAGES)}")
        PEERS.mkdir(parents=True)
        flags = ("--silent", "--no-audit", "--no-fund", "--prefix", PEERS)
        subprocess.run(["npm", "install", *flags, *PEER_PACKAGES], check=True)
    tools = [Tool("lfmigrate", _write_nothing, _lfmigrate_up)]
    if (psql := psql_path()) is not None:
        tools.append(Tool("psql -f", _write_plain, lambda _, at, url: _psql_up(psql, at, url)))
    # One package per platform; npm installs the one that fits.
    dbmate = next(PEERS.glob("node_modules/@dbmate/*/bin/dbmate"), None)
    if dbmate is not None:
        tools.append(Tool("dbmate", _write_dbmate, lambda _, at, url: _dbmate_up(dbmate, at, url)))
    node_pg_migrate = PEERS / "node_modules/node-pg-migrate/bin/node-pg-migrate.js"
    if node_pg_migrate.exists():
        tools.append(
            Tool(
                "node-pg-migrate",
                _write_node_pg_migrate,
                lambda _, at, url: _node_pg_migrate_up(node_pg_migrate, at, url),
            )
        )
    else:
        say("dbmate and node-pg-migrate are not installed; --peers installs them")
    return tools


def verify_command(url: str) -> Command:
    """Return the command that verifies the shipped migration."""
    return [LFMIGRATE, "verify", "--database-url", url, "--sql-dir", SHIPPED_SQL]


def run_from_afar(command: Callable[[str], Command], url: str, round_trip_ms: float) -> Run:
    """Run a program against a database that is a round trip away.

    Args:
        command: Returns the program and its arguments for the URL that it is to use.
        url: The database.
        round_trip_ms: How far away it is. 0 goes through the proxy, too.

    Returns:
        The wall time of the whole process, and its flights.
    """
    with Proxy(target_of(url), delay_ms=round_trip_ms / 2) as proxy:
        reached = through(url, proxy.port)
        elapsed_s = timed(command(reached), {"DATABASE_URL": reached})
        return Run(elapsed_s, proxy.flights)


def _write_nothing(_work: Work, _folder: Path) -> None:
    pass


def _lfmigrate_up(work: Work, _folder: Path, url: str) -> Command:
    return [LFMIGRATE, "up", "--database-url", url, "--sql-dir", work.sql_dir]


def _write_plain(work: Work, folder: Path) -> None:
    _write(folder, [(f"{number:06}.sql", text) for number, text in enumerate(work.scripts, 1)])


def _psql_up(program: Path, folder: Path, url: str) -> Command:
    files = (word for file in sorted(folder.iterdir()) for word in ("-f", file))
    return [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, *files]


def _write_dbmate(work: Work, folder: Path) -> None:
    _write(
        folder,
        [
            (f"{number:06}_work.sql", f"-- migrate:up\n{text}\n-- migrate:down\n")
            for number, text in enumerate(work.scripts, 1)
        ],
    )


def _dbmate_up(program: Path, folder: Path, url: str) -> Command:
    # Not its "up", which first asks whether the database exists: that is its best case.
    return [program, "--url", url, "--migrations-dir", folder, "--no-dump-schema", "migrate"]


def _write_node_pg_migrate(work: Work, folder: Path) -> None:
    _write(
        folder,
        [
            (
                f"{NODE_EPOCH_MS + number}_work.sql",
                f"-- Up Migration\n{text}\n-- Down Migration\n",
            )
            for number, text in enumerate(work.scripts, 1)
        ],
    )


def _node_pg_migrate_up(script: Path, folder: Path, _url: str) -> Command:
    # It takes the URL from DATABASE_URL only.
    return ["node", script, "up", "--migrations-dir", folder, "--no-verbose"]


def _write(folder: Path, files: Sequence[tuple[str, str]]) -> None:
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")


def psql_path() -> Path | None:
    """Return the psql to measure against, or None if there is none."""
    try:
        return bin_folder() / "psql"
    except UsageError:
        found = shutil.which("psql")
        return Path(found) if found else None
