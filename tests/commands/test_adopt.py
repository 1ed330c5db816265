"""`adopt`: what another tool has applied is recorded, if the files create what exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.commands.adopt import AdoptReport
from lfmigrate.engine.state import read_state
from lfmigrate.errors import (
    NOTHING_CHANGED,
    DatabaseError,
    DifferenceFound,
    LfmigrateError,
    Refused,
    SqlFileError,
    StatementFailed,
    UsageError,
)
from lfmigrate.history.ownership import Owned, owned_by
from lfmigrate.schema.relation import NAMED_PARTS, Key, Relation
from lfmigrate.settings import Scope
from tests.helpers.commands import migrations, rollback, up, verify
from tests.helpers.databases import execute, fetch, has_history, history, value

pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

A = "CREATE TABLE a (id int PRIMARY KEY, n text); CREATE VIEW va AS SELECT id FROM a;"
B = (
    "ALTER TABLE a ALTER n TYPE varchar(9); ALTER TABLE a ADD m int;"
    "CREATE INDEX a_m ON a (m); CREATE TABLE b (id int REFERENCES a);"
)
FILES = {
    "1_a.up.sql": A,
    "1_a.down.sql": "DROP VIEW va; DROP TABLE a;",
    "2_b.up.sql": B,
    "2_b.down.sql": "DROP TABLE b; ALTER TABLE a DROP m; ALTER TABLE a ALTER n TYPE text;",
    "3_c.up.sql": "CREATE TABLE c (id int);",
    "3_c.down.sql": "DROP TABLE c;",
}
ROWS = "INSERT INTO a VALUES (1, 'x', 2); INSERT INTO b VALUES (1);"
DBMATE = "CREATE TABLE schema_migrations (version varchar PRIMARY KEY);"


def current(version: int, *, dirty: bool = False) -> str:
    """Return golang-migrate's table with a current version."""
    return (
        "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);"
        f"INSERT INTO schema_migrations VALUES ({version}, {dirty});"
    )


def adopt(url: str, path: Path, **options: Any) -> AdoptReport:
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.adopt(conn, lfmigrate.read_folder(path), **options)


def status(url: str, path: Path) -> lfmigrate.StatusReport:
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.status(conn, lfmigrate.read_folder(path))


def refusal(url: str, path: Path, kind: type[LfmigrateError], **options: Any) -> LfmigrateError:
    """Return why a folder is not adopted; nothing is recorded."""
    with pytest.raises(kind) as caught:
        adopt(url, path, **options)
    assert caught.value.outcome == NOTHING_CHANGED
    assert caught.value.hint
    assert not has_history(url)
    return caught.value


def labels(report: AdoptReport) -> dict[str, str]:
    return {each.label: each.status for each in report.migrations}


@pytest.mark.two_versions
def test_an_adopted_database_is_as_if_lfmigrate_had_migrated_it(
    database: str, folder: Write, dump: Dump, create_database: Callable[..., str]
) -> None:
    """Verify, up and rollback work, and each leaves what psql would."""
    path = folder(FILES)
    execute(database, A, B, ROWS, current(2))

    report = adopt(database, path)

    assert labels(report) == {"1_a": "adopted", "2_b": "adopted", "3_c": "pending"}
    assert {v.status for v in report.relations} == {"ok"}
    assert verify(database, path, allow_pending=True).ok
    assert migrations(up(database, path))["3"] == "applied"
    assert verify(database, path).ok
    assert [m.version for m in rollback(database, path, to="1").migrations] == ["3", "2"]
    assert verify(database, path, allow_pending=True).ok
    other = create_database()
    execute(other, A, current(2))
    assert dump(database) == dump(other)
    assert value(database, "SELECT n FROM a") == "x"
    assert migrations(up(database, path))["2"] == "applied"
    rollback(database, path, to="0")
    assert fetch(database, "SELECT relname FROM pg_class WHERE relname IN ('a', 'b', 'c')") == []


def test_each_file_owns_what_it_has_created(database: str, folder: Write) -> None:
    """As after a run: a later file that changes a column does not own it."""
    execute(database, A, B, current(2))
    adopt(database, folder(FILES))

    first, second = history(database)

    tables = {r["name"]: dict(r["parts"]) for r in first["expected"]["relations"]}
    assert "column n" in tables["a"]
    assert "column m" not in tables["a"]
    assert "index a_m" not in tables["a"]
    assert [r["name"] for r in second["expected"]["relations"]] == ["a", "b"]
    assert (first["action"], first["elapsed_ms"]) == ("adopt", 0)
    assert first["expected"]["source"]["table"] == "public.schema_migrations"


# What a later file does to what an earlier one has created.
CHANGES = {
    "1_a.up.sql": "CREATE TYPE mood AS ENUM ('a');"
    "CREATE TABLE p (id int, at date, m mood, gone int, s serial) PARTITION BY RANGE (at);"
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');"
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1';"
    "CREATE TABLE t (id int PRIMARY KEY, x int); CREATE SEQUENCE sq;",
    "2_b.up.sql": "ALTER TABLE p DROP gone; ALTER TABLE p ALTER id TYPE bigint; DROP SEQUENCE sq;"
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 2';"
    "ALTER TABLE t RENAME TO t2; CREATE INDEX t2_x ON t2 (x); ALTER TABLE t2 ADD CHECK (x > 0);"
    "CREATE SCHEMA side; CREATE TABLE side.z (id int);",
    "3_c.up.sql": "ALTER TYPE mood ADD VALUE 'b';",
    "4_d.up.sql": "CREATE TABLE d (m mood DEFAULT 'a'); ALTER TABLE t2 ALTER x TYPE bigint;"
    "ALTER INDEX t2_x RENAME TO t2_xx; ALTER TABLE side.z SET SCHEMA public;"
    "CREATE VIEW v AS SELECT id FROM z; CREATE TRIGGER tr BEFORE UPDATE ON t2"
    " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();",
    "5_e.up.sql": "-- lfmigrate: no-transaction\nCREATE INDEX CONCURRENTLY d_m ON d (m);",
    "6_f.up.sql": "CREATE OR REPLACE VIEW v AS SELECT id, 1 AS one FROM z;"
    "ALTER TABLE d ADD n int DEFAULT 1; CREATE POLICY pp ON d USING (true);"
    "CREATE STATISTICS st ON id, x FROM t2; CREATE RULE r AS ON INSERT TO d DO NOTHING;",
    "views/w.sql": "CREATE OR REPLACE VIEW w AS SELECT * FROM v;",
}


def recorded(url: str) -> tuple[Mapping[Key, Relation], list[Owned]]:
    """Return what the history expects, and what the newest migrations own, for each number."""
    with closing(lfmigrate.connect(url)) as conn:
        known = read_state(conn, Scope()).history
    numbers = sorted(known.applied)
    return dict(known.expected), [owned_by(known, numbers[n:]) for n in range(len(numbers))]


def parts_of(owned: Owned, expected: Mapping[Key, Relation]) -> dict[Key, set[str]]:
    """Return the named parts that exist in the end and are owned, by relation."""
    return {
        key: {p for p in parts & expected[key].parts.keys() if p.partition(" ")[0] in NAMED_PARTS}
        for key, parts in (*owned.whole.items(), *owned.parts.items())
        if key in expected
    }


@pytest.mark.two_versions
def test_the_history_is_that_of_a_run(database: str, folder: Write) -> None:
    """What is expected, and which migration owns what."""
    path = folder(CHANGES)
    up(database, path)
    expected, owned = recorded(database)
    execute(database, "DROP SCHEMA lfmigrate CASCADE")

    report = adopt(database, path, to="6")

    assert {v.status for v in report.relations} == {"ok"}
    again, adopted = recorded(database)
    assert again == expected
    for ran, found in zip(owned, adopted, strict=True):
        assert found.whole.keys() == ran.whole.keys()
        assert parts_of(found, expected) == parts_of(ran, expected)


def test_an_adopted_database_has_nothing_more_to_adopt(database: str, folder: Write) -> None:
    """The history stays as it is."""
    execute(database, A, current(1))
    path = folder(FILES)
    adopt(database, path)
    before = history(database)

    assert adopt(database, path).status == "unchanged"
    assert history(database) == before


def test_a_dry_run_records_nothing(database: str, folder: Write, dump: Dump) -> None:
    """It compares, though."""
    execute(database, A, current(1))
    before = dump(database, rows=True)

    report = adopt(database, folder(FILES), dry_run=True)

    assert labels(report)["1_a"] == "planned"
    assert len(report.relations) == 2
    assert not has_history(database)
    assert dump(database, rows=True) == before


def test_what_differs_is_not_recorded(database: str, folder: Write) -> None:
    """Each object is named, and how it differs; what no file creates is no difference."""
    execute(database, A, B, current(2), "CREATE TABLE other ()")
    execute(database, "DROP TABLE b; ALTER TABLE a ADD more int; ALTER TABLE a DROP m")

    error = refusal(database, folder(FILES), DifferenceFound)

    assert error.message == "2 objects differ from what the files create"
    report = error.report
    assert isinstance(report, AdoptReport)
    differing = {v.relation.name: {d.part for d in v.differences} for v in report.differing}
    assert differing == {"b": set(), "a": {"column m", "index a_m", "column more"}}


def test_accepted_drift_is_expected_and_not_owned(database: str, folder: Write) -> None:
    """A rollback refuses to drop what was added by hand."""
    path = folder(FILES)
    execute(database, A, B, current(2), "ALTER TABLE b ADD more int; DROP VIEW va")

    report = adopt(database, path, accept_drift=True)

    assert {v.relation.name: v.status for v in report.differing} == {
        "va": "missing",
        "b": "drifted",
    }
    assert verify(database, path, allow_pending=True).ok
    with pytest.raises(Refused) as caught:
        rollback(database, path)
    assert "table column public.b.more" in "\n".join(caught.value.detail)


def test_the_other_tool_may_go_on(database: str, folder: Write) -> None:
    """Status says so, until that is adopted as well, or lfmigrate has run it."""
    path = folder(FILES)
    execute(database, A, current(1))
    (found,) = status(database, path).other_tools
    assert (found.is_adopted, found.applied_since) == (False, ("1",))
    adopt(database, path)
    assert status(database, path).notes == ()

    execute(database, B, "UPDATE schema_migrations SET version = 2")

    (note,) = status(database, path).notes
    assert "golang-migrate has applied more since it was adopted" in note
    assert labels(adopt(database, path))["2_b"] == "adopted"
    up(database, path)
    execute(database, "UPDATE schema_migrations SET version = 3")
    assert status(database, path).notes == ()


def test_a_table_of_another_schema_is_believed_if_asked_to(database: str, folder: Write) -> None:
    """It may be about that one: of each tenant, for example."""
    path = folder(FILES)
    execute(database, current(1), "CREATE SCHEMA app", f"SET search_path = app; {A}")
    scope = Scope(schema="app")

    error = refusal(database, path, Refused, scope=scope)

    message = "public.schema_migrations, the table of golang-migrate, is not in schema app"
    assert error.message == message
    report = adopt(database, path, scope=scope, from_tool="golang-migrate")
    assert labels(report)["1_a"] == "adopted"


def test_a_table_in_a_schema_of_the_tools_own_counts_for_any(database: str, folder: Write) -> None:
    """The tool keeps it there, whatever its migrations create."""
    path = folder(FILES)
    execute(database, "CREATE SCHEMA app", f"SET search_path = app; {A}")
    execute(database, "CREATE TABLE public.schema_version AS SELECT 1 AS version")

    report = adopt(database, path, scope=Scope(schema="app"))

    assert labels(report)["1_a"] == "adopted"


@pytest.mark.parametrize(
    ("named", "to", "word"),
    [
        ("'1', '2'", "1", "--to is older than 2_b, which is applied by public.schema_migrations"),
        ("'2'", "2", "--to includes 1_a, which is not applied by public.schema_migrations"),
        ("'1'", "2", None),
        ("'1', '2'", "2", None),
    ],
)
def test_a_version_may_say_more_than_a_table(
    database: str, folder: Write, named: str, to: str, word: str | None
) -> None:
    """As after the script that `sql` prints; not something else."""
    path = folder(FILES)
    execute(database, A, B, DBMATE)
    execute(database, f"INSERT INTO schema_migrations SELECT unnest(ARRAY[{named}])")

    if word is not None:
        assert refusal(database, path, UsageError, to=to).message == word
        return
    found = labels(adopt(database, path, to=to))
    assert found == {"1_a": "adopted", "2_b": "adopted", "3_c": "pending"}
    assert status(database, path).notes == ()


def test_what_up_would_refuse_is_not_adopted_either(database: str, folder: Write) -> None:
    """A replay would run what looks like a down section, too, and could not show it for rows."""
    data = "INSERT INTO a VALUES (1);\n-- Down\nDELETE FROM a WHERE id = 1;\n"
    path = folder({"1_a.sql": A, "2_b.sql": data, "3_c.sql": "SELECT 1;\n-- Down\nSELECT 2;"})
    execute(database, A)

    with pytest.raises(SqlFileError, match="looks like the beginning of a down section") as caught:
        adopt(database, path, to="2")

    assert caught.value.file == "2_b.sql"
    # What stays pending is not in the way.
    assert labels(adopt(database, path, to="1"))["1_a"] == "adopted"
    assert adopt(database, path, to="1").status == "unchanged"


def test_what_was_rolled_back_is_not_adopted_again(database: str, folder: Write) -> None:
    """The other tool's table still has it, and the rows of a data migration are not compared."""
    data = {"2_b.up.sql": "INSERT INTO a VALUES (7)", "2_b.down.sql": "DELETE FROM a"}
    path = folder({"1_a.up.sql": A, **data})
    execute(database, A, "INSERT INTO a VALUES (7)", current(2))
    adopt(database, path)
    rollback(database, path)

    with pytest.raises(Refused, match="says that 2_b is applied, which lfmigrate has rolled back"):
        adopt(database, path)

    found = status(database, path)
    assert found.pending == 1
    (note,) = found.notes
    assert "still lists what lfmigrate has rolled back: 2" in note
    assert labels(adopt(database, path, to="2"))["2_b"] == "adopted"
    assert status(database, path).notes == ()


def test_only_a_version_says_what_a_head_stands_for(database: str, folder: Write) -> None:
    """Alembic keeps its newest revision; what it is called may be the version of a file."""
    path = folder(FILES)
    execute(database, A, B, "CREATE TABLE alembic_version AS SELECT text '2' AS version_num")

    (note,) = status(database, path).notes
    assert '"lfmigrate adopt --to VERSION" records them' in note
    found = labels(adopt(database, path, to="2"))

    assert found == {"1_a": "adopted", "2_b": "adopted", "3_c": "pending"}
    assert status(database, path).notes == ()


@pytest.mark.parametrize(
    ("setup", "problem"),
    [
        (
            (
                "CREATE TABLE schema_version AS SELECT NULL::int AS version;"
                "GRANT SELECT ON schema_version TO PUBLIC"
            ),
            (
                "public.schema_version, the table of tern, is not as the tool writes it: version is"
                " null"
            ),
        ),
        (
            (
                f"{current(2)} ALTER TABLE schema_migrations ENABLE ROW LEVEL SECURITY;"
                "CREATE POLICY a_few ON schema_migrations USING (version < 2);"
                "GRANT SELECT ON schema_migrations TO PUBLIC"
            ),
            "public.schema_migrations, the table of golang-migrate, cannot be read",
        ),
    ],
)
def test_what_a_table_says_is_believed_in_full_or_not_at_all(
    database: str, role: str, folder: Write, setup: str, problem: str
) -> None:
    """Neither what a policy leaves of its rows, nor those of an application's own table."""
    path = folder(FILES)
    execute(database, A, setup)
    url = make_conninfo(database, options=f"-c role={role}")

    assert status(url, path).notes == (problem,)
    with pytest.raises((Refused, DatabaseError), match=problem) as caught:
        adopt(url, path, to="1")
    assert caught.value.hint


def test_a_table_that_appears_later_is_no_warning(database: str, folder: Write) -> None:
    """What lfmigrate has applied by itself is not the other tool's."""
    path = folder(FILES)
    up(database, path)
    execute(database, current(9))

    assert status(database, path).other_tools == ()


@pytest.mark.parametrize(
    ("table", "word"),
    [
        (current(2, dirty=True), "golang-migrate says that 2 has failed halfway"),
        (f"{current(1)} DELETE FROM schema_migrations", "says that nothing is applied"),
        (current(0), "nothing that golang-migrate has applied is in"),
        (
            "CREATE TABLE alembic_version AS SELECT text '2' AS version_num",
            "the table of alembic, does not say which files",
        ),
        (
            (
                "CREATE TABLE databasechangelog AS SELECT text '2' AS id, text '' AS author,"
                " text '' AS filename, text '' AS exectype"
            ),
            "the table of liquibase, does not say which files",
        ),
        (
            "CREATE TABLE schema_version AS SELECT NULL::int AS version",
            "the table of tern, is not as the tool writes it: version is null",
        ),
        (f"{DBMATE} INSERT INTO schema_migrations VALUES ('77')", "nothing that dbmate has"),
        (
            f"{current(1)} CREATE TABLE alembic_version (version_num varchar(32))",
            "2 migration tools have a table here: alembic and golang-migrate",
        ),
    ],
)
def test_a_table_that_is_of_no_use_is_refused(
    database: str, folder: Write, table: str, word: str
) -> None:
    """With what to do."""
    execute(database, A, table)

    assert word in refusal(database, folder(FILES), Refused).message


def test_one_of_several_tables_can_be_chosen(database: str, folder: Write) -> None:
    """Or none of them."""
    path = folder(FILES)
    alembic = "CREATE TABLE alembic_version (version_num varchar(32))"
    execute(database, A, current(1), alembic, "INSERT INTO alembic_version VALUES ('f00')")

    refusal(database, path, UsageError, from_tool="goose")
    refusal(database, path, Refused, from_tool="alembic")
    for options in ({"from_tool": "golang-migrate"}, {"from_tool": "none", "to": "1"}):
        assert labels(adopt(database, path, dry_run=True, **options))["1_a"] == "planned"
    report = adopt(database, path, from_tool="alembic", to="1")

    assert report.source is not None
    assert report.source.keys == ("f00",)
    execute(database, "INSERT INTO alembic_version VALUES ('f01')")
    (note,) = status(database, path).notes
    assert "alembic has applied more" in note
    assert ": f01;" in note


def test_a_version_is_a_baseline_where_there_is_no_table(database: str, folder: Write) -> None:
    """Files without IF NOT EXISTS, whatever has run them."""
    path = folder(FILES)
    execute(database, A, B)

    refusal(database, path, UsageError)
    refusal(database, path, UsageError, to="7")
    report = adopt(database, path, to="2")

    assert labels(report) == {"1_a": "adopted", "2_b": "adopted", "3_c": "pending"}
    assert migrations(up(database, path))["3"] == "applied"
    assert verify(database, path).ok


def test_a_baseline_remembers_the_tool_that_its_dump_comes_from(
    database: str, tmp_path: Path
) -> None:
    """Status says when that goes on; what has failed halfway is no state to begin with."""
    dump = tmp_path / "dump.sql"
    dump.write_text(A)
    folder, baseline = lfmigrate.read_baseline(tmp_path / "sql", dump)
    execute(database, A, current(7, dirty=True))

    with closing(lfmigrate.connect(database)) as conn:
        with pytest.raises(Refused):
            lfmigrate.adopt(conn, folder, baseline=baseline)
        assert not baseline.path.exists()
        execute(database, "UPDATE schema_migrations SET dirty = false")
        report = lfmigrate.adopt(conn, folder, baseline=baseline)
        with pytest.raises(Refused, match="is applied here already"):
            lfmigrate.adopt(conn, folder, baseline=baseline)

    assert report.file == baseline.path
    assert status(database, baseline.path.parent).notes == ()
    execute(database, "UPDATE schema_migrations SET version = 8")
    assert "applied more" in status(database, baseline.path.parent).notes[0]


def test_gaps_and_missing_files_are_shown(database: str, folder: Write) -> None:
    """What is right is recorded; the rest is said."""
    path = folder(FILES)
    execute(database, A, "CREATE TABLE c (id int)", DBMATE)
    execute(database, "INSERT INTO schema_migrations VALUES ('1'), ('3'), ('9')")

    report = adopt(database, path)

    assert labels(report) == {"1_a": "adopted", "2_b": "pending", "3_c": "adopted"}
    assert report.unknown == ("9",)
    assert any("2_b is pending, but the newer 3_c is applied" in n for n in report.notes)
    assert migrations(up(database, path, allow_out_of_order=True))["2"] == "applied"


def test_an_edited_file_is_a_difference(database: str, folder: Write) -> None:
    """By its checksum, even if it creates the same."""
    path = folder({"1_a.sql": A})
    execute(
        database,
        A,
        "CREATE TABLE _sqlx_migrations (version bigint, success boolean, checksum bytea)",
        "INSERT INTO _sqlx_migrations VALUES (1, true, sha384('other'))",
    )

    error = refusal(database, path, DifferenceFound)

    assert error.message == "1 file is not what sqlx has applied, by checksum"
    assert adopt(database, path, accept_drift=True).edited == ("1_a",)
    assert verify(database, path).ok


def test_repeatable_files_count_as_run_if_what_they_create_exists(
    database: str, folder: Write
) -> None:
    """The next up runs the others."""
    view = "CREATE OR REPLACE VIEW {} AS SELECT id FROM a"
    path = folder(
        {
            "1_a.sql": "CREATE TABLE a (id int);",
            "views/v1.sql": view.format("v1"),
            "views/v2.sql": view.format("v2"),
            "views/v3.sql": view.format("v3"),
        }
    )
    execute(database, "CREATE TABLE a (id int)", view.format("v1"), "CREATE VIEW v2 AS SELECT 1 id")

    report = adopt(database, path, to="1")

    assert report.repeatables == ("v1",)
    assert {v.status for v in report.relations} == {"ok"}
    up(database, path)
    assert verify(database, path).ok
    assert [e["action"] for e in history(database)] == ["adopt", "view", "view", "view"]


def test_two_adoptions_at_once_record_it_once(database: str, folder: Write) -> None:
    """The second one waits, and finds nothing to do."""
    path = folder(FILES)
    execute(database, A, B, current(2))

    with ThreadPoolExecutor(2) as pool:
        found = {f.result().status for f in [pool.submit(adopt, database, path) for _ in "ab"]}

    assert found == {"adopted", "unchanged"}
    assert [e["version"] for e in history(database)] == ["1", "2"]


def test_a_folder_that_cannot_be_replayed_is_not_adopted(database: str, folder: Write) -> None:
    """Nothing would be known of it."""
    execute(database, A, current(1))

    error = refusal(database, folder({"1_a.sql": "ALTER TABLE gone ADD x int;"}), StatementFailed)

    assert error.file == "1_a.sql"


def test_roles_that_files_create_are_theirs(database: str, folder: Write) -> None:
    """So a rollback may drop them."""
    name = f"lf_role_{value(database, 'SELECT current_database()')}"
    path = folder({"1_a.up.sql": f"CREATE ROLE {name};", "1_a.down.sql": f"DROP ROLE {name};"})
    execute(database, f"CREATE ROLE {name}")

    adopt(database, path, to="1")
    rollback(database, path)

    assert fetch(database, f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'") == []
