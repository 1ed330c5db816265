"""Settings that a file makes, schemas, and missing privileges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.errors import (
    DatabaseError,
    DifferenceFound,
    StatementFailed,
)
from tests.conftest import Cli
from tests.helpers.commands import SHIPPED, migrations, statuses, up, verify
from tests.helpers.databases import execute, fetch, has_history, value
from tests.helpers.leavings import HAS, LEAVINGS, leaving

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]


# --------------------------------------------------------------------------------------------------
# Settings that a file makes
# --------------------------------------------------------------------------------------------------

LIKE_PG_DUMP = """
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
CREATE TABLE IF NOT EXISTS public.dumped (id integer NOT NULL);
"""


def test_a_files_settings_do_not_reach_the_next_file(database: str, folder: Write) -> None:
    """Unqualified names resolve again, and a skip is still noticed."""
    execute(database, "CREATE TABLE there (id int)")
    path = folder(
        {
            "1_dump.up.sql": LIKE_PG_DUMP,
            "2_next.up.sql": "CREATE TABLE IF NOT EXISTS there (id int);CREATE TABLE new (id int);",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM new;",
        }
    )

    report = up(database, path)

    assert statuses(report) == {
        "table dumped": "created",
        "table there": "skipped",
        "table new": "created",
        "view v": "created",
    }
    assert verify(database, path).ok


def test_a_files_timeout_does_not_reach_the_next_file(database: str, folder: Write) -> None:
    """What the command line asked for holds for every file."""
    path = folder(
        {
            "1_dump.up.sql": LIKE_PG_DUMP,
            "2_next.up.sql": "CREATE TABLE seen AS SELECT current_setting('statement_timeout') AS"
            " timeout, current_setting('check_function_bodies') AS checked;",
        }
    )

    up(database, path, scope=lfmigrate.Scope(statement_timeout_ms=7000))

    assert fetch(database, "SELECT * FROM seen") == [("7s", "on")]


SHOWN = "SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'plpgsql.%' ORDER BY name"


@pytest.mark.parametrize(
    "statement",
    [
        LIKE_PG_DUMP,
        "SET SESSION statement_timeout = '77s';",
        "set datestyle = 'German';",
        "DO $$ BEGIN PERFORM set_config('work_mem', '77MB', false); END $$;",
        "DO $$ BEGIN SET work_mem = '77MB'; END $$;",
        "SELECT SET_CONFIG('my.own', 'x', false);",
        "SET LOCAL work_mem = '77MB';",
        "SET TIME ZONE 'Asia/Tokyo';",
    ],
)
@pytest.mark.parametrize("options", [{}, {"dry_run": True}], ids=["run", "dry-run"])
def test_a_files_settings_do_not_outlive_the_run(
    database: str, folder: Write, statement: str, options: dict[str, Any]
) -> None:
    """Behind a pooler, they would be another client's a moment later."""
    path = folder({"1_set.up.sql": statement})
    with lfmigrate.connect(database) as conn:
        before = conn.execute(SHOWN).fetchall()

        lfmigrate.up(conn, lfmigrate.read_folder(path), **options)

        after = conn.execute(SHOWN).fetchall()
        own = conn.execute("SELECT nullif(current_setting('my.own', true), '')").fetchone()
    assert after == before
    assert own == (None,)


def test_a_files_role_reaches_neither_the_next_file_nor_the_session(
    role: str, database: str, folder: Write
) -> None:
    """SET ROLE ends with the file: the history is written as who came, and so is the next table."""
    execute(database, f"GRANT ALL ON SCHEMA public TO {role}")
    path = folder(
        {
            "1_theirs.up.sql": f"SET ROLE {role}; CREATE TABLE theirs (id int);",
            "2_mine.up.sql": "CREATE TABLE mine (id int);",
        }
    )
    with lfmigrate.connect(database) as conn:
        before = conn.execute("SELECT current_user").fetchone()

        lfmigrate.up(conn, lfmigrate.read_folder(path))

        after = conn.execute("SELECT current_user").fetchone()
    owners = dict(
        fetch(database, "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public'")
    )
    assert after == before
    assert before is not None
    assert owners == {"theirs": role, "mine": before[0]}


@pytest.mark.parametrize(
    ("end", "options"),
    [("", {}), ("", {"dry_run": True}), ("SELECT 1/0;", {})],
    ids=["run", "dry run", "failure"],
)
def test_nothing_that_a_file_leaves_in_the_session_outlives_the_run(
    end: str, options: dict[str, Any], database: str, folder: Write
) -> None:
    """Behind a pooler it would be another client's; only the session's currval is tried as well."""
    execute(database, "CREATE SEQUENCE s")
    path = folder({"1_a.up.sql": leaving("file") + "SELECT nextval('s');" + end})
    with lfmigrate.connect(database) as conn:
        before = conn.execute(HAS).fetchone()

        with suppress(StatementFailed):
            lfmigrate.up(conn, lfmigrate.read_folder(path), **options)

        after = conn.execute(HAS).fetchone()
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            conn.execute("SELECT lastval()")
    assert before == after == ([], [], [], [], [])


@pytest.mark.parametrize("end", ["", "SELECT 1/0;"], ids=["run", "failure"])
@pytest.mark.parametrize("kind", LEAVINGS)
def test_a_caller_keeps_what_its_session_had(
    kind: str, end: str, database: str, folder: Write
) -> None:
    """A kind of which the session had something is left alone, the others are released."""
    # A cursor may use a temporary table, so that these stay with it.
    left = {"cursors": ["cursors", "temporary"]}.get(kind, [kind])
    path = folder({"1_a.up.sql": leaving("file") + end})
    with lfmigrate.connect(database) as conn:
        conn.execute(LEAVINGS[kind].format("own").encode())
        before = conn.execute(HAS).fetchone()

        with suppress(StatementFailed):
            lfmigrate.up(conn, lfmigrate.read_folder(path))

        after = conn.execute(HAS).fetchone()
    assert before is not None
    assert after is not None
    for name, had, has in zip(LEAVINGS, before, after, strict=True):
        assert bool(had) == (name == kind)
        assert set(had) <= set(has)
        undone = end and name in {"cursors", "channels", "temporary"}
        assert len(has) - len(had) == (name in left and not undone), name


def test_what_is_deferred_to_the_commit_finds_the_limits_of_the_run(
    database: str, folder: Write
) -> None:
    """And its schema: not what the role or the database prefers."""
    execute(database, "CREATE SCHEMA app")
    text = """
        CREATE TABLE t (n int);
        CREATE TABLE seen (path text, timeout text);
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
            INSERT INTO seen VALUES
                (current_setting('search_path'), current_setting('statement_timeout'));
            RETURN NULL;
        END$$;
        CREATE CONSTRAINT TRIGGER look AFTER INSERT ON t
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look();
        INSERT INTO t VALUES (1);"""

    up(
        database,
        folder({"1_a.up.sql": text}),
        scope=lfmigrate.Scope(schema="app", statement_timeout_ms=77_000),
    )

    assert fetch(database, "SELECT * FROM app.seen") == [('app, "$user", public', "77s")]


@pytest.mark.parametrize(
    "hides",
    [
        "SET client_min_messages = error;",
        "SET LOCAL client_min_messages = error;",
        "SELECT set_config('client_min_messages', 'error', false);",
        "DO $$BEGIN SET client_min_messages = error; END$$;",
        "CREATE TABLE other AS SELECT set_config('client_min_messages', 'error', false);",
        "CREATE TABLE u (n int); SET client_min_messages = error; INSERT INTO u VALUES (1);",
    ],
)
def test_a_file_that_hides_notices_still_reports_what_it_skips(
    hides: str, database: str, folder: Write
) -> None:
    """A notice is all that distinguishes a statement that skips from one that creates."""
    execute(database, "CREATE TABLE t (n int)", "CREATE TABLE differs (n int)")
    text = hides + (
        "CREATE TABLE IF NOT EXISTS t (n int);"
        "CREATE TABLE IF NOT EXISTS differs (n int, more text);"
    )

    found = statuses(up(database, folder({"1_a.up.sql": text})))

    assert (found["table t"], found["table differs"]) == ("skipped", "drifted")


def test_a_caller_keeps_its_own_settings(database: str, folder: Write) -> None:
    """What the session had before is there afterwards, unless a file made settings itself."""
    path = folder({"1_t.up.sql": "CREATE TABLE t (id int);"})
    with lfmigrate.connect(database) as conn:
        conn.execute("SET work_mem = '77MB'")

        lfmigrate.up(conn, lfmigrate.read_folder(path))

        assert conn.execute("SHOW work_mem").fetchone() == ("77MB",)


# --------------------------------------------------------------------------------------------------
# Schemas and permissions
# --------------------------------------------------------------------------------------------------


def test_two_tenants_share_a_database(database: str) -> None:
    """Each schema has tables and a history of its own."""
    execute(database, "CREATE SCHEMA north; CREATE SCHEMA south")
    north, south = lfmigrate.Scope(schema="north"), lfmigrate.Scope(schema="south")

    first = up(database, SHIPPED, scope=north)
    second = up(database, SHIPPED, scope=south)
    execute(database, "DROP TABLE north.program_resources")

    assert set(statuses(first).values()) == set(statuses(second).values()) == {"created"}
    assert {v.relation.schema for v in second.relations} == {"south"}
    assert fetch(
        database,
        "SELECT schemaname, count(*)::int FROM pg_tables"
        " WHERE schemaname IN ('north', 'south', 'public') GROUP BY 1 ORDER BY 1",
    ) == [("north", 10), ("south", 11)]
    assert not verify(database, SHIPPED, scope=north).ok
    assert verify(database, SHIPPED, scope=south).ok
    assert verify(database, SHIPPED, scope=south, replay_files=True).ok
    assert migrations(up(database, SHIPPED, scope=south)) == {"002": "already_applied"}


# Names are quoted by the same function of the server on all versions.
@pytest.mark.any_version
@pytest.mark.parametrize(
    "name", ["Capital", "with space", 'a "quote"', "it's", "übung", "ключ", "a,b", "%s"]
)
def test_a_schema_may_have_any_name(database: str, name: str) -> None:
    """Names are quoted wherever they go, so two runs, a repair and a replay all work."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    scope = lfmigrate.Scope(schema=name)

    report = up(database, SHIPPED, scope=scope)

    assert {v.relation.schema for v in report.relations} == {name}
    assert verify(database, SHIPPED, scope=scope).ok
    assert verify(database, SHIPPED, scope=scope, replay_files=True).ok
    assert set(statuses(up(database, SHIPPED, scope=scope)).values()) == {"unchanged"}
    assert fetch(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [0]


def test_tables_of_another_tenant_are_not_adopted(database: str) -> None:
    """Public is on the search path behind the tenant's schema, and its tables are its own."""
    execute(database, "CREATE SCHEMA tenant")
    up(database, SHIPPED)

    report = up(database, SHIPPED, scope=lfmigrate.Scope(schema="tenant"))

    assert set(statuses(report).values()) == {"created"}
    assert len(report.relations) == 15


def test_a_schema_that_does_not_exist_is_refused(database: str, cli: Cli, dump: Dump) -> None:
    """Exit code 4; it is not made, and nothing goes elsewhere instead."""
    before = dump(database)

    done = cli("up", "--schema", "nowhere", "--database-url", database)

    assert done.returncode == 4
    assert 'schema "nowhere" does not exist' in done.stderr
    assert "Nothing was changed." in done.stderr
    assert dump(database) == before
    assert not has_history(database)


def test_the_history_can_live_in_a_schema_that_is_there(role: str, database: str) -> None:
    """A role that may not create schemas names one, and a table called history there is safe."""
    execute(
        database,
        f"GRANT ALL ON SCHEMA public TO {role};"
        "CREATE TABLE history (id int); INSERT INTO history VALUES (1)",
    )
    url = make_conninfo(database, user=role)
    scope = lfmigrate.Scope(history_schema="public")

    up(url, SHIPPED, scope=scope)

    assert migrations(up(url, SHIPPED, scope=scope)) == {"002": "already_applied"}
    assert verify(url, SHIPPED, scope=scope).ok
    assert len(verify(url, SHIPPED, scope=scope).relations) == 15
    assert fetch(database, "SELECT * FROM history") == [1]
    assert not has_history(database)


def test_a_role_that_may_not_make_the_history_is_reported_the_way_out(
    role: str, database: str, cli: Cli, dump: Dump
) -> None:
    """The GRANT and the option are both named, and nothing is changed."""
    execute(database, f"GRANT ALL ON SCHEMA public TO {role}")
    before = dump(database)

    done = cli("up", "--database-url", make_conninfo(database, user=role))

    assert done.returncode == 4
    assert "GRANT CREATE ON DATABASE" in done.stderr
    assert f"TO {role};" in done.stderr
    assert "--history-schema" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert dump(database) == before


def test_a_role_that_may_not_make_tables_is_reported_the_grant(
    role: str, database: str, cli: Cli, dump: Dump
) -> None:
    """The message has the statement to send to the schema's owner."""
    execute(
        database,
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
        f"CREATE SCHEMA lfmigrate; GRANT ALL ON SCHEMA lfmigrate TO {role}",
    )
    before = dump(database)

    done = cli("up", "--database-url", make_conninfo(database, user=role))

    assert done.returncode == 4
    assert f"GRANT USAGE, CREATE ON SCHEMA public TO {role};" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert dump(database) == before


@pytest.mark.usefixtures("without_private_server")
def test_a_role_that_may_not_replay_adopts_with_a_warning(
    role: str, database: str, folder: Write
) -> None:
    """Without a shadow database, up says what that costs, and what would help; strict refuses."""
    execute(
        database,
        f"GRANT ALL ON SCHEMA public TO {role}; CREATE SCHEMA lfmigrate;"
        f"GRANT ALL ON SCHEMA lfmigrate TO {role}",
    )
    url = make_conninfo(database, user=role)
    execute(url, "CREATE TABLE t (id int)")
    path = folder({"1_t.up.sql": "CREATE TABLE IF NOT EXISTS t (id int);"})

    with pytest.raises(DifferenceFound) as caught:
        up(url, path, strict=True)
    report = up(url, path)

    assert caught.value.detail == ("skipped: 1_t.up.sql:1",)
    assert migrations(report) == {"1": "applied"}
    assert len(report.notes) == 1
    assert "could not be compared" in report.notes[0]
    assert "may not create databases" in report.notes[0]
    assert "--shadow-url" in report.notes[0]


def test_a_read_only_session_is_reported(database: str, folder: Write) -> None:
    """Before anything is sent that would fail less clearly."""
    url = make_conninfo(database, options="-c default_transaction_read_only=on")

    with pytest.raises(DatabaseError, match="read-only"):
        up(url, folder({"001_a.up.sql": "CREATE TABLE a (id int);"}))

    assert not has_history(database)


def test_a_caller_keeps_its_user_and_its_role(database: str, folder: Write) -> None:
    """Files run as the user that the caller has chosen, and so does what comes after them."""
    user = f"lf_role_{uuid4().hex[:12]}"
    files = {"1_a.up.sql": "CREATE TABLE a (id int);", "2_b.up.sql": "CREATE TABLE b (id int);"}
    with lfmigrate.connect(database) as conn:
        conn.execute(f"CREATE ROLE {user} SUPERUSER".encode())
        try:
            conn.execute(b"SET log_min_duration_statement = 1000")
            conn.execute(f"SET SESSION AUTHORIZATION {user}".encode())

            lfmigrate.up(conn, lfmigrate.read_folder(folder(files)))

            assert conn.execute("SELECT session_user, current_user").fetchone() == (user, user)
            owners = conn.execute(
                "SELECT DISTINCT tableowner FROM pg_tables WHERE tablename IN ('a', 'b')"
            )
            assert owners.fetchall() == [(user,)]
        finally:
            conn.execute(b"RESET SESSION AUTHORIZATION")
            conn.execute(f"DROP OWNED BY {user} CASCADE".encode())
            conn.execute(f"DROP ROLE {user}".encode())


# pg_trgm and citext come with the server.
HIDDEN = {
    "type": "CREATE TABLE m (mail citext);",
    "array of a type": "CREATE TABLE m (mails citext[]);",
    "function": "SELECT similarity('a', 'b');",
    "operator class": "CREATE TABLE m (t text); CREATE INDEX ON m USING gin (t gin_trgm_ops);",
    "outside": "-- lfmigrate: no-transaction\nDO $$BEGIN PERFORM similarity('a', 'b'); END$$;",
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_an_extension_outside_the_search_path_is_named(
    kind: str, database: str, folder: Write
) -> None:
    """As when IF NOT EXISTS has found the one of another tenant."""
    try:
        execute(
            database,
            "CREATE SCHEMA one",
            "CREATE SCHEMA two",
            "CREATE EXTENSION citext SCHEMA one",
            "CREATE EXTENSION pg_trgm SCHEMA one",
        )
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("the server has no such extensions")
    path = folder({"1_a.up.sql": HIDDEN[kind]})

    with pytest.raises(StatementFailed) as failed:
        up(database, path, scope=lfmigrate.Scope(schema="two"))

    extension = "citext" if "type" in kind else "pg_trgm"
    assert any(
        f"belongs to the extension {extension}, which is installed in schema one" in line
        and line.endswith("two, public")
        for line in failed.value.detail
    )
    assert f'CREATE EXTENSION "{extension}" WITH SCHEMA public' in (failed.value.hint or "")


def test_a_missing_type_of_no_extension_is_reported_as_it_is(database: str, folder: Write) -> None:
    """Nothing is added that is not known."""
    with pytest.raises(StatementFailed) as failed:
        up(database, folder({"1_a.up.sql": "CREATE TABLE m (mail nothing);"}))

    assert failed.value.hint is None
    assert not any("extension" in line for line in failed.value.detail)


def test_a_new_enum_value_in_the_same_transaction_has_two_ways_out(
    database: str, folder: Write
) -> None:
    """Files that are applied elsewhere must not be edited."""
    path = folder(
        {
            "1_a.up.sql": "CREATE TYPE st AS ENUM ('new'); CREATE TABLE job (s st);",
            "2_b.up.sql": "ALTER TYPE st ADD VALUE 'held';",
            "3_c.up.sql": "ALTER TABLE job ALTER s SET DEFAULT 'held';",
        }
    )
    with lfmigrate.connect(database) as conn:
        lfmigrate.up(conn, lfmigrate.read_folder(path), to="1")

    with pytest.raises(StatementFailed) as failed:
        up(database, path)
    up(database, path, per_migration=True)

    assert failed.value.sqlstate == "55P04"
    assert "--per-migration" in (failed.value.hint or "")
    assert "no-transaction" in (failed.value.hint or "")


@pytest.mark.any_version
def test_a_deferred_trigger_with_a_temporary_function_fires_before_that_goes(
    database: str, folder: Write
) -> None:
    """The commit of psql would fail as well; the trigger goes with its function."""
    files = folder(
        {
            "1_a.sql": """
                CREATE TABLE a (n int);
                CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql
                    AS $$ BEGIN RAISE EXCEPTION 'no %', NEW.n; END $$;
                CREATE CONSTRAINT TRIGGER "A.b" AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED
                    FOR EACH ROW WHEN (NEW.n > 1) EXECUTE FUNCTION pg_temp.refuse();
                INSERT INTO a VALUES (1);
            """
        }
    )
    up(database, files)
    assert value(database, "SELECT n FROM a") == 1
    text = (files / "1_a.sql").read_text(encoding="utf-8").replace(" a ", " b ")
    (files / "2_b.sql").write_text(text.replace("VALUES (1)", "VALUES (2)"), encoding="utf-8")

    with pytest.raises(StatementFailed, match="no 2"):
        up(database, files)

    assert value(database, "SELECT to_regclass('b')") is None
