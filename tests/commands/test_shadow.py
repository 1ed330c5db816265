"""Replays: they run in a shadow database, change nothing elsewhere, and leave nothing behind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.settings import Scope
from tests.helpers.commands import statuses, verify
from tests.helpers.databases import execute, fetch, value

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]
Create = Callable[..., str]

TABLE = "CREATE TABLE IF NOT EXISTS a (id serial PRIMARY KEY, name text);\n"

SHADOWS = "SELECT datname FROM pg_database WHERE datname LIKE 'lfmigrate_shadow%' AND datdba = {}"


@pytest.fixture
def creator(server_url: str) -> Iterator[str]:
    """Return a role that may create databases: those that it owns are this test's own."""
    name = f"lf_role_{uuid4().hex[:12]}"
    execute(server_url, f"CREATE ROLE {name} LOGIN CREATEDB")
    yield name
    for left in shadows(server_url, name):
        execute(server_url, f"DROP DATABASE {left} WITH (FORCE)")
    execute(server_url, f"DROP ROLE {name}")


@pytest.fixture
def owned(creator: str, create_database: Create) -> str:
    """Return the URL of an empty database, for its owner, who may create others."""
    url = create_database()
    execute(url, f"ALTER DATABASE {conninfo_to_dict(url)['dbname']} OWNER TO {creator}")
    return make_conninfo(url, user=creator)


def shadows(url: str, role: str) -> list[str]:
    """Return the names of the shadow databases of a role."""
    return fetch(url, SHADOWS.format(f"'{role}'::regrole"))


def replayed(url: str, path: Path, **options: Scope) -> dict[str, str]:
    """Return what a replay makes of the objects of a folder."""
    return statuses(verify(url, path, replay_files=True, **options))


# --------------------------------------------------------------------------------------------------
# Nothing else changes
# --------------------------------------------------------------------------------------------------

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
