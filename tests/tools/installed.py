"""The tools that .ci/tools.py installs: a folder for each, how it runs, and what it has applied."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from tests.helpers.databases import fetch

HERE = Path(__file__).parent

TEAM = "CREATE TABLE team (id integer PRIMARY KEY, name text NOT NULL DEFAULT 'a;b');\n"
# A function's body has statements, and the comment a quote.
NAMED = (
    "-- it's the name\n"
    "CREATE FUNCTION named(who text) RETURNS integer LANGUAGE plpgsql AS $$\n"
    "BEGIN\n    INSERT INTO team VALUES (1, who);\n    RETURN 1;\nEND\n$$;\n"
)
PLAYER = "CREATE TABLE player (id integer PRIMARY KEY, team integer REFERENCES team);\n"
INDEX = "CREATE INDEX CONCURRENTLY team_name ON team (name);\n"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tool works.

    Attributes:
        tools: The folder of .ci/tools.py.
        url: The database.
        folder: The migrations.
    """

    tools: Path
    url: str
    folder: Path

    def run(
        self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        """Run a program of the tool, and return what it has printed."""
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "NODE_PATH": str(self.tools / "node_modules"),
                "PYTHONPATH": str(self.tools / "python"),
                **(env or {}),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def node(self, script: str) -> str:
        """Run a script of this folder on the database and the migrations."""
        return self.run("node", HERE / script, self.address(), self.folder)

    def package(self, name: str) -> Path:
        """Return the folder of a package from npm."""
        return self.tools / "node_modules" / name

    def address(self, scheme: str = "postgresql", *, host: str = "localhost") -> str:
        """Return the database's URL as the tools understand it.

        Args:
            scheme: What it begins with.
            host: What stands where the name of a host would, if the server has a socket only.
        """
        parts = conninfo_to_dict(self.url)
        user, name = (quote(str(parts.get(key, "postgres"))) for key in ("user", "dbname"))
        where = str(parts.get("host", "localhost"))
        if where.startswith("/"):
            return f"{scheme}://{user}@{host}/{name}?host={quote(where)}"
        password = f":{quote(str(parts['password']))}" if "password" in parts else ""
        return f"{scheme}://{user}{password}@{where}:{parts.get('port', 5432)}/{name}"


def _more(address: str, parameter: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}{parameter}"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool, with a folder of three migrations.

    Attributes:
        name: As lfmigrate calls its format.
        files: The files of two migrations.
        third: The files of the third one, which may replace one of the others.
        migrate: Applies what is pending.
        applied: Asks for what its table has, in order.
        keys: What that is for the three.
        version: The package from npm, or the program, whose version is shown.
        path: Where in the folder the files are that lfmigrate reads.
    """

    name: str
    files: Mapping[str, str]
    third: Mapping[str, str]
    migrate: Callable[[Place], str]
    applied: str
    keys: tuple[str, ...]
    version: str
    path: str = ""

    def write(self, folder: Path, *, third: bool = False) -> None:
        """Write the first two migrations, or the third."""
        for name, text in (self.third if third else self.files).items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def has_applied(self, url: str) -> list[str]:
        """Return what the tool's table has."""
        return [str(key) for key in fetch(url, self.applied)]


def _dbmate(place: Place) -> str:
    address = _more(place.address(host=""), "sslmode=disable")
    program = place.package("@dbmate/linux-x64") / "bin" / "dbmate"
    return place.run(program, "--url", address, "-d", place.folder, "--no-dump-schema", "up")


def _node_pg_migrate(place: Place) -> str:
    program = place.package("node-pg-migrate") / "bin" / "node-pg-migrate.js"
    return place.run(
        "node", program, "-m", place.folder, "up", env={"DATABASE_URL": place.address()}
    )


def _graphile(place: Place) -> str:
    program = place.package("graphile-migrate") / "dist" / "cli.js"
    address = place.address()
    others = {f"{kind}_DATABASE_URL": f"{address}#{kind}" for kind in ("SHADOW", "ROOT")}
    return place.run("node", program, "migrate", env={"DATABASE_URL": address, **others})


def _supabase(place: Place) -> str:
    program = place.package("@supabase/cli-linux-x64") / "bin" / "supabase"
    address = _more(place.address(), "sslmode=disable")
    return place.run(
        *(program, "db", "push", "--db-url", address, "--yes"), env={"DO_NOT_TRACK": "1"}
    )


def _sql_migrate(place: Place) -> str:
    parts = conninfo_to_dict(place.url)
    source = " ".join(f"{key}={value}" for key, value in parts.items())
    (place.folder / "dbconfig.yml").write_text(
        f"development:\n  dialect: postgres\n  datasource: {source} sslmode=disable\n  dir: .\n"
    )
    return place.run("sql-migrate", "up")


def _yoyo(place: Place) -> str:
    address = place.address("postgresql+psycopg", host="")
    return place.run(
        *(sys.executable, "-m", "yoyo.scripts.main", "apply", "--batch", "--no-config-file"),
        *("--database", address, "."),
    )


def _alembic(place: Place) -> str:
    """Run Alembic on a revision for each SQL file of lfmigrate's."""
    versions = place.folder.parent / "alembic" / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    before = None
    for file in sorted(place.folder.glob("*.sql")):
        revision = sha1(file.name.encode(), usedforsecurity=False).hexdigest()[:12]
        (versions / f"{revision}.py").write_text(
            "from alembic import op\n"
            f"revision = {revision!r}\ndown_revision = {before!r}\n"
            f"def upgrade():\n    op.execute({file.read_text()!r})\n"
        )
        before = revision
    home = versions.parent
    (home / "env.py").write_text(
        "from alembic import context\nfrom sqlalchemy import create_engine\n"
        f"with create_engine({place.address('postgresql+psycopg', host='')!r}).connect() as c:\n"
        "    context.configure(connection=c)\n"
        "    with context.begin_transaction():\n        context.run_migrations()\n"
    )
    (home / "alembic.ini").write_text(f"[alembic]\nscript_location = {home}\n")
    return place.run(sys.executable, "-m", "alembic", "-c", home / "alembic.ini", "upgrade", "head")


def _committed(body: str, previous: str | None) -> tuple[str, str]:
    """Return a migration as graphile-migrate commits it, and its hash."""
    content = f"{previous or ''}\n{body.strip()}".strip() + "\n"
    digest = f"sha1:{sha1(content.encode(), usedforsecurity=False).hexdigest()}"
    return f"--! Previous: {previous or '-'}\n--! Hash: {digest}\n\n{body.strip()}\n", digest


_FIRST, _HASH = _committed(TEAM, None)
_SECOND, _HASH_2 = _committed(INDEX.replace(" CONCURRENTLY", "") + NAMED, _HASH)
_THIRD, _HASH_3 = _committed(PLAYER, _HASH_2)


def _journal(*tags: str) -> str:
    entries = [
        {"idx": n, "version": "7", "when": 1714564800000 + n, "tag": tag, "breakpoints": True}
        for n, tag in enumerate(tags)
    ]
    return json.dumps({"version": "7", "dialect": "postgresql", "entries": entries})


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "dbmate",
            {
                "20240501120000_team.sql": f"-- migrate:up\n{TEAM}{NAMED}\n-- migrate:down\n"
                "DROP FUNCTION named;\nDROP TABLE team;\n",
                "20240502120000_name.sql": f"-- migrate:up transaction:false\n{INDEX}"
                "-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY team_name;\n",
            },
            {
                "20240503120000_player.sql": f"-- migrate:up\n{PLAYER}\n-- migrate:down\n"
                "DROP TABLE player;\n"
            },
            _dbmate,
            "SELECT version FROM schema_migrations ORDER BY 1",
            ("20240501120000", "20240502120000", "20240503120000"),
            "@dbmate/linux-x64",
        ),
        Tool(
            "drizzle",
            {
                "0000_team.sql": TEAM,
                "0001_name.sql": f"{NAMED}--> statement-breakpoint\n"
                f"{INDEX.replace(' CONCURRENTLY', '')}",
                "meta/_journal.json": _journal("0000_team", "0001_name"),
            },
            {
                "0002_player.sql": PLAYER,
                "meta/_journal.json": _journal("0000_team", "0001_name", "0002_player"),
            },
            lambda place: place.node("drizzle.cjs"),
            "SELECT created_at FROM drizzle.__drizzle_migrations ORDER BY 1",
            ("1714564800000", "1714564800001", "1714564800002"),
            "drizzle-orm",
        ),
        Tool(
            "graphile-migrate",
            {
                ".gmrc": "{}",
                "migrations/current.sql": "",
                "migrations/committed/000001-team.sql": _FIRST,
                "migrations/committed/000002-name.sql": _SECOND,
            },
            {"migrations/committed/000003-player.sql": _THIRD},
            _graphile,
            "SELECT hash FROM graphile_migrate.migrations ORDER BY filename",
            (_HASH, _HASH_2, _HASH_3),
            "graphile-migrate",
            "migrations/committed",
        ),
        Tool(
            "node-pg-migrate",
            {
                "1714564800000_team.sql": f"-- Up Migration\n{TEAM}{NAMED}"
                "-- Down Migration\nDROP FUNCTION named;\nDROP TABLE team;\n",
                "1714651200000_name.sql": INDEX.replace(" CONCURRENTLY", ""),
            },
            {"1714737600000_player.sql": PLAYER},
            _node_pg_migrate,
            "SELECT name FROM pgmigrations ORDER BY id",
            ("1714564800000_team", "1714651200000_name", "1714737600000_player"),
            "node-pg-migrate",
        ),
        Tool(
            "postgres-migrations",
            {
                "0001-team.sql": TEAM + NAMED,
                "0002_name.sql": f"-- postgres-migrations disable-transaction\n{INDEX}",
            },
            {"0003-player.sql": PLAYER},
            lambda place: place.node("postgres_migrations.cjs"),
            "SELECT id FROM migrations ORDER BY id OFFSET 1",
            ("1", "2", "3"),
            "postgres-migrations",
        ),
        Tool(
            "prisma",
            {
                "migration_lock.toml": 'provider = "postgresql"\n',
                # The adapter splits at every semicolon, other than Prisma's program.
                "20240501120000_team/migration.sql": TEAM.replace("a;b", "a, b"),
                "20240502120000_name/migration.sql": INDEX,
            },
            {"20240503120000_player/migration.sql": PLAYER},
            lambda place: place.node("prisma.cjs"),
            "SELECT migration_name FROM _prisma_migrations ORDER BY 1",
            ("20240501120000_team", "20240502120000_name", "20240503120000_player"),
            "@prisma/schema-engine-wasm",
        ),
        Tool(
            "sql-migrate",
            {
                "1_team.sql": f"-- +migrate Up\n{TEAM}-- +migrate StatementBegin\n{NAMED}"
                "-- +migrate StatementEnd\n-- +migrate Down\nDROP TABLE team;\n",
                "2_name.sql": f"-- +migrate Up notransaction\n{INDEX}",
            },
            {"10_player.sql": f"-- +migrate Up\n{PLAYER}"},
            _sql_migrate,
            "SELECT id FROM gorp_migrations ORDER BY applied_at",
            ("1_team.sql", "2_name.sql", "10_player.sql"),
            "sql-migrate",
        ),
        Tool(
            "supabase",
            {
                "supabase/config.toml": 'project_id = "a"\n',
                "supabase/migrations/20240501120000_team.sql": TEAM + NAMED,
                "supabase/migrations/20240502120000_name.sql": INDEX.replace(" CONCURRENTLY", ""),
            },
            {"supabase/migrations/20240503120000_player.sql": PLAYER},
            _supabase,
            "SELECT version FROM supabase_migrations.schema_migrations ORDER BY 1",
            ("20240501120000", "20240502120000", "20240503120000"),
            "@supabase/cli-linux-x64",
            "supabase/migrations",
        ),
    )
}

# What lfmigrate reads as its own.
_OWN = {
    "20240501120000_team.sql": TEAM + NAMED,
    "20240502120000_name.sql": INDEX.replace(" CONCURRENTLY", ""),
}
_OWN_THIRD = {"20240503120000_player.sql": PLAYER}

# Tools of which lfmigrate reads no folders.
OTHERS = {
    tool.name: tool
    for tool in (
        # Its revisions are programs, and its table has the newest one.
        Tool(
            "alembic",
            _OWN,
            _OWN_THIRD,
            _alembic,
            "SELECT length(version_num) FROM alembic_version",
            ("12",),
            "alembic",
        ),
        Tool(
            "yoyo",
            _OWN,
            _OWN_THIRD,
            _yoyo,
            "SELECT migration_id FROM _yoyo_migration ORDER BY 1",
            ("20240501120000_team", "20240502120000_name", "20240503120000_player"),
            "yoyo_migrations",
        ),
    )
}


def version_of(tools: Path, name: str) -> str | None:
    """Return the version of a tool; None if it is not installed."""
    manifest = tools / "node_modules" / name / "package.json"
    if manifest.exists():
        return str(json.loads(manifest.read_text())["version"])
    for found in (tools / "python").glob(f"{name}-*.dist-info"):
        return found.name.removeprefix(f"{name}-").removesuffix(".dist-info")
    if shutil.which(name) is None:
        return None
    done = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()
