"""A view whose columns have changed is dropped and made again, with all that belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from lfmigrate.errors import NOTHING_CHANGED, Refused, StatementFailed
from tests.conftest import Cli
from tests.helpers.commands import up
from tests.helpers.databases import execute, value

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
    """Owner, grants, options, comments, defaults, triggers and rules; but not of a lost column."""
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
        "CREATE RULE r AS ON UPDATE TO v DO INSTEAD NOTHING",
        "COMMENT ON TRIGGER t ON v IS 'the trigger'",
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
            'triggers', (SELECT jsonb_agg(pg_get_triggerdef(oid) || obj_description(oid))
                         FROM pg_trigger WHERE tgrelid = c.oid),
            'rules', (SELECT jsonb_agg(pg_get_ruledef(oid) || obj_description(oid))
                      FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN'))
        FROM pg_class AS c WHERE c.oid = 'v'::regclass"""
    before = value(url, belongs)

    up(url, path)

    assert value(url, belongs) == before
    assert None not in (before["triggers"], before["rules"], before["x acl"])


def test_what_the_file_says_itself_counts(viewed: tuple[str, Path]) -> None:
    """What it comments, sets and creates is not overwritten by what was there."""
    url, path = viewed
    parts = """
        COMMENT ON VIEW v IS '{0}';
        ALTER VIEW v ALTER x SET DEFAULT {1};
        CREATE TRIGGER t INSTEAD OF DELETE ON v FOR EACH ROW EXECUTE FUNCTION f({1});
        COMMENT ON TRIGGER t ON v IS '{0}';
        CREATE RULE r AS ON UPDATE TO v DO INSTEAD SELECT {1};
    """
    execute(
        url,
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        parts.format("old", 1),
        "COMMENT ON RULE r ON v IS 'old'",
    )
    (path / "views" / "v.sql").write_text(NEW + parts.format("new", 2), encoding="utf-8")

    up(url, path)

    assert value(url, "SELECT obj_description('v'::regclass)") == "new"
    of_v = "= 'v'::regclass"
    default = f"SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid {of_v}"
    assert value(url, default) == "2"
    trigger = "SELECT pg_get_triggerdef(oid) || obj_description(oid) FROM pg_trigger"
    assert value(url, f"{trigger} WHERE tgrelid {of_v}").endswith("f('2')new")
    rule = "FROM pg_rewrite WHERE rulename = 'r'"
    assert "SELECT 2" in value(url, f"SELECT pg_get_ruledef(oid) {rule}")
    # The file says nothing of it.
    assert value(url, f"SELECT obj_description(oid) {rule}") == "old"


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
