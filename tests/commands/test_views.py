"""A view that a statement cannot get past is dropped and re-created, with its properties."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

import lfmigrate
from lfmigrate.errors import NOTHING_CHANGED, Refused, StatementFailed
from tests.conftest import Cli
from tests.helpers.commands import statuses, up, verify
from tests.helpers.databases import execute, fetch, history, value

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

TABLE = "CREATE TABLE a (x int, y int, z text);"
OLD = "CREATE OR REPLACE VIEW v AS SELECT x, y, z FROM a;"
# y is gone, and z is another type.
NEW = "CREATE OR REPLACE VIEW v AS SELECT x, length(z) AS z FROM a;"


@pytest.fixture
def viewed(database: str, folder: Write) -> tuple[str, Path]:
    """Return a database with a view from a file, and its folder with the file edited since."""
    path = folder({"001_a.up.sql": TABLE, "views/v.sql": OLD})
    up(database, path)
    (path / "views" / "v.sql").write_text(NEW, encoding="utf-8")
    return database, path


@pytest.fixture
def reader(database: str) -> Iterator[str]:
    """Return the name of a role that may be granted something; it is gone before the server."""
    name = f"lf_role_{uuid4().hex[:12]}"
    execute(database, f"CREATE ROLE {name}")
    yield name
    execute(database, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_a_view_loses_a_column_and_is_reported_as_replaced(
    viewed: tuple[str, Path], cli: Cli
) -> None:
    """In the same transaction as everything else; verify agrees, and nothing is left to do."""
    url, path = viewed

    report = up(url, path)

    assert [(v.relation.name, v.status) for v in report.relations if v.status != "unchanged"] == [
        ("v", "replaced")
    ]
    assert (
        value(
            url,
            "SELECT string_agg(attname || ' ' || atttypid::regtype, ', ' ORDER BY attnum)"
            " FROM pg_attribute WHERE attrelid = 'v'::regclass",
        )
        == "x integer, z integer"
    )
    assert cli("verify", "--sql-dir", path, "--database-url", url).returncode == 0
    assert {v.status for v in up(url, path).relations} == {"unchanged"}


def test_what_belongs_to_the_view_is_given_back(viewed: tuple[str, Path], reader: str) -> None:
    """Owner, grants, comments, defaults, triggers and rules; but not of a lost column.

    So are the options, because the file states none.
    """
    url, path = viewed
    execute(
        url,
        "ALTER VIEW v SET (security_barrier = true, check_option = local)",
        f"GRANT SELECT, UPDATE ON v TO {reader} WITH GRANT OPTION",
        "GRANT SELECT ON v TO public",
        f"GRANT INSERT (x, y) ON v TO {reader}",
        "COMMENT ON VIEW v IS 'it''s mine'",
        "COMMENT ON COLUMN v.x IS 'the x'",
        "COMMENT ON COLUMN v.y IS 'the y'",
        "ALTER VIEW v ALTER x SET DEFAULT 7, ALTER y SET DEFAULT 8",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER t INSTEAD OF DELETE ON v FOR EACH ROW EXECUTE FUNCTION f()",
        "COMMENT ON TRIGGER t ON v IS 'the trigger'",
        "CREATE RULE r AS ON UPDATE TO v DO INSTEAD NOTHING",
        "COMMENT ON RULE r ON v IS 'the rule'",
        f"ALTER VIEW v OWNER TO {reader}",
    )
    belongs = """
        SELECT jsonb_build_object(
            'owner', pg_get_userbyid(c.relowner), 'options', c.reloptions,
            'acl', (SELECT jsonb_agg(a::text ORDER BY a::text) FROM unnest(c.relacl) AS a),
            'comment', obj_description(c.oid), 'x', col_description(c.oid, 1),
            'x acl', (SELECT attacl::text FROM pg_attribute
                      WHERE attrelid = c.oid AND attname = 'x'),
            'default', (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
                        WHERE adrelid = c.oid AND adnum = 1),
            'triggers', (SELECT jsonb_agg(pg_get_triggerdef(oid)
                                          || obj_description(oid, 'pg_trigger'))
                         FROM pg_trigger WHERE tgrelid = c.oid),
            'rules', (SELECT jsonb_agg(pg_get_ruledef(oid) || obj_description(oid, 'pg_rewrite'))
                      FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN'))
        FROM pg_class AS c WHERE c.oid = 'v'::regclass"""
    before = value(url, belongs)

    up(url, path)

    assert value(url, belongs) == before
    assert before["options"] == ["security_barrier=true", "check_option=local"]
    assert None not in (before["triggers"], before["rules"], before["x acl"])


FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
TRIGGER = "TRIGGER t INSTEAD OF DELETE ON v FOR EACH ROW EXECUTE FUNCTION f()"


@pytest.mark.parametrize(
    ("was", "rest", "asked"),
    [
        ("COMMENT ON VIEW v IS 'old'", "COMMENT ON VIEW v IS NULL", "obj_description(v)"),
        ("COMMENT ON COLUMN v.x IS 'old'", "COMMENT ON COLUMN v.x IS ''", "col_description(v, 1)"),
        (
            "GRANT SELECT ON v TO reader",
            "REVOKE ALL ON v FROM reader",
            "has_table_privilege('reader', v, 'SELECT')",
        ),
        (
            "GRANT INSERT (x) ON v TO reader",
            "REVOKE ALL (x) ON v FROM reader",
            "has_column_privilege('reader', v, 'x', 'INSERT')",
        ),
        (
            "ALTER VIEW v OWNER TO reader",
            "ALTER VIEW v OWNER TO SESSION_USER",
            "(SELECT relowner::regrole::text FROM pg_class WHERE oid = v)",
        ),
        (
            f"{FUNCTION}; CREATE {TRIGGER}",
            f"CREATE OR REPLACE {TRIGGER.replace('DELETE', 'UPDATE')}",
            "(SELECT jsonb_agg(pg_get_triggerdef(oid)) FROM pg_trigger WHERE tgrelid = v)",
        ),
        (
            f"{FUNCTION}; CREATE {TRIGGER}",
            "DROP TRIGGER t ON v",
            "(SELECT count(*) FROM pg_trigger WHERE tgrelid = v)",
        ),
        (
            "CREATE RULE r AS ON UPDATE TO v DO INSTEAD NOTHING",
            "DROP RULE r ON v",
            "(SELECT count(*) FROM pg_rewrite WHERE ev_class = v)",
        ),
        (
            "ALTER VIEW v ALTER x SET DEFAULT 7",
            "ALTER VIEW v ALTER x DROP DEFAULT",
            "(SELECT count(*) FROM pg_attrdef WHERE adrelid = v)",
        ),
        (
            "ALTER VIEW v SET (security_barrier = true)",
            "ALTER VIEW v RESET (security_barrier)",
            "(SELECT reloptions::text FROM pg_class WHERE oid = v)",
        ),
    ],
)
def test_what_the_file_says_itself_counts(
    viewed: tuple[str, Path], reader: str, was: str, rest: str, asked: str
) -> None:
    """The old properties are there when its statements run, as after CREATE OR REPLACE VIEW."""
    url, path = viewed
    was, rest, asked = (re.sub(r"\breader\b", reader, text) for text in (was, rest, asked))
    asked = f"SELECT {asked} FROM (SELECT 'v'::regclass AS v) AS asked"
    execute(url, was)
    old = value(url, asked)
    # CREATE OR REPLACE can do this much, and then the rest of the file runs.
    (path / "views" / "v.sql").write_text(f"{OLD} {rest};", encoding="utf-8")
    up(url, path)
    expected = value(url, asked)
    execute(url, "DROP VIEW v", OLD, was.removeprefix(f"{FUNCTION}; "))
    assert value(url, asked) == old != expected
    (path / "views" / "v.sql").write_text(f"{NEW} {rest};", encoding="utf-8")

    up(url, path)

    assert value(url, asked) == expected
    assert verify(url, path).ok


BARRIER, NO_BARRIER = "WITH (security_barrier = true)", "WITH (security_barrier = false)"


@pytest.mark.parametrize(
    ("texts", "by_hand", "expected"),
    [
        # No protection is lost because a column had to go.
        (("", ""), "ALTER VIEW v SET (security_barrier = true)", "{security_barrier=true}"),
        # The file's own options are what its text says now, as after CREATE OR REPLACE VIEW.
        ((BARRIER, ""), "SELECT 1", None),
        ((BARRIER, NO_BARRIER), "SELECT 1", "{security_barrier=false}"),
        (
            ("", NO_BARRIER),
            "ALTER VIEW v SET (security_barrier = true)",
            "{security_barrier=false}",
        ),
    ],
)
def test_options_that_someone_has_set_are_kept_unless_the_file_states_some(
    database: str, folder: Write, texts: tuple[str, str], by_hand: str, expected: str | None
) -> None:
    """CREATE OR REPLACE VIEW clears them; a view that is re-created does not lose them."""
    old, new = texts
    files = {"1_a.up.sql": TABLE, "views/v.sql": OLD.replace("VIEW v", f"VIEW v {old}")}
    up(database, folder(files))
    execute(database, by_hand)

    up(database, folder({**files, "views/v.sql": NEW.replace("VIEW v", f"VIEW v {new}")}))

    asked = "SELECT reloptions::text FROM pg_class WHERE oid = 'v'::regclass"
    assert value(database, asked) == expected


@pytest.mark.parametrize(
    ("texts", "by_hand", "drifted"),
    [
        (("", ""), "ALTER VIEW v SET (security_barrier = true)", {"options"}),
        (
            (
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';",
                "CREATE OR REPLACE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();",
            ),
            "ALTER TABLE a DISABLE TRIGGER t",
            {"trigger t"},
        ),
    ],
)
def test_what_create_or_replace_resets_is_drift_until_it_runs(
    database: str, folder: Write, texts: tuple[str, str], by_hand: str, drifted: set[str]
) -> None:
    """It clears the options of a view and enables a trigger, which is what the file says."""
    before, rest = texts
    files = {"1_a.up.sql": f"{TABLE} {before}", "views/v.sql": f"{OLD} {rest}"}
    path = folder(files)
    up(database, path)
    execute(database, by_hand)
    differences = [d.part for v in verify(database, path).relations for d in v.differences]
    assert set(differences) == drifted

    path = folder({**files, "views/v.sql": f"{OLD} {rest} -- edited"})
    up(database, path)

    assert verify(database, path).ok
    assert verify(database, path, replay_files=True).ok


SET_BACK = {
    "1_a.up.sql": f"{TABLE} CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NEW; END';",
    "views/v.sql": OLD,
    "repeatable/f.sql": "CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
    "CREATE OR REPLACE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION g();",
}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("ALTER VIEW v SET (security_barrier)", "options of view public.v, and views/v.sql"),
        (
            "ALTER TABLE a ALTER y TYPE bigint;--ALTER VIEW v SET (security_barrier)",
            "options of view public.v, and views/v.sql",
        ),
        (
            "DO $$ BEGIN EXECUTE 'ALTER FUNCTION f(int) SECURITY DEFINER'; END $$; DROP TABLE b",
            "definition of function public.f(integer), and repeatable/f.sql",
        ),
        (
            "ALTER TABLE a DISABLE TRIGGER t",
            "trigger t of table public.a, and repeatable/f.sql",
        ),
        (
            "ALTER TABLE a RENAME y TO y2; ALTER TABLE a RENAME y2 TO y; COMMENT ON VIEW v IS ''",
            None,
        ),
    ],
)
def test_a_change_that_a_repeatable_file_sets_back_is_reported(
    database: str, folder: Write, change: str, what: str | None
) -> None:
    """CREATE OR REPLACE states the whole, so a migration before it has no effect."""
    up(database, folder(SET_BACK))
    execute(database, "CREATE TABLE b ()")
    first, _, second = change.rpartition(";--")
    path = folder({**SET_BACK, "2_b.up.sql": first or "SELECT 1", "3_c.up.sql": second})

    report = up(database, path)

    assert report.notes == (
        ()
        if what is None
        else (f"3_c has changed {what} has set that back; state it in that file instead",)
    )
    assert verify(database, path).ok


def test_default_privileges_do_not_grant_again_what_was_revoked(
    viewed: tuple[str, Path], reader: str
) -> None:
    """A new view gets them; a view that is re-created has the grants that it had."""
    url, path = viewed
    execute(url, f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {reader}, public")

    up(url, path)

    assert (
        value(
            url,
            f"SELECT has_table_privilege('{reader}', 'v', 'SELECT')",
        )
        is False
    )
    execute(url, f"ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM {reader}, public")


def test_properties_are_restored_under_any_search_path(viewed: tuple[str, Path]) -> None:
    """The file sets its own, in which the trigger's function is not."""
    url, path = viewed
    execute(url, FUNCTION, f"CREATE {TRIGGER}", "CREATE SCHEMA elsewhere")
    file = NEW.replace("VIEW v", "VIEW public.v").replace("FROM a", "FROM public.a")
    (path / "views" / "v.sql").write_text(
        f"SET search_path = elsewhere; {file} CREATE TABLE IF NOT EXISTS mark (n int);",
        encoding="utf-8",
    )

    up(url, path)

    assert value(url, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'v'::regclass") == 1
    assert value(url, "SELECT to_regclass('elsewhere.mark') IS NOT NULL") is True


@pytest.mark.parametrize("is_edited", [False, True])
def test_a_view_that_its_file_drops_first_keeps_what_it_had_unless_that_was_edited(
    database: str, folder: Write, reader: str, *, is_edited: bool
) -> None:
    """An edited file would have dropped it anyway; another one runs only for the migration."""
    text = f"DROP VIEW IF EXISTS v, w; {OLD} CREATE VIEW w AS SELECT z FROM a;"
    files = {"1_a.up.sql": TABLE, "repeatable/v.sql": text}
    up(database, folder(files))
    execute(database, f"GRANT SELECT ON v, w TO {reader}")
    if is_edited:
        files["repeatable/v.sql"] += " -- edited"

    up(database, folder({**files, "2_b.up.sql": "ALTER TABLE a ALTER x TYPE bigint;"}))

    # The migration changes no column of w, which the file drops as well.
    for name in ("v", "w"):
        asked = f"SELECT has_table_privilege('{reader}', '{name}', 'SELECT')"
        assert value(database, asked) is not is_edited


def test_a_rule_that_needs_a_lost_column_is_not_lost_without_a_word(
    viewed: tuple[str, Path], dump: Dump
) -> None:
    """The view could be written to, and would not be any more."""
    url, path = viewed
    execute(url, "CREATE RULE r AS ON DELETE TO v DO INSTEAD DELETE FROM a WHERE y = OLD.y")
    before = dump(url)

    with pytest.raises(StatementFailed) as caught:
        up(url, path)

    assert caught.value.message.startswith('rule "r" does not fit the new columns of view "v": ')
    assert caught.value.hint == (
        "Drop it in an earlier migration; the view's file can create it again."
    )
    assert dump(url) == before


def test_a_view_in_another_schema_is_dropped_there(database: str, folder: Write) -> None:
    """And not its namesake in the schema of the run."""
    schema = {"001_a.up.sql": f"{TABLE} CREATE SCHEMA s;"}
    path = folder({**schema, "views/v.sql": OLD.replace("VIEW v", "VIEW s.v")})
    up(database, path)
    execute(database, "CREATE VIEW v AS SELECT 1 AS n", "COMMENT ON VIEW s.v IS 'kept'")
    before = value(database, "SELECT 'public.v'::regclass::oid::text")
    (path / "views" / "v.sql").write_text(NEW.replace("VIEW v", "VIEW s.v"), encoding="utf-8")

    up(database, path)

    assert value(database, "SELECT 'public.v'::regclass::oid::text") == before
    assert value(database, "SELECT obj_description('s.v'::regclass)") == "kept"


def test_what_depends_on_the_view_is_listed_and_stays(
    viewed: tuple[str, Path], cli: Cli, dump: Dump
) -> None:
    """Exit code 5, every dependent by name, nothing changed."""
    url, path = viewed
    execute(
        url,
        "CREATE VIEW board_pack AS SELECT x FROM v",
        "CREATE VIEW on_top AS SELECT * FROM board_pack",
        "CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM v; END",
        "CREATE TABLE noted (v v, n bigint DEFAULT f())",
        "CREATE RULE log AS ON DELETE TO noted DO ALSO SELECT x FROM v",
        "CREATE RULE r AS ON UPDATE TO v DO INSTEAD NOTHING",
        "CREATE RULE own AS ON UPDATE TO on_top DO INSTEAD NOTHING",
    )
    before = dump(url)

    done = cli("up", "--sql-dir", path, "--database-url", url)

    assert done.returncode == 5
    assert 'the columns of view "v" have changed' in done.stderr
    # What someone created; not the row types and the _RETURN rules that the server made for it.
    assert done.stderr.splitlines()[1:-1] == [
        "  default value for public.noted.n",
        "  function public.f()",
        "  rule log on public.noted",
        "  table column public.noted.v",
        "  view public.board_pack",
        "  view public.on_top",
        f"  {NOTHING_CHANGED.text}",
    ]
    assert dump(url) == before


def test_a_dry_run_tells_the_same_and_keeps_the_view(viewed: tuple[str, Path]) -> None:
    """Dropping is rolled back with the rest."""
    url, path = viewed

    report = up(url, path, dry_run=True)

    assert {v.relation.name: v.status for v in report.relations}["v"] == "replaced"
    assert (
        value(
            url, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'v'::regclass AND attnum > 0"
        )
        == 3
    )


def test_a_view_file_that_is_wrong_otherwise_fails_as_ever(viewed: tuple[str, Path]) -> None:
    """One more try with a dropped view, and then the failure is the file's."""
    url, path = viewed
    wrong = f"{NEW} CREATE OR REPLACE VIEW v AS SELECT x FROM a;"
    (path / "views" / "v.sql").write_text(wrong, encoding="utf-8")

    with pytest.raises(StatementFailed) as caught:
        up(url, path)

    assert (caught.value.sqlstate, caught.value.file) == ("42P16", "views/v.sql")
    assert caught.value.outcome == NOTHING_CHANGED
    assert (
        value(
            url, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'v'::regclass AND attnum > 0"
        )
        == 3
    )


def test_a_view_of_another_owner_is_replaced_too(database: str, folder: Write) -> None:
    """It was there before the first up, with other columns."""
    path = folder({"001_a.up.sql": TABLE, "views/v.sql": NEW})
    execute(database, TABLE, OLD, "COMMENT ON COLUMN v.x IS 'the x'")
    path.joinpath("001_a.up.sql").write_text(TABLE.replace("TABLE a", "TABLE IF NOT EXISTS a"))

    report = up(database, path)

    assert {v.relation.name: v.status for v in report.relations} == {
        "a": "skipped",
        "v": "replaced",
    }
    assert value(database, "SELECT col_description('v'::regclass, 1)") == "the x"


def test_an_adopted_view_with_dependents_is_refused_with_them(
    database: str, folder: Write, dump: Dump
) -> None:
    """The history does not know the view yet; its dependents are found all the same."""
    path = folder(
        {"001_a.up.sql": TABLE.replace("TABLE a", "TABLE IF NOT EXISTS a"), "views/v.sql": NEW}
    )
    execute(database, TABLE, OLD, "CREATE VIEW board_pack AS SELECT x FROM v")
    before = dump(database)

    with pytest.raises(Refused) as caught:
        up(database, path)

    assert "view public.board_pack" in caught.value.facts
    assert dump(database) == before


def test_a_view_file_on_top_of_the_view_is_re_created_with_it(
    viewed: tuple[str, Path], reader: str
) -> None:
    """It depends on the view, and its own file brings it back, with its grants."""
    url, path = viewed
    (path / "views" / "v.sql").write_text(OLD, encoding="utf-8")
    (path / "views" / "a_top.sql").write_text("CREATE OR REPLACE VIEW a_top AS SELECT x FROM v")
    up(url, path)
    execute(url, f"GRANT SELECT ON a_top TO {reader}")
    (path / "views" / "v.sql").write_text(NEW, encoding="utf-8")

    report = up(url, path)

    changed = {key: status for key, status in statuses(report).items() if status != "unchanged"}
    assert changed == {"view v": "replaced", "view a_top": "replaced"}
    assert value(url, f"SELECT has_table_privilege('{reader}', 'a_top', 'SELECT')") is True
    assert verify(url, path).ok
    assert {v.status for v in up(url, path).relations} == {"unchanged"}


# A migration that changes what a view reads.

PARENT = "CREATE TABLE a (x int PRIMARY KEY, y int, z text); CREATE TYPE mood AS ENUM ('ok');"
ON_COLUMN = {
    "001_a.up.sql": PARENT,
    "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT x, y FROM a;",
    "views/b.sql": "CREATE OR REPLACE VIEW b AS SELECT y FROM a;",
    # On top of v, and first by name.
    "views/top.sql": "CREATE OR REPLACE VIEW top AS SELECT x FROM v;",
    "views/x.sql": "CREATE OR REPLACE VIEW x AS SELECT z FROM a;",
}


@dataclass(frozen=True)
class OnColumn:
    """A database with those files applied, and a role that may read some of the views."""

    url: str
    reader: str
    write: Write

    def folder(self, **files: str) -> Path:
        """Return a folder with more migrations, and with other views (``view_v``)."""
        named = {
            f"views/{name[5:]}.sql" if name.startswith("view_") else f"{name}.up.sql": text
            for name, text in files.items()
        }
        return self.write({**ON_COLUMN, **named})


@pytest.fixture
def on_column(database: str, folder: Write, reader: str) -> OnColumn:
    """Return the database as the first migration and its views leave it."""
    up(database, folder(ON_COLUMN))
    execute(database, f"GRANT SELECT ON v, b, top TO {reader}", "COMMENT ON VIEW v IS 'the view'")
    return OnColumn(database, reader, folder)


def oids(url: str) -> dict[str, int]:
    """Return the view's ids, which change when a view is dropped."""
    return dict(
        fetch(
            url,
            "SELECT jsonb_build_array(relname, oid::int) FROM pg_class"
            " WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace",
        )
    )


@pytest.mark.parametrize(
    ("migration", "views", "dropped"),
    [
        ("ALTER TABLE a ALTER y TYPE bigint", {}, {"v", "b", "top"}),
        (
            "ALTER TABLE a DROP COLUMN y",
            {
                "view_v": "CREATE OR REPLACE VIEW v AS SELECT x FROM a;",
                "view_b": "CREATE OR REPLACE VIEW b AS SELECT 1 AS y;",
            },
            {"v", "b", "top"},
        ),
        ("DO $$BEGIN EXECUTE 'ALTER TABLE a ALTER y TYPE bigint'; END$$", {}, {"v", "b", "top"}),
        # The view that it drops itself, and the one on top.
        ("DROP VIEW v; ALTER TABLE a ALTER x TYPE bigint", {}, {"v", "top"}),
    ],
)
def test_a_migration_gets_past_the_views_of_view_files(
    on_column: OnColumn, migration: str, views: dict[str, str], dropped: set[str]
) -> None:
    """Those on what it changes are dropped before it and re-created; the others stay."""
    url, reader = on_column.url, on_column.reader
    before = oids(url)
    path = on_column.folder(**{"2_b": migration}, **views)

    planned = up(url, path, dry_run=True)
    assert oids(url) == before
    report = up(url, path)

    after = oids(url)
    assert {name for name in before if before[name] != after[name]} == dropped
    assert statuses(planned) == statuses(report)
    for name in {"v", "b", "top"} - ({"v"} if migration.startswith("DROP VIEW v") else set()):
        asked = f"SELECT has_table_privilege('{reader}', '{name}', 'SELECT')"
        assert value(url, asked) is True
    assert verify(url, path).ok
    assert {v.status for v in up(url, path).relations} == {"unchanged"}


def test_the_views_are_there_until_the_migration_that_needs_them_gone(
    on_column: OnColumn,
) -> None:
    """An earlier migration of the same run may read them; with --per-migration too."""
    reads = "CREATE TABLE copy AS SELECT x, y FROM v;"
    change = "ALTER TABLE a ALTER y TYPE bigint;"

    up(
        on_column.url,
        on_column.folder(**{"2_b": reads, "3_c": change, "4_d": "CREATE TABLE d ();"}),
    )
    path = on_column.folder(
        **{"2_b": reads, "3_c": change, "4_d": "CREATE TABLE d ();"},
        **{"5_e": reads.replace("copy", "again"), "6_f": change.replace("bigint", "numeric")},
    )
    up(on_column.url, path, per_migration=True)

    assert value(on_column.url, "SELECT obj_description('v'::regclass)") == "the view"
    assert verify(on_column.url, path).ok
    runs = [row["file"] for row in history(on_column.url) if row["file"].startswith("views/")]
    assert len(runs) == 3 * 4


@pytest.mark.parametrize("options", [{}, {"dry_run": True}, {"per_migration": True}])
def test_a_migration_does_not_drop_views_that_others_depend_on(
    on_column: OnColumn, dump: Dump, options: dict[str, bool]
) -> None:
    """They are listed, and nothing is changed."""
    execute(
        on_column.url,
        "CREATE VIEW board_pack AS SELECT x FROM top",
        "CREATE MATERIALIZED VIEW numbers AS SELECT y FROM b",
        "CREATE INDEX numbers_y ON numbers (y)",
        "CREATE TABLE typed (v v)",
    )
    before = dump(on_column.url), history(on_column.url)

    with pytest.raises(Refused) as caught:
        up(
            on_column.url,
            on_column.folder(**{"2_b": "ALTER TABLE a ALTER y TYPE bigint"}),
            **options,
        )

    assert caught.value.message == (
        '2_b.up.sql:1 cannot run until views "b", "top", "v" are dropped, but other objects depend'
        " on them"
    )
    assert caught.value.detail == (
        "materialized view public.numbers",
        "table column public.typed.v",
        "view public.board_pack",
    )
    assert caught.value.outcome == NOTHING_CHANGED
    assert (dump(on_column.url), history(on_column.url)) == before


def test_what_else_stops_the_migration_is_reported_by_the_server(
    on_column: OnColumn, dump: Dump
) -> None:
    """Another owner's view on the same column is no reason to look for ever."""
    execute(on_column.url, "CREATE VIEW board_pack AS SELECT y FROM a")
    before = dump(on_column.url)

    with pytest.raises(StatementFailed) as caught:
        up(on_column.url, on_column.folder(**{"2_b": "ALTER TABLE a DROP COLUMN y"}))

    assert caught.value.sqlstate == "2BP01"
    assert "view board_pack depends on column y of table a" in caught.value.detail
    assert dump(on_column.url) == before


NO_TRANSACTION = "-- lfmigrate: no-transaction\nVACUUM a;"
# Of a column that a later migration adds.
NEEDS_LATER = {"view_v": "CREATE OR REPLACE VIEW v AS SELECT x, q FROM a;"}
ADDS = "ALTER TABLE a ADD q int;"


@pytest.mark.parametrize(
    ("files", "options"),
    [
        ({"3_c": NO_TRANSACTION, "4_d": ADDS}, {}),
        ({"3_c": NO_TRANSACTION, "4_d": ADDS}, {"dry_run": True}),
        ({"3_c": ADDS}, {"to": "2"}),
    ],
)
def test_views_are_not_dropped_without_their_files_in_the_same_transaction(
    on_column: OnColumn,
    dump: Dump,
    files: dict[str, str],
    options: dict[str, object],
) -> None:
    """The migration fails as the server says, with the way out."""
    before = dump(on_column.url)
    path = on_column.folder(**{"2_b": "ALTER TABLE a ALTER y TYPE bigint"}, **files, **NEEDS_LATER)

    with pytest.raises(StatementFailed) as caught:
        up(on_column.url, path, **options)

    assert (caught.value.sqlstate, caught.value.file) == ("0A000", "2_b.up.sql")
    assert caught.value.hint == (
        'Drop views "b", "top", "v" in an earlier migration; up re-creates the views of repeatable'
        " files after the last migration."
    )
    assert caught.value.outcome == NOTHING_CHANGED
    assert dump(on_column.url) == before


@pytest.mark.parametrize(
    ("files", "options"),
    [({"3_c": NO_TRANSACTION}, {}), ({"3_c": "SELECT 1;"}, {"to": "2"})],
)
def test_views_are_re_created_right_after_a_migration_whatever_comes_then(
    on_column: OnColumn, files: dict[str, str], options: dict[str, object]
) -> None:
    """A file that ends the transaction, or nothing for now."""
    path = on_column.folder(**{"2_b": "ALTER TABLE a ALTER y TYPE bigint"}, **files)

    up(on_column.url, path, **options)

    assert value(on_column.url, "SELECT obj_description('v'::regclass)") == "the view"
    assert verify(on_column.url, path, allow_pending=True).ok


@pytest.mark.parametrize(
    ("files", "place", "why"),
    [
        (
            {"3_c": "CREATE TABLE c AS TABLE v", "4_d": ADDS, **NEEDS_LATER},
            "3_c.up.sql:1:25",
            """The views of views/v.sql are re-created after the last migration, because the text
            needs it; none may use them until then.""",
        ),
        (
            {"2_b": "ALTER TABLE a ALTER y TYPE bigint; CREATE TABLE c AS TABLE v"},
            "2_b.up.sql:1:60",
            """The views of repeatable files are re-created after that file; it may not use them
            itself.""",
        ),
    ],
)
def test_what_reads_a_dropped_view_is_named(
    on_column: OnColumn, dump: Dump, files: dict[str, str], place: str, why: str
) -> None:
    """The first error stays the error."""
    before = dump(on_column.url)
    path = on_column.folder(**{"2_b": "ALTER TABLE a ALTER y TYPE bigint", **files})

    with pytest.raises(StatementFailed) as caught:
        up(on_column.url, path)

    assert (caught.value.sqlstate, caught.value.file) == ("0A000", "2_b.up.sql")
    assert caught.value.detail[-1] == (
        f'With view "v" dropped before it, {place} fails: relation "v" does not exist.'
    )
    assert caught.value.hint == " ".join(why.split())
    assert caught.value.outcome == NOTHING_CHANGED
    assert dump(on_column.url) == before


# What a migration does to views after another one for which they had to be dropped.
AFTERWARDS = (
    """GRANT UPDATE ON ALL TABLES IN SCHEMA public TO {0};
    REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM {0};
    COMMENT ON VIEW v IS 'another'; CREATE TABLE c AS TABLE v;""",
    # They have to be dropped for this one, too.
    "ALTER TABLE a ALTER x TYPE bigint; DROP OWNED BY {0};",
)
ALL_OF_THEM = """
    SELECT jsonb_agg(jsonb_build_array(relname, relacl::text, reloptions, obj_description(oid),
        pg_get_viewdef(oid), (SELECT array_agg(atttypid::regtype) FROM pg_attribute
        WHERE attrelid = c.oid)) ORDER BY relname)
    FROM pg_class AS c WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"""


def test_a_later_migration_finds_the_views_whether_in_the_same_run_or_the_next(
    on_column: OnColumn, create_database: Callable[..., str]
) -> None:
    """What it does to all relations reaches them, and they have what they had before."""
    once, twice = on_column.url, create_database()
    files: dict[str, str] = {}
    up(twice, on_column.folder())
    execute(twice, f"GRANT SELECT ON v, b, top TO {on_column.reader}")
    execute(twice, "COMMENT ON VIEW v IS 'the view'")
    for number, change in enumerate(AFTERWARDS, 1):
        files[f"{number}1_b"] = f"ALTER TABLE a ALTER y TYPE {('numeric', 'bigint')[number % 2]}"
        files[f"{number}2_c"] = change.format(on_column.reader)
        path = on_column.folder(**files)

        report = up(once, path)
        up(twice, path, to=f"{number}1")
        up(twice, path)

        assert value(once, ALL_OF_THEM) == value(twice, ALL_OF_THEM), change
        assert report.notes == ()
    assert verify(once, path).ok
    execute(twice, f"DROP OWNED BY {on_column.reader}")


@pytest.mark.any_version
def test_privileges_restored_after_other_migrations_are_named(on_column: OnColumn) -> None:
    """The text of a view needs a later migration; roles are what they are by then."""
    url, reader = on_column.url, on_column.reader
    gone, new = f"{reader}_gone", f"{reader}_new"
    execute(url, f"CREATE ROLE {gone}", f"GRANT SELECT ON v TO {gone}", f"CREATE ROLE {new}")
    execute(url, f"GRANT INSERT (x) ON v TO {new}", f"ALTER VIEW top OWNER TO {new}")
    path = on_column.folder(
        **{
            "2_b": "ALTER TABLE a ALTER y TYPE bigint",
            "3_c": f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {reader};"
            f"DROP OWNED BY {gone}; DROP ROLE {gone}; ALTER ROLE {new} RENAME TO {gone}",
            "4_d": ADDS,
        },
        **NEEDS_LATER,
    )

    report = up(url, path)

    late = "was dropped before 2_b and could be re-created only after the last migration; its"
    late += " privileges are those that"
    assert report.notes == (
        f'view "v" {late} it had before: SELECT to {reader}; SELECT to {gone}; INSERT (x) to {new}',
        f'view "top" {late} it had before: SELECT to {reader}',
    )
    assert not value(url, f"SELECT has_table_privilege('{reader}', 'b', 'SELECT')")
    assert value(url, f"SELECT has_table_privilege('{reader}', 'v', 'SELECT')")
    assert value(url, f"SELECT has_column_privilege('{gone}', 'v', 'x', 'INSERT')")
    assert value(url, "SELECT relowner::regrole FROM pg_class WHERE relname = 'top'") == gone
    execute(url, f"DROP OWNED BY {gone} CASCADE", f"DROP ROLE {gone}")


@pytest.mark.any_version
def test_a_view_whose_owner_a_later_migration_drops_gets_no_other_owner(
    on_column: OnColumn, dump: Dump
) -> None:
    """It would run with the privileges of another role."""
    url, owner = on_column.url, f"{on_column.reader}_owner"
    execute(url, f"CREATE ROLE {owner}", f"ALTER VIEW v OWNER TO {owner}")
    before = dump(url)
    drop = f"DROP OWNED BY {owner}; DROP ROLE {owner}"
    path = on_column.folder(
        **{"2_b": "ALTER TABLE a ALTER y TYPE bigint", "3_c": drop, "4_d": ADDS}, **NEEDS_LATER
    )

    with pytest.raises(StatementFailed) as caught:
        up(url, path)

    assert caught.value.message == (
        "the owner of view public.v was dropped before its file could create it again"
    )
    assert dump(url) == before
    execute(url, f"DROP OWNED BY {owner} CASCADE", f"DROP ROLE {owner}")


@pytest.mark.parametrize("edited", [True, False])
def test_a_renamed_schema_is_what_its_migration_has_renamed(
    database: str, folder: Write, *, edited: bool
) -> None:
    """Its tables wrote no row of their own; the file that runs last has not created them."""
    view = "CREATE OR REPLACE VIEW s.v AS SELECT id FROM s.a"
    files: dict[str, str | bytes] = {
        "001_a.up.sql": "CREATE SCHEMA s; CREATE TABLE s.a (id int);",
        "001_a.down.sql": "DROP TABLE s.a; DROP SCHEMA s;",
        "repeatable/v.sql": view,
    }
    up(database, folder(files))
    execute(database, "INSERT INTO s.a VALUES (1)")
    files["002_b.up.sql"] = "ALTER SCHEMA s RENAME TO z"
    files["002_b.down.sql"] = "ALTER SCHEMA z RENAME TO s"
    if edited:
        files["repeatable/v.sql"] = view.replace("s.", "z.")
    else:
        del files["repeatable/v.sql"]
    up(database, folder(files))

    with closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.rollback(conn, lfmigrate.read_folder(folder(files)), backup_dir=None)
    files["repeatable/v.sql"] = view

    assert {one.kind for one in report.lost} <= {"view"}
    assert value(database, "SELECT id FROM s.a") == 1
    del files["002_b.up.sql"], files["002_b.down.sql"]
    up(database, folder(files))
    assert verify(database, folder(files)).ok
    assert value(database, "SELECT id FROM s.v") == 1
