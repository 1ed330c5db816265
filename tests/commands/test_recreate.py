"""Materialized views, routines and namesakes of repeatable files that are dropped and re-created.

`test_views.py` has the views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from lfmigrate.errors import NOTHING_CHANGED, Refused, StatementFailed
from tests.helpers.commands import rollback, statuses, up, verify
from tests.helpers.databases import execute, value
from tests.helpers.threads import Threads

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

RETYPE = "ALTER TABLE a ALTER y TYPE bigint;"

TABLE = {"1_a.up.sql": "CREATE TABLE a (x int, y int, z text); INSERT INTO a VALUES (1, 2, 'c');"}
MATVIEW = """
DROP MATERIALIZED VIEW IF EXISTS mv;
CREATE MATERIALIZED VIEW mv AS SELECT x, y, z FROM a;
CREATE UNIQUE INDEX mv_x ON mv (x);
"""
MATERIALIZED = {**TABLE, "repeatable/mv.sql": MATVIEW}


@pytest.fixture
def reader(database: str) -> Iterator[str]:
    """Return the name of a role that may be granted something; it is gone before the server."""
    name = f"lf_role_{uuid4().hex[:12]}"
    execute(database, f"CREATE ROLE {name}", f"GRANT CREATE ON SCHEMA public TO {name}")
    yield name
    execute(database, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


# What was made on the materialized view by something else than its file.
def decorations(reader: str) -> tuple[str, ...]:
    return (
        f"GRANT SELECT ON a TO {reader}",
        "CREATE INDEX mv_y ON mv (y DESC) WHERE y > 0",
        "COMMENT ON INDEX mv_y IS 'the index'",
        "CREATE INDEX mv_c ON mv (z)",
        "ALTER MATERIALIZED VIEW mv CLUSTER ON mv_c",
        "CREATE STATISTICS mv_s ON x, z FROM mv",
        "ALTER STATISTICS mv_s SET STATISTICS 77",
        f"ALTER STATISTICS mv_s OWNER TO {reader}",
        "ALTER MATERIALIZED VIEW mv ALTER x SET STATISTICS 500",
        "ALTER MATERIALIZED VIEW mv ALTER z SET (n_distinct = 5)",
        "COMMENT ON MATERIALIZED VIEW mv IS 'it''s mine'",
        "COMMENT ON COLUMN mv.z IS 'the z'",
        "ALTER MATERIALIZED VIEW mv SET (autovacuum_enabled = false)",
        "ALTER MATERIALIZED VIEW mv SET (toast.autovacuum_enabled = false)",
        f"GRANT SELECT ON mv TO {reader} WITH GRANT OPTION",
        f"GRANT SELECT (x) ON mv TO {reader}",
        f"ALTER MATERIALIZED VIEW mv OWNER TO {reader}",
    )


PROPERTIES = """
    SELECT jsonb_build_object(
        'owner', pg_get_userbyid(c.relowner), 'options', c.reloptions,
        'toast options', (SELECT t.reloptions FROM pg_class AS t WHERE t.oid = c.reltoastrelid),
        'columns', (SELECT jsonb_agg(jsonb_build_array(attstattarget, attoptions) ORDER BY attnum)
                    FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0),
        'acl', (SELECT jsonb_agg(a::text ORDER BY a::text) FROM unnest(c.relacl) AS a),
        'comments', (SELECT jsonb_agg(d.description ORDER BY d.objsubid) FROM pg_description AS d
                     WHERE d.objoid = c.oid),
        'x acl', (SELECT attacl::text FROM pg_attribute WHERE attrelid = c.oid AND attname = 'x'),
        'populated', c.relispopulated,
        'indexes', (SELECT jsonb_agg(jsonb_build_array(pg_get_indexdef(i.indexrelid),
                        obj_description(i.indexrelid), i.indisclustered)
                        ORDER BY pg_get_indexdef(i.indexrelid))
                    FROM pg_index AS i WHERE i.indrelid = c.oid),
        'statistics', (SELECT jsonb_agg(jsonb_build_array(pg_get_statisticsobjdef(s.oid),
                           s.stxowner::regrole, s.stxstattarget))
                       FROM pg_statistic_ext AS s WHERE s.stxrelid = c.oid))
    FROM pg_class AS c WHERE c.oid = 'mv'::regclass"""


@pytest.mark.parametrize("populated", [True, False])
@pytest.mark.parametrize(
    "change", [RETYPE, "DO $$ BEGIN EXECUTE 'ALTER TABLE a ALTER y TYPE bigint'; END $$;"]
)
def test_a_materialized_view_gives_way_to_a_migration_and_loses_nothing(
    database: str, folder: Write, reader: str, change: str, *, populated: bool
) -> None:
    """It is dropped and re-created like a view, and has what others have made on it."""
    up(database, folder(MATERIALIZED))
    execute(database, *decorations(reader))
    if not populated:
        execute(database, "REFRESH MATERIALIZED VIEW mv WITH NO DATA")
    before = value(database, PROPERTIES)
    path = folder({**MATERIALIZED, "2_b.up.sql": change})

    planned = up(database, path, dry_run=True)
    assert value(database, PROPERTIES) == before
    report = up(database, path)

    assert statuses(planned) == statuses(report)
    assert statuses(report)["materialized view mv"] == "replaced"
    assert value(database, PROPERTIES) == before
    assert None not in before.values()
    assert value(database, "SELECT pg_typeof(y)::text FROM a") == "bigint"
    assert "replaced" not in statuses(up(database, path)).values()


# The rows that a role sees which is neither a superuser nor the owner of the table.
SECURED = {
    "1_a.up.sql": """
        CREATE TABLE a (x int, y int); INSERT INTO a VALUES (1, 1), (2, 2);
        ALTER TABLE a ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON a USING (x = 1);""",
}
ROWS = "SELECT count(*) FROM mv"


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("CREATE MATERIALIZED VIEW mv AS SELECT x, y FROM a;", 1),
        ("CREATE MATERIALIZED VIEW mv AS SELECT x, y FROM a WITH NO DATA;", 1),
        # What the file says itself counts.
        (
            """CREATE MATERIALIZED VIEW mv AS SELECT x, y FROM a;
            ALTER MATERIALIZED VIEW mv OWNER TO reader;""",
            2,
        ),
        (
            "SET ROLE reader; CREATE MATERIALIZED VIEW mv AS SELECT x, y FROM a; RESET ROLE;",
            1,
        ),
    ],
)
def test_a_materialized_view_has_the_rows_that_its_owner_sees(
    database: str, folder: Write, reader: str, file: str, rows: int
) -> None:
    """REFRESH runs as the owner; its file as the run."""
    text = f"DROP MATERIALIZED VIEW IF EXISTS mv; {file.replace('reader', reader)}"
    grant = {"0_a.up.sql": f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {reader};"}
    files = {**grant, **SECURED, "repeatable/mv.sql": text}
    up(database, folder(files))
    if rows == 1:
        execute(
            database,
            f"ALTER MATERIALIZED VIEW mv OWNER TO {reader}",
            "REFRESH MATERIALIZED VIEW mv",
        )
    assert value(database, ROWS) == rows

    up(database, folder({**files, "2_b.up.sql": RETYPE}))

    assert value(database, ROWS) == rows
    assert value(database, "SELECT relowner::regrole FROM pg_class WHERE relname = 'mv'") == reader


def test_a_materialized_view_that_its_owner_may_not_fill_is_not_filled_with_more(
    database: str, folder: Write, reader: str, dump: Dump
) -> None:
    """Its last REFRESH showed the owner less than the run would see."""
    text = "DROP MATERIALIZED VIEW IF EXISTS mv; CREATE MATERIALIZED VIEW mv AS SELECT y FROM a;"
    files = {**SECURED, "repeatable/mv.sql": text}
    up(database, folder(files))
    execute(database, f"ALTER MATERIALIZED VIEW mv OWNER TO {reader}")
    before = dump(database)

    with pytest.raises(StatementFailed) as caught:
        up(database, folder({**files, "2_b.up.sql": RETYPE}))

    assert caught.value.message == (
        "materialized view public.mv cannot be filled with the privileges of its owner:"
        " permission denied for table a"
    )
    assert (caught.value.hint or "").startswith("Grant them to the owner, or set the owner")
    assert dump(database) == before


def test_a_materialized_view_without_rows_by_its_file_has_those_it_had(
    database: str, folder: Write
) -> None:
    """WITH NO DATA is how it begins; it was refreshed since."""
    text = MATVIEW.replace("FROM a;", "FROM a WITH NO DATA;")
    files = {**TABLE, "repeatable/mv.sql": text}
    up(database, folder(files))
    execute(database, "REFRESH MATERIALIZED VIEW mv")

    up(database, folder({**files, "2_b.up.sql": RETYPE}))

    assert value(database, "SELECT count(*) FROM mv") == 1


def test_an_edited_file_states_its_own_indexes_and_keeps_those_of_others(
    database: str, folder: Write, reader: str
) -> None:
    """A column goes with the migration, and so does the index on it that the file has created."""
    text = MATVIEW + "CREATE INDEX mv_y ON mv (y);"
    files = {**TABLE, "repeatable/mv.sql": text}
    index = {"2_b.up.sql": "SELECT 1;", "3_c.up.sql": "CREATE INDEX mv_z ON mv (z);"}
    up(database, folder(files))
    up(database, folder({**files, **index}))
    execute(database, f"GRANT SELECT ON mv TO {reader}")

    edited = MATVIEW.replace("x, y, z", "x, z")
    path = folder(
        {
            **TABLE,
            **index,
            "4_d.up.sql": "-- lfmigrate: loses-data\nALTER TABLE a DROP COLUMN y;",
            "repeatable/mv.sql": edited,
        }
    )
    up(database, path)

    indexes = "SELECT jsonb_agg(indexname ORDER BY indexname) FROM pg_indexes"
    assert value(database, f"{indexes} WHERE tablename = 'mv'") == ["mv_x", "mv_z"]
    assert value(database, f"SELECT has_table_privilege('{reader}', 'mv', 'SELECT')")
    assert verify(database, path).ok


def test_an_index_that_does_not_fit_any_more_is_named(
    database: str, folder: Write, dump: Dump
) -> None:
    """It is not lost without a word."""
    up(database, folder(MATERIALIZED))
    execute(database, "CREATE INDEX mv_y ON mv (y)")
    before = dump(database)
    edited = MATVIEW.replace("x, y, z", "x, z")
    files = {**TABLE, "2_b.up.sql": "ALTER TABLE a DROP COLUMN y;", "repeatable/mv.sql": edited}

    with pytest.raises(StatementFailed) as caught:
        up(database, folder(files))

    assert caught.value.message.startswith(
        'index "mv_y" does not fit the new columns of materialized view "mv": '
    )
    assert dump(database) == before


VIEW = {"views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT x, y, z FROM a;"}
ROUTINES = {
    **TABLE,
    **VIEW,
    "repeatable/f.sql": """
        CREATE OR REPLACE FUNCTION all_of() RETURNS SETOF v LANGUAGE sql AS 'SELECT * FROM v';
        CREATE OR REPLACE FUNCTION "Sum of"(int, v) RETURNS bigint
            BEGIN ATOMIC SELECT sum(y) FROM v; END;
        CREATE OR REPLACE FUNCTION "Sum of"(text, v) RETURNS bigint LANGUAGE sql AS 'SELECT 1';
        REVOKE ALL ON FUNCTION "Sum of"(text, v) FROM public;
        CREATE OR REPLACE PROCEDURE tidy() BEGIN ATOMIC DELETE FROM a WHERE y = 0; END;
        CREATE OR REPLACE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1';
    """,
    "repeatable/top.sql": "CREATE OR REPLACE VIEW top AS SELECT x FROM all_of();",
}
MATVIEW_PROPERTIES = """
    SELECT jsonb_agg(jsonb_build_array(c.relname, c.relacl, obj_description(c.oid),
        c.relispopulated))
    FROM pg_class AS c WHERE c.relkind = 'm' AND c.relnamespace = 'public'::regnamespace"""
ROUTINE_PROPERTIES = """
    SELECT jsonb_agg(jsonb_build_array(p.oid::regprocedure, pg_get_userbyid(p.proowner), p.proacl,
        obj_description(p.oid)) ORDER BY p.oid::regprocedure::text)
    FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace"""


def test_routines_give_way_and_keep_their_privileges(
    database: str, folder: Write, reader: str
) -> None:
    """Those that return rows of a view, have it as an argument, or read it in a body of SQL."""
    up(database, folder(ROUTINES))
    execute(
        database,
        f"GRANT EXECUTE ON ROUTINE all_of(), tidy() TO {reader} WITH GRANT OPTION",
        "REVOKE ALL ON FUNCTION all_of() FROM public",
        "COMMENT ON FUNCTION all_of() IS 'all''s well'",
        f'ALTER FUNCTION "Sum of"(int, v) OWNER TO {reader}',
    )
    before = value(database, ROUTINE_PROPERTIES)
    other = value(database, "SELECT 'other()'::regprocedure::oid::text")
    path = folder({**ROUTINES, "2_b.up.sql": RETYPE})

    planned = up(database, path, dry_run=True)
    report = up(database, path)

    assert statuses(planned) == statuses(report)
    assert value(database, ROUTINE_PROPERTIES) == before
    assert value(database, "SELECT 'other()'::regprocedure::oid::text") == other
    assert value(database, "SELECT count(*) FROM top") == 1
    assert verify(database, path).ok


@pytest.mark.parametrize("files", [ROUTINES, MATERIALIZED], ids=["routines", "materialized"])
def test_a_rollback_re_creates_what_its_down_file_cannot_run_with(
    files: Mapping[str, str], database: str, folder: Write, reader: str
) -> None:
    """Whether the migrations were applied in one run or in several."""
    up(database, folder(files))
    kind, name = ("FUNCTION", "all_of()") if files is ROUTINES else ("MATERIALIZED VIEW", "mv")
    right = "EXECUTE ON FUNCTION" if files is ROUTINES else "SELECT ON"
    execute(database, f"GRANT {right} {name} TO {reader}", f"COMMENT ON {kind} {name} IS 'mine'")
    before = value(database, ROUTINE_PROPERTIES), value(database, MATVIEW_PROPERTIES)
    down = "ALTER TABLE a ALTER y TYPE int"
    path = folder({**files, "2_b.up.sql": RETYPE, "2_b.down.sql": down})
    up(database, path)

    planned = rollback(database, path, dry_run=True)
    report = rollback(database, path)

    assert [m.status for m in report.migrations] == ["rolled_back"]
    assert (planned.lost, planned.dependents) == (report.lost, report.dependents)
    assert report.dependents == ()
    assert (value(database, ROUTINE_PROPERTIES), value(database, MATVIEW_PROPERTIES)) == before
    assert verify(database, path, allow_pending=True).ok
    up(database, path)
    assert verify(database, path).ok


def test_a_rollback_does_not_list_what_it_restores(database: str, folder: Write) -> None:
    """Someone's index comes back with the view, whose rows do, too."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (id int, x int); CREATE FUNCTION f() RETURNS trigger"
            " LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "002_b.up.sql": "ALTER TABLE a ALTER x TYPE bigint",
            "002_b.down.sql": "ALTER TABLE a ALTER x TYPE int",
            "repeatable/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id, x FROM a",
            "repeatable/w.sql": "CREATE MATERIALIZED VIEW IF NOT EXISTS mv AS SELECT id, x FROM v",
        }
    )
    up(database, path)
    execute(
        database,
        "INSERT INTO a VALUES (1, 2)",
        "REFRESH MATERIALIZED VIEW mv",
        "CREATE INDEX hand ON mv (x)",
        "CREATE STATISTICS st ON id, x FROM mv",
        "CREATE TRIGGER t INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE RULE r AS ON DELETE TO v DO INSTEAD NOTHING",
        "ALTER VIEW v ALTER id SET DEFAULT 5",
    )

    planned = rollback(database, path, dry_run=True)
    report = rollback(database, path)

    for each in (planned, report):
        assert [(lost.kind, lost.name) for lost in each.lost] == [("changed table", "a")]
        assert (each.dependents, each.notes) == ((), ())
    assert value(database, "SELECT to_regclass('hand') IS NOT NULL AND count(*) = 1 FROM mv")
    assert value(database, "SELECT count(*) FROM pg_statistic_ext WHERE stxname = 'st'") == 1
    assert value(database, "SELECT count(*) FROM pg_trigger WHERE tgname = 't'") == 1
    assert value(database, "SELECT count(*) FROM pg_rewrite WHERE rulename = 'r'") == 1


def test_a_rollback_that_cannot_re_create_a_view_says_what_to_drop(
    database: str, folder: Write
) -> None:
    """Its file needs what the down file undoes; nothing is changed."""
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE a (y int)",
            "2_b.up.sql": "ALTER TABLE a ALTER y TYPE text",
            "2_b.down.sql": "ALTER TABLE a ALTER y TYPE int USING y::int",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT length(y) AS n FROM a",
        }
    )
    up(database, path, to="1")
    up(database, path)

    with pytest.raises(StatementFailed) as caught:
        rollback(database, path)

    assert (caught.value.sqlstate, caught.value.file) == ("0A000", "2_b.down.sql")
    assert caught.value.outcome == NOTHING_CHANGED
    assert caught.value.hint == (
        'Drop view "v" in 2_b.down.sql, before the statement in line 1; up re-creates the views of'
        " repeatable files after the last migration."
    )
    assert verify(database, path).ok


OVERLOADS = """
    CREATE OR REPLACE FUNCTION "F"(text, m mood) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
    CREATE OR REPLACE FUNCTION "F"(int, m mood) RETURNS bigint
        BEGIN ATOMIC SELECT sum(y) FROM a; END;
"""


def test_only_the_overload_in_the_way_is_dropped_and_a_renamed_type_is_the_same(
    database: str, folder: Write, reader: str
) -> None:
    """Other objects depend on the one that the server does not name."""
    table = {"1_a.up.sql": TABLE["1_a.up.sql"] + "CREATE TYPE mood AS ENUM ('ok');"}
    files = {**table, "repeatable/f.sql": OVERLOADS}
    up(database, folder(files))
    files["2_b.up.sql"] = "ALTER TABLE a ADD CHECK (\"F\"(z, 'ok') <> '');"
    up(database, folder(files))
    execute(
        database,
        'REVOKE ALL ON FUNCTION "F"(int, mood) FROM public',
        f'GRANT EXECUTE ON FUNCTION "F"(int, mood) TO {reader}',
    )
    files["3_c.up.sql"] = RETYPE
    up(database, folder(files))
    change = "ALTER TABLE a ALTER y TYPE numeric; ALTER TYPE mood RENAME TO humour;"
    files["4_d.up.sql"] = change
    files["repeatable/f.sql"] = OVERLOADS.replace("mood", "humour").replace("sum(y)", "sum(x)")
    up(database, folder(files))

    asked = f"""SELECT has_function_privilege('{reader}', '"F"(int, humour)', 'EXECUTE')"""
    assert value(database, asked) is True


def test_a_routine_alone_gives_way(database: str, folder: Write) -> None:
    """Its body reads a column that gets another type."""
    files = {**TABLE, "repeatable/f.sql": ROUTINES["repeatable/f.sql"].split("CREATE")[-2]}
    files["repeatable/f.sql"] = "CREATE " + files["repeatable/f.sql"]
    up(database, folder(files))
    path = folder({**files, "2_b.up.sql": RETYPE})

    up(database, path)

    assert verify(database, path).ok


@pytest.mark.parametrize("text", ["SELECT x, y::text AS y, z FROM a", "SELECT x, z FROM a"])
def test_a_view_takes_with_it_what_repeatable_files_create_on_it(
    database: str, folder: Write, text: str
) -> None:
    """Its columns change; a materialized view and a function of other files depend on it."""
    files = {
        **ROUTINES,
        "repeatable/f.sql": "CREATE OR REPLACE FUNCTION f() RETURNS SETOF v LANGUAGE sql"
        " AS 'TABLE v';",
        "repeatable/mv.sql": MATVIEW.replace("x, y, z FROM a", "x, z FROM v"),
        "repeatable/top.sql": "CREATE OR REPLACE VIEW top AS SELECT x FROM f();",
    }
    up(database, folder(files))

    path = folder({**files, "views/v.sql": f"CREATE OR REPLACE VIEW v AS {text};"})
    report = up(database, path)

    assert statuses(report)["materialized view mv"] in {"replaced", "unchanged"}
    assert verify(database, path).ok


def test_only_what_no_repeatable_file_creates_is_a_reason_to_refuse(
    database: str, folder: Write, dump: Dump
) -> None:
    """And of that, only what someone has created: no TOAST table and no index of one."""
    files = {**TABLE, **VIEW, "repeatable/mv.sql": MATVIEW.replace("FROM a", "FROM v")}
    up(database, folder(files))
    execute(
        database,
        "CREATE MATERIALIZED VIEW board AS SELECT z FROM mv",
        "CREATE INDEX board_z ON board (z)",
    )
    before = dump(database)

    with pytest.raises(Refused) as caught:
        up(database, folder({**files, "2_b.up.sql": RETYPE}))

    assert caught.value.message == (
        '2_b.up.sql:1 cannot run until materialized view "mv", view "v" are dropped, but other'
        " objects depend on them"
    )
    assert caught.value.detail == ("materialized view public.board",)
    assert caught.value.outcome == NOTHING_CHANGED
    assert dump(database) == before


BEFORE = 'Drop materialized view "mv" before this statement; '


@pytest.mark.parametrize("statement", [RETYPE, "ALTER TABLE a DROP COLUMN y;"])
@pytest.mark.parametrize(
    ("files", "hint"),
    [
        (
            {"1_a.up.sql": TABLE["1_a.up.sql"] + MATVIEW},
            BEFORE + "re-create it after it.",
        ),
        (
            {**TABLE, "repeatable/mv.sql": f"DO $$ BEGIN {MATVIEW} END $$;"},
            BEFORE + "repeatable/mv.sql creates it after the migrations.",
        ),
    ],
)
def test_what_cannot_give_way_is_named_with_what_to_do(
    database: str, folder: Write, files: dict[str, str], hint: str, statement: str
) -> None:
    """A migration has created it, or no statement of the file does."""
    up(database, folder(files))

    with pytest.raises(StatementFailed) as caught:
        up(database, folder({**files, "2_b.up.sql": statement}))

    assert caught.value.hint == hint
    assert caught.value.outcome == NOTHING_CHANGED


def test_a_file_that_does_not_create_it_again_undoes_all(
    database: str, folder: Write, dump: Dump
) -> None:
    """It creates the view in the schema of the session, which is another one now."""
    files = {
        "1_a.up.sql": TABLE["1_a.up.sql"] + "CREATE SCHEMA s;",
        "repeatable/v.sql": "SET search_path = s, public;"
        "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT y FROM a;",
    }
    up(database, folder(files))
    before = dump(database)
    moved = files["repeatable/v.sql"].replace("s, public", "public")

    with pytest.raises(StatementFailed) as caught:
        up(database, folder({**files, "2_b.up.sql": RETYPE, "repeatable/v.sql": moved}))

    assert caught.value.message == (
        "view s.v had to be dropped, and its file did not create it again"
    )
    assert dump(database) == before


NAMESAKES = {
    "1_a.up.sql": "".join(
        f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.a (x int, y int);"
        for schema in ("app", "audit")
    ),
    **{
        f"repeatable/{schema}.sql": f"CREATE OR REPLACE VIEW {schema}.v"
        f" AS SELECT y FROM {schema}.a;"
        f"DROP MATERIALIZED VIEW IF EXISTS {schema}.mv;"
        f"CREATE MATERIALIZED VIEW {schema}.mv AS SELECT y FROM {schema}.a;"
        f"CREATE OR REPLACE FUNCTION {schema}.f() RETURNS SETOF {schema}.v LANGUAGE sql"
        f" AS 'TABLE {schema}.v';"
        for schema in ("app", "audit")
    },
}
IDENTITIES = """
    SELECT jsonb_object_agg(o.name, o.oid) FROM (
        SELECT oid::regclass::text AS name, oid::text FROM pg_class WHERE relkind IN ('v', 'm')
        UNION ALL SELECT oid::regprocedure::text, oid::text FROM pg_proc) AS o
    WHERE o.name ~ '^(app|audit)[.]'"""


@pytest.mark.parametrize("schema", ["app", "audit"])
@pytest.mark.parametrize("set_path", [False, True])
def test_namesakes_in_two_schemas_are_distinguished(
    database: str, folder: Write, schema: str, *, set_path: bool
) -> None:
    """Views, materialized views and routines; the name may be qualified, or found by the path."""
    files = dict(NAMESAKES)
    change = f"ALTER TABLE {schema}.a ALTER y TYPE bigint;"
    if set_path:
        for name in ("app", "audit"):
            file = f"repeatable/{name}.sql"
            files[file] = f"SET search_path = {name};" + files[file].replace(f"{name}.", "")
        change = f"SET search_path = {schema}; ALTER TABLE a ALTER y TYPE bigint;"
    up(database, folder(files))
    before = value(database, IDENTITIES)
    path = folder({**files, "2_b.up.sql": change})

    report = up(database, path)

    after = value(database, IDENTITIES)
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert {f"{schema}.{name}" for name in ("v", "mv", "f()")} <= changed
    # A file that sets the path is not only about its own, and runs again.
    again = {"app.mv", "audit.mv"} if set_path else set()
    assert {name for name in changed if not name.startswith(f"{schema}.")} <= again
    replaced = {v.relation.label for v in report.relations if v.status == "replaced"}
    assert replaced - {f"{schema}.a.y"} <= changed
    assert verify(database, path).ok


def test_a_namesake_that_a_later_migration_reads_is_named_with_its_schema(
    database: str, folder: Write
) -> None:
    """The view of the other schema is there all the time."""
    up(database, folder(NAMESAKES))
    files = {**NAMESAKES, "2_b.up.sql": "ALTER TABLE app.a ALTER y TYPE bigint;"}
    later = {
        "4_d.up.sql": "ALTER TABLE app.a ADD q int;",
        "repeatable/app.sql": NAMESAKES["repeatable/app.sql"].replace("SELECT y", "SELECT y, q"),
    }

    with pytest.raises(StatementFailed) as caught:
        up(database, folder({**files, **later, "3_c.up.sql": "SELECT * FROM app.v;"}))
    up(database, folder({**files, **later, "3_c.up.sql": "SELECT * FROM audit.v;"}))

    assert caught.value.file == "2_b.up.sql"
    assert caught.value.detail[-1] == (
        'With view "app.v" dropped before it, 3_c.up.sql:1:15 fails: relation "app.v" does not'
        " exist."
    )


def test_another_session_re_creates_the_view_while_it_is_looked_at(
    database: str, folder: Write
) -> None:
    """As a second run of the same migrations does, which was faster."""
    up(database, folder({**TABLE, **VIEW}))
    waits = "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    reads = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 2026"
    # It holds the view until the other session waits for it, which has it once this one fails.
    until = f"""SELECT count(*), pg_advisory_xact_lock(2026) FROM v; DO $$ BEGIN
        WHILE to_regclass('done') IS NULL AND NOT EXISTS ({waits}) LOOP
            PERFORM pg_sleep(0.01);
        END LOOP; END $$;"""

    def re_create() -> None:
        with psycopg.connect(database, autocommit=True) as other:
            poll = """DO $$ BEGIN WHILE NOT EXISTS ({}) LOOP PERFORM pg_sleep(0.01);
                END LOOP; END $$"""
            other.execute(poll.format(reads))
            other.execute("BEGIN; DROP VIEW v; CREATE TABLE done ()")
            other.execute(VIEW["views/v.sql"])
            other.execute(poll.format(waits))
            other.execute("COMMIT")

    path = folder({**TABLE, **VIEW, "2_b.up.sql": until, "3_c.up.sql": RETYPE})
    with Threads() as threads:
        other = threads.submit(re_create)
        report = up(database, path)
        other.result()

    assert statuses(report)["view v"] == "replaced"


@pytest.mark.parametrize(
    "change",
    [
        {"2_b.up.sql": "ALTER MATERIALIZED VIEW app.mv RENAME y TO x;"},
        {"repeatable/app.sql": NAMESAKES["repeatable/app.sql"].replace("SELECT y", "SELECT  y")},
    ],
)
def test_a_file_does_not_run_again_because_of_a_namesake(
    database: str, folder: Write, change: dict[str, str]
) -> None:
    """It would drop what others have made on its materialized view."""
    up(database, folder(NAMESAKES))
    execute(database, "CREATE INDEX audit_y ON audit.mv (y)")

    up(database, folder({**NAMESAKES, **change}))

    assert value(database, "SELECT to_regclass('audit.audit_y') IS NOT NULL")


def test_a_file_gets_past_the_views_on_what_it_drops_itself(
    database: str, folder: Write, reader: str
) -> None:
    """An edited file drops its materialized view first, and a view file reads it."""
    files = {**MATERIALIZED, "views/w.sql": "CREATE OR REPLACE VIEW w AS SELECT x FROM mv;"}
    up(database, folder(files))
    execute(database, f"GRANT SELECT ON w TO {reader}")
    path = folder({**files, "repeatable/mv.sql": MATVIEW.replace("x, y, z", "x, y + 1 AS y")})

    up(database, path)

    assert value(database, f"SELECT has_table_privilege('{reader}', 'w', 'SELECT')")
    assert value(database, "SELECT y FROM mv") == 3
    assert verify(database, path).ok


@pytest.mark.parametrize("options", [{"per_migration": True}, {"dry_run": True}])
def test_a_materialized_view_gives_way_however_files_are_committed(
    database: str, folder: Write, options: dict[str, bool]
) -> None:
    """Earlier migrations of the run may read it, and its file may set the path."""
    files = {
        **TABLE,
        "repeatable/mv.sql": f"SET search_path = public, pg_catalog; {MATVIEW}",
    }
    up(database, folder(files))
    execute(database, "CREATE INDEX mv_y ON mv (y)")
    changes = {"2_b.up.sql": "CREATE TABLE b AS TABLE mv;", "3_c.up.sql": RETYPE}
    path = folder({**files, **changes, "4_d.up.sql": "CREATE TABLE d ();"})

    up(database, path, **options)

    assert value(database, "SELECT to_regclass('mv_y') IS NOT NULL")
    assert value(database, "SELECT relispopulated FROM pg_class WHERE oid = 'mv'::regclass")
    assert value(database, "SELECT pg_typeof(y)::text FROM a") == (
        "integer" if options.get("dry_run") else "bigint"
    )


@pytest.mark.parametrize("per_migration", [False, True], ids=["at once", "one by one"])
def test_what_a_do_block_drops_is_re_created_in_the_same_run(
    database: str, folder: Write, *, per_migration: bool
) -> None:
    """No statement says what it drops; the catalogs do."""
    files = {**MATERIALIZED, "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT x FROM mv"}
    up(database, folder(files))
    drop = "DROP TABLE a CASCADE; CREATE TABLE a (x int, y int, z text);"
    path = folder({**files, "2_b.up.sql": f"-- lfmigrate: loses-data\nDO $$ BEGIN {drop} END $$"})

    planned = up(database, path, dry_run=True)
    report = up(database, path, per_migration=per_migration)

    assert value(database, "SELECT count(*) FROM v") == 0
    assert statuses(planned).keys() == statuses(report).keys()
    assert {"dropped", "missing"}.isdisjoint(statuses(report).values())
    assert verify(database, path).ok
    assert [m.status for m in report.migrations] == ["already_applied", "applied"]


DEFAULT = {
    "1_a.up.sql": "CREATE TABLE a (x int, y int); INSERT INTO a VALUES (1, 2)",
    "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT x, y FROM a",
    "repeatable/zz.sql": """
        CREATE OR REPLACE FUNCTION z() RETURNS int BEGIN ATOMIC SELECT max(y)::int FROM a; END;
        ALTER VIEW v ALTER x SET DEFAULT z();
        CREATE OR REPLACE RULE r AS ON INSERT TO v WHERE NEW.x > z() DO INSTEAD NOTHING;
    """,
}
CALLS = """
    SELECT jsonb_build_array(pg_get_expr(d.adbin, d.adrelid), pg_get_ruledef(r.oid),
        obj_description(r.oid))
    FROM pg_attrdef AS d JOIN pg_rewrite AS r ON r.ev_class = d.adrelid
    WHERE d.adrelid = 'v'::regclass AND r.rulename = 'r'
"""


@pytest.mark.parametrize("by_file", [False, True], ids=["by hand", "by its file"])
def test_a_default_and_a_rule_may_call_a_function_that_is_re_created_later(
    database: str, folder: Write, *, by_file: bool
) -> None:
    """They are restored once the function is there, those of others as well."""
    calls = DEFAULT["repeatable/zz.sql"]
    function = calls.partition("ALTER")[0]
    files = DEFAULT if by_file else {**DEFAULT, "repeatable/zz.sql": function}
    up(database, folder(files))
    if not by_file:
        execute(database, calls)
    execute(database, "COMMENT ON RULE r ON v IS 'mine'")
    before = value(database, CALLS)
    path = folder({**files, "2_b.up.sql": RETYPE})

    up(database, path)

    assert value(database, CALLS) == before
    assert value(database, "SELECT z()") == 2


def test_a_default_that_calls_a_function_that_is_gone_is_named(
    database: str, folder: Write, dump: Dump
) -> None:
    """Its own file does not create the function again."""
    up(database, folder(DEFAULT))
    before = dump(database)
    edited = "CREATE OR REPLACE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    drop = "DROP VIEW v; DROP FUNCTION z();"
    files = {**DEFAULT, "repeatable/zz.sql": edited, "2_b.up.sql": RETYPE}

    with pytest.raises(StatementFailed) as caught:
        up(database, folder(files))

    assert caught.value.outcome == NOTHING_CHANGED
    assert caught.value.hint
    assert dump(database) == before
    files["2_b.up.sql"] = drop + RETYPE
    path = folder(files)
    up(database, path)
    assert verify(database, path).ok


def test_an_index_that_a_migration_drops_is_named_with_its_view(
    database: str, folder: Write
) -> None:
    """It went with the materialized view, which had to be dropped before the file."""
    up(database, folder(MATERIALIZED))
    up(database, folder({**MATERIALIZED, "2_b.up.sql": "CREATE INDEX mv_y ON mv (y)"}))
    edited = MATVIEW.replace("x, y, z", "x, z")
    files = {
        **TABLE,
        "2_b.up.sql": "CREATE INDEX mv_y ON mv (y)",
        "3_c.up.sql": "DROP INDEX mv_y; ALTER TABLE a DROP COLUMN y",
        "repeatable/mv.sql": edited,
    }

    with pytest.raises(StatementFailed) as caught:
        up(database, folder(files))

    assert caught.value.detail[-1] == (
        'With materialized view "mv" dropped before it, 3_c.up.sql:1:1 fails:'
        ' index "mv_y" does not exist.'
    )
    assert caught.value.hint
    assert "are re-created after that file" in caught.value.hint


GRANTED_BY = """
    SELECT jsonb_agg(jsonb_build_array(a.grantor::regrole, a.grantee::regrole, a.privilege_type)
        ORDER BY a.grantor::regrole::text, a.grantee::regrole::text, a.privilege_type)
    FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE c.oid = 'v'::regclass
"""


def test_who_has_granted_what_is_restored(
    database: str, folder: Write, reader: str, role: str
) -> None:
    """So that a later REVOKE … CASCADE takes it away, too."""
    files = {**TABLE, **VIEW}
    up(database, folder(files))
    execute(
        database,
        f"GRANT SELECT ON v TO {reader} WITH GRANT OPTION",
        f"SET ROLE {reader}",
        f"GRANT SELECT ON v TO {role}",
        "RESET ROLE",
    )
    before = value(database, GRANTED_BY)
    path = folder({**files, "2_b.up.sql": RETYPE})

    up(database, path)

    assert value(database, GRANTED_BY) == before
    execute(database, f"REVOKE SELECT ON v FROM {reader} CASCADE")
    assert value(database, f"SELECT has_table_privilege('{role}', 'v', 'SELECT')") is False


def test_an_owner_that_cannot_be_restored_is_named_with_what_it_needs(
    database: str, folder: Write, reader: str
) -> None:
    """The server says only what is missing."""
    files = {**TABLE, **VIEW}
    up(database, folder(files))
    execute(
        database,
        f"ALTER VIEW v OWNER TO {reader}",
        f"REVOKE CREATE ON SCHEMA public FROM {reader}, public",
        f"CREATE ROLE {reader}_run LOGIN IN ROLE {reader}",
    )
    try:
        execute(
            database,
            f"ALTER TABLE a OWNER TO {reader}_run",
            f"GRANT CREATE, USAGE ON SCHEMA public, lfmigrate TO {reader}_run",
            f"GRANT ALL ON ALL TABLES IN SCHEMA lfmigrate TO {reader}_run",
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA lfmigrate TO {reader}_run",
        )
        path = folder({**files, "2_b.up.sql": RETYPE})
        with pytest.raises(StatementFailed) as caught:
            up(make_conninfo(database, user=f"{reader}_run"), path)
        assert caught.value.message == (
            f"view public.v had to be dropped, and its owner {reader} cannot be restored:"
            " permission denied for schema public"
        )
        assert caught.value.hint
        assert f"GRANT CREATE ON SCHEMA public TO {reader}" in caught.value.hint
    finally:
        execute(database, f"DROP OWNED BY {reader}_run CASCADE", f"DROP ROLE {reader}_run")


def test_an_owner_is_restored_with_the_privileges_of_the_run(
    database: str, folder: Write, reader: str, role: str
) -> None:
    """The file has set a role that may not give the view to its owner."""
    text = f"SET ROLE {reader}; {VIEW['views/v.sql']}"
    execute(database, f"GRANT CREATE ON SCHEMA public TO {role}")
    grant = f"GRANT SELECT ON a TO {reader};"
    files = {"1_a.up.sql": TABLE["1_a.up.sql"] + grant, "views/v.sql": text}
    up(database, folder(files))
    execute(database, f"ALTER VIEW v OWNER TO {role}")
    path = folder({**files, "2_b.up.sql": RETYPE})

    up(database, path)

    owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'v'::regclass"
    assert value(database, owner) == role
    execute(database, f"DROP OWNED BY {role}")


def test_a_view_can_be_dropped_in_a_file_that_has_begun(database: str, folder: Write) -> None:
    """No migration can come before it any more; the hint names the file, and is right."""
    files = {**TABLE, **VIEW}
    up(database, folder(files))
    index = "-- lfmigrate: no-transaction\nCREATE INDEX CONCURRENTLY i ON a (x);\n"
    path = folder({**files, "2_b.up.sql": index + RETYPE})

    with pytest.raises(StatementFailed) as caught:
        up(database, path)

    assert caught.value.hint == (
        'Drop view "v" in 2_b.up.sql, before the statement in line 3; up re-creates the views of'
        " repeatable files after the last migration."
    )
    (path / "2_b.up.sql").write_text(index + "DROP VIEW v;\n" + RETYPE)
    up(database, path)
    assert verify(database, path).ok


def test_options_set_by_hand_survive_every_re_creation(database: str, folder: Write) -> None:
    """In several runs and rollbacks, as long as the file stays as it is."""
    files: dict[str, str | bytes] = {
        "1_a.up.sql": "CREATE TABLE a (id int, x int)",
        "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id, x FROM a",
    }
    up(database, folder(files))
    execute(database, "ALTER VIEW v SET (security_barrier = true)")
    options = "SELECT reloptions FROM pg_class WHERE relname = 'v'"
    for version, (now, before) in enumerate([("bigint", "int"), ("text", "bigint")], start=2):
        files[f"{version}_b.up.sql"] = f"ALTER TABLE a ALTER x TYPE {now}"
        files[f"{version}_b.down.sql"] = (
            f"ALTER TABLE a ALTER x TYPE {before} USING x::text::{before}"
        )
        up(database, folder(files))
        assert value(database, options) == ["security_barrier=true"]

    rollback(database, folder(files), to="1")

    assert value(database, options) == ["security_barrier=true"]
