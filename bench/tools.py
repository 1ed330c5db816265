"""lfmigrate and its peers, each given the same SQL in the layout that it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import peers
from bench.installed import LFMIGRATE
from bench.measure import ROOT, Command, Run, timed
from bench.proxy import Proxy, target_of, through

SHIPPED_SQL = ROOT / "sql"

# node-pg-migrate reads a migration's number as a time in milliseconds.
NODE_EPOCH_MS = 1_700_000_000_000

ALEMBIC_ENVIRONMENT = """\
import os

from alembic import context
from sqlalchemy import create_engine

url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)
with create_engine(url).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

# All of it in one call of the driver, which understands several statements: its best case.
ALEMBIC_REVISION = """\
from alembic import op

revision = {revision!r}
down_revision = {before!r}

def upgrade():
    op.get_bind().connection.driver_connection.execute({text!r})
"""


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


def installed_tools() -> list[Tool]:
    """Return lfmigrate and the peers that are installed."""
    tools = [Tool("lfmigrate", _write_nothing, _lfmigrate_up)]
    if psql := peers.psql():
        tools.append(Tool("psql -f", _write_plain, lambda _, at, url: _psql_up(psql, at, url)))
    if dbmate := peers.dbmate():
        tools.append(Tool("dbmate", _write_dbmate, lambda _, at, url: _dbmate_up(dbmate, at, url)))
    if script := peers.node_pg_migrate():
        up = _node_pg_migrate_up
        tools.append(
            Tool("node-pg-migrate", _write_node_pg_migrate, lambda _, at, __: up(script, at))
        )
    if alembic := peers.alembic():
        tools.append(Tool("alembic", _write_alembic, lambda _, at, __: _alembic_up(alembic, at)))
    if yoyo := peers.yoyo():
        tools.append(Tool("yoyo", _write_plain, lambda _, at, url: _yoyo_up(yoyo, at, url)))
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


def _node_pg_migrate_up(script: Path, folder: Path) -> Command:
    # It takes the URL from DATABASE_URL only.
    return ["node", script, "up", "--migrations-dir", folder, "--no-verbose"]


def _write_alembic(work: Work, folder: Path) -> None:
    _write(
        folder,
        [
            ("env.py", ALEMBIC_ENVIRONMENT),
            ("alembic.ini", "[alembic]\nscript_location = %(here)s\npath_separator = os\n"),
        ],
    )
    versions = folder / "versions"
    versions.mkdir()
    before = None
    for number, text in enumerate(work.scripts, 1):
        revision = f"r{number}"
        written = ALEMBIC_REVISION.format(revision=revision, before=before, text=text)
        _write(versions, [(f"{revision}.py", written)])
        before = revision


def _alembic_up(program: Path, folder: Path) -> Command:
    # env.py takes the URL from DATABASE_URL.
    return [program, "-c", folder / "alembic.ini", "upgrade", "head"]


def _yoyo_up(program: Path, folder: Path, url: str) -> Command:
    address = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return [program, "apply", "--batch", "--no-config-file", "--database", address, folder]


def _write(folder: Path, files: Sequence[tuple[str, str]]) -> None:
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")
