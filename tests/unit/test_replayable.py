"""Which statements a replay leaves out, because they would be felt outside its database."""

from __future__ import annotations

import pytest

from lfmigrate.syntax.replayable import created_names, for_replay, is_cluster_wide, roles_named
from lfmigrate.syntax.scanner import split

BODY = "LANGUAGE plpgsql AS $$ BEGIN {} END $$"


def left_out(text: str) -> list[int]:
    """Return the places of the statements of a text that are left out, from 0."""
    return [n for n, each in enumerate(for_replay(split(text))) if each.left_out is not None]


@pytest.mark.parametrize(
    "text",
    [
        "VACUUM a",
        "ALTER SYSTEM SET work_mem = '1MB'",
        "CREATE TABLESPACE t LOCATION '/t'",
        "CREATE DATABASE d",
        "DROP DATABASE d",
        "ALTER DATABASE d SET timezone = 'UTC'",
        "GRANT CREATE ON DATABASE d TO r",
        "COMMENT ON DATABASE d IS 'x'",
        "COPY a FROM '/tmp/a'",
        "COPY a TO PROGRAM 'cat > /tmp/a'",
        "COPY (SELECT 1) TO '/tmp/a'",
        "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
        "SELECT dblink_exec('x', 'DELETE FROM a')",
        "SELECT * FROM public.dblink('x', 'SELECT 1') AS t (a int)",
        "SELECT \"dblink\" ('x')",
        "SELECT lo_import('/etc/hosts'), 1",
        "SELECT pg_catalog.lo_export(1, '/tmp/a')",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        "SELECT PG_Cancel_Backend /* a comment */ (1)",
        "SELECT pg_reload_conf()",
        "SELECT pg_rotate_logfile()",
        "SELECT pg_read_file('a')",
        "INSERT INTO a SELECT pg_read_binary_file('a')",
        "SELECT pg_create_physical_replication_slot('a')",
        "WITH x AS (SELECT pg_switch_wal()) SELECT * FROM x",
        "(SELECT pg_reload_conf())",
        "DO $$ BEGIN PERFORM pg_reload_conf(); END $$",
        "DO $$ BEGIN EXECUTE 'COPY a TO PROGRAM ''cat'''; END $$",
        "DO $$ BEGIN COPY a FROM '/tmp/a'; END $$",
        "DO 'BEGIN PERFORM dblink_exec(''x'', ''y''); END'",
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION pg_reload_conf()",
    ],
)
def test_a_statement_that_is_felt_outside_is_left_out(text: str) -> None:
    """However it is written."""
    assert left_out(text) == [0]


@pytest.mark.parametrize(
    "text",
    [
        "NOTIFY channel",
        "SELECT pg_notify('channel', 'dblink(')",
        "SELECT 1 AS pg_reload_conf",
        "SELECT 'pg_reload_conf()'",
        "-- dblink('x')\nSELECT 1",
        "INSERT INTO notes VALUES ('COPY a TO PROGRAM ''cat''')",
        "CREATE EXTENSION dblink",
        "CREATE TABLE dblink_log (copy text, program text)",
        f"CREATE FUNCTION f() RETURNS void {BODY.format('PERFORM pg_reload_conf();')}",
        "CREATE VIEW v AS SELECT pg_read_file('a')",
        "SELECT setval('a', 1), nextval('a'), pg_advisory_lock(1)",
        "CREATE PUBLICATION p FOR ALL TABLES",
        "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw",
        "SET ROLE r",
        "CREATE TEMPORARY TABLE t (a int)",
        "GRANT SELECT ON a TO r",
        "COMMENT ON TABLE a IS 'x'",
        "ALTER TABLE a RENAME COLUMN database TO d",
    ],
)
def test_any_other_statement_is_replayed_as_it_is(text: str) -> None:
    """What is only defined, quoted or commented on does not run."""
    (each,) = for_replay(split(text))

    assert each.left_out is None
    assert each.statement.text == split(text)[0].text


# A text, and the places of its statements that are left out.
CHAINS: dict[str, tuple[str, list[int]]] = {
    "a routine, one that calls it, and what calls that": (
        f"""CREATE FUNCTION f() RETURNS void {BODY.format("PERFORM dblink_exec();")};
        CREATE PROCEDURE g() {BODY.format("PERFORM f();")};
        SELECT 1; CALL g(); SELECT public.f(); DO $$ BEGIN CALL g(); END $$; DROP FUNCTION f()""",
        [3, 4, 5],
    ),
    "a view, and a view above it": (
        """CREATE VIEW v AS SELECT * FROM dblink('x') AS t (a int);
        CREATE OR REPLACE VIEW w AS SELECT * FROM v; SELECT * FROM w; SELECT 1""",
        [2],
    ),
    "a foreign table": (
        """CREATE FOREIGN TABLE IF NOT EXISTS app.ft (a int) SERVER s; ALTER TABLE app.ft ADD b int;
        INSERT INTO app.ft VALUES (1); GRANT SELECT ON ft TO r""",
        [2],
    ),
    "the table of a trigger": (
        f"""CREATE FUNCTION f() RETURNS trigger {BODY.format("PERFORM pg_reload_conf();")};
        CREATE TABLE t (a int);
        CREATE TRIGGER x AFTER INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION f();
        INSERT INTO t VALUES (1); ALTER TABLE t ADD b int; INSERT INTO u VALUES (1)""",
        [3],
    ),
    "the table of a rule": (
        """CREATE RULE r AS ON INSERT TO t DO ALSO SELECT pg_reload_conf();
        INSERT INTO t VALUES (1)""",
        [1],
    ),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_what_is_defined_to_reach_outside_does_so_when_it_is_used(chain: str) -> None:
    """The definitions are replayed, because they are what is compared."""
    text, expected = CHAINS[chain]

    assert left_out(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "CREATE TABLE a AS SELECT * FROM dblink('x') AS t (a int)",
            "CREATE TABLE a AS SELECT * FROM dblink('x') AS t (a int)\nWITH NO DATA",
        ),
        (
            "CREATE MATERIALIZED VIEW m AS SELECT pg_read_file('a') WITH DATA",
            "CREATE MATERIALIZED VIEW m AS SELECT pg_read_file('a') WITH NO DATA",
        ),
        (
            "CREATE MATERIALIZED VIEW m AS SELECT pg_read_file('a') WITH NO DATA",
            "CREATE MATERIALIZED VIEW m AS SELECT pg_read_file('a') WITH NO DATA",
        ),
        (
            "CREATE INDEX CONCURRENTLY i ON a (b)",
            "CREATE INDEX              i ON a (b)",
        ),
    ],
)
def test_a_statement_runs_in_a_form_that_creates_the_same(text: str, expected: str) -> None:
    """Without the rows, or without CONCURRENTLY."""
    (each,) = for_replay(split(text))

    assert (each.left_out, each.statement.text) == (None, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE ROLE a LOGIN", True),
        ("ALTER USER a PASSWORD 'x'", True),
        ("DROP GROUP IF EXISTS a", True),
        ("CREATE USER MAPPING FOR a SERVER s", False),
        ("GRANT a TO b", True),
        ("REVOKE ADMIN OPTION FOR a FROM b", True),
        ("GRANT SELECT ON t TO a", False),
        ("GRANT CREATE ON DATABASE d TO a", True),
        ("GRANT CREATE ON TABLESPACE d TO a", True),
        ("COMMENT ON ROLE a IS 'x'", True),
        ("COMMENT ON TABLE role IS 'x'", False),
        ("DROP OWNED BY a", True),
        ("REASSIGN OWNED BY a TO b", True),
        ("ALTER DATABASE d SET work_mem = 1", True),
        ("DO $$ BEGIN CREATE ROLE a; END $$", True),
        ("DO $$ BEGIN CREATE USER MAPPING FOR a SERVER s; END $$", False),
        ("DO $$ BEGIN CREATE TABLE role (a int); END $$", False),
        ("CREATE TABLE a (role int)", False),
        ("SET ROLE a", False),
    ],
)
def test_what_all_databases_of_a_server_share(text: str, *, expected: bool) -> None:
    """It is not committed in a replay."""
    assert is_cluster_wide(split(text)[0]) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE ROLE a LOGIN", ("a",)),
        ('ALTER USER "A b" SET work_mem = 1', ("A b",)),
        ("DROP ROLE IF EXISTS a, b", ("a", "b")),
        ("CREATE USER MAPPING FOR a SERVER s", ()),
        ("CREATE TABLE a (b int)", ()),
        ("GRANT a TO b", ()),
    ],
)
def test_the_roles_that_a_statement_is_about(text: str, expected: tuple[str, ...]) -> None:
    """They may exist on the server already."""
    assert roles_named(split(text)[0]) == expected


def test_the_schemas_and_extensions_that_files_create() -> None:
    """They are not created beforehand; with IF NOT EXISTS they might have been there."""
    statements = split(
        """
        CREATE SCHEMA a; CREATE SCHEMA IF NOT EXISTS "B"; CREATE SCHEMA AUTHORIZATION c;
        CREATE SCHEMA IF NOT EXISTS a;
        CREATE EXTENSION IF NOT EXISTS "uuid-ossp" SCHEMA a; CREATE EXTENSION hstore;
        DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS citext; END $$;
        """
    )

    assert created_names(statements, "schema") == {"a": False, "B": True, "c": False}
    assert created_names(statements, "extension") == {
        "uuid-ossp": True,
        "hstore": False,
        "citext": True,
    }
