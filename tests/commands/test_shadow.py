"""Replays: they run in a shadow database, change nothing elsewhere, and leave nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.catalog import query_text
from lfmigrate.engine.replay import replay
from lfmigrate.engine.session import Session
from lfmigrate.engine.temporary_database import temporary_database
from lfmigrate.errors import DatabaseError, DifferenceFound, StatementFailed, UsageError
from lfmigrate.postgres import embedded
from lfmigrate.postgres.connection import address_of
from lfmigrate.postgres.programs import major_version
from lfmigrate.settings import Scope
from tests.conftest import Cli
from tests.helpers.commands import statuses, up, verify
from tests.helpers.databases import execute, fetch, value
from tests.helpers.faults import wait_until
from tests.helpers.threads import Threads

# What a replay may run, and what it finds, depends on the version.
pytestmark = pytest.mark.per_version

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]
Create = Callable[..., str]

TABLE = "CREATE TABLE IF NOT EXISTS a (id serial PRIMARY KEY, name text);\n"


@dataclass(frozen=True)
class Owned:
    """An empty database and its owner, who may create others.

    Attributes:
        url: Of the database, for its owner.
        role: The owner: shadow databases that it owns are this test's own.
        server: A superuser's URL.
    """

    url: str
    role: str
    server: str

    @property
    def shadows(self) -> list[str]:
        """Return the names of the shadow databases of the role."""
        return fetch(
            self.server,
            "SELECT datname FROM pg_database WHERE datname LIKE 'lfmigrate_shadow%'"
            f" AND datdba = '{self.role}'::regrole",
        )

    def running(self, query: str) -> str | None:
        """Return the database in which the role runs a query, given by its beginning."""
        found = fetch(
            self.server,
            f"SELECT datname FROM pg_stat_activity WHERE usename = '{self.role}'"
            f" AND state = 'active' AND starts_with(query, $x${query}$x$)",
        )
        return found[0] if found else None


@pytest.fixture
def creator(server_url: str) -> Iterator[str]:
    """Return a role that may create databases; it goes when all databases of the test have gone."""
    role = f"lf_role_{uuid4().hex[:12]}"
    execute(server_url, f"CREATE ROLE {role} LOGIN CREATEDB")
    yield role
    for left in Owned("", role, server_url).shadows:
        execute(server_url, f"DROP DATABASE {left} WITH (FORCE)")
    execute(server_url, f"DROP ROLE {role}")


@pytest.fixture
def owned(creator: str, server_url: str, create_database: Create) -> Owned:
    """Return a database of a role that may create others."""
    url = create_database()
    execute(url, f"ALTER DATABASE {conninfo_to_dict(url)['dbname']} OWNER TO {creator}")
    return Owned(make_conninfo(url, user=creator), creator, server_url)


@pytest.fixture
def chdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, in which a private server may be created, and return it."""
    home = tmp_path / "work"
    home.mkdir()
    monkeypatch.chdir(home)
    return home


def replayed(url: str, path: Path, **options: Scope) -> dict[str, str]:
    """Return what a replay makes of the objects of a folder."""
    return statuses(verify(url, path, replay_files=True, **options))


# --------------------------------------------------------------------------------------------------
# Nothing else changes
# --------------------------------------------------------------------------------------------------

OUR_COMMENT = (
    "lfmigrate: shadow database for a replay of SQL files, safe to drop; created 20200101t000000z"
)

OUTSIDE = """
    -- What every pg_dump has at its end, and what any INSERT does.
    CREATE TABLE IF NOT EXISTS public.orders (id serial PRIMARY KEY, note text);
    SELECT pg_catalog.setval('public.orders_id_seq', 100, true);
    SELECT nextval('orders_id_seq');
    INSERT INTO public.orders (note) VALUES ('x');
    CREATE TABLE numbered AS SELECT nextval('public.orders_id_seq') AS n;
    CREATE MATERIALIZED VIEW later AS SELECT setval('public.orders_id_seq', 7);
    CREATE FUNCTION twice(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$
        BEGIN PERFORM setval('public.orders_id_seq', 200); RETURN $1; END $$;
    CREATE INDEX ON orders (twice(1));
    TRUNCATE public.orders RESTART IDENTITY;
    -- Other sessions, files, the server.
    SELECT lo_import('/etc/hostname'); -- left out
    CREATE EXTENSION IF NOT EXISTS dblink;
    SELECT dblink_exec('{live}', 'DELETE FROM public.orders'); -- left out
    SELECT pg_terminate_backend({pid}); -- left out
    SELECT pg_cancel_backend({pid}); -- left out
    COPY public.orders TO PROGRAM 'cat > {file}'; -- left out
    COPY public.orders TO '{file}'; -- left out
    SELECT lo_export(1, '{file}'); -- left out
    DO $$ BEGIN EXECUTE 'COPY public.orders TO PROGRAM ''cat > {file}'''; END $$; -- left out
    NOTIFY lf_replay, 'x';
    SELECT pg_reload_conf(); -- left out
    SELECT pg_create_physical_replication_slot('{slot}'); -- left out
    -- What all databases of the server share.
    CREATE ROLE {role};
    ALTER ROLE {existing} SET work_mem = '1MB'; -- left out
    GRANT {existing} TO {role};
    ALTER DATABASE {database} SET work_mem = '1MB'; -- left out
    COMMENT ON DATABASE {database} IS 'changed'; -- left out
    GRANT CONNECT ON DATABASE {database} TO {existing}; -- left out
    -- The live database itself, through a server of postgres_fdw.
    CREATE EXTENSION IF NOT EXISTS postgres_fdw;
    CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({options});
    CREATE USER MAPPING FOR CURRENT_USER SERVER loop OPTIONS (user 'postgres');
    CREATE FOREIGN TABLE far (id integer, note text) SERVER loop OPTIONS (table_name 'orders');
    INSERT INTO far (note) VALUES ('through'); -- left out
    CREATE PUBLICATION everything FOR ALL TABLES;
    CREATE FUNCTION ended() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
    CREATE EVENT TRIGGER ended ON ddl_command_end EXECUTE FUNCTION ended();
    CREATE TEMPORARY TABLE passing (n integer);
    SET ROLE {existing};
    CREATE TABLE theirs (n integer);
"""

ALONE = """-- lfmigrate: no-transaction
ALTER SYSTEM SET work_mem = '1MB'; VACUUM orders; CREATE DATABASE lf_never;
"""


def test_nothing_changes_but_in_the_shadow_database(
    create_database: Create, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """Not a sequence, row, role, setting, file or session, whatever the files do."""
    url = create_database()
    parameters = conninfo_to_dict(url)
    suffix = uuid4().hex[:12]
    role, existing, slot = (f"lf_{word}_{suffix}" for word in ("new", "old", "slot"))
    reach = {"host": parameters["host"], "dbname": parameters["dbname"]}
    if "port" in parameters:
        reach["port"] = parameters["port"]
    execute(
        url,
        f"CREATE ROLE {existing}",
        "CREATE TABLE public.orders (id serial PRIMARY KEY, note text)",
        "INSERT INTO public.orders (note) SELECT 'kept' FROM generate_series(1, 5)",
    )
    shared = f"""
        SELECT jsonb_build_array(
            (SELECT jsonb_agg(r ORDER BY r.rolname) FROM pg_roles AS r
             WHERE r.rolname IN ('{role}', '{existing}')),
            (SELECT jsonb_agg(m) FROM pg_auth_members AS m
             WHERE m.roleid = '{existing}'::regrole),
            (SELECT to_jsonb(d) - 'datfrozenxid' - 'datminmxid' FROM pg_database AS d
             WHERE d.datname = current_database()),
            (SELECT shobj_description(d.oid, 'pg_database') FROM pg_database AS d
             WHERE d.datname = current_database()),
            (SELECT jsonb_agg(s) FROM pg_db_role_setting AS s
             WHERE s.setdatabase = (SELECT d.oid FROM pg_database AS d
                                    WHERE d.datname = current_database())),
            (SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}'),
            (SELECT count(*) FROM pg_database WHERE datname = 'lf_never'),
            (SELECT jsonb_agg(f) FROM pg_file_settings AS f WHERE f.name = 'work_mem'))"""
    try:
        with (
            psycopg.connect(url, application_name=suffix, autocommit=True) as witness,
            lfmigrate.connect(url) as conn,
        ):
            witness.execute("LISTEN lf_replay")
            text = OUTSIDE.format(
                live=make_conninfo("", user="postgres", **reach),
                pid=witness.info.backend_pid,
                file=tmp_path / "written",
                slot=slot,
                role=role,
                existing=existing,
                database=parameters["dbname"],
                options=", ".join(f"{name} '{text}'" for name, text in reach.items()),
            )
            path = folder({"001_a.up.sql": text, "002_b.up.sql": ALONE})
            before = dump(url, rows=True), value(url, shared)

            report = lfmigrate.verify(conn, lfmigrate.read_folder(path), replay_files=True)

            after = dump(url, rows=True), value(url, shared)
            alive = witness.execute("SELECT 1").fetchone()
            heard = list(witness.notifies(timeout=0))
    finally:
        execute(url, f"DROP ROLE {existing}")

    assert after == before
    assert (alive, heard) == ((1,), [])
    assert not (tmp_path / "written").exists()
    # The index on it is missing here, which is what a replay is for.
    assert statuses(report)["table orders"] == "drifted"
    assert {"table numbered", "materialized view later", "foreign table far"} <= set(
        statuses(report)
    )
    (note,) = report.notes
    expected = {n for n, line in enumerate(text.splitlines(), 1) if line.endswith("-- left out")}
    assert {int(n) for n in re.findall(r"001_a\.up\.sql:(\d+)", note)} == expected
    assert note.count("002_b.up.sql") == note.count("cannot run in a transaction") == 3


@pytest.mark.parametrize("command", ["up", "rollback", "backup"])
def test_no_command_moves_a_sequence_with_a_replay(
    command: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """A dump ends with setval; a replay of it left the live sequence at the old position."""
    path = folder(
        {
            "001_a.up.sql": TABLE,
            "001_a.down.sql": "DROP TABLE IF EXISTS a;",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM a;",
        }
    )
    execute(
        database,
        TABLE,
        "CREATE VIEW v AS SELECT id FROM a",
        "INSERT INTO a (name) SELECT 'x' FROM generate_series(1, 200)",
    )
    # In a view file, which is replayed, and not run by any of these commands before it is compared.
    (path / "002_set.up.sql").write_text("SELECT setval('public.a_id_seq', 100, true);")
    (path / "002_set.down.sql").write_text("SELECT 1;")
    files = lfmigrate.read_folder(path)
    with lfmigrate.connect(database) as conn:
        if command == "up":
            lfmigrate.up(conn, files, to="001")
        elif command == "rollback":
            lfmigrate.rollback(conn, files, to="001", dry_run=True)
        else:
            lfmigrate.backup(conn, files, out=tmp_path / "saved")

    assert value(database, "SELECT last_value FROM a_id_seq") == 200


# --------------------------------------------------------------------------------------------------
# Which database it is
# --------------------------------------------------------------------------------------------------


def test_a_database_that_is_named_is_emptied_and_is_as_before(
    owned: Owned, create_database: Create, folder: Write, dump: Dump
) -> None:
    """What is in it is dropped in the transaction that is rolled back."""
    named = create_database()
    execute(named, f"ALTER DATABASE {conninfo_to_dict(named)['dbname']} OWNER TO {owned.role}")
    named = make_conninfo(named, user=owned.role)
    execute(
        named,
        "CREATE SCHEMA app; CREATE TABLE app.a (n integer); CREATE TABLE a (n integer)",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE PUBLICATION p; SELECT lo_create(0)",
    )
    path = folder(
        {"001_a.up.sql": TABLE + "CREATE SCHEMA app; CREATE TABLE app.a (); CREATE PUBLICATION p;"}
    )
    before = dump(named, rows=True)

    found = replayed(owned.url, path, scope=Scope(shadow_url=named))

    assert dump(named, rows=True) == before
    assert found == dict.fromkeys(["table a", "schema app", "publication p"], "missing")
    assert owned.shadows == []


KINDS = """
    CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS postgres_fdw;
    CREATE TABLE t (id serial PRIMARY KEY, h hstore, i integer GENERATED ALWAYS AS IDENTITY);
    CREATE TABLE p (a integer) PARTITION BY RANGE (a);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (2); CREATE TABLE h () INHERITS (t);
    CREATE VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;
    CREATE SEQUENCE s; CREATE TYPE e AS ENUM ('a'); CREATE DOMAIN d AS integer;
    CREATE TYPE c AS (a integer); CREATE TYPE r AS RANGE (subtype = integer);
    CREATE FUNCTION f(e) RETURNS integer LANGUAGE sql AS 'SELECT 1';
    CREATE PROCEDURE pr(a integer) LANGUAGE sql AS 'SELECT 1';
    CREATE AGGREGATE ag(integer) (SFUNC = int4pl, STYPE = integer);
    CREATE FUNCTION eq(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT $1 = $2';
    CREATE OPERATOR =## (LEFTARG = integer, RIGHTARG = integer, FUNCTION = eq);
    CREATE OPERATOR FAMILY fam USING btree; CREATE COLLATION coll FROM "C";
    CREATE FUNCTION g(integer) RETURNS e LANGUAGE sql AS $$ SELECT 'a'::e $$;
    CREATE CAST (integer AS e) WITH FUNCTION g(integer);
    CREATE STATISTICS st ON id, h FROM t; CREATE TEXT SEARCH CONFIGURATION ts (COPY = english);
    CREATE TEXT SEARCH DICTIONARY td (TEMPLATE = simple);
    CREATE SERVER sv FOREIGN DATA WRAPPER postgres_fdw; CREATE FOREIGN TABLE ft () SERVER sv;
    CREATE PUBLICATION pu FOR TABLE t; CREATE SCHEMA app; CREATE TABLE app.x (a public.e);
    CREATE FUNCTION ended() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
    CREATE EVENT TRIGGER ended ON sql_drop EXECUTE FUNCTION ended();
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
    ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT USAGE ON SEQUENCES TO PUBLIC;
    ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO PUBLIC;
    ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM CURRENT_USER, PUBLIC;
    ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
    SELECT lo_create(0);
"""


def test_a_database_is_emptied_of_every_kind_of_object(
    database: str, create_database: Create, dump: Dump
) -> None:
    """It then is as a new one; what the statements take along is no error."""
    execute(database, KINDS)

    *drops, grant = value(database, query_text("shadow_empty"))
    for statement in drops:
        execute(database, statement)

    assert grant == "GRANT ALL ON SCHEMA public TO PUBLIC"
    assert dump(database) == dump(create_database())
    assert value(database, query_text("shadow_empty")) == [grant]


def test_a_database_that_is_not_the_roles_own_is_refused(
    owned: Owned, create_database: Create, folder: Write
) -> None:
    """It cannot be emptied."""
    named = create_database()
    execute(named, "CREATE TABLE theirs (n integer)")
    scope = Scope(shadow_url=make_conninfo(named, user=owned.role))

    with pytest.raises(UsageError, match="cannot be emptied: must be owner"):
        verify(owned.url, folder({"001_a.up.sql": TABLE}), scope=scope)

    assert value(named, "SELECT to_regclass('theirs') IS NOT NULL")


def test_the_live_database_is_refused(database: str, folder: Write) -> None:
    """Under whatever URL."""
    execute(database, "CREATE TABLE mine (n integer)")
    scope = Scope(shadow_url=make_conninfo(database, application_name="another"))

    with pytest.raises(UsageError, match="it is the live database"):
        verify(database, folder({"001_a.up.sql": TABLE}), scope=scope)

    assert value(database, "SELECT to_regclass('mine') IS NOT NULL")


def test_a_database_with_a_history_is_refused(database: str, applied: str, folder: Write) -> None:
    """It is one that others migrate."""
    with pytest.raises(UsageError, match="it has a history"):
        verify(database, folder({"001_a.up.sql": TABLE}), scope=Scope(shadow_url=applied))


def test_two_replays_wait_for_each_other_in_a_database_that_is_named(
    database: str, create_database: Create, folder: Write
) -> None:
    """Each would drop what the other one has created."""
    named = create_database()
    scope = Scope(shadow_url=named)
    slow = folder({"001_a.up.sql": TABLE + "SELECT pg_advisory_lock(20262, 1);"})
    with psycopg.connect(named, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(20262, 1)")
        with Threads(2) as pool:
            first = pool.submit(verify, database, slow, scope=scope)
            wait_until(lambda: waiting(named) == 1, "the first one waits at the gate")
            second = pool.submit(verify, database, folder({"001_a.up.sql": TABLE}), scope=scope)
            wait_until(lambda: waiting(named) == 2, "the second one waits for the first")
            gate.execute("SELECT pg_advisory_unlock(20262, 1)")
            reports = first.result(), second.result()

    assert [statuses(report) for report in reports] == [{"table a": "missing"}] * 2


def waiting(url: str) -> int:
    """Return how many sessions of a database wait for an advisory lock."""
    return int(
        value(
            url,
            "SELECT count(*) FROM pg_locks AS k JOIN pg_database AS d ON d.oid = k.database"
            " WHERE d.datname = current_database() AND k.locktype = 'advisory' AND NOT k.granted",
        )
    )


def test_another_major_version_is_refused(
    database: str, server_version: int, folder: Write, tmp_path: Path
) -> None:
    """Definitions read differently there."""
    if major_version() in {None, server_version}:
        pytest.skip("there is no server of another major version here")
    named = embedded.start(tmp_path / "other")

    with pytest.raises(UsageError, match=f"on PostgreSQL {major_version()}"):
        verify(database, folder({"001_a.up.sql": TABLE}), scope=Scope(shadow_url=named))


def test_a_shadow_database_that_cannot_be_reached_is_an_error(database: str, folder: Write) -> None:
    """It was asked for: there is no other choice."""
    scope = Scope(shadow_url="postgresql://postgres@127.0.0.1:1/none")

    with pytest.raises(DatabaseError, match="refused"):
        verify(database, folder({"001_a.up.sql": TABLE}), scope=scope)


def test_the_private_server_serves_where_no_database_may_be_created(
    database: str, role: str, server_version: int, folder: Write, cli: Cli
) -> None:
    """If it has the same major version; the report says nothing of it."""
    if major_version() != server_version:
        pytest.skip("the private server has another major version")
    execute(database, TABLE)

    done = cli(
        "verify",
        "--sql-dir",
        folder({"001_a.up.sql": TABLE}),
        "--database-url",
        make_conninfo(database, user=role),
    )

    assert done.returncode == 0, done.stderr
    assert "compared with a replay of the files" in done.stdout


@pytest.mark.usefixtures("without_private_server")
def test_a_connection_limit_leads_to_the_next_choice(owned: Owned, folder: Write) -> None:
    """A role with one connection has none for a shadow database."""
    execute(owned.server, f"ALTER ROLE {owned.role} CONNECTION LIMIT 1")

    with pytest.raises(DatabaseError, match="no shadow database") as caught:
        verify(owned.url, folder({"001_a.up.sql": TABLE}))

    assert "too many connections" in " ".join(caught.value.detail)


# --------------------------------------------------------------------------------------------------
# What is left of it
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def gate(server_url: str) -> Iterator[Gate]:
    """Return a gate in a replay: locks are those of one database, roles those of all."""
    found = Gate(server_url, f"lf_role_{uuid4().hex[:12]}")
    yield found
    execute(server_url, f"DROP ROLE IF EXISTS {found.role}")


class Gate:
    """A statement of a file that ends when the test lets it."""

    def __init__(self, url: str, role: str) -> None:
        self.url = url
        self.role = role
        self.statement = (
            f"DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') LOOP"
            " PERFORM pg_sleep(0.02); END LOOP; END $$"
        )

    def open(self) -> None:
        """Let the statement end."""
        execute(self.url, f"CREATE ROLE {self.role}")


@contextmanager
def verifying(url: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start `verify --replay` in a process of its own, which is killed in the end."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "lfmigrate", "verify", "--replay",
            "--sql-dir", path, "--database-url", url,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def rename(url: str, name: str, *, time: str = "20200101t000000z") -> str:
    """Rename a shadow database as if it had been made at another time; return the name."""
    # A server that has lost its client ends the session when it notices.
    wait_until(
        lambda: value(url, f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'") == 0,
        "nothing uses it",
    )
    new = f"lfmigrate_shadow_{time}_{name[-12:]}"
    execute(url, f"ALTER DATABASE {name} RENAME TO {new}")
    return new


@pytest.mark.process
@pytest.mark.parametrize("moment", ["create", "replay", "drop"])
def test_what_a_killed_run_leaves_is_dropped_by_a_later_one(
    moment: str, owned: Owned, folder: Write, gate: Gate
) -> None:
    """Not even a comment is there, if it was killed while the server created the database."""
    execute(owned.url, TABLE)
    path, plain = (
        folder({"001_a.up.sql": TABLE + gate.statement}),
        folder({"001_a.up.sql": TABLE}),
    )
    with ExitStack() as stack, verifying(owned.url, path) as process:
        other = stack.enter_context(psycopg.connect(owned.server, autocommit=True))
        if moment == "create":
            # Both need a lock on the template.
            other.execute("BEGIN")
            other.execute("COMMENT ON DATABASE template0 IS 'held by a test'")
            query = 'CREATE DATABASE "lfmigrate_shadow'
        else:
            query = gate.statement
        wait_until(lambda: bool(owned.running(query)), f"it runs {query}")
        if moment == "drop":
            # Which the server waits for, and then it refuses.
            name = owned.running(query)
            stack.enter_context(psycopg.connect(make_conninfo(owned.server, dbname=name)))
            gate.open()
            query = "DROP DATABASE IF EXISTS"
            wait_until(lambda: bool(owned.running(query)), "it drops the database")
        process.kill()
        process.wait()
        if moment == "replay":
            gate.open()
        elif moment == "create":
            other.execute("ROLLBACK")
        wait_until(lambda: not owned.running(query), "the server has ended it")
    (left,) = owned.shadows
    commented = value(
        owned.server,
        "SELECT shobj_description(oid, 'pg_database') LIKE 'lfmigrate: %'"
        f" FROM pg_database WHERE datname = '{left}'",
    )
    young = replayed(owned.url, plain)
    kept = owned.shadows
    rename(owned.server, left)

    old = replayed(owned.url, plain)

    assert commented == (None if moment == "create" else True)
    assert young == old == {"table a": "ok"}
    assert kept == [left]
    assert owned.shadows == []


@pytest.mark.parametrize(
    ("why", "statement"),
    [
        ("it has another comment", "COMMENT ON DATABASE {name} IS 'mine'"),
        ("it has a table, and no comment", ""),
        ("it is in use", f"COMMENT ON DATABASE {{name}} IS '{OUR_COMMENT}'"),
        ("it belongs to another role", "ALTER DATABASE {name} OWNER TO {other}"),
        ("it is young", "ALTER DATABASE {name} RENAME TO {young}"),
    ],
)  # fmt: skip
def test_a_database_that_may_not_be_a_leftover_is_kept(
    why: str, statement: str, owned: Owned, role: str, folder: Write
) -> None:
    """A name alone is no proof."""
    name = f"lfmigrate_shadow_20200101t000000z_{uuid4().hex[:12]}"
    young = name.replace("20200101", "29991231")
    execute(owned.server, f"CREATE DATABASE {name} OWNER {owned.role}")
    with ExitStack() as stack:
        stack.callback(execute, owned.server, f"DROP DATABASE IF EXISTS {young}")
        stack.callback(execute, owned.server, f"DROP DATABASE IF EXISTS {name}")
        if "table" in why:
            execute(make_conninfo(owned.server, dbname=name), "CREATE TABLE t (n integer)")
        if "use" in why:
            stack.enter_context(psycopg.connect(make_conninfo(owned.server, dbname=name)))
        if statement:
            execute(owned.server, statement.format(name=name, young=young, other=role))

        replayed(owned.url, folder({"001_a.up.sql": TABLE}))

        kept = fetch(
            owned.server, f"SELECT datname FROM pg_database WHERE datname IN ('{name}', '{young}')"
        )
    assert len(kept) == 1


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_replay_drops_its_database(
    number: int, owned: Owned, folder: Write, gate: Gate
) -> None:
    """In the middle of a long statement."""
    path = folder({"001_a.up.sql": TABLE + gate.statement})
    with verifying(owned.url, path) as process:
        wait_until(lambda: bool(owned.running(gate.statement)), "the replay runs")
        process.send_signal(number)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 128 + number, said
    assert owned.shadows == []


def test_a_database_that_is_in_use_is_reported_and_dropped_later(
    owned: Owned, folder: Write, gate: Gate
) -> None:
    """Another session, such as a monitoring program's, has connected to it."""
    path = folder({"001_a.up.sql": TABLE + gate.statement})
    said: list[str] = []

    def connect_to_it() -> psycopg.Connection[Any]:
        wait_until(lambda: bool(owned.running(gate.statement)), "the replay runs")
        name = owned.running(gate.statement)
        conn = psycopg.connect(make_conninfo(owned.server, dbname=name))
        gate.open()
        return conn

    with Threads(1) as pool:
        other = pool.submit(connect_to_it)
        report = verify(owned.url, path, on_wait=said.append)
        other.result().close()
    (left,) = owned.shadows
    rename(owned.server, left)
    replayed(owned.url, folder({"001_a.up.sql": TABLE}))

    assert statuses(report) == {"table a": "missing"}
    assert said[-1].startswith(f"database {left} could not be dropped")
    assert owned.shadows == []


def limit(server: str, role: str, database: str) -> None:
    """Let every statement of a role in a database end after a millisecond, and every pause."""
    names = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]
    names += ["idle_session_timeout"]
    if value(server, "SELECT current_setting('server_version_num')::int") >= 170_000:
        names.append("transaction_timeout")
    for name in names:
        execute(server, f"ALTER ROLE {role} SET {name} = 1")
        execute(server, f'ALTER DATABASE "{database}" SET {name} = 1')
        execute(server, f'ALTER ROLE {role} IN DATABASE "{database}" SET {name} = 1')


def test_the_timeouts_of_a_role_do_not_end_what_creates_and_drops_a_database(owned: Owned) -> None:
    """Nor the session that replays; they would leave the database behind."""
    with lfmigrate.connect(owned.url) as conn:
        address, version = address_of(conn), conn.info.server_version
        limit(owned.server, owned.role, conn.info.dbname)
    said: list[str] = []

    with temporary_database(address, [""], said.append, version=version) as shadow:
        shadow.execute("BEGIN")
        shadow.execute("SELECT pg_sleep(0.05)")
        shadow.execute("ROLLBACK")
        assert len(owned.shadows) == 1

    assert owned.shadows == []
    assert said == []


def test_a_database_that_is_read_only_by_default_can_be_replayed(
    database: str, folder: Write
) -> None:
    """The shadow database is created from a session that may write."""
    path = folder({"001_a.up.sql": TABLE})
    up(database, path)
    name = conninfo_to_dict(database)["dbname"]
    execute(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    report = verify(database, path, replay_files=True)

    assert (statuses(report), report.notes) == ({"table a": "ok"}, ())


def test_the_timeouts_of_a_role_do_not_end_a_replay_in_a_database_that_was_named(
    owned: Owned, database: str, folder: Write
) -> None:
    """It has a role and a database of its own."""
    limit(owned.server, owned.role, str(conninfo_to_dict(owned.url)["dbname"]))
    path = folder({"001_a.up.sql": TABLE + "SELECT pg_sleep(0.05);"})

    report = verify(database, path, scope=Scope(shadow_url=owned.url))

    assert statuses(report) == {"table a": "missing"}


# What a live database or its server may have, and an empty one does not.
NEEDED = [
    "SET ROLE nosuch",
    "SET SESSION AUTHORIZATION nosuch",
    "GRANT SELECT ON t TO nosuch",
    "ALTER TABLE t OWNER TO nosuch",
    "CREATE POLICY p ON t TO nosuch",
    "SELECT set_config('role', 'nosuch', true)",
    "SELECT nosuch()",
    "CALL nosuch()",
    "SELECT 1 @@@ 2",
    "CREATE TABLE u (x nosuch)",
    "CREATE TABLE nosuch.u (n int)",
    "CREATE TABLE u (n int) TABLESPACE nosuch",
    "SET default_tablespace = nosuch; CREATE TABLE u (n int)",
    "CREATE FUNCTION f() RETURNS int LANGUAGE nosuch AS 'x'",
    'CREATE TABLE u (x text COLLATE "nosuch")',
    "SELECT to_tsvector('nosuch', 'x')",
    "INSERT INTO nosuch VALUES (1)",
    "UPDATE t SET nosuch = 1",
    "CREATE FOREIGN TABLE u (n int) SERVER nosuch",
    "CREATE INDEX ON t (n nosuch)",
    "CREATE INDEX ON t USING gin (n)",
    "SELECT n::box FROM t",
    "INSERT INTO t VALUES (box '(1,1),(2,2)')",
    "CREATE EXTENSION nosuch",
    "LOAD 'nosuch'",
]


def test_a_replay_that_lacks_something_says_what_would_help(
    database: str, create_database: Create, folder: Write
) -> None:
    """Whatever it is, and whatever the server calls it."""
    shadow = create_database()
    hints = {}
    for statement in NEEDED:
        path = folder({"1_a.up.sql": f"CREATE TABLE t (n int); {statement};"})
        with pytest.raises(StatementFailed) as caught:
            verify(database, path, scope=Scope(shadow_url=shadow))
        hints[statement] = caught.value.hint or ""

    installed = NEEDED[-2:]
    assert [s for s in NEEDED if "--shadow-setup" not in hints[s]] == installed
    # The database that was named may be on another server.
    assert [s for s in NEEDED if "--shadow-url" not in hints[s]] == []
    assert [s for s in NEEDED if "CREATEDB" not in hints[s]] == []


def test_on_the_live_server_no_other_one_is_asked_for(owned: Owned, folder: Write) -> None:
    """Its roles are there already."""
    with pytest.raises(StatementFailed) as caught:
        verify(owned.url, folder({"1_a.up.sql": "SELECT nosuch();"}))

    assert "--shadow-setup" in str(caught.value.hint)
    assert "--shadow-url" not in str(caught.value.hint)


def test_a_replay_that_fails_drops_its_database(owned: Owned, folder: Write) -> None:
    """And says where it failed."""
    with pytest.raises(StatementFailed, match="division by zero") as caught:
        verify(owned.url, folder({"001_a.up.sql": TABLE + "SELECT 1 / 0;"}))

    assert caught.value.place == "001_a.up.sql:2:1"
    assert owned.shadows == []


# --------------------------------------------------------------------------------------------------
# It is as the live one
# --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_private_server")
def test_files_find_the_settings_of_the_live_database(owned: Owned, folder: Write) -> None:
    """Those of the database, of the role, of both, and custom ones: a default depends on them."""
    name = conninfo_to_dict(owned.url)["dbname"]
    execute(
        owned.server,
        f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'",
        f"ALTER ROLE {owned.role} SET datestyle = 'German'",
        f"ALTER ROLE {owned.role} IN DATABASE {name} SET app.tenant = 'north'",
        # Only a superuser may set it.
        f"ALTER DATABASE {name} SET log_min_messages = 'panic'",
    )
    path = folder(
        {
            "001_a.up.sql": """
                CREATE TABLE a (t timestamptz DEFAULT '03.02.2021 00:00', u text);
                DO $$ BEGIN
                    EXECUTE format('ALTER TABLE a ALTER u SET DEFAULT %L',
                        current_setting('app.tenant'));
                END $$;
            """,
            # After a file, the session is as it was.
            "002_b.up.sql": "SET timezone = 'UTC'; SET app.tenant = 'south';",
            "003_c.up.sql": "CREATE TABLE c (t timestamptz DEFAULT '03.02.2021 00:00');",
        }
    )
    with psycopg.connect(owned.url, autocommit=True) as conn:
        for file in sorted(path.iterdir()):
            conn.execute("SET timezone = 'Asia/Tokyo'")
            conn.execute(file.read_bytes())

    assert replayed(owned.url, path) == {"table a": "ok", "table c": "ok"}


@pytest.mark.usefixtures("without_private_server")
def test_the_encoding_and_the_locale_are_those_of_the_live_database(
    owned: Owned, server_version: int, folder: Write
) -> None:
    """Whatever its provider is."""
    options = ["ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"]
    if server_version >= 15:
        options[0] += " LOCALE_PROVIDER libc"
    has_icu = value(
        owned.server, "SELECT count(*) > 0 FROM pg_collation WHERE collname = 'de-AT-x-icu'"
    )
    if server_version >= 15 and has_icu:
        options.append("LOCALE_PROVIDER icu ICU_LOCALE 'de-AT' LOCALE 'C'")
    if server_version >= 16 and has_icu:
        options.append("LOCALE_PROVIDER icu ICU_LOCALE 'und' ICU_RULES '&b < a' LOCALE 'C'")
    if server_version >= 17:
        options.append("LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'")
    query = """
        SELECT concat_ws(' ', d.encoding, d.datcollate, d.datctype, j.row ->> 'datlocprovider',
            j.row ->> 'daticulocale', j.row ->> 'datlocale', j.row ->> 'daticurules')
        FROM pg_database AS d CROSS JOIN LATERAL to_jsonb(d) AS j (row)
        WHERE d.datname = current_database()
    """
    for option in options:
        name = f"lf_test_{uuid4().hex[:12]}"
        execute(
            owned.server,
            f"CREATE DATABASE {name} OWNER {owned.role} TEMPLATE template0 {option}",
        )
        try:
            url = make_conninfo(owned.url, dbname=name)
            live = value(url, query)
            path = folder({"001_a.up.sql": f"DO $x$ BEGIN ASSERT ({query}) = '{live}'; END $x$;"})

            report = verify(url, path)
        finally:
            execute(owned.server, f"DROP DATABASE {name}")

        assert report.source == "replay"


def test_the_extensions_of_the_live_database_are_there(
    owned: Owned, server_url: str, folder: Write
) -> None:
    """Those that the files do not create; that one may not be created is only worth a note."""
    live = make_conninfo(server_url, dbname=conninfo_to_dict(owned.url)["dbname"])
    execute(
        live,
        'CREATE SCHEMA "Ex"; CREATE EXTENSION hstore SCHEMA "Ex"; CREATE EXTENSION postgres_fdw',
        f'GRANT USAGE ON SCHEMA "Ex" TO {owned.role}',
        'CREATE EXTENSION pg_trgm; CREATE TABLE a (h "Ex".hstore)',
        f"ALTER TABLE a OWNER TO {owned.role}",
    )
    path = folder(
        {
            "001_a.up.sql": "CREATE EXTENSION IF NOT EXISTS pg_trgm;"
            ' CREATE TABLE IF NOT EXISTS a (h "Ex".hstore);'
        }
    )

    report = verify(owned.url, path)

    assert statuses(report) == {"table a": "ok", "extension pg_trgm": "ok"}
    (note,) = report.notes
    assert note.startswith("extension postgres_fdw is missing from the shadow database: permission")


def test_a_table_of_another_application_is_created_by_the_setup(
    database: str, folder: Write, tmp_path: Path, cli: Cli
) -> None:
    """It is not expected, but what the files do to it is."""
    execute(database, "CREATE TABLE theirs (id integer PRIMARY KEY)")
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (id integer REFERENCES theirs);"
            " ALTER TABLE theirs ADD COLUMN ours text;"
        }
    )
    up(database, path)
    setup = tmp_path / "setup.sql"
    setup.write_text("CREATE TABLE theirs (id integer PRIMARY KEY, more text); CREATE SCHEMA s;")
    command = ("verify", "--replay", "--sql-dir", path, "--database-url", database)

    without = cli(*command)
    done = cli(*command, "--shadow-setup", setup)
    with lfmigrate.connect(database) as conn:
        report = lfmigrate.verify(
            conn, lfmigrate.read_folder(path), scope=Scope(shadow_setup=setup), replay_files=True
        )

    assert without.returncode == 4
    assert 'relation "theirs" does not exist' in without.stderr
    assert "001_a.up.sql:1" in without.stderr
    assert "It failed in an empty shadow database." in without.stderr
    assert "--shadow-setup" in without.stderr
    assert done.returncode == 0, done.stderr
    assert statuses(report) == {"table a": "ok", "table theirs": "ok"}
    theirs = next(v.relation for v in report.relations if v.relation.name == "theirs")
    # What else the live one has is not compared.
    assert "column id" in theirs.parts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "--shadow-setup (LFMIGRATE_SHADOW_SETUP): there is no file"),
        ("SELECT 'x", "this string is never closed"),
        ("VACUUM", "VACUUM cannot run in a transaction"),
        ("-- lfmigrate: no-transaction\nSELECT 1;", "runs in one transaction"),
    ],
)
def test_a_setup_that_cannot_run_is_refused_before_anything_is_sent(
    text: str | None, message: str, database: str, tmp_path: Path, cli: Cli
) -> None:
    """Whether it would be needed or not."""
    setup = tmp_path / "setup.sql"
    if text is not None:
        setup.write_text(text)

    done = cli("status", "--database-url", database, env={"LFMIGRATE_SHADOW_SETUP": str(setup)})

    assert done.returncode == 2
    assert message in done.stderr


# --------------------------------------------------------------------------------------------------
# What can be replayed
# --------------------------------------------------------------------------------------------------

EVERYTHING = {
    "001_a.up.sql": """
        CREATE SCHEMA app;
        CREATE TABLE app.a (id integer PRIMARY KEY);
        CREATE TABLE public.b (id integer REFERENCES app.a);
        CREATE EXTENSION hstore SCHEMA app;
        CREATE EXTENSION postgres_fdw;
        CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1');
        CREATE USER MAPPING FOR CURRENT_USER SERVER far;
        CREATE FOREIGN TABLE app.f (id integer) SERVER far;
        CREATE PUBLICATION everything FOR TABLE app.a;
        CREATE FUNCTION app.seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
        CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION app.seen();
        CREATE TEMPORARY TABLE staged (id integer);
        CREATE TABLE m AS SELECT id FROM staged;
        CREATE ROLE {role};
        GRANT CREATE ON SCHEMA app TO {role};
    """,
    "001_a.down.sql": """
        DROP EVENT TRIGGER seen; DROP PUBLICATION everything; DROP TABLE m, public.b, app.a;
        DROP FOREIGN TABLE app.f; DROP USER MAPPING FOR CURRENT_USER SERVER far; DROP SERVER far;
        DROP EXTENSION postgres_fdw; DROP EXTENSION hstore; DROP FUNCTION app.seen();
        DROP SCHEMA app; DROP ROLE {role};
    """,
    "002_b.up.sql": "SET ROLE {role}; CREATE TABLE app.theirs (id integer);",
    "002_b.down.sql": "DROP TABLE app.theirs;",
}


@pytest.fixture
def everything(folder: Write, server_url: str) -> Iterator[Path]:
    """Return a folder with much that a schema next to the live one could not take."""
    role = f"lf_role_{uuid4().hex[:12]}"
    yield folder({name: text.format(role=role) for name, text in EVERYTHING.items()})
    execute(server_url, f"DROP ROLE IF EXISTS {role}")


def test_a_folder_with_schemas_servers_publications_and_roles_is_replayed(
    create_database: Create, everything: Path
) -> None:
    """All that it creates is compared; roles that exist are left alone."""
    url = create_database()
    try:
        up(url, everything)

        replay = verify(url, everything, replay_files=True)
        history = verify(url, everything)
    finally:
        execute(url, "DROP EXTENSION postgres_fdw CASCADE; DROP SCHEMA app CASCADE")

    assert statuses(replay) == statuses(history)
    assert replay.ok
    (note,) = replay.notes
    assert note.count("the role exists on the server") == note.count("001_a.up.sql") == 1


def test_a_folder_with_schemas_servers_publications_and_roles_is_checked(
    database: str, everything: Path, cli: Cli
) -> None:
    """Up, down and up again."""
    done = cli("check", "--sql-dir", everything, "--database-url", database)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 of 7 checks passed" in done.stdout


ENUM = {
    # The new name makes the server forget that the type is as new as the transaction.
    "001_a.up.sql": "CREATE TYPE s AS ENUM ('new'); ALTER TYPE s RENAME TO st;",
    "002_b.up.sql": "ALTER TYPE st ADD VALUE 'held';",
    "003_c.up.sql": "CREATE TABLE job (s st DEFAULT 'held'); ALTER TYPE st ADD VALUE 'done';",
    "004_d.up.sql": "ALTER TABLE job ADD CHECK (s <> 'done'); ALTER TABLE job ADD n integer;",
}


def test_a_new_value_of_an_enum_is_committed_before_it_is_used(owned: Owned, folder: Write) -> None:
    """As the server demands it, file by file; each part is known by the file that wrote it."""
    path = folder(ENUM)
    files = lfmigrate.read_folder(path)
    with lfmigrate.connect(owned.url) as conn:
        lfmigrate.up(conn, files, per_migration=True)

        report = lfmigrate.verify(conn, files, replay_files=True)
        session = Session(conn, files)
        made = replay(session, session.state(), [m.up for m in files.migrations]).made

    assert statuses(report) == {"table job": "ok", "type st": "ok"}
    assert owned.shadows == []
    job = next(item for item in made if item.relation.name == "job")
    assert (job.file_index, job.part_files) == (
        2,
        {"column s": 2, "column n": 3, "constraint job_s_check": 3},
    )
    assert next(item.file_index for item in made if item.relation.kind == "type") == 0


def test_what_all_databases_share_is_not_committed(
    database: str, server_url: str, server_version: int, folder: Write
) -> None:
    """A role would stay, so the server's refusal is final."""
    if server_version >= 17:
        pytest.skip("the server still knows that the type is new")
    role = f"lf_role_{uuid4().hex[:12]}"
    path = folder({**ENUM, "000_role.up.sql": f"CREATE ROLE {role};"})

    with pytest.raises(StatementFailed, match="unsafe use of new value") as caught:
        verify(database, path)

    assert caught.value.file == "003_c.up.sql"
    assert fetch(server_url, f"SELECT rolname FROM pg_roles WHERE rolname = '{role}'") == []


def test_a_run_that_creates_a_role_is_not_waited_for(
    database: str, server_version: int, folder: Write, chdir: Path
) -> None:
    """A replay on the same server would create it too, and wait until the run has ended."""
    assert list(chdir.iterdir()) == []
    role = f"lf_role_{uuid4().hex[:12]}"
    execute(database, TABLE)
    path = folder({"001_a.up.sql": f"CREATE ROLE {role}; {TABLE}"})
    try:
        report = up(database, path, scope=Scope(lock_timeout_ms=0))
    finally:
        execute(database, f"DROP ROLE IF EXISTS {role}")

    if major_version() == server_version:
        assert statuses(report) == {"table a": "skipped"}
    else:
        (note,) = report.notes
        assert "not on this server: the run has changed what all of its databases share" in note


def test_a_statement_that_is_left_out_may_hide_what_was_skipped(
    database: str, folder: Write
) -> None:
    """What was skipped because it exists is then not compared, and strict refuses that."""
    execute(database, "CREATE TABLE a (id integer)")
    text = "DO $$ BEGIN CREATE TABLE IF NOT EXISTS a (id text); PERFORM pg_reload_conf(); END $$;"
    path = folder({"001_a.up.sql": text})

    with pytest.raises(DifferenceFound) as caught:
        up(database, path, strict=True, scope=Scope())

    assert caught.value.detail == ("skipped: 001_a.up.sql:1",)


def test_a_block_that_commits_is_left_out(database: str, folder: Write) -> None:
    """Only the server knows; the other statements are replayed."""
    execute(database, "CREATE TABLE a (id integer); CREATE TABLE b (id integer)")
    path = folder(
        {
            "001_a.up.sql": "-- lfmigrate: no-transaction\nCREATE TABLE a (id integer);\n"
            "DO $$ BEGIN CREATE TABLE c (id integer); COMMIT; END $$;\nCREATE TABLE b (id integer);"
        }
    )

    report = verify(database, path)

    assert statuses(report) == {"table a": "ok", "table b": "ok"}
    assert report.notes == (
        "left out of the replay: 001_a.up.sql:3: it cannot run in a transaction",
    )


@pytest.mark.usefixtures("without_private_server")
def test_what_only_another_major_version_described_is_named(owned: Owned, folder: Write) -> None:
    """Its file is missing, so nothing is replayed, and no shadow database is needed for that."""
    path = folder({"001_a.up.sql": TABLE})
    up(owned.url, path)
    execute(owned.url, "UPDATE lfmigrate.lfmigrate_history SET server_version = 130011")
    (path / "001_a.up.sql").rename(path / "002_b.up.sql")
    execute(owned.server, f"ALTER ROLE {owned.role} NOCREATEDB")

    report = verify(owned.url, path)

    assert report.relations == ()
    assert "not compared: table public.a; only PostgreSQL 13 described it" in report.notes


@pytest.mark.any_version
def test_a_replay_reads_times_as_the_run_did(database: str, folder: Write) -> None:
    """The settings of the database may have changed since; the files have not."""
    name = conninfo_to_dict(database)["dbname"]
    settings = {
        "TimeZone": ("Asia/Kolkata", "America/New_York"),
        "DateStyle": ("ISO, DMY", "ISO, MDY"),
        "IntervalStyle": ("sql_standard", "postgres"),
    }
    set_all = [f"ALTER DATABASE {name} SET {key} = '{{{key}}}'" for key in settings]
    before, after = ({k: v[i] for k, v in settings.items()} for i in (0, 1))
    execute(database, *(each.format(**before) for each in set_all))
    files = folder(
        {
            "1_a.sql": "CREATE TABLE t (a timestamptz DEFAULT '2026-05-01 12:00',"
            " b date DEFAULT '03/04/2026', c interval DEFAULT '-1 2:03:04');",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT '1.2.2026 0:00'::timestamptz AS t",
        }
    )
    up(database, files)
    execute(database, *(each.format(**after) for each in set_all))

    assert verify(database, files).ok
    assert verify(database, files, replay_files=True).ok
    (files / "2_b.sql").write_text("ALTER TABLE t ADD COLUMN d date DEFAULT '03/04/2026'")
    up(database, files)
    assert verify(database, files, replay_files=True).ok
